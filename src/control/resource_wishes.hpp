// ResourceWishes: which workers of the data plane may ask the peer of one tunnel for a Child SA of their own now (RFC
// 9611). Their packets do not wait: they go over the SA that is for all of them, so nothing has to be kept but what
// speaks against asking.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "control/wish_rest.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::control {

class ResourceWishes {
 public:
  /// Of so many sets of selectors something is known at a time; the oldest is forgotten for a further one.
  static constexpr std::size_t kMostGroups = 64;

  [[nodiscard]] bool may_ask(const model::TrafficSelectors& local, const model::TrafficSelectors& remote,
                             std::uint32_t resource, Instant now) const;
  /// The peer takes no further SAs with these selectors (TS_MAX_QUEUE). True when that is news.
  bool full(const model::TrafficSelectors& local, const model::TrafficSelectors& remote);
  /// The peer, or we, refused this one. How long it rests.
  Duration refuse(const model::TrafficSelectors& local, const model::TrafficSelectors& remote, std::uint32_t resource,
                  Instant now);
  /// One that we asked for stands.
  void made(const model::TrafficSelectors& local, const model::TrafficSelectors& remote, std::uint32_t resource,
            Instant now);
  /// It has ended, not by a rekey: `by_us`, then there is room at the peer, or by the peer.
  void ended(const model::TrafficSelectors& local, const model::TrafficSelectors& remote, std::uint32_t resource,
             bool by_us, Instant now);
  /// A new IKE SA: the peer may think otherwise now.
  void clear() { groups_.clear(); }

 private:
  struct Rest : WishRest {
    std::optional<Instant> made_at;
  };
  struct Group {
    model::TrafficSelectors local;
    model::TrafficSelectors remote;
    bool full = false;
    std::map<std::uint32_t, Rest> rests;  // by resource
  };
  [[nodiscard]] const Group* find(const model::TrafficSelectors& local, const model::TrafficSelectors& remote) const;
  [[nodiscard]] Group& at(const model::TrafficSelectors& local, const model::TrafficSelectors& remote);

  std::vector<Group> groups_;  // the oldest first
};

}  // namespace culvert::control
