// IKE_INTERMEDIATE (RFC 9242) as it carries additional key exchanges (RFC 9370 2.2.2) and a PPK (RFC 9867): what both
// roles have in common. Each exchange is protected by the keys that stand when it begins, ends with new ones, and all
// of them go into AUTH.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "crypto/error.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/reassembly.hpp"

namespace culvert::ike::v2 {

/// INTERMEDIATE_EXCHANGE_SUPPORTED is in the peer's part of IKE_SA_INIT (RFC 9242 3.1).
[[nodiscard]] bool knows_intermediate(const codec::Message& message);

/// The n-th additional key exchange that was agreed on, counted from 0; nothing when there are not so many.
[[nodiscard]] std::optional<model::KeyExchangeMethod> additional_method(const model::IkeSuite& suite, unsigned n);

/// Takes an IKE_INTERMEDIATE message into IntAuth (RFC 9242 3.3.2): of ours as it is to be sealed, its header complete;
/// of the peer's as it was opened, `header` being the octets of its IKE header. Before the keys change.
void note_intermediate(IkeSa& sa, const codec::Message& ours);
void note_intermediate(IkeSa& sa, ByteView header, const OpenedContent& theirs);
/// What IntAuth adds to the octets that AUTH is over; nothing without IKE_INTERMEDIATE.
void append_int_auth(const IkeSa& sa, Bytes& octets);

/// SKEYSEED of the current keys and the secret of the next additional key exchange (RFC 9370 2.2.2).
[[nodiscard]] SecretBytes skeyseed_with(const IkeSa& sa, ByteView shared_secret);
/// The SK_d that comes of it; of an empty one, that of now.
[[nodiscard]] SecretBytes sk_d_with(const IkeSa& sa, ByteView skeyseed);
/// The exchange with the message id is over, of which `key_exchange` says whether it was for one more of them. With a
/// SKEYSEED there are new keys; those of before are kept for its messages, which may come again.
[[nodiscard]] Result<void, crypto::CryptoError> end_intermediate(Core& core, IkeSa& sa, model::MessageId id,
                                                                 bool key_exchange, ByteView skeyseed);

}  // namespace culvert::ike::v2
