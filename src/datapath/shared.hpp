// What the control thread and the workers share: queues, wake-ups, counters, the answers to questions; and what workers
// share with each other, for packets that come to one and belong to another. Of all this a packet that comes to the
// right worker needs nothing but one look into SpiOwners, where there are several workers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "datapath/handover.hpp"
#include "datapath/io_counters.hpp"
#include "datapath/options.hpp"
#include "datapath/tcp_streams.hpp"
#include "datapath/userspace_data_plane.hpp"
#include "datapath/xdp_lane.hpp"
#include "io/event_fd.hpp"
#include "ipsec/data_plane.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/spd.hpp"
#include "model/child_sa.hpp"

namespace culvert::datapath {

struct InstallCommand {
  model::ChildSaParams params;
};
struct UseOutboundCommand {
  model::ChildSaId child;
};
struct RemoveCommand {
  model::ChildSaId child;
  Duration linger;
};
struct UpdatePathCommand {
  model::ChildSaId child;
  net::Path path;
  model::Encapsulation encapsulation;
};
struct SkipSequenceCommand {
  model::ChildSaId child;
  std::uint64_t count = 0;
};
struct GrantSequenceCommand {
  model::ChildSaId child;
  std::uint64_t granted;
};
struct SetPoliciesCommand {
  std::shared_ptr<const ipsec::PolicyTable> table;
};
struct SetHomeCommand {
  model::ConnectionId connection;
  std::optional<ipsec::SaHome> home;
};
struct SetJoiningCommand {
  net::Family family;
  ipsec::TcpJoining joining;
};
/// Answered by Answers::give with the same ticket, after all commands before it.
struct AskCommand {
  std::uint64_t ticket;
  bool with_counters;
};
using Command = std::variant<InstallCommand, UseOutboundCommand, RemoveCommand, UpdatePathCommand, GrantSequenceCommand,
                             SkipSequenceCommand, SetPoliciesCommand, SetHomeCommand, SetJoiningCommand, AskCommand>;

/// All of the engine's counters at one moment; SA pairs sorted by id.
struct CounterSnapshot {
  std::vector<std::pair<model::ChildSaId, ipsec::SaCounters>> children;
  std::vector<std::pair<std::string, std::uint64_t>> drops;
};

/// A worker's answers to AskCommand, for a control thread that waits.
class Answers {
 public:
  void give(std::uint64_t ticket, std::optional<CounterSnapshot> snapshot) {
    {
      const std::lock_guard lock(mutex_);
      answered_ = ticket;
      if (snapshot) snapshot_ = std::move(*snapshot);
    }
    given_.notify_all();
  }
  void wait_for(std::uint64_t ticket) {
    std::unique_lock lock(mutex_);
    given_.wait(lock, [&] { return answered_ >= ticket; });
  }
  [[nodiscard]] CounterSnapshot snapshot() {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable given_;
  std::uint64_t answered_ = 0;
  CounterSnapshot snapshot_;
};

/// Which worker has the inbound SA of an SPI: by the SPI's slot, so that one look into an array tells. The same look
/// tells that no packet of the SPI has been seen yet.
class SpiOwners {
 public:
  /// In what `look` answers, beside the owner.
  static constexpr std::uint8_t kUnseen = 0x80;
  static_assert(kMostWorkers <= kUnseen);

  explicit SpiOwners(const ipsec::SpiLayout& layout, std::uint32_t workers)
      : layout_(layout), owners_(workers > 1 ? layout.capacity() : 1) {}

  /// Control thread; before the peer hears of the SPI. Two SPIs of one slot have one owner: the first one's.
  void set(model::Spi spi, std::uint32_t worker) {
    owners_[place_of(spi)].store(static_cast<std::uint8_t>(worker | kUnseen), std::memory_order_relaxed);
  }
  /// Control thread; before the peer hears of an SPI whose owner is not known yet: its packets may be here earlier.
  void expect(model::Spi spi) { owners_[place_of(spi)].fetch_or(kUnseen, std::memory_order_relaxed); }
  /// The owner, with kUnseen as long as nobody has said `seen` since `set` or `expect`.
  [[nodiscard]] std::uint32_t look(model::Spi spi) const {
    return owners_[place_of(spi)].load(std::memory_order_relaxed);
  }
  /// By a worker that has a packet of it. The owner.
  std::uint32_t seen(model::Spi spi) {
    constexpr auto kOwner = static_cast<std::uint8_t>(~kUnseen);
    return owners_[place_of(spi)].fetch_and(kOwner, std::memory_order_relaxed) & kOwner;
  }

 private:
  [[nodiscard]] std::size_t place_of(model::Spi spi) const { return layout_.slot_of(spi) & (owners_.size() - 1); }
  ipsec::SpiLayout layout_;
  std::vector<std::atomic<std::uint8_t>> owners_;
};

/// What one worker gets from others.
struct Inbox {
  Inbox(const DataPlaneOptions& options, io::EventFd wakeup_fd, std::uint32_t worker, std::uint32_t workers)
      : commands(options.command_queue), wakeup(std::move(wakeup_fd)), from(workers) {
    for (std::uint32_t other = 0; other < workers; ++other) {
      if (other != worker) from[other] = std::make_unique<HandoverRing>();
    }
  }

  /// Once there are commands. The worker is woken once until it looks.
  void tell() {
    if (!ordered.exchange(true)) wakeup.signal();
  }

  BoundedQueue<Command> commands;
  io::EventFd wakeup;
  /// Commands wait. The worker clears this before it takes them.
  std::atomic<bool> ordered{false};
  /// The worker waits, or is about to and looks into the rings once more. Whoever wakes it clears this.
  std::atomic<bool> sleeping{false};
  std::vector<std::unique_ptr<HandoverRing>> from;  // by worker; null for itself
  Answers answers;
};

struct Shared {
  Shared(const DataPlaneOptions& options, std::vector<io::EventFd> wakeups, io::EventFd control_wakeup)
      : owners(options.engine.spi_layout, static_cast<std::uint32_t>(wakeups.size())),
        events(options.event_queue),
        datagrams(options.ike_queue),
        released(options.engine.spi_layout.capacity()),
        faults(1),
        to_control(std::move(control_wakeup)) {
    const auto workers = static_cast<std::uint32_t>(wakeups.size());
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
      inboxes.push_back(std::make_unique<Inbox>(options, std::move(wakeups[worker]), worker, workers));
    }
  }

  /// There is something for the control thread. Told once until it looks: while it is at work, or on its way, nobody
  /// needs to wake it again.
  void tell_control() {
    if (!control_told.exchange(true)) to_control.signal();
  }
  /// By the control thread, before it looks into the queues.
  void take_wakeup() {
    to_control.drain();
    control_told.store(false);
  }

  std::vector<std::unique_ptr<Inbox>> inboxes;
  SpiOwners owners;
  std::atomic<bool> stop{false};
  std::atomic<bool> tun_gone{false};  // one worker has told

  BoundedQueue<ipsec::DataPlaneEvent> events;
  BoundedQueue<IkeDatagram> datagrams;
  BoundedQueue<model::Spi> released;
  BoundedQueue<std::string> faults;
  io::EventFd to_control;
  std::atomic<bool> control_told{false};

  IoCounters counters;
  TcpStreams* streams = nullptr;      // set before the workers begin; the first one owns the connections
  std::vector<const XdpLane*> lanes;  // by worker, null without one; likewise
};

}  // namespace culvert::datapath
