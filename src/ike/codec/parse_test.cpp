#include "ike/codec/parse.hpp"

#include <string>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"

namespace culvert::ike::codec {
namespace {

using model::PayloadType;

Bytes hex(std::string_view text) { return from_hex(text).value(); }

/// A message around the given octets, its length field right.
Bytes message_with(PayloadType first, ByteView chain) {
  Header header;
  header.spi_i = model::IkeSpi(1);
  Bytes out = serialize_header(header, first, static_cast<std::uint32_t>(kHeaderSize + chain.size()));
  out.insert(out.end(), chain.begin(), chain.end());
  return out;
}

ParseError error_of(PayloadType first, std::string_view chain) {
  const auto parsed = parse_message(message_with(first, hex(chain)));
  EXPECT_FALSE(parsed);
  return parsed ? ParseError{} : parsed.error();
}

ParseFault body_fault(PayloadType type, std::string_view body) {
  const auto payload = parse_payload_body(type, false, hex(body));
  EXPECT_FALSE(payload) << body;
  return payload ? ParseFault::truncated_header : payload.error().fault;
}

template <typename T>
T body_of(PayloadType type, std::string_view body) {
  const auto payload = parse_payload_body(type, false, hex(body));
  EXPECT_TRUE(payload) << payload.error().to_string();
  return payload ? std::get<T>(*payload) : T{};
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// ---------------------------------------------------------------- header

TEST(ParseHeader, RefusesFewerThan28Octets) {
  const Bytes whole = message_with(PayloadType::none, {});
  for (std::size_t size = 0; size < kHeaderSize; ++size) {
    const auto header = parse_header(ByteView(whole).first(size));
    ASSERT_FALSE(header);
    EXPECT_EQ(header.error().fault, ParseFault::truncated_header);
  }
  EXPECT_TRUE(parse_header(whole));
}

// RFC 7296 2.5: another major version is refused, another minor version is not.
TEST(ParseHeader, Versions) {
  Bytes message = message_with(PayloadType::none, {});
  for (int version = 0; version < 256; ++version) {
    message[17] = static_cast<std::uint8_t>(version);
    ASSERT_TRUE(parse_header(message));
    EXPECT_EQ(parse_header(message)->major_version, version >> 4);
    const auto parsed = parse_message(message);
    ASSERT_EQ(parsed.has_value(), version >> 4 == 2);
    if (!parsed) {
      EXPECT_EQ(parsed.error().fault, ParseFault::unsupported_version);
    }
  }
}

TEST(ParseMessage, LengthMustBeTheDatagrams) {
  Bytes message = message_with(PayloadType::none, {});
  message.push_back(0);
  EXPECT_EQ(parse_message(message).error().fault, ParseFault::wrong_message_length);
  message.resize(kHeaderSize);
  message[27] = 27;
  EXPECT_EQ(parse_message(message).error().fault, ParseFault::wrong_message_length);
}

// RFC 7296 3.1: the initiator's SPI must not be zero.
TEST(ParseMessage, ZeroInitiatorSpi) {
  Bytes message = message_with(PayloadType::none, {});
  message[7] = 0;
  EXPECT_EQ(parse_message(message).error().fault, ParseFault::zero_initiator_spi);
}

TEST(ParseMessage, ReservedFlagsAreIgnored) {
  Bytes message = message_with(PayloadType::none, {});
  message[19] = 0xff;
  const auto parsed = parse_message(message);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->header.initiator && parsed->header.response && parsed->header.version);
}

// ---------------------------------------------------------------- chain

TEST(ParseChain, PlaceAndPayloadOfTheFault) {
  // A good Vendor ID, then a nonce that is too short.
  const ParseError error = error_of(PayloadType::vendor_id,
                                    "2800000501"
                                    "0000000501");
  EXPECT_EQ(error, (ParseError{ParseFault::bad_nonce_length, PayloadType::nonce, kHeaderSize + 5}));
  EXPECT_NE(error.to_string().find("octet 33"), std::string::npos) << error.to_string();
}

TEST(ParseChain, Lengths) {
  EXPECT_EQ(error_of(PayloadType::vendor_id, "").fault, ParseFault::truncated_payload);
  EXPECT_EQ(error_of(PayloadType::vendor_id, "000000").fault, ParseFault::truncated_payload);
  EXPECT_EQ(error_of(PayloadType::vendor_id, "00000003").fault, ParseFault::wrong_payload_length);
  EXPECT_EQ(error_of(PayloadType::vendor_id, "00000000").fault, ParseFault::wrong_payload_length);
  EXPECT_EQ(error_of(PayloadType::vendor_id, "00000005").fault, ParseFault::truncated_payload);
  EXPECT_EQ(error_of(PayloadType::vendor_id, "0000000400").fault, ParseFault::trailing_octets);
  EXPECT_EQ(error_of(PayloadType::none, "00000004").fault, ParseFault::trailing_octets);
  EXPECT_EQ(error_of(PayloadType::vendor_id, "2b000004").fault, ParseFault::truncated_payload);
}

TEST(ParseChain, BoundOnPayloads) {
  const auto chain = [](std::size_t count) { return hex(repeated("2b000004", count - 1) + "00000004"); };
  EXPECT_TRUE(parse_message(message_with(PayloadType::vendor_id, chain(kMaxPayloads))));
  const auto parsed = parse_message(message_with(PayloadType::vendor_id, chain(kMaxPayloads + 1)));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().fault, ParseFault::too_many_payloads);
}

// RFC 7296 2.5: unknown payloads are skipped, unless critical; the critical bit of known ones is ignored.
TEST(ParseChain, UnknownAndCriticalPayloads) {
  const auto parsed = parse_message(message_with(static_cast<PayloadType>(200), hex("c980000501"
                                                                                    "2b000004"
                                                                                    "00800004")));
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  ASSERT_EQ(parsed->payloads.size(), 3U);
  EXPECT_EQ(parsed->payloads[0], Payload(UnknownPayload{200, true, {1}}));
  EXPECT_EQ(parsed->payloads[1], Payload(UnknownPayload{201, false, {}}));
  EXPECT_EQ(parsed->payloads[2], Payload(VendorIdPayload{}));
  EXPECT_EQ(unsupported_critical(parsed->payloads), 200);
}

// RFC 7296 3.14: the Encrypted payload ends the message and stays as it is.
TEST(ParseChain, EncryptedPayload) {
  const auto parsed = parse_message(message_with(PayloadType::vendor_id, hex("2e000004"
                                                                             "2900000801020304")));
  ASSERT_TRUE(parsed);
  ASSERT_TRUE(parsed->sealed);
  EXPECT_EQ(*parsed->sealed, (SealedPayload{kHeaderSize + 4, PayloadType::notify}));
  EXPECT_EQ(parsed->payloads.size(), 1U);

  EXPECT_EQ(error_of(PayloadType::encrypted, "290000080102030400").fault, ParseFault::trailing_octets);
  EXPECT_EQ(error_of(PayloadType::encrypted, "2900000901020304").fault, ParseFault::truncated_payload);
  EXPECT_EQ(parse_payloads(PayloadType::encrypted, hex("00000004")).error().fault, ParseFault::nested_encrypted);
}

// RFC 7383 2.5: the Encrypted Fragment payload says which part it is, and ends the message.
TEST(ParseChain, EncryptedFragment) {
  const auto parsed = parse_message(message_with(PayloadType::encrypted_fragment, hex("2900000a00020003abcd")));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed->sealed, (SealedPayload{kHeaderSize, PayloadType::notify, FragmentPlace{2, 3}}));
  EXPECT_EQ(error_of(PayloadType::encrypted_fragment, "290000080001000200").fault, ParseFault::trailing_octets);
  EXPECT_EQ(parse_payloads(PayloadType::encrypted_fragment, hex("0000000800010001")).error().fault,
            ParseFault::nested_fragment);
  // Neither behind the other.
  EXPECT_EQ(error_of(PayloadType::encrypted_fragment, "2e0000080001000100000004").fault, ParseFault::trailing_octets);
  EXPECT_EQ(error_of(PayloadType::encrypted, "350000040000000800010001").fault, ParseFault::trailing_octets);
}

