// The key schedule of IKEv2: SKEYSEED, the seven SK_ keys and the key material of Child SAs (RFC
// 7296 2.13, 2.14, 2.17, 2.18).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/prf.hpp"
#include "model/child_sa.hpp"
#include "model/ids.hpp"

namespace culvert::ike::v2 {

/// prf+ (RFC 7296 2.13): `length` octets, at most 255 times the prf's output.
[[nodiscard]] SecretBytes prf_plus(crypto::Prf prf, ByteView key, std::initializer_list<ByteView> seed,
                                   std::size_t length);

/// The keys of an IKE SA, in the one block that they were cut from. Initiator (_i) is the original initiator of this
/// IKE SA; sk_e hold key and salt; sk_a are empty for AEADs.
class SkKeys {
 public:
  SkKeys() = default;
  /// `material` is SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr (RFC 7296 2.14), each of its kind's length:
  /// SK_d and SK_p that of the prf.
  SkKeys(SecretBytes material, std::size_t prf_key, std::size_t integrity_key, std::size_t encryption_key);
  SkKeys(SkKeys&& other) noexcept { *this = std::move(other); }
  SkKeys& operator=(SkKeys&& other) noexcept;

  [[nodiscard]] ByteView sk_d() const { return piece(0, prf_); }
  [[nodiscard]] ByteView sk_ai() const { return piece(prf_, integrity_); }
  [[nodiscard]] ByteView sk_ar() const { return piece(prf_ + integrity_, integrity_); }
  [[nodiscard]] ByteView sk_ei() const { return piece(prf_ + 2 * integrity_, encryption_); }
  [[nodiscard]] ByteView sk_er() const { return piece(prf_ + 2 * integrity_ + encryption_, encryption_); }
  [[nodiscard]] ByteView sk_pi() const { return piece(for_messages(), auth_); }
  [[nodiscard]] ByteView sk_pr() const { return piece(for_messages() + auth_, auth_); }
  [[nodiscard]] ByteView sk_a(model::Role side) const { return side == model::Role::initiator ? sk_ai() : sk_ar(); }
  [[nodiscard]] ByteView sk_e(model::Role side) const { return side == model::Role::initiator ? sk_ei() : sk_er(); }
  [[nodiscard]] ByteView sk_p(model::Role side) const { return side == model::Role::initiator ? sk_pi() : sk_pr(); }

  /// Others in place of SK_d, SK_pi and SK_pr, of the same lengths.
  void replace_prf_keys(ByteView sk_d, ByteView sk_pi, ByteView sk_pr);
  /// SK_pi and SK_pr have done their work; they are empty from now on.
  void forget_auth_keys();

 private:
  [[nodiscard]] ByteView piece(std::size_t at, std::size_t size) const { return block_.view().subspan(at, size); }
  [[nodiscard]] std::size_t for_messages() const { return prf_ + 2UL * integrity_ + 2UL * encryption_; }

  SecretBytes block_;
  std::uint8_t prf_ = 0;
  std::uint8_t integrity_ = 0;
  std::uint8_t encryption_ = 0;
  std::uint8_t auth_ = 0;
};

/// SKEYSEED of IKE_SA_INIT: prf(Ni | Nr, g^ir) (RFC 7296 2.14).
[[nodiscard]] SecretBytes skeyseed_initial(crypto::Prf prf, ByteView nonce_i, ByteView nonce_r, ByteView shared_secret);
/// SKEYSEED of a rekeyed IKE SA: prf(SK_d of the old, g^ir (new) | Ni | Nr), with the old IKE SA's prf (RFC 7296 2.18).
/// `further` are the secrets of additional key exchanges, SK(1) | ... | SK(n), which go behind (RFC 9370 2.2.4).
[[nodiscard]] SecretBytes skeyseed_rekey(crypto::Prf old_prf, ByteView old_sk_d, ByteView shared_secret,
                                         ByteView nonce_i, ByteView nonce_r, ByteView further = {});
/// SKEYSEED of a resumed IKE SA: prf(SK_d of the old, "Resumption" | Ni | Nr), with the old IKE SA's prf (RFC
/// 5723 5.1).
[[nodiscard]] SecretBytes skeyseed_resumed(crypto::Prf prf, ByteView old_sk_d, ByteView nonce_i, ByteView nonce_r);
/// The SK_ keys cut to the sizes of the suite and prf of the IKE SA they are for; nonces and SPIs of the exchange that
/// makes it.
[[nodiscard]] SkKeys derive_sk_keys(crypto::Prf prf, const crypto::PacketSuite& suite, ByteView skeyseed,
                                    ByteView nonce_i, ByteView nonce_r, model::IkeSpi spi_i, model::IkeSpi spi_r);

/// Key material of a Child SA pair, by direction as this side sees it.
struct ChildKeys {
  model::SaKeys inbound;
  model::SaKeys outbound;
};
/// KEYMAT = prf+(SK_d, [g^ir (new)] | Ni | Nr), cut into the keys from initiator to responder, then back (RFC
/// 7296 2.17). `role` is ours in the exchange that makes the pair; `shared_secret` is empty without a new key exchange,
/// `further` as for skeyseed_rekey.
[[nodiscard]] ChildKeys derive_child_keys(crypto::Prf prf, const crypto::PacketSuite& suite, ByteView sk_d,
                                          ByteView shared_secret, ByteView nonce_i, ByteView nonce_r, model::Role role,
                                          ByteView further = {});

}  // namespace culvert::ike::v2
