#include "ike/v2/session_resume_responder.hpp"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/childless.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/payload_rules.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/set_up_gate.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

void SessionResumeResponder::handle(ByteView datagram, const codec::ParsedMessage& parsed) {
  const bool fits = parsed.header.message_id.value() == 0 && parsed.header.initiator && !parsed.sealed &&
                    parsed.header.spi_i.value() != 0;
  if (!fits) return core_.drop(DatagramDrop::unexpected);
  const InitDigest digest = init_digest_of(datagram);
  if (repeat_answer(core_, path_, digest, datagram.size())) return;
  const codec::Message request{.header = parsed.header, .payloads = parsed.payloads};
  if (const auto type = codec::unsupported_critical(request.payloads))
    return refuse_set_up(core_, path_, request, NotifyType::unsupported_critical_payload, ByteView(&*type, 1));
  const auto* ticket = request.notify(NotifyType::ticket_opaque);
  if (ticket == nullptr || payload_fault(MessageForm::session_resume_request, request))
    return core_.drop(DatagramDrop::malformed);
  if (pass_load_check(core_, path_, request) == Passage::no) return;
  const auto& secrets = core_.life->secrets;
  auto state = secrets ? open_ticket(secrets->ticket_keys, ticket->data) : std::nullopt;
  if (!state) return refuse(request, "it is none of ours");
  const model::ConnectionConfig* config = nullptr;
  if (const auto why = refusal(*state, config)) return refuse(request, *why);
  resume(request, datagram, digest, *config, std::move(*state));
}

std::optional<std::string_view> SessionResumeResponder::refusal(const TicketState& state,
                                                                const model::ConnectionConfig*& config) const {
  if (state.expires <= core_.life->calendar_now(core_.now)) return "its time is over";
  // RFC 5723 4.3.1, 6.2: used before, or the IKE SA was deleted.
  if (core_.life->spent.has({state.spi_i, state.spi_r})) return "it was used, or its IKE SA deleted";
  config = core_.connections.find(state.connection);
  if (config == nullptr || config->life.resumption <= Duration::zero() || state.policy != policy_digest(*config))
    return "its tunnel is not what it was";
  if (!model::accepts(config->ike_proposals, state.suite) || !is_usable(state.suite))
    return "its algorithms are not accepted any more";
  // RFC 5723 4.3.2 lets the client come from anywhere, but not where the configuration says whence.
  const bool elsewhere = (config->peer && *config->peer != path_.remote.address) ||
                         (config->local_address && *config->local_address != path_.local.address);
  if (elsewhere) return "its tunnel is for other addresses";
  return std::nullopt;
}

// The peer sets up an IKE SA in full then.
void SessionResumeResponder::refuse(const codec::Message& request, std::string_view why) {
  core_.drop(DatagramDrop::bad_ticket);
  refuse_set_up(core_, path_, request, NotifyType::ticket_nack, {});
  if (!core_.unprotected_reports.allow(core_.now)) return;
  core_.emit(Progress{.connection = std::nullopt,
                      .ike_sa = std::nullopt,
                      .text = fmt::format("{} showed a ticket that is not taken: {}", path_.remote.to_string(), why)});
}

void SessionResumeResponder::resume(const codec::Message& request, ByteView datagram, const InitDigest& digest,
                                    const model::ConnectionConfig& config, TicketState state) {
  // RFC 5723 5, note 4: with new SPIs.
  IkeSa& sa = add_half_open(core_, path_, request, digest, config);
  sa.resumption = std::make_unique<Resumption>(Resumption{.state = std::move(state)});
  const Bytes nonce_i = request.first<codec::NoncePayload>()->data;
  const Bytes nonce_r = core_.new_nonce();
  if (auto keyed = key_resumed(core_, sa, nonce_i, nonce_r); !keyed) {
    sa.phase = Phase::gone;
    return core_.progress(
        sa, fmt::format("no keys for {}: {}", model::to_string(sa.suite), crypto::to_string(keyed.error())));
  }
  codec::Message answer;
  answer.header.spi_i = sa.spi_i;
  answer.header.spi_r = sa.spi_r;
  answer.header.exchange = model::ExchangeType::ike_session_resume;
  answer.header.response = true;
  answer.add(codec::NoncePayload{nonce_r});
  if (sa.nat_traversal) add_nat_detection(answer, sa.path, config.encapsulation);
  if (sa.fragmentation.agreed) answer.add_notify(NotifyType::ikev2_fragmentation_supported);
  add_childless(answer, &config);
  Bytes octets = codec::serialize(answer);
  sa.init = InitTranscript{
      .request = to_bytes(datagram), .response = octets, .nonce_i = nonce_i, .nonce_r = nonce_r, .peer_hashes = {}};
  core_.transmit(sa.path, octets);
  sa.window.accept(model::MessageId{0});
  sa.window.respond(model::MessageId{0}, Outgoing(std::move(octets)));
  core_.progress(sa, fmt::format("{} resumes an IKE SA by its ticket", path_.remote.to_string()));
}

std::optional<std::string> resumption_fault(const Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                            const codec::Message& request) {
  const TicketState& state = sa.resumption->state;
  const auto* auth = request.first<codec::AuthPayload>();
  const auto* id_i = request.id(Role::initiator);
  const auto* id_r = request.id(Role::responder);
  if (auth == nullptr || auth->method != model::AuthenticationMethod::shared_key_mic)
    return "the peer resumes an IKE SA and does not prove itself by its keys";
  if (request.first<codec::CertPayload>() != nullptr) return "the peer resumes an IKE SA and sends a certificate";
  // RFC 5723 4.3.3: the identities are those of the ticket.
  if (id_i->identity.comparable() != state.id_i.comparable() ||
      (id_r != nullptr && id_r->identity.comparable() != state.id_r.comparable()))
    return fmt::format("the peer resumes an IKE SA of {} as {}", state.id_i.to_string(), id_i->identity.to_string());
  if (config.life.resumption <= Duration::zero() || state.policy != policy_digest(config))
    return "the peer's tunnel has changed since its ticket was looked at";
  // Another request with the same ticket was faster.
  if (core.life->spent.has({state.spi_i, state.spi_r})) return "the peer's ticket was used meanwhile";
  return std::nullopt;
}

}  // namespace culvert::ike::v2
