// JobBatch: the crypto work of up to 128 packets of any SAs in order of arrival. Ciphers that work on many keys in one
// call get it in that order, others gathered by SA. As long as all packets have the usual layout each is one EspJob,
// which is all that their ciphers want to know; where something else comes in, all become PacketJobs.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
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
  static constexpr std::size_t kMostOctets = std::size_t{32} * 1024;
  /// Likewise of jobs of many keys where the cipher takes them in any order: SAs and keys are much longer than packets.
  static constexpr std::size_t kMostMixed = 64;

  [[nodiscard]] std::size_t size() const { return size_; }
  /// No more than `kCapacity` fit; beyond the other bounds it only costs.
  [[nodiscard]] bool full() const { return size_ >= most_ || octets_ >= kMostOctets; }
  /// Of the batch before it is worked on, or of one that had to become PacketJobs: always so where `keyless`, and where
  /// any packet came by `add` without the usual layout.
  [[nodiscard]] const crypto::PacketJob& job(std::size_t index) const {
    CHECK(!usual_);
    return job_[index];
  }
  [[nodiscard]] bool ok(std::size_t index) const { return esp_.data()[index].ok; }
  /// What was added with UsualLayout.
  [[nodiscard]] const crypto::EspJob& usual(std::size_t index) const { return esp_.data()[index]; }
  /// Whether it is the SA of the packet that was added last.
  [[nodiscard]] bool goes_on_with(const Sa& sa) const { return size_ != 0 && sa_at(size_ - 1) == &sa; }
  /// After `seal` or `open`: the packet is as it was, because no cipher could be made for its SA. It is not `ok`.
  [[nodiscard]] bool keyless(std::size_t index) const {
    return any_keyless() && std::ranges::find(keyless_, sa_at(index)) != keyless_.end();
  }
  [[nodiscard]] bool any_keyless() const { return !keyless_.empty(); }

  /// Adds the packet at `packet`, to be worked on in place; the batch must not be full.
  void add(Sa& sa, std::uint8_t* packet, std::size_t text_length, std::uint64_t sequence) {
    add(sa, sa.layout, packet, packet + sa.layout.head(), text_length, sequence);
  }
  /// The same with the SA's layout as the caller has it, and the text elsewhere.
  template <typename Layout>
  void add(Sa& sa, const Layout& layout, std::uint8_t* packet, const std::uint8_t* input, std::size_t text_length,
           std::uint64_t sequence) {
    if constexpr (std::is_same_v<Layout, UsualLayout>) {
      const std::size_t at = count(sa, text_length, true);
      set(esp_.data()[at], sa, packet, input, text_length, sequence);
      if (!usual_) [[unlikely]]
        make_job(at);
    } else {
      if (usual_) leave_usual();
      const std::size_t at = count(sa, text_length, layout.aead);
      make_esp_job(layout, packet, input, text_length, sequence, scratch_.data()[at], job_.data()[at]);
    }
  }
  /// Likewise for a job made elsewhere.
  void add(Sa& sa, const crypto::PacketJob& job) {
    if (usual_) leave_usual();
    job_[count(sa, job.length, sa.layout.aead)] = job;
  }

  /// How many packets of the usual layout, of the SA that was added last, may be made in a row with `next`; as soon as
  /// they have `free_octets` of text no more.
  [[nodiscard]] std::size_t free_places() const { return !usual_ || full() ? 0 : most_ - size_; }
  [[nodiscard]] std::size_t free_octets() const { return kMostOctets - octets_; }
  /// The same for packets with so much text each.
  [[nodiscard]] std::size_t free_places(std::size_t text_length) const {
    const std::size_t places = free_places();
    if (places == 0) return 0;
    const auto each = static_cast<std::uint32_t>(text_length);
    return std::min<std::size_t>(places, (static_cast<std::uint32_t>(free_octets()) + each - 1) / each);
  }
  /// Whether a packet of this SA makes it a batch of several SAs, or it is one.
  [[nodiscard]] bool mixed_with(const Sa& sa) const { return mixed_ || (size_ != 0 && sa_at(0) != &sa); }
  /// As free_places, of several SAs or just of the one that the batch has, or will have.
  [[nodiscard]] std::size_t free_places_if(bool mixed) const {
    const std::size_t most = mixed ? most_mixed_ : kCapacity;
    return !usual_ || size_ >= most || octets_ >= kMostOctets ? 0 : most - size_;
  }
  /// Where all ciphers are known when the packets come, and of one family, nothing has to be asked for when the batch
  /// is run: the family, and that of `sa` if the batch is empty.
  [[nodiscard]] std::uint8_t family(const Sa& sa) {
    if (size_ == 0) {
      // All SAs have one pool. To ask each time would be a line of the SA more.
      if (pool_ == nullptr) pool_ = &sa.cipher.pool();
      family_ = sa.cipher.family();
      ready_ = family_ != 0;
      pool_changes_ = pool_->changes();
    } else if (family_ == 0) {
      family_ = sa_at(0)->cipher.family();
    }
    return family_;
  }
  /// The next places, for `set`, which does not set the cipher; then `added` tells of them.
  [[nodiscard]] crypto::EspJob* next() { return esp_.data() + size_; }
  /// Whoever makes short packets' jobs asks for the keys of those in front of this one; the cipher for the others'.
  [[nodiscard]] const crypto::EspJob* keys_end(bool mixed) const {
    return esp_.data() + (mixed ? crypto::ManyKeys::kKeysAhead : 1);
  }
  void added(std::size_t count, std::size_t octets, bool mixed) {
    CHECK(count <= kCapacity - size_);
    size_ += count;
    octets_ += octets;
    if (!mixed) return;
    mixed_ = true;
    most_ = most_mixed_;
  }
  void added(Sa& sa, std::size_t count, std::size_t octets) {
    CHECK(count <= kCapacity - size_ && (size_ == 0 || sa_at(size_ - 1) == &sa));
    size_ += count;
    octets_ += octets;
  }
  [[gnu::always_inline]] static void set(crypto::EspJob& job, Sa& sa, std::uint8_t* packet, const std::uint8_t* input,
                                         std::size_t text_length, std::uint64_t sequence) {
    job.owner = &sa;
    job.input = input;
    job.packet = packet;
    job.sequence = sequence;
    job.length = static_cast<std::uint32_t>(text_length);
  }

  void seal() {
    run([](crypto::PacketCipher& cipher, std::span<crypto::PacketJob> jobs) { cipher.seal(jobs); },
        &crypto::ManyKeys::seal, &crypto::ManyKeys::seal_esp);
  }
  /// Afterwards `ok` tells of each packet.
  void open() {
    run([](crypto::PacketCipher& cipher, std::span<crypto::PacketJob> jobs) { cipher.open(jobs); },
        &crypto::ManyKeys::open, &crypto::ManyKeys::open_esp);
  }
  void clear() {
    size_ = 0;
    octets_ = 0;
    mixed_ = false;
    ready_ = false;
    family_ = 0;
    usual_ = true;
    most_ = kCapacity;
    keyless_.clear();
  }

 private:
  [[nodiscard]] Sa* sa_at(std::size_t index) const { return static_cast<Sa*>(esp_.data()[index].owner); }
  // The place of one more job.
  std::size_t count(Sa& sa, std::size_t text_length, bool aead) {
    ready_ = false;
    const std::size_t at = size_++;
    CHECK(at < kCapacity);
    esp_.data()[at].owner = &sa;
    if (sa_at(0) != &sa) {
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

  using EspOperation = void (*crypto::ManyKeys::*)(std::span<crypto::EspJob>);

  template <typename Operation>
  void run(Operation operation, ManyKeysOperation many_operation, EspOperation esp_operation) {
    if (size_ == 0) return;
    if (usual_) {
      if (run_usual(esp_operation)) return;
      leave_usual();
    }
    if (!mixed_) {
      run_one(*sa_at(0), {job_.data(), size_}, operation);
    } else {
      const std::size_t rest = run_many_keys(many_operation);
      if (rest > 0) run_gathered(rest, operation);
      // As the last batch was, the next one will be.
      most_mixed_ = rest == 0 ? kMostMixed : kCapacity;
    }
    for (std::size_t i = 0; i < size_; ++i) esp_[i].ok = job_[i].ok;
  }

  // False, and nothing was done, unless all ciphers are there and of one kind, which takes such jobs.
  bool run_usual(EspOperation operation) {
    const std::size_t count = size_;
    if (ready_ && pool_changes_ == pool_->changes()) {
      if (mixed_) most_mixed_ = kMostMixed;
    } else if (!find_ciphers()) {
      return false;
    }
    (esp_[0].cipher->many_keys()->*operation)({esp_.data(), count});
    return true;
  }
  bool find_ciphers() {
    Sa& first = *sa_at(0);
    const std::uint8_t family = first.cipher.family();
    if (family == 0) return false;
    crypto::PacketCipher* const cipher = first.cipher.get();
    const std::size_t count = size_;
    if (!mixed_) {
      for (std::size_t i = 0; i < count; ++i) esp_.data()[i].cipher = cipher;
      return true;
    }
    for (std::size_t i = 0; i < count; ++i) {
      Sa& sa = *sa_at(i);
      if (sa.cipher.family() != family) [[unlikely]]
        return false;
      esp_.data()[i].cipher = sa.cipher.get();
    }
    most_mixed_ = kMostMixed;
    return true;
  }

  void leave_usual() {
    for (std::size_t i = 0; i < size_; ++i) make_job(i);
    usual_ = false;
  }
  void make_job(std::size_t at) {
    const crypto::EspJob& job = esp_[at];
    make_esp_job(UsualLayout{}, job.packet, job.input, job.length, job.sequence, scratch_[at], job_[at]);
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
      Sa& sa = *sa_at(i);
      // Its cipher may take the place of one that waits here.
      if (!sa.cipher.is_expanded()) [[unlikely]]
        work();
      crypto::PacketCipher* const cipher = sa.cipher.get();
      if (cipher == nullptr || sa.cipher.family() == 0) {
        rest_.data()[rest++] = static_cast<std::uint16_t>(i);
        continue;
      }
      if (sa.cipher.family() != family) {
        work();
        family = sa.cipher.family();
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
      Sa* const sa = sa_at(rest_[r]);
      if (sa->cursor.count++ == 0) distinct_[distinct++] = sa;
    }
    static_assert(kCapacity <= 255);
    std::uint8_t next = 0;
    for (std::size_t d = 0; d < distinct; ++d) {
      distinct_[d]->cursor.next = next;
      next = static_cast<std::uint8_t>(next + distinct_[d]->cursor.count);
    }
    for (std::size_t r = 0; r < rest; ++r) {
      place_[r] = sa_at(rest_[r])->cursor.next++;
      gathered_[place_[r]] = job_[rest_[r]];
    }
    for (std::size_t d = 0; d < distinct; ++d) {
      auto& cursor = distinct_[d]->cursor;
      run_one(*distinct_[d], {gathered_.data() + cursor.next - cursor.count, cursor.count}, operation);
      cursor = {};
    }
    for (std::size_t r = 0; r < rest; ++r) job_[rest_[r]].ok = gathered_[place_[r]].ok;
  }

  std::size_t size_ = 0;
  std::size_t octets_ = 0;        // of combined modes' text
  std::size_t most_ = kCapacity;  // jobs in this batch
  std::size_t most_mixed_ = kMostMixed;
  bool mixed_ = false;
  bool ready_ = false;       // each job has its cipher, as the pool was then
  std::uint8_t family_ = 0;  // once `family` has found it
  const CipherPool* pool_ = nullptr;
  std::uint64_t pool_changes_ = 0;
  bool usual_ = true;  // all that were added are in `esp_`, else in `job_`
  std::array<crypto::EspJob, kCapacity> esp_{};
  std::array<crypto::PacketJob, kCapacity> job_{};
  std::array<crypto::PacketJob, kCapacity> gathered_{};
  std::array<Sa*, kCapacity> distinct_{};
  std::array<crypto::KeyedJob, kCapacity> keyed_{};
  std::array<std::uint16_t, kCapacity> rest_{};
  std::array<std::uint16_t, kCapacity> place_{};
  std::array<EspScratch, kCapacity> scratch_{};
  std::vector<const Sa*> keyless_;
};

}  // namespace culvert::ipsec
