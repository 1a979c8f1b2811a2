// Redirection (RFC 5685), as client and as gateway: in IKE_SA_INIT, at the end of IKE_AUTH, and while the IKE SA
// stands. Host b is both gateways: the first at 192.0.2.2, the second at 192.0.2.3.
#include "ike/v2/redirect.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::NotifyType;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr std::string_view kSecond = "192.0.2.3";

class RedirectTest : public ::testing::Test {
 protected:
  model::ConnectionConfig client(bool follows = true) {
    auto config = config_of(true);
    config.life.follow_redirect = follows;
    return config;
  }
  model::ConnectionConfig gateway(std::string to = std::string(kSecond), std::size_t above = 0) {
    auto config = config_of(false);
    config.life.redirect_to = std::move(to);
    config.life.redirect_above = above;
    return config;
  }
  void start(model::ConnectionConfig a, model::ConnectionConfig b) {
    configure(pair, std::move(a), std::move(b));
    initiate(pair);
    pair.settle();
  }
  /// What control does when it is told.
  void follow_last() {
    ASSERT_FALSE(pair.a.redirects.empty());
    const Redirected to = pair.a.redirects.back();
    const auto address = net::IpAddress::parse(to.gateway);
    ASSERT_TRUE(address);
    pair.command(pair.a, Initiate{.connection = kConnection,
                                  .path = {{address_of(true), 500}, {*address, 500}},
                                  .despite_doubtful = false,
                                  .wish = std::nullopt,
                                  .redirected_from = to.from,
                                  .replaces = to.ike_sa});
    pair.settle();
  }
  [[nodiscard]] std::size_t count(NotifyType type, bool from_a) const {
    std::size_t found = 0;
    for (const Datagram& one : pair.wire) {
      if (one.from_a != from_a) continue;
      const auto parsed = codec::parse_message(one.message);
      for (const codec::Payload& payload : parsed->payloads) {
        const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
        found += notify != nullptr && notify->type == type ? 1U : 0U;
      }
    }
    return found;
  }
  [[nodiscard]] std::uint64_t refused() {
    return pair.a.endpoint().counters().dropped[static_cast<std::size_t>(DatagramDrop::bad_redirect)];
  }
  [[nodiscard]] bool at_second() {
    return in_step(pair) && pair.a.ike_sa().path.remote.address == *net::IpAddress::parse(kSecond);
  }

  Pair pair;
};

// ---------------------------------------------------------------- RFC 5685 9.2, 9.3

TEST(GatewayNoteTest, ThereAndBack) {
  const Bytes nonce(32, 7);
  for (const char* gateway : {"192.0.2.9", "2001:db8::9", "gw2.example.net"}) {
    const Bytes data = encode_gateway(gateway, nonce);
    const auto back = decode_gateway(data);
    ASSERT_TRUE(back) << gateway;
    EXPECT_EQ(back->gateway, gateway);
    EXPECT_EQ(back->nonce, nonce);
  }
  EXPECT_EQ(encode_gateway("192.0.2.9"), (Bytes{1, 4, 192, 0, 2, 9}));
  EXPECT_EQ(encode_gateway("a.b"), (Bytes{3, 3, 'a', '.', 'b'}));
}

TEST(GatewayNoteTest, WhatIsNoGatewayIsRefused) {
  const auto named = [](std::string_view name) {
    Bytes data{3, static_cast<std::uint8_t>(name.size())};
    data.insert(data.end(), name.begin(), name.end());
    return data;
  };
  for (const Bytes& data :
       {Bytes{}, Bytes{1}, Bytes{1, 4, 192, 0, 2}, Bytes{1, 3, 192, 0, 2}, Bytes{1, 16, 1, 2, 3, 4},
        Bytes{2, 4, 192, 0, 2, 9}, Bytes{0, 0}, Bytes{4, 1, 'a'}, Bytes{3, 0}, Bytes{1, 4, 0, 0, 0, 0},
        Bytes{1, 4, 224, 0, 0, 1}, named("-oProxy"), named(".x"), named("a b"), named("a\nb"), named("192.0.2.1"),
        named("gw;rm"), named(std::string(254, 'a'))}) {
    EXPECT_FALSE(decode_gateway(data));
  }
}

// ---------------------------------------------------------------- IKE_SA_INIT (RFC 5685 3)

