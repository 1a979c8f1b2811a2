// Scenarios of what happens to a peer: silence, restart, both sides starting at once, a NAT that changes its mind (RFC
// 7296 2.4, 2.23).
#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::vector<Duration> lost() { return {}; }
std::vector<Duration> delivered() { return {Pair::kLatency}; }

class PeerLife : public ::testing::TestWithParam<bool> {
 protected:
  Host& one() { return pair.host(GetParam()); }
  Host& other() { return pair.host(!GetParam()); }
  net::Path nat_path(bool first) const { return path_from(first, 4500); }
  Pair pair;
};
INSTANTIATE_TEST_SUITE_P(By, PeerLife, ::testing::Values(true, false),
                         [](const auto& by) { return by.param ? "a" : "b"; });

TEST_P(PeerLife, SilenceIsAskedAbout) {  // RFC 7296 2.4
  bring_up(pair);
  pair.wire.clear();
  pair.advance(seconds(31));
  pair.settle();
  EXPECT_GE(pair.wire.size(), 2u);
  for (const Datagram& d : pair.wire) EXPECT_EQ(d.header().exchange, ExchangeType::informational);
  EXPECT_TRUE(in_step(pair));
}

TEST_P(PeerLife, TrafficIsProofOfLife) {  // RFC 7296 2.4
  bring_up(pair);
  pair.wire.clear();
  for (int n = 0; n < 20; ++n) {
    pair.advance(seconds(10));
    pair.command(pair.a, PeerAlive{pair.a.child().id});
    pair.command(pair.b, PeerAlive{pair.b.child().id});
  }
  EXPECT_TRUE(pair.wire.empty());
}

TEST_P(PeerLife, ADeadPeerIsNoticedAndEverythingGoes) {  // RFC 7296 2.4
  bring_up(pair);
  pair.fate = [](const Datagram&) { return lost(); };
  ASSERT_TRUE(pair.run_until([&] { return one().ike_sas.empty() && other().ike_sas.empty(); }, minutes(3)));
  EXPECT_EQ(one().closed[0].reason, CloseReason::peer_dead);
  EXPECT_EQ(one().removed[0].reason, CloseReason::peer_dead);
  EXPECT_TRUE(no_leaks(pair));
  pair.advance(minutes(5));
  EXPECT_FALSE(pair.a.endpoint().poll_timeout() || pair.b.endpoint().poll_timeout());
}

TEST_P(PeerLife, ARestartedPeerThatInitiatesSupersedesTheOldAtOnce) {  // RFC 7296 2.4, INITIAL_CONTACT
  bring_up(pair);
  const auto old = one().ike_sa().spi_i;
  other().allocator().in_use.clear();
  other().restart();
  configure(pair);
  initiate(pair, !GetParam());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_NE(one().ike_sa().spi_i, old);
  ASSERT_EQ(one().closed.size(), 1u);
  EXPECT_EQ(one().closed[0].reason, CloseReason::superseded);
  EXPECT_EQ(one().removed[0].reason, CloseReason::superseded);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(PeerLife, ARestartedPeerThatOnlyAnswersIsNoticedWithinSeconds) {  // RFC 7296 1.5, 2.4
  bring_up(pair);
  const auto spi = one().child().spi_outbound;
  other().allocator().in_use.clear();
  other().restart();
  configure(pair);
  // ESP of the old SA arrives at the restarted host.
  const Instant hinted = pair.now;
  pair.command(other(), UnknownEspSpi{.path = nat_path(!GetParam()), .spi = spi});
  ASSERT_TRUE(pair.run_until([&] { return one().ike_sas.empty(); }, seconds(10)));
  EXPECT_LE(pair.now - hinted, seconds(4));
  EXPECT_EQ(one().closed[0].reason, CloseReason::peer_dead);
}

bool is_informational(const Datagram& d) { return d.header().exchange == ExchangeType::informational; }

void initiate_despite_doubt(Pair& pair, bool first) {
  pair.command(pair.host(first), Initiate{kConnection, path_from(first), true});
}

TEST_P(PeerLife, ARestartedPeerThatSaysNothingGetsANewIkeSaInItsPlace) {  // RFC 7296 2.4
  bring_up(pair);
  const auto old = one().ike_sa().spi_i;
  other().allocator().in_use.clear();
  other().restart();
  configure(pair);
  // Neither INVALID_SPI nor INVALID_IKE_SPI ever comes.
  pair.fate = [](const Datagram& d) { return is_informational(d) ? lost() : delivered(); };
  pair.command(one(), CheckLiveness{one().ike_sa().ike_sa});
  pair.advance(seconds(2));
  initiate_despite_doubt(pair, GetParam());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_NE(one().ike_sa().spi_i, old);
  ASSERT_EQ(one().closed.size(), 1u);
  EXPECT_EQ(one().closed[0].reason, CloseReason::superseded);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(PeerLife, WithoutAnUnansweredRequestThereIsNoDoubt) {
  bring_up(pair);
  pair.wire.clear();
  initiate_despite_doubt(pair, GetParam());
  pair.settle();
  EXPECT_TRUE(pair.wire.empty());
}

TEST_P(PeerLife, APeerThatLivesAfterAllKeepsItsIkeSa) {
  bring_up(pair);
  const auto old = one().ike_sa().spi_i;
  // The answer to the question takes longer than the new IKE_SA_INIT, but not longer than its answer.
  pair.fate = [](const Datagram& d) {
    return is_informational(d) ? std::vector<Duration>{seconds(2)} : std::vector<Duration>{seconds(1)};
  };
  pair.command(one(), CheckLiveness{one().ike_sa().ike_sa});
  pair.advance(seconds(3));
  initiate_despite_doubt(pair, GetParam());
  pair.advance(seconds(8));
  EXPECT_EQ(one().ike_sa().spi_i, old);
  EXPECT_TRUE(one().closed.empty() && other().closed.empty());
  EXPECT_TRUE(one().logged("lives after all"));
  EXPECT_TRUE(one().failures.empty());
}

TEST_P(PeerLife, BothSidesInDoubtEndWithOneTunnel) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair both(seed);
    SeededRandom chance(seed);
    bring_up(both);
    both.fate = [](const Datagram&) { return lost(); };
    for (const bool first : {true, false})
      both.command(both.host(first), CheckLiveness{both.host(first).ike_sa().ike_sa});
    both.advance(seconds(2));
    initiate_despite_doubt(both, GetParam());
    both.advance(milliseconds(chance.below(3000)));
    initiate_despite_doubt(both, !GetParam());
    both.advance(milliseconds(chance.below(9000)));
    both.fate = [&](const Datagram&) { return std::vector<Duration>{milliseconds(5 + chance.below(50))}; };
    both.advance(seconds(30));
    ASSERT_TRUE(in_step(both)) << seed;
    EXPECT_TRUE(no_leaks(both)) << seed;
  }
}

