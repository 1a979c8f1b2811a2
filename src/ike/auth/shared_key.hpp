// Authentication with a shared key (RFC 7296 2.15): what is authenticated, and the MAC over it.
#pragma once

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "crypto/prf.hpp"

namespace culvert::ike::auth {

/// InitiatorSignedOctets or ResponderSignedOctets: the signer's first message as it went over the wire (without non-ESP
/// marker), the nonce of the other side, prf(SK_p of the signer, RestOfIDPayload of the signer). `id_body` is
/// IdPayload::body().
[[nodiscard]] Bytes signed_octets(crypto::Prf prf, ByteView first_message, ByteView peer_nonce, ByteView sk_p,
                                  ByteView id_body);

/// prf(prf(secret, "Key Pad for IKEv2"), octets): the AUTH data of method 2.
[[nodiscard]] SecretBytes shared_key_mac(crypto::Prf prf, ByteView secret, ByteView octets);

/// Compares AUTH data in constant time.
[[nodiscard]] bool auth_matches(const SecretBytes& expected, ByteView received);

}  // namespace culvert::ike::auth
