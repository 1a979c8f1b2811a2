// A NAT that forgets its mapping in the middle of an exchange (RFC 7296 2.23): before each of the messages of each
// exchange once, with the same address as before and another port, or another address as well. Alice is behind it and
// begins; what the story is about is done by either end, where it can be. Whatever was lost on the way, both ends come
// to one tunnel in which packets flow, and of those that arrived none was lost.
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kUser = "carol";

/// One run: the mapping goes before the message with this number.
class Telling {
 public:
  WorldOptions options = two_hosts();
  std::unique_ptr<World> world;
  std::array<model::Spi, 2> spi;
  std::array<model::IkeSpi, 2> ike_spi;

  Telling() {
    options.log = true;
    options.nat = Side::alice;
    options.peer_kinds[index_of(Side::bob)] = config::PeerKind::any;
    for (model::ConnectionConfig& connection : options.connections) connection.liveness_interval = seconds(5);
    bob().start = model::StartMode::manual;
  }
  model::ConnectionConfig& alice() { return options.connections[index_of(Side::alice)]; }
  model::ConnectionConfig& bob() { return options.connections[index_of(Side::bob)]; }
  [[nodiscard]] SimHost& host(Side side) const { return world->host(side); }

  void remember() {
    for (const Side side : {Side::alice, Side::bob}) {
      spi[index_of(side)] = world->child(side).spi_inbound;
      ike_spi[index_of(side)] = world->ike_sa(side).sa.spi_i;
    }
  }
  [[nodiscard]] bool has_new_child() const {
    return world->settled() && world->child(Side::bob).spi_inbound != spi[index_of(Side::bob)];
  }
  [[nodiscard]] bool has_new_ike_sa() const {
    return world->settled() && world->ike_sa(Side::bob).sa.spi_i != ike_spi[index_of(Side::bob)];
  }
  [[nodiscard]] bool at(const net::IpAddress& gateway) const {
    return world->settled() && world->ike_sa(Side::alice).sa.path.remote.address == gateway &&
           world->ike_sa(Side::bob).sa.path.local.address == gateway;
  }
  [[nodiscard]] net::IpAddress second_gateway() const { return *net::IpAddress::parse("198.51.100.2"); }
};

struct Story {
  const char* name;
  std::function<void(Telling&)> prepare = [](Telling&) {};
  /// Absent: the story is the set-up.
  std::function<void(Telling&)> act = {};
  std::function<bool(Telling&)> done = [](Telling& telling) { return telling.world->settled(); };
  /// No packet that arrived may be lost meanwhile, and none may wait for want of a pair.
  bool without_a_gap = false;
  bool failovers = false;
};
void PrintTo(const Story& story, std::ostream* out) { *out << story.name; }

// ---------------------------------------------------------------- set-ups

