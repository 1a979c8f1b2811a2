#include "radius/dynamic_authorization.hpp"

#include <gtest/gtest.h>

namespace culvert::radius {
namespace {

using enum AttributeType;
using std::chrono::seconds;

const ByteView kSecret = as_bytes("what both ends know of each other");
constexpr std::int64_t kClock = 1700000000;

class RadiusDynamic : public ::testing::Test {
 protected:
  using Taken = DynamicAuthorization::Taken;
  static PacketBuilder disconnect(std::string_view user = "carol") {
    PacketBuilder builder(Code::disconnect_request);
    builder.add_text(user_name, user);
    return builder;
  }
  static PacketBuilder coa() {
    PacketBuilder builder(Code::coa_request);
    builder.add_text(acct_session_id, "5e55");
    return builder;
  }
  Result<Taken, std::string_view> take(ByteView octets) { return dynamic.take(from, octets, kClock, now); }
  Result<Taken, std::string_view> take(const PacketBuilder& builder) { return take(builder.with_proof(9, kSecret)); }
  /// The cause with which it is refused at once.
  std::optional<std::uint32_t> refusal(const PacketBuilder& builder) {
    ++now_number;
    request = builder.with_proof(static_cast<std::uint8_t>(now_number), kSecret);
    auto taken = take(request);
    if (!taken || !std::holds_alternative<Bytes>(*taken)) return std::nullopt;
    answered = std::get<Bytes>(*taken);
    const auto packet = parse(answered);
    EXPECT_TRUE(is_answer_to(*packet, authenticator_of(request), kSecret));
    EXPECT_EQ(packet->code, builder.code() == Code::coa_request ? Code::coa_nak : Code::disconnect_nak);
    return packet->number(error_cause);
  }

