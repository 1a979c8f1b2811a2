#include "ike/v2/messages.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/parallel.hpp"
#include "ike/v2/paths.hpp"
#include "ike/v2/payload_rules.hpp"
#include "ike/v2/ppk_intermediate.hpp"
#include "ike/v2/refusals.hpp"
#include "ike/v2/requests.hpp"
#include "ike/v2/set_up_exchange.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;
using Verdict = ExchangeWindow::Verdict;

void fill_header(const IkeSa& sa, model::ExchangeType exchange, model::MessageId id, bool response,
                 codec::Header& header) {
  header.spi_i = sa.spi_i;
  header.spi_r = sa.spi_r;
  header.exchange = exchange;
  header.initiator = sa.role == model::Role::initiator;
  header.response = response;
  header.message_id = id;
}

// Nothing but IKE_AUTH before the peer has authenticated itself (RFC 7296 1.2, 1.4); and before that exactly as many
// IKE_INTERMEDIATE as there are additional key exchanges (RFC 9242 3.2, RFC 9370 2.2.2), one after the other; or one
// for a PPK alone (RFC 9867 3.1).
bool may_follow_init(const IkeSa& sa, model::ExchangeType exchange, Verdict verdict) {
  // RFC 5723 4.3.3: behind IKE_SESSION_RESUME comes IKE_AUTH; the key exchanges are those of the old IKE SA.
  const bool all_done = sa.resumed || !additional_method(sa.suite, sa.additional_done());
  if (exchange == model::ExchangeType::ike_auth) return all_done;
  if (exchange != model::ExchangeType::ike_intermediate) return false;
  return verdict != Verdict::fresh || ((!all_done || ppk_is_due(sa)) && !sa.responder);
}

// What may come without protection once keys exist: hints, nothing else (RFC 7296 2.21.4).
void receive_unprotected(Core& core, IkeSa& sa, const codec::ParsedMessage& parsed) {
  const auto* notify = codec::first_of<codec::NotifyPayload>(parsed.payloads);
  const bool hint = parsed.header.response && notify != nullptr && notify->type == NotifyType::invalid_ike_spi;
  // An answer with our SPIs to a number that we never used cannot be one.
  if (hint && sa.phase == Phase::established && parsed.header.message_id < sa.window.next_id()) {
    if (end_forgotten(core, sa, parsed)) return;
    core.refuse(Refusal::refused_by_peer);
    suspect(core, sa, "the peer says that it does not know this IKE SA");
    return;
  }
  core.drop(DatagramDrop::unexpected);
}

bool may_be_meant(const IkeSa& sa, const codec::Header& header, Verdict verdict) {
  if (header.response) return sa.window.awaits(header.message_id);
  switch (sa.phase) {
    case Phase::initiating:
    case Phase::authenticating:
    case Phase::gone: return false;
    case Phase::half_open: return may_follow_init(sa, header.exchange, verdict);
    default: return true;
  }
}

/// Whether its answer may take work outside of the core.
bool brings_work(const codec::Header& header) {
  return header.exchange == model::ExchangeType::ike_auth || header.exchange == model::ExchangeType::ike_intermediate ||
         header.exchange == model::ExchangeType::create_child_sa ||
         header.exchange == model::ExchangeType::ike_followup_ke;
}

void receive_malformed(Core& core, IkeSa& sa, const net::Path& path, const codec::Header& header,
                       const std::string& fault) {
  const bool established = sa.phase == Phase::established || sa.phase == Phase::rekeyed;
  if (header.response) {
    core.refuse(Refusal::invalid_answer);
    core.progress(sa, fmt::format("the peer's {} response is invalid: {}", name_of(header.exchange), fault));
    sa.window.answered(header.message_id);
    if (const auto exchange = take_exchange(sa, header.message_id)) exchange->handle_bad_response(fault);
    // RFC 7296 2.21: no error goes back for a response, but the state that it leaves in doubt must be cleaned up.
    if (established && sa.phase != Phase::closing) close_with_delete(core, sa, CloseReason::protocol_error);
    return;
  }
  sa.window.accept(header.message_id);
  core.progress(sa, fmt::format("the peer's {} request is invalid: {}", name_of(header.exchange), fault));
  codec::Message answer;
  answer.add_notify(NotifyType::invalid_syntax);
  send_response(core, sa, header.exchange, header.message_id, std::move(answer), path);
  if (sa.phase == Phase::half_open) {
    fail_negotiation(core, sa, FailureKind::protocol_error, NotifyType::invalid_syntax,
                     fmt::format("the peer's {} request is invalid: {}", name_of(header.exchange), fault),
                     Phase::defunct);
  }
}

