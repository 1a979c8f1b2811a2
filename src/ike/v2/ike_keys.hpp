// From an agreed suite and a shared secret to an IKE SA that can seal and open.
#pragma once

#include "base/result.hpp"
#include "crypto/error.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// True when our crypto has every algorithm of the suite.
[[nodiscard]] bool is_usable(const model::IkeSuite& suite);

/// Derives the SK_ keys into `sa`, whose role and SPIs are set, and makes its sealer and opener. Exports the keys if
/// that is switched on.
[[nodiscard]] Result<void, crypto::CryptoError> key_ike_sa(Core& core, IkeSa& sa, const model::IkeSuite& suite,
                                                           ByteView skeyseed, ByteView nonce_i, ByteView nonce_r);

}  // namespace culvert::ike::v2
