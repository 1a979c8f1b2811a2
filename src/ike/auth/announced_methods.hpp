// SUPPORTED_AUTH_METHODS (RFC 9593): which proofs one side takes, as the notification's data has it, and what the other
// makes of it.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "crypto/signature.hpp"
#include "model/authentication.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::ike::auth {

/// What we take from a peer that proves itself so. With certificates: digital signatures, one announcement for each
/// algorithm.
[[nodiscard]] std::vector<model::AnnouncedMethod> accepted_methods(model::Authentication authentication);

/// The same with one algorithm for RSA, the first: a shorter list that leaves nobody without.
[[nodiscard]] std::vector<model::AnnouncedMethod> in_brief(std::vector<model::AnnouncedMethod> methods);

[[nodiscard]] Bytes encode_methods(const std::vector<model::AnnouncedMethod>& methods);
/// Appends those of one notification. Announcements of unknown form are passed over, and so is all behind one that is
/// cut short; at most model::kMostAnnounced are kept.
void decode_methods(ByteView data, std::vector<model::AnnouncedMethod>& methods);

/// Whether the peer takes digital signatures of the scheme, by keys that lead to the n-th of its authorities (from 1; 0
/// when it asked for none of them). True as well for a peer that announced nothing of signatures.
[[nodiscard]] bool takes(std::span<const model::AnnouncedMethod> methods, crypto::SignatureScheme scheme,
                         std::size_t authority);
/// It named the scheme.
[[nodiscard]] bool names(std::span<const model::AnnouncedMethod> methods, crypto::SignatureScheme scheme,
                         std::size_t authority);

}  // namespace culvert::ike::auth
