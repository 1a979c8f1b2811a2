// Requests: slow or secret work that leaves the core, and its answers; see face.hpp.
//
// Every request has exactly one answer, by Endpoint::handle_completion with its token: at once or much later, in any
// order. Until then its IKE SA waits, and no other does. An answer for an IKE SA that is gone does nothing. Further
// kinds of work (who judges a peer from outside, what must be fetched) are further alternatives of the two variants.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/strong_id.hpp"
#include "crypto/error.hpp"
#include "crypto/key_exchange.hpp"
#include "model/authentication.hpp"
#include "model/configuration.hpp"
#include "model/connection.hpp"
#include "model/eap.hpp"
#include "model/iana/authentication_method.hpp"
#include "model/ids.hpp"
#include "model/proof_wishes.hpp"
#include "model/traffic_selector.hpp"
#include "net/address.hpp"

namespace culvert::model {
struct Authorization;  // model/aaa.hpp
}

namespace culvert::ike {

/// Names an outstanding request; never reused.
using RequestToken = StrongId<struct RequestTokenTag, std::uint64_t>;

/// Compute prf(prf(secret, "Key Pad for IKEv2"), octets) with the secret of the connection (RFC 7296 2.15).
struct SharedKeyMacRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::PrfId prf = model::PrfId::hmac_sha2_256;
  Bytes octets;
};
/// Sign octets with the private key of the connection (RFC 7296 2.15, RFC 7427).
struct SignRequest {
  RequestToken token;
  model::ConnectionId connection;
  /// What the peer announced; empty when it does not know RFC 7427.
  model::SignatureHashes peer_hashes;
  Bytes octets;
  /// Which certificates it asks for, and in which form.
  model::ProofWishes wishes = {};
  model::Identity identity = {};  // that we show with it
};
/// Judge what the peer proves itself with: its certificates by the authorities of the connection, its identity by its
/// certificate, its signature by its key.
struct VerifyRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::Identity identity;
  model::AuthenticationMethod method = model::AuthenticationMethod::digital_signature;
  Bytes auth;  // the AUTH payload's data
  Bytes octets;
  std::vector<Bytes> certificates;  // X.509 in DER, the peer's own first
  std::optional<Bytes> raw_key;     // the SubjectPublicKeyInfo that the peer sent (RFC 7670)
  /// Certificates to be fetched; each place among `certificates` is empty till then. None unless the connection wants
  /// them (ConnectionConfig::certificates_by_url).
  std::vector<model::CertificateByUrl> by_url = {};
  std::vector<Bytes> ocsp = {};  // responses that the peer sent along (RFC 4806)
  std::size_t round = 0;         // of the peer's authentications (RFC 4739), counted from 0
};
/// Do our part of a key exchange (RFC 7296 2.14): make a key pair, unless there is one in `own`; and with the peer's
/// public value, if there is one, compute the shared secret.
struct KeyExchangeRequest {
  RequestToken token;
  crypto::KeyExchangeId method = crypto::KeyExchangeId::x25519;
  std::unique_ptr<crypto::KeyExchange> own;
  std::optional<Bytes> peer_value;
};
/// Find four keys with which the prf of `text` ends with at least so many zero bits, 0: as many as can be had for a
/// fair effort (RFC 8019 7.1.3). Within a bounded effort, and no longer than the solution is wanted.
struct PuzzleRequest {
  RequestToken token;
  model::PrfId prf = model::PrfId::hmac_sha2_256;
  Bytes text;
  std::uint8_t zero_bits = 0;
  /// Set, by another thread maybe, when the attempt that it was for is over.
  std::shared_ptr<const std::atomic<bool>> unwanted = {};
};
/// SK_d, SK_pi and SK_pr, or SK_d alone.
using PpkKeys = std::array<SecretBytes, 3>;
/// Mix the PPK of the connection into the keys: prf+(PPK, key) for each (RFC 8784 3), which of SK_d alone is SKEYSEED
/// (RFC 9867 3.1).
struct PpkRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::PrfId prf = model::PrfId::hmac_sha2_256;
  PpkKeys keys;
  Bytes confirmed = {};  // what the PPK is to be proved over; empty: nothing
};
/// One step of the EAP conversation of an IKE SA (RFC 7296 2.16), by whoever holds the secrets. It may take its time.
struct EapRequest {
  enum class Step : std::uint8_t {
    begin,   // as server: the first packet is wanted
    packet,  // the peer sent `packet`, any octets; as client the first one begins
    end      // the IKE SA is gone: forget the conversation. Has no answer
  };
  RequestToken token;
  model::ConnectionId connection;
  model::IkeSaId ike_sa;
  Step step = Step::begin;
  model::EapSettings settings;
  Bytes packet;
  net::Path path = {};
};
/// Give addresses of the connection's pools to a peer that proved its identity (RFC 7296 2.19); they are its own until
/// the IKE SA and what replaces it are closed. Answered by control itself.
struct AddressRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::IkeSaId ike_sa;
  model::Identity identity;
  std::vector<model::AddressWish> wishes;
  std::vector<std::string> pools;  // in the order of preference
  model::TrafficSelectors local;   // what the peer may reach
  /// IKE SAs of the same identity that end for this one.
  std::vector<model::IkeSaId> ending;
  std::shared_ptr<const model::Authorization> authorization = nullptr;  // as in IkeSaEstablished
};
using Request = std::variant<SharedKeyMacRequest, SignRequest, VerifyRequest, KeyExchangeRequest, EapRequest,
                             AddressRequest, PpkRequest, PuzzleRequest>;