TEST_P(PeerLife, AForgedHintCostsOneCheckAndNothingElse) {  // RFC 7296 2.4, 2.21.4
  bring_up(pair);
  pair.wire.clear();
  for (int n = 0; n < 50; ++n) {
    codec::Message hint;
    hint.header.spi_i = model::IkeSpi(77);
    hint.header.exchange = ExchangeType::informational;
    hint.header.initiator = true;
    ByteWriter spi;
    spi.u32(one().child().spi_outbound.value());
    hint.add_notify(model::NotifyType::invalid_spi, spi.view());
    pair.inject(one(), nat_path(GetParam()), codec::serialize(hint));
    pair.advance(milliseconds(100));
  }
  EXPECT_EQ(pair.wire.size(), 2u) << "one empty request and its answer";
  EXPECT_TRUE(in_step(pair));
}

TEST_P(PeerLife, BothStartAtOnceAndOneTunnelIsLeft) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Pair both(seed);
    SeededRandom chance(seed);
    // From the same instant to a round trip apart.
    both.fate = [&](const Datagram&) { return std::vector<Duration>{milliseconds(5 + chance.below(10))}; };
    configure(both);
    initiate(both, GetParam());
    both.advance(milliseconds(chance.below(40)));
    initiate(both, !GetParam());
    both.settle();
    ASSERT_FALSE(both.a.ike_sas.empty());
    both.advance(seconds(10));
    ASSERT_TRUE(in_step(both)) << seed;
    EXPECT_TRUE(both.a.failures.empty() && both.b.failures.empty());
    for (const IkeSaClosed& closed : both.a.closed)
      EXPECT_TRUE(closed.reason == CloseReason::superseded || closed.reason == CloseReason::peer_deleted);
    EXPECT_TRUE(no_leaks(both));
  }
}

