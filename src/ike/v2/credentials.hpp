// What a connection authenticates with by signature, and how the core's requests about it are answered: by whoever
// holds the credentials, on whatever thread. Nothing here is part of the state machine.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crypto/signature.hpp"
#include "crypto/trust.hpp"
#include "ike/face.hpp"
#include "ike/v2/revocation_check.hpp"

namespace culvert::ike::v2 {

/// A certificate of ours, and what goes with it.
struct OwnChain {
  std::vector<Bytes> certificates;  // in DER, to be sent: our own first, then those that lead to an authority
  crypto::PrivateKey key;
  /// Digests of those that issued one of them, 20 octets each, by which a peer asks for the chain (RFC 7296 3.7).
  Bytes authorities = {};
  /// Where the peer finds the first certificates, each in DER, should it rather fetch them (RFC 7296 3.6).
  std::vector<std::string> urls = {};
  /// The certificate of who issued our own, in DER; empty when it is not known.
  Bytes issuer = {};
  /// With several rounds by certificate (RFC 4739): whose it is; it proves nobody else. Nothing: anybody.
  std::optional<model::Identity> identity = {};
};

/// Copies share keys and authorities.
struct Credentials {
  std::vector<Bytes> certificates;  // in DER, to be sent: our own first, then those that lead to an authority
  crypto::PrivateKey key;
  std::variant<crypto::TrustStore, crypto::PublicKey> peer;  // the authorities that are believed, or the peer's own key
  bool sha1_allowed = false;
  // Of the first chain, which `certificates` and `key` are; and the chains behind it.
  Bytes chain_authorities = {};
  std::vector<std::string> urls = {};
  Bytes chain_issuer = {};
  std::optional<model::Identity> chain_identity = {};
  std::vector<OwnChain> others = {};
  /// Nothing: no more than what `peer` has of revocation lists.
  std::optional<RevocationPolicy> revocation = {};
  /// What URLs of certificates must begin with to be fetched; empty: none is.
  std::vector<std::string> fetch_from = {};
  /// In that round of the peer's (RFC 4739), counted from 0, these authorities are believed instead of `peer`.
  std::map<std::size_t, crypto::TrustStore> round_peers = {};
};
/// Who is believed in that round.
[[nodiscard]] std::variant<crypto::TrustStore, crypto::PublicKey> believed_in(const Credentials& credentials,
                                                                              std::size_t round);

[[nodiscard]] OwnChain chain_at(const Credentials& credentials, std::size_t place);

/// The place of the chain that goes with what the peer asks for, 0 for the first: of those that are for our identity
/// the first whose authority it believes and whose key makes signatures that it takes. RFC 7296 3.7: where there is
/// none, its wish is no reason to send nothing, and the first that is for our identity is taken.
[[nodiscard]] std::size_t choose_chain(const Credentials& credentials, const SignRequest& request);

[[nodiscard]] SignResult carry_out(const SignRequest& request, const Credentials& credentials);
[[nodiscard]] VerifyResult carry_out(const VerifyRequest& request, const Credentials& credentials,
                                     crypto::CalendarTime now);

}  // namespace culvert::ike::v2
