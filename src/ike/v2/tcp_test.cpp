// IKE over TCP (RFC 9329) as the core sees it: a path of another transport.
#include <gtest/gtest.h>

#include "ike/codec/parse.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::seconds;

net::Path stream_from(bool first, std::uint16_t port = 40001) {
  const net::Endpoint caller{address_of(true), port, net::Transport::tcp};
  const net::Endpoint called{address_of(false), 4500, net::Transport::tcp};
  return first ? net::Path{caller, called} : net::Path{called, caller};
}

class OverTcp : public ::testing::Test {
 protected:
  void bring_up_over_tcp() {
    configure(pair);
    pair.command(pair.a, Initiate{.connection = kConnection, .path = stream_from(true)});
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
  // The stream has another port from now on, as the other side sees it.
  void reconnect(std::uint16_t port) {
    pair.translation = [port](const Datagram& datagram) {
      return datagram.from_a ? stream_from(false, port) : stream_from(true);
    };
  }
  Pair pair;
};

TEST_F(OverTcp, EverythingGoesOverTheStream) {  // RFC 9329 5, 6.5
  bring_up_over_tcp();
  for (const Datagram& one : pair.wire) {
    EXPECT_EQ(one.path, stream_from(one.from_a));
  }
  for (const Host* host : {&pair.a, &pair.b}) {
    EXPECT_EQ(host->ike_sa().path, stream_from(host == &pair.a));
    EXPECT_EQ(host->child().path, stream_from(host == &pair.a));
    EXPECT_EQ(host->child().encapsulation, model::Encapsulation::udp) << "framed as in UDP, whatever NATs there are";
  }
  // RFC 9329 6.5: the notifications are there, and true.
  EXPECT_FALSE(pair.a.ike_sa().local_behind_nat || pair.b.ike_sa().remote_behind_nat);
}

TEST_F(OverTcp, NoMessageIsCut) {  // RFC 9329 7.5
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_fragment_size = b.ike_fragment_size = model::kLeastIkeFragmentSize;
  configure(pair, a, b);
  pair.command(pair.a, Initiate{.connection = kConnection, .path = stream_from(true)});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  std::size_t sealed = 0;
  for (const Datagram& one : pair.wire) {
    const auto parsed = codec::parse_message(one.message);
    ASSERT_TRUE(parsed);
    if (!parsed->sealed) continue;
    ++sealed;
    EXPECT_FALSE(parsed->sealed->fragment);
  }
  EXPECT_EQ(sealed, 2u);
  // Over UDP the same configuration does cut them.
  Pair by_udp;
  configure(by_udp, a, b);
  initiate(by_udp, true);
  by_udp.settle();
  EXPECT_GT(by_udp.wire.size(), pair.wire.size());
}

TEST_F(OverTcp, TheAnswererFollowsToTheConnectionOfTheLastAuthenticMessage) {  // RFC 9329 6.1
  bring_up_over_tcp();
  reconnect(40002);
  pair.command(pair.a, StreamReopened{stream_from(true)});
  pair.settle();
  ASSERT_EQ(pair.b.moves.size(), 1u);
  EXPECT_EQ(pair.b.moves[0].path, stream_from(false, 40002));
  EXPECT_TRUE(pair.a.moves.empty()) << "for who opens it the stream keeps its name";
  // ESP says so too.
  pair.command(pair.b, PeerMoved{pair.b.child().id, stream_from(false, 40003).remote});
  ASSERT_EQ(pair.b.moves.size(), 2u);
  EXPECT_EQ(pair.b.moves[1].path, stream_from(false, 40003));
}

TEST_F(OverTcp, AReplayOrAForgeryMovesNothing) {  // RFC 9329 6.1
  bring_up_over_tcp();
  reconnect(40002);
  const Datagram old = pair.wire[2];
  ASSERT_EQ(old.header().exchange, ExchangeType::ike_auth);
  pair.inject(pair.b, stream_from(false, 40009), old.message);
  Bytes forged = old.message;
  forged.back() ^= 1;
  pair.inject(pair.b, stream_from(false, 40009), forged);
  EXPECT_TRUE(pair.b.moves.empty());
}

TEST_F(OverTcp, NothingButAnUpdateMovesAnIkeSaBetweenTransports) {  // RFC 9329 5, 7.1
  bring_up_over_tcp();
  pair.translation = [](const Datagram& datagram) {
    return datagram.from_a ? path_from(false, 4500) : stream_from(true);
  };
  pair.command(pair.a, CheckLiveness{pair.a.ike_sa().ike_sa});
  pair.settle();
  pair.command(pair.b, PeerMoved{pair.b.child().id, path_from(false, 4500).remote});
  EXPECT_TRUE(pair.b.moves.empty());
}

// RFC 9329 7.1: by the same exchange, over the other transport.
TEST_F(OverTcp, WithMobikeTheSaGoesToTcpAndBack) {
  bring_up(pair);
  ASSERT_TRUE(pair.a.ike_sa().mobike && pair.a.ike_sa().chooses_paths);
  const net::Path udp = pair.a.ike_sa().path;
  const auto child = pair.a.child().id;
  for (unsigned round = 0; round < 3; ++round) {
    const auto port = static_cast<std::uint16_t>(40001 + round);
    pair.fate = [](const Datagram& d) {
      return d.path.over_tcp() ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
    };
    pair.wire.clear();
    pair.command(pair.a, CheckLiveness{pair.a.ike_sa().ike_sa});
    ASSERT_TRUE(pair.run_until([&] { return pair.a.overdue == round + 1; }, seconds(10)));
    const Bytes asked = pair.wire.front().message;
    pair.command(pair.a, TryPath{pair.a.ike_sa().ike_sa, stream_from(true, port)});
    EXPECT_EQ(pair.wire.back().message, asked) << "what waits for an answer goes there";
    EXPECT_TRUE(pair.wire.back().path.over_tcp());
    EXPECT_EQ(pair.a.moves.size(), 2 * round) << "the Child SAs wait for the answer";
    pair.settle();
    ASSERT_EQ(pair.a.moves.size(), 2 * round + 1);
    ASSERT_EQ(pair.b.moves.size(), 2 * round + 1);
    EXPECT_EQ(pair.a.moves.back().path, stream_from(true, port));
    EXPECT_EQ(pair.b.moves.back().path, stream_from(false, port));
    EXPECT_EQ(pair.b.moves.back().encapsulation, model::Encapsulation::udp);
    for (const Datagram& one : pair.wire) {
      EXPECT_NE(one.header().exchange, ExchangeType::ike_sa_init);
      const bool asks = !one.from_a && !one.header().response;
      EXPECT_FALSE(asks) << "the connection has proved the address";
    }
    // Back, when UDP has answered.
    pair.command(pair.a, TryPath{pair.a.ike_sa().ike_sa, path_from(true)});
    pair.advance(seconds(30));
    EXPECT_EQ(pair.a.moves.size(), 2 * round + 1) << "UDP is as silent as before";
    pair.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
    pair.command(pair.a, TryPath{pair.a.ike_sa().ike_sa, path_from(true)});
    pair.settle();
    ASSERT_EQ(pair.a.moves.size(), 2 * round + 2);
    ASSERT_EQ(pair.b.moves.size(), 2 * round + 2);
    EXPECT_EQ(pair.a.moves.back().path, udp);
    EXPECT_FALSE(pair.b.moves.back().path.over_tcp());
    ASSERT_TRUE(in_step(pair));
    EXPECT_EQ(pair.a.child().id, child);
  }
}

TEST_F(OverTcp, NatsAreNotForbiddenOverTcp) {  // RFC 9329 7.1
  bring_up_over_tcp();
  ASSERT_TRUE(pair.b.ike_sa().mobike);
  reconnect(40002);
  pair.wire.clear();
  pair.command(pair.a, StreamReopened{stream_from(true)});
  pair.settle();
  // RFC 9329 6.1: with MOBIKE the peer is told by UPDATE_SA_ADDRESSES, and does not ask back.
  EXPECT_EQ(pair.wire.size(), 2u);
  ASSERT_EQ(pair.b.moves.size(), 1u);
  EXPECT_EQ(pair.b.moves[0].path, stream_from(false, 40002));
  EXPECT_TRUE(pair.a.moves.empty());
}

// Whoever was called cannot call, and who has no MOBIKE cannot move.
TEST_F(OverTcp, NobodyElseTriesAnotherTransport) {
  bring_up(pair);
  pair.command(pair.b, TryPath{pair.b.ike_sa().ike_sa, stream_from(false)});
  pair.settle();
  EXPECT_FALSE(pair.b.ike_sa().path.over_tcp());
  EXPECT_TRUE(pair.b.moves.empty());
  Pair without;
  auto a = config_of(true);
  a.mobike = false;
  configure(without, a);
  initiate(without);
  without.settle();
  const auto sent = without.wire.size();
  without.command(without.a, TryPath{without.a.ike_sa().ike_sa, stream_from(true)});
  without.settle();
  EXPECT_EQ(without.wire.size(), sent);
}

TEST_F(OverTcp, WhatWaitsForAnAnswerGoesOverTheNewConnectionAtOnce) {  // RFC 9329 6.2
  bring_up_over_tcp();
  pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
  pair.command(pair.a, CheckLiveness{pair.a.ike_sa().ike_sa});
  const auto sent = pair.wire.size();
  pair.command(pair.a, StreamReopened{stream_from(true)});
  ASSERT_EQ(pair.wire.size(), sent + 1);
  EXPECT_EQ(pair.wire[sent].message, pair.wire[sent - 1].message);
  // Another stream is none of its business.
  pair.command(pair.a, StreamReopened{stream_from(true, 40009)});
  EXPECT_EQ(pair.wire.size(), sent + 1);
}

TEST_F(OverTcp, NoCookieIsAskedForAndTheBoundsHold) {  // RFC 9329 6.3
  EndpointSettings settings;
  settings.cookie_threshold = 0;
  settings.half_open_per_address = 1;
  Pair loaded(3, settings);
  configure(loaded);
  // Nothing of IKE_AUTH arrives: the first stays half-open.
  loaded.fate = [](const Datagram& datagram) {
    const bool auth = datagram.header().exchange == ExchangeType::ike_auth;
    return auth ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  loaded.command(loaded.a, Initiate{.connection = kConnection, .path = stream_from(true)});
  loaded.settle();
  ASSERT_GE(loaded.wire.size(), 3u);
  EXPECT_EQ(loaded.wire[2].header().exchange, ExchangeType::ike_auth) << "at once, without a cookie";
  EXPECT_EQ(loaded.b.endpoint().counters().half_open, 1u);
  codec::Message again;
  const auto first = codec::parse_message(loaded.wire[0].message);
  ASSERT_TRUE(first);
  again.header = first->header;
  again.header.spi_i = model::IkeSpi(77);
  again.payloads = first->payloads;
  loaded.inject(loaded.b, stream_from(false, 40002), codec::serialize(again));
  EXPECT_EQ(loaded.b.endpoint().counters().half_open, 1u);
}

TEST_F(OverTcp, AnErrorEndsTheAttemptAtOnce) {  // RFC 9329 6.4
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, "aes128gcm16-prfsha256-x25519")};
  b.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha512-ecp384")};
  configure(pair, a, b);
  const Instant begun = pair.now;
  pair.command(pair.a, Initiate{.connection = kConnection, .path = stream_from(true)});
  ASSERT_TRUE(pair.run_until([&] { return !pair.a.failures.empty(); }));
  EXPECT_LT(pair.now - begun, seconds(1));
  EXPECT_EQ(pair.a.failures[0].kind, FailureKind::no_proposal_chosen);
}

