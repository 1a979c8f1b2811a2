// FakeDaemon: handlers with canned answers, and a server for them on a thread, for the tests of api and cli.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <stdlib.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "api/handlers.hpp"
#include "api/log_ring.hpp"
#include "api/server.hpp"
#include "base/check.hpp"
#include "base/testing/temporary_folder.hpp"

namespace culvert::api::testing {

/// Knows one tunnel, "office". Each member may be replaced by a test before the daemon is asked.
class FakeHandlers : public Handlers {
 public:
  TunnelStatus office{.name = "office",
                      .state = TunnelState::down,
                      .start = "auto",
                      .peer = "192.0.2.2",
                      .local = {"10.1.0.0/16"},
                      .remote = {"10.2.0.0/16"},
                      .place = "office.toml:1"};
  Status answer;
  ApplyResult apply_answer;
  std::optional<Error> failure;  // of every call
  std::function<void(TunnelStatus&)> on_up = [](TunnelStatus& tunnel) {
    tunnel.state = TunnelState::connecting;
    ++tunnel.attempts;
  };
  std::function<void(TunnelStatus&)> on_poll = [](TunnelStatus&) {};  // before `tunnel` answers
  std::atomic<int> calls{0};
  RekeyWhat rekeyed = RekeyWhat::ike;
  bool dry_run = false;

  /// Of `answer`, behind "office"; not more than `most_at_once` of what StatusWish::limit counts, as a daemon does it.
  std::size_t most_at_once = 1000;
  Result<Status, Error> status(const StatusWish& wish) override {
    if (auto error = refused(wish.tunnel.value_or(office.name))) return err(*error);
    Status out = answer;
    out.tunnels.insert(out.tunnels.begin(), office);
    if (wish.tunnel) out.tunnels.resize(1);
    return part_of(std::move(out), wish.from);
  }
  Result<TunnelStatus, Error> tunnel(const std::string& name, std::uint64_t from_sa) override {
    if (auto error = refused(name)) return err(*error);
    on_poll(office);
    TunnelStatus part = office;
    std::erase_if(part.ike_sas, [&](const IkeSa& sa) { return sa.id < from_sa || (from_sa > 0 && sa.id == from_sa); });
    if (part.ike_sas.size() > most_at_once) {
      part.ike_sas.resize(most_at_once);
      part.next = part.ike_sas.back().id;
    }
    return part;
  }
  Result<TunnelList, Error> list(const StatusWish& wish) override {
    if (auto error = refused()) return err(*error);
    TunnelList out;
    std::vector<TunnelStatus> all = answer.tunnels;
    all.insert(all.begin(), office);
    for (std::size_t i = wish.from.tunnel; i < all.size() && !out.next; ++i) {
      const TunnelStatus& one = all[i];
      if (out.tunnels.size() == most_at_once) {
        out.next = StatusPlace{i, 0};
      } else {
        out.tunnels.push_back({one.name, one.state, one.start, one.peer, one.local, one.remote, one.place});
      }
    }
    return out;
  }
  Result<TunnelStatus, Error> up(const std::string& name) override {
    if (auto error = refused(name)) return err(*error);
    on_up(office);
    return office;
  }
  Result<TunnelStatus, Error> down(const std::string& name) override {
    if (auto error = refused(name)) return err(*error);
    office.state = TunnelState::down;
    office.ike_sas.clear();
    return office;
  }
  Result<RekeyResult, Error> rekey(const std::string& name, const RekeyRequest& request) override {
    if (auto error = refused(name)) return err(*error);
    rekeyed = request.what;
    return RekeyResult{request.what != RekeyWhat::child, request.what != RekeyWhat::ike};
  }
  std::string redirected;
  Result<RedirectResult, Error> redirect(const std::string& name, const RedirectRequest& request) override {
    if (auto error = refused(name)) return err(*error);
    redirected = request.gateway;
    return RedirectResult{.ike_sas = 2};
  }
  Result<ApplyResult, Error> apply(const ApplyRequest& request) override {
    if (auto error = refused()) return err(*error);
    dry_run = request.dry_run;
    ApplyResult out = apply_answer;
    out.applied = !request.dry_run;
    return out;
  }

