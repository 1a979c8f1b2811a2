#include "ike/eap/client.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/eap/mschapv2.hpp"
#include "ike/eap/simple_methods.hpp"
#include "ike/eap/tunnelled.hpp"

namespace culvert::ike::eap {

using model::EapCode;
using model::EapType;

namespace {

// A server asks once; some ask again.
constexpr unsigned kMostIdentifications = 3;

}  // namespace

Outcome EapClient::handle(ByteView octets) {
  if (over_) return fail("protocol", "the conversation is over");
  const unsigned most = type_ && model::is_built_on_tls(*type_) ? kMostTlsRounds : kMostRounds;
  if (++rounds_ > most) return fail("protocol", fmt::format("more than {} packets of the server", most));
  const auto packet = parse_packet(octets);
  if (!packet) return fail("protocol", packet.error());
  switch (packet->code) {
    case EapCode::request: return take_request(*packet);
    case EapCode::success: break;
    case EapCode::failure:
      if (refusal_) return fail(*refusal_);
      return fail("refused", fmt::format("the server refuses '{}'{}", escaped(identity_),
                                         type_ ? fmt::format(" ({})", name_of(*type_)) : std::string()));
    case EapCode::response: return fail("protocol", "a response came instead of a request");
  }
  // RFC 3748 4.2: success means nothing before the method has come to its end, on our side too.
  if (refusal_) return fail(*refusal_);
  if (!content_)
    return fail("protocol", "EAP-Success came before the server had proved itself, or we had: it is not believed");
  over_ = true;
  Outcome outcome;
  outcome.state = Outcome::State::success;
  outcome.msk = std::move(msk_);
  outcome.identity = identity_;
  outcome.method = type_;
  return outcome;
}

Outcome EapClient::take_request(const Packet& packet) {
  if (packet.type == EapType::identity) {
    if (type_ || ++identified_ > kMostIdentifications)
      return fail("protocol", "the server asks for the identity again and again");
    return answer(packet, EapType::identity, as_bytes(outer_identity_.empty() ? identity_ : outer_identity_));
  }
  // RFC 3748 5.2: acknowledged, and that is all.
  if (packet.type == EapType::notification) return answer(packet, EapType::notification, {});
  if (!type_) {
    if (std::ranges::find(methods_, packet.type) == methods_.end()) return say_no(packet);
    method_ = make_method(packet.type);
    if (!method_) return say_no(packet);
    type_ = packet.type;
  }
  // RFC 3748 2.1: one method in one conversation.
  if (packet.type != *type_)
    return fail("protocol", fmt::format("a request of type {} came while {} was under way",
                                        static_cast<unsigned>(packet.type), name_of(*type_)));
  return take_turn(packet);
}

Outcome EapClient::take_turn(const Packet& packet) {
  // Servers of TLS say goodbye within it before they say EAP-Failure: what was wrong stays what it was.
  if (refusal_) return fail(*refusal_);
  if (content_) return fail("protocol", fmt::format("{} was over, and goes on", name_of(*type_)));
  Turn turn = method_->handle(packet.identifier, packet.data);
  if (turn.progress == Progress::refused) {
    if (turn.data.empty()) return fail(std::move(*turn.refusal));
    refusal_ = std::move(turn.refusal);
  }
  if (turn.progress == Progress::done) {
    content_ = true;
    msk_ = std::move(turn.msk);
  }
  Outcome outcome = answer(packet, *type_, turn.data);
  wipe(turn.data);  // GTC's is the secret
  return outcome;
}

std::unique_ptr<ClientMethod> EapClient::make_method(EapType type) {
  switch (type) {
    case EapType::mschapv2: return mschapv2_client(random_, identity_, secret_.clone());
    case EapType::md5_challenge: return md5_client(identity_, secret_.clone());
    case EapType::gtc: return gtc_client(secret_.clone());
    case EapType::tls: return tls_.context ? tls_client(tls_) : nullptr;
    case EapType::ttls:
      if (!tls_.context || tls_.inner.empty()) return nullptr;
      return ttls_client(tls_, random_, {.identity = identity_, .secret = secret_.clone()});
    case EapType::peap:
      if (!tls_.context || eap_methods(tls_.inner).empty()) return nullptr;
      return peap_client(tls_, random_, {.identity = identity_, .secret = secret_.clone()});
    default: return nullptr;
  }
}

// RFC 3748 5.3.1: the methods that we would take part in.
Outcome EapClient::say_no(const Packet& packet) const {
  Bytes wanted;
  for (const EapType type : methods_) wanted.push_back(static_cast<std::uint8_t>(type));
  return answer(packet, EapType::nak, wanted);
}

Outcome EapClient::answer(const Packet& request, EapType type, ByteView data) const {
  Outcome outcome;
  outcome.packet = make_packet(EapCode::response, request.identifier, type, data);
  outcome.identity = identity_;
  outcome.method = type_;
  return outcome;
}

Outcome EapClient::fail(std::string check, std::string found) {
  return fail(Refusal{.subject = {}, .serial = {}, .check = std::move(check), .found = std::move(found)});
}

Outcome EapClient::fail(Refusal refusal) {
  over_ = true;
  Outcome outcome;
  outcome.state = Outcome::State::failure;
  outcome.identity = identity_;
  outcome.method = type_;
  outcome.refusal = std::move(refusal);
  return outcome;
}

}  // namespace culvert::ike::eap
