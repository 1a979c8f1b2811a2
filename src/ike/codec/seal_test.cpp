#include "ike/codec/seal.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"

namespace culvert::ike::codec {
namespace {

using crypto::CipherId;
using crypto::IntegrityId;
using crypto::PacketSuite;
using model::PayloadType;

constexpr std::size_t kBodyAt = kHeaderSize + kPayloadHeaderSize;

/// A sealer and an opener with the same keys.
struct Pair {
  explicit Pair(const PacketSuite& suite)
      : sizes(crypto::sizes_of(suite)),
        sk_e(sizes.encryption_key, 0x31),
        sk_a(sizes.integrity_key, 0x32),
        sealer(MessageSealer::make(suite, sk_e, sk_a, random).value()),
        opener(MessageOpener::make(suite, sk_e, sk_a).value()) {}

  SeededRandom random{1};
  crypto::SuiteSizes sizes;
  Bytes sk_e, sk_a;
  MessageSealer sealer;
  MessageOpener opener;
};

Message message_with(std::vector<Payload> payloads) {
  Message message;
  message.header.spi_i = model::IkeSpi(0xc0c1c2c3c4c5c6c7);
  message.header.spi_r = model::IkeSpi(0xd0d1d2d3d4d5d6d7);
  message.header.exchange = model::ExchangeType::informational;
  message.header.message_id = model::MessageId(9);
  message.payloads = std::move(payloads);
  return message;
}

Result<Message, OpenError> open(Pair& pair, ByteView wire) {
  const auto parsed = parse_message(wire);
  EXPECT_TRUE(parsed);
  return pair.opener.open(wire, parsed.value());
}

class Seal : public testing::TestWithParam<PacketSuite> {};

TEST_P(Seal, OpensToWhatWasSealed) {
  Pair pair(GetParam());
  for (std::size_t size = 0; size < 40; ++size) {
    Message message = message_with({VendorIdPayload{Bytes(size, 0x42)}, DeletePayload{model::ProtocolId::ike, {}}});
    const std::size_t expected_size = pair.sealer.sealed_size(message);
    const Bytes wire = pair.sealer.seal(message);
    EXPECT_EQ(wire.size(), expected_size);
    const auto parsed = parse_message(wire);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed->sealed, (SealedPayload{kHeaderSize, PayloadType::vendor_id}));
    const auto opened = pair.opener.open(wire, *parsed);
    ASSERT_TRUE(opened) << name_of(opened.error().fault);
    EXPECT_EQ(opened->payloads, message.payloads);
    EXPECT_EQ(opened->header, parsed->header);
  }
}

// RFC 7296 2.4: an INFORMATIONAL without payloads checks liveness.
TEST_P(Seal, EmptyMessage) {
  Pair pair(GetParam());
  const Bytes wire = pair.sealer.seal(message_with({}));
  EXPECT_EQ(wire[kHeaderSize], 0);
  const auto opened = open(pair, wire);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->payloads.empty());
}

// RFC 7296 3.14, RFC 5282 5.1: integrity covers every octet of the message, the IKE header included.
TEST_P(Seal, EveryOctetIsProtected) {
  Pair pair(GetParam());
  const Bytes wire = pair.sealer.seal(message_with({NoncePayload{Bytes(16, 1)}}));
  const auto parsed = parse_message(wire);
  ASSERT_TRUE(parsed);
  for (std::size_t at = 0; at < wire.size(); ++at) {
    Bytes changed = wire;
    changed[at] ^= 0x04;
    const auto chain = pair.opener.open_chain(changed, *parsed);
    ASSERT_FALSE(chain) << at;
    EXPECT_EQ(chain.error(), OpenFault::bad_integrity) << at;
  }
}

// RFC 5282 3.1, RFC 3602 3: no IV comes twice.
TEST_P(Seal, IvsDoNotRepeat) {
  Pair pair(GetParam());
  std::vector<Bytes> ivs;
  for (int i = 0; i < 300; ++i) {
    const Bytes wire = pair.sealer.seal(message_with({}));
    ivs.push_back(to_bytes(ByteView(wire).subspan(kBodyAt, pair.sizes.iv)));
  }
  std::ranges::sort(ivs);
  EXPECT_EQ(std::ranges::adjacent_find(ivs), ivs.end());
}

