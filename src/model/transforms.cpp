#include "model/transforms.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace culvert::model {
namespace {

using enum Requirement;

// Where a transform may stand: the column "ESP Reference" and "IKEv2 Reference" of IANA's registry.
constexpr unsigned kIke = 1;
constexpr unsigned kEsp = 2;
constexpr unsigned kAh = 4;

struct Status {
  Requirement ike = unlisted;
  Requirement packet = unlisted;
};

template <typename Id>
constexpr TransformInfo row(TransformType type, Id id, std::uint16_t key_bits, std::string_view word, unsigned where,
                            Status status, std::string_view remark, std::string_view compat = {},
                            std::string_view alias = {}) {
  return {.transform = {type, static_cast<std::uint16_t>(id), key_bits},
          .word = word,
          .alias = alias,
          .ike = (where & kIke) != 0,
          .esp = (where & kEsp) != 0,
          .ah = (where & kAh) != 0,
          .ike_status = status.ike,
          .packet_status = status.packet,
          .remark = remark,
          .compat = compat};
}

constexpr TransformInfo encr(EncryptionId id, std::uint16_t bits, std::string_view word, unsigned where, Status status,
                             std::string_view remark, std::string_view compat = {}, std::string_view alias = {}) {
  return row(TransformType::encryption, id, bits, word, where, status, remark, compat, alias);
}
constexpr TransformInfo integ(IntegrityId id, std::string_view word, unsigned where, Status status,
                              std::string_view remark, std::string_view compat = {}, std::string_view alias = {}) {
  return row(TransformType::integrity, id, 0, word, where, status, remark, compat, alias);
}
constexpr TransformInfo prf(PrfId id, std::string_view word, Status status, std::string_view remark,
                            std::string_view compat = {}) {
  return row(TransformType::prf, id, 0, word, kIke, status, remark, compat);
}
constexpr TransformInfo group(KeyExchangeMethod id, std::string_view word, Status status, std::string_view remark,
                              std::string_view alias = {}, std::string_view compat = {}) {
  return row(TransformType::key_exchange, id, 0, word, kIke | kEsp | kAh, status, remark, compat, alias);
}
/// Known by name and number, and refused.
constexpr TransformInfo refused(TransformType type, std::uint16_t id, std::string_view word, Status status,
                                std::string_view remark) {
  TransformInfo info = row(type, id, 0, word, 0, status, remark);
  info.served = false;
  return info;
}

constexpr std::string_view kGcm = "fast combined mode";
constexpr std::string_view kShort =
    "combined mode with a short ICV: forgeries succeed sooner, the packet is hardly smaller";
constexpr std::string_view kCcm = "combined mode for small devices";
constexpr std::string_view kCbc = "for peers without combined modes";
constexpr std::string_view kCtr = "counter mode, for peers without combined modes";
constexpr std::string_view kCamellia = "as AES, with fewer eyes on it";
constexpr std::string_view kGmac = "authenticates and does not encrypt";
constexpr std::string_view kImplicit = "as with explicit IV, 8 octets less in each packet";
constexpr std::string_view kDh22 = "its parameters may hide a trapdoor (RFC 8247)";
constexpr std::string_view kSmallGroup = "groups below 2048 bits can be broken by precomputation";
constexpr std::string_view kSmallBlock = "its blocks of 64 bits collide after some gigabytes";
constexpr std::string_view kMd5 = "MD5 is broken";
constexpr std::string_view kSha1 = "SHA-1 is broken as a hash and on its way out in HMAC";

constexpr Status kNone{};
constexpr unsigned kBoth = kIke | kEsp;

// RFC 8221 5 and 6, RFC 8247 2.1 to 2.4. With AES the levels are for keys of 128 and 256 bits; 192 stays at MAY.
constexpr TransformInfo kTransforms[] = {
    encr(EncryptionId::aes_gcm_16, 128, "aes128gcm16", kBoth, {should, must}, kGcm, {}, "aes128gcm"),
    encr(EncryptionId::aes_gcm_16, 192, "aes192gcm16", kBoth, {may, may}, kGcm, {}, "aes192gcm"),
    encr(EncryptionId::aes_gcm_16, 256, "aes256gcm16", kBoth, {should, must}, kGcm, {}, "aes256gcm"),
    // RFC 7634 2: the key is always 256 bits, so there is no Key Length attribute.
    encr(EncryptionId::chacha20_poly1305, 0, "chacha20poly1305", kBoth, {should, should},
         "combined mode, fast without AES instructions"),
    encr(EncryptionId::aes_gcm_12, 128, "aes128gcm12", kBoth, {may, unlisted}, kShort),
    encr(EncryptionId::aes_gcm_12, 192, "aes192gcm12", kBoth, {may, unlisted}, kShort),
    encr(EncryptionId::aes_gcm_12, 256, "aes256gcm12", kBoth, {may, unlisted}, kShort),
    encr(EncryptionId::aes_gcm_8, 128, "aes128gcm8", kBoth, {may, unlisted}, kShort),
    encr(EncryptionId::aes_gcm_8, 192, "aes192gcm8", kBoth, {may, unlisted}, kShort),
    encr(EncryptionId::aes_gcm_8, 256, "aes256gcm8", kBoth, {may, unlisted}, kShort),
    encr(EncryptionId::aes_ccm_16, 128, "aes128ccm16", kBoth, kNone, kCcm),
    encr(EncryptionId::aes_ccm_16, 192, "aes192ccm16", kBoth, kNone, kCcm),
    encr(EncryptionId::aes_ccm_16, 256, "aes256ccm16", kBoth, kNone, kCcm),
    encr(EncryptionId::aes_ccm_12, 128, "aes128ccm12", kBoth, kNone, kShort),
    encr(EncryptionId::aes_ccm_12, 192, "aes192ccm12", kBoth, kNone, kShort),
    encr(EncryptionId::aes_ccm_12, 256, "aes256ccm12", kBoth, kNone, kShort),
    encr(EncryptionId::aes_ccm_8, 128, "aes128ccm8", kBoth, {should, should}, kShort),
    encr(EncryptionId::aes_ccm_8, 192, "aes192ccm8", kBoth, {may, may}, kShort),
    encr(EncryptionId::aes_ccm_8, 256, "aes256ccm8", kBoth, {may, may}, kShort),
    // RFC 8750 7: for ESP only.
    encr(EncryptionId::aes_gcm_16_iiv, 128, "aes128gcm16iiv", kEsp, kNone, kImplicit),
    encr(EncryptionId::aes_gcm_16_iiv, 192, "aes192gcm16iiv", kEsp, kNone, kImplicit),
    encr(EncryptionId::aes_gcm_16_iiv, 256, "aes256gcm16iiv", kEsp, kNone, kImplicit),
    encr(EncryptionId::chacha20_poly1305_iiv, 0, "chacha20poly1305iiv", kEsp, kNone, kImplicit),
    encr(EncryptionId::aes_ccm_8_iiv, 128, "aes128ccm8iiv", kEsp, kNone, kImplicit),
    encr(EncryptionId::aes_ccm_8_iiv, 192, "aes192ccm8iiv", kEsp, kNone, kImplicit),
    encr(EncryptionId::aes_ccm_8_iiv, 256, "aes256ccm8iiv", kEsp, kNone, kImplicit),
    encr(EncryptionId::aes_cbc, 128, "aes128", kBoth, {must, must}, kCbc),
    encr(EncryptionId::aes_cbc, 192, "aes192", kBoth, {may, may}, kCbc),
    encr(EncryptionId::aes_cbc, 256, "aes256", kBoth, {must, must}, kCbc),
    // RFC 5930 brought AES-CTR to IKE.
    encr(EncryptionId::aes_ctr, 128, "aes128ctr", kBoth, kNone, kCtr),
    encr(EncryptionId::aes_ctr, 192, "aes192ctr", kBoth, kNone, kCtr),
    encr(EncryptionId::aes_ctr, 256, "aes256ctr", kBoth, kNone, kCtr),
    encr(EncryptionId::camellia_cbc, 128, "camellia128", kBoth, kNone, kCamellia),
    encr(EncryptionId::camellia_cbc, 192, "camellia192", kBoth, kNone, kCamellia),
    encr(EncryptionId::camellia_cbc, 256, "camellia256", kBoth, kNone, kCamellia),
    encr(EncryptionId::camellia_ctr, 128, "camellia128ctr", kEsp, kNone, kCamellia),
    encr(EncryptionId::camellia_ctr, 192, "camellia192ctr", kEsp, kNone, kCamellia),
    encr(EncryptionId::camellia_ctr, 256, "camellia256ctr", kEsp, kNone, kCamellia),
    encr(EncryptionId::null_aes_gmac, 128, "aes128gmac", kEsp, kNone, kGmac),
    encr(EncryptionId::null_aes_gmac, 192, "aes192gmac", kEsp, kNone, kGmac),
    encr(EncryptionId::null_aes_gmac, 256, "aes256gmac", kEsp, kNone, kGmac),
    // RFC 7296 3.3.2: IKE itself must encrypt.
    encr(EncryptionId::null, 0, "null", kEsp, {must_not, must}, "does not encrypt"),
    encr(EncryptionId::triple_des, 0, "3des", kBoth, {may, should_not},
         "3DES has blocks of 64 bits, which collide after some gigabytes", "3des"),
    encr(EncryptionId::des, 0, "des", kEsp, {must_not, must_not},
         "DES has a key of 56 bits, which a day's search finds", "des"),
    refused(TransformType::encryption, 6, "cast128", {unlisted, unlisted}, kSmallBlock),
    refused(TransformType::encryption, 7, "blowfish", {unlisted, must_not}, kSmallBlock),

    integ(IntegrityId::hmac_sha2_256_128, "sha256", kBoth | kAh, {must, must}, "the common choice"),
    integ(IntegrityId::hmac_sha2_384_192, "sha384", kBoth | kAh, kNone, "as sha512, cut shorter"),
    integ(IntegrityId::hmac_sha2_512_256, "sha512", kBoth | kAh, {should, should}, "the longest ICV"),
    integ(IntegrityId::aes_128_gmac, "aes128gmac", kAh, {unlisted, may}, "fast; its IV must never repeat"),
    integ(IntegrityId::aes_192_gmac, "aes192gmac", kAh, kNone, "fast; its IV must never repeat"),
    integ(IntegrityId::aes_256_gmac, "aes256gmac", kAh, {unlisted, may}, "fast; its IV must never repeat"),
    integ(IntegrityId::aes_xcbc_96, "aesxcbc", kBoth | kAh, {should, should}, "for small devices"),
    integ(IntegrityId::aes_cmac_96, "aescmac", kBoth | kAh, kNone, "for small devices"),
    integ(IntegrityId::hmac_sha1_96, "sha1", kBoth | kAh, {must_minus, must_minus}, kSha1, "sha1", "sha"),
    integ(IntegrityId::hmac_md5_96, "md5", kBoth | kAh, {must_not, must_not}, kMd5, "md5"),

    prf(PrfId::hmac_sha2_256, "prfsha256", {must}, "the common choice"),
    prf(PrfId::hmac_sha2_384, "prfsha384", {}, "as prfsha512, cut shorter"),
    prf(PrfId::hmac_sha2_512, "prfsha512", {should_plus}, "the longest keys"),
    prf(PrfId::aes128_xcbc, "prfaesxcbc", {should}, "for small devices"),
    prf(PrfId::aes128_cmac, "prfaescmac", {}, "for small devices"),
    prf(PrfId::hmac_sha1, "prfsha1", {must_minus}, kSha1, "sha1"),
    prf(PrfId::hmac_md5, "prfmd5", {must_not}, kMd5, "md5"),

    group(KeyExchangeMethod::curve25519, "x25519", {}, "fast and safe (RFC 8031)", "curve25519"),
    group(KeyExchangeMethod::ecp_256, "ecp256", {should}, "the common elliptic curve"),
    group(KeyExchangeMethod::ecp_384, "ecp384", {}, "a longer elliptic curve"),
    group(KeyExchangeMethod::ecp_521, "ecp521", {}, "the longest elliptic curve of NIST's"),
    group(KeyExchangeMethod::curve448, "x448", {}, "as x25519, longer and slower (RFC 8031)", "curve448"),
    group(KeyExchangeMethod::brainpool_p256r1, "brainpool256", {}, "for peers that have to have it (RFC 6954)",
          "ecp256bp"),
    group(KeyExchangeMethod::brainpool_p384r1, "brainpool384", {}, "as brainpool256, longer", "ecp384bp"),
    group(KeyExchangeMethod::brainpool_p512r1, "brainpool512", {}, "as brainpool256, the longest", "ecp512bp"),
    group(KeyExchangeMethod::modp_8192, "modp8192", {}, "as modp4096, very slow, and IKE_SA_INIT is over 1,280 octets"),
    group(KeyExchangeMethod::modp_6144, "modp6144", {}, "as modp4096, slower still"),
    group(KeyExchangeMethod::modp_4096, "modp4096", {}, "slower than modp3072, hardly stronger"),
    group(KeyExchangeMethod::modp_3072, "modp3072", {}, "slow, 128 bits of strength"),
    group(KeyExchangeMethod::modp_2048, "modp2048", {must}, "slow, 112 bits of strength"),
    group(KeyExchangeMethod::modp_1536, "modp1536", {should_not}, kSmallGroup, {}, "modp1536"),
    group(KeyExchangeMethod::modp_1024, "modp1024", {should_not}, kSmallGroup, {}, "modp1024"),
    group(KeyExchangeMethod::ml_kem_768, "mlkem768", {},
          "against quantum computers; best beside another: x25519-ke1_mlkem768"),
    group(KeyExchangeMethod::ml_kem_1024, "mlkem1024", {}, "as mlkem768, larger"),
    group(KeyExchangeMethod::ml_kem_512, "mlkem512", {}, "as mlkem768, smaller"),
    row(TransformType::key_exchange, KeyExchangeMethod::none, 0, "nopfs", kEsp | kAh, {},
        "no key exchange of its own: whoever learns the IKE SA's keys has this SA's too"),
    refused(TransformType::key_exchange, 1, "modp768", {must_not}, kSmallGroup),
    refused(TransformType::key_exchange, 22, "modp1024s160", {must_not}, kDh22),
    refused(TransformType::key_exchange, 23, "modp2048s224", {should_not}, kDh22),
    refused(TransformType::key_exchange, 24, "modp2048s256", {should_not}, kDh22),

    row(TransformType::esn, EsnId::esn, 0, "esn", kEsp | kAh, {}, "64-bit sequence numbers"),
    row(TransformType::esn, EsnId::no_esn, 0, "noesn", kEsp | kAh, {}, "32-bit sequence numbers: rekeys sooner"),
};

/// A registry name makes a foreign offer readable: "MODP_1024".
std::string_view registry_name(const Transform& transform) {
  switch (transform.type) {
    case TransformType::encryption: return name_of(static_cast<EncryptionId>(transform.id));
    case TransformType::prf: return name_of(static_cast<PrfId>(transform.id));
    case TransformType::integrity: return name_of(static_cast<IntegrityId>(transform.id));
    case TransformType::key_exchange: return name_of(static_cast<KeyExchangeMethod>(transform.id));
    default: return "unknown";
  }
}

}  // namespace

