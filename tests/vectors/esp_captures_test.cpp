// Traffic of other implementations, captured years ago, whose keys are known: the engine must make of it the inner
// packets that their tools print.
#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "capture.hpp"
#include "ipsec/engine_test_kit.hpp"
#include "net/packet.hpp"
#include "support.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using model::EncryptionId;
using model::IntegrityId;

/// One direction of one SA in a capture.
struct CapturedSa {
  std::uint32_t spi;
  model::EspSuite suite;
  const char* encryption_key;
  const char* integrity_key;
};

/// What comes out of the engine for the packets of this SA, and how many they were.
struct Decoded {
  std::vector<Bytes> inner;
  std::size_t packets = 0;
};

Decoded decode(const std::filesystem::path& capture, const CapturedSa& sa) {
  SeededRandom random(1);
  Engine engine({}, random);
  Decoded decoded;
  bool installed = false;
  for (Bytes& packet : vectors::ip_packets(capture)) {
    const auto info = net::parse_packet(packet);
    if (!info || info->protocol != static_cast<std::uint8_t>(net::IpProtocol::esp)) continue;
    const MutableByteView esp = MutableByteView(packet).first(info->total_length).subspan(info->header_length);
    if (esp.size() < 8 || load_be32(esp.data()) != sa.spi) continue;
    if (!installed) {
      model::ChildSaParams params;
      params.id = model::ChildSaId{1};
      params.spi_inbound = model::Spi{sa.spi};
      params.spi_outbound = model::Spi{0x1000};
      params.suite = sa.suite;
      params.suite.esn = model::EsnId::no_esn;
      params.encapsulation = model::Encapsulation::none;
      params.path = {{info->destination, 0}, {info->source, 0}};
      const auto keys = [&] {
        return model::SaKeys{SecretBytes::copy_of(from_hex(sa.encryption_key).value()),
                             SecretBytes::copy_of(from_hex(sa.integrity_key).value())};
      };
      params.inbound = keys();
      params.outbound = keys();
      params.local = params.remote = {model::TrafficSelector::all(net::Family::v4)};
      CHECK(engine.install(std::move(params), {}).has_value());
      installed = true;
    }
    ++decoded.packets;
    const std::vector<WireInput> inputs{{.path = {{info->destination, 0}, {info->source, 0}},
                                         .encapsulation = model::Encapsulation::none,
                                         .protocol = 50,
                                         .ip_header = ByteView(packet).first(info->header_length),
                                         .bytes = esp}};
    CollectingInner inner;
    engine.inbound(inputs, {}, inner);
    for (Bytes& one : inner.packets) decoded.inner.push_back(std::move(one));
  }
  EXPECT_EQ(all_drops(engine), 0U);
  return decoded;
}

void expect_echo_requests(const Decoded& decoded, const char* source, const char* destination, std::uint16_t identifier,
                          std::uint16_t first_sequence) {
  ASSERT_EQ(decoded.packets, 8U);
  ASSERT_EQ(decoded.inner.size(), 8U);
  for (std::size_t i = 0; i < 8; ++i) {
    const Bytes& packet = decoded.inner[i];
    const auto info = net::parse_packet(packet);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->source.to_string(), source);
    EXPECT_EQ(info->destination.to_string(), destination);
    ASSERT_EQ(packet.size(), 84U);
    EXPECT_EQ(packet[20], 8);
    EXPECT_EQ(load_be16(packet.data() + 24), identifier);
    EXPECT_EQ(load_be16(packet.data() + 26), first_sequence + 256 * i);
  }
}

// FreeS/WAN's test hosts "sunrise" and "sunset". The encryption keys stand in tcpdump's esp-secrets.txt, the echo
// requests in its esp1.out and esp5.out. The integrity keys, 8765 repeated, are those of FreeS/WAN's manual-key tests;
// the ICVs of the captures agree.
TEST(EspCaptures, FreeSwanTripleDesMd5) {
  REQUIRE_VECTORS(path, "captures/tcpdump/02-sunrise-sunset-esp.pcap");
  const Decoded decoded = decode(
      path, {.spi = 0x12345678,
             .suite = {.encryption = EncryptionId::triple_des, .key_bits = 0, .integrity = IntegrityId::hmac_md5_96},
             .encryption_key = "4043434545464649494a4a4c4c4f4f515152525454575758",
             .integrity_key = "87658765876587658765876587658765"});
  expect_echo_requests(decoded, "192.0.2.1", "192.0.1.1", 28416, 1280);
}

TEST(EspCaptures, FreeSwanAes256Sha1) {
  REQUIRE_VECTORS(path, "captures/tcpdump/08-sunrise-sunset-aes.pcap");
  const Decoded decoded = decode(
      path, {.spi = 0xd1234567,
             .suite = {.encryption = EncryptionId::aes_cbc, .key_bits = 256, .integrity = IntegrityId::hmac_sha1_96},
             .encryption_key = "aaaabbbbccccdddd4043434545464649494a4a4c4c4f4f515152525454575758",
             .integrity_key = "8765876587658765876587658765876587658765"});
  expect_echo_requests(decoded, "192.0.2.1", "192.0.1.1", 28416, 1280);
}

// Wireshark's esp-bug-12671, both directions, keys from its esp_sa.tmpl; its test looks for the ping's pattern.
TEST(EspCaptures, WiresharkAes128Sha1) {
  REQUIRE_VECTORS(path, "captures/wireshark/esp-bug-12671.pcapng.gz");
  const model::EspSuite suite{
      .encryption = EncryptionId::aes_cbc, .key_bits = 128, .integrity = IntegrityId::hmac_sha1_96};
  const std::array<CapturedSa, 2> directions{{{.spi = 0x070883c2,
                                               .suite = suite,
                                               .encryption_key = "5de1a4c2c72662c9fda7a7c78cd25623",
                                               .integrity_key = "51c9213c18232f8f26c70c4dee6e0e6d56e31e8a"},
                                              {.spi = 0xc254fe64,
                                               .suite = suite,
                                               .encryption_key = "88e1dad7140af03b8d4f3d734d21be4b",
                                               .integrity_key = "3e00d517c1220d4b7d2950fcc02edd4b6023d278"}}};
  const Bytes pattern = from_hex("08090a0b0c0d0e0f1011121314151617").value();
  for (const CapturedSa& direction : directions) {
    const Decoded decoded = decode(path, direction);
    EXPECT_GT(decoded.packets, 0U);
    EXPECT_EQ(decoded.inner.size(), decoded.packets);
    for (const Bytes& packet : decoded.inner) {
      EXPECT_NE(std::ranges::search(packet, pattern).begin(), packet.end());
    }
  }
}

}  // namespace
}  // namespace culvert::ipsec
