#include "radius/packet.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "radius/mppe.hpp"

namespace culvert::radius {
namespace {

Bytes hex(std::string_view text) {
  const auto octets = from_hex(text);
  EXPECT_TRUE(octets) << text;
  return octets.value_or(Bytes());
}

Authenticator authenticator(std::string_view text) {
  Authenticator out{};
  std::ranges::copy(hex(text), out.begin());
  return out;
}

const ByteView kSecret = as_bytes("radsec-vector-01");
const Authenticator kRequest = authenticator("101112131415161718191a1b1c1d1e1f");

// RFC 2865 3: the answer of the example in RFC 2865 7.1.
TEST(RadiusPacket, ResponseAuthenticatorOfTheRfcsExample) {
  const Bytes octets = hex("0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103");
  const auto packet = parse(octets);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->code, Code::access_accept);
  EXPECT_EQ(packet->number(AttributeType::service_type), 1);
  const Authenticator request = authenticator("0f403f9473978057bd83d5cb98f4227a");
  EXPECT_TRUE(is_answer_to(*packet, request, as_bytes("xyzzy5461")));
  EXPECT_FALSE(is_answer_to(*packet, request, as_bytes("xyzzy5462")));
  EXPECT_FALSE(is_answer_to(*packet, kRequest, as_bytes("xyzzy5461")));
  for (std::size_t i = 0; i < octets.size(); ++i) {
    Bytes bent = octets;
    bent[i] ^= 1;
    const auto other = parse(bent);
    EXPECT_FALSE(other && is_answer_to(*other, request, as_bytes("xyzzy5461"))) << i;
  }
}

// RFC 3579 3.2; the vectors are from another implementation of MD5 and HMAC.
TEST(RadiusPacket, AccessRequestBeginsWithMessageAuthenticator) {
  PacketBuilder builder(Code::access_request);
  builder.add_text(AttributeType::user_name, "carol");
  const Bytes octets = builder.with_random(0x2a, kRequest, kSecret);
  EXPECT_EQ(to_hex(octets),
            "012a002d101112131415161718191a1b1c1d1e1f5012a39f55b9e87242a25537d72a5c4309ca01076361726f6c");
  EXPECT_EQ(octets.size(), builder.size());
  EXPECT_EQ(message_proof(*parse(octets), kRequest, kSecret), MessageProof::right);
}

TEST(RadiusPacket, AnswerWithMessageAuthenticator) {
  PacketBuilder builder(Code::access_reject);
  builder.add_text(AttributeType::reply_message, "no");
  const Bytes octets = builder.as_answer(0x2a, kRequest, kSecret, true);
  EXPECT_EQ(to_hex(octets), "032a002a20d7da6d0abf56e1f3b3401049fa5b895012c96c94346e6783b2c248c65e0671581a12046e6f");
  const auto packet = parse(octets);
  ASSERT_TRUE(packet);
  EXPECT_TRUE(is_answer_to(*packet, kRequest, kSecret));
  EXPECT_EQ(message_proof(*packet, kRequest, kSecret), MessageProof::right);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    // In the header's place stands the request's authenticator.
    if (i >= 4 && i < kHeaderSize) continue;
    Bytes bent = octets;
    bent[i] ^= 1;
    const auto other = parse(bent);
    EXPECT_NE(other ? message_proof(*other, kRequest, kSecret) : MessageProof::absent, MessageProof::right) << i;
  }
}

// RFC 5176 3.3: both proofs of a Disconnect-Request.
TEST(RadiusPacket, RequestWithProof) {
  PacketBuilder builder(Code::disconnect_request);
  builder.add_text(AttributeType::user_name, "carol");
  const Bytes octets = builder.with_proof(7, kSecret, true);
  EXPECT_EQ(to_hex(octets),
            "2807002d545047379088343b5ffad78b69e967795012f74b913d7d06fb2616ddc2cb2921e9fd01076361726f6c");
  const auto packet = parse(octets);
  EXPECT_TRUE(is_request_by(*packet, kSecret));
  EXPECT_EQ(message_proof(*packet, Authenticator{}, kSecret), MessageProof::right);
  EXPECT_FALSE(is_request_by(*packet, as_bytes("another")));
}

TEST(RadiusPacket, SecondMessageAuthenticatorIsWrong) {
  PacketBuilder builder(Code::access_accept);
  builder.add(AttributeType::message_authenticator, Bytes(16));
  const Bytes octets = builder.as_answer(1, kRequest, kSecret, true);
  EXPECT_EQ(message_proof(*parse(octets), kRequest, kSecret), MessageProof::wrong);
}

TEST(RadiusPacket, RefusesWhatIsNotWhole) {
  PacketBuilder builder(Code::access_challenge);
  builder.add_text(AttributeType::state, "state");
  builder.add(AttributeType::eap_message, Bytes(253));
  const Bytes whole = builder.as_answer(1, kRequest, kSecret, true);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse(ByteView(whole).first(size))) << size;
  // RFC 2865 3: what is behind the length is padding.
  Bytes longer = whole;
  longer.resize(longer.size() + 9, 0xff);
  ASSERT_TRUE(parse(longer));
  EXPECT_EQ(parse(longer)->octets.size(), whole.size());
  for (const int length : {0, 1, 255}) {
    Bytes bad = whole;
    bad[kHeaderSize + 1] = static_cast<std::uint8_t>(length);
    const auto packet = parse(bad);
    EXPECT_FALSE(length < 2 && packet);
  }
  for (const int length : {0, 19, 4097}) {
    Bytes bad(5000);
    bad[0] = 2;
    store_be16(bad.data() + 2, static_cast<std::uint16_t>(length));
    EXPECT_FALSE(parse(bad)) << length;
  }
}

