// JobBatch: the crypto work of up to 128 packets of any SAs in order of arrival. Ciphers that work on many keys in one
// call get it in that order, others gathered by SA.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "crypto/packet_cipher.hpp"
#include "ipsec/esp_job.hpp"

namespace culvert::ipsec {

/// `Sa` is OutboundSa or InboundSa: it has the cipher, the layout and a BatchCursor.
template <typename Sa>
class JobBatch {
 public:
  static constexpr std::size_t kCapacity = 128;
  /// A batch is better run before it holds more: what was just written or received is then in the first-level cache
  /// when the cipher reads it, and what the cipher wrote when its reader comes. Combined modes only.
  static constexpr std::size_t kMostOctets = 16 * 1024;
  /// Likewise of jobs of many keys where the cipher takes them in any order: SAs and keys are much longer than packets.
  static constexpr std::size_t kMostMixed = 32;

  [[nodiscard]] std::size_t size() const { return size_; }
  /// No more than `kCapacity` fit; beyond the other bounds it only costs.
  [[nodiscard]] bool full() const { return size_ >= most_ || octets_ >= kMostOctets; }
  [[nodiscard]] const crypto::PacketJob& job(std::size_t index) const { return job_[index]; }
  [[nodiscard]] bool ok(std::size_t index) const { return job_.data()[index].ok; }
  /// After `seal` or `open`: the packet is as it was, because no cipher could be made for its SA. It is not `ok`.
  [[nodiscard]] bool keyless(std::size_t index) const {
    return any_keyless() && std::ranges::find(keyless_, sa_[index]) != keyless_.end();
  }
  [[nodiscard]] bool any_keyless() const { return !keyless_.empty(); }

  /// Adds the packet at `packet`, to be worked on in place; the batch must not be full. The job is the batch's.
  crypto::PacketJob& add(Sa& sa, std::uint8_t* packet, std::size_t text_length, std::uint64_t sequence) {
    return add(sa, sa.layout, packet, packet + sa.layout.head(), text_length, sequence);
  }
  /// The same with the SA's layout as the caller has it, and the text elsewhere.
  template <typename Layout>
  crypto::PacketJob& add(Sa& sa, const Layout& layout, std::uint8_t* packet, const std::uint8_t* input,
                         std::size_t text_length, std::uint64_t sequence) {
    const std::size_t at = count(sa, text_length, layout.aead);
    crypto::PacketJob& job = job_.data()[at];
    make_esp_job(layout, packet, input, text_length, sequence, scratch_.data()[at], job);
    return job;
  }
  /// Likewise for a job made elsewhere.
  void add(Sa& sa, const crypto::PacketJob& job) { job_[count(sa, job.length, sa.layout.aead)] = job; }

  void seal() {
    run([](crypto::PacketCipher& cipher, std::span<crypto::PacketJob> jobs) { cipher.seal(jobs); },
        &crypto::ManyKeys::seal);
  }
  /// Afterwards `ok` tells of each packet.
  void open() {
    run([](crypto::PacketCipher& cipher, std::span<crypto::PacketJob> jobs) { cipher.open(jobs); },
        &crypto::ManyKeys::open);
  }
  void clear() {
    size_ = 0;
    octets_ = 0;
    mixed_ = false;
    most_ = kCapacity;
    keyless_.clear();
  }

 private:
  // The place of one more job.
  std::size_t count(Sa& sa, std::size_t text_length, bool aead) {
    const std::size_t at = size_++;
    CHECK(at < kCapacity);
    sa_.data()[at] = &sa;
    if (sa_[0] != &sa) {
      mixed_ = true;
      most_ = most_mixed_;
      sa.cipher.prefetch(text_length);  // the other packets of the batch come first
    }
    // A MAC of its own is computed for many packets at once, or costs several times as much each.
    if (aead) octets_ += text_length;
    return at;
  }
  // The jobs of one SA. Its cipher is asked for only now: the next one's may take its place.
  template <typename Operation>
  void run_one(Sa& sa, std::span<crypto::PacketJob> jobs, Operation operation) {
    if (crypto::PacketCipher* const cipher = sa.cipher.get(); cipher != nullptr) return operation(*cipher, jobs);
    for (crypto::PacketJob& job : jobs) job.ok = false;
    keyless_.push_back(&sa);
  }

