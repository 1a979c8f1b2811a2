// Remote access through the control plane, between two stand-ins: who is given what, what the host's network becomes,
// and that it is taken back.
#include <algorithm>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "control/control_plane.hpp"
#include "control/testing/data_plane_stub.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/key_exchange.hpp"
#include "ike/v2/ike_endpoint.hpp"

namespace culvert::control {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr std::string_view kSecret = "secret = \"a long enough secret\"\n";

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

class QuietDataPlane final : public testing::DataPlaneStub {
 public:
  Result<model::Spi, ipsec::DataPlaneError> allocate_spi(std::optional<std::uint32_t> /*resource*/) override {
    return model::Spi(++spi_);
  }
  Result<void, ipsec::DataPlaneError> install(model::ChildSaParams params) override {
    installed[params.id] = {params.local, params.remote};
    return {};
  }
  void remove(model::ChildSaId child, Duration) override { installed.erase(child); }

  std::map<model::ChildSaId, std::pair<model::TrafficSelectors, model::TrafficSelectors>> installed;

 private:
  std::uint32_t spi_ = 0x1000;
};

/// A whole host but for sockets: IKE, control, and a data plane that carries nothing.
class Machine {
 public:
  class Spis final : public ike::SpiAllocator {
   public:
    explicit Spis(QuietDataPlane& plane) : plane_(plane) {}
    std::optional<model::Spi> allocate(std::optional<std::uint32_t> resource) override {
      return *plane_.allocate_spi(resource);
    }
    std::optional<std::uint32_t> resource_of(model::ChildSaId) const override { return std::nullopt; }
    void release(model::Spi) override {}

   private:
    QuietDataPlane& plane_;
  };

  Machine(std::string_view address, std::uint64_t seed) : address_(ip(address)), random_(seed) {}

  /// `change` is made to what was read, for what cannot be written.
  void apply(const std::string& text, Instant now, const std::function<void(config::Config&)>& change = {}) {
    auto loaded = config::load_texts({{"test.toml", text}});
    ASSERT_TRUE(loaded) << loaded.error().front().to_string();
    if (change) change(*loaded);
    control.apply(*loaded, config::diff(running_, *loaded), now);
    running_ = std::move(*loaded);
  }

  /// Carries out what is asked for; answers what is to be sent.
  std::vector<ike::Transmit> drain(Instant now) {
    while (auto request = control.poll_request()) {
      if (auto* mac = std::get_if<ike::SharedKeyMacRequest>(&*request)) {
        control.handle_completion(mac->token,
                                  ike::SharedKeyMacResult{ike::auth::shared_key_mac(
                                      *model::prf_function(mac->prf), as_bytes("a long enough secret"), mac->octets)},
                                  now);
      } else if (auto* exchange = std::get_if<ike::KeyExchangeRequest>(&*request)) {
        const ike::RequestToken token = exchange->token;
        control.handle_completion(token, ike::carry_out(std::move(*exchange), random_), now);
      } else if (const auto* path = std::get_if<FindPath>(&*request)) {
        control.handle_path(path->connection, path->attempt, net::Path{{address_, 0}, {ip(path->peer), 0}}, now);
      } else if (auto* wish = std::get_if<SetNetwork>(&*request)) {
        network = std::move(wish->wish);
        ++network_changes;
      } else if (auto* stored = std::get_if<StoreLeases>(&*request)) {
        for (LeaseRecord& record : stored->records) leases[record.address] = std::move(record);
      }
    }
    while (auto notice = control.poll_notice()) log.push_back(notice->tunnel + ": " + notice->text);
    std::vector<ike::Transmit> sent;
    while (auto one = control.poll_transmit()) sent.push_back(std::move(*one));
    return sent;
  }
  [[nodiscard]] bool logged(std::string_view words) const {
    return std::ranges::any_of(log, [&](const std::string& line) { return line.find(words) != std::string::npos; });
  }

 private:
  net::IpAddress address_;
  SeededRandom random_;
  config::Config running_;

 public:
  QuietDataPlane data_plane;
  Spis spis{data_plane};
  ike::v2::IkeEndpoint ike{{}, random_, spis};
  ControlPlane control{{}, ike, data_plane, random_};
  NetworkWish network;
  std::size_t network_changes = 0;
  std::map<net::IpAddress, LeaseRecord> leases;
  std::vector<std::string> log;
};

class Addresses : public ::testing::Test {
 protected:
  Instant now_{seconds(1000)};
  Machine gateway_{"192.0.2.1", 1};
  std::map<std::string, std::unique_ptr<Machine>> clients_;  // by address

