#include "crypto/packet_cipher.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "base/secret.hpp"
#include "crypto/prf.hpp"

namespace culvert::crypto {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

std::vector<PacketSuite> all_suites() {
  std::vector<PacketSuite> suites = {{CipherId::chacha20_poly1305, 256}, {CipherId::chacha20_poly1305_iiv, 256}};
  for (const CipherId cipher :
       {CipherId::aes_gcm_8, CipherId::aes_gcm_12, CipherId::aes_gcm_16, CipherId::aes_ccm_8, CipherId::aes_ccm_12,
        CipherId::aes_ccm_16, CipherId::null_aes_gmac, CipherId::aes_gcm_16_iiv, CipherId::aes_ccm_8_iiv}) {
    for (const unsigned bits : {128u, 192u, 256u}) suites.push_back({cipher, bits});
  }
  for (const IntegrityId integrity :
       {IntegrityId::hmac_sha2_256_128, IntegrityId::hmac_sha2_384_192, IntegrityId::hmac_sha2_512_256,
        IntegrityId::hmac_sha1_96, IntegrityId::hmac_md5_96, IntegrityId::aes_xcbc_96, IntegrityId::aes_cmac_96}) {
    for (const unsigned bits : {128u, 192u, 256u}) {
      suites.push_back({CipherId::aes_cbc, bits, integrity});
      suites.push_back({CipherId::aes_ctr, bits, integrity});
    }
    suites.push_back({CipherId::null, 0, integrity});
  }
  for (const unsigned bits : {128u, 192u, 256u}) {
    suites.push_back({CipherId::camellia_cbc, bits, IntegrityId::hmac_sha2_256_128});
    suites.push_back({CipherId::camellia_ctr, bits, IntegrityId::hmac_sha1_96});
  }
  suites.push_back({CipherId::triple_des_cbc, 192, IntegrityId::hmac_sha1_96});
  suites.push_back({CipherId::des_cbc, 64, IntegrityId::hmac_md5_96});
  for (const IntegrityId gmac : {IntegrityId::aes_128_gmac, IntegrityId::aes_192_gmac, IntegrityId::aes_256_gmac}) {
    suites.push_back({CipherId::null, 0, gmac});
  }
  return suites;
}

/// A printable name, for messages.
std::string name_of(const PacketSuite& suite) {
  return "cipher " + std::to_string(static_cast<int>(suite.cipher)) + " bits " + std::to_string(suite.key_bits) +
         " integrity " + std::to_string(static_cast<int>(suite.integrity));
}

bool has_backend(const PacketSuite& suite, Backend backend) {
  const SuiteSizes sizes = sizes_of(suite);
  return make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key), backend).has_value();
}

/// Those that serve the suite; OpenSSL always does.
std::vector<Backend> backends(const PacketSuite& suite) {
  std::vector<Backend> list = {Backend::openssl, Backend::automatic};
  for (const Backend backend : {Backend::ipsec_mb, Backend::own}) {
    if (has_backend(suite, backend)) list.push_back(backend);
  }
  return list;
}

HashId hash_of(IntegrityId id) {
  if (id == IntegrityId::hmac_sha2_384_192) return HashId::sha2_384;
  return id == IntegrityId::hmac_sha2_512_256 ? HashId::sha2_512 : HashId::sha2_256;
}

Bytes random_bytes(RandomSource& random, std::size_t size) {
  Bytes out(size);
  random.fill(out);
  return out;
}

struct Keys {
  Bytes encryption;
  Bytes integrity;

  Keys(RandomSource& random, const PacketSuite& suite)
      : encryption(random_bytes(random, sizes_of(suite).encryption_key)),
        integrity(random_bytes(random, sizes_of(suite).integrity_key)) {}
};

std::unique_ptr<PacketCipher> make(const PacketSuite& suite, const Keys& keys, Backend backend) {
  return make_packet_cipher(suite, keys.encryption, keys.integrity, backend).value();
}

/// A packet as ESP has it: additional data, IV, text, ICV without gaps, with room in front for a move.
struct Packet {
  Bytes memory;
  std::size_t start;
  std::size_t aad_size;
  std::size_t length;
  SuiteSizes sizes;
  Bytes implicit_iv;  // used where the packet has none

