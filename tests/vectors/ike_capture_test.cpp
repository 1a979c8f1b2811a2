// IKEv2 exchanges of other implementations: everything parses, and where the keys are known it opens.
#include <algorithm>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "capture.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/seal.hpp"
#include "ike/codec/serialize.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

namespace codec = ike::codec;
using crypto::CipherId;
using crypto::IntegrityId;
using model::PayloadType;

/// Nothing that a peer sent in the clear is lost: writing what was read and reading it again gives the same.
void expect_round_trip(const codec::ParsedMessage& parsed) {
  const Bytes wire = codec::serialize({parsed.header, parsed.payloads});
  const auto again = codec::parse_message(wire);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->payloads, parsed.payloads);
}

struct Capture {
  const char* file;
  std::size_t messages;
  std::size_t sealed;
};

class IkeCapture : public testing::TestWithParam<Capture> {};

TEST_P(IkeCapture, EveryMessageParses) {
  REQUIRE_VECTORS(path, GetParam().file);
  const std::vector<Bytes> messages = ike_messages(path);
  EXPECT_EQ(messages.size(), GetParam().messages);
  std::size_t sealed = 0;
  for (const Bytes& message : messages) {
    const auto parsed = codec::parse_message(message);
    ASSERT_TRUE(parsed) << parsed.error().to_string() << " in " << to_hex(message);
    EXPECT_EQ(codec::unsupported_critical(parsed->payloads), std::nullopt);
    if (parsed->sealed) {
      ++sealed;
    } else {
      expect_round_trip(*parsed);
    }
  }
  EXPECT_EQ(sealed, GetParam().sealed);
}

