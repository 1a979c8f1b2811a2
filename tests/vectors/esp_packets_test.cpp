// Whole ESP packets made by others: RFC 7634 Appendix A, DPDK's test vectors; and the AEAD layouts of ESP in Linux's
// testmgr.
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "support.hpp"

namespace culvert {
namespace {

using namespace ipsec;
using namespace ipsec::test_kit;
using crypto::CipherId;
using crypto::IntegrityId;

// One packet before and after, with everything that made it.
struct EspVector {
  std::string name;
  model::EspSuite suite;
  Bytes encryption_key;  // with salt
  Bytes integrity_key;
  Bytes inner;
  Bytes esp;  // from the SPI to the ICV
};

// The octets of a hexadecimal field; an absent field has none.
Bytes hex_field(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? Bytes{} : vectors::hex(found->get<std::string>());
}

std::vector<crypto::Backend> backends() {
  std::vector<crypto::Backend> list{crypto::Backend::openssl};
  if (crypto::ipsec_mb_available()) list.push_back(crypto::Backend::ipsec_mb);
  return list;
}

std::uint32_t sequence_of(const Bytes& esp) { return load_be32(esp.data() + 4); }

// The ICV is right and behind it stands the inner packet with the trailer of RFC 4303 2.4; sealing that again, with the
// same IV, gives the same octets.
void check_both_ways(const EspVector& vector, crypto::Backend backend) {
  const crypto::PacketSuite suite =
      model::packet_suite(vector.suite.encryption, vector.suite.key_bits, vector.suite.integrity).value();
  const EspLayout layout = layout_of(suite, model::EsnId::no_esn);
  ASSERT_EQ(vector.esp.size(), layout.sealed(vector.inner.size()));
  auto cipher = crypto::make_packet_cipher(suite, vector.encryption_key, vector.integrity_key, backend);
  ASSERT_TRUE(cipher.has_value());
  Bytes packet = vector.esp;
  EspScratch scratch{};
  const std::size_t text_length = layout.padded(vector.inner.size());
  crypto::PacketJob job = make_esp_job(layout, packet.data(), text_length, sequence_of(vector.esp), scratch);
  (*cipher)->open({&job, 1});
  ASSERT_TRUE(job.ok);
  EXPECT_TRUE(equal(ByteView(packet).subspan(layout.head(), vector.inner.size()), vector.inner));
  EXPECT_EQ(packet[layout.head() + text_length - 2], text_length - vector.inner.size() - kEspTrailerSize);

  std::fill(packet.end() - layout.icv, packet.end(), 0);
  job = make_esp_job(layout, packet.data(), text_length, sequence_of(vector.esp), scratch);
  (*cipher)->seal({&job, 1});
  EXPECT_EQ(to_hex(packet), to_hex(vector.esp));
}

// The packet through a whole engine, once.
void check_engine(const EspVector& vector, crypto::Backend backend) {
  EngineOptions options;
  options.backend = backend;
  SeededRandom random(1);
  Engine engine(options, random);
  model::ChildSaParams params;
  params.id = model::ChildSaId{1};
  params.spi_inbound = model::Spi{load_be32(vector.esp.data())};
  params.spi_outbound = model::Spi{0x1000};
  params.suite = vector.suite;
  params.suite.esn = model::EsnId::no_esn;
  params.inbound = {SecretBytes::copy_of(vector.encryption_key), SecretBytes::copy_of(vector.integrity_key)};
  params.outbound = {SecretBytes::copy_of(vector.encryption_key), SecretBytes::copy_of(vector.integrity_key)};
  params.local =
      params.remote = {model::TrafficSelector::all(net::Family::v4), model::TrafficSelector::all(net::Family::v6)};
  ASSERT_TRUE(engine.install(std::move(params), {}).has_value());
  Bytes first = vector.esp;
  Bytes second = vector.esp;
  Bytes forged = vector.esp;
  forged.back() ^= 1;
  const std::vector<WireInput> inputs{{.bytes = forged}, {.bytes = first}, {.bytes = second}};
  CollectingInner inner;
  engine.inbound(inputs, {}, inner);
  EXPECT_EQ(inner.packets, std::vector<Bytes>{vector.inner});
  EXPECT_EQ(drops(engine, "bad_icv"), 1U);
  EXPECT_EQ(drops(engine, "replayed"), 1U);
}

void check(const EspVector& vector) {
  for (const crypto::Backend backend : backends()) {
    SCOPED_TRACE(vector.name + (backend == crypto::Backend::openssl ? ", OpenSSL" : ", ipsec-mb"));
    check_both_ways(vector, backend);
    // An engine refuses the reserved SPIs that some of DPDK's packets have.
    if (load_be32(vector.esp.data()) > 255) check_engine(vector, backend);
  }
}

// The octets of a dump in an RFC: lines "016  10 11 ...  text" behind a title line.
Bytes rfc_dump(const std::string& text, const std::string& title) {
  std::istringstream lines(text.substr(text.find("\n  " + title) + 1));
  std::string line;
  std::getline(lines, line);
  Bytes bytes;
  while (std::getline(lines, line) && line.size() > 7 && std::isdigit(static_cast<unsigned char>(line[2])) != 0) {
    for (std::size_t at = 7; at + 1 < line.size() && at < 7 + 16 * 3 && line[at] != ' '; at += 3) {
      const Bytes octet = from_hex(line.substr(at, 2)).value();
      bytes.push_back(octet[0]);
    }
  }
  return bytes;
}

// RFC 7634 Appendix A.
TEST(EspPackets, Rfc7634AppendixA) {
  constexpr const char* kFile = "rfc/rfc7634-chacha20-poly1305-esp-and-ikev2.txt";
  REQUIRE_VECTORS(path, kFile);
  const std::string text = vectors::read_text(path);
  const Bytes outer = rfc_dump(text, "ESP packet:");
  ASSERT_EQ(outer.size(), 140U);
  check({.name = "RFC 7634 A",
         .suite = {.encryption = model::EncryptionId::chacha20_poly1305, .key_bits = 0},
         .encryption_key = rfc_dump(text, "KEYMAT:"),
         .inner = rfc_dump(text, "Source Packet:"),
         .esp = Bytes(outer.begin() + net::kIpv4HeaderSize, outer.end())});
}

TEST(EspPackets, Dpdk) {
  constexpr const char* kFile = "dpdk/test_cryptodev_security_ipsec_test_vectors.json";
  REQUIRE_VECTORS(path, kFile);
  const nlohmann::json file = vectors::read_json(path);
  using model::EncryptionId;
  const std::map<std::string, model::EspSuite> ours = {
      {"pkt_aes_128_gcm", {.encryption = EncryptionId::aes_gcm_16, .key_bits = 128}},
      {"pkt_aes_256_gcm", {.encryption = EncryptionId::aes_gcm_16, .key_bits = 256}},
      {"pkt_aes_128_gcm_frag", {.encryption = EncryptionId::aes_gcm_16, .key_bits = 128}},
      {"pkt_aes_128_cbc_hmac_sha256",
       {.encryption = EncryptionId::aes_cbc, .key_bits = 128, .integrity = model::IntegrityId::hmac_sha2_256_128}},
      {"pkt_aes_128_cbc_hmac_sha512",
       {.encryption = EncryptionId::aes_cbc, .key_bits = 128, .integrity = model::IntegrityId::hmac_sha2_512_256}},
  };
  std::size_t checked = 0;
  for (const auto& entry : file["vectors"]) {
    const auto suite = ours.find(entry["name"].get<std::string>());
    if (suite == ours.end()) continue;
    const Bytes outer = hex_field(entry, "output_text");
    check({.name = suite->first,
           .suite = suite->second,
           .encryption_key = concat({hex_field(entry, "key"), hex_field(entry, "salt")}),
           .integrity_key = hex_field(entry, "auth_key"),
           .inner = hex_field(entry, "input_text"),
           .esp = Bytes(outer.begin() + net::kIpv4HeaderSize, outer.end())});
    ++checked;
  }
  EXPECT_EQ(checked, ours.size());
}

// Linux's rfc4106, rfc7539esp and authenc vectors: not whole packets, but the AAD and IV as ESP lays them out.
void check_linux(const char* name, const crypto::PacketSuite& shape, std::size_t at_least) {
  REQUIRE_VECTORS(path, name);
  const nlohmann::json file = vectors::read_json(path);
  std::size_t checked = 0;
  for (const auto& entry : file["vectors"]) {
    const Bytes key = hex_field(entry, shape.is_aead() ? "key" : "enc_key");
    const Bytes integrity_key = hex_field(entry, "auth_key");
    const Bytes iv = hex_field(entry, "iv");
    const Bytes plain = hex_field(entry, "ptext");
    Bytes cipher_text = hex_field(entry, "ctext");
    Bytes assoc = hex_field(entry, "assoc");
    crypto::PacketSuite suite = shape;
    const crypto::SuiteSizes shape_sizes = crypto::sizes_of(shape);
    suite.key_bits = static_cast<unsigned>(key.size() - shape_sizes.salt) * 8;
    // authenc gives the whole HMAC, of which RFC 4868 sends the first half.
    if (!shape.is_aead()) cipher_text.resize(plain.size() + shape_sizes.icv);
    const bool ours = suite.cipher == CipherId::chacha20_poly1305 || suite.key_bits == 128 || suite.key_bits == 256;
    if (!ours || plain.empty() || assoc.size() < iv.size() || cipher_text.size() != plain.size() + shape_sizes.icv ||
        integrity_key.size() != shape_sizes.integrity_key) {
      continue;
    }
    assoc.resize(assoc.size() - iv.size());  // the kernel appends the IV
    for (const crypto::Backend backend : backends()) {
      auto cipher = crypto::make_packet_cipher(suite, key, integrity_key, backend);
      ASSERT_TRUE(cipher.has_value());
      Bytes text = plain;
      Bytes icv(shape_sizes.icv);
      crypto::PacketJob job;
      job.iv = iv.data();
      job.aad = assoc;
      job.input = text.data();
      job.output = text.data();
      job.length = text.size();
      job.icv = icv.data();
      (*cipher)->seal({&job, 1});
      EXPECT_EQ(to_hex(concat({text, icv})), to_hex(cipher_text)) << name << " " << checked;
      (*cipher)->open({&job, 1});
      EXPECT_TRUE(job.ok);
      EXPECT_EQ(text, plain);
    }
    ++checked;
  }
  EXPECT_GE(checked, at_least);
}

TEST(EspPackets, LinuxRfc4106) {
  check_linux("linux/aes_gcm_rfc4106_tv_template.json", {.cipher = CipherId::aes_gcm_16, .key_bits = 128}, 22);
}
TEST(EspPackets, LinuxRfc7539Esp) {
  check_linux("linux/rfc7539esp_tv_template.json", {.cipher = CipherId::chacha20_poly1305, .key_bits = 256}, 1);
}
TEST(EspPackets, LinuxAuthenc) {
  check_linux("linux/hmac_sha256_aes_cbc_tv_temp.json",
              {.cipher = CipherId::aes_cbc, .key_bits = 128, .integrity = IntegrityId::hmac_sha2_256_128}, 5);
}

}  // namespace
}  // namespace culvert