// RFC 7296 2.21.3: INVALID_SYNTAX in a response is fatal at both ends of an IKE SA that stands, without a DELETE. In
// IKE_AUTH and before, who asked or answered ends what was begun.
void end_by_syntax_error(Core& core, IkeSa& sa, const codec::Message& response) {
  const bool stands = sa.phase == Phase::established || sa.phase == Phase::candidate || sa.phase == Phase::rekeyed ||
                      sa.phase == Phase::closing;
  if (stands && response.notify(NotifyType::invalid_syntax) != nullptr)
    close_ike_sa(core, sa, CloseReason::protocol_error, Phase::defunct);
}

void receive_response(Core& core, IkeSa& sa, const net::Path& path, const codec::Message& message) {
  const auto form = form_of(message);
  auto exchange = take_exchange(sa, message.header.message_id);
  if (!exchange) {
    // Its exchange was given up, only the window still waited.
    sa.window.answered(message.header.message_id);
    sa.last_inbound = core.now;
    return;
  }
  const model::MessageId next = sa.window.next_id();
  if (message.header.exchange != exchange->type() || !form) {
    put_back(sa, std::move(exchange), next);
    return core.drop(DatagramDrop::unexpected);
  }
  if (const auto fault = payload_fault(*form, message)) {
    put_back(sa, std::move(exchange), next);
    return receive_malformed(core, sa, path, message.header, *fault);
  }
  // RFC 7296 2.5: a response must not mark payloads critical; one that does and that we do not know cannot be
  // understood.
  if (codec::unsupported_critical(message.payloads)) {
    put_back(sa, std::move(exchange), next);
    return receive_malformed(core, sa, path, message.header, "it has an unknown payload marked critical");
  }
  take_window(core, sa, message);
  sa.last_inbound = core.now;
  sa.heard = true;
  sa.window.answered(message.header.message_id);
  note_answer(core, sa, path, message.header.message_id);
  if (refuses(message)) core.refuse(Refusal::refused_by_peer);
  if (exchange->handle_response(message) == Progression::waiting) put_back(sa, std::move(exchange), next);
  if (message.header.exchange != model::ExchangeType::ike_auth) end_by_syntax_error(core, sa, message);
  // Behind the exchange, which may have been about this very path.
  follow_peer(core, sa, path, false);
}

void receive_request(Core& core, IkeSa& sa, const net::Path& path, const codec::Message& message) {
  const codec::Header& header = message.header;
  if (const auto type = codec::unsupported_critical(message.payloads)) {
    // RFC 7296 2.5: the message must be rejected, naming the payload type.
    sa.window.accept(header.message_id);
    codec::Message answer;
    answer.add_notify(NotifyType::unsupported_critical_payload, ByteView(&*type, 1));
    send_response(core, sa, header.exchange, header.message_id, std::move(answer), path);
    if (sa.phase == Phase::half_open) {
      fail_negotiation(
          core, sa, FailureKind::protocol_error, NotifyType::unsupported_critical_payload,
          fmt::format("the peer's IKE_AUTH request has an unknown payload of type {} marked critical", *type),
          Phase::defunct);
    }
    return;
  }
  const auto form = form_of(message);
  if (!form)
    return receive_malformed(core, sa, path, header,
                             fmt::format("exchange type {} is not supported", static_cast<unsigned>(header.exchange)));
  if (const auto fault = payload_fault(*form, message)) return receive_malformed(core, sa, path, header, *fault);
  // RFC 9242 3.2: between IKE_SA_INIT and IKE_AUTH; behind them nothing of what it is about is there any more.
  if (*form == MessageForm::ike_intermediate && sa.phase != Phase::half_open)
    return receive_malformed(core, sa, path, header, "IKE_INTERMEDIATE has no place behind IKE_AUTH");
  sa.window.accept(header.message_id);
  sa.last_inbound = core.now;
  sa.heard = true;
  take_window(core, sa, message);
  confirm_children(core, sa, header.message_id);
  follow_peer(core, sa, path, false);
  // Within a wider window one after the other, as they came.
  if (sa.responder && sa.phase != Phase::half_open) {
    sa.held.push_back(std::make_unique<HeldRequest>(HeldRequest{path, *form, message}));
    return;
  }
  dispatch_request(core, sa, path, *form, message);
}

