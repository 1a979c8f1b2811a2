#include "ike/codec/serialize.hpp"

#include <gtest/gtest.h>

#include "ike/codec/parse.hpp"

namespace culvert::ike::codec {
namespace {

using model::NotifyType;
using model::PayloadType;
using model::ProtocolId;
using model::Role;
using model::TransformType;

Header header_of_request() {
  Header header;
  header.spi_i = model::IkeSpi(0x0102030405060708);
  header.spi_r = model::IkeSpi(0x1112131415161718);
  header.exchange = model::ExchangeType::create_child_sa;
  header.initiator = true;
  header.message_id = model::MessageId(7);
  return header;
}

model::Proposal ike_proposal() {
  return {
      .number = 1,
      .protocol = ProtocolId::ike,
      .spi = Bytes(8, 0xaa),
      .transforms = {{TransformType::encryption, 20, 256}, {TransformType::prf, 5}, {TransformType::key_exchange, 31}}};
}

model::Proposal esp_proposal() {
  return {
      .number = 2,
      .protocol = ProtocolId::esp,
      .spi = {1, 2, 3, 4},
      .transforms = {{TransformType::encryption, 12, 128}, {TransformType::integrity, 12}, {TransformType::esn, 0}}};
}

model::TrafficSelector selector(const char* text) { return model::TrafficSelector::parse(text).value(); }

/// Every payload at least once, with every optional part.
std::vector<Payload> every_payload() {
  return {
      SaPayload{{ike_proposal(), esp_proposal()}},
      KePayload{model::KeyExchangeMethod::curve25519, Bytes(32, 0x55)},
      IdPayload{Role::initiator, model::Identity{model::IdentificationType::fqdn, Bytes{'g', 'w'}}},
      IdPayload{Role::responder, model::Identity{model::IdentificationType::ipv4_addr, {192, 0, 2, 1}}},
      CertPayload{model::CertificateEncoding::x509_signature, {0x30, 0x00}},
      CertReqPayload{model::CertificateEncoding::x509_signature, Bytes(20, 1)},
      CertReqPayload{model::CertificateEncoding::crl, {}},
      AuthPayload{model::AuthenticationMethod::shared_key_mic, Bytes(32, 9)},
      NoncePayload{Bytes(32, 3)},
      NotifyPayload{ProtocolId::none, {}, NotifyType::initial_contact, {}},
      NotifyPayload{ProtocolId::esp, {1, 2, 3, 4}, NotifyType::rekey_sa, {}},
      NotifyPayload{ProtocolId::none, {}, NotifyType::cookie, Bytes(64, 4)},
      DeletePayload{ProtocolId::ike, {}},
      DeletePayload{ProtocolId::esp, {model::Spi(0x01020304), model::Spi(0xfffefdfc)}},
      VendorIdPayload{{1, 2, 3}},
      TsPayload{Role::initiator, {selector("10.0.0.0/8"), selector("10.0.0.1-10.0.0.9[tcp/80-90]")}, {}},
      TsPayload{
          Role::responder,
          {selector("2001:db8::/32[udp]"),
           {.addresses = net::AddressRange::all(net::Family::v4), .protocol = 47, .start_port = 0xffff, .end_port = 0}},
          {UnknownSelector{10, 0, {1, 2, 3}}}},
      ConfigurationPayload{model::ConfigurationType::request, {{1, {}}, {3, {10, 0, 0, 1}}}},
      EapPayload{{1, 0, 0, 4}},
      UnknownPayload{200, true, {1, 2, 3, 4, 5}},
      UnknownPayload{201, false, {}},
  };
}

TEST(Serialize, EveryPayloadComesBackAsItWas) {
  for (const Payload& payload : every_payload()) {
    Message message{header_of_request(), {payload}};
    const Bytes wire = serialize(message);
    const auto parsed = parse_message(wire);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(parsed->payloads, message.payloads) << model::name_of(type_of(payload));
    EXPECT_EQ(parsed->header.next_payload, type_of(payload));
    EXPECT_EQ(parsed->header.length, wire.size());
  }
}

TEST(Serialize, AllPayloadsInOneMessage) {
  const Message message{header_of_request(), every_payload()};
  const Bytes wire = serialize(message);
  const auto parsed = parse_message(wire);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(parsed->payloads, message.payloads);
  EXPECT_FALSE(parsed->sealed);
  EXPECT_EQ(serialize(Message{parsed->header, parsed->payloads}), wire);

  const auto chain = parse_payloads(first_type(message.payloads), serialize_payloads(message.payloads));
  ASSERT_TRUE(chain);
  EXPECT_EQ(*chain, message.payloads);
}

TEST(Serialize, HeaderFlagsAndVersions) {
  for (int flags = 0; flags < 8; ++flags) {
    Message message{header_of_request(), {}};
    message.header.initiator = (flags & 1) != 0;
    message.header.response = (flags & 2) != 0;
    message.header.version = (flags & 4) != 0;
    message.header.minor_version = 3;
    const Bytes wire = serialize(message);
    ASSERT_EQ(wire.size(), kHeaderSize);
    const auto header = parse_header(wire);
    ASSERT_TRUE(header);
    message.header.length = kHeaderSize;
    EXPECT_EQ(*header, message.header);
  }
}

// RFC 7296 3.1: the exact place of every field.
TEST(Serialize, HeaderOctets) {
  Message message{header_of_request(), {}};
  message.add_notify(NotifyType::initial_contact);
  EXPECT_EQ(to_hex(serialize(message)),
            "01020304050607081112131415161718"
            "2920240800000007"
            "00000024"
            "0000000800004000");
}

TEST(Serialize, CriticalBitOnlyOnUnknownPayloads) {
  const Bytes wire = serialize(Message{header_of_request(), every_payload()});
  std::size_t at = kHeaderSize;
  auto type = static_cast<PayloadType>(wire[16]);
  std::size_t critical = 0;
  while (type != PayloadType::none) {
    if (wire[at + 1] != 0) {
      ++critical;
      EXPECT_EQ(static_cast<int>(type), 200);
      EXPECT_EQ(wire[at + 1], 0x80);
    }
    type = static_cast<PayloadType>(wire[at]);
    at += load_be16(wire.data() + at + 2);
  }
  EXPECT_EQ(at, wire.size());
  EXPECT_EQ(critical, 1U);
}

TEST(Serialize, IdentityBodyIsTypeReservedData) {
  const IdPayload id{Role::initiator, model::Identity{model::IdentificationType::ipv4_addr, {10, 80, 80, 13}}};
  EXPECT_EQ(to_hex(id.body()), "010000000a50500d");
}

// RFC 7296 2.15: AUTH covers the reserved octets as the peer sent them.
TEST(Serialize, IdentityKeepsReservedOctetsForAuth) {
  const auto payload = parse_payload_body(PayloadType::id_r, false, from_hex("01aabbcc0a50500d").value());
  ASSERT_TRUE(payload);
  EXPECT_EQ(to_hex(std::get<IdPayload>(*payload).body()), "01aabbcc0a50500d");
}

TEST(Message, FindsPayloads) {
  const Message message{header_of_request(), every_payload()};
  EXPECT_EQ(message.first<SaPayload>()->proposals.size(), 2U);
  EXPECT_EQ(message.all<NotifyPayload>().size(), 3U);
  EXPECT_EQ(message.count(PayloadType::notify), 3U);
  EXPECT_EQ(message.count(PayloadType::id_r), 1U);
  EXPECT_EQ(message.notify(NotifyType::rekey_sa)->child_spi(), model::Spi(0x01020304));
  EXPECT_EQ(message.notify(NotifyType::cookie)->child_spi(), std::nullopt);
  EXPECT_EQ(message.notify(NotifyType::temporary_failure), nullptr);
  EXPECT_EQ(message.error_notify(), nullptr);
  EXPECT_EQ(message.id(Role::responder)->identity.data, (Bytes{192, 0, 2, 1}));
  EXPECT_EQ(message.ts(Role::initiator)->selectors.size(), 2U);
  EXPECT_EQ(message.ts(Role::responder)->unknown.size(), 1U);
  EXPECT_EQ(unsupported_critical(message.payloads), 200);
  EXPECT_EQ(unsupported_critical({UnknownPayload{200, false, {}}}), std::nullopt);
}

TEST(Message, FindsTheErrorNotification) {
  Message message{header_of_request(), {}};
  message.add_notify(NotifyType::initial_contact);
  message.add_notify(NotifyType::no_proposal_chosen);
  ASSERT_NE(message.error_notify(), nullptr);
  EXPECT_EQ(message.error_notify()->type, NotifyType::no_proposal_chosen);
  EXPECT_EQ(message.id(Role::initiator), nullptr);
  EXPECT_EQ(message.ts(Role::initiator), nullptr);
}

TEST(Message, SummaryNamesExchangeAndPayloads) {
  Message message{header_of_request(), {NoncePayload{Bytes(16)}, UnknownPayload{200, false, {}}}};
  message.add_notify(NotifyType::rekey_sa);
  message.add_notify(static_cast<NotifyType>(40000));
  const std::string text = summary(message);
  EXPECT_TRUE(text.starts_with("CREATE_CHILD_SA request 7 [")) << text;
  EXPECT_NE(text.find("N(REKEY_SA)"), std::string::npos) << text;
  EXPECT_NE(text.find("N(40000)"), std::string::npos) << text;
  EXPECT_NE(text.find(" 200 "), std::string::npos) << text;
}

}  // namespace
}  // namespace culvert::ike::codec
