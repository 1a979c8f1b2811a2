// The own kernel against OpenSSL, where its ways part: every length around groups and registers, every length of
// additional data, batches of many keys. tests/vectors/crypto_bounds_test.cpp looks at what memory it touches.
#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "crypto/own_gcm/kernel.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kIv = 8;
constexpr CipherId kCiphers[] = {CipherId::aes_gcm_16, CipherId::aes_gcm_12, CipherId::aes_gcm_8};
constexpr unsigned kKeyBits[] = {128, 192, 256};

class OwnGcm : public testing::Test {
 protected:
  void SetUp() override {
    if (!own_available()) GTEST_SKIP() << "this CPU lacks AVX-512, VAES or VPCLMULQDQ";
  }

  Bytes random_bytes(std::size_t size) {
    Bytes out(size);
    random_.fill(out);
    return out;
  }

  SeededRandom random_{31};
};

// Both ways of multiplying, whichever this CPU would take.
class OwnGcmBothWays : public OwnGcm, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    OwnGcm::SetUp();
    own_gcm::use_three_multiplications(GetParam());
  }
  void TearDown() override { own_gcm::use_three_multiplications(before_); }

 private:
  const bool before_ = own_gcm::uses_three_multiplications();
};
INSTANTIATE_TEST_SUITE_P(Multiplications, OwnGcmBothWays, testing::Bool());

/// One key in both implementations.
struct Pair {
  PacketSuite suite;
  std::unique_ptr<PacketCipher> own;
  std::unique_ptr<PacketCipher> reference;

  Pair(RandomSource& random, PacketSuite which) : suite(which) {
    Bytes key(sizes_of(suite).encryption_key);
    random.fill(key);
    own = make_packet_cipher(suite, key, {}, Backend::own).value();
    reference = make_packet_cipher(suite, key, {}, Backend::openssl).value();
  }
};

std::vector<Pair> all_pairs(RandomSource& random) {
  std::vector<Pair> pairs;
  for (const CipherId cipher : kCiphers) {
    for (const unsigned bits : kKeyBits) pairs.emplace_back(random, PacketSuite{cipher, bits});
  }
  return pairs;
}

/// A packet in memory of its own, misaligned as wanted: additional data, IV, text, ICV.
struct Packet {
  Bytes memory;
  PacketJob job;
  Bytes plain;

  Packet(RandomSource& random, std::size_t misaligned, std::size_t aad, std::size_t length, std::size_t icv)
      : memory(misaligned + aad + kIv + length + icv + 70) {
    random.fill(memory);
    std::uint8_t* at = memory.data() + misaligned;
    job.aad = {at, aad};
    job.iv = at + aad;
    job.input = job.output = at + aad + kIv;
    job.length = length;
    job.icv = at + aad + kIv + length;
    plain.assign(job.input, job.input + length);
  }
};

void expect_same_as_reference(const Pair& pair, Packet& packet) {
  const Bytes before = packet.memory;
  pair.reference->seal({&packet.job, 1});
  const Bytes sealed = packet.memory;
  std::ranges::copy(before, packet.memory.begin());
  packet.job.ok = false;
  pair.own->seal({&packet.job, 1});
  ASSERT_TRUE(packet.job.ok);
  ASSERT_EQ(packet.memory, sealed) << "length " << packet.job.length << " aad " << packet.job.aad.size();
  packet.job.ok = false;
  pair.own->open({&packet.job, 1});
  ASSERT_TRUE(packet.job.ok) << "length " << packet.job.length;
  ASSERT_TRUE(equal({packet.job.output, packet.job.length}, packet.plain)) << "length " << packet.job.length;
}

