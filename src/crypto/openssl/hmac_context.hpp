#pragma once

#include "base/bytes.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/prf.hpp"

namespace culvert::crypto::openssl {

/// A keyed HMAC, ready for its first message. Looking an algorithm up by name costs more than a short HMAC, so this
/// copies a prepared context that is made once per hash and never changed. Keys of any length, an empty one included.
[[nodiscard]] MacCtx keyed_hmac(HashId id, ByteView key);

}  // namespace culvert::crypto::openssl
