// JobBatch: the crypto work of up to 128 packets of any SAs in order of arrival, run gathered by SA.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "crypto/packet_cipher.hpp"
#include "ipsec/esp_job.hpp"

namespace culvert::ipsec {

/// `Sa` is OutboundSa or InboundSa: it has the cipher and a BatchCursor.
template <typename Sa>
class JobBatch {
 public:
  static constexpr std::size_t kCapacity = 128;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool full() const { return size_ == kCapacity; }
  [[nodiscard]] const crypto::PacketJob& job(std::size_t index) const { return job_[index]; }
  [[nodiscard]] bool ok(std::size_t index) const { return job_[index].ok; }

  /// Adds the packet at `packet`; the batch must not be full.
  void add(Sa& sa, std::uint8_t* packet, std::size_t text_length, std::uint64_t sequence) {
    add(sa, make_esp_job(sa.layout, packet, text_length, sequence, scratch_[size_]));
  }
  /// Likewise for a job made elsewhere.
  void add(Sa& sa, const crypto::PacketJob& job) {
    job_[size_] = job;
    sa_[size_] = &sa;
    mixed_ |= sa_[0] != &sa;
    ++size_;
  }

  void seal() {
    run([](crypto::PacketCipher& cipher, std::span<crypto::PacketJob> jobs) { cipher.seal(jobs); });
  }
  /// Afterwards `ok` tells of each packet.
  void open() {
    run([](crypto::PacketCipher& cipher, std::span<crypto::PacketJob> jobs) { cipher.open(jobs); });
  }
  void clear() {
    size_ = 0;
    mixed_ = false;
  }

 private:
  template <typename Operation>
  void run(Operation operation) {
    if (size_ == 0) return;
    if (!mixed_) {
      operation(*sa_[0]->cipher, {job_.data(), size_});
      return;
    }
    // A counting sort by SA; the cursors are zero between batches.
    std::size_t distinct = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (sa_[i]->cursor.count++ == 0) distinct_[distinct++] = sa_[i];
    }
    std::uint16_t next = 0;
    for (std::size_t d = 0; d < distinct; ++d) {
      distinct_[d]->cursor.next = next;
      next = static_cast<std::uint16_t>(next + distinct_[d]->cursor.count);
    }
    for (std::size_t i = 0; i < size_; ++i) {
      place_[i] = sa_[i]->cursor.next++;
      gathered_[place_[i]] = job_[i];
    }
    for (std::size_t d = 0; d < distinct; ++d) {
      auto& cursor = distinct_[d]->cursor;
      operation(*distinct_[d]->cipher, {gathered_.data() + cursor.next - cursor.count, cursor.count});
      cursor = {};
    }
    for (std::size_t i = 0; i < size_; ++i) job_[i].ok = gathered_[place_[i]].ok;
  }

  std::size_t size_ = 0;
  bool mixed_ = false;
  std::array<crypto::PacketJob, kCapacity> job_{};
  std::array<crypto::PacketJob, kCapacity> gathered_{};
  std::array<Sa*, kCapacity> sa_{};
  std::array<Sa*, kCapacity> distinct_{};
  std::array<std::uint16_t, kCapacity> place_{};
  std::array<EspScratch, kCapacity> scratch_{};
};

}  // namespace culvert::ipsec
