// What strangers, broken peers and forgers send, and what they get: one defined outcome each (RFC 7296 2.5, 2.6, 2.21;
// published vulnerabilities of other implementations as inputs).
#include <utility>

#include <gtest/gtest.h>

#include "ike/codec/seal.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using model::PayloadType;
using std::chrono::milliseconds;
using std::chrono::seconds;

EndpointSettings with_keys() {
  EndpointSettings settings;
  settings.export_keys = true;
  return settings;
}

class Hostile : public ::testing::Test {
 protected:
  Hostile() : pair(1, with_keys()) {}

  std::uint64_t dropped(Host& host, DatagramDrop reason) {
    return host.endpoint().counters().dropped[static_cast<std::size_t>(reason)];
  }
  /// What `host` sends when the message arrives; nothing is delivered.
  std::vector<Datagram> answers(Host& host, const net::Path& path, const Bytes& message) {
    const auto fate = std::exchange(pair.fate, [](const Datagram&) { return std::vector<Duration>{}; });
    const std::size_t before = pair.wire.size();
    pair.inject(host, path, message);
    pair.fate = fate;
    return {pair.wire.begin() + static_cast<std::ptrdiff_t>(before), pair.wire.end()};
  }
  /// A request that a would send to b on their IKE SA, a being its initiator.
  Bytes forge(ExchangeType exchange, std::uint32_t id, codec::Message message, bool initiator = true,
              bool response = false) {
    const KeysExported& keys = pair.a.exported.back();
    const auto suite = *model::packet_suite(keys.suite.encryption, keys.suite.key_bits, keys.suite.integrity);
    const SecretBytes& sk_e = initiator ? keys.sk_ei : keys.sk_er;
    const SecretBytes& sk_a = initiator ? keys.sk_ai : keys.sk_ar;
    auto sealer = codec::MessageSealer::make(suite, sk_e.view(), sk_a.view(), random);
    message.header.spi_i = keys.spi_i;
    message.header.spi_r = keys.spi_r;
    message.header.exchange = exchange;
    message.header.initiator = initiator;
    message.header.response = response;
    message.header.message_id = model::MessageId(id);
    return sealer->seal(message);
  }
  codec::Message open(const Datagram& datagram) {
    const KeysExported& keys = pair.a.exported.back();
    const auto suite = *model::packet_suite(keys.suite.encryption, keys.suite.key_bits, keys.suite.integrity);
    const bool initiator = datagram.header().initiator;
    auto opener = codec::MessageOpener::make(suite, (initiator ? keys.sk_ei : keys.sk_er).view(),
                                             (initiator ? keys.sk_ai : keys.sk_ar).view());
    return *opener->open(datagram.message, *codec::parse_message(datagram.message));
  }
  net::Path at_b() const { return {{address_of(false), 4500}, {address_of(true), 4500}}; }
  codec::Message init_request(std::uint64_t spi) {
    codec::Message message;
    message.header.spi_i = model::IkeSpi(spi);
    message.header.initiator = true;
    message.add(codec::SaPayload{model::default_ike_proposals()});
    Bytes value(32);
    random.fill(value);
    message.add(codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = value});
    Bytes nonce(32);
    random.fill(nonce);
    message.add(codec::NoncePayload{nonce});
    return message;
  }
  net::Path stranger(std::uint16_t port = 500) const { return {{address_of(false), 500}, {address_of(true), port}}; }

  SeededRandom random{99};
  Pair pair;
};

TEST_F(Hostile, GarbageIsCountedAndDropped) {  // CVE-2013-4564
  configure(pair);
  Bytes octets = codec::serialize(init_request(1));
  for (std::size_t length = 0; length < octets.size(); ++length) {
    EXPECT_TRUE(answers(pair.b, stranger(), Bytes(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(length)))
                    .empty());
  }
  EXPECT_EQ(dropped(pair.b, DatagramDrop::malformed), octets.size());
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0u);
}

