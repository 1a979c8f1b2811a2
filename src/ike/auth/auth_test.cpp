#include <gtest/gtest.h>

#include "ike/auth/cookie.hpp"
#include "ike/auth/nat_detection.hpp"
#include "ike/auth/shared_key.hpp"

namespace culvert::ike::auth {
namespace {

using crypto::HashId;

// RFC 7296 2.15: message | nonce of the other | prf(SK_p, RestOfID).
TEST(SharedKey, SignedOctets) {
  const Bytes message{1, 2, 3}, nonce{4, 5}, sk_p(32, 6), id{1, 0, 0, 0, 10, 0, 0, 1};
  const Bytes octets = signed_octets(HashId::sha2_256, message, nonce, sk_p, id);
  EXPECT_EQ(octets, concat({message, nonce, crypto::hmac(HashId::sha2_256, sk_p, {id}).view()}));
}

// RFC 7296 2.15: prf(prf(secret, "Key Pad for IKEv2"), octets), the pad without terminator.
TEST(SharedKey, Mac) {
  const Bytes secret{'s', 'e', 'c', 'r', 'e', 't'}, octets(100, 1);
  const Bytes pad = from_hex("4b65792050616420666f7220494b457632").value();
  const SecretBytes inner = crypto::hmac(HashId::sha2_512, secret, {pad});
  const SecretBytes expected = crypto::hmac(HashId::sha2_512, inner.view(), {octets});
  const SecretBytes mac = shared_key_mac(HashId::sha2_512, secret, octets);
  EXPECT_EQ(to_hex(mac.view()), to_hex(expected.view()));
  EXPECT_TRUE(auth_matches(mac, expected.view()));
  EXPECT_FALSE(auth_matches(mac, expected.view().first(63)));
  EXPECT_FALSE(auth_matches(mac, shared_key_mac(HashId::sha2_512, pad, octets).view()));
  EXPECT_FALSE(auth_matches(SecretBytes{}, {}));
}

// RFC 7296 2.23: SHA-1 of the SPIs in the order of the header, the address, the port.
TEST(NatDetection, CoversSpisAddressAndPort) {
  const model::IkeSpi spi_i(1), spi_r(2);
  const net::Endpoint v4{net::IpAddress::v4({10, 0, 0, 1}), 500};
  const Bytes digest = nat_detection_digest(spi_i, spi_r, v4);
  const Bytes octets = from_hex("000000000000000100000000000000020a00000101f4").value();
  EXPECT_EQ(digest, crypto::hash(HashId::sha1, {octets}));
  EXPECT_NE(digest, nat_detection_digest(spi_r, spi_i, v4));
  EXPECT_NE(digest, nat_detection_digest(spi_i, spi_r, {v4.address, 4500}));
  const net::Endpoint v6{net::IpAddress::parse("2001:db8::1").value(), 500};
  EXPECT_EQ(nat_detection_digest(spi_i, spi_r, v6).size(), 20U);
}

// RFC 7296 2.6.
TEST(Cookie, BoundToWhatTheInitiatorSent) {
  SeededRandom random(1);
  const CookieMint mint(random);
  const Bytes nonce(32, 1), other_nonce(32, 2);
  const net::Endpoint initiator{net::IpAddress::v4({192, 0, 2, 1}), 500};
  const Bytes cookie = mint.make(nonce, initiator, model::IkeSpi(1));
  EXPECT_GE(cookie.size(), 1U);
  EXPECT_LE(cookie.size(), 64U);
  EXPECT_TRUE(mint.check(cookie, nonce, initiator, model::IkeSpi(1)));
  EXPECT_FALSE(mint.check(cookie, other_nonce, initiator, model::IkeSpi(1)));
  EXPECT_FALSE(mint.check(cookie, nonce, {initiator.address, 501}, model::IkeSpi(1)));
  EXPECT_FALSE(mint.check(cookie, nonce, {net::IpAddress::v4({192, 0, 2, 2}), 500}, model::IkeSpi(1)));
  EXPECT_FALSE(mint.check(cookie, nonce, initiator, model::IkeSpi(2)));
  EXPECT_FALSE(mint.check(ByteView(cookie).first(cookie.size() - 1), nonce, initiator, model::IkeSpi(1)));
  EXPECT_FALSE(mint.check({}, nonce, initiator, model::IkeSpi(1)));
  for (std::size_t at = 0; at < cookie.size(); ++at) {
    Bytes changed = cookie;
    changed[at] ^= 1;
    EXPECT_FALSE(mint.check(changed, nonce, initiator, model::IkeSpi(1)));
  }
}

// RFC 7296 2.6: a cookie made shortly before the secret changed is still taken.
TEST(Cookie, OutlivesOneChangeOfTheSecret) {
  SeededRandom random(1);
  CookieMint mint(random);
  const Bytes nonce(32, 1);
  const net::Endpoint initiator{net::IpAddress::v4({192, 0, 2, 1}), 500};
  const Bytes cookie = mint.make(nonce, initiator, model::IkeSpi(1));
  mint.change_secret();
  EXPECT_TRUE(mint.check(cookie, nonce, initiator, model::IkeSpi(1)));
  EXPECT_NE(mint.make(nonce, initiator, model::IkeSpi(1)), cookie);
  EXPECT_TRUE(mint.check(mint.make(nonce, initiator, model::IkeSpi(1)), nonce, initiator, model::IkeSpi(1)));
  mint.change_secret();
  EXPECT_FALSE(mint.check(cookie, nonce, initiator, model::IkeSpi(1)));
}

}  // namespace
}  // namespace culvert::ike::auth
