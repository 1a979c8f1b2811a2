// Keccak against OpenSSL's SHA3 and SHAKE, at every length around the rates and in every portion.
#include "crypto/keccak.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "base/random.hpp"

namespace culvert::crypto {
namespace {

using Function = Keccak::Function;

Bytes by_openssl(const char* name, ByteView input, std::size_t size) {
  Bytes out(size);
  EVP_MD* const digest = EVP_MD_fetch(nullptr, name, nullptr);
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  const bool xof = std::string_view(name).starts_with("SHAKE");
  EXPECT_EQ(EVP_DigestInit_ex(context, digest, nullptr), 1);
  EXPECT_EQ(EVP_DigestUpdate(context, input.data(), input.size()), 1);
  EXPECT_EQ(xof ? EVP_DigestFinalXOF(context, out.data(), size) : EVP_DigestFinal_ex(context, out.data(), nullptr), 1);
  EVP_MD_CTX_free(context);
  EVP_MD_free(digest);
  return out;
}

struct Case {
  Function function;
  const char* name;
  std::size_t output;
};

TEST(Keccak, AgreesWithOpenSsl) {
  SeededRandom random(1);
  for (const Case& one : {Case{Function::sha3_256, "SHA3-256", 32}, Case{Function::sha3_512, "SHA3-512", 64},
                          Case{Function::shake_128, "SHAKE128", 700}, Case{Function::shake_256, "SHAKE256", 700}}) {
    for (std::size_t size = 0; size < 420; ++size) {
      Bytes input(size);
      random.fill(input);
      Bytes output(one.output);
      keccak(one.function, {input}, output);
      ASSERT_EQ(to_hex(output), to_hex(by_openssl(one.name, input, one.output))) << one.name << " of " << size;
    }
  }
}

TEST(Keccak, PortionsDoNotMatter) {
  SeededRandom random(2);
  Bytes input(1000);
  random.fill(input);
  Bytes whole(1000);
  keccak(Function::shake_128, {input}, whole);
  for (int round = 0; round < 50; ++round) {
    Keccak sponge(Function::shake_128);
    for (std::size_t at = 0; at < input.size();) {
      const std::size_t size = std::min<std::size_t>(random.below(300), input.size() - at);
      sponge.absorb(ByteView(input).subspan(at, size));
      at += size;
    }
    Bytes out(whole.size());
    for (std::size_t at = 0; at < out.size();) {
      const std::size_t size = std::min<std::size_t>(random.below(300), out.size() - at);
      sponge.squeeze(MutableByteView(out).subspan(at, size));
      at += size;
    }
    ASSERT_EQ(out, whole);
  }
}

}  // namespace
}  // namespace culvert::crypto
