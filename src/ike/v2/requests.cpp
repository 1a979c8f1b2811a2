#include "ike/v2/requests.hpp"

#include <memory>
#include <utility>

#include "ike/v2/create_child_sa_request.hpp"
#include "ike/v2/follow_up_responder.hpp"
#include "ike/v2/ike_auth_responder.hpp"
#include "ike/v2/informational_responder.hpp"
#include "ike/v2/intermediate_responder.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/rekey_ike_sa_initiator.hpp"

namespace culvert::ike::v2 {
namespace {

bool deletes_ike_sa(const codec::Message& request) {
  for (const auto* payload : request.all<codec::DeletePayload>()) {
    if (payload->protocol == model::ProtocolId::ike) return true;
  }
  return false;
}

// The peer works with the IKE SA that its own rekey made, so it has seen that this one survives a simultaneous rekey
// (RFC 7296 2.8.2).
void settle_candidate(Core& core, IkeSa& sa) {
  IkeSa* old = sa.predecessor ? core.sas.find(*sa.predecessor) : nullptr;
  if (old == nullptr || old->candidate != sa.id) return;
  old->candidate.reset();
  promote(core, *old, sa);
}

codec::Message invalid_syntax() {
  codec::Message answer;
  answer.add_notify(model::NotifyType::invalid_syntax);
  return answer;
}

}  // namespace

void dispatch_request(Core& core, IkeSa& sa, const net::Path& path, MessageForm form, const codec::Message& request) {
  const model::MessageId id = request.header.message_id;
  const model::ExchangeType exchange = request.header.exchange;
  if (sa.phase == Phase::candidate && !deletes_ike_sa(request)) settle_candidate(core, sa);
  switch (form) {
    case MessageForm::ike_intermediate: {
      auto responder = std::make_unique<IntermediateResponder>(core, sa, path);
      IntermediateResponder& begun = *responder;
      sa.responder = std::move(responder);
      return begun.start(request);
    }
    case MessageForm::ike_auth_request:
    case MessageForm::ike_auth_further_request:
      if (sa.phase == Phase::half_open) {
        // With keys and half-open, nothing else of the peer's can be under way.
        if (sa.responder) return static_cast<IkeAuthResponder&>(*sa.responder).handle_further(request, path);
        auto responder = std::make_unique<IkeAuthResponder>(core, sa, path);
        IkeAuthResponder& begun = *responder;
        sa.responder = std::move(responder);
        return begun.start(request);
      }
      // A second IKE_AUTH belongs to extensions that we do not negotiate.
      return send_response(core, sa, exchange, id, invalid_syntax(), path);
    case MessageForm::create_child_sa_request:
    case MessageForm::rekey_ike_sa_request: {
      auto held = std::make_unique<CreateChildSaRequest>(core, sa, path, form, request);
      if (!held->start()) sa.responder = std::move(held);
      return;
    }
    case MessageForm::ike_followup_ke: {
      auto responder = std::make_unique<FollowUpResponder>(core, sa, path);
      FollowUpResponder& begun = *responder;
      sa.responder = std::move(responder);
      return begun.start(request);
    }
    case MessageForm::informational: {
      InformationalResponder responder(core, sa, path);
      send_response(core, sa, exchange, id, responder.handle(request), path);
      return responder.finish();
    }
    default: return send_response(core, sa, exchange, id, invalid_syntax(), path);
  }
}

}  // namespace culvert::ike::v2