  Packet(RandomSource& random, const PacketSuite& suite, std::size_t text_length, std::size_t aad, std::size_t room)
      : memory(random_bytes(random, room + aad + sizes_of(suite).iv + text_length + sizes_of(suite).icv + 8)),
        start(room),
        aad_size(aad),
        length(text_length),
        sizes(sizes_of(suite)),
        implicit_iv(random_bytes(random, sizes_of(suite).nonce_iv)) {}

  [[nodiscard]] std::uint8_t* text() { return memory.data() + start + aad_size + sizes.iv; }
  [[nodiscard]] Bytes text_copy() { return Bytes(text(), text() + length); }
  [[nodiscard]] PacketJob job() {
    PacketJob job;
    job.aad = ByteView(memory).subspan(start, aad_size);
    job.iv = sizes.iv == 0 ? implicit_iv.data() : memory.data() + start + aad_size;
    job.input = job.output = text();
    job.length = length;
    job.icv = text() + length;
    return job;
  }
};

void run(PacketCipher& cipher, PacketJob& job, bool sealing) {
  sealing ? cipher.seal({&job, 1}) : cipher.open({&job, 1});
}

TEST(PacketSuite, Sizes) {
  const SuiteSizes gcm = sizes_of({CipherId::aes_gcm_16, 256});
  EXPECT_EQ(gcm.encryption_key, 36u);
  EXPECT_EQ(gcm.salt, 4u);
  EXPECT_EQ(gcm.iv, 8u);
  EXPECT_EQ(gcm.icv, 16u);
  EXPECT_EQ(gcm.block, 1u);
  EXPECT_EQ(gcm.integrity_key, 0u);
  const SuiteSizes cbc = sizes_of({CipherId::aes_cbc, 192, IntegrityId::hmac_sha2_384_192});
  EXPECT_EQ(cbc.encryption_key, 24u);
  EXPECT_EQ(cbc.integrity_key, 48u);
  EXPECT_EQ(cbc.iv, 16u);
  EXPECT_EQ(cbc.block, 16u);
  EXPECT_EQ(cbc.icv, 24u);
  EXPECT_EQ(cbc.salt, 0u);
}

TEST(PacketCipher, UnsafeAndUnknownSuitesAreRefused) {
  const Bytes key(64);
  for (const Backend backend : {Backend::automatic, Backend::openssl, Backend::ipsec_mb, Backend::own}) {
    const auto error = [&](const PacketSuite& suite) {
      const SuiteSizes sizes = sizes_of(suite);
      const ByteView view(key);
      return make_packet_cipher(suite, view.first(sizes.encryption_key), view.first(sizes.integrity_key), backend)
          .error();
    };
    EXPECT_EQ(error({CipherId::null, 0, IntegrityId::none}), CryptoError::unsupported);
    EXPECT_EQ(error({CipherId::aes_cbc, 128, IntegrityId::none}), CryptoError::unsupported);
    EXPECT_EQ(error({CipherId::aes_gcm_16, 128, IntegrityId::hmac_sha2_256_128}), CryptoError::unsupported);
    EXPECT_EQ(error({CipherId::aes_gcm_16, 64}), CryptoError::unsupported);
    EXPECT_EQ(error({CipherId::chacha20_poly1305, 128}), CryptoError::unsupported);
    EXPECT_EQ(error({CipherId::null, 128, IntegrityId::hmac_sha2_256_128}), CryptoError::unsupported);
  }
}

TEST(PacketCipher, WrongKeyLengthsAreRefused) {
  for (const PacketSuite& suite : all_suites()) {
    const SuiteSizes sizes = sizes_of(suite);
    for (const Backend backend : backends(suite)) {
      const auto error = [&](std::size_t encryption, std::size_t integrity) {
        return make_packet_cipher(suite, Bytes(encryption), Bytes(integrity), backend).error();
      };
      EXPECT_EQ(error(sizes.encryption_key + 1, sizes.integrity_key), CryptoError::bad_key_length);
      EXPECT_EQ(error(sizes.encryption_key, sizes.integrity_key + 1), CryptoError::bad_key_length);
    }
  }
}

