#include "ike/v2/ike_auth_responder.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/establish.hpp"
#include "ike/v2/messages.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

void IkeAuthResponder::start(const codec::Message& request) {
  request_ = request;
  // The initiator may have moved to port 4500 (RFC 7296 2.23); this request is authentic and fresh.
  sa_.path = path_;
  const auto* auth = request.first<codec::AuthPayload>();
  if (auth == nullptr || auth->method != model::AuthenticationMethod::shared_key_mic) {
    return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed,
                  fmt::format("the peer {} wants to authenticate by {}, only a shared key is accepted",
                              request.id(Role::initiator)->identity.to_string(),
                              auth == nullptr ? "EAP" : std::string(name_of(auth->method))));
  }
  std::string why_not;
  const model::ConnectionConfig* config = choose_connection(why_not);
  if (config == nullptr)
    return refuse(NotifyType::authentication_failed, FailureKind::unknown_peer, std::move(why_not));
  config_ = *config;
  sa_.connection = config->id;
  sa_.local_id = local_identity(*config, path_);
  sa_.remote_id = request.id(Role::initiator)->identity;
  ask_for_mac(Role::initiator, sa_.init.request, sa_.init.nonce_r, *request.id(Role::initiator));
}

const model::ConnectionConfig* IkeAuthResponder::choose_connection(std::string& why_not) const {
  const model::Identity& theirs = request_.id(Role::initiator)->identity;
  const auto* wanted = request_.id(Role::responder);
  const auto* config = core_.connections.find_candidate(path_, theirs, [&](const model::ConnectionConfig& one) {
    if (wanted != nullptr && local_identity(one, path_) != wanted->identity) return false;
    // IKE_SA_INIT was answered before the identity was known: its algorithms must be good for this connection as well.
    if (model::accepts(one.ike_proposals, sa_.suite)) return true;
    why_not = fmt::format(
        "connection '{}' is for the peer {} but does not accept {}, which was chosen before its identity was known",
        one.name, theirs.to_string(), model::to_string(sa_.suite));
    return false;
  });
  if (config != nullptr || !why_not.empty()) return config;
  why_not =
      fmt::format("the peer at {} says it is {} and asks for {}; {}", path_.remote.to_string(), theirs.to_string(),
                  wanted != nullptr ? wanted->identity.to_string() : "nobody in particular", expectations());
  return nullptr;
}

std::string IkeAuthResponder::expectations() const {
  constexpr int kNamed = 8;  // a hub may have thousands
  std::string expected;
  int named = 0;
  core_.connections.find_candidate(path_, [&](const model::ConnectionConfig& one) {
    if (!expected.empty()) expected += "; ";
    if (named == kNamed) {
      expected += "others";
      return true;
    }
    ++named;
    expected += fmt::format("'{}' expects {} and is {}", one.name, remote_identity(one, path_).to_string(),
                            local_identity(one, path_).to_string());
    return false;
  });
  return expected.empty() ? "no connection is for its address" : expected;
}

void IkeAuthResponder::ask_for_mac(Role signer, ByteView first_message, ByteView peer_nonce,
                                   const codec::IdPayload& id) {
  token_ = core_.expect_completion(sa_);
  core_.requests.push_back(SharedKeyMacRequest{
      .token = token_,
      .connection = config_->id,
      .prf = sa_.suite.prf,
      .octets = auth::signed_octets(sa_.prf, first_message, peer_nonce, sa_.keys.sk_p(signer).view(), id.body())});
}

void IkeAuthResponder::handle_completion(RequestToken token, SharedKeyMacResult result) {
  if (token != token_) return;
  if (!result.mac) {
    return refuse(NotifyType::authentication_failed, FailureKind::local_error,
                  fmt::format("there is no secret for connection '{}'", config_->name));
  }
  if (verified_) return answer(*result.mac);
  if (!auth::auth_matches(*result.mac, request_.first<codec::AuthPayload>()->data)) {
    return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed,
                  fmt::format("the peer {} at {} does not have our secret of connection '{}'",
                              sa_.remote_id.to_string(), path_.remote.to_string(), config_->name));
  }
  verified_ = true;
  id_r_ = {.side = Role::responder, .identity = sa_.local_id, .reserved = {}};
  ask_for_mac(Role::responder, sa_.init.response, sa_.init.nonce_i, id_r_);
}

void IkeAuthResponder::answer(const SecretBytes& mac) {
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  codec::Message answer;
  answer.add(id_r_);
  answer.add(codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic, .data = to_bytes(mac.view())});
  const InitTranscript init = sa_.init;
  establish(core_, sa_, *config_);
  sa_.init = init;
  const Rivalry rivalry = find_rival(core_, sa_);
  answer_child(answer, rivalry);
  sa_.init = {};
  send_response(core_, sa_, model::ExchangeType::ike_auth, request_.header.message_id, std::move(answer), path_);
  settle_duplicates(core_, sa_, rivalry, request_.notify(NotifyType::initial_contact) != nullptr);
}

void IkeAuthResponder::answer_child(codec::Message& answer, const Rivalry& rivalry) {
  const bool complete = request_.first<codec::SaPayload>() != nullptr && request_.ts(Role::initiator) != nullptr &&
                        request_.ts(Role::responder) != nullptr;
  if (!complete) return core_.progress(sa_, "the peer set up the IKE SA without a Child SA");
  auto chosen = choose_child(core_, *config_, ChildExchange::ike_auth, nullptr, request_);
  if (!chosen) {
    // RFC 7296 1.2: the IKE SA stands, the notification stands in for SA and TS.
    answer.add_notify(chosen.error().notify, chosen.error().data);
    return report_child_failure(core_, sa_, Role::responder, chosen.error().kind, chosen.error().notify,
                                chosen.error().detail);
  }
  ChildSa child;
  child.redundant = rivalry.loser == sa_.id;
  child.replaces = rival_child(core_, rivalry, chosen->agreement.local, chosen->agreement.remote);
  child.hold_outbound = child.replaces.has_value();
  if (chosen->agreement.mode == model::Mode::transport) answer.add_notify(NotifyType::use_transport_mode);
  answer.add(codec::SaPayload{{chosen->proposal}});
  answer.add(codec::TsPayload{.side = Role::initiator, .selectors = chosen->agreement.remote, .unknown = {}});
  answer.add(codec::TsPayload{.side = Role::responder, .selectors = chosen->agreement.local, .unknown = {}});
  build_child(core_, sa_, *config_, chosen->agreement, Role::responder, {}, sa_.init.nonce_i, sa_.init.nonce_r,
              std::move(child));
}

void IkeAuthResponder::refuse(NotifyType type, FailureKind kind, std::string detail) {
  const auto self = std::move(sa_.responder);  // ends with this function
  codec::Message answer;
  answer.add_notify(type);
  send_response(core_, sa_, model::ExchangeType::ike_auth, request_.header.message_id, std::move(answer), path_);
  // The answer stays for retransmissions of the request, the rest goes.
  fail_negotiation(core_, sa_, kind, type, std::move(detail), Phase::defunct);
}

}  // namespace culvert::ike::v2
