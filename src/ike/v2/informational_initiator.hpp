// INFORMATIONAL as initiator (RFC 7296 1.4, 1.4.1, 2.4): DELETE of a Child SA or of the IKE SA, the liveness check, a
// notification.
#pragma once

#include <memory>

#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/task.hpp"

namespace culvert::ike::v2 {

[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const DeleteChildTask& task);
[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa,
                                                                    const DeleteUnknownChildTask& task);
[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const DeleteIkeTask& task);
[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const LivenessTask& task);
[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const NotifyTask& task);

}  // namespace culvert::ike::v2
