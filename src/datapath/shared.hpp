// What the control thread and the worker share: queues, wake-ups, counters, the answers to questions. Nothing a packet
// needs.
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
#include "datapath/io_counters.hpp"
#include "datapath/options.hpp"
#include "datapath/userspace_data_plane.hpp"
#include "io/event_fd.hpp"
#include "ipsec/data_plane.hpp"
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
struct GrantSequenceCommand {
  model::ChildSaId child;
  std::uint64_t granted;
};
struct SetPoliciesCommand {
  std::shared_ptr<const ipsec::PolicyTable> table;
};
/// Answered by Answers::give with the same ticket, after all commands before it.
struct AskCommand {
  std::uint64_t ticket;
  bool with_counters;
};
using Command = std::variant<InstallCommand, UseOutboundCommand, RemoveCommand, UpdatePathCommand, GrantSequenceCommand,
                             SetPoliciesCommand, AskCommand>;

/// All of the engine's counters at one moment; SA pairs sorted by id.
struct CounterSnapshot {
  std::vector<std::pair<model::ChildSaId, ipsec::SaCounters>> children;
  std::vector<std::pair<std::string, std::uint64_t>> drops;
};

/// The worker's answers to AskCommand, for a control thread that waits.
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

struct Shared {
  Shared(const DataPlaneOptions& options, io::EventFd worker_wakeup, io::EventFd control_wakeup)
      : commands(options.command_queue),
        to_worker(std::move(worker_wakeup)),
        events(options.event_queue),
        datagrams(options.ike_queue),
        released(options.engine.spi_layout.capacity()),
        faults(1),
        to_control(std::move(control_wakeup)) {}

  BoundedQueue<Command> commands;
  io::EventFd to_worker;
  std::atomic<bool> stop{false};

  BoundedQueue<ipsec::DataPlaneEvent> events;
  BoundedQueue<IkeDatagram> datagrams;
  BoundedQueue<model::Spi> released;
  BoundedQueue<std::string> faults;
  io::EventFd to_control;

  IoCounters counters;
  Answers answers;
};

}  // namespace culvert::datapath
