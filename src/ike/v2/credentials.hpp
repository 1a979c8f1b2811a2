// What a connection authenticates with by signature, and how the core's requests about it are answered: by whoever
// holds the credentials, on whatever thread. Nothing here is part of the state machine.
#pragma once

#include <variant>
#include <vector>

#include "crypto/signature.hpp"
#include "crypto/trust.hpp"
#include "ike/face.hpp"

namespace culvert::ike::v2 {

/// Copies share keys and authorities.
struct Credentials {
  std::vector<Bytes> certificates;  // in DER, to be sent: our own first, then those that lead to an authority
  crypto::PrivateKey key;
  std::variant<crypto::TrustStore, crypto::PublicKey> peer;  // the authorities that are believed, or the peer's own key
  bool sha1_allowed = false;
};

[[nodiscard]] SignResult carry_out(const SignRequest& request, const Credentials& credentials);
[[nodiscard]] VerifyResult carry_out(const VerifyRequest& request, const Credentials& credentials,
                                     crypto::CalendarTime now);

}  // namespace culvert::ike::v2