TEST_P(Seal, OtherKeysDoNotOpen) {
  Pair pair(GetParam());
  const Bytes wire = pair.sealer.seal(message_with({}));
  Bytes other_e = pair.sk_e, other_a = pair.sk_a;
  (other_a.empty() ? other_e : other_a)[0] ^= 1;
  auto other = MessageOpener::make(GetParam(), other_e, other_a);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->open(wire, *parse_message(wire)).error().fault, OpenFault::bad_integrity);
}

// RFC 7296 2.21.2: authentic nonsense is told apart from forgery, for only the former is answered.
TEST_P(Seal, MalformedInside) {
  Pair pair(GetParam());
  const auto nonce_too_short = UnknownPayload{static_cast<std::uint8_t>(PayloadType::nonce), false, {1, 2}};
  const auto opened = open(pair, pair.sealer.seal(message_with({VendorIdPayload{{1}}, nonce_too_short})));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault, OpenFault::malformed);
  EXPECT_TRUE(opened.error().authentic());
  EXPECT_EQ(opened.error().parse, (ParseError{ParseFault::bad_nonce_length, PayloadType::nonce, 5}));
}

TEST_P(Seal, CriticalPayloadInside) {
  Pair pair(GetParam());
  const auto opened = open(pair, pair.sealer.seal(message_with({UnknownPayload{222, true, {}}})));
  ASSERT_TRUE(opened);
  EXPECT_EQ(unsupported_critical(opened->payloads), 222);
}

TEST_P(Seal, LengthsThatCannotBe) {
  Pair pair(GetParam());
  const Bytes wire = pair.sealer.seal(message_with({}));
  for (std::size_t size = kBodyAt; size < wire.size(); ++size) {
    Bytes cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(size));
    store_be16(cut.data() + kHeaderSize + 2, static_cast<std::uint16_t>(size - kHeaderSize));
    store_be32(cut.data() + 24, static_cast<std::uint32_t>(size));
    const auto opened = open(pair, cut);
    ASSERT_FALSE(opened);
    EXPECT_FALSE(opened.error().authentic());
    if (size <= kBodyAt + pair.sizes.iv + pair.sizes.icv) {
      EXPECT_EQ(opened.error().fault, OpenFault::wrong_length);
    }
  }
}

/// The plaintext of the fragments, one after the other, as they say where they belong.
Bytes joined(Pair& pair, const std::vector<Bytes>& fragments) {
  Bytes chain;
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const auto parsed = parse_message(fragments[i]);
    EXPECT_TRUE(parsed);
    const FragmentPlace place{static_cast<std::uint16_t>(i + 1), static_cast<std::uint16_t>(fragments.size())};
    EXPECT_EQ(parsed->sealed->fragment, place);
    EXPECT_EQ(pair.opener.open(fragments[i], *parsed).error().fault, OpenFault::not_sealed) << "no message by itself";
    const auto part = pair.opener.open_chain(fragments[i], *parsed);
    EXPECT_TRUE(part);
    chain.insert(chain.end(), part->begin(), part->end());
  }
  return chain;
}

// RFC 7383 2.5: cut anywhere, each part sealed by itself, none larger than asked for; the first names what is inside.
TEST_P(Seal, FragmentsJoinToWhatWasSealed) {
  Pair pair(GetParam());
  const SealedSizes sizes(GetParam());
  for (const std::size_t size : {1U, 100U, 1000U, 5000U}) {
    Bytes filling(size);
    pair.random.fill(filling);
    const Message message = message_with({VendorIdPayload{filling}, DeletePayload{model::ProtocolId::ike, {}}});
    const MessageContent content = content_of(message);
    for (std::size_t most = 110; most < 1400; most += 37) {
      const auto fragments = pair.sealer.seal_fragments(content, most);
      EXPECT_EQ(fragments.size(), sizes.fragments(content.chain.size(), most));
      for (const Bytes& one : fragments) {
        EXPECT_LE(one.size(), most);
        EXPECT_EQ(one[kHeaderSize], &one == fragments.data() ? 43 : 0);
      }
      EXPECT_TRUE(equal(joined(pair, fragments), content.chain.view()));
    }
    EXPECT_EQ(pair.sealer.seal(content).size(), sizes.whole(content.chain.size()));
  }
}

