// What a peer with the keys may answer to MOBIKE's questions (RFC 4555 3.5, 3.7), as either side: nothing moves that is
// not proved, and who returns another cookie is no peer any more.
#include <algorithm>

#include <gtest/gtest.h>

#include "ike/codec/seal.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::seconds;

const net::IpAddress kElsewhere = *net::IpAddress::parse("198.51.100.1");

net::Path between(const net::IpAddress& local, const net::IpAddress& remote) { return {{local, 4500}, {remote, 4500}}; }

enum class Cookie : std::uint8_t { returned, missing, other };

class MobikeAnswers : public ::testing::Test {
 protected:
  MobikeAnswers() : pair(1, exporting()) {
    bring_up(pair);
    pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
    pair.wire.clear();
  }
  /// The last request of a, or of b, opened.
  codec::Message asked(bool of_a) {
    const auto found = std::ranges::find_if(pair.wire.rbegin(), pair.wire.rend(), [&](const Datagram& one) {
      return one.from_a == of_a && !one.header().response;
    });
    CHECK(found != pair.wire.rend());
    const KeysExported& keys = pair.a.exported.front();
    auto opener = codec::MessageOpener::make(suite(), (of_a ? keys.sk_ei : keys.sk_er).view(), {});
    auto opened = opener->open(found->message, *codec::parse_message(found->message));
    CHECK(opened);
    return std::move(*opened);
  }
  /// The other side's answer to it, with COOKIE2 as is said, and with what else there is.
  Bytes answer(bool to_a, Cookie cookie, std::vector<NotifyType> further = {}) {
    const codec::Message request = asked(to_a);
    codec::Message message;
    message.header = request.header;
    message.header.initiator = !to_a;
    message.header.response = true;
    const auto* sent = request.notify(NotifyType::cookie2);
    CHECK(sent != nullptr);
    Bytes data = sent->data;
    if (cookie == Cookie::other) data.back() ^= 1;
    if (cookie != Cookie::missing) message.add_notify(NotifyType::cookie2, data);
    for (const NotifyType type : further) message.add_notify(type);
    const KeysExported& keys = pair.a.exported.front();
    auto sealer = codec::MessageSealer::make(suite(), (to_a ? keys.sk_er : keys.sk_ei).view(), {}, random_, 1000);
    return sealer->seal(message);
  }
  /// a moves, and tells b.
  void update() { pair.command(pair.a, UsePaths{pair.a.ike_sa().ike_sa, {between(kElsewhere, address_of(false))}}); }
  /// b is told that a has moved, and asks there.
  void be_updated() {
    Forger forger(pair.a.exported.front(), 2);
    codec::NotifyPayload update;
    update.type = NotifyType::update_sa_addresses;
    pair.inject(pair.b, between(address_of(false), kElsewhere), forger.request(ExchangeType::informational, {update}));
  }
  [[nodiscard]] crypto::PacketSuite suite() const {
    const auto& agreed = pair.a.exported.front().suite;
    return *model::packet_suite(agreed.encryption, agreed.key_bits, agreed.integrity);
  }

  Pair pair;

 private:
  SeededRandom random_{7};
};

TEST_F(MobikeAnswers, TheOtherSideMovesWhenTheCookieIsBack) {
  be_updated();
  EXPECT_TRUE(pair.b.moves.empty());
  pair.inject(pair.b, between(address_of(false), kElsewhere), answer(false, Cookie::returned));
  ASSERT_EQ(pair.b.moves.size(), 1u);
  EXPECT_EQ(pair.b.moves[0].path.remote.address, kElsewhere);
}

TEST_F(MobikeAnswers, WithoutTheCookieNothingIsProved) {
  be_updated();
  pair.inject(pair.b, between(address_of(false), kElsewhere), answer(false, Cookie::missing));
  EXPECT_TRUE(pair.b.moves.empty());
  EXPECT_EQ(pair.b.ike_sas.size(), 1u);
  EXPECT_TRUE(pair.b.logged("not returned COOKIE2"));
}

TEST_F(MobikeAnswers, AnotherCookieEndsTheIkeSa) {  // RFC 4555 3.7
  for (const bool of_a : {true, false}) {
    Host& host = pair.host(of_a);
    of_a ? update() : be_updated();
    const auto at = of_a ? between(kElsewhere, address_of(false)) : between(address_of(false), kElsewhere);
    pair.inject(host, at, answer(of_a, Cookie::other));
    EXPECT_TRUE(host.ike_sas.empty());
    EXPECT_TRUE(host.children.empty());
    ASSERT_EQ(host.closed.size(), 1u);
    EXPECT_EQ(host.closed[0].reason, CloseReason::protocol_error);
    EXPECT_TRUE(host.logged("another COOKIE2"));
  }
}

TEST_F(MobikeAnswers, WhoIsToldThatTheAddressesWillNotDoKeepsTheSas) {  // RFC 4555 3.5
  update();
  const std::size_t sent = pair.wire.size();
  pair.inject(pair.a, between(kElsewhere, address_of(false)),
              answer(true, Cookie::returned, {NotifyType::unacceptable_addresses}));
  EXPECT_TRUE(pair.a.logged("the peer does not accept"));
  EXPECT_EQ(pair.a.ike_sas.size(), 1u);
  EXPECT_EQ(pair.a.children.size(), 1u);
  EXPECT_EQ(pair.wire.size(), sent) << "the same is not asked for again";
}

TEST_F(MobikeAnswers, ANatWhereNoneMayBeIsTriedAgainAndNotForEver) {  // RFC 4555 3.9
  update();
  for (unsigned i = 0; i < 5; ++i) {
    const std::size_t sent = pair.wire.size();
    pair.inject(pair.a, between(kElsewhere, address_of(false)),
                answer(true, Cookie::returned, {NotifyType::unexpected_nat_detected}));
    EXPECT_EQ(pair.wire.size(), sent + (i < 4 ? 1 : 0)) << i;
  }
  EXPECT_TRUE(pair.a.logged("there is a NAT where none may be"));
  EXPECT_EQ(pair.a.ike_sas.size(), 1u);
}

}  // namespace
}  // namespace culvert::ike::v2
