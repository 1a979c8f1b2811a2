#include "ike/v2/ike_endpoint.hpp"

#include <utility>

#include "base/check.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/commands.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/ike_sa_init_responder.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/parallel.hpp"
#include "ike/v2/session_resume_responder.hpp"
#include "ike/v2/shared_ike_sa.hpp"
#include "ike/v2/tasks.hpp"
#include "ike/v2/timers.hpp"

namespace culvert::ike::v2 {
namespace {

template <typename T>
std::optional<T> take_front(std::deque<T>& queue) {
  if (queue.empty()) return std::nullopt;
  T front = std::move(queue.front());
  queue.pop_front();
  return front;
}

DatagramDrop drop_reason(codec::ParseFault fault) {
  const bool fragment =
      fault == codec::ParseFault::bad_fragment_number || fault == codec::ParseFault::payload_before_fragment;
  return fragment ? DatagramDrop::bad_fragment : DatagramDrop::malformed;
}

}  // namespace

void IkeEndpoint::handle_datagram(const net::Path& path, ByteView message, Instant now) {
  core_.now = now;
  core_.judged = false;
  ++core_.counters.datagrams_in;
  route(path, message);
  finish_turn();
}

void IkeEndpoint::route(const net::Path& path, ByteView datagram) {
  const auto header = codec::parse_header(datagram);
  if (!header) return core_.drop(DatagramDrop::malformed);
  if (header->major_version != 2) {
    core_.drop(DatagramDrop::unsupported_version);
    // RFC 7296 2.5: only a higher version is told what we speak.
    if (header->major_version > 2 && !header->response)
      answer_unprotected(path, *header, datagram.size(), model::NotifyType::invalid_major_version);
    return;
  }
  // RFC 7296 3.1 forbids an initiator's SPI of zero; only an INVALID_SPI report may have it (1.5).
  const auto parsed = codec::parse_message(datagram);
  if (!parsed) return core_.drop(drop_reason(parsed.error().fault));
  const bool opening = !header->response && header->spi_r.value() == 0;
  if (opening && header->exchange == model::ExchangeType::ike_session_resume)
    return SessionResumeResponder(core_, path).handle(datagram, *parsed);
  if (opening && header->exchange == model::ExchangeType::ike_sa_init)
    return IkeSaInitResponder(core_, path).handle(datagram, *parsed);
  // RFC 7296 2.6: the Initiator flag tells which of the two SPIs is ours; addresses do not matter.
  const model::IkeSpi ours = header->initiator ? header->spi_r : header->spi_i;
  IkeSa* sa = core_.sas.find_by_spi(ours);
  const bool right_side = sa != nullptr && (sa->role == model::Role::responder) == header->initiator;
  // Until IKE_SA_INIT is answered the peer's SPI is not known; afterwards both must fit.
  const model::IkeSpi theirs = header->initiator ? header->spi_i : header->spi_r;
  const bool fits = right_side && (sa->phase == Phase::initiating ||
                                   theirs == (sa->role == model::Role::initiator ? sa->spi_r : sa->spi_i));
  if (fits) return receive(core_, *sa, path, datagram, *parsed);
  handle_stray(path, *parsed);
}

void IkeEndpoint::handle_stray(const net::Path& path, const codec::ParsedMessage& parsed) {
  core_.drop(DatagramDrop::unknown_ike_sa);
  // RFC 7296 2.21.4: a response must not be answered.
  if (parsed.header.response) return;
  if (parsed.sealed) {
    return answer_unprotected(path, parsed.header, parsed.header.length, model::NotifyType::invalid_ike_spi,
                              token_for_stray(core_, parsed.header.spi_i, parsed.header.spi_r));
  }
  handle_stray_notify(path, parsed);
}

// RFC 7296 1.5: ESP of ours met a peer that does not know the SPI, perhaps after a restart. No more than a hint.
void IkeEndpoint::handle_stray_notify(const net::Path& path, const codec::ParsedMessage& parsed) {
  const auto* notify = codec::first_of<codec::NotifyPayload>(parsed.payloads);
  if (notify == nullptr || notify->type != model::NotifyType::invalid_spi || notify->data.size() != 4) return;
  const model::Spi spi(load_be32(notify->data.data()));
  for (IkeSa* sa : core_.sas.of_peer(path.remote.address)) {
    if (sa->find_child_by_peer_spi(spi) == nullptr) continue;
    // RFC 6290 8.2: who can tell which IKE SA the pair belonged to shows its token at once.
    if (end_forgotten(core_, *sa, parsed)) return;
    return suspect(core_, *sa, "the peer says that it does not know our Child SA");
  }
}

void IkeEndpoint::answer_unprotected(const net::Path& path, const codec::Header& header, std::size_t received,
                                     model::NotifyType type, ByteView token) {
  codec::Message answer;
  answer.header.spi_i = header.spi_i;
  answer.header.spi_r = header.spi_r;
  answer.header.exchange = header.exchange;
  answer.header.message_id = header.message_id;
  answer.header.initiator = !header.initiator;
  answer.header.response = true;
  answer.add_notify(type);
  Bytes octets = codec::serialize(answer);
  if (!token.empty()) {
    // RFC 6290 4.5: both together.
    answer.add(codec::NotifyPayload{.protocol = model::ProtocolId::ike,
                                    .spi = {},
                                    .type = model::NotifyType::quick_crash_detection,
                                    .data = to_bytes(token)});
    Bytes longer = codec::serialize(answer);
    // The requests of those who know of it have room for it.
    if (longer.size() <= received) octets = std::move(longer);
  }
  // RFC 7296 2.21.4: at a bounded rate; and never more than came, for the source may be forged.
  if (octets.size() > received || !core_.unprotected_answers.allow(core_.now)) return;
  core_.transmit(path, std::move(octets));
}

void IkeEndpoint::handle_timeout(Instant now) {
  core_.now = now;
  core_.judged = true;
  while (const auto id = core_.sas.due(now)) {
    handle_timers(core_, *core_.sas.find(*id));
    finish_turn();
  }
}

void IkeEndpoint::handle_command(Command command, Instant now) {
  core_.now = now;
  core_.judged = true;
  std::visit([this](auto&& one) { handle(core_, std::forward<decltype(one)>(one)); }, std::move(command));
  finish_turn();
}

void IkeEndpoint::handle_completion(RequestToken token, Completion completion, Instant now) {
  core_.now = now;
  complete(token, std::move(completion));
  finish_turn();
}

void IkeEndpoint::complete(RequestToken token, Completion completion) {
  const auto awaiting = core_.completed(token);
  if (!awaiting) return;
  IkeSa* sa = core_.sas.find(awaiting->ike_sa);
  if (sa == nullptr) return;
  core_.judged = false;
  core_.touch(*sa);
  if (awaiting->asker == Asker::responder) {
    if (sa->responder) sa->responder->handle_completion(token, std::move(completion));
    answer_held(core_, *sa);
  } else if (auto exchange = take_exchange(*sa, token)) {
    const model::MessageId next = sa->window.next_id();
    if (exchange->handle_completion(token, std::move(completion)) == Progression::waiting)
      put_back(*sa, std::move(exchange), next);
  }
}

void IkeEndpoint::finish_turn() {
  while (auto answer = take_front(core_.answered)) complete(answer->first, std::move(answer->second));
  // What one IKE SA does may touch another, even one that was looked at before.
  while (!core_.touched.empty() || !core_.homeless.empty()) {
    begin_again(core_);
    if (core_.touched.empty()) continue;
    const model::IkeSaId id = *core_.touched.begin();
    core_.touched.erase(core_.touched.begin());
    IkeSa* sa = core_.sas.find(id);
    if (sa == nullptr) continue;
    run_tasks(core_, *sa);
    if (sa->phase == Phase::gone) {
      for (std::size_t n = sa->fragmentation.incomplete.size(); n > 0; --n)
        core_.drop(DatagramDrop::incomplete_message);
      core_.sas.erase(id);
      core_.touched.erase(id);
      continue;
    }
    core_.sas.note(*sa);
    core_.sas.schedule(*sa, next_deadline(core_, *sa));
  }
  CHECK(core_.answered.empty());
}

std::optional<Event> IkeEndpoint::poll_event() { return take_front(core_.events); }
std::optional<Request> IkeEndpoint::poll_request() { return take_front(core_.requests); }
std::optional<Transmit> IkeEndpoint::poll_transmit() { return take_front(core_.transmits); }

EndpointCounters IkeEndpoint::counters() const {
  EndpointCounters counters = core_.counters;
  counters.half_open = core_.sas.half_open().size();
  return counters;
}

}  // namespace culvert::ike::v2
