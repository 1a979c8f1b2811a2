// UserspaceDataPlane: the DataPlane that carries packets in this process, between TUN and sockets, on a worker thread
// of its own.
//
// The worker owns the engine and everything a packet touches. The control thread talks to it through bounded queues
// only, and is woken by one descriptor. NAT keepalives are control's timers; here they are only sent.
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
  bool udp_segmentation = false;     // UDP_SEGMENT
  bool udp_receive_offload = false;  // UDP_GRO
  bool raw_esp = false;
  bool ipv6 = false;
  std::string io_engine = "epoll";
  std::size_t workers = 1;
};

/// All calls on the control thread, but for the sending ones, which any thread may make.
class UserspaceDataPlane final : public ipsec::DataPlane {
 public:
  /// Starts the worker. `random` is used by both threads at once (crypto::SystemRandom may be) and must outlive the
  /// data plane.
  [[nodiscard]] static Result<std::unique_ptr<UserspaceDataPlane>, io::IoError> start(const DataPlaneOptions& options,
                                                                                      io::Tun tun, OuterSockets sockets,
                                                                                      RandomSource& random);
  /// Ends the worker at once; packets that wait are lost. TUN and the sockets close.
  ~UserspaceDataPlane() override;

  /// Readable when `poll_datagram`, `poll_event` or `poll_fault` may have something. Then: `handle_wakeup`, and drain
  /// all three.
  [[nodiscard]] int wakeup_fd() const;
  void handle_wakeup();
  [[nodiscard]] std::optional<IkeDatagram> poll_datagram();
  /// Why the worker can no longer do its work (TUN was deleted); said once.
  [[nodiscard]] std::optional<std::string> poll_fault();

  /// As OuterSockets; a message that the kernel refuses is counted too.
  int send_ike(const net::Path& path, ByteView message);
  int send_keepalive(const net::Path& path);

  /// For the interface's index, name and MTU; its queues are the worker's.
  [[nodiscard]] io::Tun& tun();
  [[nodiscard]] DataPlaneFacts facts() const;
  /// Waits until the worker has carried out all commands given so far. For tests and for an orderly end.
  void settle();

  // ipsec::DataPlane. An SA that the worker must refuse after `install` said yes (which would be a fault of ours) comes
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
  void set_policies(std::vector<ipsec::Policy> policies) override;
  /// Asks the worker and waits for its answer, at most once in 20 ms; between that the last answer stands.
  [[nodiscard]] std::optional<ipsec::SaCounters> counters(model::ChildSaId child) const override;
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> drop_counters() const override;
  [[nodiscard]] std::optional<ipsec::DataPlaneEvent> poll_event() override;

 private:
  struct State;
  explicit UserspaceDataPlane(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace culvert::datapath
