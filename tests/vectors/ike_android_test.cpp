// One real exchange, piece by piece, from the tests of Android's IKE library: AES-CBC-128, HMAC-SHA1, MODP-1024, shared
// key.
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "ike/auth/nat_detection.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/keys.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

namespace auth = ike::auth;
namespace codec = ike::codec;
namespace v2 = ike::v2;
using model::PayloadType;

/// The string constants of one of the source's test classes.
class Constants {
 public:
  explicit Constants(const std::filesystem::path& path) : constants_(read_json(path).at("constants")) {}
  [[nodiscard]] Bytes octets(const char* name) const { return hex(constants_.at(name).get<std::string>()); }

 private:
  nlohmann::json constants_;
};

/// A payload with its generic header in front, whose type the vector does not name.
codec::Payload whole_payload(PayloadType type, ByteView octets) {
  EXPECT_EQ(load_be16(octets.data() + 2), octets.size());
  const auto payload = codec::parse_payload_body(type, false, octets.subspan(codec::kPayloadHeaderSize));
  EXPECT_TRUE(payload) << payload.error().to_string();
  // Written again it is the same but for the next-payload field.
  if (payload) {
    EXPECT_EQ(to_hex(codec::serialize_payloads({*payload})).substr(2), to_hex(octets).substr(2));
  }
  return payload.value_or(codec::VendorIdPayload{});
}

TEST(Android, IkeSaInit) {
  REQUIRE_VECTORS(path, "android-ike/IkeHeaderTest.json");
  const Bytes wire = Constants(path).octets("IKE_SA_INIT_RAW_PACKET");
  const auto parsed = codec::parse_message(wire);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(parsed->header.spi_i.value(), 0x8f54bf6d8b48e6e1U);
  EXPECT_EQ(parsed->header.spi_r.value(), 0U);
  EXPECT_EQ(parsed->header.exchange, model::ExchangeType::ike_sa_init);
  EXPECT_TRUE(parsed->header.initiator);
  EXPECT_FALSE(parsed->header.response);
  EXPECT_EQ(parsed->header.length, 336U);
  EXPECT_EQ(codec::summary({parsed->header, parsed->payloads}).substr(0, 21), "IKE_SA_INIT request 0");
  EXPECT_EQ(to_hex(codec::serialize({parsed->header, parsed->payloads})), to_hex(wire));
}

TEST(Android, SinglePayloads) {
  REQUIRE_VECTORS(ids, "android-ike/IkeIdPayloadTest.json");
  const Constants id(ids);
  const auto v4 = std::get<codec::IdPayload>(
      whole_payload(PayloadType::id_r, id.octets("IPV4_ADDR_ID_PAYLOAD_RESPONDER_HEX_STRING")));
  EXPECT_EQ(v4.identity.to_string(), "192.0.2.100");
  EXPECT_EQ(v4.body(), id.octets("IPV4_ADDR_ID_PAYLOAD_RESPONDER_BODY_HEX_STRING"));
  const auto v6 = std::get<codec::IdPayload>(
      whole_payload(PayloadType::id_r, id.octets("IPV6_ADDR_ID_PAYLOAD_RESPONDER_HEX_STRING")));
  EXPECT_EQ(v6.identity.to_string(), "0:2001:0:db8::1");

  REQUIRE_VECTORS(kes, "android-ike/IkeKePayloadTest.json");
  const Constants ke_constants(kes);
  const auto ke = codec::parse_payload_body(PayloadType::ke, false, ke_constants.octets("KE_PAYLOAD_RAW_PACKET"));
  ASSERT_TRUE(ke);
  EXPECT_EQ(std::get<codec::KePayload>(*ke).method, model::KeyExchangeMethod::modp_1024);
  EXPECT_EQ(std::get<codec::KePayload>(*ke).public_value, ke_constants.octets("KEY_EXCHANGE_DATA_RAW_PACKET"));

  REQUIRE_VECTORS(ts_file, "android-ike/IkeTsPayloadTest.json");
  const auto ts = std::get<codec::TsPayload>(
      whole_payload(PayloadType::ts_i, Constants(ts_file).octets("TS_INITIATOR_PAYLOAD_HEX_STRING")));
  ASSERT_EQ(ts.selectors.size(), 2U);
  EXPECT_EQ(ts.selectors[0], model::TrafficSelector::all(net::Family::v4));
  EXPECT_EQ(ts.selectors[1].to_string(), "0.0.0.1-255.255.255.254");

  REQUIRE_VECTORS(child, "android-ike/ChildSessionStateMachineTest.json");
  const auto sa =
      std::get<codec::SaPayload>(whole_payload(PayloadType::sa, Constants(child).octets("IKE_AUTH_REQ_SA_PAYLOAD")));
  EXPECT_EQ(sa.proposals.at(0).spi, Constants(child).octets("CURRENT_CHILD_SA_SPI_IN"));
}

