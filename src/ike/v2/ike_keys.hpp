// From an agreed suite and a shared secret to an IKE SA that can seal and open; and that.
#pragma once

#include <optional>

#include "base/result.hpp"
#include "crypto/error.hpp"
#include "ike/codec/seal.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// True when our crypto has every algorithm of the suite.
[[nodiscard]] bool is_usable(const model::IkeSuite& suite);

/// Derives the SK_ keys into `sa`, whose role and SPIs are set. Exports the keys if that is switched on.
[[nodiscard]] Result<void, crypto::CryptoError> key_ike_sa(Core& core, IkeSa& sa, const model::IkeSuite& suite,
                                                           ByteView skeyseed, ByteView nonce_i, ByteView nonce_r);

// An IKE SA says a word or two a minute: expanded keys, a kilobyte and more each, are made for each message anew.

/// The message of ours, in one datagram if it has at most `most` octets then, else in fragments (RFC 7383) of at most
/// so many each. The keys must be there.
[[nodiscard]] std::vector<Bytes> seal_within(Core& core, IkeSa& sa, const codec::MessageContent& content,
                                             std::size_t most);
/// How many datagrams that would be.
[[nodiscard]] std::size_t datagrams_within(const IkeSa& sa, const codec::MessageContent& content, std::size_t most);
/// What a message of ours was sealed from. Nothing when its keys are no more.
[[nodiscard]] std::optional<codec::MessageContent> reopen_own(const IkeSa& sa, ByteView datagram);
/// The payloads of the peer's message, or of a fragment its part of them; `datagram` is what `parsed` was made from.
/// The keys must be there.
[[nodiscard]] Result<SecretBytes, codec::OpenFault> open_part(const IkeSa& sa, ByteView datagram,
                                                              const codec::ParsedMessage& parsed);

}  // namespace culvert::ike::v2
