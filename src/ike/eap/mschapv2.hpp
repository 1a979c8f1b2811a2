// EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2): challenge, response, success or failure, and the acknowledgement of
// that. Both sides prove that they know the password; 64 octets of key come of it.
#pragma once

#include <memory>

#include "base/random.hpp"
#include "ike/eap/method.hpp"

namespace culvert::ike::eap {

/// `identity` is who the peer said it is; null `secret`: nobody is called so, and the peer shall not see the
/// difference.
[[nodiscard]] std::unique_ptr<ServerMethod> mschapv2_server(RandomSource& random, std::string identity,
                                                            const SecretBytes* secret);
[[nodiscard]] std::unique_ptr<ClientMethod> mschapv2_client(RandomSource& random, std::string identity,
                                                            SecretBytes secret);

}  // namespace culvert::ike::eap
