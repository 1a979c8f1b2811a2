#include "model/suite_words.hpp"

#include <fmt/format.h>

namespace culvert::model {
namespace {

template <typename Id>
constexpr Transform transform(TransformType type, Id id, std::uint16_t key_bits = 0) {
  return {type, static_cast<std::uint16_t>(id), key_bits};
}

// The first word of a transform is the one that is printed; the others are accepted.
const SuiteWord kWords[] = {
    {"aes128gcm16", transform(TransformType::encryption, EncryptionId::aes_gcm_16, 128)},
    {"aes192gcm16", transform(TransformType::encryption, EncryptionId::aes_gcm_16, 192)},
    {"aes256gcm16", transform(TransformType::encryption, EncryptionId::aes_gcm_16, 256)},
    {"aes128gcm", transform(TransformType::encryption, EncryptionId::aes_gcm_16, 128)},
    {"aes192gcm", transform(TransformType::encryption, EncryptionId::aes_gcm_16, 192)},
    {"aes256gcm", transform(TransformType::encryption, EncryptionId::aes_gcm_16, 256)},
    // RFC 7634 2: the key is always 256 bits, so there is no Key Length attribute.
    {"chacha20poly1305", transform(TransformType::encryption, EncryptionId::chacha20_poly1305)},
    {"aes128", transform(TransformType::encryption, EncryptionId::aes_cbc, 128)},
    {"aes192", transform(TransformType::encryption, EncryptionId::aes_cbc, 192)},
    {"aes256", transform(TransformType::encryption, EncryptionId::aes_cbc, 256)},
    // RFC 7296 3.3.2: IKE itself must encrypt.
    {"null", transform(TransformType::encryption, EncryptionId::null), false, true},
    {"sha256", transform(TransformType::integrity, IntegrityId::hmac_sha2_256_128)},
    {"sha384", transform(TransformType::integrity, IntegrityId::hmac_sha2_384_192)},
    {"sha512", transform(TransformType::integrity, IntegrityId::hmac_sha2_512_256)},
    {"prfsha256", transform(TransformType::prf, PrfId::hmac_sha2_256), true, false},
    {"prfsha384", transform(TransformType::prf, PrfId::hmac_sha2_384), true, false},
    {"prfsha512", transform(TransformType::prf, PrfId::hmac_sha2_512), true, false},
    {"x25519", transform(TransformType::key_exchange, KeyExchangeMethod::curve25519)},
    {"curve25519", transform(TransformType::key_exchange, KeyExchangeMethod::curve25519)},
    {"ecp256", transform(TransformType::key_exchange, KeyExchangeMethod::ecp_256)},
    {"ecp384", transform(TransformType::key_exchange, KeyExchangeMethod::ecp_384)},
    {"modp2048", transform(TransformType::key_exchange, KeyExchangeMethod::modp_2048)},
    {"modp3072", transform(TransformType::key_exchange, KeyExchangeMethod::modp_3072)},
    {"nopfs", transform(TransformType::key_exchange, KeyExchangeMethod::none), false, true},
    {"esn", transform(TransformType::esn, EsnId::esn), false, true},
    {"noesn", transform(TransformType::esn, EsnId::no_esn), false, true},
};

bool serves(const SuiteWord& row, ProtocolId protocol) { return protocol == ProtocolId::ike ? row.ike : row.esp; }

}  // namespace

std::optional<Transform> transform_of(ProtocolId protocol, std::string_view word) {
  for (const SuiteWord& row : kWords) {
    if (row.word == word && serves(row, protocol)) return row.transform;
  }
  return std::nullopt;
}

std::string word_of(const Transform& wanted) {
  for (const SuiteWord& row : kWords) {
    if (row.transform.type == wanted.type && row.transform.id == wanted.id &&
        row.transform.key_bits == wanted.key_bits) {
      return std::string(row.word);
    }
  }
  const char* kind = "transform";
  switch (wanted.type) {
    case TransformType::encryption: kind = "encr"; break;
    case TransformType::prf: kind = "prf"; break;
    case TransformType::integrity: kind = "integ"; break;
    case TransformType::key_exchange: kind = "ke"; break;
    case TransformType::esn: kind = "esn"; break;
    default: return fmt::format("type{}-{}", static_cast<unsigned>(wanted.type), wanted.id);
  }
  // A registry name makes a foreign offer readable: "3DES", "MODP_1024".
  std::string_view name = "unknown";
  switch (wanted.type) {
    case TransformType::encryption: name = name_of(static_cast<EncryptionId>(wanted.id)); break;
    case TransformType::prf: name = name_of(static_cast<PrfId>(wanted.id)); break;
    case TransformType::integrity: name = name_of(static_cast<IntegrityId>(wanted.id)); break;
    case TransformType::key_exchange: name = name_of(static_cast<KeyExchangeMethod>(wanted.id)); break;
    default: break;
  }
  std::string text = name == "unknown" ? fmt::format("{}-{}", kind, wanted.id) : std::string(name);
  if (wanted.key_bits != 0) text += fmt::format("_{}", wanted.key_bits);
  return text;
}

std::string allowed_words(ProtocolId protocol, TransformType type) {
  std::string text;
  for (const SuiteWord& row : kWords) {
    if (row.transform.type != type || !serves(row, protocol)) continue;
    if (word_of(row.transform) != row.word) continue;  // an alias
    if (!text.empty()) text += ' ';
    text += row.word;
  }
  return text;
}

}  // namespace culvert::model
