// What of the hashes and pseudo-random functions the library computes on this machine.
#pragma once

#include "crypto/prf.hpp"

namespace culvert::crypto {

/// Whether the library computes it for whoever has a choice: in FIPS mode it does not have MD5.
[[nodiscard]] bool is_available(HashId id);
/// The same; no other prf may be called.
[[nodiscard]] bool is_available(const Prf& prf);

}  // namespace culvert::crypto
