// The key schedule of IKEv2: SKEYSEED, the seven SK_ keys and the key material of Child SAs (RFC
// 7296 2.13, 2.14, 2.17, 2.18).
#pragma once

#include <initializer_list>

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

/// The keys of an IKE SA. Initiator (_i) is the original initiator of this IKE SA; sk_e hold key and salt; sk_a are
/// empty for AEADs.
struct SkKeys {
  SecretBytes sk_d;
  SecretBytes sk_ai, sk_ar;
  SecretBytes sk_ei, sk_er;
  SecretBytes sk_pi, sk_pr;

  [[nodiscard]] const SecretBytes& sk_a(model::Role side) const {
    return side == model::Role::initiator ? sk_ai : sk_ar;
  }
  [[nodiscard]] const SecretBytes& sk_e(model::Role side) const {
    return side == model::Role::initiator ? sk_ei : sk_er;
  }
  [[nodiscard]] const SecretBytes& sk_p(model::Role side) const {
    return side == model::Role::initiator ? sk_pi : sk_pr;
  }
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
