// Daemon: the graph of objects and the event loop that turns them. The one place that joins sockets, time and the pure
// layers.
//
// One thread runs the loop: IKE, control and the control protocol. Packets have threads of their own inside the data
// plane, and so have IKE's long computations.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/handlers.hpp"
#include "api/server.hpp"
#include "config/config.hpp"
#include "control/control_plane.hpp"
#include "crypto/backend_meter.hpp"
#include "crypto/random.hpp"
#include "daemon/host_network.hpp"
#include "daemon/key_export.hpp"
#include "daemon/keys.hpp"
#include "daemon/lease_store.hpp"
#include "daemon/log.hpp"
#include "daemon/name_servers.hpp"
#include "daemon/options.hpp"
#include "daemon/path_finder.hpp"
#include "daemon/proof_desk.hpp"
#include "daemon/radius_service.hpp"
#include "daemon/sequence_ledger.hpp"
#include "daemon/work_pool.hpp"
#include "datapath/userspace_data_plane.hpp"
#include "ike/face.hpp"
#include "io/clock.hpp"
#include "io/network_monitor.hpp"
#include "ipsec/suite_support.hpp"

namespace culvert::daemon {

class Daemon final : public api::Handlers {
 public:
  /// Opens everything that can be refused (sockets, TUN, netlink, control socket), in an order that leaves nothing
  /// behind when it is. The error is a sentence with the way out. `io` and `log` must outlive the daemon.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>, std::string> start(boost::asio::io_context& io, Log& log,
                                                                          Options options, config::Config config);
  ~Daemon() override;
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// kExitOk after a requested end, kExitFailed after a fault.
  [[nodiscard]] int exit_code() const { return exit_code_; }
  /// A name is being looked up: a thread of the resolver's that nothing can interrupt.
  [[nodiscard]] bool looks_up_names() const {
    return (paths_ && paths_->looks_up_names()) || (radius_ && radius_->looks_up_names());
  }

  // api::Handlers (daemon_api.cpp)
  [[nodiscard]] Result<api::Status, api::Error> status(const api::StatusWish& wish) override;
  [[nodiscard]] Result<api::TunnelStatus, api::Error> tunnel(const std::string& name, std::uint64_t from_sa) override;
  [[nodiscard]] Result<api::TunnelList, api::Error> list(const api::StatusWish& wish) override;
  [[nodiscard]] Result<api::TunnelStatus, api::Error> up(const std::string& name) override;
  [[nodiscard]] Result<api::TunnelStatus, api::Error> down(const std::string& name) override;
  [[nodiscard]] Result<api::RekeyResult, api::Error> rekey(const std::string& name,
                                                           const api::RekeyRequest& request) override;
  [[nodiscard]] Result<api::RedirectResult, api::Error> redirect(const std::string& name,
                                                                 const api::RedirectRequest& request) override;
  [[nodiscard]] Result<api::ApplyResult, api::Error> apply(const api::ApplyRequest& request) override;
  [[nodiscard]] Result<api::LeaseList, api::Error> leases(std::uint64_t from) override;
  [[nodiscard]] Result<api::FailureList, api::Error> failures() override;
  // daemon_manual.cpp
  [[nodiscard]] Result<api::ManualSaList, api::Error> manual_sas() override;
  [[nodiscard]] Result<api::ManualSa, api::Error> add_sa(const api::AddRequest& request) override;
  [[nodiscard]] Result<api::Removed, api::Error> remove_sa(const std::string& name) override;
  [[nodiscard]] Result<api::PolicyList, api::Error> policies() override;
  [[nodiscard]] Result<api::PolicyList, api::Error> add_policy(const api::AddRequest& request) override;
  [[nodiscard]] Result<api::Removed, api::Error> remove_policy(const std::string& name) override;

 private:
  /// Gives IKE its SPIs out of the data plane, and says where their pairs are.
  class Spis final : public ike::SpiAllocator {
   public:
    explicit Spis(datapath::UserspaceDataPlane& data_plane) : data_plane_(data_plane) {}
    [[nodiscard]] std::optional<model::Spi> allocate(std::optional<std::uint32_t> resource) override;
    void release(model::Spi spi) override { data_plane_.release_spi(spi); }
    [[nodiscard]] std::optional<std::uint32_t> resource_of(model::ChildSaId child) const override {
      return data_plane_.worker_of(child);
    }

   private:
    datapath::UserspaceDataPlane& data_plane_;
  };

  Daemon(boost::asio::io_context& io, Log& log, Options options, config::Config config);
  // daemon_start.cpp
  [[nodiscard]] Result<void, std::string> open();
  [[nodiscard]] Result<void, std::string> open_data_plane();
  [[nodiscard]] Result<void, std::string> open_network();
  [[nodiscard]] Result<void, std::string> open_control();
  void begin();
  void stop();
  void fail(const std::string& problem);