TEST_F(RedirectTest, InIkeSaInitWithTheNonce) {
  start(client(), gateway());
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  ASSERT_EQ(pair.a.redirects.size(), 1u);
  EXPECT_EQ(pair.a.redirects[0].gateway, kSecond);
  EXPECT_EQ(pair.a.redirects[0].from, address_of(false));
  EXPECT_FALSE(pair.a.redirects[0].ike_sa);
  EXPECT_TRUE(pair.a.failures.empty()) << "it is none";
  const auto answer = codec::parse_header(pair.wire[1].message);
  EXPECT_EQ(answer->spi_r.value(), 0u) << "no IKE SA comes of it";
  EXPECT_LE(pair.wire[1].message.size(), pair.wire[0].message.size());
  follow_last();
  EXPECT_TRUE(at_second());
  EXPECT_EQ(count(NotifyType::redirect_supported, true), 1u);
  EXPECT_EQ(count(NotifyType::redirected_from, true), 1u);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(RedirectTest, WhoDoesNotFollowIsServed) {  // RFC 5685 3
  start(client(false), gateway());
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(count(NotifyType::redirect, false), 0u);
}

TEST_F(RedirectTest, OnlyAboveTheNumberThatIsSaid) {
  start(client(), gateway(std::string(kSecond), 1));
  ASSERT_TRUE(in_step(pair)) << "the first one stays";
  EXPECT_EQ(pair.a.ike_sa().path.remote.address, address_of(false));
  auto another = client();
  another.id = model::ConnectionId(2);
  pair.a.secrets[another.id] = pair.a.secrets[kConnection];
  pair.command(pair.a, ConfigureConnection{another});
  pair.command(pair.a, Initiate{.connection = another.id, .path = path_from(true)});
  pair.settle();
  ASSERT_EQ(pair.a.redirects.size(), 1u);
  EXPECT_EQ(pair.a.redirects[0].connection, another.id);
}

// RFC 5685 3: whoever has not seen the request cannot send us away.
TEST_F(RedirectTest, WithoutOurNonceItIsNotHeard) {
  configure(pair, client(), gateway(""));
  initiate(pair);
  const Bytes request = pair.wire.front().message;
  const auto ours = codec::parse_message(request);
  const Bytes nonce = codec::first_of<codec::NoncePayload>(ours->payloads)->data;
  const auto forge = [&](ByteView data) {
    codec::Message forged;
    forged.header.spi_i = ours->header.spi_i;
    forged.header.response = true;
    forged.add_notify(NotifyType::redirect, data);
    pair.inject(pair.a, path_from(true), codec::serialize(forged));
  };
  Bytes other = nonce;
  other.back() ^= 1;
  forge(encode_gateway(kSecond));
  forge(encode_gateway(kSecond, other));
  forge(encode_gateway(kSecond, ByteView(nonce).first(nonce.size() - 1)));
  forge(Bytes{1, 4, 0});
  EXPECT_EQ(refused(), 4u);
  EXPECT_TRUE(pair.a.redirects.empty());
  pair.settle();
  EXPECT_TRUE(in_step(pair));
}

// RFC 5685 7: five times in five minutes, then no more; later again.
TEST_F(RedirectTest, TwoThatSendUsRoundAndRound) {
  configure(pair, client(), gateway("192.0.2.77"));
  for (unsigned i = 0; i < 8; ++i) {
    initiate(pair);
    pair.settle();
    pair.advance(seconds(5));
  }
  EXPECT_EQ(pair.a.redirects.size(), 5u);
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_THAT(pair.a.failures[0].detail, HasSubstr("redirected 5 times"));
  pair.advance(seconds(301));
  initiate(pair);
  pair.settle();
  EXPECT_EQ(pair.a.redirects.size(), 6u);
}

TEST_F(RedirectTest, NobodyIsSentBackToWhereItComesFrom) {
  auto second = gateway(address_of(false).to_string());
  configure(pair, client(), second);
  pair.command(pair.a, Initiate{.connection = kConnection,
                                .path = {{address_of(true), 500}, {*net::IpAddress::parse(kSecond), 500}},
                                .despite_doubtful = false,
                                .wish = std::nullopt,
                                .redirected_from = address_of(false)});
  pair.settle();
  EXPECT_TRUE(at_second());
}

// ---------------------------------------------------------------- IKE_AUTH (RFC 5685 6)

// The connection for the peer's identity sends it away; the one that IKE_SA_INIT was answered for does not.
TEST_F(RedirectTest, AtTheEndOfIkeAuth) {  // RFC 5685 6: the IKE SA stands, and is deleted
  auto first = config_of(false);
  first.remote_id = model::Identity::parse("somebody.else");
  auto second = gateway();
  second.id = model::ConnectionId(2);
  configure(pair, client(), first);
  pair.b.secrets[second.id] = pair.b.secrets[kConnection];
  pair.command(pair.b, ConfigureConnection{second});
  initiate(pair);
  pair.settle();
  ASSERT_EQ(pair.a.redirects.size(), 1u);
  EXPECT_EQ(pair.a.redirects[0].gateway, kSecond);
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
  EXPECT_TRUE(no_leaks(pair));
  // It is deleted by the client.
  const auto deletes = std::ranges::count_if(pair.wire, [](const Datagram& one) {
    return one.from_a && one.header().exchange == model::ExchangeType::informational;
  });
  EXPECT_EQ(deletes, 1);
  follow_last();
  EXPECT_TRUE(at_second());
}

// ---------------------------------------------------------------- while it stands (RFC 5685 5)

TEST_F(RedirectTest, WhileTheIkeSaStands) {
  start(client(), gateway(""));
  ASSERT_TRUE(in_step(pair));
  const model::IkeSaId old = pair.a.ike_sa().ike_sa;
  pair.command(pair.b, RedirectPeers{.connection = kConnection, .gateway = std::string(kSecond)});
  pair.settle();
  ASSERT_EQ(pair.a.redirects.size(), 1u);
  EXPECT_EQ(pair.a.redirects[0].ike_sa, old) << "which stands until there is another";
  ASSERT_TRUE(in_step(pair));
  follow_last();
  EXPECT_EQ(pair.a.ike_sas.size(), 2u);
  EXPECT_EQ(pair.a.children.size(), 2u);
  pair.advance(seconds(5));
  EXPECT_TRUE(at_second());
  ASSERT_EQ(pair.a.closed.size(), 1u);
  EXPECT_EQ(pair.a.closed[0].reason, CloseReason::redirected);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(RedirectTest, WhoDoesNotLeaveIsSentOff) {  // RFC 5685 5: after a while that can be set
  auto b = gateway("");
  b.life.redirect_grace = seconds(20);
  start(client(), b);
  pair.command(pair.b, RedirectPeers{.connection = kConnection, .gateway = std::string(kSecond)});
  pair.advance(seconds(19));
  EXPECT_EQ(pair.b.ike_sas.size(), 1u);
  pair.advance(seconds(3));
  EXPECT_TRUE(pair.b.ike_sas.empty() && pair.a.ike_sas.empty());
}

TEST_F(RedirectTest, WhoDoesNotLeaveIsSentOffAlsoAfterARekey) {
  auto b = gateway("");
  b.life.redirect_grace = seconds(20);
  start(client(), b);
  // Ours is under way when the word comes.
  pair.command(pair.b, RekeyIkeSa{pair.b.ike_sa().ike_sa});
  const model::IkeSpi spi = pair.b.ike_sa().spi_i;
  pair.command(pair.b, RedirectPeers{.connection = kConnection, .gateway = std::string(kSecond)});
  pair.advance(seconds(19));
  ASSERT_EQ(pair.b.ike_sas.size(), 1u);
  EXPECT_NE(pair.b.ike_sa().spi_i, spi);
  EXPECT_EQ(pair.a.redirects.size(), 1u);
  pair.advance(seconds(3));
  EXPECT_TRUE(pair.b.ike_sas.empty() && pair.a.ike_sas.empty());
}

TEST_F(RedirectTest, WhoCannotFollowStays) {
  start(client(false), gateway(""));
  pair.command(pair.b, RedirectPeers{.connection = kConnection, .gateway = std::string(kSecond)});
  pair.advance(seconds(120));
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(pair.a.redirects.empty());
}

// RFC 5685 10: only the original responder sends anybody away.
TEST_F(RedirectTest, TheInitiatorSendsNobodyAway) {
  auto b = gateway("");
  b.life.follow_redirect = true;
  start(client(), b);
  pair.command(pair.a, RedirectPeers{.connection = kConnection, .gateway = std::string(kSecond)});
  pair.advance(seconds(120));
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(pair.b.redirects.empty());
}

TEST_F(RedirectTest, ARekeyKeepsWhatThePeerCan) {
  start(client(), gateway(""));
  pair.command(pair.b, RekeyIkeSa{pair.b.ike_sa().ike_sa});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  pair.command(pair.b, RedirectPeers{.connection = kConnection, .gateway = std::string(kSecond)});
  pair.settle();
  EXPECT_EQ(pair.a.redirects.size(), 1u);
}

}  // namespace
}  // namespace culvert::ike::v2