TEST_F(Hostile, AHigherMajorVersionIsToldOurs) {  // RFC 7296 2.5
  configure(pair);
  Bytes octets = codec::serialize(init_request(1));
  octets[17] = 0x30;
  const auto sent = answers(pair.b, stranger(), octets);
  ASSERT_EQ(sent.size(), 1u);
  const auto parsed = codec::parse_message(sent[0].message);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->header.response);
  EXPECT_EQ(codec::first_of<codec::NotifyPayload>(parsed->payloads)->type, NotifyType::invalid_major_version);
  octets[17] = 0x10;
  EXPECT_TRUE(answers(pair.b, stranger(), octets).empty()) << "IKEv1 is another daemon's";
  EXPECT_EQ(dropped(pair.b, DatagramDrop::unsupported_version), 2u);
}

TEST_F(Hostile, AnUnknownIkeSaIsAnsweredAtABoundedRate) {  // RFC 7296 2.21.4
  bring_up(pair);
  Bytes request = forge(ExchangeType::informational, 2, {});
  request[0] ^= 0xff;
  request[8] ^= 0xff;
  std::size_t count = 0;
  for (int n = 0; n < 1000; ++n) count += answers(pair.b, at_b(), request).size();
  EXPECT_GE(count, 1u);
  EXPECT_LE(count, 25u);
  Bytes response = forge(ExchangeType::informational, 2, {}, true, true);
  response[8] ^= 0xff;
  pair.advance(seconds(10));
  EXPECT_TRUE(answers(pair.b, at_b(), response).empty()) << "a response is never answered";
}

TEST_F(Hostile, AFloodOfSpoofedBeginningsKeepsNoStateBeyondTheLimit) {  // RFC 7296 2.6
  EndpointSettings settings;
  settings.cookie_threshold = 8;
  settings.half_open_limit = 16;
  Pair flooded(1, settings);
  configure(flooded);
  for (std::uint64_t n = 1; n <= 500; ++n) {
    flooded.inject(flooded.b, stranger(static_cast<std::uint16_t>(1000 + n)), codec::serialize(init_request(n)));
  }
  EXPECT_EQ(flooded.b.endpoint().counters().half_open, 8u);
  // An honest peer comes through, by its cookie.
  initiate(flooded, true);
  flooded.settle();
  EXPECT_TRUE(in_step(flooded));
  flooded.advance(seconds(40));
  EXPECT_EQ(flooded.b.endpoint().counters().half_open, 0u);
}

TEST_F(Hostile, NothingButIkeAuthIsHeardBeforeAuthentication) {  // CVE-2019-12312, CVE-2014-2338
  pair.fate = [](const Datagram& d) {
    return d.header().exchange == ExchangeType::ike_auth ? std::vector<Duration>{}
                                                         : std::vector<Duration>{Pair::kLatency};
  };
  bring_up(pair);
  for (const auto exchange : {ExchangeType::informational, ExchangeType::create_child_sa}) {
    EXPECT_TRUE(answers(pair.b, at_b(), forge(exchange, 1, {})).empty());
    EXPECT_TRUE(answers(pair.a, path_from(true, 4500), forge(exchange, 0, {}, false)).empty());
  }
  pair.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
  EXPECT_TRUE(pair.run_until([&] { return in_step(pair); })) << "and harms nothing";
}

TEST_F(Hostile, ForgedErrorsDoNotEndASetUp) {  // RFC 7296 2.21.1
  for (const auto type :
       {NotifyType::no_proposal_chosen, NotifyType::invalid_syntax, NotifyType::authentication_failed}) {
    Pair victim(static_cast<std::uint64_t>(type));
    configure(victim);
    initiate(victim, true);
    codec::Message forged;
    forged.header = victim.wire.back().header();
    forged.header.initiator = false;
    forged.header.response = true;
    forged.add_notify(type);
    victim.inject(victim.a, path_from(true), codec::serialize(forged));
    victim.settle();
    EXPECT_TRUE(in_step(victim)) << static_cast<int>(type);
    EXPECT_TRUE(victim.a.failures.empty());
  }
}