// RFC 7383 2.5: the number and the total are authentic, as all else is.
TEST_P(Seal, EveryOctetOfAFragmentIsProtected) {
  Pair pair(GetParam());
  const auto fragments = pair.sealer.seal_fragments(content_of(message_with({NoncePayload{Bytes(200, 1)}})), 150);
  ASSERT_GT(fragments.size(), 1U);
  const auto parsed = parse_message(fragments[1]);
  ASSERT_TRUE(parsed);
  for (std::size_t at = 0; at < fragments[1].size(); ++at) {
    Bytes changed = fragments[1];
    changed[at] ^= 0x04;
    const auto part = pair.opener.open_chain(changed, *parsed);
    ASSERT_FALSE(part) << at;
    EXPECT_EQ(part.error(), OpenFault::bad_integrity) << at;
  }
}

TEST_P(Seal, NoFragmentHasTheIvOfAnother) {
  Pair pair(GetParam());
  const MessageContent content = content_of(message_with({VendorIdPayload{Bytes(3000, 7)}}));
  std::vector<Bytes> ivs;
  for (const std::size_t most : {1000U, 500U, 200U, 1000U}) {
    for (const Bytes& one : pair.sealer.seal_fragments(content, most))
      ivs.push_back(to_bytes(ByteView(one).subspan(kBodyAt + 4, pair.sizes.iv)));
  }
  ivs.push_back(to_bytes(ByteView(pair.sealer.seal(content)).subspan(kBodyAt, pair.sizes.iv)));
  std::ranges::sort(ivs);
  EXPECT_EQ(std::ranges::adjacent_find(ivs), ivs.end());
}

INSTANTIATE_TEST_SUITE_P(Suites, Seal,
                         testing::Values(PacketSuite{CipherId::aes_gcm_16, 128, IntegrityId::none},
                                         PacketSuite{CipherId::aes_gcm_8, 256, IntegrityId::none},
                                         PacketSuite{CipherId::aes_gcm_12, 128, IntegrityId::none},
                                         PacketSuite{CipherId::aes_ccm_8, 128, IntegrityId::none},
                                         PacketSuite{CipherId::aes_ccm_12, 256, IntegrityId::none},
                                         PacketSuite{CipherId::aes_ccm_16, 192, IntegrityId::none},
                                         PacketSuite{CipherId::aes_ctr, 128, IntegrityId::hmac_sha1_96},
                                         PacketSuite{CipherId::aes_ctr, 256, IntegrityId::aes_cmac_96},
                                         PacketSuite{CipherId::camellia_cbc, 192, IntegrityId::aes_xcbc_96},
                                         PacketSuite{CipherId::triple_des_cbc, 192, IntegrityId::hmac_md5_96},
                                         PacketSuite{CipherId::aes_gcm_16, 256, IntegrityId::none},
                                         PacketSuite{CipherId::chacha20_poly1305, 256, IntegrityId::none},
                                         PacketSuite{CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128},
                                         PacketSuite{CipherId::aes_cbc, 256, IntegrityId::hmac_sha2_384_192},
                                         PacketSuite{CipherId::aes_cbc, 256, IntegrityId::hmac_sha2_512_256}));

// ---------------------------------------------------------------- apart from the suite

/// Seals octets of the test's choice as plaintext, padding included.
Bytes seal_by_hand(const Pair& pair, const PacketSuite& suite, Bytes plain, ByteView clear = {}) {
  const std::size_t sealed = kPayloadHeaderSize + pair.sizes.iv + plain.size() + pair.sizes.icv;
  const Message message = message_with({});
  Bytes wire = serialize_header(message.header, clear.empty() ? PayloadType::encrypted : PayloadType::vendor_id,
                                static_cast<std::uint32_t>(kHeaderSize + clear.size() + sealed));
  wire.insert(wire.end(), clear.begin(), clear.end());
  const std::size_t at = wire.size();
  wire.resize(at + sealed);
  store_be16(wire.data() + at + 2, static_cast<std::uint16_t>(sealed));
  std::uint8_t* const iv = wire.data() + at + kPayloadHeaderSize;
  std::uint8_t* const text = iv + pair.sizes.iv;
  std::ranges::copy(plain, text);
  crypto::PacketJob job;
  job.iv = iv;
  job.aad = ByteView(wire).first(at + kPayloadHeaderSize);
  job.input = job.output = text;
  job.length = plain.size();
  job.icv = text + plain.size();
  crypto::make_packet_cipher(suite, pair.sk_e, pair.sk_a).value()->seal({&job, 1});
  return wire;
}

constexpr PacketSuite kCbc{CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128};
constexpr PacketSuite kGcm{CipherId::aes_gcm_16, 128, IntegrityId::none};

