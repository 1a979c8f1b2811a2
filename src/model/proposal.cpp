// Proposals to and from the user's words, and what is offered by default. The choosing stands in
// proposal_selection.cpp.
#include "model/proposal.hpp"

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include <fmt/format.h>

#include "crypto/available.hpp"
#include "model/doable.hpp"
#include "model/transforms.hpp"

namespace culvert::model {
namespace {

bool has(const Proposal& proposal, TransformType type) {
  return std::ranges::any_of(proposal.transforms, [&](const Transform& t) { return t.type == type; });
}

bool is_aead(const Transform& transform) {
  return transform.type == TransformType::encryption &&
         packet_suite(static_cast<EncryptionId>(transform.id), transform.key_bits, IntegrityId::none).has_value();
}

// RFC 4868 2.1.2 and RFC 7296 2.13: where the user names only an integrity algorithm, the PRF is of the same kind.
std::optional<PrfId> prf_like(std::uint16_t integrity) {
  switch (static_cast<IntegrityId>(integrity)) {
    case IntegrityId::hmac_sha2_256_128: return PrfId::hmac_sha2_256;
    case IntegrityId::hmac_sha2_384_192: return PrfId::hmac_sha2_384;
    case IntegrityId::hmac_sha2_512_256: return PrfId::hmac_sha2_512;
    case IntegrityId::hmac_sha1_96: return PrfId::hmac_sha1;
    case IntegrityId::hmac_md5_96: return PrfId::hmac_md5;
    case IntegrityId::aes_xcbc_96: return PrfId::aes128_xcbc;
    case IntegrityId::aes_cmac_96: return PrfId::aes128_cmac;
    default: return std::nullopt;
  }
}

void add_implied_prfs(Proposal& proposal) {
  const std::vector<Transform> named = proposal.transforms;
  for (const Transform& transform : named) {
    if (transform.type != TransformType::integrity) continue;
    if (const auto prf = prf_like(transform.id)) {
      proposal.transforms.push_back({TransformType::prf, static_cast<std::uint16_t>(*prf)});
    }
  }
}

// RFC 9370 2.2.4: they follow a key exchange.
bool follows_nothing(const Proposal& proposal) {
  const bool first = std::ranges::any_of(
      proposal.transforms, [](const Transform& t) { return t.type == TransformType::key_exchange && t.id != 0; });
  return !first && has_additional_key_exchanges({proposal});
}

// A sentence when the transforms do not make a whole proposal, nothing when they do.
std::optional<std::string> incomplete(const Proposal& proposal, std::string_view text) {
  const ProtocolId protocol = proposal.protocol;
  const auto missing = [&](std::string_view what, TransformType type) {
    return fmt::format("\"{}\" names no {}; add one of: {}", text, what, allowed_words(protocol, type));
  };
  if (protocol != ProtocolId::ike && follows_nothing(proposal)) {
    return fmt::format("\"{}\" has further key exchanges and no first one; add one of: {}", text,
                       allowed_words(protocol, TransformType::key_exchange));
  }
  if (protocol == ProtocolId::ah) {
    if (!has(proposal, TransformType::integrity)) return missing("integrity algorithm", TransformType::integrity);
    return std::nullopt;
  }
  if (!has(proposal, TransformType::encryption)) return missing("encryption algorithm", TransformType::encryption);
  const bool any_aead = std::ranges::any_of(proposal.transforms, is_aead);
  const bool any_plain = std::ranges::any_of(
      proposal.transforms, [](const Transform& t) { return t.type == TransformType::encryption && !is_aead(t); });
  // RFC 7296 3.3: combined-mode ciphers and others must be offered in separate proposals.
  if (any_aead && any_plain) {
    return fmt::format(
        "\"{}\" mixes a combined-mode cipher (GCM, CCM, ChaCha20-Poly1305) with another one; write them as two suites",
        text);
  }
  if (any_aead && has(proposal, TransformType::integrity)) {
    return fmt::format(
        "\"{}\" names an integrity algorithm beside a combined-mode cipher, which has its own; remove it{}", text,
        protocol == ProtocolId::ike ? " (for the PRF write prfsha256, prfsha384 or prfsha512)" : "");
  }
  if (!any_aead && !has(proposal, TransformType::integrity))
    return missing("integrity algorithm", TransformType::integrity);
  if (protocol == ProtocolId::ike) {
    if (!has(proposal, TransformType::prf)) return missing("PRF", TransformType::prf);
    if (!has(proposal, TransformType::key_exchange)) return missing("key exchange", TransformType::key_exchange);
  }
  return std::nullopt;
}

std::string unknown_word(ProtocolId protocol, std::string_view word, std::string_view text) {
  std::string allowed;
  const auto add = [&](std::string_view kind, TransformType type) {
    const std::string words = allowed_words(protocol, type);
    if (!words.empty()) allowed += fmt::format("; {}: {}", kind, words);
  };
  add("encryption", TransformType::encryption);
  add("integrity", TransformType::integrity);
  add("PRF", TransformType::prf);
  add("sequence numbers", TransformType::esn);
  add("key exchange", TransformType::key_exchange);
  return fmt::format("\"{}\" in \"{}\" is not an algorithm that {} can use{}", word, text, name_of(protocol), allowed);
}

std::vector<Proposal> must_parse(ProtocolId protocol, std::initializer_list<std::string_view> texts) {
  std::vector<Proposal> proposals;
  for (const std::string_view text : texts) {
    proposals.push_back(parse_proposal(protocol, text).value());
    proposals.back().number = static_cast<std::uint8_t>(proposals.size());
  }
  return proposals;
}

}  // namespace

namespace {

/// "ke1_mlkem768", "ke2_none": the transform, or nothing for other words.
std::optional<Transform> parse_additional(ProtocolId protocol, std::string_view word) {
  if (word.size() < 5 || !word.starts_with("ke") || word[3] != '_') return std::nullopt;
  const auto number = static_cast<unsigned>(word[2] - '1');
  if (number >= kAdditionalKeyExchanges) return std::nullopt;
  const std::string_view method = word.substr(4);
  if (method == "none") return Transform{additional_key_exchange(number), 0};
  const TransformInfo* const info = find_transform(protocol, method);
  if (info == nullptr || info->transform.type != TransformType::key_exchange || info->transform.id == 0)
    return std::nullopt;
  return Transform{additional_key_exchange(number), info->transform.id};
}

}  // namespace

Result<Proposal, std::string> parse_proposal(ProtocolId protocol, std::string_view text) {
  Proposal proposal;
  proposal.protocol = protocol;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t dash = std::min(text.find('-', start), text.size());
    const std::string_view word = text.substr(start, dash - start);
    const TransformInfo* const info = find_transform(protocol, word);
    const auto transform = info != nullptr ? std::optional(info->transform) : parse_additional(protocol, word);
    if (!transform) return err(unknown_word(protocol, word, text));
    if (std::ranges::find(proposal.transforms, *transform) != proposal.transforms.end()) {
      return err(fmt::format("\"{}\" stands twice in \"{}\"", word, text));
    }
    proposal.transforms.push_back(*transform);
    start = dash + 1;
  }
  if (protocol == ProtocolId::ike && !has(proposal, TransformType::prf)) add_implied_prfs(proposal);
  if (protocol != ProtocolId::ike && !has(proposal, TransformType::esn)) {
    // RFC 7296 3.3.2: the ESN transform is part of every ESP and AH proposal; both are taken unless the user chose.
    proposal.transforms.push_back({TransformType::esn, static_cast<std::uint16_t>(EsnId::esn)});
    proposal.transforms.push_back({TransformType::esn, static_cast<std::uint16_t>(EsnId::no_esn)});
  }
  if (auto problem = incomplete(proposal, text)) return err(std::move(*problem));
  return proposal;
}