// RFC 7383 2.6; CVE-2013-6076: no number 0. CVE-2016-1287, CVE-2016-1344, CVE-2022-34721: no length below the fields'.
TEST(ParseChain, FragmentsThatCannotBe) {
  for (const char* place : {"00000000", "00000001", "00010000", "00030002", "ffff0001"}) {
    const std::string chain = std::string("29000008") + place;
    EXPECT_EQ(error_of(PayloadType::encrypted_fragment, chain),
              (ParseError{ParseFault::bad_fragment_number, PayloadType::encrypted_fragment, kHeaderSize}))
        << place;
  }
  for (const char* chain : {"29000004", "2900000500", "290000070001ff"})
    EXPECT_EQ(error_of(PayloadType::encrypted_fragment, chain).fault, ParseFault::truncated_payload) << chain;
  for (const char* chain : {"29000000", "29000003"})
    EXPECT_EQ(error_of(PayloadType::encrypted_fragment, chain).fault, ParseFault::wrong_payload_length) << chain;
  EXPECT_EQ(error_of(PayloadType::encrypted_fragment, "2900ffff00010001").fault, ParseFault::truncated_payload);
}

// RFC 7383 2.5.3: what is not encrypted stands in the first fragment. CVE-2026-12413: and is bounded.
TEST(ParseChain, PayloadsInFrontOfAFragment) {
  EXPECT_TRUE(parse_message(message_with(PayloadType::vendor_id, hex("350000040000000800010002"))));
  EXPECT_EQ(error_of(PayloadType::vendor_id, "350000040000000800020002").fault, ParseFault::payload_before_fragment);
  const std::string many = repeated("c8000004", kMaxPayloads) + "350000040000000800010001";
  EXPECT_EQ(error_of(static_cast<PayloadType>(200), many).fault, ParseFault::too_many_payloads);
}

