#include "ike/auth/shared_key.hpp"

#include <string_view>

namespace culvert::ike::auth {

namespace {
constexpr std::string_view kKeyPad = "Key Pad for IKEv2";  // RFC 7296 2.15: 17 ASCII characters without terminator
}

Bytes signed_octets(crypto::HashId prf, ByteView first_message, ByteView peer_nonce, ByteView sk_p, ByteView id_body) {
  const SecretBytes maced_id = crypto::hmac(prf, sk_p, {id_body});
  return concat({first_message, peer_nonce, maced_id.view()});
}

SecretBytes shared_key_mac(crypto::HashId prf, ByteView secret, ByteView octets) {
  const SecretBytes padded = crypto::hmac(prf, secret, {as_bytes(kKeyPad)});
  return crypto::hmac(prf, padded.view(), {octets});
}

bool auth_matches(const SecretBytes& expected, ByteView received) {
  return !expected.empty() && constant_time_equal(expected.view(), received);
}

}  // namespace culvert::ike::auth
