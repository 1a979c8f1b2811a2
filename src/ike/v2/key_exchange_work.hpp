// Key exchanges as work that leaves the core: the questions that exchanges ask, and what comes back.
#pragma once

#include <memory>

#include "crypto/key_exchange.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/iana/key_exchange_method.hpp"

namespace culvert::ike::v2 {

/// As initiator, before the request: a key pair of ours. The method must be one that our crypto has. As responder only
/// where the secret comes later (RFC 8019 7.2).
[[nodiscard]] RequestToken ask_for_key_pair(Core& core, const IkeSa& sa, model::KeyExchangeMethod method,
                                            Asker asker = Asker::initiator);
/// As initiator, with the response, or later: the secret shared with the peer. The key pair comes back with it.
[[nodiscard]] RequestToken ask_for_shared_secret(Core& core, const IkeSa& sa, model::KeyExchangeMethod method,
                                                 std::unique_ptr<crypto::KeyExchange> own, ByteView peer_value,
                                                 Asker asker = Asker::initiator);
/// As responder: a key pair of ours and the secret shared with the peer, at once.
[[nodiscard]] RequestToken ask_for_answer(Core& core, const IkeSa& sa, model::KeyExchangeMethod method,
                                          ByteView peer_value);
/// Why there is no key pair in it, or no secret.
[[nodiscard]] const char* fault_of(const KeyExchangeResult& result);
/// What was computed.
[[nodiscard]] KeyExchangeResult key_exchange_result(Completion&& completion);

}  // namespace culvert::ike::v2
