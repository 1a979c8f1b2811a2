// The control plane between two stand-ins that record what it asks of them and say what the test wants. Header only;
// never part of the product.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "config/load.hpp"
#include "control/control_plane.hpp"
#include "control/testing/data_plane_stub.hpp"

namespace culvert::control::testing {

class RecordingIke final : public ike::Endpoint {
 public:
  void handle_datagram(const net::Path&, ByteView, Instant) override { ++datagrams; }
  void handle_timeout(Instant) override {}
  void handle_command(ike::Command command, Instant) override { commands.push_back(std::move(command)); }
  void handle_completion(ike::RequestToken, ike::Completion, Instant) override {}
  void handle_wait(ike::RequestToken) override {}
  std::optional<ike::Event> poll_event() override {
    if (events.empty()) return std::nullopt;
    std::optional<ike::Event> event(std::move(events.front()));
    events.erase(events.begin());
    return event;
  }
  std::optional<ike::Request> poll_request() override { return std::nullopt; }
  std::optional<ike::Transmit> poll_transmit() override { return std::nullopt; }
  std::optional<Instant> poll_timeout() const override { return std::nullopt; }
  ike::EndpointCounters counters() const override { return {}; }

  template <typename T>
  std::vector<const T*> seen() const {
    std::vector<const T*> found;
    for (const ike::Command& command : commands) {
      if (const T* one = std::get_if<T>(&command)) found.push_back(one);
    }
    return found;
  }

  /// The same, and whatever else was asked for is forgotten.
  template <typename T>
  std::vector<T> take() {
    std::vector<T> found;
    for (ike::Command& command : commands) {
      if (T* one = std::get_if<T>(&command)) found.push_back(std::move(*one));
    }
    commands.clear();
    return found;
  }

  int datagrams = 0;
  std::vector<ike::Command> commands;
  std::vector<ike::Event> events;
};

class RecordingDataPlane final : public DataPlaneStub {
 public:
  Result<void, ipsec::DataPlaneError> install(model::ChildSaParams params) override {
    if (refuse) return err(ipsec::DataPlaneError::unsupported_suite);
    installed.push_back(params.id);
    return {};
  }
  void use_outbound(model::ChildSaId child) override { switched.push_back(child); }
  void remove(model::ChildSaId child, Duration) override { removed.push_back(child); }
  void update_path(model::ChildSaId, const net::Path& path, model::Encapsulation) override { paths.push_back(path); }
  std::optional<ipsec::SaCounters> counters(model::ChildSaId) const override {
    return ipsec::SaCounters{.inbound_packets = 7};
  }

  bool refuse = false;
  std::vector<model::ChildSaId> installed, switched, removed;
  std::vector<net::Path> paths;
};

class ControlPlaneTest : public ::testing::Test {
 protected:
  void apply(const std::string& text) {
    auto loaded = config::load_texts({{"test.toml", text}});
    ASSERT_TRUE(loaded) << loaded.error().front().to_string();
    control.apply(*loaded, config::diff(running, *loaded), now);
    running = std::move(*loaded);
  }
  static std::string office(const std::string& start) {
    return "[tunnel.office]\npeer = \"192.0.2.2\"\nsecret = \"a long enough secret\"\nlocal = "
           "[\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\nstart = \"" +
           start + "\"\n";
  }
  template <typename T>
  std::optional<T> request() {
    while (auto one = control.poll_request()) {
      if (T* wanted = std::get_if<T>(&*one)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  net::Path path() const { return {*net::Endpoint::parse("192.0.2.1:500"), *net::Endpoint::parse("192.0.2.2:500")}; }
  TunnelState state() { return control.tunnel("office")->state; }
  // The whole way to a tunnel that is up, as initiator.
  void bring_up() {
    const auto find = request<FindPath>();
    ASSERT_TRUE(find);
    control.handle_path(find->connection, find->attempt, path(), now);
    established(model::IkeSaId(1), model::Role::initiator);
    child(model::ChildSaId(1), model::IkeSaId(1));
    control.handle_timeout(now);
  }
  void established(model::IkeSaId id, model::Role role, bool behind_nat = false,
                   model::ConnectionId connection = model::ConnectionId(1), std::optional<net::Path> way = {}) {
    ike::IkeSaEstablished event;
    event.ike_sa = id;
    event.connection = connection;
    event.role = role;
    event.path = way.value_or(path());
    event.local_behind_nat = behind_nat;
    ike.events.emplace_back(std::move(event));
  }
  void child(model::ChildSaId id, model::IkeSaId ike_sa, model::ConnectionId connection = model::ConnectionId(1),
             std::optional<net::Path> way = {}) {
    ike::ChildSaEstablished event;
    event.params.id = id;
    event.params.connection = connection;
    event.params.ike_sa = ike_sa;
    event.params.path = way.value_or(path());
    ike.events.emplace_back(std::move(event));
  }
  void run() { control.handle_timeout(now); }

  Instant now{std::chrono::seconds(1000)};
  SeededRandom random{1};
  RecordingIke ike;
  RecordingDataPlane data_plane;
  config::Config running;
  ControlPlane control{{}, ike, data_plane, random};
};

}  // namespace culvert::control::testing
