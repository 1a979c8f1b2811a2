#include "crypto/openssl/ml_kem.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/params.h>

namespace culvert::crypto::openssl {
namespace {

using ml_kem::ParameterSet;

const char* name_of(ParameterSet set) {
  switch (set) {
    case ParameterSet::ml_kem_512: return "ML-KEM-512";
    case ParameterSet::ml_kem_768: return "ML-KEM-768";
    case ParameterSet::ml_kem_1024: return "ML-KEM-1024";
  }
  return "";
}

bool look_up(ParameterSet set) {
  const ErrorQueueGuard guard;
  EVP_KEM* const kem = EVP_KEM_fetch(nullptr, name_of(set), nullptr);
  EVP_KEM_free(kem);
  return kem != nullptr;
}

// The library's parameters want octets that may be written; it does not write these.
OSSL_PARAM octets(const char* name, ByteView value) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(value.data()), value.size());
}

PublicKey import(ParameterSet set, int selection, OSSL_PARAM one) {
  const ErrorQueueGuard guard;
  const PublicKeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, name_of(set), nullptr));
  std::array<OSSL_PARAM, 2> parameters{one, OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, parameters.data()) != 1)
    return nullptr;
  return PublicKey(key);
}

PublicKeyCtx context_of(const PublicKey& key) {
  return PublicKeyCtx(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
}

}  // namespace

bool has_ml_kem(ParameterSet set) {
  static const std::array there{look_up(ParameterSet::ml_kem_512), look_up(ParameterSet::ml_kem_768),
                                look_up(ParameterSet::ml_kem_1024)};
  return there[static_cast<std::size_t>(set)];
}

Result<MlKemKey, CryptoError> MlKemKey::from_seeds(ParameterSet set, ByteView d, ByteView z) {
  const ErrorQueueGuard guard;
  SecretBytes seed(d.size() + z.size());
  std::ranges::copy(z, std::ranges::copy(d, seed.mutable_view().begin()).out);
  const PublicKeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, name_of(set), nullptr));
  std::array<OSSL_PARAM, 2> parameters{octets("seed", seed.view()), OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_params(context.get(), parameters.data()) != 1 || EVP_PKEY_generate(context.get(), &key) != 1)
    return err(CryptoError::backend_failure);
  return MlKemKey(set, PublicKey(key));
}

Result<MlKemKey, CryptoError> MlKemKey::from_decapsulation_key(ParameterSet set, ByteView key) {
  if (key.size() != ml_kem::decapsulation_key_size(set)) return err(CryptoError::bad_public_value);
  PublicKey made = import(set, EVP_PKEY_KEYPAIR, octets(OSSL_PKEY_PARAM_PRIV_KEY, key));
  if (!made) return err(CryptoError::bad_public_value);
  return MlKemKey(set, std::move(made));
}

Result<MlKemKey, CryptoError> MlKemKey::from_encapsulation_key(ParameterSet set, ByteView key) {
  if (key.size() != ml_kem::encapsulation_key_size(set)) return err(CryptoError::bad_public_value);
  PublicKey made = import(set, EVP_PKEY_PUBLIC_KEY, octets(OSSL_PKEY_PARAM_PUB_KEY, key));
  if (!made) return err(CryptoError::bad_public_value);
  return MlKemKey(set, std::move(made));
}

Result<Bytes, CryptoError> MlKemKey::encapsulation_key() const {
  const ErrorQueueGuard guard;
  Bytes out(ml_kem::encapsulation_key_size(set_));
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key_.get(), OSSL_PKEY_PARAM_PUB_KEY, out.data(), out.size(), &size) != 1 ||
      size != out.size())
    return err(CryptoError::backend_failure);
  return out;
}

Result<SecretBytes, CryptoError> MlKemKey::decapsulation_key() const {
  const ErrorQueueGuard guard;
  SecretBytes out(ml_kem::decapsulation_key_size(set_));
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key_.get(), OSSL_PKEY_PARAM_PRIV_KEY, out.mutable_view().data(), out.size(),
                                      &size) != 1 ||
      size != out.size())
    return err(CryptoError::backend_failure);
  return out;
}

Result<SecretBytes, CryptoError> MlKemKey::decapsulate(ByteView ciphertext) const {
  if (ciphertext.size() != ml_kem::ciphertext_size(set_)) return err(CryptoError::bad_public_value);
  const ErrorQueueGuard guard;
  const PublicKeyCtx context = context_of(key_);
  SecretBytes secret(ml_kem::kSharedSecretSize);
  std::size_t size = secret.size();
  if (!context || EVP_PKEY_decapsulate_init(context.get(), nullptr) != 1 ||
      EVP_PKEY_decapsulate(context.get(), secret.mutable_view().data(), &size, ciphertext.data(), ciphertext.size()) !=
          1 ||
      size != secret.size())
    return err(CryptoError::backend_failure);
  return secret;
}

Result<ml_kem::Encapsulated, CryptoError> MlKemKey::encapsulate(ByteView m) const {
  const ErrorQueueGuard guard;
  const PublicKeyCtx context = context_of(key_);
  std::array<OSSL_PARAM, 2> parameters{octets("ikme", m), OSSL_PARAM_construct_end()};
  ml_kem::Encapsulated made{.ciphertext = Bytes(ml_kem::ciphertext_size(set_)),
                            .shared_secret = SecretBytes(ml_kem::kSharedSecretSize)};
  std::size_t ciphertext = made.ciphertext.size();
  std::size_t secret = made.shared_secret.size();
  if (!context || EVP_PKEY_encapsulate_init(context.get(), parameters.data()) != 1 ||
      EVP_PKEY_encapsulate(context.get(), made.ciphertext.data(), &ciphertext, made.shared_secret.mutable_view().data(),
                           &secret) != 1 ||
      ciphertext != made.ciphertext.size() || secret != made.shared_secret.size())
    return err(CryptoError::backend_failure);
  return made;
}

}  // namespace culvert::crypto::openssl
