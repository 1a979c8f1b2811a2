// StatusPrinter: prints what the daemon says of itself and its tunnels, which comes in parts, as it comes: of very many
// tunnels one is held at a time.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>

#include "api/schema.hpp"
#include "cli/render.hpp"

namespace culvert::cli {

class StatusPrinter {
 public:
  /// As JSON (what to_json_text makes of the whole, with `indent`) or for people.
  StatusPrinter(std::ostream& out, const Look& look, std::optional<int> indent);

  /// One answer after the other, see api::Client::each_status.
  void take(api::Status part);
  /// Behind the last one.
  void finish();

 private:
  void begin(api::Status part);
  void print_held();

  std::ostream& out_;
  Look look_;
  std::optional<int> indent_;
  std::optional<api::Status> first_;       // without its tunnels
  std::string tail_;                       // of the JSON, from the end of the tunnels on
  std::optional<api::TunnelStatus> held_;  // it may go on in the next part
  std::size_t printed_ = 0;
};

}  // namespace culvert::cli
