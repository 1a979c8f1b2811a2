// SaTimers: which SA wants to be looked at next, and when. One moment for each SA; a later one replaces it.
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/time.hpp"
#include "model/ids.hpp"

namespace culvert::ipsec {

class SaTimers {
 public:
  void arm(model::ChildSaId child, Instant at) {
    disarm(child);
    order_.emplace(at, child);
    armed_.emplace(child, at);
  }
  void disarm(model::ChildSaId child) {
    const auto found = armed_.find(child);
    if (found == armed_.end()) return;
    order_.erase({found->second, child});
    armed_.erase(found);
  }
  /// The next SA whose time has come, disarmed; call until there is none.
  [[nodiscard]] std::optional<model::ChildSaId> take_due(Instant now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    const model::ChildSaId child = order_.begin()->second;
    disarm(child);
    return child;
  }
  [[nodiscard]] std::optional<Instant> next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }

 private:
  std::set<std::pair<Instant, model::ChildSaId>> order_;
  std::unordered_map<model::ChildSaId, Instant> armed_;
};

}  // namespace culvert::ipsec