std::vector<Story> set_ups() {
  return {
      {.name = "SetUp"},
      {.name = "Cookies",  // RFC 7296 2.6: a cookie is for one address and port
       .prepare = [](Telling& telling) { telling.options.ike[1].cookie_threshold = 0; }},
      {.name = "Puzzles",  // RFC 8019
       .prepare =
           [](Telling& telling) {
             telling.options.ike[1].cookie_threshold = telling.options.ike[1].puzzle_threshold = 0;
             telling.options.ike[1].puzzle_bits = 6;
           }},
      {.name = "AnotherKeyExchangeMethod",  // RFC 7296 1.2
       .prepare =
           [](Telling& telling) {
             telling.alice().ike_proposals = {
                 *model::parse_proposal(model::ProtocolId::ike, "aes128gcm16-prfsha256-x25519-ecp256")};
             telling.bob().ike_proposals = {
                 *model::parse_proposal(model::ProtocolId::ike, "aes128gcm16-prfsha256-ecp256")};
           }},
      {.name = "Intermediate",  // RFC 9242, RFC 9370
       .prepare =
           [](Telling& telling) {
             set_suites(telling.options, "aes128gcm16-prfsha256-x25519-ke1_mlkem512-ke2_ecp256", "aes128gcm16-esn");
           }},
      {.name = "Ppk",  // RFC 9867
       .prepare =
           [](Telling& telling) {
             telling.alice().ppk = telling.bob().ppk =
                 model::Ppk{.id = "sim", .required = true, .exchange = model::PpkExchange::intermediate};
           }},
      {.name = "PpkInAuth",  // RFC 8784
       .prepare =
           [](Telling& telling) {
             telling.alice().ppk = telling.bob().ppk =
                 model::Ppk{.id = "sim", .required = true, .exchange = model::PpkExchange::ike_auth};
           }},
      {.name = "Eap",  // RFC 7296 2.16
       .prepare =
           [](Telling& telling) {
             const std::vector methods{model::EapType::mschapv2};
             telling.alice().eap = model::EapSettings{.client = true, .methods = methods, .identity = kUser};
             telling.bob().eap = model::EapSettings{.client = false, .methods = methods, .identity = {}};
             telling.options.users[kUser] = "a pass phrase";
           }},
      {.name = "SecretThenEap",  // RFC 4739
       .prepare =
           [](Telling& telling) {
             const std::vector methods{model::EapType::mschapv2};
             telling.alice().eap = model::EapSettings{.client = true, .methods = methods, .identity = kUser};
             telling.bob().eap = model::EapSettings{.client = false, .methods = methods, .identity = {}};
             telling.options.users[kUser] = "a pass phrase";
             telling.alice().own_rounds = {{.by = std::nullopt, .id = model::Identity::parse(kUser)}};
             telling.bob().peer_rounds = {{.by = std::nullopt}};
           }},
      {.name = "Childless",  // RFC 6023
       .prepare = [](Telling& telling) { telling.alice().life.childless = model::Childless::force; }},
      {.name = "Redirected",  // RFC 5685 3
       .prepare =
           [](Telling& telling) {
             telling.alice().life.follow_redirect = true;
             telling.bob().life.redirect_to = telling.second_gateway().to_string();
           },
       .done = [](Telling& telling) { return telling.at(telling.second_gateway()); }},
      {.name = "RedirectedBehindAuth",  // RFC 5685 6
       .prepare =
           [](Telling& telling) {
             telling.alice().life.follow_redirect = true;
             telling.bob().life.redirect_to = telling.second_gateway().to_string();
             model::ConnectionConfig somebody = telling.bob();
             somebody.name = "a";  // before the other in every order
             somebody.remote_id = model::Identity::parse("somebody.else");
             somebody.life.redirect_to.clear();
             telling.options.further[index_of(Side::bob)] = {somebody};
           },
       .done = [](Telling& telling) { return telling.at(telling.second_gateway()); }},
  };
}

// ---------------------------------------------------------------- with a tunnel that stands

