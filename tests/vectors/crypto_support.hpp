// Runs a packet cipher on one vector, with each backend and both as a single packet and in a batch.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "crypto/packet_cipher.hpp"
#include "support.hpp"

namespace culvert::vectors {

[[nodiscard]] inline std::vector<crypto::Backend> backends() {
  std::vector<crypto::Backend> list = {crypto::Backend::openssl};
  if (crypto::ipsec_mb_available()) list.push_back(crypto::Backend::ipsec_mb);
  if (crypto::own_available()) list.push_back(crypto::Backend::own);
  return list;
}

/// Those of them that serve the suite; OpenSSL must.
[[nodiscard]] inline std::vector<crypto::Backend> backends(const crypto::PacketSuite& suite) {
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  std::vector<crypto::Backend> list = backends();
  std::erase_if(list, [&](crypto::Backend backend) {
    return backend != crypto::Backend::openssl &&
           !crypto::make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key), backend);
  });
  return list;
}

/// Counts vectors, says at the end of the test how many ran, and fails when none did: a folder that is there must be
/// used.
class Tally {
 public:
  Tally(std::string what, std::size_t implementations) : what_(std::move(what)), implementations_(implementations) {}
  Tally(std::string what, const crypto::PacketSuite& suite) : Tally(std::move(what), backends(suite).size()) {}
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;
  ~Tally() {
    std::printf("  %s: %u vectors ran on %zu implementation(s), %u left out (sizes that IPsec does not use)\n",
                what_.c_str(), ran_, implementations_, left_out_);
    EXPECT_GT(ran_, 0u) << what_;
  }
  void ran() { ++ran_; }
  void left_out() { ++left_out_; }

 private:
  std::string what_;
  std::size_t implementations_;
  unsigned ran_ = 0;
  unsigned left_out_ = 0;
};

struct PacketVector {
  crypto::PacketSuite suite;
  Bytes encryption_key;  // with salt
  Bytes integrity_key;
  Bytes iv;
  Bytes aad;
  Bytes plain;
  Bytes sealed;
  Bytes icv;
};

/// Several packets with the same content in memory of their own.
class Batch {
 public:
  Batch(const PacketVector& vector, const Bytes& text, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) texts_.push_back(text), icvs_.push_back(vector.icv);
    for (std::size_t i = 0; i < count; ++i) {
      crypto::PacketJob job;
      job.iv = vector.iv.data();
      job.aad = vector.aad;
      job.input = job.output = texts_[i].data();
      job.length = texts_[i].size();
      job.icv = icvs_[i].data();
      jobs_.push_back(job);
    }
  }
  void seal(crypto::PacketCipher& cipher) {
    for (Bytes& icv : icvs_) std::ranges::fill(icv, std::uint8_t{0});
    cipher.seal(jobs_);
  }
  /// True when all were right; fails the test when they differ.
  [[nodiscard]] bool open(crypto::PacketCipher& cipher) {
    cipher.open(jobs_);
    for (const crypto::PacketJob& job : jobs_) EXPECT_EQ(job.ok, jobs_.front().ok);
    return jobs_.front().ok;
  }
  [[nodiscard]] const std::vector<Bytes>& texts() const { return texts_; }
  [[nodiscard]] const std::vector<Bytes>& icvs() const { return icvs_; }

 private:
  std::vector<Bytes> texts_;
  std::vector<Bytes> icvs_;
  std::vector<crypto::PacketJob> jobs_;
};

inline constexpr std::size_t kBatchSizes[] = {1, 3, 4};

/// Each backend seals `plain` to exactly `sealed` and `icv`, and opens it again.
inline void expect_valid(const PacketVector& vector, const std::string& name) {
  for (const crypto::Backend backend : backends(vector.suite)) {
    const auto cipher = crypto::make_packet_cipher(vector.suite, vector.encryption_key, vector.integrity_key, backend);
    ASSERT_TRUE(cipher) << name << ": " << crypto::to_string(cipher.error());
    for (const std::size_t count : kBatchSizes) {
      Batch sealing(vector, vector.plain, count);
      sealing.seal(**cipher);
      for (const Bytes& text : sealing.texts())
        EXPECT_EQ(to_hex(text), to_hex(vector.sealed)) << name << " " << (*cipher)->backend();
      for (const Bytes& icv : sealing.icvs())
        EXPECT_EQ(to_hex(icv), to_hex(vector.icv)) << name << " " << (*cipher)->backend();
      Batch opening(vector, vector.sealed, count);
      EXPECT_TRUE(opening.open(**cipher)) << name << " " << (*cipher)->backend();
      for (const Bytes& text : opening.texts())
        EXPECT_EQ(to_hex(text), to_hex(vector.plain)) << name << " " << (*cipher)->backend();
    }
  }
}

/// Each backend encrypts `plain` to exactly `sealed` and decrypts it again, for vectors of a cipher that says nothing
/// of integrity: the suite has an integrity algorithm, whose ICV is ours.
inline void expect_text(PacketVector vector, const std::string& name) {
  const crypto::SuiteSizes sizes = crypto::sizes_of(vector.suite);
  vector.integrity_key = Bytes(sizes.integrity_key, 0x6b);
  vector.aad = Bytes(8, 1);
  vector.icv = Bytes(sizes.icv);
  for (const crypto::Backend backend : backends(vector.suite)) {
    const auto cipher = crypto::make_packet_cipher(vector.suite, vector.encryption_key, vector.integrity_key, backend);
    ASSERT_TRUE(cipher) << name << ": " << crypto::to_string(cipher.error());
    for (const std::size_t count : kBatchSizes) {
      Batch sealing(vector, vector.plain, count);
      sealing.seal(**cipher);
      for (const Bytes& text : sealing.texts())
        ASSERT_EQ(to_hex(text), to_hex(vector.sealed)) << name << " " << (*cipher)->backend();
      vector.icv = sealing.icvs().front();
      Batch opening(vector, vector.sealed, count);
      EXPECT_TRUE(opening.open(**cipher)) << name << " " << (*cipher)->backend();
      for (const Bytes& text : opening.texts())
        ASSERT_EQ(to_hex(text), to_hex(vector.plain)) << name << " " << (*cipher)->backend();
    }
  }
}

/// Each backend refuses `sealed` with `icv`.
inline void expect_refused(const PacketVector& vector, const std::string& name) {
  for (const crypto::Backend backend : backends(vector.suite)) {
    const auto cipher = crypto::make_packet_cipher(vector.suite, vector.encryption_key, vector.integrity_key, backend);
    ASSERT_TRUE(cipher) << name << ": " << crypto::to_string(cipher.error());
    for (const std::size_t count : kBatchSizes) {
      Batch opening(vector, vector.sealed, count);
      EXPECT_FALSE(opening.open(**cipher)) << name << " " << (*cipher)->backend();
    }
  }
}

}  // namespace culvert::vectors
