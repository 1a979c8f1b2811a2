// Child SAs for single workers of the data plane (RFC 9611): when one is asked for, and what the control plane makes of
// the answers.
#include "control/resource_wishes.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "config/load.hpp"
#include "control/control_plane.hpp"
#include "control/testing/control_plane_fixture.hpp"

namespace culvert::control {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

model::TrafficSelectors side(const char* text) { return {*model::TrafficSelector::parse(text)}; }

// ---------------------------------------------------------------- what speaks against asking

class ResourceWishesTest : public ::testing::Test {
 protected:
  const model::TrafficSelectors local = side("10.1.0.0/16");
  const model::TrafficSelectors remote = side("10.2.0.0/16");
  Instant now{std::chrono::hours(1)};
  ResourceWishes wishes;
};

TEST_F(ResourceWishesTest, ARefusedOneRestsEverLongerAndTheOthersDoNot) {
  Instant at = now;
  for (const int rest : {2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_TRUE(wishes.may_ask(local, remote, 1, at));
    EXPECT_EQ(wishes.refuse(local, remote, 1, at), seconds(rest));
    EXPECT_FALSE(wishes.may_ask(local, remote, 1, at + seconds(rest) - seconds(1)));
    EXPECT_TRUE(wishes.may_ask(local, remote, 0, at));
    EXPECT_TRUE(wishes.may_ask(local, side("10.3.0.0/16"), 1, at)) << "other selectors";
    at += seconds(rest);
  }
}

TEST_F(ResourceWishesTest, NoneIsAskedForBeyondThePeersMost) {  // RFC 9611 5.2
  EXPECT_TRUE(wishes.full(local, remote));
  EXPECT_FALSE(wishes.full(local, remote)) << "no news";
  for (const std::uint32_t resource : {0u, 1u, 7u})
    EXPECT_FALSE(wishes.may_ask(local, remote, resource, now + std::chrono::hours(10)));
  EXPECT_TRUE(wishes.may_ask(side("10.1.0.0/24"), remote, 0, now)) << "other selectors";
  wishes.ended(local, remote, 3, true, now);
  EXPECT_TRUE(wishes.may_ask(local, remote, 0, now)) << "one of ours has gone: there is room";
  wishes.full(local, remote);
  wishes.clear();
  EXPECT_TRUE(wishes.may_ask(local, remote, 0, now)) << "a new IKE SA";
}

TEST_F(ResourceWishesTest, WhatThePeerEndsSoonIsAskedForEverMoreRarely) {  // RFC 9611 6
  Instant at = now;
  for (const int rest : {2, 4, 8, 16, 32, 60}) {
    wishes.made(local, remote, 1, at);
    EXPECT_TRUE(wishes.may_ask(local, remote, 2, at));
    at += seconds(1);
    wishes.ended(local, remote, 1, false, at);
    EXPECT_FALSE(wishes.may_ask(local, remote, 1, at + seconds(rest) - seconds(1))) << rest;
    at += seconds(rest);
    EXPECT_TRUE(wishes.may_ask(local, remote, 1, at)) << rest;
  }
  wishes.made(local, remote, 1, at);
  at += minutes(10);
  wishes.ended(local, remote, 1, false, at);
  EXPECT_FALSE(wishes.may_ask(local, remote, 1, at + seconds(1)));
  EXPECT_TRUE(wishes.may_ask(local, remote, 1, at + seconds(2))) << "it had its time";
}

TEST_F(ResourceWishesTest, WhatIsKnownIsBounded) {
  for (unsigned n = 0; n < ResourceWishes::kMostGroups + 1; ++n)
    wishes.full(local, side(fmt::format("10.2.{}.0/24", n).c_str()));
  EXPECT_TRUE(wishes.may_ask(local, side("10.2.0.0/24"), 0, now)) << "the oldest is forgotten";
  EXPECT_FALSE(wishes.may_ask(local, side("10.2.1.0/24"), 0, now));
}

// ---------------------------------------------------------------- the control plane

class Workers final : public testing::DataPlaneStub {
 public:
  Result<void, ipsec::DataPlaneError> install(model::ChildSaParams) override {
    if (refuse) return err(ipsec::DataPlaneError::overloaded);
    return {};
  }
  std::optional<ipsec::SaCounters> counters(model::ChildSaId child) const override {
    return ipsec::SaCounters{.outbound_packets = packets.contains(child) ? packets.at(child) : 0};
  }
  bool refuse = false;
  std::map<model::ChildSaId, std::uint64_t> packets;
};

constexpr model::ChildSaId kFallback{1};
constexpr model::ConnectionId kTunnel{1};

class ControlResources : public ::testing::Test {
 protected:
  void apply(const std::string& more = "", const char* peer = "192.0.2.2") {
    const std::string text = fmt::format(
        "[tunnel.office]\npeer = \"{}\"\nsecret = \"a long enough secret\"\nlocal = \"10.1.0.0/16\"\nremote = "
        "\"10.2.0.0/16\"\nremote_id = \"gw\"\nchild_idle = \"60s\"\n{}",
        peer, more);
    auto loaded = config::load_texts({{"test.toml", text}});
    ASSERT_TRUE(loaded) << loaded.error().front().to_string();
    control.apply(*loaded, config::diff({}, *loaded), now);
  }
  std::optional<std::uint32_t> configured() {
    const auto seen = ike.take<ike::ConfigureConnection>();
    return seen.empty() ? std::nullopt : seen.back().config.resource_sas;
  }
  void up(bool per_resource = true) {
    apply();
    ike_sa(model::IkeSaId(1));
    child(kFallback, std::nullopt, per_resource);
    run();
    ike.commands.clear();
  }
  void ike_sa(model::IkeSaId id, std::optional<model::IkeSaId> replaces = std::nullopt) {
    ike::IkeSaEstablished event;
    event.ike_sa = id;
    event.connection = kTunnel;
    event.replaces = replaces;
    ike.events.emplace_back(std::move(event));
  }
  void child(model::ChildSaId id, std::optional<std::uint32_t> resource, bool per_resource = true,
             bool for_wish = true) {
    ike::ChildSaEstablished event;
    event.params.id = id;
    event.params.connection = kTunnel;
    event.params.ike_sa = model::IkeSaId(1);
    event.params.local = side("10.1.0.0/16");
    event.params.remote = side("10.2.0.0/16");
    event.params.resource = resource;
    event.params.per_resource = per_resource;
    event.for_wish = for_wish && resource;
    ike.events.emplace_back(std::move(event));
  }
  void removed(model::ChildSaId id, ike::CloseReason reason) {
    ike.events.emplace_back(ike::ChildSaRemoved{id, kTunnel, reason, {}});
    run();
  }
  void packet(std::optional<std::uint32_t> resource) {
    ipsec::Acquire acquire;
    acquire.policy = ipsec::PolicyId(1);
    acquire.connection = kTunnel;
    acquire.packet.source = *net::IpAddress::parse("10.1.0.1");
    acquire.packet.destination = *net::IpAddress::parse("10.2.0.1");
    acquire.packet.protocol = 17;
    acquire.local = side("10.1.0.0/16");
    acquire.remote = side("10.2.0.0/16");
    acquire.resource = resource;
    data_plane.events.emplace_back(std::move(acquire));
    control.handle_data_plane(now);
  }
  /// Which resources IKE is asked for when a packet of each worker comes.
  std::vector<std::uint32_t> asked() {
    for (std::uint32_t resource = 0; resource < 3; ++resource) packet(resource);
    std::vector<std::uint32_t> resources;
    for (const ike::CreateChildSa& one : ike.take<ike::CreateChildSa>()) {
      if (one.wish.resource) resources.push_back(*one.wish.resource);
    }
    return resources;
  }
  using Asked = std::vector<std::uint32_t>;
  void refused(std::uint32_t resource, ike::FailureKind kind, model::NotifyType notify) {
    ike::NegotiationFailed event;
    event.connection = kTunnel;
    event.kind = kind;
    event.notify = notify;
    event.detail = "no";
    event.child_only = true;
    event.wish.emplace();
    event.wish->local = side("10.1.0.0/16");
    event.wish->remote = side("10.2.0.0/16");
    event.wish->resource = resource;
    ike.events.emplace_back(std::move(event));
    run();
  }
  void run() { control.handle_timeout(now); }
  TunnelState state() { return control.tunnel("office")->state; }
  std::size_t notices(Notice::Level level) {
    std::size_t count = 0;
    while (const auto notice = control.poll_notice()) count += notice->level == level ? 1 : 0;
    return count;
  }

  Instant now{seconds(1000)};
  SeededRandom random{1};
  testing::RecordingIke ike;
  Workers data_plane;
  ControlPlane control{{.resources = 3}, ike, data_plane, random};
};

TEST_F(ControlResources, TheMostIsWrittenDownOrTwiceTheWorkers) {  // RFC 9611 6
  apply();
  EXPECT_EQ(configured(), 6u);
}
TEST_F(ControlResources, TheMostIsAsWrittenDown) {
  apply("per_resource_sas = 5\n");
  EXPECT_EQ(configured(), 5u);
}
TEST_F(ControlResources, ThereAreNoneForAnyPeer) {  // RFC 9611 7: denial of service by peers that nobody knows
  apply("", "any");
  EXPECT_EQ(configured(), 0u);
}
TEST_F(ControlResources, ThereAreNoneForOneWorker) {
  ControlPlane alone{{}, ike, data_plane, random};
  auto loaded =
      config::load_texts({{"test.toml",
                           "[tunnel.office]\npeer = \"192.0.2.2\"\nsecret = \"a long enough secret\"\nlocal = "
                           "\"10.1.0.0/16\"\nremote = \"10.2.0.0/16\"\n"}});
  ASSERT_TRUE(loaded);
  alone.apply(*loaded, config::diff({}, *loaded), now);
  EXPECT_EQ(configured(), 0u);
}

TEST_F(ControlResources, AWorkersPacketAsksForItsOwn) {
  up();
  packet(2);
  const auto seen = ike.take<ike::CreateChildSa>();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].connection, kTunnel);
  EXPECT_EQ(seen[0].wish.resource, 2u);
  EXPECT_EQ(seen[0].wish.local, side("10.1.0.0/16")) << "the selectors of the one for all";
  EXPECT_EQ(seen[0].wish.packet.protocol, 17);
  child(model::ChildSaId(2), 2);
  run();
  const auto view = control.tunnel("office");
  ASSERT_EQ(view->ike_sas.at(0).children.size(), 2u);
  EXPECT_EQ(view->ike_sas[0].children[0].resource, std::nullopt);
  EXPECT_EQ(view->ike_sas[0].children[1].resource, 2u);
}

