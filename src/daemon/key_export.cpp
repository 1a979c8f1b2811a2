#include "daemon/key_export.hpp"

#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace culvert::daemon {
namespace {

// The names are Wireshark's own, to the letter; it refuses others.
std::string ike_encryption_name(const model::IkeSuite& suite) {
  using enum model::EncryptionId;
  const auto combined = [&](std::string_view mode, unsigned icv) {
    return fmt::format("{}-{} with {} octet ICV [RFC5282]", mode, suite.key_bits, icv);
  };
  switch (suite.encryption) {
    case aes_gcm_8: return combined("AES-GCM", 8);
    case aes_gcm_12: return combined("AES-GCM", 12);
    case aes_gcm_16: return combined("AES-GCM", 16);
    case aes_ccm_8: return combined("AES-CCM", 8);
    case aes_ccm_12: return combined("AES-CCM", 12);
    case aes_ccm_16: return combined("AES-CCM", 16);
    case aes_cbc: return fmt::format("AES-CBC-{} [RFC3602]", suite.key_bits);
    case aes_ctr: return fmt::format("AES-CTR-{} [RFC5930]", suite.key_bits);
    case triple_des: return "3DES [RFC2451]";
    default: return {};
  }
}

std::string_view ike_integrity_name(model::IntegrityId integrity) {
  using enum model::IntegrityId;
  switch (integrity) {
    case none: return "NONE [RFC4306]";
    case hmac_md5_96: return "HMAC_MD5_96 [RFC2403]";
    case hmac_sha1_96: return "HMAC_SHA1_96 [RFC2404]";
    case hmac_sha2_256_128: return "HMAC_SHA2_256_128 [RFC4868]";
    case hmac_sha2_384_192: return "HMAC_SHA2_384_192 [RFC4868]";
    case hmac_sha2_512_256: return "HMAC_SHA2_512_256 [RFC4868]";
    default: return {};
  }
}

std::string_view esp_encryption_name(model::EncryptionId encryption) {
  using enum model::EncryptionId;
  switch (encryption) {
    case aes_gcm_8: return "AES-GCM with 8 octet ICV [RFC4106]";
    case aes_gcm_12: return "AES-GCM with 12 octet ICV [RFC4106]";
    case aes_gcm_16: return "AES-GCM with 16 octet ICV [RFC4106]";
    case aes_cbc: return "AES-CBC [RFC3602]";
    case aes_ctr: return "AES-CTR [RFC3686]";
    case triple_des: return "TripleDES-CBC [RFC2451]";
    case des: return "DES-CBC [RFC2405]";
    case null: return "NULL";
    default: return {};
  }
}

std::string_view esp_integrity_name(model::IntegrityId integrity) {
  using enum model::IntegrityId;
  switch (integrity) {
    case none: return "NULL";
    case hmac_md5_96: return "HMAC-MD5-96 [RFC2403]";
    case hmac_sha1_96: return "HMAC-SHA-1-96 [RFC2404]";
    // Wireshark cannot compute these; it decrypts without a look at the ICV.
    case aes_xcbc_96:
    case aes_cmac_96: return "ANY 96 bit authentication [no checking]";
    case hmac_sha2_256_128: return "HMAC-SHA-256-128 [RFC4868]";
    case hmac_sha2_384_192: return "HMAC-SHA-384-192 [RFC4868]";
    case hmac_sha2_512_256: return "HMAC-SHA-512-256 [RFC4868]";
    default: return {};
  }
}

std::string esp_line(const net::IpAddress& source, const net::IpAddress& destination, model::Spi spi,
                     const model::EspSuite& suite, const model::SaKeys& keys) {
  const auto hex = [](const SecretBytes& key) { return key.empty() ? std::string() : "0x" + to_hex(key.view()); };
  return fmt::format("\"{}\",\"{}\",\"{}\",\"0x{:08x}\",\"{}\",\"{}\",\"{}\",\"{}\"\n",
                     source.is_v4() ? "IPv4" : "IPv6", source.to_string(), destination.to_string(), spi.value(),
                     esp_encryption_name(suite.encryption), hex(keys.encryption), esp_integrity_name(suite.integrity),
                     hex(keys.integrity));
}

}  // namespace

std::string ike_table_line(const ike::KeysExported& keys) {
  const std::string encryption = ike_encryption_name(keys.suite);
  const std::string_view integrity = ike_integrity_name(keys.suite.integrity);
  if (encryption.empty() || integrity.empty()) return {};
  return fmt::format("{:016x},{:016x},{},{},\"{}\",{},{},\"{}\"\n", keys.spi_i.value(), keys.spi_r.value(),
                     to_hex(keys.sk_ei.view()), to_hex(keys.sk_er.view()), encryption, to_hex(keys.sk_ai.view()),
                     to_hex(keys.sk_ar.view()), integrity);
}

std::string esp_table_lines(const control::ExportEspKeys& keys) {
  if (esp_encryption_name(keys.suite.encryption).empty() || esp_integrity_name(keys.suite.integrity).empty()) return {};
  const auto& ours = keys.path.local.address;
  const auto& theirs = keys.path.remote.address;
  return esp_line(theirs, ours, keys.spi_inbound, keys.suite, keys.inbound) +
         esp_line(ours, theirs, keys.spi_outbound, keys.suite, keys.outbound);
}

Result<KeyExport, std::string> KeyExport::open(const std::filesystem::path& folder) {
  std::error_code error;
  const bool existed = std::filesystem::exists(folder, error);
  std::filesystem::create_directories(folder, error);
  if (error)
    return err(fmt::format("cannot make the folder {} for exported keys: {}", folder.string(), error.message()));
  if (!existed) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  if (::access(folder.c_str(), W_OK) != 0) {
    return err(fmt::format("cannot write exported keys into {}: {}", folder.string(), std::strerror(errno)));
  }
  return KeyExport(folder);
}

void KeyExport::add(const control::ExportIkeKeys& request) const {
  append("ikev2_decryption_table", ike_table_line(request.keys));
}

void KeyExport::add(const control::ExportEspKeys& request) const { append("esp_sa", esp_table_lines(request)); }

void KeyExport::append(const char* file, const std::string& line) const {
  if (line.empty()) {
    spdlog::warn("an SA's keys are not exported to {}: Wireshark has no name for its algorithms", file);
    return;
  }
  const std::filesystem::path path = folder_ / file;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    spdlog::error("cannot export keys to {}: {}", path.string(), std::strerror(errno));
    return;
  }
  std::string copy = line;
  const ssize_t written = ::write(fd, copy.data(), copy.size());
  if (written != static_cast<ssize_t>(copy.size()))
    spdlog::error("cannot export keys to {}: short write", path.string());
  wipe({reinterpret_cast<std::uint8_t*>(copy.data()), copy.size()});
  ::close(fd);
}

}  // namespace culvert::daemon