// RFC 7383 2.6: what is inside of the whole message; nothing while fragments of it are missing.
Result<std::optional<OpenedContent>, std::string> take_content(Core& core, IkeSa& sa, const net::Path& path,
                                                               const codec::ParsedMessage& parsed,
                                                               Result<SecretBytes, codec::OpenFault> part) {
  const auto& sealed = parsed.sealed;
  CHECK(sealed);
  if (!part) return err(std::string(name_of(part.error())));
  if (sealed->fragment) return take_fragment(core, sa, path, parsed, std::move(*part));
  return OpenedContent{sealed->first_inner, sealed->flags, std::move(*part)};
}

std::size_t response_size(IkeSa& sa, model::MessageId id) {
  const Outgoing* response = sa.window.response(id);
  return response != nullptr ? octets_in(*response) : 0;
}

// Authentic, its number one that is awaited or next.
void receive_authentic(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram,
                       const codec::ParsedMessage& parsed, Result<SecretBytes, codec::OpenFault> part) {
  const codec::Header& header = parsed.header;
  note_solution(sa, datagram, parsed);
  const auto content = take_content(core, sa, path, parsed, std::move(part));
  if (!content) {
    forget_fragments(sa, header);
    return receive_malformed(core, sa, path, header, content.error());
  }
  const std::optional<OpenedContent>& opened = *content;
  if (!opened) return;
  forget_fragments(sa, header);
  auto payloads = codec::parse_payloads(opened->first, opened->chain.view());
  if (!payloads) return receive_malformed(core, sa, path, header, payloads.error().to_string());
  if (header.exchange == model::ExchangeType::ike_intermediate)
    note_intermediate(sa, datagram.first(codec::kHeaderSize), *opened);
  const codec::Message message{header, std::move(*payloads)};
  if (header.response) {
    receive_response(core, sa, path, message);
  } else {
    receive_request(core, sa, path, message);
  }
}

}  // namespace

void send_request(Core& core, IkeSa& sa, model::ExchangeType exchange, codec::Message message,
                  std::optional<RetransmitPolicy> policy, const net::Path* path) {
  fill_header(sa, exchange, sa.window.next_id(), false, message.header);
  add_window(core, sa, exchange, message);
  if (exchange == model::ExchangeType::ike_intermediate) note_intermediate(sa, message);
  const net::Path& way = path != nullptr ? *path : sa.path;
  Outgoing request = seal_message(core, sa, message, way);
  core.transmit(way, request);
  sa.window.sent(std::move(request), policy.value_or(patience_with(core, sa)), core.now, core.random);
  core.touch(sa);
}

void send_response(Core& core, IkeSa& sa, model::ExchangeType exchange, model::MessageId id, codec::Message message,
                   const net::Path& path) {
  fill_header(sa, exchange, id, true, message.header);
  add_window(core, sa, exchange, message);
  if (exchange == model::ExchangeType::ike_intermediate) note_intermediate(sa, message);
  core.refuse(refusal_in(message));
  Outgoing response = seal_message(core, sa, message, path);
  core.transmit(path, response);
  sa.window.respond(id, std::move(response), core.now);
  end_by_syntax_error(core, sa, message);
}

void send_unnumbered(Core& core, IkeSa& sa, bool response, codec::Message message, const net::Path& path) {
  fill_header(sa, model::ExchangeType::informational, model::MessageId{0}, response, message.header);
  core.transmit(path, seal_message(core, sa, message, path));
}