std::string to_string(const Proposal& proposal) {
  std::string text;
  for (const Transform& transform : proposal.transforms) {
    if (!text.empty()) text += '-';
    text += word_of(transform);
  }
  return text.empty() ? "nothing" : text;
}

namespace {

std::string words_of(KeyExchangeMethod first, const AdditionalKeyExchanges& additional) {
  std::string text = '-' + word_of({TransformType::key_exchange, static_cast<std::uint16_t>(first)});
  for (unsigned n = 0; n < kAdditionalKeyExchanges; ++n) {
    if (additional[n] != KeyExchangeMethod::none)
      text += '-' + word_of({additional_key_exchange(n), static_cast<std::uint16_t>(additional[n])});
  }
  return text;
}

}  // namespace

std::string to_string(const IkeSuite& suite) {
  std::string text = word_of({TransformType::encryption, static_cast<std::uint16_t>(suite.encryption), suite.key_bits});
  if (suite.integrity != IntegrityId::none) {
    text += '-' + word_of({TransformType::integrity, static_cast<std::uint16_t>(suite.integrity)});
  }
  text += '-' + word_of({TransformType::prf, static_cast<std::uint16_t>(suite.prf)});
  text += words_of(suite.key_exchange, suite.additional);
  return text;
}

std::string to_string(const EspSuite& suite, ProtocolId protocol) {
  std::string text;
  if (protocol != ProtocolId::ah) {
    text = word_of({TransformType::encryption, static_cast<std::uint16_t>(suite.encryption), suite.key_bits});
  }
  if (suite.integrity != IntegrityId::none) {
    if (!text.empty()) text += '-';
    text += word_of({TransformType::integrity, static_cast<std::uint16_t>(suite.integrity)});
  }
  text += '-' + word_of({TransformType::esn, static_cast<std::uint16_t>(suite.esn)});
  if (suite.key_exchange != KeyExchangeMethod::none) text += words_of(suite.key_exchange, suite.additional);
  return text;
}