[[nodiscard]] RequestToken token_of(const Request& request);

/// The answer to a request. Absent MAC: there is no secret for that connection.
struct SharedKeyMacResult {
  std::optional<SecretBytes> mac;
};
struct OwnProof {
  model::AuthenticationMethod method = model::AuthenticationMethod::digital_signature;
  Bytes auth;
  std::vector<Bytes> certificates;                   // to be sent, our own first
  Bytes raw_key;                                     // else, with a signature: the public key (RFC 7670)
  std::vector<model::EncodedCertificate> more = {};  // behind the certificates, or in their stead
};
/// The error is a sentence: why there is no signature.
struct SignResult {
  Result<OwnProof, std::string> proof;
};
/// Nothing when the peer is who it says it is.
struct VerifyResult {
  std::optional<model::AuthenticationRefusal> refusal;
  /// Until when what the peer has shown is good, in seconds since 1970; nothing: for ever.
  std::optional<std::int64_t> good_until = {};
};
struct KeyExchangeResult {
  std::unique_ptr<crypto::KeyExchange> own;  // null: there is none, `fault` says why
  SecretBytes shared_secret;                 // empty: none was asked for, or `fault` says why
  std::optional<crypto::CryptoError> fault;
};
struct EapResult {
  enum class State : std::uint8_t { going, success, failure };
  State state = State::failure;
  Bytes packet;                          // for the peer; as client, empty with success and perhaps with failure
  SecretBytes msk;                       // with success, of a method that makes one (RFC 3748 7.10)
  std::string identity;                  // whom it is about; any octets
  std::optional<model::EapType> method;  // that was agreed on
  std::string group;                     // with success, as server: of the tunnel's groups, where its place is known
  /// With failure; and with `going`, as server, where it is certain already: not every client hears it out.
  std::optional<model::AuthenticationRefusal> refusal;
  /// With success, of a conversation that an AAA server has kept.
  std::shared_ptr<const model::Authorization> authorization = nullptr;
  /// As VerifyResult's; with success, as server.
  std::optional<std::int64_t> good_until = {};
};
/// Absent: there is no PPK for that connection.
struct PpkResult {
  std::optional<PpkKeys> keys;
  Bytes confirmation = {};  // prf(PPK, confirmed), where there was anything
};
/// The keys one after the other; empty: there was no solution within the effort.
struct PuzzleResult {
  Bytes solution;
};
/// With an address at least; or why there is none, in a sentence.
struct AddressResult {
  Result<model::Configuration, std::string> configuration;
};
using Completion = std::variant<SharedKeyMacResult, SignResult, VerifyResult, KeyExchangeResult, EapResult,
                                AddressResult, PpkResult, PuzzleResult>;

}  // namespace culvert::ike