  void wait_for_data_plane();
  void wait_for_network_changes();
  void look_at_network_soon(bool only_routes);
  void look_at_network();
  void wait_for_signals();
  /// Carries out what the control plane asks for, logs what it says, sends what it made, and sets the timer.
  void pump();
  void set_timer();
  void carry_out(control::FindPath&& request);
  void carry_out(control::FindPaths&& request);
  /// To the end: over TCP the path is a stream's.
  [[nodiscard]] Result<net::Path, std::string> with_stream(const Result<net::Path, std::string>& path,
                                                           std::optional<std::uint16_t> tcp_port);
  void tell_stream_news();
  void carry_out(control::HoldStream&& request);
  void carry_out(control::SetNetwork&& request);
  void carry_out(control::StoreLeases&& request);
  void carry_out(control::AccountSession&& request);
  void carry_out(control::SendKeepalive&& request);
  void carry_out(control::ExportIkeKeys&& request);
  void carry_out(control::ExportEspKeys&& request);
  void carry_out(control::ReserveSequence&& request);
  void answer_reservations();
  void carry_out(ike::SharedKeyMacRequest&& request);
  void carry_out(ike::SignRequest&& request);
  void carry_out(ike::VerifyRequest&& request);
  void carry_out(ike::KeyExchangeRequest&& request);
  void carry_out(ike::EapRequest&& request);
  void carry_out(ike::PpkRequest&& request);
  void carry_out(ike::PuzzleRequest&& request);
  [[nodiscard]] RadiusService::Hooks radius_hooks();
  /// On a thread of the pool, or here when there is none.
  void compute(ike::RequestToken token, WorkPool::Work work);
  void wait_for_work();
  void deliver(WorkPool::Answer answer);
  /// Finds out who computes the suites of `wanted` fastest, before an SA needs them.
  void choose_ciphers(const config::Config& wanted);
  /// What crash tokens and tickets are made from, into the control plane; now and every hour.
  void use_endpoint_secret();
  /// What is written down of leases, into the control plane.
  void load_leases();
  /// Makes `wanted` what runs.
  void run_config(config::Config wanted, const config::Diff& diff);
  /// Once nothing has changed for a while.
  void release_memory_later();
  void log_problems(const std::vector<std::string>& problems);
  [[nodiscard]] Instant now() const { return clock_.now(); }
  [[nodiscard]] std::filesystem::path state_folder() const;
  [[nodiscard]] std::vector<api::ManualSa> manual_views();
  /// As many as are wished; `next` when there are more.
  void add_tunnels(api::Status& status, const api::StatusWish& wish);
  void add_daemon(api::Status& status);
  void add_counters(api::Status& status);

  boost::asio::io_context& io_;
  Log& log_;
  Options options_;
  config::Config config_;
  io::MonotonicClock clock_;
  Instant started_;
  int exit_code_ = kExitOk;
  bool stopping_ = false;
  crypto::SystemRandom random_;
  Secrets secrets_;
  crypto::BackendMeter meter_;                               // its time is that of the whole process
  ipsec::SuiteSupport ciphers_{crypto::Backend::automatic};  // for status: who computes what

  // In the order of dependence: each may use the ones before it.
  std::optional<KeyExport> key_export_;
  std::optional<SequenceLedger> ledger_;
  std::optional<LeaseStore> leases_;                    // once there are pools
  bool leases_failed_ = false;                          // and it was said
  std::vector<control::ReserveSequence> reservations_;  // asked for and not answered
  std::unique_ptr<datapath::UserspaceDataPlane> data_plane_;
  std::optional<HostNetwork> network_;
  std::optional<HostNameServers> name_servers_;
  std::unique_ptr<Spis> spis_;
  std::unique_ptr<ike::Endpoint> ike_;
  std::unique_ptr<control::ControlPlane> control_;
  std::unique_ptr<PathFinder> paths_;
  std::unique_ptr<RadiusService> radius_;
  std::unique_ptr<api::Server> server_;

  std::optional<io::NetworkMonitor> monitor_;
  std::unique_ptr<WorkPool> pool_;  // null: IKE's work is done on the loop

  std::unique_ptr<ProofDesk> desk_;

  boost::asio::posix::stream_descriptor work_ready_;
  boost::asio::posix::stream_descriptor data_plane_ready_;
  boost::asio::posix::stream_descriptor monitor_ready_;
  boost::asio::steady_timer timer_;
  std::optional<Instant> timer_at_;  // that it is set to
  Instant timers_turned_{};
  boost::asio::steady_timer quiet_timer_;
  boost::asio::steady_timer look_timer_;
  boost::asio::steady_timer secret_timer_;
  bool configured_ = false;          // there is a configuration
  bool secrets_of_tickets_ = false;  // are in use
  std::optional<Instant> look_at_;
  Instant looked_at_{};
  boost::asio::signal_set signals_;
};

}  // namespace culvert::daemon
