// StreamUse: which TCP streams the IKE SAs are on (RFC 9329), so that each is opened, kept and closed with them. Counts
// only; control_streams.cpp decides who goes over TCP.
#pragma once

#include <map>
#include <optional>

#include "control/outputs.hpp"
#include "net/address.hpp"

namespace culvert::control {

class StreamUse {
 public:
  /// One more IKE SA is on this path; what to ask for, if it is a stream and its first one.
  [[nodiscard]] std::optional<HoldStream> take(const net::Path& path) {
    if (!path.over_tcp() || ++users_[path] > 1) return std::nullopt;
    return HoldStream{path, true};
  }
  /// One less; what to ask for, if it is a stream and that was the last one. Also for a stream on which there never was
  /// one.
  [[nodiscard]] std::optional<HoldStream> leave(const net::Path& path) {
    if (!path.over_tcp()) return std::nullopt;
    const auto found = users_.find(path);
    if (found != users_.end() && --found->second > 0) return std::nullopt;
    if (found != users_.end()) users_.erase(found);
    return HoldStream{path, false};
  }
  [[nodiscard]] bool in_use(const net::Path& path) const { return users_.contains(path); }

 private:
  std::map<net::Path, unsigned> users_;
};

}  // namespace culvert::control
