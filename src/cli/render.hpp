// Render: answers of the daemon as text for people, in 80 columns.
#pragma once

#include <cstdint>
#include <string>

#include "api/schema.hpp"

namespace culvert::cli {

/// How to print, and the time of day for ages.
struct Look {
  bool color = false;
  std::int64_t now = 0;  // milliseconds since 1970
};

/// What stands in front of the tunnels, and behind them.
[[nodiscard]] std::string render_head(const api::Status& status, const Look& look);
[[nodiscard]] std::string render_rest(const api::Status& status, bool any_tunnels, const Look& look);
/// Only the tunnels, as `culvert status NAME` shows them.
[[nodiscard]] std::string render(const api::TunnelStatus& tunnel, const Look& look);
[[nodiscard]] std::string render(const api::TunnelList& list, const Look& look);
[[nodiscard]] std::string render(const api::LeaseList& list, const Look& look);
[[nodiscard]] std::string render(const api::FailureList& list, const Look& look);
[[nodiscard]] std::string render(const api::ManualSa& sa, const Look& look);
[[nodiscard]] std::string render(const api::ManualSaList& list, const Look& look);
[[nodiscard]] std::string render(const api::PolicyList& list, const Look& look);
[[nodiscard]] std::string render(const api::ApplyResult& result, const Look& look);
[[nodiscard]] std::string render(const api::LogEntry& entry, const Look& look);
[[nodiscard]] std::string render(const api::Problem& problem, const Look& look);
/// "culvert: MESSAGE", the way out and the problems.
[[nodiscard]] std::string render(const api::Error& error, const Look& look);

}  // namespace culvert::cli
