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

/// Those that serve the suite; OpenSSL must.
std::vector<crypto::Backend> backends(const crypto::PacketSuite& suite) {
  std::vector<crypto::Backend> list{crypto::Backend::openssl};
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  if (crypto::make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key),
                                 crypto::Backend::ipsec_mb)) {
    list.push_back(crypto::Backend::ipsec_mb);
  }
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
  crypto::PacketJob job;
  make_esp_job(layout, packet.data(), text_length, sequence_of(vector.esp), scratch, job);
  (*cipher)->open({&job, 1});
  ASSERT_TRUE(job.ok);
  EXPECT_TRUE(equal(ByteView(packet).subspan(layout.head(), vector.inner.size()), vector.inner));
  EXPECT_EQ(packet[layout.head() + text_length - 2], text_length - vector.inner.size() - kEspTrailerSize);

  std::fill(packet.end() - layout.icv, packet.end(), 0);
  make_esp_job(layout, packet.data(), text_length, sequence_of(vector.esp), scratch, job);
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
  const crypto::PacketSuite suite = model::packet_suite(model::ProtocolId::esp, vector.suite).value();
  for (const crypto::Backend backend : backends(suite)) {
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
  using Integrity = model::IntegrityId;
  // Left out: pkt_aes_128_cbc_null, which nobody authenticates (RFC 4303 3.2 lets us refuse it).
  const std::map<std::string, model::EspSuite> ours = {
      {"pkt_aes_128_gcm", {.encryption = EncryptionId::aes_gcm_16, .key_bits = 128}},
      {"pkt_aes_256_gcm", {.encryption = EncryptionId::aes_gcm_16, .key_bits = 256}},
      {"pkt_aes_128_gcm_frag", {.encryption = EncryptionId::aes_gcm_16, .key_bits = 128}},
      {"pkt_aes_128_cbc_hmac_sha256",
       {.encryption = EncryptionId::aes_cbc, .key_bits = 128, .integrity = model::IntegrityId::hmac_sha2_256_128}},
      {"pkt_aes_128_cbc_hmac_sha512",
       {.encryption = EncryptionId::aes_cbc, .key_bits = 128, .integrity = model::IntegrityId::hmac_sha2_512_256}},
      {"pkt_aes_256_ccm", {.encryption = EncryptionId::aes_ccm_16, .key_bits = 256}},
      {"pkt_aes_128_cbc_md5", {.encryption = EncryptionId::aes_cbc, .integrity = Integrity::hmac_md5_96}},
      {"pkt_3des_cbc_hmac_sha256",
       {.encryption = EncryptionId::triple_des, .key_bits = 0, .integrity = Integrity::hmac_sha2_256_128}},
      {"pkt_3des_cbc_hmac_sha384",
       {.encryption = EncryptionId::triple_des, .key_bits = 0, .integrity = Integrity::hmac_sha2_384_192}},
      {"pkt_des_cbc_hmac_sha384",
       {.encryption = EncryptionId::des, .key_bits = 0, .integrity = Integrity::hmac_sha2_384_192}},
      {"pkt_des_cbc_hmac_sha512",
       {.encryption = EncryptionId::des, .key_bits = 0, .integrity = Integrity::hmac_sha2_512_256}},
      {"pkt_des_cbc_hmac_sha256_v6",
       {.encryption = EncryptionId::des, .key_bits = 0, .integrity = Integrity::hmac_sha2_256_128}},
      {"pkt_aes_128_ctr_hmac_sha256", {.encryption = EncryptionId::aes_ctr, .integrity = Integrity::hmac_sha2_256_128}},
      {"pkt_aes_128_ctr_hmac_sha384", {.encryption = EncryptionId::aes_ctr, .integrity = Integrity::hmac_sha2_384_192}},
      {"pkt_null_aes_xcbc", {.encryption = EncryptionId::null, .key_bits = 0, .integrity = Integrity::aes_xcbc_96}},
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
           .esp =
               Bytes(outer.begin() + (outer[0] >> 4 == 6 ? net::kIpv6HeaderSize : net::kIpv4HeaderSize), outer.end())});
    ++checked;
  }
  EXPECT_EQ(checked, ours.size());
}