std::vector<Proposal> default_ike_proposals() {
  // RFC 8247: AEADs, SHA-2 PRFs, groups of at least 128 bits first; AES-CBC and MODP-2048 for peers that have nothing
  // newer. Before all of them the first key exchange with ML-KEM beside it: who records today cannot read it with a
  // quantum computer of tomorrow. RFC 9370 2.2.1: proposals of their own, because a peer that does not know the type of
  // transform skips the whole proposal; and no further ones, for IKE_SA_INIT does not go in fragments.
  return must_parse(
      ProtocolId::ike,
      {"aes256gcm16-aes128gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-x25519-ecp256-ecp384-ke1_mlkem768-ke1_"
       "mlkem1024",
       "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-x25519-ecp256-ecp384-modp3072-modp2048",
       "aes256-aes128-sha256-sha384-sha512-prfsha256-prfsha384-prfsha512-x25519-ecp256-ecp384-modp3072-modp2048"});
}

std::vector<Proposal> default_esp_proposals() {
  // RFC 8221: AES-GCM and ChaCha20-Poly1305, then AES-CBC with SHA-2. Perfect forward secrecy is offered and not
  // demanded, since many peers rekey without it by default.
  return must_parse(ProtocolId::esp,
                    {"aes128gcm16-aes256gcm16-chacha20poly1305-x25519-ecp256-ecp384-modp3072-modp2048-nopfs-esn-noesn",
                     "aes256-aes128-sha256-sha512-x25519-ecp256-ecp384-modp3072-modp2048-nopfs-esn-noesn"});
}