  static std::string gateway_text(std::string_view more = {}, std::string_view range = "10.9.0.1-10.9.0.2") {
    return "[tunnel.road]\npeer = \"any\"\nremote_id = \"*@example.org\"\n" + std::string(kSecret) +
           "local = [\"10.1.0.0/16\"]\npool = \"staff\"\n[pool.staff]\naddresses = \"" + std::string(range) +
           "\"\ndns = \"10.1.0.53\"\ndomains = \"example.org\"\n" + std::string(more);
  }
  static std::string client_text(std::string_view who, std::string_view more = {}) {
    return "[tunnel.home]\npeer = \"192.0.2.1\"\nlocal_id = \"" + std::string(who) + "\"\nremote_id = \"192.0.2.1\"\n" +
           std::string(kSecret) + "remote = [\"10.1.0.0/16\"]\naddress = \"request\"\nstart = \"manual\"\n" +
           std::string(more);
  }
  Machine& client(const std::string& address, std::string_view who, std::string_view more = {}) {
    auto& made = clients_[address];
    made = std::make_unique<Machine>(address, std::hash<std::string>()(address));
    made->apply(client_text(who, more), now_);
    return *made;
  }
  /// Until nothing is sent any more.
  void settle() {
    for (bool more = true; more;) {
      more = false;
      for (ike::Transmit& one : gateway_.drain(now_)) {
        more = true;
        const auto to = clients_.find(one.path.remote.address.to_string());
        if (to != clients_.end())
          to->second->control.handle_datagram({one.path.remote, one.path.local}, one.message, now_);
      }
      for (auto& [address, machine] : clients_) {
        for (ike::Transmit& one : machine->drain(now_)) {
          more = true;
          gateway_.control.handle_datagram({one.path.remote, one.path.local}, one.message, now_);
        }
      }
    }
  }
  void up(Machine& machine) {
    ASSERT_TRUE(machine.control.up("home", now_));
    settle();
  }
  static std::string address_of(const Machine& machine) {
    const auto view = machine.control.tunnel("home");
    return view->given.addresses.empty() ? "none" : view->given.addresses.front().to_string();
  }
};

TEST_F(Addresses, AClientsNetworkBecomesWhatItWasGivenAndIsTakenBack) {
  gateway_.apply(gateway_text(), now_);
  Machine& amy = client("192.0.2.11", "amy@example.org");
  settle();
  // Without an address all that could be ours is protected: nothing leaves in clear.
  ASSERT_EQ(amy.data_plane.policies.size(), 1U);
  EXPECT_EQ(amy.data_plane.policies[0].local.front().addresses, net::AddressRange::all(net::Family::v4));
  // But what arrives is for other addresses of this host, and goes on.
  EXPECT_EQ(amy.data_plane.policies[0].direction, ipsec::PolicyDirection::outbound);
  EXPECT_TRUE(amy.network.clear_packets.empty());
  EXPECT_TRUE(amy.network.addresses.empty());
  up(amy);
  EXPECT_EQ(amy.data_plane.policies[0].direction, ipsec::PolicyDirection::both);
  EXPECT_EQ(address_of(amy), "10.9.0.1");
  EXPECT_EQ(amy.data_plane.policies[0].local.front().addresses, net::AddressRange::of(ip("10.9.0.1")));
  EXPECT_EQ(amy.network.addresses, (std::vector<model::InnerAddress>{{ip("10.9.0.1"), 32}}));
  EXPECT_EQ(amy.network.name_servers, (NameServerWish{{ip("10.1.0.53")}, {"example.org"}}));
  const auto route = std::ranges::find(amy.network.routes, *net::Prefix::parse("10.1.0.0/16"), &RouteWish::destination);
  ASSERT_NE(route, amy.network.routes.end());
  EXPECT_EQ(route->sources, std::vector{net::AddressRange::of(ip("10.9.0.1"))});
  ASSERT_TRUE(amy.control.down("home", now_));
  settle();
  EXPECT_TRUE(amy.network.addresses.empty());
  EXPECT_EQ(amy.network.name_servers, NameServerWish());
  EXPECT_EQ(amy.data_plane.policies[0].local.front().addresses, net::AddressRange::all(net::Family::v4));
}

// RFC 7296 3.15.2: what the peer names goes through the tunnel; the rest is the client's to decide.
TEST_F(Addresses, OnlyThePeersSubnetsWhereThatIsWanted) {
  gateway_.apply(gateway_text("subnets = \"10.1.7.0/24\"\n"), now_);
  const auto remote_of = [](const Machine& machine) {
    return model::to_string(machine.data_plane.policies.at(0).remote);
  };
  const auto routed = [](const Machine& machine) {
    std::vector<std::string> texts;
    for (const RouteWish& route : machine.network.routes) texts.push_back(route.destination.to_string());
    return texts;
  };
  Machine& amy = client("192.0.2.11", "amy@example.org", "only_peer_subnets = true\n");
  Machine& bob = client("192.0.2.12", "bob@example.org");
  settle();
  // Nobody knows yet which they are: nothing leaves in clear.
  EXPECT_EQ(remote_of(amy), "10.1.0.0/16");
  EXPECT_THAT(routed(amy), ::testing::Contains("10.1.0.0/16"));
  up(amy);
  up(bob);
  EXPECT_EQ(remote_of(amy), "10.1.7.0/24, 10.1.0.53");
  EXPECT_THAT(routed(amy), ::testing::UnorderedElementsAre("10.1.7.0/24", "10.1.0.53/32"));
  EXPECT_EQ(remote_of(bob), "10.1.0.0/16");
  ASSERT_TRUE(amy.control.down("home", now_));
  settle();
  EXPECT_EQ(remote_of(amy), "10.1.0.0/16");
  // While it is up it can be changed.
  up(amy);
  amy.apply(client_text("amy@example.org"), now_);
  settle();
  EXPECT_EQ(remote_of(amy), "10.1.0.0/16");
  EXPECT_EQ(amy.data_plane.installed.size(), 1U);
}

// RFC 9464: what `dns_over_tls` of a pool says is what the client's resolver asks, beside what can be asked in clear.
TEST_F(Addresses, ResolversOverTlsAreGivenAndUsed) {
  gateway_.apply(gateway_text("dns_over_tls = [\"10.1.0.53#dns.example.org\", \"10.1.0.54:8853#two.example.org\"]\n"),
                 now_);
  Machine& amy = client("192.0.2.11", "amy@example.org");
  settle();
  up(amy);
  const NameServerWish& wish = amy.network.name_servers;
  EXPECT_EQ(wish.servers, std::vector{ip("10.1.0.53")});
  EXPECT_EQ(wish.domains, std::vector<std::string>{"example.org"});
  EXPECT_EQ(wish.over_tls, (std::vector<NameServerWish::OverTls>{{ip("10.1.0.53"), 853, "dns.example.org"},
                                                                 {ip("10.1.0.54"), 8853, "two.example.org"}}));
  ASSERT_TRUE(amy.control.down("home", now_));
  settle();
  EXPECT_EQ(amy.network.name_servers, NameServerWish());
}

// RFC 9464 3.1: one that cannot prove who it is, or speaks another protocol, is none for a host's own resolver.
TEST_F(Addresses, ResolversThatCannotBeAskedOverTlsAreLeftOut) {
  gateway_.apply(gateway_text("dns_over_tls = \"10.1.0.53#dns.example.org\"\n"), now_, [](config::Config& read) {
    model::EncryptedDns nameless = read.pools.front().encrypted_dns.front();
    nameless.name.clear();
    nameless.addresses = {ip("10.1.0.60")};
    model::EncryptedDns https = read.pools.front().encrypted_dns.front();
    https.protocols = {"h2"};
    https.addresses = {ip("10.1.0.61")};
    read.pools.front().encrypted_dns.insert(read.pools.front().encrypted_dns.begin(), {nameless, https});
  });
  Machine& amy = client("192.0.2.11", "amy@example.org");
  settle();
  up(amy);
  EXPECT_TRUE(amy.logged("an encrypted resolver dns.example.org at 10.1.0.61"));
  EXPECT_EQ(amy.network.name_servers.over_tls,
            (std::vector<NameServerWish::OverTls>{{ip("10.1.0.53"), 853, "dns.example.org"}}));
}

TEST_F(Addresses, OneTunnelServesManyWithOneRuleAndTellsWhoHasWhat) {
  gateway_.apply(gateway_text({}, "10.9.0.1-10.9.0.200"), now_);
  settle();
  const std::size_t changes = gateway_.network_changes;
  for (int n = 1; n <= 30; ++n) {
    const std::string number = std::to_string(n);
    up(client("192.0.2." + std::to_string(100 + n), "u" + number + "@example.org"));
  }
  EXPECT_EQ(gateway_.data_plane.installed.size(), 30U);
  EXPECT_EQ(gateway_.data_plane.policies.size(), 1U);
  EXPECT_EQ(gateway_.network_changes, changes);  // a session costs no rule and no route
  const auto view = *gateway_.control.tunnel("road");
  ASSERT_EQ(view.ike_sas.size(), 30U);
  for (const IkeSaView& sa : view.ike_sas) {
    ASSERT_EQ(sa.leased.size(), 1U);
    ASSERT_EQ(sa.children.size(), 1U);
    EXPECT_EQ(sa.children[0].remote.front().addresses, net::AddressRange::of(sa.leased[0]));
  }
  EXPECT_EQ(gateway_.leases.size(), 30U);
  EXPECT_TRUE(gateway_.logged("u7@example.org has the address 10.9.0.7 now"));
}

// RFC 7296 3.15.4.
TEST_F(Addresses, AnEmptyPoolIsToldOfAndTheAddressComesBack) {
  gateway_.apply(gateway_text(), now_);
  up(client("192.0.2.11", "amy@example.org"));
  up(client("192.0.2.12", "bob@example.org"));
  Machine& cat = client("192.0.2.13", "cat@example.org");
  up(cat);
  EXPECT_EQ(address_of(cat), "none");
  EXPECT_TRUE(gateway_.logged("no address is left in the pool staff"));
  const auto failure = cat.control.tunnel("home")->last_failure;
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->kind, "no_address");
  EXPECT_THAT(failure->message, HasSubstr("INTERNAL_ADDRESS_FAILURE"));
  ASSERT_TRUE(clients_.at("192.0.2.11")->control.down("home", now_));
  settle();
  now_ += seconds(120);
  up(cat);
  EXPECT_EQ(address_of(cat), "10.9.0.1");
}