std::string_view to_string(Requirement requirement) {
  switch (requirement) {
    case must: return "MUST";
    case must_minus: return "MUST-";
    case should_plus: return "SHOULD+";
    case should: return "SHOULD";
    case may: return "MAY";
    case should_not: return "SHOULD NOT";
    case must_not: return "MUST NOT";
    case unlisted: break;
  }
  return "-";
}

bool TransformInfo::serves(ProtocolId protocol) const {
  switch (protocol) {
    case ProtocolId::ike: return ike;
    case ProtocolId::esp: return esp;
    case ProtocolId::ah: return ah;
    case ProtocolId::none: break;
  }
  return false;
}

std::span<const TransformInfo> transforms() { return kTransforms; }

const TransformInfo* find_transform(ProtocolId protocol, std::string_view word) {
  for (const TransformInfo& info : kTransforms) {
    if (info.served && info.serves(protocol) && !word.empty() && (info.word == word || info.alias == word))
      return &info;
  }
  return nullptr;
}

const TransformInfo* find_transform(const Transform& wanted) {
  for (const TransformInfo& info : kTransforms) {
    const Transform& t = info.transform;
    if (info.served && t.type == wanted.type && t.id == wanted.id && t.key_bits == wanted.key_bits) return &info;
  }
  return nullptr;
}