namespace {

std::optional<crypto::CipherId> cipher_id(EncryptionId encryption) {
  using crypto::CipherId;
  switch (encryption) {
    case EncryptionId::des: return CipherId::des_cbc;
    case EncryptionId::triple_des: return CipherId::triple_des_cbc;
    case EncryptionId::null: return CipherId::null;
    case EncryptionId::aes_cbc: return CipherId::aes_cbc;
    case EncryptionId::aes_ctr: return CipherId::aes_ctr;
    case EncryptionId::aes_ccm_8: return CipherId::aes_ccm_8;
    case EncryptionId::aes_ccm_12: return CipherId::aes_ccm_12;
    case EncryptionId::aes_ccm_16: return CipherId::aes_ccm_16;
    case EncryptionId::aes_gcm_8: return CipherId::aes_gcm_8;
    case EncryptionId::aes_gcm_12: return CipherId::aes_gcm_12;
    case EncryptionId::aes_gcm_16: return CipherId::aes_gcm_16;
    case EncryptionId::null_aes_gmac: return CipherId::null_aes_gmac;
    case EncryptionId::camellia_cbc: return CipherId::camellia_cbc;
    case EncryptionId::camellia_ctr: return CipherId::camellia_ctr;
    case EncryptionId::chacha20_poly1305: return CipherId::chacha20_poly1305;
    case EncryptionId::aes_ccm_8_iiv: return CipherId::aes_ccm_8_iiv;
    case EncryptionId::aes_gcm_16_iiv: return CipherId::aes_gcm_16_iiv;
    case EncryptionId::chacha20_poly1305_iiv: return CipherId::chacha20_poly1305_iiv;
  }
  return std::nullopt;
}

std::optional<crypto::IntegrityId> integrity_id(IntegrityId integrity) {
  switch (integrity) {
    case IntegrityId::none: return crypto::IntegrityId::none;
    case IntegrityId::hmac_md5_96: return crypto::IntegrityId::hmac_md5_96;
    case IntegrityId::hmac_sha1_96: return crypto::IntegrityId::hmac_sha1_96;
    case IntegrityId::aes_xcbc_96: return crypto::IntegrityId::aes_xcbc_96;
    case IntegrityId::aes_cmac_96: return crypto::IntegrityId::aes_cmac_96;
    case IntegrityId::aes_128_gmac: return crypto::IntegrityId::aes_128_gmac;
    case IntegrityId::aes_192_gmac: return crypto::IntegrityId::aes_192_gmac;
    case IntegrityId::aes_256_gmac: return crypto::IntegrityId::aes_256_gmac;
    case IntegrityId::hmac_sha2_256_128: return crypto::IntegrityId::hmac_sha2_256_128;
    case IntegrityId::hmac_sha2_384_192: return crypto::IntegrityId::hmac_sha2_384_192;
    case IntegrityId::hmac_sha2_512_256: return crypto::IntegrityId::hmac_sha2_512_256;
  }
  return std::nullopt;
}

/// The crypto layer's key bits, where the wire has no Key Length attribute because there is only one.
std::uint16_t fixed_key_bits(EncryptionId encryption, std::uint16_t key_bits) {
  switch (encryption) {
    case EncryptionId::null: return 0;
    case EncryptionId::des: return 64;
    case EncryptionId::triple_des: return 192;
    case EncryptionId::chacha20_poly1305:
    case EncryptionId::chacha20_poly1305_iiv: return 256;
    default: return key_bits;
  }
}

}  // namespace

std::optional<crypto::PacketSuite> packet_suite(EncryptionId encryption, std::uint16_t key_bits,
                                                IntegrityId integrity) {
  const auto cipher = cipher_id(encryption);
  const auto mac = integrity_id(integrity);
  if (!cipher || !mac) return std::nullopt;
  const crypto::PacketSuite suite{*cipher, fixed_key_bits(encryption, key_bits), *mac};
  // RFC 4303 3.2: never encryption alone, never nothing at all.
  if (suite.is_aead() != (suite.integrity == crypto::IntegrityId::none)) return std::nullopt;
  return suite;
}

std::optional<crypto::PacketSuite> packet_suite(ProtocolId protocol, const EspSuite& suite) {
  const auto allowed = [&](TransformType type, std::uint16_t id, std::uint16_t key_bits) {
    const TransformInfo* info = find_transform({type, id, key_bits});
    if (info == nullptr) info = find_transform({type, id, 0});  // its one key size goes without saying
    return info != nullptr && info->serves(protocol);
  };
  const bool encryption_fits =
      protocol == ProtocolId::ah
          ? suite.encryption == EncryptionId::null
          : allowed(TransformType::encryption, static_cast<std::uint16_t>(suite.encryption), suite.key_bits);
  const bool integrity_fits = suite.integrity == IntegrityId::none ||
                              allowed(TransformType::integrity, static_cast<std::uint16_t>(suite.integrity), 0);
  if (!encryption_fits || !integrity_fits) return std::nullopt;
  return packet_suite(suite.encryption, suite.key_bits, suite.integrity);
}

namespace {

std::optional<crypto::Prf> known_prf(PrfId prf) {
  switch (prf) {
    case PrfId::hmac_md5: return crypto::HashId::md5;
    case PrfId::hmac_sha1: return crypto::HashId::sha1;
    case PrfId::hmac_sha2_256: return crypto::HashId::sha2_256;
    case PrfId::hmac_sha2_384: return crypto::HashId::sha2_384;
    case PrfId::hmac_sha2_512: return crypto::HashId::sha2_512;
    case PrfId::aes128_xcbc: return crypto::Prf::aes128_xcbc();
    case PrfId::aes128_cmac: return crypto::Prf::aes128_cmac();
    default: return std::nullopt;
  }
}

/// Whether it can be done here, as far as one transform alone tells.
bool can_be_done(const Transform& transform) {
  switch (transform.type) {
    case TransformType::prf: return prf_function(static_cast<PrfId>(transform.id)).has_value();
    case TransformType::encryption: return cipher_id(static_cast<EncryptionId>(transform.id)).has_value();
    case TransformType::integrity: return integrity_id(static_cast<IntegrityId>(transform.id)).has_value();
    default: return true;
  }
}

}  // namespace

