#include "ike/auth/digital_signature.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/der.hpp"
#include "ike/auth/announced_methods.hpp"

namespace culvert::ike::auth {
namespace {

using crypto::KeyKind;
using crypto::SignatureScheme;
using model::AuthenticationMethod;
using model::SignatureHash;
using model::SignatureHashes;

constexpr std::array kAccepted = {SignatureHash::sha2_256, SignatureHash::sha2_384, SignatureHash::sha2_512,
                                  SignatureHash::identity};

struct SchemeRow {
  SignatureScheme scheme;
  SignatureHash hash;
  std::string_view oid;  // content octets, in hexadecimal
  bool null;             // RFC 4055: parameters are NULL
};
constexpr std::array kRows = std::to_array<SchemeRow>({
    {SignatureScheme::rsa_pkcs1_sha1, SignatureHash::sha1, "2a864886f70d010105", true},
    {SignatureScheme::rsa_pkcs1_sha2_256, SignatureHash::sha2_256, "2a864886f70d01010b", true},
    {SignatureScheme::rsa_pkcs1_sha2_384, SignatureHash::sha2_384, "2a864886f70d01010c", true},
    {SignatureScheme::rsa_pkcs1_sha2_512, SignatureHash::sha2_512, "2a864886f70d01010d", true},
    {SignatureScheme::rsa_pss_sha2_256, SignatureHash::sha2_256, "2a864886f70d01010a", false},
    {SignatureScheme::rsa_pss_sha2_384, SignatureHash::sha2_384, "2a864886f70d01010a", false},
    {SignatureScheme::rsa_pss_sha2_512, SignatureHash::sha2_512, "2a864886f70d01010a", false},
    {SignatureScheme::ecdsa_sha2_256, SignatureHash::sha2_256, "2a8648ce3d040302", false},
    {SignatureScheme::ecdsa_sha2_384, SignatureHash::sha2_384, "2a8648ce3d040303", false},
    {SignatureScheme::ecdsa_sha2_512, SignatureHash::sha2_512, "2a8648ce3d040304", false},
    {SignatureScheme::ed25519, SignatureHash::identity, "2b6570", false},
    {SignatureScheme::ed448, SignatureHash::identity, "2b6571", false},
});
constexpr std::string_view kPssOid = "2a864886f70d01010a";
constexpr std::string_view kMgf1Oid = "2a864886f70d010108";

struct HashRow {
  SignatureHash hash;
  std::string_view oid;
  std::uint8_t size;
};
constexpr std::array kHashes = std::to_array<HashRow>({{SignatureHash::sha2_256, "608648016503040201", 32},
                                                       {SignatureHash::sha2_384, "608648016503040202", 48},
                                                       {SignatureHash::sha2_512, "608648016503040203", 64}});

/// Of the tables' own digits.
Bytes octets_of(std::string_view digits) { return from_hex(digits).value_or(Bytes()); }

const SchemeRow& row_of(SignatureScheme scheme) { return *std::ranges::find(kRows, scheme, &SchemeRow::scheme); }

Bytes identifier(std::string_view oid, ByteView parameters) {
  return der_element(der::kSequence, concat({der_element(der::kObjectIdentifier, octets_of(oid)), parameters}));
}

Bytes null() { return der_element(der::kNull, {}); }

/// An AlgorithmIdentifier as somebody may send it.
struct KnownIdentifier {
  SignatureScheme scheme;
  Bytes octets;
};

// RFC 4055 3.1: hash, MGF1 with the same hash, salt as long as the hash, the usual trailer.
Bytes pss_parameters(const HashRow& hash) {
  constexpr std::uint8_t kHash = 0xa0;
  constexpr std::uint8_t kMask = 0xa1;
  constexpr std::uint8_t kSalt = 0xa2;
  const Bytes hash_identifier = identifier(hash.oid, null());
  const Bytes salt = {hash.size};
  return der_element(der::kSequence, concat({der_element(kHash, hash_identifier),
                                             der_element(kMask, identifier(kMgf1Oid, hash_identifier)),
                                             der_element(kSalt, der_element(der::kInteger, salt))}));
}

/// RFC 4055 2.1: a hash's parameters may be NULL or left out.
const HashRow* read_hash(ByteView identifier_octets) {
  DerReader outer(identifier_octets);
  const auto content = outer.next(der::kSequence);
  if (!content || !outer.at_end()) return nullptr;
  DerReader reader(*content);
  const auto oid = reader.next(der::kObjectIdentifier);
  if (!oid) return nullptr;
  if (!reader.at_end()) {
    const auto parameters = reader.next(der::kNull);
    if (!parameters || !parameters->empty() || !reader.at_end()) return nullptr;
  }
  const auto* row =
      std::ranges::find(kHashes, to_hex(oid->first(std::min<std::size_t>(oid->size(), 16))), &HashRow::oid);
  return row == kHashes.end() ? nullptr : row;
}

bool is_mgf1_with(ByteView octets, const HashRow& hash) {
  DerReader outer(octets);
  const auto content = outer.next(der::kSequence);
  if (!content || !outer.at_end()) return false;
  DerReader reader(*content);
  const auto oid = reader.next(der::kObjectIdentifier);
  const auto parameters = reader.next(der::kSequence);
  return oid && parameters && reader.at_end() && equal(*oid, octets_of(kMgf1Oid)) &&
         read_hash(der_element(der::kSequence, *parameters)) == &hash;
}

/// RFC 4055 3.1, CVE-2018-6459, CVE-2021-41990: every default would mean SHA-1, so the first three must be there.
std::optional<SignatureScheme> read_pss(DerReader reader) {
  const auto sequence = reader.next(der::kSequence);
  if (!sequence || !reader.at_end()) return std::nullopt;
  DerReader fields(*sequence);
  const auto hash_field = fields.next(0xa0);
  const auto mask_field = fields.next(0xa1);
  const auto salt_field = fields.next(0xa2);
  if (!hash_field || !mask_field || !salt_field) return std::nullopt;
  const HashRow* hash = read_hash(*hash_field);
  if (hash == nullptr || !is_mgf1_with(*mask_field, *hash)) return std::nullopt;
  if (!equal(*salt_field, der_element(der::kInteger, Bytes{hash->size}))) return std::nullopt;
  if (!fields.at_end()) {
    // The default, which DER leaves out and RFC 7427 A.4.3 writes all the same.
    const auto trailer = fields.next(0xa3);
    if (!trailer || !fields.at_end() || !equal(*trailer, der_element(der::kInteger, Bytes{1}))) return std::nullopt;
  }
  switch (hash->hash) {
    case SignatureHash::sha2_256: return SignatureScheme::rsa_pss_sha2_256;
    case SignatureHash::sha2_384: return SignatureScheme::rsa_pss_sha2_384;
    default: return SignatureScheme::rsa_pss_sha2_512;
  }
}

Bytes make_identifier(const SchemeRow& row) {
  if (row.oid == kPssOid)
    return identifier(row.oid, pss_parameters(*std::ranges::find(kHashes, row.hash, &HashRow::hash)));
  return identifier(row.oid, row.null ? null() : Bytes());
}

/// Made once: each message about certificates is full of them.
const std::vector<KnownIdentifier>& known_identifiers() {
  static const std::vector<KnownIdentifier> kAll = [] {
    std::vector<KnownIdentifier> made;
    made.reserve(2 * std::size(kRows));
    for (const SchemeRow& row : kRows) made.push_back({row.scheme, make_identifier(row)});
    // RFC 7427 A: compared as a whole. One of RSA without its NULL says the same and is met.
    for (const SchemeRow& row : kRows) {
      if (row.null) made.push_back({row.scheme, identifier(row.oid, {})});
    }
    return made;
  }();
  return kAll;
}

/// What a key signs with, the best first: the hash that its strength calls for.
std::vector<SignatureScheme> schemes_for(KeyKind kind) {
  using enum SignatureScheme;
  switch (kind) {
    // RFC 8247 3.2: PSS before PKCS#1; who announces hashes knows both.
    case KeyKind::rsa:
      return {rsa_pss_sha2_256,   rsa_pss_sha2_384,   rsa_pss_sha2_512,
              rsa_pkcs1_sha2_256, rsa_pkcs1_sha2_384, rsa_pkcs1_sha2_512};
    case KeyKind::ecdsa_p256: return {ecdsa_sha2_256, ecdsa_sha2_384, ecdsa_sha2_512};
    case KeyKind::ecdsa_p384: return {ecdsa_sha2_384, ecdsa_sha2_512, ecdsa_sha2_256};
    case KeyKind::ecdsa_p521: return {ecdsa_sha2_512, ecdsa_sha2_384, ecdsa_sha2_256};
    case KeyKind::ed25519: return {ed25519};
    case KeyKind::ed448: return {ed448};
    case KeyKind::other: break;
  }
  return {};
}

bool is_pkcs1(SignatureScheme scheme) {
  using enum SignatureScheme;
  return scheme == rsa_pkcs1_sha2_256 || scheme == rsa_pkcs1_sha2_384 || scheme == rsa_pkcs1_sha2_512;
}

// RFC 4754 2: each of these methods is one curve with one hash.
struct EcdsaMethod {
  AuthenticationMethod method;
  KeyKind kind;
  SignatureScheme scheme;
};
constexpr std::array kEcdsaMethods = std::to_array<EcdsaMethod>({
    {AuthenticationMethod::ecdsa_256, KeyKind::ecdsa_p256, SignatureScheme::ecdsa_sha2_256},
    {AuthenticationMethod::ecdsa_384, KeyKind::ecdsa_p384, SignatureScheme::ecdsa_sha2_384},
    {AuthenticationMethod::ecdsa_521, KeyKind::ecdsa_p521, SignatureScheme::ecdsa_sha2_512},
});

Result<Bytes, std::string> raw_signature(const crypto::PrivateKey& key, SignatureScheme scheme, ByteView octets) {
  auto signature = key.sign(scheme, octets);
  if (!signature)
    return err(fmt::format("{} with our {} key gave nothing: {}", name_of(scheme), key.to_string(),
                           crypto::to_string(signature.error())));
  return std::move(*signature);
}

/// The best that the key can and the peer takes, among those that know RFC 7427.
std::optional<SignatureScheme> scheme_for(KeyKind kind, const SignatureTaker& peer) {
  for (const SignatureScheme scheme : schemes_for(kind)) {
    // RFC 7427 4: one of the hashes that the other side announced.
    if (!peer.hashes.has(hash_of(scheme))) continue;
    // RFC 9593 3: and of its algorithms, where it named them. PKCS#1 is for those only that ask for it.
    if (!takes(peer.methods, scheme, peer.authority)) continue;
    if (is_pkcs1(scheme) && !names(peer.methods, scheme, peer.authority)) continue;
    return scheme;
  }
  return std::nullopt;
}

Result<Proof, std::string> sign_for_old_peer(const crypto::PrivateKey& key, ByteView octets, bool sha1_allowed) {
  const KeyKind kind = key.kind();
  if (const auto* row = std::ranges::find(kEcdsaMethods, kind, &EcdsaMethod::kind); row != kEcdsaMethods.end()) {
    const auto signature = raw_signature(key, row->scheme, octets);
    if (!signature) return err(signature.error());
    auto raw = crypto::ecdsa_to_raw(*signature, crypto::ecdsa_number_size(kind));
    if (!raw) return err(std::string("the ECDSA signature has numbers that are too large"));
    return Proof{row->method, std::move(*raw)};
  }
  if (kind != KeyKind::rsa)
    return err(
        fmt::format("the peer does not know digital signatures (RFC 7427), and there is no other way to use our "
                    "{} key",
                    key.to_string()));
  if (!sha1_allowed)
    return err(
        std::string("the peer does not know digital signatures (RFC 7427), and RSA without them means SHA-1, "
                    "which compat = [\"sha1\"] allows"));
  auto signature = raw_signature(key, SignatureScheme::rsa_pkcs1_sha1, octets);
  if (!signature) return err(std::move(signature.error()));
  return Proof{AuthenticationMethod::rsa_signature, std::move(*signature)};
}

std::optional<std::string> verdict(const crypto::PublicKey& key, SignatureScheme scheme, ByteView octets,
                                   ByteView signature) {
  if (!crypto::fits(scheme, key.kind()))
    return fmt::format("it is {}, the certificate's key is {}", name_of(scheme), key.to_string());
  if (!key.verify(scheme, octets, signature))
    return fmt::format("it is not right ({}, {} octets, key {})", name_of(scheme), signature.size(), key.to_string());
  return std::nullopt;
}

std::optional<std::string> digital_signature_fault(const crypto::PublicKey& key, ByteView data, ByteView octets) {
  // RFC 7427 3: one octet for the length of the AlgorithmIdentifier, which comes next, then the signature.
  ByteReader reader(data);
  const std::size_t length = reader.u8();
  const ByteView algorithm = reader.bytes(length);
  if (!reader.ok()) return "its AlgorithmIdentifier is cut short";
  const auto scheme = scheme_of(algorithm);
  if (!scheme)
    return fmt::format("its AlgorithmIdentifier 0x{} is none that we announced",
                       to_hex(algorithm.first(std::min<std::size_t>(algorithm.size(), 80))));
  return verdict(key, *scheme, octets, reader.rest());
}

}  // namespace

SignatureHashes accepted_hashes() {
  SignatureHashes hashes;
  for (const SignatureHash hash : kAccepted) hashes.add(hash);
  return hashes;
}

Bytes encode_hashes(SignatureHashes hashes) {
  ByteWriter out;
  for (const auto& row : model::kSignatureHashNames) {
    if (hashes.has(row.value)) out.u16(static_cast<std::uint16_t>(row.value));
  }
  return out.take();
}

SignatureHashes decode_hashes(ByteView data) {
  SignatureHashes hashes;
  for (ByteReader reader(data); reader.remaining() >= 2;) {
    const auto hash = static_cast<SignatureHash>(reader.u16());
    if (model::is_known(model::kSignatureHashNames, hash)) hashes.add(hash);
  }
  return hashes;
}

Bytes algorithm_identifier(SignatureScheme scheme) {
  return std::ranges::find(known_identifiers(), scheme, &KnownIdentifier::scheme)->octets;  // there is one for each
}

std::optional<SignatureScheme> scheme_of(ByteView algorithm_identifier_octets) {
  for (const KnownIdentifier& known : known_identifiers()) {
    if (known.scheme != SignatureScheme::rsa_pkcs1_sha1 && equal(algorithm_identifier_octets, known.octets))
      return known.scheme;
  }
  // PSS has more than one way to say the same.
  DerReader outer(algorithm_identifier_octets);
  const auto content = outer.next(der::kSequence);
  if (!content || !outer.at_end()) return std::nullopt;
  DerReader reader(*content);
  const auto oid = reader.next(der::kObjectIdentifier);
  if (!oid || !equal(*oid, octets_of(kPssOid))) return std::nullopt;
  return read_pss(reader);
}

SignatureHash hash_of(SignatureScheme scheme) { return row_of(scheme).hash; }

Result<Proof, std::string> sign(const crypto::PrivateKey& key, ByteView octets, SignatureHashes peer_hashes,
                                bool sha1_allowed) {
  return sign(key, octets, {.hashes = peer_hashes, .sha1_allowed = sha1_allowed});
}

Result<Proof, std::string> sign(const crypto::PrivateKey& key, ByteView octets, const SignatureTaker& peer) {
  if (peer.hashes.empty()) return sign_for_old_peer(key, octets, peer.sha1_allowed);
  const auto scheme = scheme_for(key.kind(), peer);
  if (!scheme)
    return err(fmt::format("the peer announced no {} that our {} key can be used with",
                           peer.methods.empty() ? "hash" : "method", key.to_string()));
  const auto signature = raw_signature(key, *scheme, octets);
  if (!signature) return err(signature.error());
  const Bytes algorithm = algorithm_identifier(*scheme);
  const Bytes length = {static_cast<std::uint8_t>(algorithm.size())};
  return Proof{AuthenticationMethod::digital_signature, concat({length, algorithm, *signature})};
}

bool can_sign(const crypto::PrivateKey& key, const SignatureTaker& peer) {
  if (!key.present()) return false;
  const KeyKind kind = key.kind();
  if (!peer.hashes.empty()) return scheme_for(kind, peer).has_value();
  return kind == KeyKind::rsa ? peer.sha1_allowed
                              : std::ranges::find(kEcdsaMethods, kind, &EcdsaMethod::kind) != kEcdsaMethods.end();
}

std::optional<std::string> signature_fault(const crypto::PublicKey& key, const Proof& proof, ByteView octets,
                                           bool sha1_allowed) {
  if (proof.method == AuthenticationMethod::digital_signature) return digital_signature_fault(key, proof.data, octets);
  if (proof.method == AuthenticationMethod::rsa_signature) {
    if (!sha1_allowed) return "it is RSA over SHA-1 (method 1), which compat = [\"sha1\"] allows";
    return verdict(key, SignatureScheme::rsa_pkcs1_sha1, octets, proof.data);
  }
  const auto* row = std::ranges::find(kEcdsaMethods, proof.method, &EcdsaMethod::method);
  if (row == kEcdsaMethods.end()) return fmt::format("method {} is not accepted", static_cast<unsigned>(proof.method));
  if (row->kind != key.kind())
    return fmt::format("method {} does not go with the certificate's key, {}", name_of(proof.method), key.to_string());
  // RFC 4754 7: r and s, each as long as the curve's order.
  if (proof.data.size() != 2 * crypto::ecdsa_number_size(row->kind))
    return fmt::format("it has {} octets, {} are needed", proof.data.size(), 2 * crypto::ecdsa_number_size(row->kind));
  const auto signature = crypto::ecdsa_to_der(proof.data);
  return signature ? verdict(key, row->scheme, octets, *signature) : "it is no pair of numbers";
}

bool is_signature(AuthenticationMethod method) {
  return method == AuthenticationMethod::digital_signature || method == AuthenticationMethod::rsa_signature ||
         std::ranges::find(kEcdsaMethods, method, &EcdsaMethod::method) != kEcdsaMethods.end();
}

}  // namespace culvert::ike::auth