TEST_F(ControlResources, APeerThatTakesNoneIsNotAsked) {
  up(false);
  EXPECT_EQ(asked(), Asked{});
}

TEST_F(ControlResources, WithoutTheOneForAllThatIsAskedFor) {  // RFC 9611 4
  up();
  child(model::ChildSaId(2), 2);
  removed(kFallback, ike::CloseReason::peer_deleted);
  EXPECT_EQ(state(), TunnelState::up);
  ike.commands.clear();
  packet(1);
  const auto seen = ike.take<ike::CreateChildSa>();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].wish.resource, std::nullopt);
  child(model::ChildSaId(3), 0);
  run();
  ike.commands.clear();
  packet(std::nullopt);
  EXPECT_EQ(ike.take<ike::CreateChildSa>().size(), 1u) << "one for a single worker does not fulfil it";
  child(model::ChildSaId(4), std::nullopt);
  run();
  ike.commands.clear();
  EXPECT_EQ(asked(), (Asked{0, 1, 2}));
}

TEST_F(ControlResources, BeyondThePeersMostNoneIsAskedForUntilTheIkeSaIsNew) {  // RFC 9611 5.2
  up();
  (void)notices(Notice::Level::info);
  refused(1, ike::FailureKind::peer_refused, model::NotifyType::ts_max_queue);
  refused(2, ike::FailureKind::peer_refused, model::NotifyType::ts_max_queue);
  EXPECT_EQ(notices(Notice::Level::info), 1u) << "said once, and no warning";
  EXPECT_FALSE(control.tunnel("office")->last_failure);
  EXPECT_EQ(asked(), Asked{});
  now += std::chrono::hours(3);
  EXPECT_EQ(asked(), Asked{});
  ike_sa(model::IkeSaId(2), model::IkeSaId(1));
  run();
  EXPECT_EQ(asked(), Asked{}) << "a rekeyed IKE SA is no new one";
  ike_sa(model::IkeSaId(3));
  run();
  EXPECT_EQ(asked(), (Asked{0, 1, 2}));
  EXPECT_EQ(state(), TunnelState::up);
}

