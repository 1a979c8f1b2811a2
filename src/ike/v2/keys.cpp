#include "ike/v2/keys.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.hpp"

namespace culvert::ike::v2 {

namespace {

/// Cuts key material into consecutive pieces.
class KeyCutter {
 public:
  explicit KeyCutter(const SecretBytes& material) : rest_(material.view()) {}
  [[nodiscard]] SecretBytes take(std::size_t size) {
    CHECK(size <= rest_.size());
    SecretBytes piece = SecretBytes::copy_of(rest_.first(size));
    rest_ = rest_.subspan(size);
    return piece;
  }

 private:
  ByteView rest_;
};

/// The parts in one piece; a shared secret may be among them.
SecretBytes joined(std::initializer_list<ByteView> parts) {
  std::size_t total = 0;
  for (const ByteView part : parts) total += part.size();
  SecretBytes out(total);
  auto at = out.mutable_view().begin();
  for (const ByteView part : parts) at = std::ranges::copy(part, at).out;
  return out;
}

Bytes spi_octets(model::IkeSpi spi_i, model::IkeSpi spi_r) {
  ByteWriter out;
  out.u64(spi_i.value());
  out.u64(spi_r.value());
  return out.take();
}

}  // namespace

SkKeys::SkKeys(SecretBytes material, std::size_t prf_key, std::size_t integrity_key, std::size_t encryption_key)
    : block_(std::move(material)),
      prf_(static_cast<std::uint8_t>(prf_key)),
      integrity_(static_cast<std::uint8_t>(integrity_key)),
      encryption_(static_cast<std::uint8_t>(encryption_key)),
      auth_(prf_) {
  CHECK(std::max({prf_key, integrity_key, encryption_key}) <= std::numeric_limits<std::uint8_t>::max());
  CHECK(block_.size() == for_messages() + 2UL * auth_);
}

SkKeys& SkKeys::operator=(SkKeys&& other) noexcept {
  block_ = std::move(other.block_);
  prf_ = std::exchange(other.prf_, 0);
  integrity_ = std::exchange(other.integrity_, 0);
  encryption_ = std::exchange(other.encryption_, 0);
  auth_ = std::exchange(other.auth_, 0);
  return *this;
}

void SkKeys::replace_prf_keys(ByteView sk_d, ByteView sk_pi, ByteView sk_pr) {
  CHECK(sk_d.size() == prf_ && sk_pi.size() == auth_ && sk_pr.size() == auth_);
  const MutableByteView block = block_.mutable_view();
  std::ranges::copy(sk_d, block.begin());
  std::ranges::copy(sk_pi, block.subspan(for_messages()).begin());
  std::ranges::copy(sk_pr, block.subspan(for_messages() + auth_).begin());
}

void SkKeys::forget_auth_keys() {
  block_ = SecretBytes::copy_of(block_.view().first(for_messages()));
  auth_ = 0;
}

SecretBytes prf_plus(crypto::Prf prf, ByteView key, std::initializer_list<ByteView> seed, std::size_t length) {
  // RFC 7296 2.13: T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n), n at most 255.
  const std::size_t block = prf.size();
  CHECK(length <= 255 * block);
  const SecretBytes seed_octets = joined(seed);

  SecretBytes out(length);
  SecretBytes last;
  std::uint8_t counter = 0;
  for (std::size_t at = 0; at < length; at += last.size()) {
    ++counter;
    last = prf(key, {last.view(), seed_octets.view(), ByteView(&counter, 1)});
    const std::size_t taken = std::min(last.size(), length - at);
    std::ranges::copy(last.view().first(taken), out.mutable_view().begin() + static_cast<std::ptrdiff_t>(at));
  }
  return out;
}

SecretBytes skeyseed_initial(crypto::Prf prf, ByteView nonce_i, ByteView nonce_r, ByteView shared_secret) {
  // RFC 7296 2.14: AES's two take 64 bits of each nonce here, and all of both in prf+.
  constexpr std::size_t kOfEach = 8;
  const bool all = prf.is_hmac();
  const Bytes key = concat({all ? nonce_i : nonce_i.first(std::min(kOfEach, nonce_i.size())),
                            all ? nonce_r : nonce_r.first(std::min(kOfEach, nonce_r.size()))});
  return prf(key, {shared_secret});
}

SecretBytes skeyseed_rekey(crypto::Prf old_prf, ByteView old_sk_d, ByteView shared_secret, ByteView nonce_i,
                           ByteView nonce_r, ByteView further) {
  return old_prf(old_sk_d, {shared_secret, nonce_i, nonce_r, further});
}

SecretBytes skeyseed_resumed(crypto::Prf prf, ByteView old_sk_d, ByteView nonce_i, ByteView nonce_r) {
  return prf(old_sk_d, {as_bytes("Resumption"), nonce_i, nonce_r});
}

SkKeys derive_sk_keys(crypto::Prf prf, const crypto::PacketSuite& suite, ByteView skeyseed, ByteView nonce_i,
                      ByteView nonce_r, model::IkeSpi spi_i, model::IkeSpi spi_r) {
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  // RFC 7296 2.14: SK_d and SK_p have the prf's preferred key length, that of its output.
  const std::size_t prf_key = prf.size();
  const std::size_t total = 3 * prf_key + 2 * sizes.integrity_key + 2 * sizes.encryption_key;
  const Bytes spis = spi_octets(spi_i, spi_r);
  return {prf_plus(prf, skeyseed, {nonce_i, nonce_r, spis}, total), prf_key, sizes.integrity_key, sizes.encryption_key};
}

ChildKeys derive_child_keys(crypto::Prf prf, const crypto::PacketSuite& suite, ByteView sk_d, ByteView shared_secret,
                            ByteView nonce_i, ByteView nonce_r, model::Role role, ByteView further) {
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  const std::size_t total = 2 * (sizes.encryption_key + sizes.integrity_key);
  const SecretBytes material = prf_plus(prf, sk_d, {shared_secret, nonce_i, nonce_r, further}, total);

  // RFC 7296 2.17: all keys from initiator to responder first; of each direction encryption, then integrity.
  KeyCutter cutter(material);
  const auto take_direction = [&] {
    model::SaKeys keys;
    keys.encryption = cutter.take(sizes.encryption_key);
    keys.integrity = cutter.take(sizes.integrity_key);
    return keys;
  };
  model::SaKeys initiator_to_responder = take_direction();
  model::SaKeys responder_to_initiator = take_direction();
  if (role == model::Role::initiator) return {std::move(responder_to_initiator), std::move(initiator_to_responder)};
  return {std::move(initiator_to_responder), std::move(responder_to_initiator)};
}

}  // namespace culvert::ike::v2
