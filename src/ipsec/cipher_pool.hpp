// CipherPool: the expanded keys of the SAs that are in use. An expanded key is many times as long as the key itself
// (AES-128-GCM: more than a KiB for 20 octets). Of very many SAs only those that packets come for need theirs; the
// others keep the bare key, and get the expanded one again when a packet comes.
//
// The pool gives everyone a second chance (the CLOCK algorithm): when it is full, a hand goes round, and takes the
// first expanded key that was not used since it came by before.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/prefetch.hpp"
#include "base/secret.hpp"
#include "crypto/packet_cipher.hpp"
#include "model/child_sa.hpp"

namespace culvert::ipsec {

class CipherPool;

/// The bare keys of an SA pair. Sequence numbers, and so IVs, are the SA's: expanding a key anew repeats none of them.
class SaKeyPair {
 public:
  /// Copies the keys. `pool` and `suite` must outlive the object. The keys have the lengths that the suite wants.
  SaKeyPair(CipherPool& pool, const crypto::PacketSuite& suite, const model::SaKeys& outbound,
            const model::SaKeys& inbound);

 private:
  friend class SaCipher;
  friend class CipherPool;
  CipherPool& pool_;
  const crypto::PacketSuite& suite_;
  SecretBytes keys_;  // outbound, then inbound: the encryption key with its salt, then the integrity key
};

enum class KeyDirection : bool { outbound, inbound };

/// One direction's cipher as its SA has it: the expanded key, while the pool has it. It stays where it is made, because
/// the pool knows it by its place.
class SaCipher {
  struct State {
    bool used = false;  // since the hand came by
    std::uint8_t family = 0;
    std::uint16_t owners_half = 0;
    std::uint32_t owners_word = 0;
  };

 public:
  /// So many octets in front are all of it that packets need while the expanded key is there.
  static constexpr std::size_t kUsualPart = 16;

  /// `keys` must outlive the object and stay where they are.
  SaCipher(const SaKeyPair& keys, KeyDirection direction) : keys_(keys), direction_(direction) {}
  ~SaCipher();
  SaCipher(const SaCipher&) = delete;
  SaCipher& operator=(const SaCipher&) = delete;

  /// The cipher, to be used before any other SA of the pool asks for its own. Null when the library cannot make it.
  [[nodiscard]] crypto::PacketCipher* get() {
    state_.used = true;
    return expanded_ != nullptr ? expanded_ : expand();
  }
  [[nodiscard]] bool is_expanded() const { return expanded_ != nullptr; }
  /// The cipher if it is there, to be used as long as `CipherPool::changes` stays.
  [[nodiscard, gnu::always_inline]] crypto::PacketCipher* ready() {
    state_.used = true;
    return expanded_;
  }
  /// The same where `state` has just said that it is there and marked as used.
  [[nodiscard]] crypto::PacketCipher* ready_and_used() const { return expanded_; }
  /// Where the keys come from; it stands apart from what packets need.
  [[nodiscard]] const CipherPool& pool() const { return keys_.pool_; }
  /// PacketCipher::family of the expanded key, if there is one, without looking there; else 0.
  [[nodiscard]] std::uint8_t family() const { return state_.family; }
  /// Six octets are the owner's, who can so compare them and the family at once: equal to `state_of` when the cipher
  /// is there, of this family, marked as used, and those octets are these.
  [[nodiscard, gnu::always_inline]] std::uint64_t state() const { return std::bit_cast<std::uint64_t>(state_); }
  [[nodiscard]] static std::uint64_t state_of(std::uint8_t family, std::uint16_t half, std::uint32_t word) {
    return std::bit_cast<std::uint64_t>(State{true, family, half, word});
  }
  /// The bits of a state that `half` is in; a state of `half` 0 and these make that of another.
  [[nodiscard]] static constexpr std::uint64_t half_bits(std::uint16_t half) {
    return std::bit_cast<std::uint64_t>(State{false, 0, half, 0});
  }
  void mark_used() { state_.used = true; }
  [[nodiscard]] std::uint16_t owners_half() const { return state_.owners_half; }
  void set_owners_half(std::uint16_t half) { state_.owners_half = half; }
  [[nodiscard]] std::uint32_t owners_word() const { return state_.owners_word; }
  void set_owners_word(std::uint32_t word) { state_.owners_word = word; }
  /// Asks for the memory of the expanded key as far as the short ones go (AES-GCM's). Where there is none nothing is
  /// asked for, which needs no branch: nothing lies at the addresses behind null.
  [[gnu::always_inline]] void prefetch(std::size_t text_length) const {
    const auto* const at = reinterpret_cast<const std::uint8_t*>(expanded_);
    // The high powers of H, which only longer packets need.
    if (text_length > crypto::EspJob::kShortText) {
      culvert::prefetch(at);
      culvert::prefetch(at + 64);
    }
#pragma GCC unroll 7
    for (std::size_t line = 2; line < 7; ++line) culvert::prefetch(at + 64 * line);
  }
  [[nodiscard]] const crypto::PacketSuite& suite() const { return keys_.suite_; }

 private:
  friend class CipherPool;
  crypto::PacketCipher* expand();
  void forget() {
    expanded_ = nullptr;
    state_.family = 0;
  }

  // What packets need, kUsualPart octets, comes first.
  crypto::PacketCipher* expanded_ = nullptr;
  State state_;
  const SaKeyPair& keys_;
  std::uint32_t place_ : 31 = 0;  // in the pool, if expanded
  KeyDirection direction_ : 1;
};

class CipherPool {
 public:
  /// Makes a cipher as crypto::make_packet_cipher does; null when it cannot.
  using Maker = std::function<std::unique_ptr<crypto::PacketCipher>(const crypto::PacketSuite& suite,
                                                                    ByteView encryption_key, ByteView integrity_key)>;
  [[nodiscard]] static Maker maker_of(crypto::Backend backend);

  /// Holds up to `capacity` expanded keys, at least one.
  CipherPool(std::size_t capacity, Maker maker);
  CipherPool(const CipherPool&) = delete;
  CipherPool& operator=(const CipherPool&) = delete;
  /// No SaCipher of the pool may be left.
  ~CipherPool();

  [[nodiscard]] std::size_t size() const { return places_.size() - vacant_.size(); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// How many keys were expanded so far.
  [[nodiscard]] std::uint64_t expansions() const { return expansions_; }
  /// Changes whenever a place is given to another key, or taken away.
  [[nodiscard]] std::uint64_t changes() const { return expansions_ + losses_; }

 private:
  friend class SaCipher;
  struct Place {
    std::unique_ptr<crypto::PacketCipher> cipher;
    SaCipher* owner = nullptr;
  };
  static constexpr std::uint32_t kPlaces = 0x7fff'ffff;  // as many as SaCipher can number
  crypto::PacketCipher* expand(SaCipher& owner);
  void give_up(SaCipher& owner);
  [[nodiscard]] std::uint32_t find_place();
  [[nodiscard]] std::uint32_t take_from_idle();

  std::size_t capacity_;
  Maker maker_;
  std::vector<Place> places_;  // grows with demand
  std::vector<std::uint32_t> vacant_;
  std::uint32_t hand_ = 0;
  std::uint64_t expansions_ = 0;
  std::uint64_t losses_ = 0;  // keys given up
};

}  // namespace culvert::ipsec