// RFC 7296 3.14: the recipient accepts any amount of padding with any content.
TEST(Open, AnyPaddingThatFits) {
  Pair pair(kCbc);
  for (int pad_length = 0; pad_length < 48; ++pad_length) {
    Bytes plain(48, 0xee);
    plain[47] = static_cast<std::uint8_t>(pad_length);
    const Bytes wire = seal_by_hand(pair, kCbc, plain);
    const auto chain = pair.opener.open_chain(wire, *parse_message(wire));
    ASSERT_TRUE(chain) << pad_length;
    EXPECT_EQ(chain->size(), 47U - static_cast<std::size_t>(pad_length));
  }
}

TEST(Open, PaddingBeyondThePlaintext) {
  Pair pair(kCbc);
  for (const int pad_length : {16, 17, 255}) {
    Bytes plain(16, 0);
    plain[15] = static_cast<std::uint8_t>(pad_length);
    const auto opened = open(pair, seal_by_hand(pair, kCbc, plain));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().fault, OpenFault::bad_padding);
    EXPECT_TRUE(opened.error().authentic());
  }
}

TEST(Open, PartOfABlock) {
  Pair pair(kCbc);
  Bytes wire = seal_by_hand(pair, kCbc, Bytes(16, 0));
  wire.push_back(0);
  store_be16(wire.data() + kHeaderSize + 2, static_cast<std::uint16_t>(wire.size() - kHeaderSize));
  store_be32(wire.data() + 24, static_cast<std::uint32_t>(wire.size()));
  EXPECT_EQ(open(pair, wire).error().fault, OpenFault::wrong_length);
}

// RFC 7296 3.14: the Encrypted payload is the last, not always the only one; what is in front is authenticated but
// means nothing.
TEST(Open, PayloadsInFront) {
  const Bytes vendor_id = {46, 0, 0, 8, 1, 2, 3, 4};
  for (const PacketSuite& suite : {kCbc, kGcm}) {
    Pair pair(suite);
    Bytes plain(16, 0);
    plain[15] = 15;
    const auto opened = open(pair, seal_by_hand(pair, suite, plain, vendor_id));
    ASSERT_TRUE(opened) << name_of(opened.error().fault);
    EXPECT_TRUE(opened->payloads.empty());
  }
  Bytes long_one(400, 0);
  long_one[0] = 46;
  store_be16(long_one.data() + 2, 400);
  Pair pair(kGcm);
  Bytes wire = serialize_header(message_with({}).header, PayloadType::vendor_id, kHeaderSize + 400 + 4 + 40);
  wire.insert(wire.end(), long_one.begin(), long_one.end());
  wire.insert(wire.end(), {0, 0, 0, 44});
  wire.resize(wire.size() + 40);
  EXPECT_EQ(open(pair, wire).error().fault, OpenFault::clear_prefix);
}

TEST(Open, MessageInTheClear) {
  Pair pair(kGcm);
  const Bytes wire = serialize(message_with({VendorIdPayload{{1}}}));
  EXPECT_EQ(open(pair, wire).error().fault, OpenFault::not_sealed);
}

// RFC 7296 3.3.2: NULL encryption is not for IKE; nor is encryption without integrity.
TEST(Make, RefusesSuitesUnfitForIke) {
  SeededRandom random(1);
  const PacketSuite null{CipherId::null, 0, IntegrityId::hmac_sha2_256_128};
  EXPECT_EQ(MessageSealer::make(null, {}, Bytes(32), random).error(), crypto::CryptoError::unsupported);
  EXPECT_EQ(MessageOpener::make(null, {}, Bytes(32)).error(), crypto::CryptoError::unsupported);
  const PacketSuite bare{CipherId::aes_cbc, 128, IntegrityId::none};
  EXPECT_EQ(MessageOpener::make(bare, Bytes(16), {}).error(), crypto::CryptoError::unsupported);
  EXPECT_FALSE(MessageOpener::make(kGcm, Bytes(19), {}));
  const PacketSuite gmac{CipherId::null_aes_gmac, 128, IntegrityId::none};
  EXPECT_EQ(MessageOpener::make(gmac, Bytes(20), {}).error(), crypto::CryptoError::unsupported);
  // RFC 8750 7: implicit IVs are for ESP only.
  const PacketSuite implicit{CipherId::aes_gcm_16_iiv, 128, IntegrityId::none};
  EXPECT_EQ(MessageSealer::make(implicit, Bytes(20), {}, random).error(), crypto::CryptoError::unsupported);
}

}  // namespace
}  // namespace culvert::ike::codec