TEST(Android, Selectors) {
  REQUIRE_VECTORS(path, "android-ike/IkeTrafficSelectorTest.json");
  const Constants constants(path);
  const auto parse = [&](const char* name) {
    return codec::parse_payload_body(PayloadType::ts_i, false, concat({Bytes{1, 0, 0, 0}, constants.octets(name)}));
  };
  const auto one = parse("TS_IPV4_ONE_HEX_STRING");
  ASSERT_TRUE(one);
  const auto& selector = std::get<codec::TsPayload>(*one).selectors.at(0);
  EXPECT_EQ(selector.start_port, 16);
  EXPECT_EQ(selector.end_port, 65520);
  EXPECT_TRUE(parse("TS_IPV4_TWO_HEX_STRING"));
  EXPECT_EQ(parse("TX_IPV4_INVALID_PORT_RANGE_HEX_STRING").error().fault, codec::ParseFault::bad_selector);
  EXPECT_EQ(parse("TX_IPV4_INVALID_ADDRESS_RANGE_HEX_STRING").error().fault, codec::ParseFault::bad_selector);
}

TEST(Android, Proposals) {
  REQUIRE_VECTORS(path, "android-ike/IkeSaPayloadTest.json");
  const Constants constants(path);
  const auto parse = [&](const char* name) {
    const auto payload = codec::parse_payload_body(PayloadType::sa, false, constants.octets(name));
    EXPECT_TRUE(payload) << payload.error().to_string();
    return std::get<codec::SaPayload>(payload.value()).proposals;
  };
  const auto one = parse("INBOUND_PROPOSAL_RAW_PACKET");
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].protocol, model::ProtocolId::ike);
  EXPECT_EQ(one[0].transforms.size(), 4U);
  const auto two = parse("INBOUND_TWO_PROPOSAL_RAW_PACKET");
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[0].number, 1);
  EXPECT_EQ(two[1].number, 2);
  EXPECT_EQ(two[0].transforms.size(), 25U);
  EXPECT_EQ(
      codec::parse_payload_body(PayloadType::sa, false, codec::serialize_payloads({codec::SaPayload{two}})).has_value(),
      false);  // with its generic header it is no body
}

// RFC 7296 2.23.
TEST(Android, NatDetection) {
  REQUIRE_VECTORS(path, "android-ike/IkeNotifyPayloadTest.json");
  const Bytes expected = Constants(path).octets("NAT_DETECTION_SOURCE_IP_DATA_HEX_STRING");
  const net::Endpoint endpoint{net::IpAddress::v4({10, 80, 80, 13}), 500};
  EXPECT_EQ(auth::nat_detection_digest(model::IkeSpi(0x5f54bf6d8b48e6e1), model::IkeSpi(0), endpoint), expected);
}