const TransformInfo* find_refused(std::string_view word) {
  for (const TransformInfo& info : kTransforms) {
    if (!info.served && info.word == word) return &info;
  }
  return nullptr;
}

std::string word_of(const Transform& wanted) {
  if (const TransformInfo* info = find_transform(wanted)) return std::string(info->word);
  const char* kind = "transform";
  switch (wanted.type) {
    case TransformType::encryption: kind = "encr"; break;
    case TransformType::prf: kind = "prf"; break;
    case TransformType::integrity: kind = "integ"; break;
    case TransformType::key_exchange: kind = "ke"; break;
    case TransformType::esn: kind = "esn"; break;
    default:
      if (is_additional_key_exchange(wanted.type)) {
        const std::string method = wanted.id == 0 ? "none" : word_of({TransformType::key_exchange, wanted.id});
        return fmt::format("ke{}_{}", additional_number(wanted.type) + 1, method);
      }
      return fmt::format("type{}-{}", static_cast<unsigned>(wanted.type), wanted.id);
  }
  const std::string_view name = registry_name(wanted);
  std::string text = name == "unknown" ? fmt::format("{}-{}", kind, wanted.id) : std::string(name);
  if (wanted.key_bits != 0) text += fmt::format("_{}", wanted.key_bits);
  return text;
}

