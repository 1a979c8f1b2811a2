#include "ipsec/aggfrag_sa.hpp"

#include <algorithm>

namespace culvert::ipsec {
namespace {

constexpr std::size_t kQueueFloor = std::size_t{128} * 1024;
constexpr std::size_t kQueueCeiling = std::size_t{4} * 1024 * 1024;

// With a rate: what leaves in a quarter of a second; more would only grow old.
std::size_t queue_bound(const model::Aggfrag& settings) {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(settings.rate / 4, kQueueFloor, kQueueCeiling));
}

}  // namespace

AggfragSa::AggfragSa(const model::Aggfrag& aggfrag)
    : settings(aggfrag),
      packer(aggfrag.congestion_control),
      queue(queue_bound(aggfrag)),
      receiver(aggfrag.reorder_window),
      congestion(static_cast<double>(aggfrag.rate) / 1500) {}

}  // namespace culvert::ipsec