// RFC 7296 2.14 and 2.17. The suite's HMAC-SHA1 is none of ours, so the material is compared in one piece.
TEST(Android, KeySchedule) {
  REQUIRE_VECTORS(path, "android-ike/SaRecordTest.json");
  const Constants constants(path);
  const Bytes nonce_i = constants.octets("IKE_NONCE_INIT_HEX_STRING");
  const Bytes nonce_r = constants.octets("IKE_NONCE_RESP_HEX_STRING");
  constexpr auto kPrf = crypto::HashId::sha1;
  const SecretBytes skeyseed =
      v2::skeyseed_initial(kPrf, nonce_i, nonce_r, constants.octets("IKE_SHARED_DH_KEY_HEX_STRING"));
  EXPECT_EQ(to_bytes(skeyseed.view()), constants.octets("IKE_SKEYSEED_HEX_STRING"));

  const Bytes expected =
      concat({constants.octets("IKE_SK_D_HEX_STRING"), constants.octets("IKE_SK_AUTH_INIT_HEX_STRING"),
              constants.octets("IKE_SK_AUTH_RESP_HEX_STRING"), constants.octets("IKE_SK_ENCR_INIT_HEX_STRING"),
              constants.octets("IKE_SK_ENCR_RESP_HEX_STRING"), constants.octets("IKE_SK_PRF_INIT_HEX_STRING"),
              constants.octets("IKE_SK_PRF_RESP_HEX_STRING")});
  const SecretBytes material = v2::prf_plus(
      kPrf, skeyseed.view(), {nonce_i, nonce_r, constants.octets("IKE_INIT_SPI"), constants.octets("IKE_RESP_SPI")},
      expected.size());
  EXPECT_EQ(to_bytes(material.view()), expected);

  const Bytes child = concat(
      {constants.octets("FIRST_CHILD_ENCR_INIT_HEX_STRING"), constants.octets("FIRST_CHILD_AUTH_INIT_HEX_STRING"),
       constants.octets("FIRST_CHILD_ENCR_RESP_HEX_STRING"), constants.octets("FIRST_CHILD_AUTH_RESP_HEX_STRING")});
  EXPECT_EQ(
      to_bytes(v2::prf_plus(kPrf, constants.octets("IKE_SK_D_HEX_STRING"), {nonce_i, nonce_r}, child.size()).view()),
      child);
}

// RFC 7296 2.15.
TEST(Android, AuthWithSharedKey) {
  REQUIRE_VECTORS(path, "android-ike/IkeAuthPskPayloadTest.json");
  const Constants constants(path);
  constexpr auto kPrf = crypto::HashId::sha1;
  const Bytes octets = auth::signed_octets(
      kPrf, constants.octets("PSK_IKE_INIT_REQUEST_HEX_STRING"), constants.octets("PSK_NONCE_RESP_HEX_STRING"),
      constants.octets("PSK_SKP_HEX_STRING"), constants.octets("PSK_ID_INITIATOR_PAYLOAD_HEX_STRING"));
  const SecretBytes mac = auth::shared_key_mac(kPrf, constants.octets("PSK_HEX_STRING"), octets);
  const auto payload =
      std::get<codec::AuthPayload>(whole_payload(PayloadType::auth, constants.octets("PSK_AUTH_PAYLOAD_HEX_STRING")));
  EXPECT_EQ(payload.method, model::AuthenticationMethod::shared_key_mic);
  EXPECT_TRUE(auth::auth_matches(mac, payload.data));
}

// The Encrypted payload: where it lies, and the chain inside it.
TEST(Android, IkeAuthRequest) {
  REQUIRE_VECTORS(path, "android-ike/IkeSkPayloadTest.json");
  const Constants constants(path);
  const auto parsed = codec::parse_message(constants.octets("IKE_AUTH_INIT_REQUEST_HEX_STRING"));
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  ASSERT_TRUE(parsed->sealed);
  EXPECT_EQ(*parsed->sealed, (codec::SealedPayload{codec::kHeaderSize, PayloadType::id_i}));

  const Bytes inside = constants.octets("IKE_AUTH_INIT_REQUEST_DECRYPTED_BODY_HEX_STRING");
  const auto payloads = codec::parse_payloads(parsed->sealed->first_inner, inside);
  ASSERT_TRUE(payloads) << payloads.error().to_string();
  const codec::Message message{parsed->header, *payloads};
  EXPECT_EQ(codec::serialize_payloads(*payloads), inside);
  EXPECT_EQ(message.id(model::Role::initiator)->identity.to_string(), "10.80.80.13");
  EXPECT_EQ(message.id(model::Role::responder)->identity.to_string(), "10.80.80.80");
  EXPECT_EQ(message.first<codec::SaPayload>()->proposals.at(0).transforms.size(), 3U);
  EXPECT_NE(message.notify(model::NotifyType::initial_contact), nullptr);
  EXPECT_EQ(message.ts(model::Role::responder)->selectors.at(0), model::TrafficSelector::all(net::Family::v4));
}

}  // namespace
}  // namespace culvert::vectors
