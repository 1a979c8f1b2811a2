// The library contexts that peers' certificates and public keys are read in.
#pragma once

#include <openssl/types.h>

#include "base/bytes.hpp"

namespace culvert::crypto::openssl {

/// It computes what the library's usual one does, but reads only public keys of the kinds that certificates have: RSA,
/// DSA, elliptic curves, Ed25519 and Ed448. Null, which is the usual one, should the library refuse to make it.
[[nodiscard]] OSSL_LIB_CTX* certificate_library();
/// The same for RSA alone, as most certificates have it: a key is read in less time the fewer kinds there are to ask.
/// It uses keys of all the kinds.
[[nodiscard]] OSSL_LIB_CTX* rsa_certificate_library();

/// Which of the two reads that certificate, or that SubjectPublicKeyInfo; any octets.
[[nodiscard]] OSSL_LIB_CTX* library_for_certificate(ByteView der);
[[nodiscard]] OSSL_LIB_CTX* library_for_key(ByteView spki);

}  // namespace culvert::crypto::openssl