TEST_F(ControlResources, AnyOtherRefusalRestsAndHarmsNothing) {
  up();
  refused(1, ike::FailureKind::no_proposal_chosen, model::NotifyType::no_proposal_chosen);
  EXPECT_EQ(state(), TunnelState::up);
  EXPECT_EQ(control.tunnel("office")->last_failure->kind, "no_proposal_chosen");
  EXPECT_EQ(asked(), (Asked{0, 2}));
  now += seconds(2);
  EXPECT_EQ(asked(), (Asked{0, 1, 2}));
  refused(1, ike::FailureKind::peer_refused, model::NotifyType::temporary_failure);
  now += seconds(3);
  EXPECT_EQ(asked(), (Asked{0, 2})) << "twice as long";
}

TEST_F(ControlResources, OneThatTheDataPlaneCannotCarryIsNoFailureOfTheTunnel) {
  up();
  data_plane.refuse = true;
  child(model::ChildSaId(2), 1);
  run();
  EXPECT_EQ(ike.take<ike::DeleteChildSa>().size(), 1u);
  removed(model::ChildSaId(2), ike::CloseReason::local_request);
  EXPECT_EQ(state(), TunnelState::up);
  EXPECT_FALSE(control.tunnel("office")->last_failure);
  EXPECT_EQ(asked(), (Asked{0, 2}));
  // The same when it says so later.
  data_plane.refuse = false;
  child(model::ChildSaId(3), 2);
  run();
  data_plane.events.emplace_back(ipsec::SaRefused{model::ChildSaId(3), ipsec::DataPlaneError::overloaded});
  control.handle_data_plane(now);
  removed(model::ChildSaId(3), ike::CloseReason::local_request);
  EXPECT_EQ(asked(), Asked{0});
}

