// SequenceLedger: which sequence numbers the keys of manual SAs have used up, on disk. One small file, replaced as a
// whole; every call reads it anew, so that several daemons may share a folder. A file that cannot be understood answers
// with an error: whatever it said, the numbers behind it may have been used.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "control/outputs.hpp"

namespace culvert::daemon {

class SequenceLedger {
 public:
  /// Nothing is opened before the first reservation.
  explicit SequenceLedger(std::filesystem::path folder) : folder_(std::move(folder)) {}

  using Reserved = Result<control::SequenceReservation, std::string>;
  /// The next block of each request's key, in their order; on stable storage when it returns. The error is a sentence
  /// with the way out, and then nothing is reserved for that request. All of them cost one replacing of the file.
  [[nodiscard]] std::vector<Reserved> reserve(std::span<const control::ReserveSequence> requests) const;
  [[nodiscard]] Reserved reserve(const control::ReserveSequence& request) const {
    return std::move(reserve(std::span(&request, 1)).front());
  }

  [[nodiscard]] std::filesystem::path file() const { return folder_ / "manual-sequences"; }

 private:
  std::filesystem::path folder_;
};

}  // namespace culvert::daemon
