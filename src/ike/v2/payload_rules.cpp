#include "ike/v2/payload_rules.hpp"

#include <array>
#include <span>

#include <fmt/format.h>

namespace culvert::ike::v2 {
namespace {

using model::PayloadType;

struct Rule {
  PayloadType type;
  std::size_t least;
  std::size_t most;
};
inline constexpr std::size_t kMany = 64;

// Payloads without a row must not occur, apart from those in kAnywhere.
constexpr std::array kIkeSaInitRequest = {Rule{PayloadType::sa, 1, 1}, Rule{PayloadType::ke, 1, 1},
                                          Rule{PayloadType::nonce, 1, 1}};
constexpr std::array kIkeSaInitResponse = {Rule{PayloadType::sa, 1, 1}, Rule{PayloadType::ke, 1, 1},
                                           Rule{PayloadType::nonce, 1, 1}};
// RFC 5723 4.3.2; what it is about is in notifications.
constexpr std::array kSessionResume = {Rule{PayloadType::nonce, 1, 1}};
// The Child SA's payloads may be missing altogether (RFC 6023) or in part; the exchange answers that.
constexpr std::array kIkeAuthRequest = {Rule{PayloadType::id_i, 1, 1}, Rule{PayloadType::cert, 0, kMany},
                                        Rule{PayloadType::id_r, 0, 1}, Rule{PayloadType::auth, 0, 1},
                                        Rule{PayloadType::sa, 0, 1},   Rule{PayloadType::ts_i, 0, 1},
                                        Rule{PayloadType::ts_r, 0, 1}};
// With EAP, AUTH may be missing (RFC 5998).
constexpr std::array kIkeAuthResponse = {Rule{PayloadType::id_r, 1, 1}, Rule{PayloadType::cert, 0, kMany},
                                         Rule{PayloadType::auth, 0, 1}, Rule{PayloadType::eap, 0, 1},
                                         Rule{PayloadType::sa, 0, 1},   Rule{PayloadType::ts_i, 0, 1},
                                         Rule{PayloadType::ts_r, 0, 1}};
// RFC 7296 2.16: one of the two. RFC 4739 2.5: or none, when only the responder has more to prove.
constexpr std::array kIkeAuthFurtherRequest = {Rule{PayloadType::eap, 0, 1}, Rule{PayloadType::auth, 0, 1}};
constexpr std::array kIkeAuthFurtherResponse = {Rule{PayloadType::eap, 0, 1}, Rule{PayloadType::auth, 0, 1},
                                                Rule{PayloadType::sa, 0, 1}, Rule{PayloadType::ts_i, 0, 1},
                                                Rule{PayloadType::ts_r, 0, 1}};
constexpr std::array kCreateChildSa = {Rule{PayloadType::sa, 1, 1}, Rule{PayloadType::nonce, 1, 1},
                                       Rule{PayloadType::ke, 0, 1}, Rule{PayloadType::ts_i, 1, 1},
                                       Rule{PayloadType::ts_r, 1, 1}};
constexpr std::array kRekeyIkeSa = {Rule{PayloadType::sa, 1, 1}, Rule{PayloadType::nonce, 1, 1},
                                    Rule{PayloadType::ke, 0, 1}};
constexpr std::array kAdditionalKeyExchange = {Rule{PayloadType::ke, 1, 1}};
// With a key exchange, or without one for a PPK (RFC 9867 3.1): the exchange knows. RFC 9593 3.1: who it is may be said
// there, for a list of methods that are for this initiator. Ours is for all, and IKE_AUTH says it again.
constexpr std::array kIkeIntermediateRequest = {Rule{PayloadType::ke, 0, 1}, Rule{PayloadType::id_i, 0, 1},
                                                Rule{PayloadType::id_r, 0, 1}};
constexpr std::array kIkeIntermediateResponse = {Rule{PayloadType::ke, 0, 1}};
constexpr std::array kInformational = {Rule{PayloadType::delete_, 0, kMany}};

// Without meaning where the RFC does not show them, and harmless: older and chattier peers are not refused for them.
constexpr std::array kAnywhere = {PayloadType::notify, PayloadType::vendor_id, PayloadType::certreq,
                                  PayloadType::configuration};

std::span<const Rule> rules_for(MessageForm form, const codec::Message& message) {
  if (form == MessageForm::ike_intermediate && !message.header.response) return kIkeIntermediateRequest;
  switch (form) {
    case MessageForm::ike_sa_init_request: return kIkeSaInitRequest;
    case MessageForm::ike_sa_init_response: return kIkeSaInitResponse;
    case MessageForm::session_resume_request:
    case MessageForm::session_resume_response: return kSessionResume;
    case MessageForm::ike_intermediate: return kIkeIntermediateResponse;
    case MessageForm::ike_followup_ke: return kAdditionalKeyExchange;
    case MessageForm::ike_auth_request: return kIkeAuthRequest;
    case MessageForm::ike_auth_response: return kIkeAuthResponse;
    case MessageForm::ike_auth_further_request: return kIkeAuthFurtherRequest;
    case MessageForm::ike_auth_further_response: return kIkeAuthFurtherResponse;
    case MessageForm::create_child_sa_request:
    case MessageForm::create_child_sa_response: return kCreateChildSa;
    case MessageForm::rekey_ike_sa_request:
    case MessageForm::rekey_ike_sa_response: return kRekeyIkeSa;
    case MessageForm::informational: return kInformational;
  }
  return {};
}

// RFC 7296 2.21.2: an IKE_AUTH response may report that the Child SA failed and still authenticate; then IDr and AUTH
// are there.
bool error_alone(MessageForm form, const codec::Message& message) {
  if (!message.header.response || message.error_notify() == nullptr) return false;
  if (form == MessageForm::ike_auth_response || form == MessageForm::ike_auth_further_response)
    return message.count(PayloadType::auth) == 0;
  if (form == MessageForm::ike_intermediate || form == MessageForm::ike_followup_ke)
    return message.count(PayloadType::ke) == 0;
  if (form == MessageForm::session_resume_response) return message.count(PayloadType::nonce) == 0;
  return message.count(PayloadType::sa) == 0;
}

// RFC 7296 2.16: identities stand in the first message of each side only. RFC 4739 2.1: and where a round begins.
MessageForm form_of_ike_auth(const codec::Message& message) {
  if (message.header.response) {
    return message.id(model::Role::responder) == nullptr ? MessageForm::ike_auth_further_response
                                                         : MessageForm::ike_auth_response;
  }
  const bool further = message.id(model::Role::initiator) == nullptr && message.count(PayloadType::sa) == 0;
  return further ? MessageForm::ike_auth_further_request : MessageForm::ike_auth_request;
}

// RFC 7296 2.6: with a cookie; RFC 5685 3: elsewhere.
bool retry_demand(MessageForm form, const codec::Message& message) {
  const bool demand =
      message.notify(model::NotifyType::cookie) != nullptr || message.notify(model::NotifyType::redirect) != nullptr;
  // RFC 5723 4.3.2: or in full.
  if (form == MessageForm::session_resume_response)
    return message.count(PayloadType::nonce) == 0 &&
           (demand || message.notify(model::NotifyType::ticket_nack) != nullptr);
  return form == MessageForm::ike_sa_init_response && demand && message.count(PayloadType::sa) == 0;
}

}  // namespace

std::optional<MessageForm> form_of(const codec::Message& message) {
  const bool response = message.header.response;
  switch (message.header.exchange) {
    case model::ExchangeType::ike_sa_init:
      return response ? MessageForm::ike_sa_init_response : MessageForm::ike_sa_init_request;
    case model::ExchangeType::ike_session_resume:
      return response ? MessageForm::session_resume_response : MessageForm::session_resume_request;
    case model::ExchangeType::ike_intermediate: return MessageForm::ike_intermediate;
    case model::ExchangeType::ike_auth: return form_of_ike_auth(message);
    case model::ExchangeType::create_child_sa: {
      const auto* sa = message.first<codec::SaPayload>();
      const bool ike =
          sa != nullptr && !sa->proposals.empty() && sa->proposals.front().protocol == model::ProtocolId::ike;
      if (ike) return response ? MessageForm::rekey_ike_sa_response : MessageForm::rekey_ike_sa_request;
      return response ? MessageForm::create_child_sa_response : MessageForm::create_child_sa_request;
    }
    case model::ExchangeType::ike_followup_ke: return MessageForm::ike_followup_ke;
    case model::ExchangeType::informational: return MessageForm::informational;
    default: return std::nullopt;
  }
}

std::optional<std::string> payload_fault(MessageForm form, const codec::Message& message) {
  if (error_alone(form, message) || retry_demand(form, message)) return std::nullopt;
  const std::span<const Rule> rules = rules_for(form, message);
  for (const Rule& rule : rules) {
    const std::size_t count = message.count(rule.type);
    if (count < rule.least) return fmt::format("the {} payload is missing", name_of(rule.type));
    if (count > rule.most)
      return fmt::format("{} {} payloads where at most {} may stand", count, name_of(rule.type), rule.most);
  }
  if (form == MessageForm::ike_auth_response && message.count(PayloadType::auth) + message.count(PayloadType::eap) == 0)
    return fmt::format("the {} payload is missing", name_of(PayloadType::auth));
  for (const codec::Payload& payload : message.payloads) {
    if (std::holds_alternative<codec::UnknownPayload>(payload)) continue;
    const PayloadType type = codec::type_of(payload);
    bool allowed = false;
    for (const Rule& rule : rules) allowed = allowed || rule.type == type;
    for (const PayloadType anywhere : kAnywhere) allowed = allowed || anywhere == type;
    if (!allowed) return fmt::format("a {} payload does not belong there", name_of(type));
  }
  return std::nullopt;
}

}  // namespace culvert::ike::v2