// ---------------------------------------------------------------- bodies

TEST(ParseSa, ReadsTransformsAndKeyLength) {
  const auto sa = body_of<SaPayload>(
      PayloadType::sa, "00000028010304032ad4c0a20300000c0100000c800e008003000008030000020000000805000000");
  ASSERT_EQ(sa.proposals.size(), 1U);
  const model::Proposal& proposal = sa.proposals[0];
  EXPECT_EQ(proposal.number, 1);
  EXPECT_EQ(proposal.protocol, model::ProtocolId::esp);
  EXPECT_EQ(to_hex(proposal.spi), "2ad4c0a2");
  ASSERT_EQ(proposal.transforms.size(), 3U);
  EXPECT_EQ(proposal.transforms[0], (model::Transform{model::TransformType::encryption, 12, 128, false}));
  EXPECT_EQ(proposal.transforms[1], (model::Transform{model::TransformType::integrity, 2, 0, false}));
  EXPECT_EQ(proposal.transforms[2], (model::Transform{model::TransformType::esn, 0, 0, false}));
}

// RFC 7296 3.3.6: a transform with an attribute that is not understood must not be chosen.
TEST(ParseSa, AttributesNotUnderstood) {
  const auto transform = [](std::string_view attributes) {
    const std::size_t size = 8 + attributes.size() / 2;
    const std::string text = "000000" + to_hex(Bytes{static_cast<std::uint8_t>(8 + size)}) + "01010001" + "000000" +
                             to_hex(Bytes{static_cast<std::uint8_t>(size)}) + "0100000c" + std::string(attributes);
    return body_of<SaPayload>(PayloadType::sa, text).proposals.at(0).transforms.at(0);
  };
  EXPECT_FALSE(transform("").unknown_attribute);
  EXPECT_FALSE(transform("800e0100").unknown_attribute);
  EXPECT_TRUE(transform("80010001").unknown_attribute);
  EXPECT_TRUE(transform("00010002abcd").unknown_attribute);
  EXPECT_TRUE(transform("000e00020100").unknown_attribute);      // Key Length has the short form only
  EXPECT_TRUE(transform("800e0000").unknown_attribute);          // no key of 0 bits
  EXPECT_TRUE(transform("800e0080800e0100").unknown_attribute);  // which of the two?
  EXPECT_EQ(transform("800e008080010001").key_bits, 128);
}

