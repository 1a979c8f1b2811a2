// For each public key that it reads, OpenSSL 3.0 asks every decoder of every kind and form of key whether it has
// something to say, and makes a new chain of those that have: five times the work of all else in reading a certificate.
// So the context here has a provider of its own, which is the default one with fewer decoders.
#include "crypto/openssl/certificate_library.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#include "crypto/openssl/handles.hpp"

namespace culvert::crypto::openssl {
namespace {

// As the provider names them. The decoder that finds out which kind of key a SubjectPublicKeyInfo has is not among
// them: whoever reads one says what its AlgorithmIdentifier names.
constexpr std::array<std::string_view, 6> kKinds{"RSA", "RSA-PSS", "DSA", "EC", "ED25519", "ED448"};
constexpr const char* kName = "culvert-certificates";

using Algorithms = std::vector<OSSL_ALGORITHM>;

/// Never taken down: keys that live until the program's end refer to it.
struct Library {
  OSSL_PROVIDER* whole = nullptr;
  Algorithms decoders;
  Algorithms key_managers;
  OSSL_LIB_CTX* context = nullptr;
};

Library& library();

const OSSL_ALGORITHM* query(void* /*context*/, int operation, int* no_cache) {
  const Library& made = library();
  if (operation == OSSL_OP_DECODER || operation == OSSL_OP_KEYMGMT) {
    *no_cache = 0;
    return (operation == OSSL_OP_DECODER ? made.decoders : made.key_managers).data();
  }
  return OSSL_PROVIDER_query_operation(made.whole, operation, no_cache);
}

int begin(const OSSL_CORE_HANDLE* /*core*/, const OSSL_DISPATCH* /*in*/, const OSSL_DISPATCH** out, void** context) {
  static const std::array<OSSL_DISPATCH, 2> functions{
      {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, reinterpret_cast<void (*)()>(query)}, {0, nullptr}}};
  *out = functions.data();
  *context = OSSL_PROVIDER_get0_provider_ctx(library().whole);
  return 1;
}

/// Those of the operation whose first name is among kKinds and whose properties have `property`, and the end mark.
Algorithms select(OSSL_PROVIDER* whole, int operation, std::string_view property) {
  Algorithms found;
  int no_cache = 0;
  for (const OSSL_ALGORITHM* one = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
       one != nullptr && one->algorithm_names != nullptr; ++one) {
    const std::string_view names = one->algorithm_names;
    const std::string_view properties = one->property_definition;
    const bool wanted = std::ranges::find(kKinds, names.substr(0, names.find(':'))) != kKinds.end();
    if (wanted && properties.find(property) != std::string_view::npos) found.push_back(*one);
  }
  found.push_back({});
  return found;
}

Library& library() {
  static Library made;
  return made;
}

OSSL_LIB_CTX* make() {
  const ErrorQueueGuard guard;
  Library& made = library();
  // In a context of its own, so that nothing changes for whoever uses the usual one.
  OSSL_LIB_CTX* base = OSSL_LIB_CTX_new();
  if (base == nullptr) return nullptr;
  made.whole = OSSL_PROVIDER_load(base, "default");
  if (made.whole == nullptr) return nullptr;
  made.decoders = select(made.whole, OSSL_OP_DECODER, "structure=SubjectPublicKeyInfo");
  made.key_managers = select(made.whole, OSSL_OP_KEYMGMT, "");
  // Another version of the library, with other names: better slow than blind.
  if (made.decoders.size() != kKinds.size() + 1 || made.key_managers.size() != kKinds.size() + 1) return nullptr;
  made.context = OSSL_LIB_CTX_new();
  const bool stands = made.context != nullptr && OSSL_PROVIDER_add_builtin(made.context, kName, begin) == 1 &&
                      OSSL_PROVIDER_load(made.context, kName) != nullptr;
  return stands ? made.context : nullptr;
}

}  // namespace

OSSL_LIB_CTX* certificate_library() {
  static OSSL_LIB_CTX* const context = make();
  return context;
}

}  // namespace culvert::crypto::openssl
