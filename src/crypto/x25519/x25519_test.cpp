#include "crypto/x25519/x25519.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "base/random.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/x25519/field.hpp"

namespace culvert::crypto::x25519 {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

Bytes public_of(ByteView scalar) {
  Bytes out(kSize);
  public_value(scalar, out);
  return out;
}

Bytes shared_of(ByteView scalar, ByteView peer) {
  Bytes out(kSize);
  shared_secret(scalar, peer, out);
  return out;
}

Bytes base_point() {
  Bytes nine(kSize);
  nine[0] = 9;
  return nine;
}

/// Of OpenSSL's.
Bytes library_public_of(ByteView scalar) {
  const openssl::PublicKey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, scalar.data(), scalar.size()));
  Bytes out(kSize);
  std::size_t size = out.size();
  EXPECT_EQ(EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size), 1);
  return out;
}

// RFC 7748 5.2: the output becomes the scalar, the scalar the next point.
TEST(X25519Own, AThousandTimesAsPublished) {
  Bytes scalar = base_point();
  Bytes point = base_point();
  for (int i = 0; i < 1000; ++i) {
    Bytes out = shared_of(scalar, point);
    point = std::exchange(scalar, std::move(out));
    if (i > 0) continue;
    EXPECT_EQ(to_hex(scalar), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
  }
  EXPECT_EQ(to_hex(scalar), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

// The table and the ladder are two ways to one value; OpenSSL has a third.
TEST(X25519Own, ThePublicValueIsTheBasePointTimesTheScalar) {
  SeededRandom random(7);
  std::vector<Bytes> scalars;
  // Digits of one kind, where carries run from end to end.
  for (const unsigned octet :
       {0x00U, 0x01U, 0x07U, 0x08U, 0x0fU, 0x70U, 0x77U, 0x78U, 0x7fU, 0x80U, 0x87U, 0x88U, 0x8fU, 0xf0U, 0xf7U, 0xffU})
    scalars.emplace_back(kSize, static_cast<std::uint8_t>(octet));
  for (int i = 0; i < 2000; ++i) random.fill(scalars.emplace_back(kSize));
  for (const Bytes& scalar : scalars) {
    const Bytes value = public_of(scalar);
    ASSERT_EQ(to_hex(value), to_hex(shared_of(scalar, base_point()))) << to_hex(scalar);
    ASSERT_EQ(to_hex(value), to_hex(library_public_of(scalar))) << to_hex(scalar);
  }
}

// RFC 7748 5: values from the prime on are those without it, and the highest bit means nothing.
TEST(X25519Own, ValuesBeyondThePrimeAreTakenModuloIt) {
  SeededRandom random(8);
  Bytes scalar(kSize);
  random.fill(scalar);
  for (std::uint8_t above = 0; above < 19; ++above) {
    Bytes small(kSize);
    small[0] = above;
    Bytes large(kSize, 0xff);
    large[0] = static_cast<std::uint8_t>(0xed + above);
    large[kSize - 1] = 0x7f;
    EXPECT_EQ(shared_of(scalar, large), shared_of(scalar, small)) << int{above};
    large[kSize - 1] = 0xff;
    EXPECT_EQ(shared_of(scalar, large), shared_of(scalar, small)) << int{above};
  }
}

// Limbs as large as the formulas may make them.
TEST(X25519Own, TheFieldAtItsBounds) {
  const Bytes prime = hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
  const auto octets_of = [](const Field& a) {
    Bytes out(kSize);
    write_field(a, out);
    return to_hex(out);
  };
  EXPECT_EQ(octets_of(read_field(prime)), std::string(64, '0'));
  Field large;
  large.limb.fill((std::uint64_t{1} << 54) - 1);
  // The same number, with limbs as small as they come.
  const Field small = multiply(large, 1);
  EXPECT_EQ(octets_of(multiply(large, large)), octets_of(square(small)));
  EXPECT_EQ(octets_of(square(large)), octets_of(multiply(small, small)));
  EXPECT_EQ(octets_of(multiply(large, invert(small))), octets_of(number(1)));
  EXPECT_EQ(octets_of(subtract(number(3), number(3))), std::string(64, '0'));
}

}  // namespace
}  // namespace culvert::crypto::x25519
