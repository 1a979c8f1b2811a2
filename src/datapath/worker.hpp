// Worker: one thread's loop between one TUN queue and the sockets. It owns an engine; nothing here locks or allocates
// for a packet.
//
// A turn: wait; commands; TUN to the wire and the wire to TUN, in rounds; what other workers handed over; what is due;
// news to the control thread. Each part is bounded, so that none starves the others, and nothing is held back once
// there is nothing more to read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.hpp"
#include "datapath/connected_peers.hpp"
#include "datapath/exchange.hpp"
#include "datapath/shared.hpp"
#include "datapath/tun_reader.hpp"
#include "datapath/wire_receiver.hpp"
#include "datapath/wire_sender.hpp"
#include "io/poller.hpp"
#include "ipsec/engine.hpp"

namespace culvert::datapath {

class Worker {
 public:
  /// `options.worker` says which of Shared::inboxes is its own. The references must outlive the worker.
  [[nodiscard]] static Result<std::unique_ptr<Worker>, io::IoError> make(const ipsec::EngineOptions& options,
                                                                         io::TunQueue& tun, const OuterSockets& sockets,
                                                                         Shared& shared, RandomSource& random);
  /// Returns once Shared::stop is set and Inbox::wakeup signalled.
  void run();

 private:
  Worker(io::Poller poller, const ipsec::EngineOptions& options, io::TunQueue& tun, const OuterSockets& sockets,
         Shared& shared, RandomSource& random);

  [[nodiscard]] std::optional<Duration> time_to_wait() const;
  bool dispatch(const io::Poller::Ready& source);
  void catch_up();
  void run_commands();
  void give_back_spis();
  void settle();
  void carry_out(InstallCommand& command);
  void answer(const AskCommand& command);
  /// The interface's own refusals are errors of the unprotected side too, and trustworthy ones.
  void tell_too_long();
  bool pump_tun();
  bool pump_socket(const OuterSockets::Entry& entry, bool failed);
  bool pump_lane(std::size_t port, bool failed);
  void connect_busy_peer();
  void empty(const OuterSockets::Entry& entry);
  bool pump_streams();
  bool take_handed_over();
  bool work_while_settling();
  void work_up(const HandoverRing::Batch& batch);
  [[nodiscard]] std::optional<ipsec::DataPlaneEvent> next_event();
  void tell_control();

  io::Poller poller_;
  io::TunQueue& tun_;
  const OuterSockets& sockets_;
  Shared& shared_;
  Inbox& inbox_;
  Exchange exchange_;
  ipsec::Engine engine_;
  TunReader reader_;
  ConnectedPeers connected_;
  WireSender sender_;
  WireReceiver receiver_;
  Instant now_;
  bool control_wanted_ = false;
  bool tun_gone_ = false;
  std::vector<ipsec::SaRefused> refused_;  // pairs that `install` promised and the engine refused
  std::optional<ipsec::DataPlaneEvent> held_event_;
};

}  // namespace culvert::datapath
