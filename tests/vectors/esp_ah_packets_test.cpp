// Whole AH packets made by others: DPDK's test vectors, tunnel mode with HMAC-SHA2-256 and transport mode with
// AES-GMAC.
#include <gtest/gtest.h>

#include "ipsec/ah_mutable_fields.hpp"
#include "ipsec/encapsulation.hpp"
#include "model/proposal.hpp"
#include "net/header_chain.hpp"
#include "support.hpp"

namespace culvert {
namespace {

using namespace ipsec;

struct AhVector {
  model::IntegrityId integrity = model::IntegrityId::none;
  Bytes key;  // with salt
  bool tunnel = false;
  Bytes inner;
  Bytes sent;  // from the IP header on
};

// Opens what DPDK made, and makes the same from the inner packet.
void check(const AhVector& vector, crypto::Backend backend) {
  const model::EspSuite suite{.encryption = model::EncryptionId::null, .key_bits = 0, .integrity = vector.integrity};
  const auto packet_suite = model::packet_suite(model::ProtocolId::ah, suite);
  ASSERT_TRUE(packet_suite.has_value());
  auto cipher = crypto::make_packet_cipher(*packet_suite, {}, vector.key, backend);
  ASSERT_TRUE(cipher.has_value());
  const EspLayout layout = layout_of(*packet_suite, model::EsnId::no_esn);
  const std::size_t ah_size = layout.ah(net::Family::v4);
  const std::size_t front = net::kIpv4HeaderSize;
  ASSERT_EQ(vector.sent.size(), front + ah_size + vector.inner.size() - (vector.tunnel ? 0 : front));

  const auto covered_of = [&](const Bytes& packet) {
    Bytes covered(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(front + ah_size));
    EXPECT_EQ(zero_mutable_fields(MutableByteView(covered).first(front)), front);
    std::fill(covered.begin() + static_cast<std::ptrdiff_t>(front + kAhFixedSize + layout.iv), covered.end(), 0);
    return covered;
  };
  Bytes packet = vector.sent;
  const std::uint32_t sequence = load_be32(packet.data() + front + 8);
  Bytes covered = covered_of(packet);
  crypto::PacketJob job =
      make_ah_job(layout, covered, packet.data() + front, ah_size, packet.size() - front - ah_size, sequence);
  (*cipher)->open({&job, 1});
  EXPECT_TRUE(job.ok);

  // The packet anew, from the inner one; the IV is DPDK's.
  Bytes made = packet;
  write_ah(made.data() + front, ah_size, vector.tunnel ? 4 : vector.inner[9], load_be32(packet.data() + front + 4),
           sequence);
  std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(front + kAhFixedSize), layout.iv,
              made.begin() + static_cast<std::ptrdiff_t>(front + kAhFixedSize));
  const ByteView payload = ByteView(vector.inner).subspan(vector.tunnel ? 0 : front);
  std::copy(payload.begin(), payload.end(), made.begin() + static_cast<std::ptrdiff_t>(front + ah_size));
  if (!vector.tunnel) {
    std::copy_n(vector.inner.begin(), front, made.begin());
    net::close_chain(MutableByteView(made).first(front), 9, 51, made.size());
  }
  covered = covered_of(made);
  job = make_ah_job(layout, covered, made.data() + front, ah_size, payload.size(), sequence);
  (*cipher)->seal({&job, 1});
  EXPECT_EQ(to_hex(made), to_hex(vector.sent));
}

TEST(AhPackets, Dpdk) {
  constexpr const char* kFile = "dpdk/test_cryptodev_security_ipsec_test_vectors.json";
  REQUIRE_VECTORS(path, kFile);
  const nlohmann::json file = vectors::read_json(path);
  const auto field = [](const nlohmann::json& entry, const char* name) {
    const auto found = entry.find(name);
    return found == entry.end() ? Bytes{} : vectors::hex(found->get<std::string>());
  };
  std::vector<crypto::Backend> backends{crypto::Backend::openssl, crypto::Backend::automatic};
  std::size_t checked = 0;
  for (const auto& entry : file["vectors"]) {
    const std::string name = entry["name"];
    const bool tunnel = name == "pkt_ah_tunnel_sha256";
    if (!tunnel && name != "pkt_ah_ipv4_aes_gmac_128") continue;
    ++checked;
    for (const crypto::Backend backend : backends) {
      SCOPED_TRACE(name);
      check({.integrity = tunnel ? model::IntegrityId::hmac_sha2_256_128 : model::IntegrityId::aes_128_gmac,
             .key = concat({field(entry, "auth_key"), field(entry, "salt")}),
             .tunnel = tunnel,
             .inner = field(entry, "input_text"),
             .sent = field(entry, "output_text")},
            backend);
    }
  }
  EXPECT_EQ(checked, 2U);
}

}  // namespace
}  // namespace culvert