std::vector<Story> changes() {
  std::vector<Story> stories;
  const auto both = [&](const char* by_alice, const char* by_bob, const auto& story) {
    stories.push_back(story(Side::alice));
    stories.back().name = by_alice;
    stories.push_back(story(Side::bob));
    stories.back().name = by_bob;
  };
  both("ChildRekeyFromInside", "ChildRekeyFromOutside", [](Side actor) {  // RFC 7296 1.3.3
    return Story{.name = "",
                 .act = [actor](Telling& telling) { telling.host(actor).rekey(false, true); },
                 .done = [](Telling& telling) { return telling.has_new_child(); },
                 .without_a_gap = true};
  });
  both("ChildRekeyWithFollowUpsFromInside", "ChildRekeyWithFollowUpsFromOutside", [](Side actor) {  // RFC 9370 2.2.4
    return Story{.name = "",
                 .prepare =
                     [](Telling& telling) {
                       set_suites(telling.options, "aes128gcm16-prfsha256-x25519",
                                  "aes128gcm16-x25519-ke1_mlkem512-ke2_ecp256-esn");
                     },
                 .act = [actor](Telling& telling) { telling.host(actor).rekey(false, true); },
                 .done = [](Telling& telling) { return telling.has_new_child(); },
                 .without_a_gap = true};
  });
  both("IkeRekeyFromInside", "IkeRekeyFromOutside", [](Side actor) {  // RFC 7296 1.3.2
    return Story{.name = "",
                 .act = [actor](Telling& telling) { telling.host(actor).rekey(true, false); },
                 .done = [](Telling& telling) { return telling.has_new_ike_sa(); },
                 .without_a_gap = true};
  });
  both("ChildDeletedFromInside", "ChildDeletedFromOutside", [](Side actor) {  // RFC 7296 1.4.1
    return Story{.name = "",
                 .act =
                     [actor](Telling& telling) {
                       telling.host(actor).ike_command(ike::DeleteChildSa{telling.world->child(actor).id});
                     },
                 .done = [](Telling& telling) { return telling.has_new_child(); }};
  });
  // RFC 4478: proved anew by whoever was the first initiator, in an IKE SA that either end has rekeyed.
  both("Reauthentication", "ReauthenticationBehindARekeyFromOutside", [](Side rekeys) {
    return Story{.name = "",
                 .prepare = [](Telling& telling) { telling.bob().life.reauthentication = minutes(1); },
                 .act =
                     [rekeys](Telling& telling) {
                       if (rekeys == Side::alice) return;
                       telling.host(rekeys).rekey(true, false);
                       (void)telling.world->run_for(seconds(1));
                       if (telling.world->run_until([&] { return telling.world->settled(); }, minutes(1)))
                         telling.remember();
                     },
                 .done = [](Telling& telling) { return telling.has_new_ike_sa(); },
                 .without_a_gap = true};
  });
  stories.push_back(
      {.name = "RedirectedWhileItStands",  // RFC 5685 5
       .prepare = [](Telling& telling) { telling.alice().life.follow_redirect = true; },
       .act = [](Telling& telling) { telling.host(Side::bob).redirect(telling.second_gateway().to_string()); },
       .done = [](Telling& telling) { return telling.at(telling.second_gateway()); },
       .without_a_gap = true});
  // RFC 6290: the gateway was started anew, and its token says so; or the client was, and comes back by itself.
  both("ARestartInside", "ARestartOutside", [](Side dies) {
    return Story{.name = "",
                 .act =
                     [dies](Telling& telling) {
                       telling.host(dies).crash();
                       (void)telling.world->run_for(milliseconds(200));
                       telling.world->start(dies);
                     },
                 .done = [](Telling& telling) { return telling.has_new_ike_sa(); }};
  });
  stories.push_back({.name = "Resumption",  // RFC 5723
                     .prepare =
                         [](Telling& telling) {
                           for (auto& connection : telling.options.connections)
                             connection.life.resumption = std::chrono::hours(1);
                         },
                     .act =
                         [](Telling& telling) {
                           telling.host(Side::bob).crash();
                           (void)telling.world->run_for(milliseconds(200));
                           telling.world->start(Side::bob);
                         },
                     .done = [](Telling& telling) { return telling.has_new_ike_sa(); }});
  // RFC 6311: another member of a cluster goes on from an old state.
  both("TakenOverInside", "TakenOverOutside", [](Side cluster) {
    return Story{
        .name = "",
        .prepare =
            [](Telling& telling) {
              for (auto& connection : telling.options.connections) connection.replay_window = 8192;
            },
        .act =
            [cluster](Telling& telling) {
              telling.host(cluster).ike_command(ike::TakeOver{telling.world->ike_sa(cluster).sa.ike_sa, 5, 1000});
              // Rekeys show that the numbers of both ends are in step then.
              (void)telling.world->run_for(seconds(10));
              telling.host(cluster).rekey(true, true);
              telling.host(other(cluster)).rekey(false, true);
            },
        .done = [](Telling& telling) { return telling.has_new_ike_sa() && telling.has_new_child(); },
        .without_a_gap = true,
        .failovers = true};
  });
  // RFC 4555: the gateway's address dies, and the client goes to the other one that it was told of.
  stories.push_back({.name = "AnotherAddressOfTheGateway",
                     .act =
                         [](Telling& telling) {
                           const auto home = telling.world->outer_address(Side::bob);
                           telling.host(Side::bob).set_addresses({home, telling.second_gateway()});
                           (void)telling.world->run_for(seconds(3));
                           telling.world->network().set_dead(home, true);
                         },
                     .done = [](Telling& telling) { return telling.at(telling.second_gateway()); }});
  return stories;
}

// ---------------------------------------------------------------- the runs

/// Another port, on a network that loses nothing; or another address, on one that loses, repeats and reorders.
enum class Kind : std::uint8_t { port, address_and_loss };

class Rebinding : public ::testing::TestWithParam<std::tuple<Story, Kind>> {
 protected:
  static const Story& story() { return std::get<0>(GetParam()); }
  static Kind kind() { return std::get<1>(GetParam()); }

