#include "ike/auth/announced_methods.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "ike/auth/digital_signature.hpp"

namespace culvert::ike::auth {
namespace {

using crypto::SignatureScheme;
using model::AnnouncedMethod;
using model::Authentication;
using model::AuthenticationMethod;

// The order of preference: what RFC 8247 3 calls for, the short ones first.
constexpr std::array kSchemes = {SignatureScheme::ed25519,
                                 SignatureScheme::ecdsa_sha2_256,
                                 SignatureScheme::ecdsa_sha2_384,
                                 SignatureScheme::ecdsa_sha2_512,
                                 SignatureScheme::ed448,
                                 SignatureScheme::rsa_pss_sha2_256,
                                 SignatureScheme::rsa_pss_sha2_384,
                                 SignatureScheme::rsa_pss_sha2_512,
                                 SignatureScheme::rsa_pkcs1_sha2_256};

bool is_short(AuthenticationMethod method) {
  return method == AuthenticationMethod::shared_key_mic || method == AuthenticationMethod::null;
}
bool has_link(AuthenticationMethod method) {
  return method == AuthenticationMethod::rsa_signature || method == AuthenticationMethod::dss_signature ||
         method == AuthenticationMethod::ecdsa_256 || method == AuthenticationMethod::ecdsa_384 ||
         method == AuthenticationMethod::ecdsa_521;
}

}  // namespace

std::vector<AnnouncedMethod> accepted_methods(Authentication authentication) {
  switch (authentication) {
    case Authentication::shared_key: return {{.method = AuthenticationMethod::shared_key_mic, .algorithm = {}}};
    case Authentication::none: return {{.method = AuthenticationMethod::null, .algorithm = {}}};
    case Authentication::certificate: break;
  }
  std::vector<AnnouncedMethod> all;
  for (const SignatureScheme scheme : kSchemes)
    all.push_back({.method = AuthenticationMethod::digital_signature, .algorithm = algorithm_identifier(scheme)});
  return all;
}

std::vector<AnnouncedMethod> in_brief(std::vector<AnnouncedMethod> methods) {
  bool found = false;
  std::erase_if(methods, [&found](const AnnouncedMethod& one) {
    const auto scheme = scheme_of(one.algorithm);
    if (one.method != AuthenticationMethod::digital_signature || !scheme || !fits(*scheme, crypto::KeyKind::rsa))
      return false;
    return std::exchange(found, true);
  });
  return methods;
}

// RFC 9593 3.2.1 to 3.2.3: the length, which counts itself, the method, and what goes with it.
Bytes encode_methods(const std::vector<AnnouncedMethod>& methods) {
  ByteWriter out;
  for (const AnnouncedMethod& one : methods) {
    const bool alone = is_short(one.method);
    out.u8(static_cast<std::uint8_t>(alone ? 2 : 3 + one.algorithm.size()));
    out.u8(static_cast<std::uint8_t>(one.method));
    if (alone) continue;
    out.u8(one.authority);
    out.bytes(one.algorithm);
  }
  return out.take();
}

void decode_methods(ByteView data, std::vector<AnnouncedMethod>& methods) {
  ByteReader reader(data);
  while (reader.remaining() >= 2 && methods.size() < model::kMostAnnounced) {
    const std::size_t length = reader.u8();
    if (length < 2 || length - 1 > reader.remaining()) return;
    ByteReader blob(reader.bytes(length - 1));
    const auto method = static_cast<AuthenticationMethod>(blob.u8());
    AnnouncedMethod one{.method = method, .algorithm = {}};
    if (length > 2) one.authority = blob.u8();
    if (length > 3) one.algorithm = to_bytes(blob.rest());
    // RFC 9593 3.2: what is not understood is ignored.
    const bool understood = (is_short(method) && length == 2) || (has_link(method) && length == 3) ||
                            (method == AuthenticationMethod::digital_signature && length > 3);
    if (understood) methods.push_back(std::move(one));
  }
}

bool names(std::span<const AnnouncedMethod> methods, SignatureScheme scheme, std::size_t authority) {
  return std::ranges::any_of(methods, [&](const AnnouncedMethod& one) {
    if (one.method != AuthenticationMethod::digital_signature) return false;
    // RFC 9593 3.2.2: a link without any authority to be linked to counts as none.
    if (one.authority != 0 && authority != 0 && one.authority != authority) return false;
    return scheme_of(one.algorithm) == scheme;
  });
}

bool takes(std::span<const AnnouncedMethod> methods, SignatureScheme scheme, std::size_t authority) {
  const bool any = std::ranges::any_of(
      methods, [](const AnnouncedMethod& one) { return one.method == AuthenticationMethod::digital_signature; });
  return !any || names(methods, scheme, authority);
}

}  // namespace culvert::ike::auth
