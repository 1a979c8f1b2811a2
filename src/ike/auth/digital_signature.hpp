// The AUTH data of signatures (RFC 7427 3, 4 and A; RFC 8420; RFC 4754; RFC 7296 3.8): which algorithm, told how, over
// which hash.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/signature.hpp"
#include "model/authentication.hpp"
#include "model/iana/authentication_method.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::ike::auth {

/// The hashes that we verify signatures over; SHA-1 is not among them.
[[nodiscard]] model::SignatureHashes accepted_hashes();
/// The notification's data and back (RFC 7427 4): numbers of two octets; unknown ones, and an odd octet at the end, are
/// passed over.
[[nodiscard]] Bytes encode_hashes(model::SignatureHashes hashes);
[[nodiscard]] model::SignatureHashes decode_hashes(ByteView data);

/// The AlgorithmIdentifier of method 14 in DER.
[[nodiscard]] Bytes algorithm_identifier(crypto::SignatureScheme scheme);
/// Nothing for one that is not taken: another algorithm, SHA-1, PSS with another hash in MGF1 or a salt of another
/// length than the hash, octets behind it.
[[nodiscard]] std::optional<crypto::SignatureScheme> scheme_of(ByteView algorithm_identifier);
[[nodiscard]] model::SignatureHash hash_of(crypto::SignatureScheme scheme);

/// An AUTH payload's method and data.
struct Proof {
  model::AuthenticationMethod method = model::AuthenticationMethod::digital_signature;
  Bytes data;
};

/// What the peer takes of signatures.
struct SignatureTaker {
  model::SignatureHashes hashes;                      // RFC 7427 4; empty: it knows the older methods only
  std::span<const model::AnnouncedMethod> methods{};  // RFC 9593; empty: it announced none
  std::size_t authority = 0;                          // ours among those that it asked for, from 1; 0: none of them
  bool sha1_allowed = false;
};

/// Signs with what the key can and the peer takes: method 14 with one of the peer's hashes, or, when it announced none,
/// the older methods. The error is a sentence.
[[nodiscard]] Result<Proof, std::string> sign(const crypto::PrivateKey& key, ByteView octets,
                                              const SignatureTaker& peer);
[[nodiscard]] Result<Proof, std::string> sign(const crypto::PrivateKey& key, ByteView octets,
                                              model::SignatureHashes peer_hashes, bool sha1_allowed);

/// Whether that has a signature that both sides can use; the older methods count as well.
[[nodiscard]] bool can_sign(const crypto::PrivateKey& key, const SignatureTaker& peer);

/// Nothing when the proof is right; else what is wrong with it, for the log.
[[nodiscard]] std::optional<std::string> signature_fault(const crypto::PublicKey& key, const Proof& proof,
                                                         ByteView octets, bool sha1_allowed);

/// True for the methods that need a certificate.
[[nodiscard]] bool is_signature(model::AuthenticationMethod method);

}  // namespace culvert::ike::auth