TEST_F(OverTcp, SilenceIsToldAndPatienceEnds) {
  configure(pair);
  pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
  const Instant begun = pair.now;
  pair.command(pair.a, Initiate{.connection = kConnection, .path = path_from(true), .patience = seconds(3)});
  ASSERT_TRUE(pair.run_until([&] { return !pair.a.failures.empty(); }));
  EXPECT_EQ(pair.a.failures[0].kind, FailureKind::no_answer);
  EXPECT_EQ(pair.now - begun, seconds(3));
  EXPECT_GE(pair.wire.size(), 2u) << "RFC 9329 5.1: more than once";
}

TEST_F(OverTcp, AnAnswerThatIsOverdueIsSaidOnce) {
  bring_up(pair);
  pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
  pair.command(pair.a, CheckLiveness{pair.a.ike_sa().ike_sa});
  pair.advance(seconds(4));
  EXPECT_EQ(pair.a.overdue, 1u);
  pair.advance(seconds(20));
  EXPECT_EQ(pair.a.overdue, 1u);
}

TEST_F(OverTcp, ANewIkeSaCanStandBesideAHealthyOne) {
  bring_up_over_tcp();
  pair.command(pair.a, Initiate{.connection = kConnection, .path = path_from(true)});
  pair.settle();
  EXPECT_EQ(pair.a.ike_sas.size(), 1u) << "without being told so it does not";
  const auto old = pair.a.ike_sa().ike_sa;
  pair.command(pair.a, Initiate{.connection = kConnection, .path = path_from(true), .beside = true});
  pair.settle();
  ASSERT_EQ(pair.a.ike_sas.size(), 2u);
  EXPECT_EQ(pair.b.ike_sas.size(), 2u);
  pair.command(pair.a, TerminateIkeSa{old});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_FALSE(pair.a.ike_sa().path.over_tcp() || pair.b.ike_sa().path.over_tcp());
}

}  // namespace
}  // namespace culvert::ike::v2