std::string allowed_words(ProtocolId protocol, TransformType type) {
  std::string text;
  for (const TransformInfo& info : kTransforms) {
    if (info.transform.type != type || !info.served || !info.serves(protocol) || !info.compat.empty()) continue;
    if (!text.empty()) text += ' ';
    text += info.word;
  }
  return text;
}

std::vector<std::string_view> compat_words() {
  std::vector<std::string_view> words;
  for (const TransformInfo& info : kTransforms) {
    if (!info.compat.empty() && std::ranges::find(words, info.compat) == words.end()) words.push_back(info.compat);
  }
  return words;
}

std::vector<const TransformInfo*> weak_transforms(const Proposal& proposal) {
  std::vector<const TransformInfo*> weak;
  for (const Transform& transform : proposal.transforms) {
    const TransformInfo* const info = find_transform(transform);
    if (info != nullptr && !info->compat.empty()) weak.push_back(info);
  }
  return weak;
}

std::optional<crypto::PacketSuite> trial_suite(const TransformInfo& info) {
  if (!info.served) return std::nullopt;
  const Transform& t = info.transform;
  if (t.type == TransformType::integrity) return packet_suite(EncryptionId::null, 0, static_cast<IntegrityId>(t.id));
  if (t.type != TransformType::encryption) return std::nullopt;
  const auto id = static_cast<EncryptionId>(t.id);
  if (const auto alone = packet_suite(id, t.key_bits, IntegrityId::none)) return alone;
  return packet_suite(id, t.key_bits, IntegrityId::hmac_sha2_256_128);
}

std::string backend_of(const TransformInfo& info) {
  if (!info.served) return {};
  if (const auto suite = trial_suite(info)) {
    const crypto::SuiteSizes sizes = crypto::sizes_of(*suite);
    // Any key does: it is never used.
    Bytes encryption(sizes.encryption_key, 0x5a);
    Bytes integrity(sizes.integrity_key, 0xa5);
    const auto cipher = crypto::make_packet_cipher(*suite, encryption, integrity);
    return cipher ? (*cipher)->backend() : std::string();
  }
  const bool computed = info.transform.type == TransformType::prf ||
                        (info.transform.type == TransformType::key_exchange && info.transform.id != 0);
  if (!computed) return {};
  const auto method = key_exchange_id(static_cast<KeyExchangeMethod>(info.transform.id));
  const bool own = info.transform.type == TransformType::key_exchange && method && crypto::is_own(*method);
  return own ? "Culvert's own" : crypto::provider_name();
}

}  // namespace culvert::model