TEST_F(Hostile, AForgedInvalidKePayloadCostsARoundTripAtMost) {  // RFC 7296 2.21.1
  configure(pair);
  initiate(pair, true);
  codec::Message forged;
  forged.header = pair.wire.back().header();
  forged.header.initiator = false;
  forged.header.response = true;
  const Bytes ecp_384 = {0, 20};
  forged.add_notify(NotifyType::invalid_ke_payload, ecp_384);
  pair.inject(pair.a, path_from(true), codec::serialize(forged));
  const Bytes private_use = {4, 1};  // CVE-2014-9221
  forged.payloads.clear();
  forged.add_notify(NotifyType::invalid_ke_payload, private_use);
  pair.inject(pair.a, path_from(true), codec::serialize(forged));
  pair.settle();
  EXPECT_TRUE(in_step(pair));
}

TEST_F(Hostile, EndlessCookiesComeToAnEnd) {  // RFC 7296 2.6
  configure(pair);
  pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
  initiate(pair, true);
  for (std::uint8_t n = 0; n < 100; ++n) {
    codec::Message cookie;
    cookie.header = pair.wire.front().header();
    cookie.header.initiator = false;
    cookie.header.response = true;
    const Bytes data = {n, 1, 2};
    cookie.add_notify(NotifyType::cookie, data);
    pair.inject(pair.a, path_from(true), codec::serialize(cookie));
  }
  EXPECT_LE(pair.wire.size(), 8u);
}

TEST_F(Hostile, AnUnknownCriticalPayloadIsRefusedByItsNumber) {  // RFC 7296 2.5
  bring_up(pair);
  codec::Message message;
  message.add(codec::UnknownPayload{.type = 200, .critical = true, .body = {1, 2}});
  const auto sent = answers(pair.b, at_b(), forge(ExchangeType::informational, 2, message));
  ASSERT_EQ(sent.size(), 1u);
  const codec::Message answer = open(sent[0]);
  const auto* notify = answer.notify(NotifyType::unsupported_critical_payload);
  ASSERT_NE(notify, nullptr);
  EXPECT_EQ(notify->data, (Bytes{200}));
  EXPECT_EQ(pair.b.ike_sas.size(), 1u) << "the IKE SA stands";
}

TEST_F(Hostile, UnknownPayloadsNotificationsAndVendorIdsAreIgnored) {  // RFC 7296 2.5, RFC 7296 3.12
  bring_up(pair);
  codec::Message message;
  message.add(codec::UnknownPayload{.type = 200, .critical = false, .body = {1, 2}});
  message.add(codec::VendorIdPayload{{1, 2, 3}});
  message.add_notify(static_cast<NotifyType>(40000));
  message.add_notify(static_cast<NotifyType>(9999));
  const auto sent = answers(pair.b, at_b(), forge(ExchangeType::informational, 2, message));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_TRUE(open(sent[0]).payloads.empty());
  EXPECT_EQ(pair.b.ike_sas.size(), 1u);
}

TEST_F(Hostile, AMissingPayloadIsInvalidSyntaxAndFatal) {  // RFC 7296 2.21.3, CVE-2013-6466
  bring_up(pair);
  codec::Message message;
  message.add(codec::NoncePayload{Bytes(32, 1)});
  const auto sent = answers(pair.b, at_b(), forge(ExchangeType::create_child_sa, 2, message));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_NE(open(sent[0]).notify(NotifyType::invalid_syntax), nullptr);
  ASSERT_EQ(pair.b.closed.size(), 1u);
  EXPECT_EQ(pair.b.closed[0].reason, CloseReason::protocol_error);
}

