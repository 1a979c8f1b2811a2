// Exchange: one worker's way to the others: what it hands over, and what others handed over to it.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "datapath/shared.hpp"

namespace culvert::datapath {

class Exchange {
 public:
  Exchange(Shared& shared, std::uint32_t worker)
      : shared_(shared), worker_(worker), touched_(shared.inboxes.size(), false) {}

  [[nodiscard]] bool alone() const { return shared_.inboxes.size() == 1; }
  [[nodiscard]] std::uint32_t worker() const { return worker_; }
  /// As SpiOwners.
  [[nodiscard]] std::uint32_t look_for_owner(std::uint32_t spi) const { return shared_.owners.look(model::Spi{spi}); }
  std::uint32_t seen(std::uint32_t spi) { return shared_.owners.seen(model::Spi{spi}); }

  /// To another worker, or lost and counted when that one does not keep up.
  void hand_over(std::uint32_t to, const ipsec::InnerPacket& packet);
  void hand_over(std::uint32_t to, const ipsec::WireInput& input);
  /// An error about none of this worker's SAs, to the next one to be asked.
  void pass_on(OuterError error);
  /// True when there is nobody left who could know.
  [[nodiscard]] bool asked_all(const OuterError& error) const { return error.asked >= shared_.inboxes.size(); }
  /// Wakes those who got something since the last call; to be called before waiting.
  void wake();
  /// How long packets in other workers' hands are waited for.
  static constexpr Duration kLongestSettling = std::chrono::milliseconds(20);
  /// What this worker does meanwhile while it settles: what others handed over to it, since one of them may be settling
  /// for it. True when there was something.
  void while_settling(std::function<bool()> own_work) { own_work_ = std::move(own_work); }
  /// Waits until others have done all that was handed over to them, and their lanes sent it; not for ever: true when
  /// they have. Not within `work` of `take`.
  [[nodiscard]] bool settle(Duration longest);

  /// Takes what waits, ring by ring, as long as there is something but at most some batches of each: `work` gets each
  /// batch and must have sent all that came of it when it returns. `before` is called before a batch is taken, and may
  /// settle.
  template <typename Before, typename Work>
  bool take(Before&& before, Work&& work);

  /// Before waiting: true when nothing was handed over in the meantime, so that whoever does will wake this worker.
  [[nodiscard]] bool fall_asleep();
  void woke_up() { inbox().sleeping.store(false); }

 private:
  static constexpr int kBatchesPerTurn = 4;
  [[nodiscard]] Inbox& inbox() const { return *shared_.inboxes[worker_]; }
  /// Works on what is this worker's until `done`, or the end.
  template <typename Done>
  [[nodiscard]] bool work_until(Instant end, Done&& done);
  [[nodiscard]] bool lane_settled(std::uint32_t other, Instant end);
  [[nodiscard]] HandoverRing& ring_to(std::uint32_t other) { return *shared_.inboxes[other]->from[worker_]; }

  Shared& shared_;
  const std::uint32_t worker_;
  std::vector<bool> touched_;
  std::function<bool()> own_work_ = [] { return false; };
};

template <typename Before, typename Work>
bool Exchange::take(Before&& before, Work&& work) {
  bool any = false;
  for (const auto& ring : inbox().from) {
    for (int i = 0; ring != nullptr && i < kBatchesPerTurn && !ring->empty(); ++i) {
      before();
      work(ring->take());
      ring->release();
      any = true;
    }
  }
  return any;
}

}  // namespace culvert::datapath