TEST_P(PeerLife, ANewMappingOfTheNatIsFollowedButNotByReplays) {  // RFC 7296 2.23
  // a is behind a NAT that gives it 203.0.113.9 and a port.
  std::uint16_t port = 10001;
  const auto outside = *net::IpAddress::parse("203.0.113.9");
  pair.translation = [&](const Datagram& d) {
    if (d.from_a) return net::Path{d.path.remote, {outside, port}};
    return net::Path{{address_of(true), d.path.local.port}, d.path.local};
  };
  pair.fate = [&](const Datagram& d) { return d.from_a || d.path.remote.port == port ? delivered() : lost(); };
  auto b = config_of(false);
  b.peer.reset();
  // With MOBIKE the one behind the NAT says so (RFC 4555 3.8), without it the other notices.
  b.mobike = GetParam();
  configure(pair, config_of(true), b);
  // The NAT lets answers through to the port the request came from.
  pair.translation = [&](const Datagram& d) {
    if (d.from_a) return net::Path{d.path.remote, {outside, port}};
    const std::uint16_t inside = d.path.local.port;
    return net::Path{{address_of(true), inside}, d.path.local};
  };
  initiate(pair, true);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_TRUE(pair.a.ike_sa().local_behind_nat);
  EXPECT_TRUE(pair.b.ike_sa().remote_behind_nat);
  EXPECT_FALSE(pair.b.ike_sa().local_behind_nat);
  EXPECT_EQ(pair.b.child().encapsulation, model::Encapsulation::udp);
  pair.command(pair.a, CheckLiveness{pair.a.ike_sa().ike_sa});
  pair.settle();
  const Bytes old_request = [&] {
    for (auto d = pair.wire.rbegin(); d != pair.wire.rend(); ++d) {
      if (d->from_a) return d->message;
    }
    return Bytes{};
  }();
  port = 20002;
  pair.command(pair.a, CheckLiveness{pair.a.ike_sa().ike_sa});
  pair.settle();
  ASSERT_EQ(pair.b.moves.size(), 1u);
  EXPECT_EQ(pair.b.moves[0].path.remote.port, 20002);
  // A replay from elsewhere moves nothing, and gets no answer that it could not have had before.
  pair.inject(pair.b, {{address_of(false), 4500}, {*net::IpAddress::parse("198.51.100.66"), 666}}, old_request);
  EXPECT_EQ(pair.b.moves.size(), 1u);
  // ESP from a new address is as good, once the peer has answered there.
  port = 30003;
  pair.command(pair.b, PeerMoved{.child = pair.b.child().id, .remote = {outside, 30003}});
  EXPECT_EQ(pair.b.moves.size(), 1u);
  pair.settle();
  ASSERT_EQ(pair.b.moves.size(), 2u);
  EXPECT_EQ(pair.b.moves[1].path.remote.port, 30003);
  // A packet of the peer's that somebody sends on from elsewhere moves nothing: nobody answers there.
  pair.command(pair.b, PeerMoved{.child = pair.b.child().id, .remote = {*net::IpAddress::parse("198.51.100.66"), 666}});
  pair.advance(seconds(5));
  EXPECT_EQ(pair.b.moves.size(), 2u);
  // Whoever is behind the NAT itself does not follow.
  pair.command(pair.a, PeerMoved{.child = pair.a.child().id, .remote = {*net::IpAddress::parse("198.51.100.66"), 666}});
  EXPECT_TRUE(pair.a.moves.empty());
}

TEST_P(PeerLife, RemovingAConnectionDeletesItsIkeSa) {
  bring_up(pair);
  pair.command(one(), RemoveConnection{kConnection});
  pair.settle();
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  pair.advance(minutes(2));
  EXPECT_FALSE(one().endpoint().poll_timeout());
}

TEST_P(PeerLife, ShutdownTellsEveryPeerOnce) {
  bring_up(pair);
  pair.wire.clear();
  pair.command(one(), Shutdown{});
  EXPECT_TRUE(one().ike_sas.empty());
  EXPECT_EQ(pair.wire.size(), 1u);
  pair.settle();
  EXPECT_TRUE(other().ike_sas.empty());
  EXPECT_FALSE(one().endpoint().poll_timeout());
}

TEST_P(PeerLife, ATerminatedAttemptWithASilentPeerEndsWithoutAWord) {
  pair.fate = [](const Datagram& d) { return d.header().exchange == ExchangeType::ike_auth ? lost() : delivered(); };
  configure(pair);
  initiate(pair, GetParam());
  pair.settle();
  pair.command(one(), Terminate{kConnection});
  pair.advance(seconds(10));
  EXPECT_TRUE(one().failures.empty());
  EXPECT_FALSE(one().endpoint().poll_timeout());
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(PeerLife, AnAttemptIsTerminated) {
  configure(pair);
  for (int steps = 0; steps < 5; ++steps) {
    initiate(pair, GetParam());
    pair.advance(milliseconds(9) * steps);
    pair.command(one(), Terminate{kConnection});
    pair.settle();
    pair.advance(minutes(2));
    EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty()) << steps;
    EXPECT_TRUE(no_leaks(pair));
  }
}

TEST_P(PeerLife, InitiateAgainMakesTheMissingChildSa) {
  bring_up(pair);
  pair.command(one(), DeleteChildSa{one().child().id});
  pair.settle();
  ASSERT_TRUE(one().children.empty());
  initiate(pair, GetParam());
  pair.settle();
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(one().closed.empty());
  // And is otherwise nothing.
  pair.wire.clear();
  initiate(pair, GetParam());
  EXPECT_TRUE(pair.wire.empty());
}

}  // namespace
}  // namespace culvert::ike::v2