TEST_F(Hostile, ARekeyOfNoSaHasAValidAnswer) {  // CVE-2023-38710, RFC 7296 2.25
  bring_up(pair);
  std::uint32_t id = 2;
  for (const auto protocol :
       {model::ProtocolId::none, model::ProtocolId::ike, model::ProtocolId::ah, model::ProtocolId::esp}) {
    codec::Message message;
    const Bytes spi = protocol == model::ProtocolId::none  ? Bytes{}
                      : protocol == model::ProtocolId::ike ? Bytes(8, 7)
                                                           : Bytes(4, 7);
    message.add(codec::NotifyPayload{.protocol = protocol, .spi = spi, .type = NotifyType::rekey_sa, .data = {}});
    auto proposals = model::default_esp_proposals();
    for (auto& proposal : proposals) proposal.spi = Bytes(4, 9);
    message.add(codec::SaPayload{proposals});
    message.add(codec::NoncePayload{Bytes(32, 1)});
    message.add(codec::TsPayload{.side = model::Role::initiator, .selectors = subnet("10.1.0.0/16"), .unknown = {}});
    message.add(codec::TsPayload{.side = model::Role::responder, .selectors = subnet("10.2.0.0/16"), .unknown = {}});
    const auto sent = answers(pair.b, at_b(), forge(ExchangeType::create_child_sa, id++, message));
    ASSERT_EQ(sent.size(), 1u);
    const codec::Message answer = open(sent[0]);
    ASSERT_NE(answer.notify(NotifyType::child_sa_not_found), nullptr);
    if (protocol == model::ProtocolId::esp) {
      EXPECT_EQ(answer.notify(NotifyType::child_sa_not_found)->spi, Bytes(4, 7));
    }
  }
  EXPECT_EQ(pair.b.children.size(), 1u);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(Hostile, SeveralDeletesInOneMessageTheIkeSaLast) {  // RFC 7296 3.11, CVE-2023-38712
  bring_up(pair);
  codec::Message message;
  message.add(codec::DeletePayload{.protocol = model::ProtocolId::esp,
                                   .spis = {pair.b.child().spi_outbound, model::Spi(0x77777)}});
  message.add(codec::DeletePayload{.protocol = model::ProtocolId::ah, .spis = {model::Spi(0x1234)}});
  message.add(codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}});
  message.add(codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {model::Spi(0x99999)}});
  const Bytes request = forge(ExchangeType::informational, 2, message);
  ASSERT_EQ(answers(pair.b, at_b(), request).size(), 1u);
  EXPECT_TRUE(pair.b.ike_sas.empty());
  EXPECT_TRUE(pair.b.children.empty());
  EXPECT_EQ(answers(pair.b, at_b(), request).size(), 1u) << "a retransmission gets the same answer";
}

TEST_F(Hostile, AWrongIcvIsDroppedAndChangesNothing) {
  bring_up(pair);
  Bytes request = forge(ExchangeType::informational, 2, {});
  request.back() ^= 1;
  EXPECT_TRUE(answers(pair.b, at_b(), request).empty());
  EXPECT_EQ(dropped(pair.b, DatagramDrop::bad_integrity), 1u);
  EXPECT_TRUE(answers(pair.b, at_b(), forge(ExchangeType::informational, 7, {})).empty()) << "outside the window";
  EXPECT_EQ(dropped(pair.b, DatagramDrop::old_message_id), 1u);
}

TEST_F(Hostile, AnInitiatorFromNowhereIsReportedAtABoundedRate) {
  configure(pair);
  for (std::uint64_t n = 1; n <= 100; ++n) {
    const net::Path path = {{address_of(false), 500}, {*net::IpAddress::parse("198.51.100.66"), 500}};
    EXPECT_TRUE(answers(pair.b, path, codec::serialize(init_request(n))).empty());
  }
  EXPECT_EQ(dropped(pair.b, DatagramDrop::no_connection), 100u);
  EXPECT_GE(pair.b.failures.size(), 1u);
  EXPECT_LE(pair.b.failures.size(), 10u);
  EXPECT_EQ(pair.b.failures[0].kind, FailureKind::unknown_peer);
}

TEST_F(Hostile, BadKeyExchangeValuesMakeNoState) {  // CVE-2015-3240, CVE-2023-41913
  configure(pair);
  for (const std::size_t length : {0uz, 1uz, 31uz, 33uz, 64uz, 1000uz, 32uz}) {
    codec::Message request = init_request(length + 1);
    std::get<codec::KePayload>(request.payloads[1]).public_value = Bytes(length, 0);
    if (length == 0) continue;  // not writable as a payload
    EXPECT_TRUE(answers(pair.b, stranger(), codec::serialize(request)).empty()) << length;
  }
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0u);
}

}  // namespace
}  // namespace culvert::ike::v2