// Nothing also where the library refuses it.
std::optional<crypto::Prf> prf_function(PrfId prf) {
  const auto known = known_prf(prf);
  return known && crypto::is_available(*known) ? known : std::nullopt;
}

std::vector<Proposal> without_what_cannot_be_done(std::vector<Proposal> proposals) {
  std::vector<Proposal> left;
  for (Proposal& proposal : proposals) {
    bool whole = true;
    for (const TransformType type : {TransformType::encryption, TransformType::prf, TransformType::integrity}) {
      const bool had = has(proposal, type);
      std::erase_if(proposal.transforms, [&](const Transform& one) { return one.type == type && !can_be_done(one); });
      whole = whole && had == has(proposal, type);
    }
    if (whole) left.push_back(std::move(proposal));
  }
  return left;
}

std::optional<crypto::KeyExchangeId> key_exchange_id(KeyExchangeMethod method) {
  switch (method) {
    case KeyExchangeMethod::curve25519: return crypto::KeyExchangeId::x25519;
    case KeyExchangeMethod::ecp_256: return crypto::KeyExchangeId::ecp_256;
    case KeyExchangeMethod::ecp_384: return crypto::KeyExchangeId::ecp_384;
    case KeyExchangeMethod::ecp_521: return crypto::KeyExchangeId::ecp_521;
    case KeyExchangeMethod::brainpool_p256r1: return crypto::KeyExchangeId::brainpool_p256r1;
    case KeyExchangeMethod::brainpool_p384r1: return crypto::KeyExchangeId::brainpool_p384r1;
    case KeyExchangeMethod::brainpool_p512r1: return crypto::KeyExchangeId::brainpool_p512r1;
    case KeyExchangeMethod::curve448: return crypto::KeyExchangeId::x448;
    case KeyExchangeMethod::modp_1024: return crypto::KeyExchangeId::modp_1024;
    case KeyExchangeMethod::modp_1536: return crypto::KeyExchangeId::modp_1536;
    case KeyExchangeMethod::modp_2048: return crypto::KeyExchangeId::modp_2048;
    case KeyExchangeMethod::modp_3072: return crypto::KeyExchangeId::modp_3072;
    case KeyExchangeMethod::modp_4096: return crypto::KeyExchangeId::modp_4096;
    case KeyExchangeMethod::modp_6144: return crypto::KeyExchangeId::modp_6144;
    case KeyExchangeMethod::modp_8192: return crypto::KeyExchangeId::modp_8192;
    case KeyExchangeMethod::ml_kem_512: return crypto::KeyExchangeId::ml_kem_512;
    case KeyExchangeMethod::ml_kem_768: return crypto::KeyExchangeId::ml_kem_768;
    case KeyExchangeMethod::ml_kem_1024: return crypto::KeyExchangeId::ml_kem_1024;
    default: return std::nullopt;
  }
}

std::vector<KeyExchangeMethod> methods_of(const AdditionalKeyExchanges& additional) {
  std::vector<KeyExchangeMethod> methods;
  std::ranges::copy_if(additional, std::back_inserter(methods),
                       [](KeyExchangeMethod one) { return one != KeyExchangeMethod::none; });
  return methods;
}

bool has_additional_key_exchanges(const std::vector<Proposal>& proposals) {
  return std::ranges::any_of(proposals, [](const Proposal& proposal) {
    return std::ranges::any_of(proposal.transforms,
                               [](const Transform& t) { return is_additional_key_exchange(t.type) && t.id != 0; });
  });
}

std::vector<Proposal> without_additional_key_exchanges(const std::vector<Proposal>& proposals) {
  std::vector<Proposal> plain;
  for (Proposal one : proposals) {
    std::erase_if(one.transforms, [](const Transform& t) { return is_additional_key_exchange(t.type); });
    const bool there =
        std::ranges::any_of(plain, [&](const Proposal& other) { return other.transforms == one.transforms; });
    if (!there) plain.push_back(std::move(one));
  }
  return plain;
}

}  // namespace culvert::model