  LeaseList leased;
  Result<LeaseList, Error> leases(std::uint64_t from) override {
    if (auto error = refused()) return err(*error);
    LeaseList part;
    for (std::size_t i = from; i < leased.leases.size() && !part.next; ++i) {
      if (part.leases.size() == most_at_once) {
        part.next = i;
      } else {
        part.leases.push_back(leased.leases[i]);
      }
    }
    return part;
  }

  FailureList failed;
  Result<FailureList, Error> failures() override {
    if (auto error = refused()) return err(*error);
    return failed;
  }

  ManualSaList sas;
  PolicyList rules;
  AddRequest added;
  std::string removed;
  Result<ManualSaList, Error> manual_sas() override {
    if (auto error = refused()) return err(*error);
    return sas;
  }
  Result<ManualSa, Error> add_sa(const AddRequest& request) override {
    if (auto error = refused()) return err(*error);
    added = request;
    ManualSa sa;
    sa.name = request.name;
    sa.state = "up";
    return sa;
  }
  Result<Removed, Error> remove_sa(const std::string& name) override {
    if (auto error = refused()) return err(*error);
    removed = "sa " + name;
    return Removed{name};
  }
  Result<PolicyList, Error> policies() override {
    if (auto error = refused()) return err(*error);
    return rules;
  }
  Result<PolicyList, Error> add_policy(const AddRequest& request) override {
    if (auto error = refused()) return err(*error);
    added = request;
    return rules;
  }
  Result<Removed, Error> remove_policy(const std::string& name) override {
    if (auto error = refused()) return err(*error);
    removed = "rule " + name;
    return Removed{name};
  }

  /// "office" with three IKE SAs, and four tunnels with 0, 1, 2 and 3.
  void have_many() {
    std::uint64_t last = 0;
    const auto add_sas = [&](TunnelStatus& tunnel, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i)
        tunnel.ike_sas.push_back({.id = ++last, .local_id = "a\nb \"tunnels\": []"});
    };
    add_sas(office, 3);
    for (std::size_t count = 0; count < 4; ++count) {
      TunnelStatus tunnel = office;
      tunnel.name = "site" + std::to_string(count);
      tunnel.ike_sas.clear();
      add_sas(tunnel, count);
      answer.tunnels.push_back(std::move(tunnel));
    }
  }

 private:
  [[nodiscard]] Status part_of(Status whole, const StatusPlace& from) const {
    Status part = std::move(whole);
    const std::vector<TunnelStatus> all = std::exchange(part.tunnels, {});
    if (from != StatusPlace{}) part = {};
    std::size_t room = most_at_once;
    for (std::size_t i = from.tunnel; i < all.size(); ++i) {
      if (room == 0) {
        part.next = StatusPlace{i, 0};
        return part;
      }
      --room;
      TunnelStatus& tunnel = part.tunnels.emplace_back(all[i]);
      if (i == from.tunnel) std::erase_if(tunnel.ike_sas, [&](const IkeSa& sa) { return sa.id <= from.ike_sa; });
      if (tunnel.ike_sas.size() > room) {
        tunnel.ike_sas.resize(room);
        part.next = StatusPlace{i, tunnel.ike_sas.empty() ? from.ike_sa : tunnel.ike_sas.back().id};
        return part;
      }
      room -= tunnel.ike_sas.size();
    }
    return part;
  }
  std::optional<Error> refused(const std::string& name = "office") {
    ++calls;
    if (failure) return failure;
    if (name != office.name) return no_such_tunnel(name);
    return std::nullopt;
  }
};

/// Set `handlers` up first; from `start` on they belong to the thread until `stop`.
class FakeDaemon {
 public:
  FakeHandlers handlers;
  LogRing log{100};
  ServerLimits limits;

  void start() {
    auto server = Server::listen(io_, socket(), handlers, log, limits);
    CHECK(server.has_value());
    server_ = std::move(*server);
    thread_ = std::thread([this] { io_.run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    io_.stop();
    thread_.join();
    server_.reset();
  }
  ~FakeDaemon() { stop(); }
  [[nodiscard]] std::filesystem::path socket() const { return folder_.path() / "culvertd.sock"; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ = boost::asio::make_work_guard(io_);
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace culvert::api::testing