TEST(ParseSa, RefusesBrokenChains) {
  EXPECT_EQ(body_fault(PayloadType::sa, ""), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::sa, "0000000701010000"), ParseFault::wrong_payload_length);
  EXPECT_EQ(body_fault(PayloadType::sa, "0100000801010000"), ParseFault::bad_substructure_chain);
  EXPECT_EQ(body_fault(PayloadType::sa, "0200000801010000"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::sa, "000000080101000000"), ParseFault::wrong_payload_length);
  EXPECT_EQ(body_fault(PayloadType::sa, "0000000901010000"), ParseFault::truncated_payload);
  // one transform announced, none there; one there, none announced
  EXPECT_EQ(body_fault(PayloadType::sa, "0000000801010001"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::sa, "00000010010100000000000801000014"), ParseFault::wrong_payload_length);
  // "more transforms" on the last, "last" on the first of two
  EXPECT_EQ(body_fault(PayloadType::sa, "00000010010100010300000801000014"), ParseFault::bad_substructure_chain);
  EXPECT_EQ(body_fault(PayloadType::sa,
                       "0000001801010002"
                       "0000000801000014"
                       "0000000802000005"),
            ParseFault::bad_substructure_chain);
  // a transform shorter than its header, longer than its proposal; an attribute longer than its transform
  EXPECT_EQ(body_fault(PayloadType::sa, "00000010010100010000000701000014"), ParseFault::wrong_payload_length);
  EXPECT_EQ(body_fault(PayloadType::sa, "00000010010100010000000901000014"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::sa, "00000014010100010000000c01000014000e0001"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::sa, "00000012010100010000000a01000014800e"), ParseFault::truncated_payload);
}

// RFC 7296 3.3.1: no SPI or eight octets for IKE, four for ESP and AH.
TEST(ParseSa, SpiSizes) {
  EXPECT_EQ(body_fault(PayloadType::sa, "0000000c0101040001020304"), ParseFault::bad_spi_size);
  EXPECT_EQ(body_fault(PayloadType::sa, "0000000801030000"), ParseFault::bad_spi_size);
  EXPECT_EQ(body_fault(PayloadType::sa,
                       "0000000901020100"
                       "01"),
            ParseFault::bad_spi_size);
  EXPECT_EQ(body_fault(PayloadType::sa,
                       "0000000901030400"
                       "01"),
            ParseFault::truncated_payload);
  EXPECT_EQ(body_of<SaPayload>(PayloadType::sa, "000000090163010001").proposals.size(), 1U);
}

TEST(ParseSa, Bounds) {
  const std::string more = "0200000801010000";
  EXPECT_TRUE(parse_payload_body(PayloadType::sa, false, hex(repeated(more, kMaxProposals - 1) + "0000000801010000")));
  EXPECT_EQ(body_fault(PayloadType::sa, repeated(more, kMaxProposals) + "0000000801010000"),
            ParseFault::too_many_proposals);
  EXPECT_EQ(body_fault(PayloadType::sa, "00000008010100" + to_hex(Bytes{kMaxTransforms + 1})),
            ParseFault::too_many_transforms);
  const std::string attributes = repeated("80010001", kMaxTransformAttributes + 1);
  EXPECT_EQ(body_fault(PayloadType::sa, "00000034010100010000002c01000014" + attributes),
            ParseFault::too_many_attributes);
}

TEST(ParseBody, KeyExchange) {
  EXPECT_EQ(body_fault(PayloadType::ke, "001f00"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::ke, "001f0000"), ParseFault::empty_field);
  const auto ke = body_of<KePayload>(PayloadType::ke, "001fffff0102");
  EXPECT_EQ(ke, (KePayload{model::KeyExchangeMethod::curve25519, {1, 2}}));
}