  using ManyKeysOperation = void (*crypto::ManyKeys::*)(std::span<const crypto::KeyedJob>);

  template <typename Operation>
  void run(Operation operation, ManyKeysOperation many_operation) {
    if (size_ == 0) return;
    if (!mixed_) {
      run_one(*sa_[0], {job_.data(), size_}, operation);
      return;
    }
    const std::size_t rest = run_many_keys(many_operation);
    if (rest > 0) run_gathered(rest, operation);
    // As the last batch was, the next one will be.
    most_mixed_ = rest == 0 ? kMostMixed : kCapacity;
  }

  // Leaves in `rest_` the jobs that must be gathered, and returns their number.
  std::size_t run_many_keys(ManyKeysOperation operation) {
    const crypto::ManyKeys* kind = nullptr;
    std::uint32_t family = 0;  // whose kind it is
    std::size_t waiting = 0;
    const auto work = [&] {
      if (waiting > 0) (kind->*operation)({keyed_.data(), waiting});
      waiting = 0;
    };
    std::size_t rest = 0;
    const std::size_t count = size_;
    for (std::size_t i = 0; i < count; ++i) {
      Sa& sa = *sa_.data()[i];
      // Its cipher may take the place of one that waits here.
      if (!sa.cipher.is_expanded()) [[unlikely]]
        work();
      crypto::PacketCipher* const cipher = sa.cipher.get();
      if (cipher == nullptr || cipher->family() == 0) {
        rest_.data()[rest++] = static_cast<std::uint16_t>(i);
        continue;
      }
      if (cipher->family() != family) {
        work();
        family = cipher->family();
        kind = cipher->many_keys();
      }
      keyed_.data()[waiting++] = {cipher, &job_.data()[i]};
    }
    work();
    return rest;
  }

  template <typename Operation>
  void run_gathered(std::size_t rest, Operation operation) {
    // A counting sort by SA; the cursors are zero between batches.
    std::size_t distinct = 0;
    for (std::size_t r = 0; r < rest; ++r) {
      Sa* const sa = sa_[rest_[r]];
      if (sa->cursor.count++ == 0) distinct_[distinct++] = sa;
    }
    std::uint16_t next = 0;
    for (std::size_t d = 0; d < distinct; ++d) {
      distinct_[d]->cursor.next = next;
      next = static_cast<std::uint16_t>(next + distinct_[d]->cursor.count);
    }
    for (std::size_t r = 0; r < rest; ++r) {
      place_[r] = sa_[rest_[r]]->cursor.next++;
      gathered_[place_[r]] = job_[rest_[r]];
    }
    for (std::size_t d = 0; d < distinct; ++d) {
      auto& cursor = distinct_[d]->cursor;
      run_one(*distinct_[d], {gathered_.data() + cursor.next - cursor.count, cursor.count}, operation);
      cursor = {};
    }
    for (std::size_t r = 0; r < rest; ++r) job_[rest_[r]].ok = gathered_[place_[r]].ok;
  }

  static constexpr std::size_t kAhead = 4;  // packets between asking for a key's memory and looking at it

  std::size_t size_ = 0;
  std::size_t octets_ = 0;        // of combined modes' text
  std::size_t most_ = kCapacity;  // jobs in this batch
  std::size_t most_mixed_ = kMostMixed;
  bool mixed_ = false;
  std::array<crypto::PacketJob, kCapacity> job_{};
  std::array<crypto::PacketJob, kCapacity> gathered_{};
  std::array<Sa*, kCapacity> sa_{};
  std::array<Sa*, kCapacity> distinct_{};
  std::array<crypto::KeyedJob, kCapacity> keyed_{};
  std::array<std::uint16_t, kCapacity> rest_{};
  std::array<std::uint16_t, kCapacity> place_{};
  std::array<EspScratch, kCapacity> scratch_{};
  std::vector<const Sa*> keyless_;
};

}  // namespace culvert::ipsec
