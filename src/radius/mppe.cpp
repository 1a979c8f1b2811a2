#include "radius/mppe.hpp"

#include <algorithm>

#include "crypto/prf.hpp"

namespace culvert::radius {
namespace {

constexpr std::size_t kSaltSize = 2;
constexpr std::size_t kBlock = 16;
constexpr std::size_t kLeastMsk = 64;

/// b(1) = MD5(secret + authenticator + salt), b(i) = MD5(secret + c(i-1)); XORed onto each block. `hidden` tells where
/// the c(i) come from: input when revealing, output when hiding.
void apply(MutableByteView data, ByteView salt, const Authenticator& request, ByteView secret, bool hides) {
  Bytes previous = concat({request, salt});
  for (std::size_t at = 0; at < data.size(); at += kBlock) {
    Bytes mask = crypto::hash(crypto::HashId::md5, {secret, previous});
    const MutableByteView block = data.subspan(at, kBlock);
    if (!hides) previous = to_bytes(block);
    for (std::size_t i = 0; i < kBlock; ++i) block[i] ^= mask[i];
    if (hides) previous = to_bytes(block);
    wipe(mask);
  }
}

}  // namespace

std::optional<SecretBytes> reveal_key(ByteView value, const Authenticator& request, ByteView secret) {
  // RFC 2548 2.4.2: the salt's most significant bit is set; the rest is whole blocks.
  if (value.size() < kSaltSize + kBlock || (value.size() - kSaltSize) % kBlock != 0 || (value[0] & 0x80) == 0)
    return std::nullopt;
  SecretBytes plain = SecretBytes::copy_of(value.subspan(kSaltSize));
  apply(plain.mutable_view(), value.first(kSaltSize), request, secret, false);
  const std::size_t size = plain.view()[0];
  if (size == 0 || size >= plain.size()) return std::nullopt;
  return SecretBytes::copy_of(plain.view().subspan(1, size));
}

Bytes hide_key(ByteView key, std::uint16_t salt, const Authenticator& request, ByteView secret) {
  Bytes out(kSaltSize + (1 + key.size() + kBlock - 1) / kBlock * kBlock, 0);
  store_be16(out.data(), salt);
  out[kSaltSize] = static_cast<std::uint8_t>(key.size());
  std::ranges::copy(key, out.begin() + kSaltSize + 1);
  apply(MutableByteView(out).subspan(kSaltSize), ByteView(out).first(kSaltSize), request, secret, true);
  return out;
}

std::optional<SecretBytes> msk_of(const Packet& accept, const Authenticator& request, ByteView secret) {
  const auto received = accept.microsoft(kMppeRecvKey);
  const auto sent = accept.microsoft(kMppeSendKey);
  if (!received && !sent) return SecretBytes();
  if (!received || !sent) return std::nullopt;
  const auto first = reveal_key(*received, request, secret);
  const auto second = reveal_key(*sent, request, secret);
  if (!first || !second) return std::nullopt;
  SecretBytes msk(std::max(kLeastMsk, first->size() + second->size()));
  std::ranges::copy(first->view(), msk.mutable_view().begin());
  std::ranges::copy(second->view(), msk.mutable_view().begin() + static_cast<std::ptrdiff_t>(first->size()));
  return msk;
}

}  // namespace culvert::radius
