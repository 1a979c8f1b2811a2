// For each public key that it reads, OpenSSL 3.0 asks every decoder of every kind and form of key whether it has
// something to say, and makes a new chain of those that have: five times the work of all else in reading a certificate.
// So the context here has a provider of its own, which is the default one with fewer decoders.
#include "crypto/openssl/certificate_library.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#include "base/der.hpp"
#include "crypto/openssl/handles.hpp"

namespace culvert::crypto::openssl {
namespace {

// As the provider names them. The decoder that finds out which kind of key a SubjectPublicKeyInfo has is not among
// them: whoever reads one says what its AlgorithmIdentifier names.
constexpr std::array<std::string_view, 6> kKinds{"RSA", "RSA-PSS", "DSA", "EC", "ED25519", "ED448"};
constexpr std::string_view kRsa = kKinds.front();

using Algorithms = std::vector<OSSL_ALGORITHM>;

/// Never taken down: keys that live until the program's end refer to it.
struct Library {
  OSSL_PROVIDER* whole = nullptr;
  Algorithms decoders;
  Algorithms rsa_decoders;
  Algorithms key_managers;
  Algorithms rsa_key_managers;
  OSSL_LIB_CTX* context = nullptr;
  OSSL_LIB_CTX* rsa_context = nullptr;
};

Library& library();

template <Algorithms Library::* Decoders, Algorithms Library::* KeyManagers>
const OSSL_ALGORITHM* query(void* /*context*/, int operation, int* no_cache) {
  const Library& made = library();
  if (operation == OSSL_OP_DECODER || operation == OSSL_OP_KEYMGMT) {
    *no_cache = 0;
    return (operation == OSSL_OP_DECODER ? made.*Decoders : made.*KeyManagers).data();
  }
  return OSSL_PROVIDER_query_operation(made.whole, operation, no_cache);
}

template <Algorithms Library::* Decoders, Algorithms Library::* KeyManagers>
int begin(const OSSL_CORE_HANDLE* /*core*/, const OSSL_DISPATCH* /*in*/, const OSSL_DISPATCH** out, void** context) {
  static const std::array<OSSL_DISPATCH, 2> functions{
      {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, reinterpret_cast<void (*)()>(query<Decoders, KeyManagers>)}, {0, nullptr}}};
  *out = functions.data();
  *context = OSSL_PROVIDER_get0_provider_ctx(library().whole);
  return 1;
}

/// Those of the operation whose first name is among `kinds` and whose properties have `property`, and the end mark.
Algorithms select(OSSL_PROVIDER* whole, int operation, std::string_view property,
                  std::span<const std::string_view> kinds = kKinds) {
  Algorithms found;
  int no_cache = 0;
  for (const OSSL_ALGORITHM* one = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
       one != nullptr && one->algorithm_names != nullptr; ++one) {
    const std::string_view names = one->algorithm_names;
    const std::string_view properties = one->property_definition;
    const bool wanted = std::ranges::find(kinds, names.substr(0, names.find(':'))) != kinds.end();
    if (wanted && properties.find(property) != std::string_view::npos) found.push_back(*one);
  }
  found.push_back({});
  return found;
}

Library& library() {
  static Library made;
  return made;
}

/// With the provider of that name, which begins so.
OSSL_LIB_CTX* make_context(const char* name, OSSL_provider_init_fn* begin_provider) {
  OSSL_LIB_CTX* context = OSSL_LIB_CTX_new();
  const bool stands = context != nullptr && OSSL_PROVIDER_add_builtin(context, name, begin_provider) == 1 &&
                      OSSL_PROVIDER_load(context, name) != nullptr;
  return stands ? context : nullptr;
}

Library& make() {
  const ErrorQueueGuard guard;
  Library& made = library();
  // In a context of its own, so that nothing changes for whoever uses the usual one.
  OSSL_LIB_CTX* base = OSSL_LIB_CTX_new();
  if (base == nullptr) return made;
  made.whole = OSSL_PROVIDER_load(base, "default");
  if (made.whole == nullptr) return made;
  constexpr std::string_view kForm = "structure=SubjectPublicKeyInfo";
  made.decoders = select(made.whole, OSSL_OP_DECODER, kForm);
  made.rsa_decoders = select(made.whole, OSSL_OP_DECODER, kForm, {&kRsa, 1});
  made.key_managers = select(made.whole, OSSL_OP_KEYMGMT, "");
  made.rsa_key_managers = select(made.whole, OSSL_OP_KEYMGMT, "", {&kRsa, 1});
  // Another version of the library, with other names: better slow than blind.
  constexpr std::size_t kAll = kKinds.size() + 1;
  if (made.decoders.size() != kAll || made.key_managers.size() != kAll || made.rsa_decoders.size() != 2 ||
      made.rsa_key_managers.size() != 2) {
    return made;
  }
  made.context = make_context("culvert-certificates", begin<&Library::decoders, &Library::key_managers>);
  // Each reader of a key asks all that manage keys, too.
  made.rsa_context =
      make_context("culvert-rsa-certificates", begin<&Library::rsa_decoders, &Library::rsa_key_managers>);
  return made;
}

const Library& the_library() {
  static const Library& made = make();
  return made;
}

/// What is within the next element, a SEQUENCE; nothing where it is none.
DerReader within(DerReader& reader) { return DerReader(reader.next(der::kSequence).value_or(ByteView())); }

/// For the fields of a SubjectPublicKeyInfo.
OSSL_LIB_CTX* library_for(DerReader fields) {
  DerReader algorithm = within(fields);
  // RFC 3279 2.3.1: rsaEncryption.
  static constexpr std::array<std::uint8_t, 9> kRsaEncryption{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
  const bool rsa = equal(algorithm.next(der::kObjectIdentifier).value_or(ByteView()), kRsaEncryption);
  return rsa ? rsa_certificate_library() : certificate_library();
}

}  // namespace

OSSL_LIB_CTX* certificate_library() { return the_library().context; }
OSSL_LIB_CTX* rsa_certificate_library() { return the_library().rsa_context; }

OSSL_LIB_CTX* library_for_key(ByteView spki) {
  DerReader outer(spki);
  return library_for(within(outer));
}

OSSL_LIB_CTX* library_for_certificate(ByteView der) {
  // RFC 5280 4.1: version, serial number, signature, issuer, validity and subject stand in front of the key.
  constexpr std::uint8_t kVersion = 0xa0;
  DerReader outer(der);
  DerReader certificate = within(outer);
  DerReader fields = within(certificate);
  const auto first = fields.next();
  for (int i = first && first->tag == kVersion ? 0 : 1; i < 5; ++i) (void)fields.next();
  return library_for(within(fields));
}

}  // namespace culvert::crypto::openssl
