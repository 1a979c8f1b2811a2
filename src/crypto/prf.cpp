#include "crypto/prf.hpp"

#include <algorithm>
#include <array>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/check.hpp"
#include "crypto/available.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/hmac_context.hpp"
#include "crypto/openssl/packet_mac.hpp"

namespace culvert::crypto {
namespace {

const char* name_of(HashId id) {
  switch (id) {
    case HashId::sha1: return "SHA1";
    case HashId::sha2_256: return "SHA2-256";
    case HashId::sha2_384: return "SHA2-384";
    case HashId::sha2_512: return "SHA2-512";
    case HashId::md5: return "MD5";
  }
  return nullptr;
}

/// What the library looks up by name, fetched once. Only read afterwards; the library counts references atomically.
struct FetchedHash {
  EVP_MD* digest = nullptr;
  EVP_MAC_CTX* hmac = nullptr;  // knows its digest, has no key
  bool permitted = false;       // also where the machine's policy (FIPS) decides

  explicit FetchedHash(HashId id) : permitted(fetch(id, nullptr)) {
    // RADIUS and EAP have MD5 where it protects nothing any more: those read on, what has a choice asks is_available().
    if (!permitted) fetch(id, "-fips");
  }

 private:
  bool fetch(HashId id, const char* properties) {
    openssl::Mac mac(EVP_MAC_fetch(nullptr, "HMAC", properties));
    EVP_MD* const fresh = mac ? EVP_MD_fetch(nullptr, name_of(id), properties) : nullptr;
    if (fresh == nullptr) return false;
    std::string name = name_of(id);
    std::string wanted = properties == nullptr ? "" : properties;
    const std::array parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_PROPERTIES, wanted.data(), 0),
                                OSSL_PARAM_construct_end()};
    EVP_MAC_CTX* const context = EVP_MAC_CTX_new(mac.get());
    CHECK(context != nullptr);
    if (EVP_MAC_CTX_set_params(context, parameters.data()) != 1) {
      EVP_MAC_CTX_free(context);
      EVP_MD_free(fresh);
      return false;
    }
    digest = fresh;
    hmac = context;
    return true;
  }
};

const FetchedHash& fetched(HashId id) {
  static const std::array kAll{FetchedHash(HashId::sha1), FetchedHash(HashId::sha2_256), FetchedHash(HashId::sha2_384),
                               FetchedHash(HashId::sha2_512), FetchedHash(HashId::md5)};
  return kAll[static_cast<std::size_t>(id)];
}

}  // namespace

std::size_t hash_size(HashId id) {
  switch (id) {
    case HashId::sha1: return 20;
    case HashId::sha2_256: return 32;
    case HashId::sha2_384: return 48;
    case HashId::sha2_512: return 64;
    case HashId::md5: return 16;
  }
  return 0;
}

bool is_available(HashId id) { return fetched(id).permitted; }

bool is_available(const Prf& prf) {
  for (const HashId id : {HashId::sha1, HashId::sha2_256, HashId::sha2_384, HashId::sha2_512, HashId::md5}) {
    if (prf == Prf(id)) return is_available(id);
  }
  const IntegrityId mac = prf == Prf::aes128_xcbc() ? IntegrityId::aes_xcbc_96 : IntegrityId::aes_cmac_96;
  return openssl::make_packet_mac(mac, Bytes(prf.size())).has_value();
}

Bytes hash(HashId id, std::initializer_list<ByteView> parts) {
  const openssl::MdCtx context(EVP_MD_CTX_new());
  CHECK(context != nullptr && EVP_DigestInit_ex2(context.get(), fetched(id).digest, nullptr) == 1);
  for (const ByteView part : parts) CHECK(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  Bytes digest(hash_size(id));
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1 && size == digest.size());
  return digest;
}

SecretBytes hmac(HashId id, ByteView key, std::initializer_list<ByteView> parts) {
  const openssl::MacCtx context = openssl::keyed_hmac(id, key);
  for (const ByteView part : parts) CHECK(EVP_MAC_update(context.get(), part.data(), part.size()) == 1);
  SecretBytes mac(hash_size(id));
  std::size_t size = 0;
  CHECK(EVP_MAC_final(context.get(), mac.mutable_view().data(), &size, mac.size()) == 1 && size == mac.size());
  return mac;
}

std::size_t Prf::size() const {
  constexpr std::size_t kBlock = 16;
  return is_hmac() ? hash_size(hash_) : kBlock;
}

SecretBytes Prf::operator()(ByteView key, std::initializer_list<ByteView> parts) const {
  if (is_hmac()) return hmac(hash_, key, parts);
  const IntegrityId mac = kind_ == Kind::xcbc ? IntegrityId::aes_xcbc_96 : IntegrityId::aes_cmac_96;
  const auto compute = [&](ByteView under, std::initializer_list<ByteView> of) {
    auto made = openssl::make_packet_mac(mac, under);
    CHECK(made.has_value());
    SecretBytes out(size());
    (*made)->compute(of, out.mutable_view());
    return out;
  };
  if (key.size() == size()) return compute(key, parts);
  SecretBytes fitting(size());
  // RFC 4434 2: a shorter key is filled up with zeros. RFC 4615 3: there any other length is computed down.
  if (kind_ == Kind::xcbc && key.size() < size()) {
    std::ranges::copy(key, fitting.mutable_view().begin());
  } else {
    fitting = compute(Bytes(size()), {key});
  }
  return compute(fitting.view(), parts);
}

namespace openssl {

MacCtx keyed_hmac(HashId id, ByteView key) {
  static constexpr std::uint8_t kEmpty = 0;  // a null key would mean "keep the key"
  MacCtx context(EVP_MAC_CTX_dup(fetched(id).hmac));
  CHECK(context != nullptr);
  CHECK(EVP_MAC_init(context.get(), key.empty() ? &kEmpty : key.data(), key.size(), nullptr) == 1);
  return context;
}

}  // namespace openssl
}  // namespace culvert::crypto
