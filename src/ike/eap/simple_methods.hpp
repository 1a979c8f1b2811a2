// EAP-MD5 and EAP-GTC (RFC 3748 5.4, 5.6): one question, one answer, no key. Good for nothing but a peer that AUTH has
// proved already: MD5's answer can be guessed at leisure, GTC's is the password itself (draft-sheffer-ikev2-gtc).
#pragma once

#include <memory>

#include "base/random.hpp"
#include "ike/eap/method.hpp"

namespace culvert::ike::eap {

/// Null `secret`: nobody is called `identity`, and the peer shall not see the difference.
[[nodiscard]] std::unique_ptr<ServerMethod> md5_server(RandomSource& random, std::string identity,
                                                       const SecretBytes* secret);
[[nodiscard]] std::unique_ptr<ClientMethod> md5_client(std::string identity, SecretBytes secret);
[[nodiscard]] std::unique_ptr<ServerMethod> gtc_server(std::string identity, const SecretBytes* secret);
[[nodiscard]] std::unique_ptr<ClientMethod> gtc_client(SecretBytes secret);

}  // namespace culvert::ike::eap