  /// False when the story was over before there were so many messages.
  bool tell(std::size_t message) {
    Telling telling;
    telling.options.seed = message;
    story().prepare(telling);
    telling.world = std::make_unique<World>(telling.options);
    World& world = *telling.world;
    if (story().failovers) world.monitor().allow_failovers();
    world.network().set_addresses(Side::bob, {world.outer_address(Side::bob), telling.second_gateway()});
    bool rebound = false;
    if (story().act) {
      begin(telling);
      if (HasFatalFailure()) return false;
      arm(telling, message, rebound);
      story().act(telling);
    } else {
      arm(telling, message, rebound);
      world.start(Side::bob);
      world.start(Side::alice);
    }
    EXPECT_TRUE(world.run_until([&] { return story().done(telling); }, minutes(5), milliseconds(20)))
        << why(telling, message);
    world.network().set_filter({});
    finish(telling, message);
    return rebound;
  }

  void begin(Telling& telling) {
    telling.world->start(Side::bob);
    telling.world->start(Side::alice);
    ASSERT_TRUE(telling.world->run_until([&] { return telling.world->settled(); }, seconds(20))) << why(telling, 0);
    ASSERT_TRUE(telling.world->run_for(milliseconds(500)));
    telling.remember();
    for (const Side side : {Side::alice, Side::bob}) telling.world->set_traffic(side, Traffic{milliseconds(50), 100});
  }
  /// From now on the messages of IKE are counted, and the network is what the test is about.
  void arm(Telling& telling, std::size_t message, bool& rebound) {
    if (kind() == Kind::address_and_loss) {
      for (const Side side : {Side::alice, Side::bob}) {
        LinkConditions& link = telling.world->network().conditions(side);
        link.loss_ppm = 50'000;
        link.duplicate_ppm = 50'000;
        link.jitter = milliseconds(30);
      }
    }
    telling.world->network().set_filter(
        [&telling, &rebound, message, count = std::size_t{0}](Side, const Packet& packet) mutable {
          if (wire_view(packet, packet.source.port).kind != WireKind::ike || ++count != message) return false;
          rebound = true;
          telling.world->log().line("the NAT forgets its mapping");
          Nat& nat = *telling.world->network().nat(Side::alice);
          kind() == Kind::port ? nat.rebind() : nat.rebind(*net::IpAddress::parse("203.0.113.77"));
          return false;
        });
  }
  /// The network is good again: everything arrives, from inside and from outside.
  void finish(Telling& telling, std::size_t message) {
    World& world = *telling.world;
    for (const Side side : {Side::alice, Side::bob}) {
      world.network().conditions(side) = LinkConditions{};
      world.set_traffic(side, std::nullopt);
    }
    ASSERT_TRUE(world.run_for(seconds(10))) << why(telling, message);
    for (const Side side : {Side::alice, Side::bob}) {
      const Ledger::Totals totals = world.ledger().totals(side);
      if (!story().without_a_gap) continue;
      EXPECT_EQ(totals.lost_by_us, 0U) << "from " << name_of(side) << why(telling, message);
      EXPECT_EQ(totals.never_sent, 0U) << "from " << name_of(side) << why(telling, message);
    }
    const InnerId there = world.send_one(Side::alice);
    ASSERT_TRUE(world.run_for(seconds(2))) << why(telling, message);
    const InnerId back = world.send_one(Side::bob);
    ASSERT_TRUE(world.run_for(seconds(2))) << why(telling, message);
    EXPECT_TRUE(world.ledger().was_delivered(there)) << why(telling, message);
    EXPECT_TRUE(world.ledger().was_delivered(back)) << why(telling, message);
    EXPECT_TRUE(world.run_until([&] { return world.settled(); }, minutes(1))) << why(telling, message);
  }
  static std::string why(const Telling& telling, std::size_t message) {
    return fmt::format("\nmessage {}\n{}{}\n", message, telling.world->report(150),
                       telling.world->amiss().value_or("all is well"));
  }
};

TEST_P(Rebinding, BeforeEachMessage) {
  constexpr std::size_t kMost = 40;
  std::size_t message = 1;
  while (message <= kMost && tell(message) && !HasFailure()) ++message;
  EXPECT_GT(message, 1U) << "no message was sent";
}

std::vector<Story> all_stories() {
  std::vector<Story> all = set_ups();
  for (Story& story : changes()) all.push_back(std::move(story));
  return all;
}
INSTANTIATE_TEST_SUITE_P(Stories, Rebinding,
                         ::testing::Combine(::testing::ValuesIn(all_stories()),
                                            ::testing::Values(Kind::port, Kind::address_and_loss)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) +
                                  (std::get<1>(test.param) == Kind::port ? "_Port" : "_AddressAndLoss");
                         });

}  // namespace
}  // namespace culvert::sim