TEST_P(OwnGcmBothWays, EveryLengthOfTextAtAnyAlignment) {
  const auto pairs = all_pairs(random_);
  for (std::size_t length = 0; length <= 2100; ++length) {
    for (std::size_t i = 0; i < 3; ++i) {
      const Pair& pair = pairs[(3 * length + i) % pairs.size()];
      Packet packet(random_, random_.below(65), i == 0 ? 12 : 8, length, sizes_of(pair.suite).icv);
      expect_same_as_reference(pair, packet);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(OwnGcmBothWays, LengthsWhereTheCounterCarries) {
  const auto pairs = all_pairs(random_);
  for (const std::size_t around : {4'064u, 8'160u, 16'352u, 65'500u, 1'048'560u}) {
    for (std::size_t length = around - 66; length <= around + 66; ++length) {
      const Pair& pair = pairs[length % pairs.size()];
      Packet packet(random_, 3, 8, length, sizes_of(pair.suite).icv);
      expect_same_as_reference(pair, packet);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(OwnGcmBothWays, EveryLengthOfAdditionalData) {
  const auto pairs = all_pairs(random_);
  for (std::size_t aad = 0; aad <= 300; ++aad) {
    for (const std::size_t length : {0u, 1u, 64u, 96u, 97u, 300u}) {
      const Pair& pair = pairs[(aad + length) % pairs.size()];
      Packet packet(random_, random_.below(16), aad, length, sizes_of(pair.suite).icv);
      expect_same_as_reference(pair, packet);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(OwnGcm, OutOfPlaceLeavesTheInputAlone) {
  const auto pairs = all_pairs(random_);
  for (std::size_t length = 0; length <= 600; length += 1 + length / 64) {
    const Pair& pair = pairs[length % pairs.size()];
    Packet packet(random_, 1, 8, length, sizes_of(pair.suite).icv);
    Bytes output = random_bytes(length + 128);
    const Bytes around = output;
    packet.job.output = output.data() + 64;
    pair.own->seal({&packet.job, 1});
    ASSERT_TRUE(equal({packet.job.input, length}, packet.plain));
    ASSERT_TRUE(std::equal(output.begin(), output.begin() + 64, around.begin()));
    ASSERT_TRUE(std::equal(output.end() - 64, output.end(), around.end() - 64));
    const std::uint8_t* const sealed = packet.job.output;
    packet.job.input = sealed;
    Bytes text(length + 1);
    packet.job.output = text.data();
    pair.reference->open({&packet.job, 1});
    ASSERT_TRUE(packet.job.ok);
    ASSERT_TRUE(equal(ByteView(text).first(length), packet.plain));
  }
}

TEST_F(OwnGcm, RefusedTextIsWiped) {
  const auto pairs = all_pairs(random_);
  for (const std::size_t length : {1u, 64u, 96u, 500u, 1420u}) {
    for (const Pair& pair : pairs) {
      std::vector<Packet> packets;
      std::vector<PacketJob> jobs;
      for (int i = 0; i < 5; ++i) packets.emplace_back(random_, 0, 8, length, sizes_of(pair.suite).icv);
      for (const Packet& packet : packets) jobs.push_back(packet.job);
      pair.own->seal(jobs);
      jobs[1].icv[0] ^= 1;
      jobs[4].icv[sizes_of(pair.suite).icv - 1] ^= 0x80;
      pair.own->open(jobs);
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        const bool damaged = i == 1 || i == 4;
        ASSERT_EQ(jobs[i].ok, !damaged);
        const ByteView text(jobs[i].output, length);
        ASSERT_TRUE(damaged ? std::ranges::all_of(text, [](std::uint8_t octet) { return octet == 0; })
                            : equal(text, packets[i].plain));
      }
    }
  }
}

/// One packet of ESP, its SPI to its ICV, and the text that is sealed: there or elsewhere.
struct EspPacket {
  std::uint64_t sequence;
  std::size_t length;
  Bytes plain;
  Bytes elsewhere;
  Bytes memory;
  static constexpr std::size_t kIcv = 16;

  EspPacket(SeededRandom& random, std::size_t text, bool in_place) : sequence(random.u64()), length(text) {
    plain.resize(text);
    random.fill(plain);
    memory.resize(EspJob::kHead + text + kIcv + 64);
    random.fill(memory);
    store_be32(memory.data() + 4, static_cast<std::uint32_t>(sequence));
    std::ranges::copy(plain, memory.begin() + EspJob::kHead);
    if (!in_place) elsewhere = plain;
  }
  [[nodiscard]] EspJob job(PacketCipher* cipher, bool seals) {
    std::uint8_t* const text = memory.data() + EspJob::kHead;
    return {.cipher = cipher,
            .input = seals && !elsewhere.empty() ? elsewhere.data() : text,
            .packet = memory.data(),
            .sequence = sequence,
            .length = static_cast<std::uint32_t>(length)};
  }
  // The same by a PacketJob.
  [[nodiscard]] Bytes sealed_by(PacketCipher& cipher) const {
    Bytes packet = memory;
    std::array<std::uint8_t, EspJob::kAad> aad;
    std::copy_n(packet.begin(), 4, aad.begin());
    store_be64(aad.data() + 4, sequence);
    PacketJob job;
    job.iv = packet.data() + 8;
    job.aad = aad;
    job.input = plain.data();
    job.output = packet.data() + EspJob::kHead;
    job.length = length;
    job.icv = job.output + length;
    cipher.seal({&job, 1});
    return packet;
  }
};

// Seals packets of these lengths in one call, each by any of the keys, and opens them, some of them damaged.
void seal_and_open_esp(SeededRandom& random, const std::vector<Pair>& pairs, const std::vector<std::size_t>& lengths) {
  const ManyKeys* const kind = pairs[0].own->many_keys();
  const std::size_t count = lengths.size();
  std::vector<EspPacket> packets;
  std::vector<EspJob> jobs;
  std::vector<Bytes> expected;
  packets.reserve(count);
  for (const std::size_t length : lengths) packets.emplace_back(random, length, random.below(2) == 0);
  for (EspPacket& packet : packets) {
    const Pair& pair = pairs[random.below(pairs.size())];
    jobs.push_back(packet.job(pair.own.get(), true));
    expected.push_back(packet.sealed_by(*pair.reference));
  }
  kind->seal_esp(jobs);
  std::vector<bool> damaged;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(packets[i].memory, expected[i]) << "length " << packets[i].length;
    damaged.push_back(random.below(6) == 0);
    jobs[i] = packets[i].job(jobs[i].cipher, false);
    jobs[i].ok = damaged[i];
    if (!damaged[i]) continue;
    // Any octet of the packet, or the half of the sequence number that is not in it.
    const std::size_t at = random.below(EspJob::kHead + packets[i].length + EspPacket::kIcv + 4);
    if (at < 4) {
      jobs[i].sequence ^= std::uint64_t{1} << (32 + 8 * at);
    } else if (at < 8) {
      packets[i].memory[at - 4] ^= 1;
    } else {
      packets[i].memory[at - 4 + (at < 12 ? 4 : 0)] ^= 1;
    }
  }
  kind->open_esp(jobs);
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(jobs[i].ok, !damaged[i]) << "length " << packets[i].length;
    const ByteView text(packets[i].memory.data() + EspJob::kHead, packets[i].length);
    ASSERT_TRUE(damaged[i] ? std::ranges::all_of(text, [](std::uint8_t octet) { return octet == 0; })
                           : equal(text, packets[i].plain));
  }
}

std::vector<Pair> pairs_of_usual(SeededRandom& random, unsigned bits) {
  std::vector<Pair> pairs;
  for (int i = 0; i < 10; ++i) pairs.emplace_back(random, PacketSuite{CipherId::aes_gcm_16, bits});
  return pairs;
}

TEST_P(OwnGcmBothWays, EspJobsOfManyKeysAndSizes) {
  for (const unsigned bits : kKeyBits) {
    const std::vector<Pair> pairs = pairs_of_usual(random_, bits);
    for (int round = 0; round < 150; ++round) {
      std::vector<std::size_t> lengths(1 + random_.below(40));
      for (std::size_t& length : lengths) {
        length = random_.below(3) == 0 ? random_.below(1600) : random_.below(130);
      }
      ASSERT_NO_FATAL_FAILURE(seal_and_open_esp(random_, pairs, lengths));
    }
  }
}

// What short packets of one length have in common is worked out once for all of them; also where others precede, follow
// or stand among them.
TEST_P(OwnGcmBothWays, EspJobsOfOneLength) {
  for (const unsigned bits : kKeyBits) {
    const std::vector<Pair> pairs = pairs_of_usual(random_, bits);
    for (std::size_t length = 0; length <= 100; ++length) {
      std::vector<std::size_t> lengths(1 + random_.below(70), length);
      ASSERT_NO_FATAL_FAILURE(seal_and_open_esp(random_, pairs, lengths));
      lengths[random_.below(lengths.size())] = random_.below(97);
      ASSERT_NO_FATAL_FAILURE(seal_and_open_esp(random_, pairs, lengths));
      lengths.push_back(500);
      lengths.resize(lengths.size() + random_.below(12), random_.below(97));
      ASSERT_NO_FATAL_FAILURE(seal_and_open_esp(random_, pairs, lengths));
    }
  }
}

TEST_F(OwnGcm, OneKindPerKeySizeWhateverTheIcv) {
  const auto kind = [](CipherId cipher, unsigned bits, Backend backend) {
    return make_packet_cipher({cipher, bits}, Bytes(bits / 8 + 4), {}, backend).value()->many_keys();
  };
  for (const unsigned bits : kKeyBits) {
    EXPECT_NE(kind(CipherId::aes_gcm_16, bits, Backend::own), nullptr);
    EXPECT_EQ(kind(CipherId::aes_gcm_16, bits, Backend::own), kind(CipherId::aes_gcm_8, bits, Backend::own));
    EXPECT_EQ(kind(CipherId::aes_gcm_16, bits, Backend::openssl), nullptr);
  }
  EXPECT_NE(kind(CipherId::aes_gcm_16, 128, Backend::own), kind(CipherId::aes_gcm_16, 256, Backend::own));
}

TEST_P(OwnGcmBothWays, BatchesOfManyKeysAndSizes) {
  for (const unsigned bits : kKeyBits) {
    std::vector<Pair> pairs;
    for (int i = 0; i < 30; ++i) pairs.emplace_back(random_, PacketSuite{kCiphers[i % 3], bits});
    for (int round = 0; round < 100; ++round) {
      const std::size_t count = 1 + random_.below(150);
      std::vector<Packet> packets;
      std::vector<const Pair*> chosen;
      std::vector<bool> damaged;
      for (std::size_t i = 0; i < count; ++i) {
        chosen.push_back(&pairs[random_.below(pairs.size())]);
        const std::size_t length = random_.below(3) == 0 ? random_.below(1600) : random_.below(100);
        const std::size_t aad = random_.below(8) == 0 ? random_.below(40) : 8 + 4 * random_.below(2);
        packets.emplace_back(random_, 100, aad, length, sizes_of(chosen[i]->suite).icv);
      }
      std::vector<Bytes> sealed;
      std::vector<KeyedJob> keyed;
      for (std::size_t i = 0; i < count; ++i) {
        const Bytes before = packets[i].memory;
        chosen[i]->reference->seal({&packets[i].job, 1});
        sealed.push_back(packets[i].memory);
        std::ranges::copy(before, packets[i].memory.begin());
        packets[i].job.ok = false;
        keyed.push_back({chosen[i]->own.get(), &packets[i].job});
      }
      const ManyKeys* const kind = pairs[0].own->many_keys();
      kind->seal(keyed);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(packets[i].job.ok);
        ASSERT_EQ(packets[i].memory, sealed[i]) << "length " << packets[i].job.length;
        damaged.push_back(random_.below(6) == 0);
        if (damaged[i]) packets[i].job.icv[random_.below(8)] ^= 4;
        // A move to the front, over IV and additional data.
        packets[i].job.output -= random_.below(100);
      }
      kind->open(keyed);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(packets[i].job.ok, !damaged[i]);
        if (damaged[i]) continue;
        ASSERT_TRUE(equal({packets[i].job.output, packets[i].job.length}, packets[i].plain));
      }
    }
  }
}

}  // namespace
}  // namespace culvert::crypto