// AH packets: the mutable fields of the outer IPv4 header and the ICV are zero for the ICV (RFC 4302 3.3.3.1); what
// follows AH goes in from where it stands. With AES-GMAC the ICV field begins with the IV, which is authenticated as it
// is (RFC 4543 4).
void check_ah(const nlohmann::json& entry, model::IntegrityId integrity) {
  const crypto::PacketSuite suite =
      model::packet_suite(model::ProtocolId::ah,
                          {.encryption = model::EncryptionId::null, .key_bits = 0, .integrity = integrity})
          .value();
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  const Bytes key = concat({hex_field(entry, "auth_key"), hex_field(entry, "salt")});
  Bytes packet = hex_field(entry, "output_text");
  constexpr std::size_t kAh = net::kIpv4HeaderSize;
  constexpr std::size_t kIcvField = kAh + 12;
  const std::size_t payload = kIcvField + sizes.iv + sizes.icv;
  ASSERT_GT(packet.size(), payload);
  ASSERT_EQ(packet[9], 51);
  ASSERT_GE((packet[kAh + 1] + 2U) * 4, payload - kAh);  // DPDK pads the field where RFC 4302 2.6 wants multiples
  const std::size_t padded = kAh + (packet[kAh + 1] + 2U) * 4;

  Bytes head(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(padded));
  for (const std::size_t mutable_octet : {1, 6, 7, 8, 10, 11}) head[mutable_octet] = 0;
  std::fill(head.begin() + static_cast<std::ptrdiff_t>(kIcvField + sizes.iv),
            head.begin() + static_cast<std::ptrdiff_t>(payload), 0);
  for (const crypto::Backend backend : backends(suite)) {
    const auto cipher = crypto::make_packet_cipher(suite, {}, key, backend);
    ASSERT_TRUE(cipher);
    crypto::PacketJob job;
    job.iv = packet.data() + kIcvField;
    job.aad = head;
    job.input = job.output = packet.data() + padded;
    job.length = packet.size() - padded;
    job.icv = packet.data() + kIcvField + sizes.iv;
    (*cipher)->open({&job, 1});
    EXPECT_TRUE(job.ok) << entry["name"] << (*cipher)->backend();
    Bytes icv(sizes.icv);
    const Bytes expected(job.icv, job.icv + sizes.icv);
    job.icv = icv.data();
    (*cipher)->seal({&job, 1});
    EXPECT_EQ(to_hex(icv), to_hex(expected));
    icv[3] ^= 4;
    (*cipher)->open({&job, 1});
    EXPECT_FALSE(job.ok);
  }
}

TEST(AhPackets, Dpdk) {
  constexpr const char* kFile = "dpdk/test_cryptodev_security_ipsec_test_vectors.json";
  REQUIRE_VECTORS(path, kFile);
  std::size_t checked = 0;
  const nlohmann::json file = vectors::read_json(path);
  for (const auto& entry : file["vectors"]) {
    const auto name = entry["name"].get<std::string>();
    if (name == "pkt_ah_tunnel_sha256") {
      check_ah(entry, model::IntegrityId::hmac_sha2_256_128);
      ++checked;
    } else if (name == "pkt_ah_ipv4_aes_gmac_128") {
      check_ah(entry, model::IntegrityId::aes_128_gmac);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 2U);
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
    const bool ours = suite.key_bits == 128 || suite.key_bits == 256 || suite.cipher == CipherId::triple_des_cbc;
    if (!ours || plain.empty() || assoc.size() < iv.size() || cipher_text.size() != plain.size() + shape_sizes.icv ||
        integrity_key.size() != shape_sizes.integrity_key) {
      continue;
    }
    assoc.resize(assoc.size() - iv.size());  // the kernel appends the IV
    for (const crypto::Backend backend : backends(suite)) {
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
      if (entry.value("novrfy", 0) == 0) {
        EXPECT_EQ(to_hex(concat({text, icv})), to_hex(cipher_text)) << name << " " << checked;
      } else {
        EXPECT_NE(to_hex(concat({text, icv})), to_hex(cipher_text)) << name << " " << checked;
      }
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
TEST(EspPackets, LinuxRfc4543) {
  check_linux("linux/aes_gcm_rfc4543_tv_template.json", {.cipher = CipherId::null_aes_gmac, .key_bits = 128}, 2);
}
TEST(EspPackets, LinuxAuthencSha1) {
  check_linux("linux/hmac_sha1_aes_cbc_tv_temp.json",
              {.cipher = CipherId::aes_cbc, .key_bits = 128, .integrity = IntegrityId::hmac_sha1_96}, 5);
}
TEST(EspPackets, LinuxAuthencTripleDes) {
  check_linux("linux/hmac_sha1_des3_ede_cbc_tv_temp.json",
              {.cipher = CipherId::triple_des_cbc, .key_bits = 192, .integrity = IntegrityId::hmac_sha1_96}, 1);
}
TEST(EspPackets, LinuxAuthenc) {
  check_linux("linux/hmac_sha256_aes_cbc_tv_temp.json",
              {.cipher = CipherId::aes_cbc, .key_bits = 128, .integrity = IntegrityId::hmac_sha2_256_128}, 5);
}

}  // namespace
}  // namespace culvert
