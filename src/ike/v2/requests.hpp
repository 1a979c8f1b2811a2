// From the peer's request to the exchange that answers it, and the answers that depend on the state of the IKE SA
// alone.
#pragma once

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/payload_rules.hpp"

namespace culvert::ike::v2 {

/// A fresh request, its payload set checked, its message id taken. Answers it, now or (IKE_AUTH) after completions.
void dispatch_request(Core& core, IkeSa& sa, const net::Path& path, MessageForm form, const codec::Message& request);

}  // namespace culvert::ike::v2
