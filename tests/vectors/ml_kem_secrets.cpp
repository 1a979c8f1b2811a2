// What ML-KEM does with secrets, for valgrind's memcheck: they are marked as octets without a value, and memcheck tells
// of each branch and each address that depends on such an octet. `branch` adds a branch of that kind, which has to be
// told of.
//
// Exit status 77: built without valgrind's header.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "crypto/ml_kem.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(at, size) (static_cast<void>(at), static_cast<void>(size))
#define VALGRIND_MAKE_MEM_DEFINED(at, size) (static_cast<void>(at), static_cast<void>(size))
#define CULVERT_NO_MEMCHECK
#endif

namespace culvert::crypto {
namespace {

Bytes seed(std::uint8_t first) {
  Bytes octets(ml_kem::kSeedSize);
  std::ranges::generate(octets, [&] { return first = static_cast<std::uint8_t>(first * 5 + 3); });
  return octets;
}

// False when one of the operations failed, which none may.
bool run(ml_kem::ParameterSet set, bool branch) {
  const ml_kem::KeyPair pair = ml_kem::generate(set, seed(1), seed(2));
  Bytes message = seed(3);
  VALGRIND_MAKE_MEM_UNDEFINED(message.data(), message.size());
  auto encapsulated = ml_kem::encapsulate(set, pair.encapsulation_key, message);
  if (!encapsulated) return false;
  // Everybody sees it.
  VALGRIND_MAKE_MEM_DEFINED(encapsulated->ciphertext.data(), encapsulated->ciphertext.size());

  // FIPS 203 7.1: the vector s, the encapsulation key, its hash, and z; the first and the last are secret.
  Bytes key = to_bytes(pair.decapsulation_key.view());
  constexpr std::size_t kHash = 32;
  const std::size_t vector = key.size() - ml_kem::encapsulation_key_size(set) - kHash - ml_kem::kSeedSize;
  VALGRIND_MAKE_MEM_UNDEFINED(key.data(), vector);
  VALGRIND_MAKE_MEM_UNDEFINED(key.data() + key.size() - ml_kem::kSeedSize, ml_kem::kSeedSize);
  if (branch && key[0] == 0) std::puts("the first octet is zero");

  Bytes forged = encapsulated->ciphertext;
  forged[forged.size() / 2] ^= 1;
  return ml_kem::decapsulate(set, key, encapsulated->ciphertext).has_value() &&
         ml_kem::decapsulate(set, key, forged).has_value();
}

}  // namespace
}  // namespace culvert::crypto

int main(int count, char** arguments) {
#ifdef CULVERT_NO_MEMCHECK
  (void)count, (void)arguments;
  return 77;
#else
  using culvert::crypto::ml_kem::ParameterSet;
  const bool branch = count > 1 && std::strcmp(arguments[1], "branch") == 0;
  for (const ParameterSet set : {ParameterSet::ml_kem_512, ParameterSet::ml_kem_768, ParameterSet::ml_kem_1024}) {
    if (!culvert::crypto::run(set, branch)) return 1;
  }
  return 0;
#endif
}