  Nas nas{.radius = "office", .identifier = "gw", .accounting = true, .interim_interval = {}};
  DynamicAuthorization dynamic{nas, SecretBytes::copy_of(kSecret)};
  net::Endpoint from = *net::Endpoint::parse("192.0.2.9:40000");
  Instant now{seconds(100)};
  unsigned now_number = 0;
  Bytes request, answered;
};

TEST_F(RadiusDynamic, DisconnectIsUnderstoodAndAnsweredOnce) {
  auto builder = disconnect();
  builder.add(framed_ip_address, Bytes{10, 9, 0, 7});
  builder.add_text(nas_identifier, "gw");
  builder.add_text(calling_station_id, "198.51.100.7");
  builder.add_text(proxy_state, "one");
  builder.add_text(proxy_state, "two");
  const Bytes octets = builder.with_proof(9, kSecret, true);
  auto taken = take(octets);
  ASSERT_TRUE(taken);
  const auto* wanted = std::get_if<DynamicAuthorization::Wanted>(&*taken);
  ASSERT_NE(wanted, nullptr);
  EXPECT_EQ(wanted->query.radius, "office");
  EXPECT_EQ(wanted->query.user, "carol");
  EXPECT_EQ(wanted->query.calling_station, "198.51.100.7");
  ASSERT_EQ(wanted->query.addresses.size(), 1U);
  const Bytes ack = dynamic.answer(*wanted, 1, now);
  const Packet packet = *parse(ack);
  EXPECT_EQ(packet.code, Code::disconnect_ack);
  EXPECT_EQ(packet.identifier, 9);
  EXPECT_TRUE(is_answer_to(packet, authenticator_of(octets), kSecret));
  EXPECT_EQ(message_proof(packet, authenticator_of(octets), kSecret), MessageProof::right);
  EXPECT_EQ(packet.all(proxy_state).size(), 2U);
  // RFC 5176 2.3: the same once more gets the same answer, and is not carried out again.
  taken = take(octets);
  ASSERT_TRUE(std::holds_alternative<Bytes>(*taken));
  EXPECT_EQ(std::get<Bytes>(*taken), ack);
  now += DynamicAuthorization::kKept;
  EXPECT_TRUE(std::holds_alternative<DynamicAuthorization::Wanted>(*take(octets)));
}

TEST_F(RadiusDynamic, NobodyIsMeant) {
  const auto taken = take(disconnect());
  const Bytes nak = dynamic.answer(std::get<DynamicAuthorization::Wanted>(*taken), 0, now);
  EXPECT_EQ(parse(nak)->code, Code::disconnect_nak);
  EXPECT_EQ(parse(nak)->number(error_cause), 503U);
}

TEST_F(RadiusDynamic, ChangeIsUnderstood) {
  auto builder = coa();
  builder.add_number(session_timeout, 60);
  builder.add_number(idle_timeout, 30);
  builder.add_number(acct_interim_interval, 1);
  builder.add_text(class_, "sales");
  const auto taken = take(builder);
  const auto& wanted = std::get<DynamicAuthorization::Wanted>(*taken);
  EXPECT_EQ(wanted.query.session_id, "5e55");
  EXPECT_EQ(wanted.change.session_timeout, seconds(60));
  EXPECT_EQ(wanted.change.idle_timeout, seconds(30));
  EXPECT_EQ(wanted.change.interim_interval, seconds(60));
  EXPECT_EQ(wanted.change.classes.size(), 1U);
  EXPECT_EQ(parse(dynamic.answer(wanted, 2, now))->code, Code::coa_ack);
}

// RFC 5176 3.5.
TEST_F(RadiusDynamic, WhatCannotBeDoneIsRefusedWhole) {
  auto other = disconnect();
  other.add_text(nas_identifier, "another gateway");
  EXPECT_EQ(refusal(other), 403U);
  EXPECT_EQ(refusal(PacketBuilder(Code::disconnect_request)), 402U);
  auto place = PacketBuilder(Code::disconnect_request);
  place.add(nas_ip_address, Bytes{192, 0, 2, 1});
  place.add_text(nas_port_id, "workers");
  EXPECT_EQ(refusal(place), 402U) << "a whole gateway is nobody's session";
  EXPECT_EQ(refusal(coa()), 402U);
  auto filter = coa();
  filter.add_text(static_cast<AttributeType>(11), "a filter");
  EXPECT_EQ(refusal(filter), 401U);
  auto authorize = coa();
  authorize.add_number(service_type, kServiceAuthorizeOnly);
  EXPECT_EQ(refusal(authorize), 405U);
  auto timeout = disconnect();
  timeout.add_number(session_timeout, 5);
  EXPECT_EQ(refusal(timeout), 401U);
  auto odd = coa();
  odd.add(session_timeout, Bytes{1, 2});
  EXPECT_EQ(refusal(odd), 407U);
  auto address = disconnect();
  address.add(framed_ip_address, Bytes{1, 2, 3});
  EXPECT_EQ(refusal(address), 407U);
}

TEST_F(RadiusDynamic, AnswersAlwaysFit) {
  auto builder = PacketBuilder(Code::disconnect_request);
  while (builder.size() + 2 + kMostValue <= kMostPacket) builder.add(proxy_state, Bytes(kMostValue, 1));
  EXPECT_EQ(refusal(builder), 402U);
  EXPECT_LE(answered.size(), kMostPacket);
}

TEST_F(RadiusDynamic, WhatIsNotProvedIsDropped) {
  const Bytes good = disconnect().with_proof(1, kSecret, true);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bent = good;
    bent[i] ^= 1;
    EXPECT_FALSE(take(bent)) << i;
  }
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(take(ByteView(good).first(size))) << size;
  EXPECT_FALSE(take(disconnect().with_proof(1, as_bytes("another secret"))));
  EXPECT_FALSE(take(PacketBuilder(Code::access_request).with_proof(1, kSecret)));
  EXPECT_TRUE(take(good));
}

// RFC 5176 6.3.
TEST_F(RadiusDynamic, OldRequestsAreDropped) {
  for (const auto& [offset, fits] : {std::pair(-301, false), {-300, true}, {300, true}, {301, false}}) {
    auto builder = disconnect();
    builder.add_number(event_timestamp, static_cast<std::uint32_t>(kClock + offset));
    EXPECT_EQ(take(builder).has_value(), fits) << offset;
  }
}

TEST_F(RadiusDynamic, AnswersKeptAreBounded) {
  for (unsigned i = 0; i < 1000; ++i) {
    auto builder = disconnect(std::to_string(i));
    const auto taken = take(builder);
    (void)dynamic.answer(std::get<DynamicAuthorization::Wanted>(*taken), 1, now);
  }
  // The first one is forgotten.
  EXPECT_TRUE(std::holds_alternative<DynamicAuthorization::Wanted>(*take(disconnect("0"))));
  EXPECT_TRUE(std::holds_alternative<Bytes>(*take(disconnect("999"))));
}

}  // namespace
}  // namespace culvert::radius
