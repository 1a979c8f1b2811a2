// UserspaceDataPlane: the DataPlane that carries packets in this process, between TUN and sockets, on worker threads of
// its own.
//
// Each worker owns an engine, a queue of TUN, and the sockets that have one share of the peers' addresses. Each SA pair
// belongs to one worker; whatever comes to another is handed over to it, so that one place hands out an SA's sequence
// numbers and keeps its replay window. All pairs of a connection belong to one worker, its home; but for those that are
// for one worker's packets only (RFC 9611). The control thread talks to the workers through bounded queues only, reads
// IKE's own port itself, and is woken by one descriptor. NAT keepalives are control's timers; here they are only sent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "datapath/options.hpp"
#include "datapath/outer_sockets.hpp"
#include "datapath/tcp_streams.hpp"
#include "io/error.hpp"
#include "io/tun.hpp"
#include "ipsec/data_plane.hpp"

namespace culvert::datapath {

/// An IKE message as it came, without the non-ESP marker.
struct IkeDatagram {
  net::Path path;
  Bytes message;
};

/// What the data path runs on, for status.
struct DataPlaneFacts {
  std::string tun_name;
  std::string tun_offload;           // io::name_of
  std::size_t longest_tcp = 0;       // octets of a TCP super-packet to TUN; 0: there are none
  bool udp_segmentation = false;     // UDP_SEGMENT
  bool udp_receive_offload = false;  // UDP_GRO
  bool raw_esp = false;
  bool ipv6 = false;
  /// Interfaces with AF_XDP that the user wanted: what became of each.
  std::vector<XdpPorts::Fact> xdp;
  std::string io_engine = "epoll";
  std::size_t workers = 1;
};

/// All calls on the control thread, but for the sending ones, which any thread may make.
class UserspaceDataPlane final : public ipsec::DataPlane {
 public:
  /// Starts as many workers as there are sets of sockets, which are as many as TUN has queues. `random` is used by all
  /// threads at once (crypto::SystemRandom may be) and must outlive the data plane. Without `streams` peers open none.
  [[nodiscard]] static Result<std::unique_ptr<UserspaceDataPlane>, io::IoError> start(
      const DataPlaneOptions& options, io::Tun tun, std::vector<OuterSockets> sockets, RandomSource& random,
      std::unique_ptr<TcpStreams> streams = nullptr);
  /// Ends the workers at once; packets that wait are lost. TUN and the sockets close.
  ~UserspaceDataPlane() override;

  /// Readable when `poll_datagram`, `poll_event` or `poll_fault` may have something. Then: `handle_wakeup`, and drain
  /// all three.
  [[nodiscard]] int wakeup_fd() const;
  void handle_wakeup();
  [[nodiscard]] std::optional<IkeDatagram> poll_datagram();
  /// Why the workers can no longer do their work (TUN was deleted); said once.
  [[nodiscard]] std::optional<std::string> poll_fault();

  /// As OuterSockets; a message that the kernel refuses is counted too.
  int send_ike(const net::Path& path, ByteView message);
  int send_keepalive(const net::Path& path);

  /// The TCP streams, which are opened and held by whoever drives IKE; their news comes with `wakeup_fd`.
  [[nodiscard]] TcpStreams& streams();

  /// For the interface's index, name and MTU; its queues are the workers'.
  [[nodiscard]] io::Tun& tun();
  [[nodiscard]] DataPlaneFacts facts() const;
  /// The host's addresses changed.
  void read_addresses();
  /// Whether the host forwards what comes out of TUN changed, or may have.
  void read_forwarding();
  /// The worker that has the pair; nothing when it does not stand.
  [[nodiscard]] std::optional<std::uint32_t> worker_of(model::ChildSaId child) const;
  /// Waits until the workers have carried out all commands given so far. For tests and for an orderly end.
  void settle();

  // ipsec::DataPlane. An SA that its worker must refuse after `install` said yes (which would be a fault of ours) comes
  // back as SaRefused.
  [[nodiscard]] Result<model::Spi, ipsec::DataPlaneError> allocate_spi(
      std::optional<std::uint32_t> resource = {}) override;
  [[nodiscard]] Result<void, ipsec::DataPlaneError> reserve_spi(model::Spi spi) override;
  void release_spi(model::Spi spi) override;
  [[nodiscard]] Result<void, ipsec::DataPlaneError> install(model::ChildSaParams params) override;
  void use_outbound(model::ChildSaId child) override;
  void remove(model::ChildSaId child, Duration linger) override;
  void update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation) override;
  void grant_sequence(model::ChildSaId child, std::uint64_t granted) override;
  void skip_sequence(model::ChildSaId child, std::uint64_t count) override;
  void set_policies(std::vector<ipsec::Policy> policies) override;
  /// Asks the workers and waits for their answers, at most once in 20 ms; between that the last answer stands.
  [[nodiscard]] std::optional<ipsec::SaCounters> counters(model::ChildSaId child) const override;
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> drop_counters() const override;
  [[nodiscard]] std::optional<ipsec::DataPlaneEvent> poll_event() override;

 private:
  struct State;
  explicit UserspaceDataPlane(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace culvert::datapath