TEST_F(ControlResources, WhatThePeerDeletesIsNotMadeAgainAtOnce) {  // RFC 9611 6
  up();
  child(model::ChildSaId(2), 1);
  run();
  removed(model::ChildSaId(2), ike::CloseReason::peer_deleted);
  EXPECT_EQ(asked(), (Asked{0, 2}));
  now += seconds(2);
  EXPECT_EQ(asked(), (Asked{0, 1, 2}));
  child(model::ChildSaId(3), 2, true, false);
  run();
  removed(model::ChildSaId(3), ike::CloseReason::peer_deleted);
  EXPECT_EQ(asked(), (Asked{0, 1, 2})) << "one of the peer's own";
}

TEST_F(ControlResources, IdleOnesEndAndTheOneForAllStays) {
  up();
  child(model::ChildSaId(2), 0);
  child(model::ChildSaId(3), 1);
  child(model::ChildSaId(4), 2, true, false);
  run();
  ike.commands.clear();
  data_plane.packets[model::ChildSaId(3)] = 5;
  now += seconds(60);
  run();
  auto ended = ike.take<ike::DeleteChildSa>();
  ASSERT_EQ(ended.size(), 1u) << "one was used, one is the peer's, and one for all";
  EXPECT_EQ(ended[0].child, model::ChildSaId(2));
  removed(model::ChildSaId(2), ike::CloseReason::local_request);
  now += seconds(60);
  run();
  ended = ike.take<ike::DeleteChildSa>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].child, model::ChildSaId(3));
}

TEST_F(ControlResources, AnswersMayComeOverAnother) {
  up();
  child(model::ChildSaId(2), 0);
  run();
  ike.commands.clear();
  const auto silence = [&] {
    data_plane.events.emplace_back(ipsec::NothingComesBack{model::ChildSaId(2)});
    control.handle_data_plane(now);
  };
  data_plane.events.emplace_back(ipsec::InboundActivity{kFallback});
  silence();
  EXPECT_TRUE(ike.take<ike::CheckLiveness>().empty());
  now += seconds(2);
  silence();
  EXPECT_EQ(ike.take<ike::CheckLiveness>().size(), 1u) << "nor there";
  data_plane.events.emplace_back(ipsec::InboundActivity{kFallback});
  control.handle_data_plane(now);
  now += seconds(2);
  silence();
  EXPECT_TRUE(ike.take<ike::Initiate>().empty()) << "there, meanwhile";
  now += seconds(2);
  silence();
  EXPECT_EQ(ike.take<ike::Initiate>().size(), 1u);
}

}  // namespace
}  // namespace culvert::control
