#include "ike/v2/session_resume_initiator.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/childless.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_auth_initiator.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/payload_rules.hpp"
#include "ike/v2/redirect.hpp"
#include "ike/v2/resumption.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

constexpr unsigned kMostCookies = 5;
constexpr unsigned kTriesOfOneOfMany = 4;  // as for IKE_SA_INIT

}  // namespace

SessionResumeInitiator::SessionResumeInitiator(Core& core, IkeSa& sa, const model::ConnectionConfig& config,
                                               Bytes ticket, Beginning beginning)
    : core_(core),
      sa_(sa),
      config_(config),
      ticket_(std::move(ticket)),
      beginning_(std::move(beginning)),
      nonce_(core.new_nonce()) {}

Progression SessionResumeInitiator::start() {
  send();
  core_.progress(sa_, fmt::format("sent IKE_SESSION_RESUME request to {}", sa_.path.remote.to_string()));
  return Progression::waiting;
}

// RFC 5723 4.3.2.
void SessionResumeInitiator::send() {
  codec::Message message;
  message.header.spi_i = sa_.spi_i;
  message.header.exchange = type();
  message.header.initiator = true;
  if (!cookie_.empty()) message.add_notify(NotifyType::cookie, cookie_);
  message.add(codec::NoncePayload{nonce_});
  message.add_notify(NotifyType::ticket_opaque, ticket_);
  add_nat_detection(message, sa_.path, config_.encapsulation);
  offer_fragmentation(message, config_);
  offer_redirect(message, sa_, config_);
  request_ = codec::serialize(message);
  core_.transmit(sa_.path, request_);
  const model::MessageId first{0};
  if (sa_.window.awaits(first)) {
    sa_.window.replaced(first, Outgoing(request_), core_.now, core_.random);
  } else {
    RetransmitPolicy policy = core_.retransmission();
    if (!config_.further_peers.empty()) policy.tries = std::min(policy.tries, kTriesOfOneOfMany);
    sa_.window.sent(Outgoing(request_), policy, core_.now, core_.random);
  }
  core_.touch(sa_);
}

void SessionResumeInitiator::handle_init_response(const net::Path& path, ByteView datagram,
                                                  const codec::ParsedMessage& parsed) {
  const bool fits = parsed.header.message_id.value() == 0 && !parsed.header.initiator && !parsed.sealed &&
                    path.remote == sa_.path.remote;
  if (!fits) return core_.drop(DatagramDrop::unexpected);
  const codec::Message message{.header = parsed.header, .payloads = parsed.payloads};
  if (payload_fault(MessageForm::session_resume_response, message) || codec::unsupported_critical(message.payloads))
    return core_.drop(DatagramDrop::malformed);
  if (message.first<codec::NoncePayload>() != nullptr) return agree(message, datagram, path);
  if (const auto* cookie = message.notify(NotifyType::cookie)) return handle_cookie(*cookie);
  // RFC 5685 3: where it sends us we prove ourselves in full anyhow, and IKE_SA_INIT follows with more care.
  if (message.notify(NotifyType::redirect) != nullptr)
    return begin_in_full(core_, sa_, std::move(beginning_), "the peer sends us elsewhere instead of resuming");
  // RFC 5723 4.3.2: the peer does not take it. Nothing of this is authenticated; who forges it makes us prove ourselves
  // in full, and gains nothing.
  const auto* error = message.error_notify();
  if (message.notify(NotifyType::ticket_nack) == nullptr && error == nullptr)
    return core_.drop(DatagramDrop::unexpected);
  core_.refuse(Refusal::refused_by_peer);
  begin_in_full(core_, sa_, std::move(beginning_),
                fmt::format("the peer does not take our ticket ({})",
                            describe(error != nullptr ? error->type : NotifyType::ticket_nack)));
}

void SessionResumeInitiator::handle_cookie(const codec::NotifyPayload& notify) {
  if (notify.data.empty() || notify.data.size() > 64 || notify.data == cookie_ || ++cookies_taken_ > kMostCookies)
    return core_.drop(DatagramDrop::unexpected);
  core_.progress(sa_, "the peer demands a cookie; repeating IKE_SESSION_RESUME with it");
  cookie_ = notify.data;
  send();
}

void SessionResumeInitiator::agree(const codec::Message& message, ByteView datagram, const net::Path& path) {
  if (message.header.spi_r.value() == 0) return core_.drop(DatagramDrop::malformed);
  const Bytes nonce_r = message.first<codec::NoncePayload>()->data;
  if (lacks_fragmentation(message, config_) || !note_childless(sa_, message, config_)) {
    core_.refuse(Refusal::policy);
    return begin_in_full(core_, sa_, std::move(beginning_), "the peer has not what the connection insists on");
  }
  sa_.spi_r = message.header.spi_r;
  if (const auto keyed = key_resumed(core_, sa_, nonce_, nonce_r); !keyed)
    return begin_in_full(core_, sa_, std::move(beginning_), std::string(crypto::to_string(keyed.error())));
  sa_.init = InitTranscript{
      .request = request_, .response = to_bytes(datagram), .nonce_i = nonce_, .nonce_r = nonce_r, .peer_hashes = {}};
  // RFC 5723 4.3.2: what is known of NATs, and of everything but the old IKE SA, is from this exchange.
  judge_nat_detection(sa_, message, path);
  agree_on_fragmentation(sa_, message, config_);
  sa_.path = path_after_init(core_, sa_, config_);
  core_.progress(sa_, fmt::format("the peer resumes the IKE SA, {}", model::to_string(sa_.suite)));
  sa_.last_inbound = core_.now;
  sa_.window.answered(model::MessageId{0});
  sa_.phase = Phase::authenticating;
  sa_.phase_deadline.reset();
  sa_.resumption->beginning = std::move(beginning_);
  if (give_way_to_living(core_, sa_, path)) return;
  // Ends this exchange.
  start_ike_auth(core_, sa_, model::ConnectionConfig(config_));
}

void SessionResumeInitiator::give_up() {
  note_unanswered(core_, config_.id);
  fail_negotiation(core_, sa_, FailureKind::no_answer, std::nullopt,
                   fmt::format("no answer from {} to IKE_SESSION_RESUME; the next attempt is without the ticket",
                               sa_.path.remote.to_string()),
                   Phase::gone);
}

void begin_in_full(Core& core, IkeSa& sa, Beginning beginning, const std::string& why) {
  core.progress(sa, fmt::format("{}; setting up the IKE SA in full", why));
  CHECK(sa.connection);
  const model::ConnectionId connection = *sa.connection;
  forget_ticket(core, connection);
  const bool wanted = !sa.terminating;
  close_ike_sa(core, sa, CloseReason::negotiation_failed, Phase::gone);
  const model::ConnectionConfig* config = core.connections.find(connection);
  if (wanted && config != nullptr) begin_ike_sa(core, *config, std::move(beginning));
}

}  // namespace culvert::ike::v2