TEST(PacketCipher, AutomaticPrefersOwnGcmThenIpsecMb) {
  const auto gcm = make_packet_cipher({CipherId::aes_gcm_16, 128}, Bytes(20), {}).value();
  const char* const library = ipsec_mb_available() ? "ipsec-mb 1." : "OpenSSL 3.";
  EXPECT_THAT(gcm->backend(), testing::StartsWith(own_available() ? "Culvert AVX-512" : library));
  const auto chacha = make_packet_cipher({CipherId::chacha20_poly1305, 256}, Bytes(36), {}).value();
  EXPECT_THAT(chacha->backend(), testing::StartsWith(library));
}

// RFC 7634 Appendix A.
TEST(PacketCipher, Rfc7634EspPacket) {
  const Bytes key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3");
  const std::string plain =
      "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f101112131415161718191a1b"
      "1c1d1e1f"
      "202122232425262728292a2b2c2d2e2f303132333435363701020204";
  const std::string sealed =
      "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9"
      "befe2fac"
      "c638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e0"
      "76aaa8266b7fb0f7b11b369907e1ad43";
  for (const Backend backend : backends({CipherId::chacha20_poly1305, 256})) {
    const auto cipher = make_packet_cipher({CipherId::chacha20_poly1305, 256}, key, {}, backend).value();
    const Bytes head = hex("01020304000000051011121314151617");
    Bytes text = hex(plain);
    text.resize(text.size() + 16);
    PacketJob job{.iv = head.data() + 8,
                  .aad = ByteView(head).first(8),
                  .input = text.data(),
                  .output = text.data(),
                  .length = text.size() - 16,
                  .icv = text.data() + text.size() - 16};
    run(*cipher, job, true);
    EXPECT_TRUE(job.ok);
    EXPECT_EQ(to_hex(text), sealed) << cipher->backend();
    job.ok = false;
    run(*cipher, job, false);
    EXPECT_TRUE(job.ok);
    EXPECT_EQ(to_hex(ByteView(text).first(job.length)), plain) << cipher->backend();
  }
}

// The GCM specification (McGrew, Viega), test case 4, with its 96-bit IV taken as salt | IV.
TEST(PacketCipher, AesGcmKnownAnswer) {
  const Bytes key = hex("feffe9928665731c6d6a8f9467308308cafebabe");
  const Bytes iv = hex("facedbaddecaf888");
  const Bytes aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  for (const Backend backend : backends({CipherId::aes_gcm_16, 128})) {
    const auto cipher = make_packet_cipher({CipherId::aes_gcm_16, 128}, key, {}, backend).value();
    const Bytes plain =
        hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa"
            "0de657ba637b39");
    Bytes text(plain.size());
    Bytes icv(16);
    PacketJob job{.iv = iv.data(),
                  .aad = aad,
                  .input = plain.data(),
                  .output = text.data(),
                  .length = plain.size(),
                  .icv = icv.data()};
    run(*cipher, job, true);
    EXPECT_EQ(to_hex(text),
              "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b39"
              "6a0aac973d58e091");
    EXPECT_EQ(to_hex(icv), "5bc94fbc3221a5db94fae95ae7121a47");
  }
}

// RFC 3602 4, case 2, with the ICV computed apart by HMAC over its definition (RFC 4303 2.8: SPI to the end of the
// ciphertext, then the high half of an extended sequence number).
TEST(PacketCipher, AesCbcThenHmacKnownAnswer) {
  const Bytes key = hex("c286696d887c9aa0611bbb3e2025a45a");
  const Bytes iv = hex("562e17996d093d28ddb3ba695a2e6f58");
  const Bytes plain = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const std::string encrypted = "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1";
  const Bytes aad = hex("0102030400000001");
  for (const IntegrityId integrity :
       {IntegrityId::hmac_sha2_256_128, IntegrityId::hmac_sha2_384_192, IntegrityId::hmac_sha2_512_256}) {
    const PacketSuite suite{CipherId::aes_cbc, 128, integrity};
    const Bytes integrity_key(sizes_of(suite).integrity_key, 0x5a);
    for (const Backend backend : backends(suite)) {
      for (const std::uint8_t suffix_length : std::initializer_list<std::uint8_t>{0, 4}) {
        const auto cipher = make_packet_cipher(suite, key, integrity_key, backend).value();
        Bytes text(plain.size());
        Bytes icv(sizes_of(suite).icv);
        PacketJob job{.iv = iv.data(),
                      .aad = aad,
                      .mac_suffix = {0, 0, 0, 7},
                      .mac_suffix_length = suffix_length,
                      .input = plain.data(),
                      .output = text.data(),
                      .length = plain.size(),
                      .icv = icv.data()};
        run(*cipher, job, true);
        EXPECT_EQ(to_hex(text), encrypted);
        const Bytes suffix(job.mac_suffix.begin(), job.mac_suffix.begin() + suffix_length);
        const SecretBytes mac = hmac(hash_of(integrity), integrity_key, {aad, iv, text, suffix});
        EXPECT_EQ(to_hex(icv), to_hex(mac.view().first(icv.size()))) << cipher->backend();
      }
    }
  }
}