TEST_F(Addresses, LeasesOutliveTheGateway) {
  gateway_.apply(gateway_text(), now_);
  up(client("192.0.2.11", "amy@example.org"));
  up(client("192.0.2.12", "bob@example.org"));
  std::vector<LeaseRecord> records;
  for (const auto& [address, record] : gateway_.leases) records.push_back(record);
  Machine second("192.0.2.1", 77);
  second.apply(gateway_text(), now_);
  second.control.restore_leases(records);
  const auto views = second.control.leases(0, 1000);
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].record.identity, model::Identity::parse("amy@example.org"));
  EXPECT_TRUE(views[0].sessions.empty());
  for (std::uint64_t from = 0; from < 2; ++from) {
    const auto one = second.control.leases(from, 1);
    ASSERT_EQ(one.size(), 1U);
    EXPECT_EQ(one[0].record.identity, views[from].record.identity);
  }
  EXPECT_TRUE(second.control.leases(2, 1000).empty());
  EXPECT_TRUE(second.control.leases(~std::uint64_t{0}, ~std::size_t{0}).empty());
}

// A packet to an address that nobody has, or whose peer is away, is no reason to call anybody.
TEST_F(Addresses, APacketToAnAddressOfThePoolBeginsNothing) {
  gateway_.apply(gateway_text(), now_);
  up(client("192.0.2.11", "amy@example.org"));
  ipsec::Acquire acquire;
  acquire.connection = gateway_.control.connection_ids().front().second;
  acquire.packet.source = ip("10.1.0.1");
  acquire.packet.destination = ip("10.9.0.2");
  acquire.local = gateway_.data_plane.policies[0].local;
  acquire.remote = gateway_.data_plane.policies[0].remote;
  gateway_.data_plane.events.emplace_back(acquire);
  gateway_.control.handle_data_plane(now_);
  EXPECT_TRUE(gateway_.drain(now_).empty());
}

}  // namespace
}  // namespace culvert::control