TEST(ParseBody, Identity) {
  EXPECT_EQ(body_fault(PayloadType::id_i, "010000"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::id_i, "010000000a0000"), ParseFault::bad_identity_length);
  EXPECT_EQ(body_fault(PayloadType::id_r, "050000000a000001"), ParseFault::bad_identity_length);
  EXPECT_EQ(body_fault(PayloadType::id_r, "02000000"), ParseFault::bad_identity_length);
  EXPECT_EQ(body_of<IdPayload>(PayloadType::id_r, "0d000000").side, model::Role::responder);
  EXPECT_EQ(body_of<IdPayload>(PayloadType::id_i, "c8000000").identity.data, Bytes{});
}

// RFC 7296 3.9: 16 to 256 octets.
TEST(ParseBody, NonceSizes) {
  EXPECT_EQ(body_fault(PayloadType::nonce, repeated("00", 15)), ParseFault::bad_nonce_length);
  EXPECT_EQ(body_fault(PayloadType::nonce, repeated("00", 257)), ParseFault::bad_nonce_length);
  EXPECT_EQ(body_of<NoncePayload>(PayloadType::nonce, repeated("00", 16)).data.size(), 16U);
  EXPECT_EQ(body_of<NoncePayload>(PayloadType::nonce, repeated("00", 256)).data.size(), 256U);
}

TEST(ParseBody, Notify) {
  EXPECT_EQ(body_fault(PayloadType::notify, "000040"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::notify, "03044009010203"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::notify, "03114009" + repeated("00", 17)), ParseFault::bad_spi_size);
  const auto notify = body_of<NotifyPayload>(PayloadType::notify, "0304400901020304aa");
  EXPECT_EQ(notify, (NotifyPayload{model::ProtocolId::esp, {1, 2, 3, 4}, model::NotifyType::rekey_sa, {0xaa}}));
}

// RFC 7296 2.6: a cookie has 1 to 64 octets. RFC 7296 1.3: INVALID_KE_PAYLOAD carries a method of two octets.
TEST(ParseBody, NotifyDataSizes) {
  EXPECT_EQ(body_fault(PayloadType::notify, "00004006"), ParseFault::bad_notify_length);
  EXPECT_EQ(body_fault(PayloadType::notify, "00004006" + repeated("00", 65)), ParseFault::bad_notify_length);
  EXPECT_EQ(body_of<NotifyPayload>(PayloadType::notify, "00004006" + repeated("00", 64)).data.size(), 64U);
  EXPECT_EQ(body_fault(PayloadType::notify, "00000011"), ParseFault::bad_notify_length);
  EXPECT_EQ(body_fault(PayloadType::notify, "0000001100001f"), ParseFault::bad_notify_length);
  EXPECT_EQ(body_of<NotifyPayload>(PayloadType::notify, "00000011001f").data, (Bytes{0, 31}));
}

// RFC 7296 3.11: no SPI for an IKE SA, four octets each for the others.
TEST(ParseBody, Delete) {
  EXPECT_EQ(body_fault(PayloadType::delete_, "010000"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::delete_, "010800010102030405060708"), ParseFault::bad_spi_size);
  EXPECT_EQ(body_fault(PayloadType::delete_, "01000001"), ParseFault::bad_spi_size);
  EXPECT_EQ(body_fault(PayloadType::delete_, "0300ffff"), ParseFault::bad_spi_size);
  EXPECT_EQ(body_fault(PayloadType::delete_, "0304000201020304"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::delete_, "030400010102030405"), ParseFault::wrong_payload_length);
  EXPECT_EQ(body_fault(PayloadType::delete_, "03040401" + repeated("01020304", 1025)), ParseFault::too_many_spis);
  EXPECT_EQ(body_of<DeletePayload>(PayloadType::delete_, "0304000101020304").spis.at(0), model::Spi(0x01020304));
  EXPECT_TRUE(body_of<DeletePayload>(PayloadType::delete_, "01000000").spis.empty());
}