TEST(PacketCipher, EveryChangedOctetIsFound) {
  SeededRandom random(11);
  for (const PacketSuite& suite : all_suites()) {
    const Keys keys(random, suite);
    for (const Backend backend : backends(suite)) {
      const auto cipher = make(suite, keys, backend);
      Packet packet(random, suite, 48, 8, 0);
      const Bytes plain = packet.text_copy();
      PacketJob job = packet.job();
      job.mac_suffix_length = suite.is_aead() ? 0 : 4;
      run(*cipher, job, true);
      const Bytes sealed = packet.memory;
      const std::size_t used = 8 + packet.sizes.iv + 48 + packet.sizes.icv;
      for (std::size_t at = 0; at < used; ++at) {
        std::ranges::copy(sealed, packet.memory.begin());
        packet.memory[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
        job.ok = true;
        run(*cipher, job, false);
        ASSERT_FALSE(job.ok) << cipher->backend() << " octet " << at << " of " << name_of(suite);
      }
      if (!suite.is_aead()) {
        std::ranges::copy(sealed, packet.memory.begin());
        job.mac_suffix[3] ^= 1;
        run(*cipher, job, false);
        EXPECT_FALSE(job.ok);
        job.mac_suffix[3] ^= 1;
      }
      std::ranges::copy(sealed, packet.memory.begin());
      run(*cipher, job, false);
      EXPECT_TRUE(job.ok);
      EXPECT_EQ(packet.text_copy(), plain);
    }
  }
}

TEST(PacketCipher, CiphertextThatIsNoWholeBlockIsRefused) {
  SeededRandom random(12);
  const PacketSuite suite{CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128};
  const Keys keys(random, suite);
  for (const Backend backend : backends(suite)) {
    const auto cipher = make(suite, keys, backend);
    for (const std::size_t length : {1u, 15u, 17u, 47u}) {
      Packet packet(random, suite, length, 8, 0);
      PacketJob job = packet.job();
      // A right ICV, so that only the length can be the reason.
      const SecretBytes mac =
          hmac(HashId::sha2_256, keys.integrity, {job.aad, ByteView(job.iv, 16), ByteView(job.input, length)});
      std::copy_n(mac.view().data(), 16, job.icv);
      run(*cipher, job, false);
      EXPECT_FALSE(job.ok) << length;
    }
  }
}

TEST(PacketCipher, MacInputsOfUnservedSizesAreRefused) {
  SeededRandom random(16);
  const PacketSuite suite{CipherId::null, 0, IntegrityId::hmac_sha2_512_256};
  const Keys keys(random, suite);
  for (const Backend backend : backends(suite)) {
    const auto cipher = make(suite, keys, backend);
    Bytes icv(32);
    PacketJob empty{.icv = icv.data()};
    run(*cipher, empty, false);
    EXPECT_FALSE(empty.ok);
    Packet longest(random, suite, 65'534 - 8, 8, 0);
    PacketJob job = longest.job();
    run(*cipher, job, true);
    run(*cipher, job, false);
    EXPECT_TRUE(job.ok) << "an empty one before must not spoil it: " << cipher->backend();
    Packet longer(random, suite, 65'534 - 7, 8, 0);
    job = longer.job();
    const SecretBytes mac = hmac(HashId::sha2_512, keys.integrity, {job.aad, {job.input, job.length}});
    std::copy_n(mac.view().data(), 32, job.icv);
    run(*cipher, job, false);
    EXPECT_FALSE(job.ok);
  }
}

/// What a random job looked like, to be repeated with the other backend.
struct Case {
  Packet packet;
  PacketJob job;
  Bytes plain;
};

TEST(PacketCipher, BackendsAgreeOnRandomBatches) {
  if (!ipsec_mb_available() && !own_available())
    GTEST_SKIP() << "this CPU can do with OpenSSL only (ipsec-mb wants x86-64 with AES-NI): nothing to compare";
  SeededRandom random(13);
  for (const PacketSuite& suite : all_suites()) {
    const Keys keys(random, suite);
    const auto reference = make(suite, keys, Backend::openssl);
    std::vector<std::unique_ptr<PacketCipher>> others;
    for (const Backend backend : backends(suite)) {
      if (backend != Backend::openssl) others.push_back(make(suite, keys, backend));
    }
    if (others.size() == 1) continue;  // the automatic choice is OpenSSL too
    const std::size_t block = sizes_of(suite).block;
    for (int round = 0; round < 60; ++round) {
      const std::size_t count = 1 + random.below(40);
      std::vector<Case> cases;
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t length = (random.below(12) == 0 ? random.below(65'400) : random.below(300)) / block * block;
        const std::size_t room = random.below(3) == 0 ? 0 : 1 + random.below(100);
        Packet packet(random, suite, length, suite.is_aead() ? random.below(33) : 1 + random.below(64), room);
        cases.push_back({std::move(packet), {}, {}});
      }
      for (Case& c : cases) {
        c.plain = c.packet.text_copy();
        c.job = c.packet.job();
        c.job.mac_suffix_length = !suite.is_aead() && random.below(2) ? 4 : 0;
        random.fill(c.job.mac_suffix);
      }
      const auto jobs_of = [&] {
        std::vector<PacketJob> jobs;
        for (const Case& c : cases) jobs.push_back(c.job);
        return jobs;
      };

      // Seal the same memory with both; the whole memory must be equal afterwards, so neither writes where it should
      // not.
      std::vector<Bytes> before;
      for (const Case& c : cases) before.push_back(c.packet.memory);
      auto jobs = jobs_of();
      reference->seal(jobs);
      std::vector<Bytes> sealed;
      for (std::size_t i = 0; i < count; ++i) {
        sealed.push_back(cases[i].packet.memory);
        std::ranges::copy(before[i], cases[i].packet.memory.begin());
      }
      for (const auto& cipher : others) {
        jobs = jobs_of();
        cipher->seal(jobs);
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_TRUE(jobs[i].ok);
          ASSERT_EQ(cases[i].packet.memory, sealed[i]) << cipher->backend() << " length " << cases[i].packet.length;
          std::ranges::copy(before[i], cases[i].packet.memory.begin());
        }
      }
      for (std::size_t i = 0; i < count; ++i) std::ranges::copy(sealed[i], cases[i].packet.memory.begin());

      // Open in place or moved to the front, some packets damaged; both backends give the same verdicts and texts.
      std::vector<bool> damaged(count);
      for (std::size_t i = 0; i < count; ++i) {
        Case& c = cases[i];
        damaged[i] = random.below(5) == 0;
        if (damaged[i]) c.job.icv[random.below(c.packet.sizes.icv)] ^= 0x10;
        c.job.output = c.packet.text() - (c.packet.start == 0 ? 0 : random.below(c.packet.start + 1));
        sealed[i] = c.packet.memory;
      }
      std::vector<PacketCipher*> all = {reference.get()};
      for (const auto& cipher : others) all.push_back(cipher.get());
      for (PacketCipher* cipher : all) {
        jobs = jobs_of();
        cipher->open(jobs);
        for (std::size_t i = 0; i < count; ++i) {
          Case& c = cases[i];
          ASSERT_EQ(jobs[i].ok, !damaged[i]) << cipher->backend();
          if (jobs[i].ok) {
            ASSERT_TRUE(equal({c.job.output, c.packet.length}, c.plain))
                << cipher->backend() << " length " << c.packet.length << " moved " << c.packet.text() - c.job.output;
          }
          std::ranges::copy(sealed[i], c.packet.memory.begin());
        }
      }
    }
  }
}

// ipsec-mb takes up to 46 octets with AES-CCM, and no empty text.
TEST(PacketCipher, AdditionalDataOfAnyLength) {
  SeededRandom random(17);
  for (const PacketSuite& suite : all_suites()) {
    const Keys keys(random, suite);
    for (const Backend backend : backends(suite)) {
      const auto cipher = make(suite, keys, backend);
      const auto reference = make(suite, keys, Backend::openssl);
      for (const std::size_t aad : {1u, 13u, 16u, 17u, 46u, 47u, 64u, 300u}) {
        std::vector<Packet> packets;
        for (const std::size_t length : {0u, 48u, 160u}) packets.emplace_back(random, suite, length, aad, 0);
        std::vector<PacketJob> jobs;
        for (Packet& packet : packets) jobs.push_back(packet.job());
        std::vector<Bytes> plain;
        for (Packet& packet : packets) plain.push_back(packet.memory);
        cipher->seal(jobs);
        reference->open(jobs);
        EXPECT_TRUE(std::ranges::all_of(jobs, &PacketJob::ok)) << cipher->backend() << " " << aad << name_of(suite);
        reference->seal(jobs);
        cipher->open(jobs);
        EXPECT_TRUE(std::ranges::all_of(jobs, &PacketJob::ok)) << cipher->backend() << " " << aad << name_of(suite);
        for (std::size_t i = 0; i < packets.size(); ++i) {
          EXPECT_TRUE(equal({jobs[i].output, jobs[i].length},
                            ByteView(plain[i]).subspan(aad + packets[i].sizes.iv, jobs[i].length)));
        }
      }
    }
  }
}

TEST(PacketCipher, MovesToTheFrontByAnyDistance) {
  SeededRandom random(14);
  for (const PacketSuite& suite : all_suites()) {
    const Keys keys(random, suite);
    const std::size_t block = sizes_of(suite).block;
    for (const Backend backend : backends(suite)) {
      const auto cipher = make(suite, keys, backend);
      for (std::size_t distance = 1; distance <= 96; ++distance) {
        for (const std::size_t wanted : {100u, 784u, 1447u, 4500u}) {
          for (const bool moves_at_seal : {false, true}) {
            Packet packet(random, suite, wanted / block * block, 8, distance);
            const Bytes plain = packet.text_copy();
            PacketJob job = packet.job();
            Bytes iv_and_aad = concat({ByteView(job.iv, packet.sizes.nonce_iv), job.aad});
            job.iv = iv_and_aad.data();
            job.aad = ByteView(iv_and_aad).subspan(packet.sizes.nonce_iv);
            if (moves_at_seal) job.output -= distance;
            run(*cipher, job, true);
            job.input = job.output;
            if (!moves_at_seal) job.output -= distance;
            run(*cipher, job, false);
            ASSERT_TRUE(job.ok) << cipher->backend() << " " << distance << " " << wanted;
            ASSERT_TRUE(equal({job.output, packet.length}, plain))
                << cipher->backend() << " " << distance << " " << wanted;
          }
        }
      }
    }
  }
}

TEST(PacketCipher, BatchesOfAnySizeAreServed) {
  SeededRandom random(15);
  for (const PacketSuite& suite : all_suites()) {
    const Keys keys(random, suite);
    for (const Backend backend : backends(suite)) {
      const auto cipher = make(suite, keys, backend);
      cipher->seal({});
      cipher->open({});
      for (const std::size_t count : {2u, 3u, 6u, 7u, 31u, 32u, 33u, 38u, 39u, 200u}) {
        std::vector<Packet> packets;
        for (std::size_t i = 0; i < count; ++i) packets.emplace_back(random, suite, 16 * (i % 5), 8, 0);
        std::vector<PacketJob> jobs;
        for (Packet& packet : packets) jobs.push_back(packet.job());
        cipher->seal(jobs);
        cipher->open(jobs);
        EXPECT_TRUE(std::ranges::all_of(jobs, &PacketJob::ok)) << cipher->backend() << " " << count;
      }
    }
  }
}

}  // namespace
}  // namespace culvert::crypto
