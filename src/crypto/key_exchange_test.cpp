#include "crypto/key_exchange.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::crypto {
namespace {

constexpr KeyExchangeId kAll[] = {KeyExchangeId::x25519,           KeyExchangeId::ecp_256,
                                  KeyExchangeId::ecp_384,          KeyExchangeId::ecp_521,
                                  KeyExchangeId::brainpool_p256r1, KeyExchangeId::brainpool_p384r1,
                                  KeyExchangeId::brainpool_p512r1, KeyExchangeId::x448,
                                  KeyExchangeId::modp_1024,        KeyExchangeId::modp_1536,
                                  KeyExchangeId::modp_2048,        KeyExchangeId::modp_3072,
                                  KeyExchangeId::modp_4096,        KeyExchangeId::modp_6144,
                                  KeyExchangeId::modp_8192};

Bytes hex(std::string_view text) { return from_hex(text).value(); }
std::unique_ptr<KeyExchange> from_private(KeyExchangeId id, ByteView private_value) {
  auto made = make_key_exchange_from_private(id, private_value);
  EXPECT_TRUE(made);
  return std::move(*made);
}
std::string shared_hex(KeyExchange& mine, ByteView peer) {
  const auto secret = mine.derive(peer);
  return secret ? to_hex(secret->view()) : to_string(secret.error());
}

// RFC 2409 6.2, RFC 3526 2, 3 and 4.
const Bytes kPrime1024 = hex(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece65381ffffffffffffffff");
const Bytes kPrime1536 = hex(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d"
    "670c354e4abc9804f1746c08ca237327ffffffffffffffff");
const Bytes kPrime2048 = hex(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d"
    "670c354e4abc9804f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
    "3995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff");
const Bytes kPrime3072 = hex(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d"
    "670c354e4abc9804f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
    "3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7d"
    "b3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c"
    "bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff");

TEST(KeyExchange, BothSidesAgree) {
  SeededRandom random(1);
  for (const KeyExchangeId id : kAll) {
    for (int i = 0; i < 5; ++i) {
      const auto a = make_key_exchange(id, random).value();
      const auto b = make_key_exchange(id, random).value();
      ASSERT_EQ(a->public_value().size(), public_value_size(id));
      ASSERT_FALSE(equal(a->public_value(), b->public_value()));
      const auto ab = a->derive(b->public_value());
      const auto ba = b->derive(a->public_value());
      ASSERT_TRUE(ab && ba);
      EXPECT_EQ(to_hex(ab->view()), to_hex(ba->view()));
    }
  }
}

struct Known {
  KeyExchangeId id;
  std::string_view private_a, public_a, private_b, public_b, shared;
};

// RFC 7027 A.1 to A.3, and RFC 7748 6.2.
TEST(KeyExchange, BrainpoolAndX448AsPublished) {
  for (const Known& one :
       {Known{KeyExchangeId::brainpool_p256r1, "81db1ee100150ff2ea338d708271be38300cb54241d79950f77b063039804f1d",
              "44106e913f92bc02a1705d9953a8414db95e1aaa49e81d9e85f929a8e3100be5"
              "8ab4846f11caccb73ce49cbdd120f5a900a69fd32c272223f789ef10eb089bdc",
              "55e40bc41e37e3e2ad25c3c6654511ffa8474a91a0032087593852d3e7d76bd3",
              "8d2d688c6cf93e1160ad04cc4429117dc2c41825e1e9fca0addd34e6f1b39f7b"
              "990c57520812be512641e47034832106bc7d3e8dd0e4c7f1136d7006547cec6a",
              "89afc39d41d3b327814b80940b042590f96556ec91e6ae7939bce31f3a18bf2b"},
        Known{KeyExchangeId::brainpool_p384r1,
              "1e20f5e048a5886f1f157c74e91bde2b98c8b52d58e5003d57053fc4b0bd65d6f15eb5d1ee1610df870795143627d042",
              "68b665dd91c195800650cdd363c625f4e742e8134667b767b1b476793588f885ab698c852d4a6e77a252d6380fcaf068"
              "55bc91a39c9ec01dee36017b7d673a931236d2f1f5c83942d049e3fa20607493e0d038ff2fd30c2ab67d15c85f7faa59",
              "032640bc6003c59260f7250c3db58ce647f98e1260acce4acda3dd869f74e01f8ba5e0324309db6a9831497abac96670",
              "4d44326f269a597a5b58bba565da5556ed7fd9a8a9eb76c25f46db69d19dc8ce6ad18e404b15738b2086df37e71d1eb4"
              "62d692136de56cbe93bf5fa3188ef58bc8a3a0ec6c1e151a21038a42e9185329b5b275903d192f8d4e1f32fe9cc78c48",
              "0bd9d3a7ea0b3d519d09d8e48d0785fb744a6b355e6304bc51c229fbbce239bbadf6403715c35d4fb2a5444f575d4f42"},
        Known{KeyExchangeId::brainpool_p512r1,
              "16302ff0dbbb5a8d733dab7141c1b45acbc8715939677f6a56850a38bd87bd59"
              "b09e80279609ff333eb9d4c061231fb26f92eeb04982a5f1d1764cad57665422",
              "0a420517e406aac0acdce90fcd71487718d3b953efd7fbec5f7f27e28c614999"
              "9397e91e029e06457db2d3e640668b392c2a7e737a7f0bf04436d11640fd09fd"
              "72e6882e8db28aad36237cd25d580db23783961c8dc52dfa2ec138ad472a0fce"
              "f3887cf62b623b2a87de5c588301ea3e5fc269b373b60724f5e82a6ad147fde7",
              "230e18e1bcc88a362fa54e4ea3902009292f7f8033624fd471b5d8ace49d12cf"
              "abbc19963dab8e2f1eba00bffb29e4d72d13f2224562f405cb80503666b25429",
              "9d45f66de5d67e2e6db6e93a59ce0bb48106097ff78a081de781cdb31fce8ccb"
              "aaea8dd4320c4119f1e9cd437a2eab3731fa9668ab268d871deda55a5473199f"
              "2fdc313095bcdd5fb3a91636f07a959c8e86b5636a1e930e8396049cb481961d"
              "365cc11453a06c719835475b12cb52fc3c383bce35e27ef194512b71876285fa",
              "a7927098655f1f9976fa50a9d566865dc530331846381c87256baf3226244b76"
              "d36403c024d7bbf0aa0803eaff405d3d24f11a9b5c0bef679fe1454b21c4cd1f"},
        Known{KeyExchangeId::x448,
              "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
              "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
              "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c"
              "22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
              "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d"
              "6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d",
              "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"
              "27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
              "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"
              "b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"}}) {
    const auto a = from_private(one.id, hex(one.private_a));
    const auto b = from_private(one.id, hex(one.private_b));
    EXPECT_EQ(to_hex(a->public_value()), one.public_a);
    EXPECT_EQ(to_hex(b->public_value()), one.public_b);
    EXPECT_EQ(shared_hex(*a, b->public_value()), one.shared);
    EXPECT_EQ(shared_hex(*b, a->public_value()), one.shared);
  }
}

// RFC 6989 2.3, RFC 8031 5.
TEST(KeyExchange, PointsThatAreNoneAreRefusedOnEveryCurve) {
  SeededRandom random(3);
  for (const KeyExchangeId id :
       {KeyExchangeId::ecp_521, KeyExchangeId::brainpool_p256r1, KeyExchangeId::brainpool_p384r1,
        KeyExchangeId::brainpool_p512r1, KeyExchangeId::x448}) {
    const auto mine = make_key_exchange(id, random).value();
    const std::size_t size = public_value_size(id);
    EXPECT_FALSE(mine->derive(Bytes(size)));
    EXPECT_FALSE(mine->derive(Bytes(size - 1, 1)));
    EXPECT_FALSE(mine->derive(Bytes(size + 1, 1)));
    if (id == KeyExchangeId::x448) continue;
    EXPECT_FALSE(mine->derive(Bytes(size, 0xff)));
    Bytes beside = to_bytes(make_key_exchange(id, random).value()->public_value());
    beside.back() ^= 1;
    EXPECT_FALSE(mine->derive(beside));
  }
}

TEST(KeyExchange, TheSameRandomSourceGivesTheSameValues) {
  for (const KeyExchangeId id : kAll) {
    SeededRandom one(7);
    SeededRandom two(7);
    EXPECT_TRUE(
        equal(make_key_exchange(id, one).value()->public_value(), make_key_exchange(id, two).value()->public_value()));
  }
}

TEST(KeyExchange, WrongLengthsAreRefused) {
  SeededRandom random(2);
  for (const KeyExchangeId id : kAll) {
    const auto mine = make_key_exchange(id, random).value();
    const Bytes peer = to_bytes(make_key_exchange(id, random).value()->public_value());
    Bytes longer = peer;
    longer.push_back(0);
    EXPECT_EQ(mine->derive(ByteView(peer).first(peer.size() - 1)).error(), CryptoError::bad_public_value);
    EXPECT_EQ(mine->derive(longer).error(), CryptoError::bad_public_value);
    EXPECT_EQ(mine->derive({}).error(), CryptoError::bad_public_value);
    EXPECT_TRUE(mine->derive(peer)) << "a refused value must leave the key pair usable";
  }
}

// RFC 7748 5.2 and 6.1.
TEST(X25519, Rfc7748) {
  const auto first =
      from_private(KeyExchangeId::x25519, hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"));
  EXPECT_EQ(shared_hex(*first, hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  const auto alice =
      from_private(KeyExchangeId::x25519, hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const auto bob =
      from_private(KeyExchangeId::x25519, hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  EXPECT_EQ(to_hex(alice->public_value()), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(to_hex(bob->public_value()), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  EXPECT_EQ(shared_hex(*alice, bob->public_value()),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  EXPECT_EQ(shared_hex(*bob, alice->public_value()),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

// RFC 8031 5: a public value of small order gives zeros and is refused.
TEST(X25519, SmallOrderIsRefused) {
  SeededRandom random(3);
  const auto mine = make_key_exchange(KeyExchangeId::x25519, random).value();
  for (const char* peer : {"0000000000000000000000000000000000000000000000000000000000000000",
                           "0100000000000000000000000000000000000000000000000000000000000000",
                           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    EXPECT_EQ(mine->derive(hex(peer)).error(), CryptoError::bad_public_value) << peer;
  }
}

// RFC 5903 8.1
TEST(Ecp, Rfc5903Group19) {
  const auto initiator =
      from_private(KeyExchangeId::ecp_256, hex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433"));
  const auto responder =
      from_private(KeyExchangeId::ecp_256, hex("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53"));
  EXPECT_EQ(to_hex(initiator->public_value()),
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
            "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3");
  EXPECT_EQ(to_hex(responder->public_value()),
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab");
  const std::string girx = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";
  EXPECT_EQ(shared_hex(*initiator, responder->public_value()), girx);
  EXPECT_EQ(shared_hex(*responder, initiator->public_value()), girx);
}

// RFC 5903 8.2
TEST(Ecp, Rfc5903Group20) {
  const auto initiator = from_private(
      KeyExchangeId::ecp_384,
      hex("099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194"));
  const auto responder = from_private(
      KeyExchangeId::ecp_384,
      hex("41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc"));
  EXPECT_EQ(to_hex(initiator->public_value()),
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa"
            "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c");
  EXPECT_EQ(to_hex(responder->public_value()),
            "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571"
            "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c");
  const std::string girx =
      "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746";
  EXPECT_EQ(shared_hex(*initiator, responder->public_value()), girx);
  EXPECT_EQ(shared_hex(*responder, initiator->public_value()), girx);
}

// RFC 6989 2.3: a point off the curve, or with a coordinate that is not below the prime, is refused.
TEST(Ecp, BadPointsAreRefused) {
  SeededRandom random(4);
  for (const KeyExchangeId id : {KeyExchangeId::ecp_256, KeyExchangeId::ecp_384}) {
    const auto mine = make_key_exchange(id, random).value();
    const Bytes good = to_bytes(make_key_exchange(id, random).value()->public_value());
    ASSERT_TRUE(mine->derive(good));
    for (const std::size_t at : {std::size_t{0}, good.size() / 2 - 1, good.size() / 2, good.size() - 1}) {
      Bytes bad = good;
      bad[at] ^= 1;
      EXPECT_EQ(mine->derive(bad).error(), CryptoError::bad_public_value) << at;
    }
    EXPECT_EQ(mine->derive(Bytes(good.size(), 0)).error(), CryptoError::bad_public_value);
    EXPECT_EQ(mine->derive(Bytes(good.size(), 0xff)).error(), CryptoError::bad_public_value);
  }
  // A point whose x is 5 is on P-256; the same point with x + p still fits 32 octets and must not be taken for it.
  const auto mine = make_key_exchange(KeyExchangeId::ecp_256, random).value();
  const std::string y = "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc";
  const std::string x = "0000000000000000000000000000000000000000000000000000000000000005";
  const std::string x_plus_p = "ffffffff00000001000000000000000000000001000000000000000000000004";
  EXPECT_TRUE(mine->derive(hex(x + y)));
  EXPECT_EQ(mine->derive(hex(x_plus_p + y)).error(), CryptoError::bad_public_value);
}

TEST(Ecp, PrivateValuesOutsideTheOrderAreRefused) {
  const Bytes order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  EXPECT_FALSE(make_key_exchange_from_private(KeyExchangeId::ecp_256, order));
  EXPECT_FALSE(make_key_exchange_from_private(KeyExchangeId::ecp_256, Bytes(32, 0)));
  Bytes largest = order;
  --largest.back();
  EXPECT_TRUE(make_key_exchange_from_private(KeyExchangeId::ecp_256, largest));
}

/// (p + 1) / 2, which is the inverse of 2: p is odd, so its half is a shift, and the carry makes up for the lost bit.
Bytes inverse_of_two(const Bytes& prime) {
  Bytes result(prime.size());
  for (std::size_t i = 0; i < prime.size(); ++i) {
    result[i] = static_cast<std::uint8_t>((prime[i] >> 1) | (i > 0 ? prime[i - 1] << 7 : 0));
  }
  for (std::size_t i = result.size(); i-- > 0 && ++result[i] == 0;) {
  }
  return result;
}

// Fermat: 2^(p-2) is the inverse of 2 modulo p, and of no other modulus of that size. So this proves prime and
// generator.
TEST(Modp, GroupsAreThoseOfRfc3526) {
  for (const auto& [id, prime] :
       {std::pair(KeyExchangeId::modp_1024, kPrime1024), std::pair(KeyExchangeId::modp_1536, kPrime1536),
        std::pair(KeyExchangeId::modp_2048, kPrime2048), std::pair(KeyExchangeId::modp_3072, kPrime3072)}) {
    ASSERT_EQ(prime.size(), public_value_size(id));
    Bytes exponent = prime;
    exponent.back() = static_cast<std::uint8_t>(exponent.back() - 2);
    EXPECT_EQ(to_hex(from_private(id, exponent)->public_value()), to_hex(inverse_of_two(prime)));
    // RFC 7296 2.14: small values are padded in front.
    EXPECT_EQ(to_hex(from_private(id, hex("01"))->public_value()), std::string(2 * prime.size() - 2, '0') + "02");
    EXPECT_EQ(shared_hex(*from_private(id, hex("03")), from_private(id, hex("02"))->public_value()),
              std::string(2 * prime.size() - 2, '0') + "40");
  }
}

// RFC 6989 2.1: 1 < value < p - 1.
TEST(Modp, ValuesOutOfRangeAreRefused) {
  SeededRandom random(5);
  for (const auto& [id, prime] :
       {std::pair(KeyExchangeId::modp_1024, kPrime1024), std::pair(KeyExchangeId::modp_1536, kPrime1536),
        std::pair(KeyExchangeId::modp_2048, kPrime2048), std::pair(KeyExchangeId::modp_3072, kPrime3072)}) {
    const auto mine = make_key_exchange(id, random).value();
    const auto small = [&](std::uint8_t value) {
      Bytes out(prime.size());
      out.back() = value;
      return out;
    };
    const auto near_prime = [&](int difference) {
      Bytes out = prime;
      EXPECT_EQ(out.back(), 0xff);
      out.back() = static_cast<std::uint8_t>(out.back() + difference);
      return out;
    };
    EXPECT_FALSE(mine->derive(small(0)));
    EXPECT_FALSE(mine->derive(small(1)));
    EXPECT_TRUE(mine->derive(small(2)));
    EXPECT_TRUE(mine->derive(near_prime(-2)));
    EXPECT_FALSE(mine->derive(near_prime(-1)));
    EXPECT_FALSE(mine->derive(prime));
    EXPECT_FALSE(mine->derive(Bytes(prime.size(), 0xff)));
  }
}

}  // namespace
}  // namespace culvert::crypto