// RFC 3579 3.1: pieces of 253 octets.
TEST(RadiusPacket, LongValuesAreSplitAndJoined) {
  for (const std::size_t size : {0U, 1U, 253U, 254U, 1500U}) {
    PacketBuilder builder(Code::access_request);
    Bytes message(size);
    for (std::size_t i = 0; i < size; ++i) message[i] = static_cast<std::uint8_t>(i * 7);
    builder.add_split(AttributeType::eap_message, message);
    const Bytes octets = builder.with_random(1, kRequest, kSecret);
    const auto packet = parse(octets);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->joined(AttributeType::eap_message), message);
    EXPECT_EQ(packet->all(AttributeType::eap_message).size(), std::max<std::size_t>(1, (size + 252) / 253));
  }
}

TEST(RadiusPacket, MicrosoftsAttributes) {
  const auto find = [](std::string_view vendor_specific) {
    PacketBuilder builder(Code::access_accept);
    builder.add(AttributeType::vendor_specific, hex("000000090102"));  // somebody else's
    builder.add(AttributeType::vendor_specific, hex(vendor_specific));
    const Bytes octets = builder.as_answer(1, kRequest, kSecret, false);
    const auto value = parse(octets)->microsoft(kMppeRecvKey);
    return value ? to_hex(*value) : "none";
  };
  EXPECT_EQ(find("000001371104abcd"), "abcd");
  EXPECT_EQ(find("0000013707030111"
                 "04abcd"),
            "abcd");
  EXPECT_EQ(find("000001371102"), "");
  EXPECT_EQ(find("000001371105abcd"), "none");  // longer than the rest
  EXPECT_EQ(find("000001371101abcd"), "none");
  EXPECT_EQ(find("000001371004abcd"), "none");
  EXPECT_EQ(find("0000"), "none");
}

// RFC 2548 2.4.2; the vector is from another implementation of MD5.
TEST(RadiusMppe, KnownAnswer) {
  const Bytes value =
      hex("8a17dce5272d3fe0839a330503177959106f9b083da46fb5d1cd3c2b782710b78ff7e2fbc82ed833337d468cbfe6cad049d4");
  const auto key = reveal_key(value, kRequest, kSecret);
  ASSERT_TRUE(key);
  EXPECT_EQ(to_hex(key->view()), "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
  EXPECT_EQ(hide_key(key->view(), 0x8a17, kRequest, kSecret), value);
}

TEST(RadiusMppe, RefusesNonsense) {
  const Bytes good = hide_key(Bytes(32, 7), 0x8001, kRequest, kSecret);
  ASSERT_TRUE(reveal_key(good, kRequest, kSecret));
  for (std::size_t size = 0; size < good.size(); ++size) {
    // A whole block less is what the length inside gives away.
    EXPECT_FALSE(reveal_key(ByteView(good).first(size), kRequest, kSecret)) << size;
  }
  Bytes unsalted = good;
  unsalted[0] &= 0x7f;
  EXPECT_FALSE(reveal_key(unsalted, kRequest, kSecret));
  const Bytes none = hide_key({}, 0x8001, kRequest, kSecret);
  EXPECT_FALSE(reveal_key(none, kRequest, kSecret));
}

TEST(RadiusMppe, MskIsWhatWasReceivedThenWhatIsSent) {
  const auto accept = [](std::size_t size, bool both) {
    PacketBuilder builder(Code::access_accept);
    const auto add = [&](std::uint8_t type, std::uint8_t fill, std::uint16_t salt) {
      const Bytes hidden = hide_key(Bytes(size, fill), salt, kRequest, kSecret);
      ByteWriter writer;
      writer.u32(kMicrosoft);
      writer.u8(type);
      writer.u8(static_cast<std::uint8_t>(hidden.size() + 2));
      writer.bytes(hidden);
      builder.add(AttributeType::vendor_specific, writer.view());
    };
    add(kMppeSendKey, 2, 0x8001);
    if (both) add(kMppeRecvKey, 1, 0x8002);
    return builder.as_answer(1, kRequest, kSecret, true);
  };
  const Bytes two = accept(32, true);
  EXPECT_EQ(to_hex(msk_of(*parse(two), kRequest, kSecret)->view()), to_hex(concat({Bytes(32, 1), Bytes(32, 2)})));
  // The keys of MSCHAPv2 are of 16 octets each, and zeros follow.
  const Bytes small = accept(16, true);
  EXPECT_EQ(to_hex(msk_of(*parse(small), kRequest, kSecret)->view()),
            to_hex(concat({Bytes(16, 1), Bytes(16, 2), Bytes(32, 0)})));
  const Bytes half = accept(32, false);
  EXPECT_FALSE(msk_of(*parse(half), kRequest, kSecret));
  const Bytes none = PacketBuilder(Code::access_accept).as_answer(1, kRequest, kSecret, true);
  ASSERT_TRUE(msk_of(*parse(none), kRequest, kSecret));
  EXPECT_TRUE(msk_of(*parse(none), kRequest, kSecret)->empty());
}

}  // namespace
}  // namespace culvert::radius
