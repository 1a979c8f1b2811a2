#include "ike/v2/ike_sa_init_initiator.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/puzzle.hpp"
#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/auth_rounds.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/childless.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/commands.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/intermediate_initiator.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/payload_rules.hpp"
#include "ike/v2/ppk.hpp"
#include "ike/v2/proof_wishes.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/redirect.hpp"
#include "ike/v2/refusals.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/session_resume_initiator.hpp"
#include "model/doable.hpp"

namespace culvert::ike::v2 {
namespace {

using model::KeyExchangeMethod;
using model::NotifyType;

// Bounds against a peer, or a forger, that never has enough (RFC 7296 2.6, 2.21.1).
constexpr unsigned kMostCookies = 5;
// A second one only for the sake of a peer whose secret or load has changed meanwhile (RFC 8019 7.1.1.1).
constexpr unsigned kMostPuzzles = 2;
constexpr std::size_t kMostAttempts = 4;
// Sends to a peer that may be elsewhere as well: some five seconds with the usual waits.
constexpr unsigned kTriesOfOneOfMany = 4;
// How long the genuine answer is awaited after an error that anybody could have sent.
constexpr Duration kDoubtPeriod = std::chrono::seconds(4);

bool doubt_is_over(Core& core, const IkeSa& sa, model::ConnectionId connection) {
  return std::ranges::any_of(core.sas.of_connection(connection), [&](const IkeSa* other) {
    return other->id != sa.id && other->phase == Phase::established && other->last_inbound > sa.begun_at;
  });
}

}  // namespace

// Whoever asked for the tunnel meanwhile was told that this attempt is on its way; so if the Child SA is gone by now,
// the IKE SA that stands makes a new one.
bool give_way_to_living(Core& core, IkeSa& sa, const net::Path& path) {
  CHECK(sa.connection);
  const model::ConnectionId connection = *sa.connection;
  if (!sa.replaces_doubtful || !doubt_is_over(core, sa, connection)) return false;
  core.progress(sa, "the peer lives after all; the attempt at a new IKE SA is given up");
  close_ike_sa(core, sa, CloseReason::superseded, Phase::gone);
  handle(core, Initiate{.connection = connection, .path = path, .despite_doubtful = false, .wish = std::nullopt});
  return true;
}

void begin_ike_sa(Core& core, const model::ConnectionConfig& config, Beginning beginning) {
  IkeSa& sa = core.sas.add(core.next_ike_sa_id());
  sa.role = model::Role::initiator;
  sa.connection = config.id;
  sa.spi_i = core.new_ike_spi();
  sa.path = beginning.path;
  sa.replaces_doubtful = beginning.beside_doubtful;
  sa.wish = beginning.wish;
  if (beginning.redirected_from) life_of(sa).redirected_from = beginning.redirected_from;
  if (beginning.replaces) life_of(sa).replaces = beginning.replaces;
  if (beginning.patience) sa.phase_deadline = core.now + *beginning.patience;
  sa.begun_at = sa.last_inbound = core.now;
  sa.begun_order = core.next_order();
  core.sas.index_spi(sa);
  core.touch(sa);
  // What is to be proved anew, or elsewhere, is proved in full.
  const bool afresh = beginning.replaces || beginning.redirected_from;
  if (HeldTicket* held = afresh ? nullptr : ticket_for(core, config, sa.path)) {
    sa.resumption = std::make_unique<Resumption>(Resumption{.state = held->state.clone()});
    sa.exchange = std::make_unique<SessionResumeInitiator>(core, sa, config, held->ticket, std::move(beginning));
  } else {
    sa.exchange = std::make_unique<IkeSaInitInitiator>(core, sa, config);
  }
  if (sa.exchange->start() == Progression::done) sa.exchange.reset();
}

IkeSaInitInitiator::IkeSaInitInitiator(Core& core, IkeSa& sa, const model::ConnectionConfig& config)
    : core_(core),
      sa_(sa),
      config_(config),
      offered_(model::without_what_cannot_be_done(config.ike_proposals)),
      nonce_(core.new_nonce()) {
  std::uint8_t number = 0;
  for (model::Proposal& proposal : offered_) proposal.number = ++number;
}

// Nobody has proved anything to whom more work would be owed.
IkeSaInitInitiator::~IkeSaInitInitiator() {
  if (puzzle_unwanted_) *puzzle_unwanted_ = true;
}

void IkeSaInitInitiator::begin_attempt(KeyExchangeMethod method) {
  key_pair_ = Wait{.method = method, .token = ask_for_key_pair(core_, sa_, method)};
}

IkeSaInitInitiator::Attempt* IkeSaInitInitiator::find_attempt(KeyExchangeMethod method) {
  const auto found = std::ranges::find_if(attempts_, [&](const Attempt& one) { return one.method == method; });
  return found == attempts_.end() ? nullptr : &*found;
}

Progression IkeSaInitInitiator::start() {
  const auto methods = usable_methods(offered_);
  if (methods.empty()) {
    fail_negotiation(core_, sa_, FailureKind::local_error, std::nullopt,
                     fmt::format("connection '{}' has no key exchange method and prf that this installation can do: {}",
                                 config_.name, describe(config_.ike_proposals)),
                     Phase::gone);
    return Progression::done;
  }
  begin_attempt(methods.front());
  return Progression::waiting;
}

Progression IkeSaInitInitiator::handle_completion(RequestToken token, Completion result) {
  if (puzzle_ == token) return take_solution(std::get<PuzzleResult>(result));
  if (key_pair_ && key_pair_->token == token) {
    const KeyExchangeMethod method = key_pair_->method;
    key_pair_.reset();
    return take_key_pair(method, key_exchange_result(std::move(result)));
  }
  if (agreement_ && agreement_->secret.token == token) {
    const Agreement agreement = std::move(*agreement_);
    agreement_.reset();
    return finish(agreement, key_exchange_result(std::move(result)));
  }
  return Progression::waiting;
}

Progression IkeSaInitInitiator::take_key_pair(KeyExchangeMethod method, KeyExchangeResult made) {
  const bool first = attempts_.empty();
  if (!made.own) {
    // The request that is under way may still be answered.
    if (!first) return Progression::waiting;
    fail_negotiation(core_, sa_, FailureKind::local_error, std::nullopt,
                     fmt::format("no key pair for {}: {}", describe(method), fault_of(made)), Phase::gone);
    return Progression::done;
  }
  attempts_.push_back({.method = method, .key_exchange = std::move(made.own), .request = {}});
  send_current();
  if (first) {
    core_.progress(sa_, fmt::format("sent IKE_SA_INIT request to {}, offering {}", sa_.path.remote.to_string(),
                                    describe(offered_)));
  }
  return Progression::waiting;
}

void IkeSaInitInitiator::send_current() {
  Attempt& attempt = attempts_.back();
  codec::Message message;
  message.header.spi_i = sa_.spi_i;
  message.header.initiator = true;
  // RFC 7296 2.6: the cookie comes first, everything else stays as it was.
  if (!cookie_.empty()) message.add_notify(NotifyType::cookie, cookie_);
  // RFC 8019 7.1.2: and what was asked for with it.
  if (!solution_.empty())
    message.add(codec::UnknownPayload{.type = kPuzzleSolutionPayload, .critical = false, .body = solution_});
  message.add(codec::SaPayload{offered_});
  message.add(
      codec::KePayload{.method = attempt.method, .public_value = to_bytes(attempt.key_exchange->public_value())});
  message.add(codec::NoncePayload{nonce_});
  add_nat_detection(message, sa_.path, config_.encapsulation);
  if (uses_certificates(config_)) add_signature_hashes(message);
  offer_fragmentation(message, config_);
  offer_ppk(message, config_);
  offer_redirect(message, sa_, config_);
  // RFC 9370 2.2.1, RFC 9867 3.1: additional key exchanges take IKE_INTERMEDIATE, and a PPK may.
  if (model::has_additional_key_exchanges(offered_) || may_mix_ppk_early(config_))
    message.add_notify(NotifyType::intermediate_exchange_supported);
  attempt.request = codec::serialize(message);
  core_.transmit(sa_.path, attempt.request);
  const model::MessageId first{0};
  if (sa_.window.awaits(first)) {
    sa_.window.replaced(first, Outgoing(attempt.request), core_.now, core_.random);
  } else {
    RetransmitPolicy policy = core_.retransmission();
    if (!config_.further_peers.empty()) policy.tries = std::min(policy.tries, kTriesOfOneOfMany);
    sa_.window.sent(Outgoing(attempt.request), policy, core_.now, core_.random);
  }
  core_.touch(sa_);
}

void IkeSaInitInitiator::handle_init_response(const net::Path& path, ByteView datagram,
                                              const codec::ParsedMessage& parsed) {
  // The SPI we chose led here; the rest of the header must fit the only request there is. While an answer that may be
  // the genuine one is being computed no other is looked at: should it be wrong, the peer repeats its own.
  const bool fits = parsed.header.message_id.value() == 0 && !parsed.header.initiator && !parsed.sealed &&
                    path.remote == sa_.path.remote && !attempts_.empty() && !agreement_;
  if (!fits) return core_.drop(DatagramDrop::unexpected);
  const codec::Message message{.header = parsed.header, .payloads = parsed.payloads};
  // RFC 8019 7.1.2: a puzzle without a cookie cannot be solved; the message is as if it had not come.
  const bool puzzle_alone = message.notify(NotifyType::puzzle) != nullptr &&
                            message.notify(NotifyType::cookie) == nullptr && message.count(model::PayloadType::sa) == 0;
  if (puzzle_alone) return core_.drop(DatagramDrop::unexpected);
  const auto fault = payload_fault(MessageForm::ike_sa_init_response, message);
  if (fault || codec::unsupported_critical(message.payloads)) {
    return doubt(FailureKind::protocol_error, std::nullopt,
                 fmt::format("the IKE_SA_INIT response is invalid: {}",
                             fault.value_or("it has an unknown payload marked critical")));
  }
  if (message.count(model::PayloadType::sa) > 0) return handle_agreement(message, datagram, path);
  if (const auto* cookie = message.notify(NotifyType::cookie)) return handle_cookie(message, *cookie);
  if (const auto* redirect = message.notify(NotifyType::redirect)) return handle_redirect(*redirect);
  const auto* error = message.error_notify();
  if (error == nullptr) return core_.drop(DatagramDrop::unexpected);
  if (error->type == NotifyType::invalid_ke_payload) return handle_invalid_ke(*error);
  handle_error(*error);
}

void IkeSaInitInitiator::handle_cookie(const codec::Message& message, const codec::NotifyPayload& notify) {
  // RFC 7296 2.6: 1 to 64 octets, and not for ever. Nothing is looked at while a puzzle is being solved.
  if (notify.data.empty() || notify.data.size() > 64 || notify.data == cookie_ || puzzle_)
    return core_.drop(DatagramDrop::unexpected);
  if (++cookies_taken_ > kMostCookies) {
    return doubt(FailureKind::peer_refused, NotifyType::cookie,
                 fmt::format("the peer answered with a new cookie {} times", cookies_taken_));
  }
  const auto* asked = message.notify(NotifyType::puzzle);
  const auto puzzle = asked == nullptr ? std::nullopt : decode_puzzle(asked->data);
  // RFC 8019 7.1.2: one that is too hard, or that we cannot compute, is passed over.
  const bool solvable = puzzle && puzzle->zero_bits <= kMostZeroBits && model::prf_function(puzzle->prf);
  if (solvable && core_.settings.solve_puzzles && puzzles_taken_ < kMostPuzzles) {
    ++puzzles_taken_;
    core_.progress(sa_, fmt::format("the peer is under attack and gives us a puzzle of {} bits", puzzle->zero_bits));
    puzzle_cookie_ = notify.data;
    puzzle_ = core_.expect_completion(sa_);
    puzzle_unwanted_ = std::make_shared<std::atomic<bool>>(false);
    core_.requests.push_back(PuzzleRequest{.token = *puzzle_,
                                           .prf = puzzle->prf,
                                           .text = notify.data,
                                           .zero_bits = puzzle->zero_bits,
                                           .unwanted = puzzle_unwanted_});
    return;
  }
  core_.progress(sa_, "the peer demands a cookie; repeating IKE_SA_INIT with it");
  cookie_ = notify.data;
  solution_.clear();
  send_current();
}

// Also without a solution: the peer may let some in who have none.
Progression IkeSaInitInitiator::take_solution(const PuzzleResult& result) {
  puzzle_.reset();
  // The genuine answer was there meanwhile.
  if (agreement_) return Progression::waiting;
  core_.progress(sa_, result.solution.empty() ? "the puzzle is too hard for us; repeating IKE_SA_INIT with the cookie"
                                              : "the puzzle is solved; repeating IKE_SA_INIT with it");
  cookie_ = std::move(puzzle_cookie_);
  solution_ = result.solution;
  send_current();
  return Progression::waiting;
}

void IkeSaInitInitiator::handle_invalid_ke(const codec::NotifyPayload& notify) {
  const auto wanted =
      notify.data.size() == 2 ? static_cast<KeyExchangeMethod>(load_be16(notify.data.data())) : KeyExchangeMethod::none;
  const auto methods = usable_methods(offered_);
  // RFC 7296 1.2 and 2.21.1: only what we offered is followed; the notification is not authenticated and may be forged.
  const bool offered = std::ranges::find(methods, wanted) != methods.end();
  const bool tried = find_attempt(wanted) != nullptr || key_pair_;
  if (!offered) {
    return doubt(FailureKind::no_proposal_chosen, NotifyType::invalid_ke_payload,
                 fmt::format("the peer wants {}, which connection '{}' does not offer: {}", describe(wanted),
                             config_.name, describe(offered_)));
  }
  if (tried || attempts_.size() >= kMostAttempts) return core_.drop(DatagramDrop::unexpected);
  core_.progress(sa_, fmt::format("the peer wants {}; repeating IKE_SA_INIT with it", describe(wanted)));
  // RFC 7296 2.6.1: the cookie, if there is one, goes along.
  begin_attempt(wanted);
}

// RFC 5685 3: who sends us away has seen our nonce; others are not listened to.
void IkeSaInitInitiator::handle_redirect(const codec::NotifyPayload& notify) {
  const auto note = decode_gateway(notify.data);
  if (!config_.life.follow_redirect || !note || note->nonce != nonce_) return core_.drop(DatagramDrop::bad_redirect);
  const auto standing = sa_.life ? sa_.life->replaces : std::nullopt;
  if (auto why_not = follow(core_, sa_, config_, *note, standing)) {
    core_.drop(DatagramDrop::bad_redirect);
    return doubt(FailureKind::peer_refused, NotifyType::redirect, std::move(*why_not));
  }
  // Nothing is left there. Control goes on from here.
  close_ike_sa(core_, sa_, CloseReason::redirected, Phase::gone);
}

void IkeSaInitInitiator::handle_error(const codec::NotifyPayload& notify) {
  std::string detail =
      fmt::format("{} answered IKE_SA_INIT with {}", sa_.path.remote.to_string(), describe(notify.type));
  if (notify.type == NotifyType::no_proposal_chosen) {
    detail += fmt::format("; we offered {}: the peer accepts none of it, or has no connection for our address {}",
                          describe(offered_), sa_.path.local.address.to_string());
  }
  doubt(failure_kind(notify.type), notify.type, std::move(detail));
}

// RFC 7296 2.21.1: an unauthenticated error must not end the attempt at once; the genuine answer is awaited for some
// time.
void IkeSaInitInitiator::doubt(FailureKind kind, std::optional<model::NotifyType> notify, std::string detail) {
  core_.refuse(notify ? Refusal::refused_by_peer : refusal_for(kind, model::Role::initiator, notify));
  if (!doubt_) {
    // RFC 9329 6.4: who could forge it in a TCP stream would not let the genuine answer through; none is awaited.
    const bool final = sa_.path.over_tcp();
    if (!final) core_.progress(sa_, fmt::format("{}; waiting a little for a better answer", detail));
    sa_.phase_deadline = core_.now + (final ? Duration::zero() : kDoubtPeriod);
    core_.touch(sa_);
  }
  doubt_ = Doubt{.kind = kind, .notify = notify, .detail = std::move(detail)};
}

void IkeSaInitInitiator::handle_agreement(const codec::Message& message, ByteView datagram, const net::Path& path) {
  const auto* ke = message.first<codec::KePayload>();
  const auto accepted = model::accept_answer(message.first<codec::SaPayload>()->proposals, offered_,
                                             {.additional_key_exchanges = knows_intermediate(message)});
  if (!accepted || !is_usable(accepted->ike) || message.header.spi_r.value() == 0 ||
      ke->method != accepted->ike.key_exchange) {
    return doubt(FailureKind::protocol_error, std::nullopt,
                 fmt::format("the peer chose {}, which is no valid choice from our offer {}",
                             describe(message.first<codec::SaPayload>()->proposals), describe(offered_)));
  }
  if (lacks_fragmentation(message, config_)) {
    return doubt(
        FailureKind::peer_refused, std::nullopt,
        fmt::format("the peer does not know IKE fragmentation, which connection '{}' insists on", config_.name));
  }
  if (auto lack = ppk_lack(message, config_)) return doubt(FailureKind::peer_refused, std::nullopt, std::move(*lack));
  if (!note_childless(sa_, message, config_)) {
    return doubt(FailureKind::peer_refused, std::nullopt,
                 fmt::format("the peer takes no IKE SA without a Child SA (RFC 6023), as connection '{}' insists on",
                             config_.name));
  }
  Attempt* attempt = find_attempt(ke->method);
  if (attempt == nullptr) {
    return doubt(
        FailureKind::protocol_error, std::nullopt,
        fmt::format("the peer answered with a key exchange by {} that we did not begin", describe(ke->method)));
  }
  const RequestToken token =
      ask_for_shared_secret(core_, sa_, ke->method, std::move(attempt->key_exchange), ke->public_value);
  agreement_ = Agreement{.message = message,
                         .datagram = to_bytes(datagram),
                         .path = path,
                         .suite = accepted->ike,
                         .secret = {.method = ke->method, .token = token}};
}

Progression IkeSaInitInitiator::finish(const Agreement& agreement, KeyExchangeResult computed) {
  Attempt* attempt = find_attempt(agreement.secret.method);
  CHECK(attempt != nullptr);
  attempt->key_exchange = std::move(computed.own);
  if (computed.fault) {
    doubt(FailureKind::protocol_error, std::nullopt,
          fmt::format("the peer's key exchange value is refused: {}", crypto::to_string(*computed.fault)));
    return Progression::waiting;
  }
  return establish_keys(agreement, computed.shared_secret.view(), *attempt);
}

Progression IkeSaInitInitiator::establish_keys(const Agreement& agreement, ByteView shared_secret,
                                               const Attempt& attempt) {
  const Bytes& nonce_r = agreement.message.first<codec::NoncePayload>()->data;
  sa_.spi_r = agreement.message.header.spi_r;
  const auto prf = model::prf_function(agreement.suite.prf);
  CHECK(prf);
  const SecretBytes skeyseed = skeyseed_initial(*prf, nonce_, nonce_r, shared_secret);
  if (const auto keyed = key_ike_sa(core_, sa_, agreement.suite, skeyseed.view(), nonce_, nonce_r); !keyed) {
    fail_negotiation(
        core_, sa_, FailureKind::local_error, std::nullopt,
        fmt::format("no keys for {}: {}", model::to_string(agreement.suite), crypto::to_string(keyed.error())),
        Phase::gone);
    return Progression::done;
  }
  sa_.init = InitTranscript{.request = attempt.request,
                            .response = agreement.datagram,
                            .nonce_i = nonce_,
                            .nonce_r = nonce_r,
                            .peer_hashes = peer_hashes(agreement.message),
                            .wishes = wishes_of(agreement.message)};
  const net::Path& path = agreement.path;
  judge_nat_detection(sa_, agreement.message, path);
  agree_on_fragmentation(sa_, agreement.message, config_);
  agree_on_ppk(sa_, agreement.message, config_);
  sa_.path = path_after_init(core_, sa_, config_);
  core_.progress(
      sa_, fmt::format(
               "received IKE_SA_INIT response: {}{}{}", model::to_string(agreement.suite),
               sa_.local_behind_nat ? ", we are behind a NAT" : "",
               sa_.path.local.port == path.local.port ? "" : fmt::format(", moving to port {}", sa_.path.local.port)));
  sa_.last_inbound = core_.now;
  sa_.window.answered(model::MessageId{0});
  sa_.phase = Phase::authenticating;
  sa_.phase_deadline.reset();
  if (!give_way_to_living(core_, sa_, path))
    go_on_with_set_up(core_, sa_, agreement.message, model::ConnectionConfig(config_));
  // What follows, if anything does, is the IKE SA's exchange now.
  return Progression::done;
}

void IkeSaInitInitiator::give_up() {
  if (doubt_) return fail_negotiation(core_, sa_, doubt_->kind, doubt_->notify, doubt_->detail, Phase::gone);
  const auto waited = std::chrono::duration_cast<std::chrono::seconds>(core_.now - sa_.begun_at).count();
  if (sa_.path.over_tcp()) {
    return fail_negotiation(
        core_, sa_, FailureKind::no_answer, std::nullopt,
        fmt::format("no answer from {} over TCP to IKE_SA_INIT in {} s; does the peer take IKEv2 in TCP on that port?",
                    sa_.path.remote.to_string(), waited),
        Phase::gone);
  }
  fail_negotiation(core_, sa_, FailureKind::no_answer, std::nullopt,
                   fmt::format("no answer from {} to IKE_SA_INIT in {} s; is IKEv2 running there and are UDP ports {} "
                               "and {} open on the way?",
                               sa_.path.remote.to_string(), waited, core_.settings.ike_port, core_.settings.nat_port),
                   Phase::gone);
}

}  // namespace culvert::ike::v2
