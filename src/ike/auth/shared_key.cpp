#include "ike/auth/shared_key.hpp"

#include <string_view>

namespace culvert::ike::auth {

namespace {
constexpr std::string_view kKeyPad = "Key Pad for IKEv2";  // RFC 7296 2.15: 17 ASCII characters without terminator
}

Bytes signed_octets(crypto::Prf prf, ByteView first_message, ByteView peer_nonce, ByteView sk_p, ByteView id_body) {
  const SecretBytes maced_id = prf(sk_p, {id_body});
  return concat({first_message, peer_nonce, maced_id.view()});
}

SecretBytes shared_key_mac(crypto::Prf prf, ByteView secret, ByteView octets) {
  const SecretBytes padded = prf(secret, {as_bytes(kKeyPad)});
  return prf(padded.view(), {octets});
}

bool auth_matches(const SecretBytes& expected, ByteView received) {
  return !expected.empty() && constant_time_equal(expected.view(), received);
}

}  // namespace culvert::ike::auth
