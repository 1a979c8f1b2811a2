// EAP-TTLS version 0 (RFC 5281) and PEAP version 0 ([MS-PEAP]; draft-kamath-pppext-peapv0): the server shows its
// certificate, and within TLS the client proves itself by something simpler. Who that finds it to be is who came.
#pragma once

#include <memory>

#include "base/random.hpp"
#include "ike/eap/tls_method.hpp"

namespace culvert::ike::eap {

/// The client's side of what goes on within.
struct TunnelledClient {
  std::string identity;
  SecretBytes secret;
};

/// `users` and `random` must outlive them.
[[nodiscard]] std::unique_ptr<ServerMethod> ttls_server(const TlsTerms& terms, RandomSource& random,
                                                        const Users& users);
[[nodiscard]] std::unique_ptr<ServerMethod> peap_server(const TlsTerms& terms, RandomSource& random,
                                                        const Users& users);
[[nodiscard]] std::unique_ptr<ClientMethod> ttls_client(const TlsTerms& terms, RandomSource& random,
                                                        TunnelledClient self);
[[nodiscard]] std::unique_ptr<ClientMethod> peap_client(const TlsTerms& terms, RandomSource& random,
                                                        TunnelledClient self);

/// Those of `inner` that are methods of EAP, in their order.
[[nodiscard]] std::vector<model::EapType> eap_methods(const std::vector<model::EapInner>& inner);

}  // namespace culvert::ike::eap
