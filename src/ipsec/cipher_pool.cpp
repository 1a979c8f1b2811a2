#include "ipsec/cipher_pool.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace culvert::ipsec {

SaKeyPair::SaKeyPair(CipherPool& pool, const crypto::PacketSuite& suite, const model::SaKeys& outbound,
                     const model::SaKeys& inbound)
    : pool_(pool),
      suite_(suite),
      keys_(outbound.encryption.size() + outbound.integrity.size() + inbound.encryption.size() +
            inbound.integrity.size()) {
  auto at = keys_.mutable_view().begin();
  for (const model::SaKeys* const keys : {&outbound, &inbound}) {
    at = std::ranges::copy(keys->encryption.view(), at).out;
    at = std::ranges::copy(keys->integrity.view(), at).out;
  }
}

SaCipher::~SaCipher() {
  if (expanded_ != nullptr) keys_.pool_.give_up(*this);
}

crypto::PacketCipher* SaCipher::expand() { return keys_.pool_.expand(*this); }

CipherPool::Maker CipherPool::maker_of(crypto::Backend backend) {
  return [backend](const crypto::PacketSuite& suite, ByteView encryption_key, ByteView integrity_key) {
    auto cipher = crypto::make_packet_cipher(suite, encryption_key, integrity_key, backend);
    return cipher ? std::move(*cipher) : nullptr;
  };
}

CipherPool::CipherPool(std::size_t capacity, Maker maker) : capacity_(capacity), maker_(std::move(maker)) {
  CHECK(capacity >= 1 && capacity <= kPlaces);
}

CipherPool::~CipherPool() { CHECK(size() == 0); }

crypto::PacketCipher* CipherPool::expand(SaCipher& owner) {
  const ByteView both = owner.keys_.keys_.view();
  const std::size_t half = both.size() / 2;
  const ByteView key = owner.direction_ == KeyDirection::outbound ? both.first(half) : both.subspan(half);
  const std::size_t encryption = crypto::sizes_of(owner.suite()).encryption_key;
  auto cipher = maker_(owner.suite(), key.first(encryption), key.subspan(encryption));
  if (cipher == nullptr) return nullptr;
  ++expansions_;
  owner.place_ = find_place() & kPlaces;
  owner.expanded_ = cipher.get();
  owner.state_.family = static_cast<std::uint8_t>(cipher->family());
  places_[owner.place_] = {std::move(cipher), &owner};
  return owner.expanded_;
}

void CipherPool::give_up(SaCipher& owner) {
  ++losses_;
  places_[owner.place_] = {};
  vacant_.push_back(owner.place_);
  owner.forget();
}

std::uint32_t CipherPool::find_place() {
  if (!vacant_.empty()) {
    const std::uint32_t place = vacant_.back();
    vacant_.pop_back();
    return place;
  }
  if (places_.size() == capacity_) return take_from_idle();
  places_.emplace_back();
  return static_cast<std::uint32_t>(places_.size() - 1);
}

// Every place is taken. At the latest in its second round the hand finds one that is not in use.
std::uint32_t CipherPool::take_from_idle() {
  for (;;) {
    const std::uint32_t place = hand_;
    hand_ = place + 1 < places_.size() ? place + 1 : 0;
    SaCipher& owner = *places_[place].owner;
    if (!owner.state_.used) {
      owner.forget();
      return place;
    }
    owner.state_.used = false;
  }
}

}  // namespace culvert::ipsec
