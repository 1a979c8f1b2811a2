// AH with every integrity algorithm, and AES-GMAC's IV on the wire, held against the crypto layer without the engine.
#include <gtest/gtest.h>

#include "ipsec/encapsulation.hpp"
#include "ipsec/modes_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using model::IntegrityId;

constexpr ModeCase kAh{.protocol = model::ProtocolId::ah,
                       .mode = model::Mode::tunnel,
                       .encapsulation = model::Encapsulation::none,
                       .outer = net::Family::v4,
                       .inner = net::Family::v4};

model::EspSuite with(IntegrityId integrity, model::EsnId esn) {
  return {.encryption = model::EncryptionId::null, .key_bits = 0, .integrity = integrity, .esn = esn};
}

TEST(AhIntegrity, EveryAlgorithmCarriesPackets) {
  for (const auto& [id, name] : model::kIntegrityIdNames) {
    if (id == IntegrityId::none) continue;
    for (const model::EsnId esn : {model::EsnId::esn, model::EsnId::no_esn}) {
      ModeWorld world(kAh);
      world.install(1, with(id, esn));
      std::vector<Bytes> sent;
      for (std::size_t size = 0; size < 70; ++size) sent.push_back(udp_packet(world.flow, Bytes(size * 9, 0x17)));
      EXPECT_EQ(world.carry(sent), sent) << name;
      EXPECT_EQ(all_drops(world.pair.bob), 0U) << name;
    }
  }
}

// RFC 4543 4: IV, then ICV; the IV counts as it stands, as in DPDK's packet (tests/vectors).
TEST(AhIntegrity, GmacCoversItsIv) {
  ModeWorld world(kAh);
  auto [a, b] = world.make_pair(1, with(IntegrityId::aes_128_gmac, model::EsnId::no_esn));
  const Bytes key = to_bytes(a.outbound.integrity.view());
  ASSERT_TRUE(world.pair.alice.install(std::move(a), world.pair.now).has_value());
  const CollectingWire wire =
      world.pair.alice_sends({udp_packet(world.flow, Bytes(50, 1)), udp_packet(world.flow, Bytes(50, 2))});
  ASSERT_FALSE(wire.trains.empty());
  Bytes packet = wire.trains[0].packets().at(0);
  constexpr std::size_t kHead = net::kIpv4HeaderSize + kAhFixedSize;
  constexpr std::size_t kEnd = kHead + 8 + 16;
  ASSERT_GT(packet.size(), kEnd);
  EXPECT_EQ(packet[net::kIpv4HeaderSize + 1], (kAhFixedSize + 24) / 4 - 2);

  Bytes covered(packet.begin(), packet.begin() + kEnd);
  for (const std::size_t changes_on_the_way : {1, 6, 7, 8, 10, 11}) covered[changes_on_the_way] = 0;
  std::fill(covered.begin() + kHead + 8, covered.end(), 0);
  const auto cipher = crypto::make_packet_cipher({crypto::CipherId::null, 0, crypto::IntegrityId::aes_128_gmac}, {},
                                                 key, crypto::Backend::openssl)
                          .value();
  crypto::PacketJob job;
  job.aad = covered;
  job.iv = packet.data() + kHead;
  job.input = job.output = packet.data() + kEnd;
  job.length = packet.size() - kEnd;
  job.icv = packet.data() + kHead + 8;
  cipher->open({&job, 1});
  EXPECT_TRUE(job.ok);
}

}  // namespace
}  // namespace culvert::ipsec
