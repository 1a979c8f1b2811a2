// The library context that peers' certificates and public keys are read in.
#pragma once

#include <openssl/types.h>

namespace culvert::crypto::openssl {

/// It computes what the library's usual one does, but reads only public keys of the kinds that certificates have: RSA,
/// DSA, elliptic curves, Ed25519 and Ed448. Null, which is the usual one, should the library refuse to make it.
[[nodiscard]] OSSL_LIB_CTX* certificate_library();

}  // namespace culvert::crypto::openssl
