// KeyExport: session keys as Wireshark reads them, for a capture that must be understood. Opt-in, loud, and only ever
// session keys.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.hpp"
#include "control/outputs.hpp"

namespace culvert::daemon {

/// Appends to `ikev2_decryption_table` and `esp_sa` in the folder: Wireshark's preference files of those names. Files
/// are made with mode 0600.
class KeyExport {
 public:
  /// Makes the folder (mode 0700) if needed; the error says what is in the way.
  [[nodiscard]] static Result<KeyExport, std::string> open(const std::filesystem::path& folder);
  void add(const control::ExportIkeKeys& request) const;
  void add(const control::ExportEspKeys& request) const;

 private:
  explicit KeyExport(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void append(const char* file, const std::string& line) const;
  std::filesystem::path folder_;
};

/// One line of Wireshark's ikev2_decryption_table; empty where it has no name for the algorithms.
[[nodiscard]] std::string ike_table_line(const ike::KeysExported& keys);
/// The lines of esp_sa for both directions; empty where it has no name for the algorithms.
[[nodiscard]] std::string esp_table_lines(const control::ExportEspKeys& keys);

}  // namespace culvert::daemon
