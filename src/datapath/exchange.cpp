#include "datapath/exchange.hpp"

#include <thread>

#include "io/clock.hpp"

namespace culvert::datapath {

void Exchange::hand_over(std::uint32_t to, const ipsec::InnerPacket& packet) {
  if (!ring_to(to).push(packet)) shared_.counters.count(IoDrop::handover_full);
  touched_[to] = true;
}

void Exchange::hand_over(std::uint32_t to, const ipsec::WireInput& input) {
  if (!ring_to(to).push(input)) {
    const std::size_t step = input.segment_size == 0 ? input.bytes.size() : input.segment_size;
    shared_.counters.count(IoDrop::handover_full, step == 0 ? 1 : (input.bytes.size() + step - 1) / step);
  }
  touched_[to] = true;
}

void Exchange::pass_on(OuterError error) {
  const auto next = static_cast<std::uint32_t>((worker_ + 1) % shared_.inboxes.size());
  ++error.asked;
  // Without room it is forgotten: the next long packet brings another.
  (void)ring_to(next).push(error);
  touched_[next] = true;
}

void Exchange::wake() {
  for (std::uint32_t other = 0; other < touched_.size(); ++other) {
    if (!touched_[other]) continue;
    touched_[other] = false;
    Inbox& inbox = *shared_.inboxes[other];
    if (inbox.sleeping.load() && inbox.sleeping.exchange(false)) inbox.wakeup.signal();
  }
}

bool Exchange::settle(Duration longest) {
  wake();
  const Instant end = io::MonotonicClock::now() + longest;
  for (std::uint32_t other = 0; other < touched_.size(); ++other) {
    if (other == worker_) continue;
    if (!work_until(end, [&] { return ring_to(other).settled(); }) || !lane_settled(other, end)) return false;
  }
  return true;
}

// Two workers that settle at once may each have something from the other. Each does it, or both would stand still until
// their patience ends, and then go on unsettled.
template <typename Done>
bool Exchange::work_until(Instant end, Done&& done) {
  while (!done()) {
    if (io::MonotonicClock::now() > end) return false;
    if (own_work_()) {
      wake();
    } else {
      std::this_thread::yield();
    }
  }
  return true;
}

// What a worker has done is with the kernel, but for frames of AF_XDP that it has not taken yet: those still stand in
// the lane, where packets of this worker would overtake them.
bool Exchange::lane_settled(std::uint32_t other, Instant end) {
  const XdpLane* const lane = other < shared_.lanes.size() ? shared_.lanes[other] : nullptr;
  for (std::size_t port = 0; lane != nullptr && port < lane->ports(); ++port) {
    const std::uint32_t submitted = lane->submitted(port);
    if (!work_until(end, [&] { return lane->has_left(port, submitted); })) return false;
  }
  return true;
}

bool Exchange::fall_asleep() {
  if (alone()) return true;
  inbox().sleeping.store(true);
  for (const auto& ring : inbox().from) {
    if (ring != nullptr && !ring->empty()) {
      inbox().sleeping.store(false);
      return false;
    }
  }
  return true;
}

}  // namespace culvert::datapath