void receive(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram, const codec::ParsedMessage& parsed) {
  core.touch(sa);
  const codec::Header& header = parsed.header;
  if (sa.phase == Phase::initiating) {
    if (!header.response || !sa.exchange || header.exchange != sa.exchange->type())
      return core.drop(DatagramDrop::unexpected);
    static_cast<SetUpExchange&>(*sa.exchange).handle_init_response(path, datagram, parsed);
    return;
  }
  if (!parsed.sealed) return receive_unprotected(core, sa, parsed);
  if (!sa.keyed && sa.auth_puzzle) return take_auth_solution(core, sa, path, datagram, parsed);
  if (!sa.keyed) return core.drop(DatagramDrop::unexpected);
  if (receive_counter_sync(core, sa, path, datagram, parsed)) return;
  // RFC 6311 8.1: until both ends have agreed on numbers, none is right.
  if (awaits_counter_sync(sa)) return core.drop(DatagramDrop::old_message_id);
  if (header.response && !sa.window.awaits(header.message_id)) return core.drop(DatagramDrop::old_message_id);
  const Verdict verdict = header.response ? Verdict::fresh : sa.window.classify(header.message_id);
  if (!may_be_meant(sa, header, verdict)) return core.drop(DatagramDrop::unexpected);
  if (verdict == Verdict::old || verdict == Verdict::ahead) return core.drop(DatagramDrop::old_message_id);
  // What is left of the IKE SA answers retransmissions; the peer of one that failed has proved nothing.
  if (verdict == Verdict::fresh && sa.phase == Phase::defunct) return core.drop(DatagramDrop::unexpected);
  // RFC 9242 3.3.2 would have them in AUTH; nobody sends any but the solution of a puzzle.
  if (header.exchange == model::ExchangeType::ike_intermediate && !parsed.payloads.empty() &&
      !has_only_solution(sa, parsed))
    return core.drop(DatagramDrop::unexpected);
  if (lacks_solution(sa, parsed)) return core.drop(DatagramDrop::unsolved_puzzle);

  // It has changed nothing yet: to the peer it is lost (RFC 7296 2.4), and comes again.
  const bool fresh_request = !header.response && verdict == Verdict::fresh;
  if (fresh_request && core.is_busy() && brings_work(header)) return core.drop(DatagramDrop::busy);

  if (parsed.sealed->fragment && !wants_fragment(core, sa, parsed)) return;
  auto part = open_part(sa, datagram, parsed);
  if (!part && !codec::OpenError{part.error(), {}}.authentic()) {
    note_unopened(core, sa);
    return core.drop(DatagramDrop::bad_integrity);
  }
  if (verdict == Verdict::busy) {
    ++core.counters.repeated;
    return;
  }
  if (verdict == Verdict::repeated) {
    // RFC 7383 2.6.1: of a repeated request in fragments the first one alone brings the response again.
    if (parsed.sealed->fragment && parsed.sealed->fragment->number != 1)
      return core.drop(DatagramDrop::repeated_fragment);
    // RFC 7296 2.1: a retransmitted request does nothing but bring the same response again. It was authentic, so that
    // no stranger makes us send; it may be a replay, so that it says nothing about the path or the peer's life.
    // So it may be somebody else's address, too: where it gets more than came from there, not without end.
    if (path.remote.address != sa.path.remote.address && datagram.size() < response_size(sa, header.message_id) &&
        !sa.repeats_elsewhere.allow(core.now))
      return core.drop(DatagramDrop::unproved_address);
    ++core.counters.repeated;
    return resend_response(core, sa, path, header.message_id);
  }
  receive_authentic(core, sa, path, datagram, parsed, std::move(part));
}

void suspect(Core& core, IkeSa& sa, std::string_view why) {
  // One that the peer has never spoken on may be unknown to it because our answer to its rekey is still under way.
  if (sa.phase != Phase::established || !sa.heard || !sa.hints.allow(core.now)) return;
  core.progress(sa, fmt::format("{}; checking", why));
  core.touch(sa);
  if (!sa.window.idle()) {
    sa.window.hasten(Core::hasty_retransmission(), core.now, core.random);
  } else {
    sa.tasks.insert(sa.tasks.begin(), {.task = LivenessTask{.hasty = true}});
  }
}

}  // namespace culvert::ike::v2