TEST(ParseBody, TrafficSelectors) {
  const std::string v4 = "070600100050005a0a0000010a000009";
  EXPECT_EQ(body_fault(PayloadType::ts_i, "0100"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::ts_i, "00000000"), ParseFault::empty_field);
  EXPECT_EQ(body_fault(PayloadType::ts_i, "02000000" + v4), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::ts_i, "01000000" + v4 + "00"), ParseFault::wrong_payload_length);
  EXPECT_EQ(body_fault(PayloadType::ts_i, "0100000007060003"), ParseFault::bad_selector);
  EXPECT_EQ(body_fault(PayloadType::ts_i, "01000000070600110050005a0a0000010a00000900"), ParseFault::bad_selector);
  EXPECT_EQ(body_fault(PayloadType::ts_i,
                       "0100000008060010"
                       "0050005a0a0000010a000009"),
            ParseFault::bad_selector);
  // end before start: addresses, ports
  EXPECT_EQ(body_fault(PayloadType::ts_i,
                       "010000000706001000000000"
                       "0a0000090a000001"),
            ParseFault::bad_selector);
  EXPECT_EQ(body_fault(PayloadType::ts_i,
                       "0100000007060010005a0050"
                       "0a0000010a000009"),
            ParseFault::bad_selector);

  const auto ts = body_of<TsPayload>(PayloadType::ts_r, "02ffffff" + v4 + "0a000006abcd");
  EXPECT_EQ(ts.side, model::Role::responder);
  EXPECT_EQ(ts.selectors.at(0), model::TrafficSelector::parse("10.0.0.1-10.0.0.9[tcp/80-90]"));
  EXPECT_EQ(ts.unknown.at(0), (UnknownSelector{10, 0, {0xab, 0xcd}}));
}

// RFC 7296 3.13.1: OPAQUE is start 65535, end 0.
TEST(ParseBody, OpaquePorts) {
  const auto ts = body_of<TsPayload>(PayloadType::ts_i, "0100000007060010ffff00000a0000010a000009");
  EXPECT_TRUE(ts.selectors.at(0).is_opaque());
}

TEST(ParseBody, Configuration) {
  EXPECT_EQ(body_fault(PayloadType::configuration, "010000"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::configuration, "01000000000100"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::configuration, "0100000000010001"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::configuration, "01000000" + repeated("00010000", 256)),
            ParseFault::too_many_attributes);
  // the reserved bit in front of the type is ignored
  EXPECT_EQ(body_of<ConfigurationPayload>(PayloadType::configuration, "0100000080010000").attributes.at(0).type, 1);
}

TEST(ParseBody, EmptyAndShortFields) {
  EXPECT_EQ(body_fault(PayloadType::auth, "020000"), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::auth, "02000000"), ParseFault::empty_field);
  EXPECT_EQ(body_fault(PayloadType::cert, ""), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::cert, "04"), ParseFault::empty_field);
  EXPECT_EQ(body_fault(PayloadType::certreq, ""), ParseFault::truncated_payload);
  EXPECT_EQ(body_fault(PayloadType::eap, ""), ParseFault::empty_field);
}

/// Every prefix and every one-octet change of a message is either refused or parsed: the sanitizers watch.
TEST(ParseMessage, TotalOnDamagedMessages) {
  Message message;
  message.header.spi_i = model::IkeSpi(1);
  message.payloads = {SaPayload{{{.number = 1,
                                  .protocol = model::ProtocolId::esp,
                                  .spi = {1, 2, 3, 4},
                                  .transforms = {{model::TransformType::encryption, 20, 128}}}}},
                      NotifyPayload{model::ProtocolId::esp, {1, 2, 3, 4}, model::NotifyType::rekey_sa, {}},
                      TsPayload{model::Role::initiator, {model::TrafficSelector::all(net::Family::v6)}, {}},
                      DeletePayload{model::ProtocolId::esp, {model::Spi(300)}}};
  const Bytes wire = serialize(message);
  for (std::size_t size = 0; size < wire.size(); ++size) {
    Bytes cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(parse_message(cut));
    if (size < kHeaderSize) continue;
    store_be32(cut.data() + 24, static_cast<std::uint32_t>(size));
    EXPECT_FALSE(parse_message(cut));
  }
  std::size_t refused = 0;
  for (std::size_t at = 0; at < wire.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes changed = wire;
      changed[at] = static_cast<std::uint8_t>(value);
      refused += parse_message(changed) ? 0 : 1;
    }
  }
  EXPECT_GT(refused, wire.size());
}

}  // namespace
}  // namespace culvert::ike::codec
