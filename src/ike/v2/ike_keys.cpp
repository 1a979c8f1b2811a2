#include "ike/v2/ike_keys.hpp"

#include <utility>

#include "ike/v2/keys.hpp"

namespace culvert::ike::v2 {

bool is_usable(const model::IkeSuite& suite) {
  return model::packet_suite(suite.encryption, suite.key_bits, suite.integrity) && model::prf_hash(suite.prf) &&
         model::key_exchange_id(suite.key_exchange);
}

Result<void, crypto::CryptoError> key_ike_sa(Core& core, IkeSa& sa, const model::IkeSuite& suite, ByteView skeyseed,
                                             ByteView nonce_i, ByteView nonce_r) {
  const auto packet = model::packet_suite(suite.encryption, suite.key_bits, suite.integrity);
  const auto prf = model::prf_hash(suite.prf);
  if (!packet || !prf) return err(crypto::CryptoError::unsupported);
  sa.suite = suite;
  sa.prf = *prf;
  sa.keys = derive_sk_keys(*prf, *packet, skeyseed, nonce_i, nonce_r, sa.spi_i, sa.spi_r);
  auto sealer =
      codec::MessageSealer::make(*packet, sa.keys.sk_e(sa.role).view(), sa.keys.sk_a(sa.role).view(), core.random);
  if (!sealer) return err(sealer.error());
  auto opener =
      codec::MessageOpener::make(*packet, sa.keys.sk_e(sa.peer_role()).view(), sa.keys.sk_a(sa.peer_role()).view());
  if (!opener) return err(opener.error());
  sa.sealer = std::move(*sealer);
  sa.opener = std::move(*opener);
  if (core.settings.export_keys) {
    core.emit(KeysExported{.spi_i = sa.spi_i,
                           .spi_r = sa.spi_r,
                           .suite = suite,
                           .sk_ei = sa.keys.sk_ei.clone(),
                           .sk_er = sa.keys.sk_er.clone(),
                           .sk_ai = sa.keys.sk_ai.clone(),
                           .sk_ar = sa.keys.sk_ar.clone()});
  }
  return {};
}

}  // namespace culvert::ike::v2
