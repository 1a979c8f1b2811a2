// Quick crash detection (RFC 6290). A token belongs to the SPIs of an IKE SA and can be made again from a secret that
// outlives the process: given to the peer under the IKE SA, and shown to it in clear by one that has forgotten the IKE
// SA, which thereby proves that it has.
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// The token of an IKE SA of ours, 16 octets; empty without a secret.
[[nodiscard]] Bytes crash_token(const Core& core, model::IkeSpi spi_i, model::IkeSpi spi_r);

/// Ours, for the peer, into a protected message under the IKE SA, or under the one that it comes of. Nothing where the
/// connection does not want it.
void add_crash_token(codec::Message& message, const Core& core, IkeSa& sa, const model::ConnectionConfig& config);
/// In an INFORMATIONAL of its own, unless the peer has it (RFC 6290 4.3).
void send_crash_token(const Core& core, IkeSa& sa);
/// The peer's, from a protected message.
void take_crash_token(const Core& core, IkeSa& sa, const codec::Message& message);

/// For the answer in clear to a protected request with these SPIs, which lead to no IKE SA; empty where there is to be
/// none.
[[nodiscard]] Bytes token_for_stray(Core& core, model::IkeSpi spi_i, model::IkeSpi spi_r);
/// A message in clear that says that the peer does not know the IKE SA. True: it has proved that, and the IKE SA is
/// gone; false: it has shown no token, or a wrong one, which is counted.
[[nodiscard]] bool end_forgotten(Core& core, IkeSa& sa, const codec::ParsedMessage& parsed);

}  // namespace culvert::ike::v2
