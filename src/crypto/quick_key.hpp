// Which keys sign at once.
#pragma once

#include "crypto/signature.hpp"

namespace culvert::crypto {

/// A signature by it takes a fraction of a millisecond, and asks nobody. Of a key that is present.
[[nodiscard]] bool is_quick(const PrivateKey& key);

}  // namespace culvert::crypto