INSTANTIATE_TEST_SUITE_P(Peers, IkeCapture,
                         testing::Values(Capture{"captures/wireshark/ikev2-decrypt-aes128ccm12.pcap", 6, 4},
                                         Capture{"captures/wireshark/ikev2-decrypt-aes192ctr.pcap", 6, 4},
                                         Capture{"captures/wireshark/ikev2-decrypt-aes256cbc.pcapng", 4, 2},
                                         Capture{"captures/wireshark/ikev2-decrypt-aes256gcm16.pcap", 6, 4},
                                         Capture{"captures/scapy/ikev2_nat_t.pcapng", 30, 24},
                                         Capture{"captures/ndpi/ah.pcapng", 4, 2},
                                         Capture{"captures/ndpi/esp.pcapng", 4, 2},
                                         Capture{"captures/tcpdump/ikev2four.pcap", 21, 17}),
                         [](const auto& given) {
                           std::string name = std::filesystem::path(given.param.file).stem().string();
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(IkeScan, InitParsesAndOffersWhatItSays) {
  REQUIRE_VECTORS(path, "ike-scan/pkt-ikev2.dat");
  const auto parsed = codec::parse_message(read_file(path));
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  expect_round_trip(*parsed);
  const auto* sa = codec::first_of<codec::SaPayload>(parsed->payloads);
  ASSERT_NE(sa, nullptr);
  ASSERT_EQ(sa->proposals.size(), 1U);
  EXPECT_EQ(sa->proposals[0].transforms.size(), 11U);
  EXPECT_EQ(sa->proposals[0].transforms[0], (model::Transform{model::TransformType::encryption, 12, 256, false}));
  ASSERT_NE(codec::first_of<codec::KePayload>(parsed->payloads), nullptr);
  EXPECT_EQ(codec::first_of<codec::KePayload>(parsed->payloads)->method, model::KeyExchangeMethod::modp_1024);
}

/// One direction's keys as the capture's key table has them.
struct Keys {
  const char* encryption;
  const char* integrity;
};
struct Keyed {
  const char* file;
  crypto::PacketSuite suite;
  Keys initiator, responder;
  const char* auth;  // AUTH data that one of the messages holds
};

class IkeDecryption : public testing::TestWithParam<Keyed> {};

TEST_P(IkeDecryption, OpensWithTheKeysOfTheTable) {
  const Keyed& keyed = GetParam();
  REQUIRE_VECTORS(path, keyed.file);
  auto from_initiator =
      codec::MessageOpener::make(keyed.suite, hex(keyed.initiator.encryption), hex(keyed.initiator.integrity));
  auto from_responder =
      codec::MessageOpener::make(keyed.suite, hex(keyed.responder.encryption), hex(keyed.responder.integrity));
  ASSERT_TRUE(from_initiator && from_responder);

  std::size_t opened = 0;
  bool auth_seen = false;
  for (const Bytes& datagram : ike_messages(path)) {
    const auto parsed = codec::parse_message(datagram);
    ASSERT_TRUE(parsed);
    if (!parsed->sealed) continue;
    auto& opener = parsed->header.initiator ? *from_initiator : *from_responder;
    const auto message = opener.open(datagram, *parsed);
    ASSERT_TRUE(message) << codec::name_of(message.error().fault) << ": " << message.error().parse.to_string();
    ++opened;
    if (const auto* auth = message->first<codec::AuthPayload>()) auth_seen |= to_hex(auth->data) == keyed.auth;
    const auto again =
        codec::parse_payloads(codec::first_type(message->payloads), codec::serialize_payloads(message->payloads));
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, message->payloads);

    Bytes damaged = datagram;
    damaged[damaged.size() / 2] ^= 1;
    EXPECT_FALSE(opener.open_chain(damaged, *parsed));
    auto& wrong_key = parsed->header.initiator ? *from_responder : *from_initiator;
    EXPECT_EQ(wrong_key.open_chain(datagram, *parsed).error(), codec::OpenFault::bad_integrity);
  }
  EXPECT_GT(opened, 0U);
  EXPECT_TRUE(auth_seen);
}

INSTANTIATE_TEST_SUITE_P(
    Wireshark, IkeDecryption,
    testing::Values(Keyed{"captures/wireshark/ikev2-decrypt-aes256cbc.pcapng",
                          {CipherId::aes_cbc, 256, IntegrityId::hmac_sha2_256_128},
                          {"9096ddd2933620e8f48122c53a3f562cb0222c1cf97ce41fcc874ea2582a89ac",
                           "12d532c3e83c757906af548dfe1ccf223ca5507af77898454e2d55c8ace57a17"},
                          {"6718c6b2bbef2f234eac4c13832f885d87b574afd2af0111161e99b5dc61b4d4",
                           "30c4ead18c93024b58a86c1e3db60f550221801026853170b4cb0248d3a95329"},
                          "e1a8d550064201a7ec024a85758d0673c61c5c510ac13bcd225d6327f50da3d3"},
                    Keyed{"captures/wireshark/ikev2-decrypt-aes256gcm16.pcap",
                          {CipherId::aes_gcm_16, 256, IntegrityId::none},
                          {"647075bf167447a1c8683e8dbe4794b4cfe73799cc6bec34905441159ce13705c8dfb3a9", ""},
                          {"15c9eae6f94631d63068bf44bb69999abc07b3d15e915fd8f0ed99ad481efd75deb02a5e", ""},
                          "9ab71f14ab553cad873a1aa70b99df155dee77cdcf3694b3b7527acbb9712ded"}),
    [](const auto& given) { return given.param.suite.is_aead() ? "Gcm" : "Cbc"; });

/// RFC 7634 appendix B: an INFORMATIONAL request with SET_WINDOW_SIZE 10 under ChaCha20-Poly1305.
TEST(Rfc7634, SealedMessage) {
  const Bytes datagram =
      hex("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029"
          "1011121314151617610394701f8d017f7c12924889"
          "6b71bfe25236efd7cdc670669063"
          "15b2");
  Bytes key;
  for (int octet = 0x80; octet <= 0xa3; ++octet) key.push_back(static_cast<std::uint8_t>(octet));
  const crypto::PacketSuite suite{CipherId::chacha20_poly1305, 256, IntegrityId::none};
  auto opener = codec::MessageOpener::make(suite, key, {});
  ASSERT_TRUE(opener);
  const auto parsed = codec::parse_message(datagram);
  ASSERT_TRUE(parsed);
  const auto message = opener->open(datagram, *parsed);
  ASSERT_TRUE(message) << codec::name_of(message.error().fault);
  EXPECT_EQ(message->header.message_id.value(), 9U);
  ASSERT_EQ(message->payloads.size(), 1U);
  const auto* notify = message->notify(model::NotifyType::set_window_size);
  ASSERT_NE(notify, nullptr);
  EXPECT_EQ(to_hex(notify->data), "0000000a");
}

}  // namespace
}  // namespace culvert::vectors
