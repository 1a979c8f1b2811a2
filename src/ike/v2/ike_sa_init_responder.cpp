#include "ike/v2/ike_sa_init_responder.hpp"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "crypto/key_exchange.hpp"
#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/ike_sa_init_answer.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/payload_rules.hpp"
#include "ike/v2/ppk.hpp"
#include "ike/v2/redirect.hpp"
#include "ike/v2/set_up_gate.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

void IkeSaInitResponder::handle(ByteView datagram, const codec::ParsedMessage& parsed) {
  const bool fits = parsed.header.message_id.value() == 0 && parsed.header.initiator && !parsed.sealed;
  if (!fits) return core_.drop(DatagramDrop::unexpected);
  // RFC 7296 2.1: retransmissions are told by the whole message, since several peers behind one NAT may use the same
  // SPI.
  const InitDigest digest = init_digest_of(datagram);
  if (repeat_answer(core_, path_, digest, datagram.size())) return;
  const codec::Message request{.header = parsed.header, .payloads = parsed.payloads};
  if (const auto type = codec::unsupported_critical(request.payloads)) {
    return refuse_set_up(core_, path_, request, NotifyType::unsupported_critical_payload, ByteView(&*type, 1));
  }
  if (payload_fault(MessageForm::ike_sa_init_request, request)) return core_.drop(DatagramDrop::malformed);
  passage_ = pass_load_check(core_, path_, request);
  if (passage_ == Passage::no) return;
  if (core_.is_busy()) return core_.drop(DatagramDrop::busy);
  answer(request, datagram, digest);
}

void IkeSaInitResponder::answer(const codec::Message& request, ByteView datagram, const InitDigest& digest) {
  const auto* ke = request.first<codec::KePayload>();
  const auto& offered = request.first<codec::SaPayload>()->proposals;
  const model::ConnectionConfig* nearest = nullptr;
  std::optional<model::ChosenProposal> chosen;
  // The identities come only with IKE_AUTH: the first connection whose proposals fit decides on the algorithms.
  const auto* config = core_.connections.find_kind(path_, [&](const model::ConnectionConfig& one) {
    if (nearest == nullptr) nearest = &one;
    chosen = model::select_proposal(offered, one.ike_proposals,
                                    {.prefer_method = ke->method,
                                     .ignore_key_exchange = false,
                                     .additional_key_exchanges = knows_intermediate(request)});
    return chosen && is_usable(chosen->ike) && !lacks_fragmentation(request, one);
  });
  if (nearest == nullptr) {
    core_.drop(DatagramDrop::no_connection);
    report(FailureKind::unknown_peer, std::nullopt, std::nullopt,
           fmt::format("{} began IKE_SA_INIT with us at {}, but no connection is configured for these addresses",
                       path_.remote.to_string(), path_.local.to_string()));
    return;
  }
  if (config == nullptr && lacks_fragmentation(request, *nearest)) {
    refuse_set_up(core_, path_, request, NotifyType::no_proposal_chosen, {});
    return report(FailureKind::no_proposal_chosen, nearest->id, NotifyType::no_proposal_chosen,
                  fmt::format("{} does not know IKE fragmentation, which connection '{}' insists on",
                              path_.remote.to_string(), nearest->name));
  }
  if (config == nullptr) {
    refuse_set_up(core_, path_, request, NotifyType::no_proposal_chosen, {});
    report(FailureKind::no_proposal_chosen, nearest->id, NotifyType::no_proposal_chosen,
           fmt::format("{} offers IKE {}, connection '{}' accepts {}", path_.remote.to_string(), describe(offered),
                       nearest->name, describe(nearest->ike_proposals)));
    return;
  }
  if (const auto gateway = redirect_for(core_, *config, path_, request)) {
    // RFC 5685 3: before anything is computed, with the nonce, by which the peer knows that we have seen its request.
    return refuse_set_up(core_, path_, request, NotifyType::redirect,
                         encode_gateway(*gateway, request.first<codec::NoncePayload>()->data));
  }
  if (chosen->ike.key_exchange != ke->method) {
    // RFC 7296 1.2: the peer must repeat with the method that would be accepted.
    ByteWriter data;
    data.u16(static_cast<std::uint16_t>(chosen->ike.key_exchange));
    return refuse_set_up(core_, path_, request, NotifyType::invalid_ke_payload, data.view());
  }
  make_ike_sa(request, datagram, digest, *config, *chosen);
}

void IkeSaInitResponder::make_ike_sa(const codec::Message& request, ByteView datagram, const InitDigest& digest,
                                     const model::ConnectionConfig& config, const model::ChosenProposal& chosen) {
  const auto* ke = request.first<codec::KePayload>();
  // RFC 7296 3.4: a value of another length is none. The request is not authenticated, so nothing more is said.
  const auto method = model::key_exchange_id(ke->method);
  if (!method || ke->public_value.size() != crypto::public_value_size(*method))
    return core_.drop(DatagramDrop::malformed);
  IkeSa& sa = add_half_open(core_, path_, request, digest, config);
  sa.init = InitTranscript{.request = to_bytes(datagram),
                           .response = {},
                           .nonce_i = request.first<codec::NoncePayload>()->data,
                           .nonce_r = {},
                           .peer_hashes = peer_hashes(request)};
  if (auto ppk = agreed_ppk(core_, path_, request)) sa.ppk = std::move(*ppk);
  note_admitted(core_, request, passage_);
  give_auth_puzzle(core_, sa, passage_, chosen.ike, ke->public_value);
  auto answer = std::make_unique<IkeSaInitAnswer>(core_, sa, config.encapsulation, chosen);
  answer->start(ke->public_value);
  sa.responder = std::move(answer);
}

void IkeSaInitResponder::report(FailureKind kind, std::optional<model::ConnectionId> connection,
                                std::optional<NotifyType> notify, std::string detail) {
  if (!core_.unprotected_reports.allow(core_.now)) return;
  core_.emit(NegotiationFailed{.connection = connection,
                               .path = path_,
                               .role = model::Role::responder,
                               .kind = kind,
                               .notify = notify,
                               .detail = std::move(detail),
                               .child_only = false});
}

}  // namespace culvert::ike::v2
