#include "ike/eap/server.hpp"

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

std::string types_text(ByteView types) {
  std::string text;
  for (const std::uint8_t type : types.first(std::min<std::size_t>(types.size(), 8))) {
    if (!text.empty()) text += ", ";
    const auto name = name_of(static_cast<EapType>(type));
    text += name == "unknown" ? fmt::format("type {}", type) : std::string(name);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

Outcome EapServer::begin(std::optional<std::uint8_t> identifier) {
  identifier_ = identifier ? *identifier : static_cast<std::uint8_t>(random_.u32());
  return ask(EapType::identity, {});
}

Outcome EapServer::begin_with(ByteView octets) {
  asked_ = EapType::identity;
  if (const auto packet = parse_packet(octets)) identifier_ = packet->identifier;
  return handle(octets);
}

bool EapServer::too_many_rounds() const {
  return rounds_ > (asked_ && model::is_built_on_tls(*asked_) ? kMostTlsRounds : kMostRounds);
}

Outcome EapServer::handle(ByteView octets) {
  if (over_) return fail("protocol", "the conversation is over");
  ++rounds_;
  if (too_many_rounds()) return fail("protocol", fmt::format("more than {} packets of the peer", rounds_ - 1));
  const auto packet = parse_packet(octets);
  if (!packet) return fail("protocol", packet.error());
  // RFC 3748 4.1: a response answers the request that is under way. IKE delivers each once, so that any other is no
  // duplicate, but wrong.
  if (packet->code != EapCode::response)
    return fail("protocol", fmt::format("EAP code {} came instead of a response", static_cast<unsigned>(packet->code)));
  if (packet->identifier != identifier_)
    return fail("protocol", fmt::format("the response is to request {}, we asked {}", packet->identifier, identifier_));
  if (packet->type == EapType::nak && asked_ != EapType::identity) return take_nak(*packet);
  if (packet->type != asked_)
    return fail("protocol", fmt::format("the response is of type {}, the request was {}",
                                        static_cast<unsigned>(packet->type), name_of(*asked_)));
  return asked_ == EapType::identity ? take_identity(*packet) : take_turn(*packet);
}

Outcome EapServer::ask(EapType type, ByteView data) {
  asked_ = type;
  Outcome outcome;
  outcome.packet = make_packet(EapCode::request, identifier_, type, data);
  outcome.identity = identity_;
  if (type != EapType::identity) outcome.method = type;
  return outcome;
}

Outcome EapServer::take_identity(const Packet& packet) {
  if (packet.data.empty() || packet.data.size() > kMostIdentity)
    return fail("identity",
                fmt::format("an identity of {} octets; 1 to {} are taken", packet.data.size(), kMostIdentity));
  identity_.assign(packet.data.begin(), packet.data.end());
  ++identifier_;
  return begin_method(methods_.front());
}

Outcome EapServer::begin_method(EapType type) {
  method_.reset();
  const SecretBytes* secret = users_.secret_of(identity_);
  switch (type) {
    case EapType::mschapv2: method_ = mschapv2_server(random_, identity_, secret); break;
    case EapType::md5_challenge: method_ = md5_server(random_, identity_, secret); break;
    case EapType::gtc: method_ = gtc_server(identity_, secret); break;
    case EapType::tls:
      if (tls_.context && tls_.context->has_trust()) method_ = tls_server(tls_, identity_);
      break;
    case EapType::ttls:
      if (tls_.context) method_ = ttls_server(tls_, random_, users_);
      break;
    case EapType::peap:
      if (tls_.context && !eap_methods(tls_.inner).empty()) method_ = peap_server(tls_, random_, users_);
      break;
    default: break;
  }
  if (!method_) {
    return fail("method", fmt::format("{} cannot be done here", name_of(type)));
  }
  return ask(type, method_->begin(identifier_));
}

// RFC 3748 5.3.1: only in answer to the first request of a method, and once.
Outcome EapServer::take_nak(const Packet& packet) {
  if (negotiated_) return fail("method", fmt::format("'{}' says no to each method", escaped(identity_)));
  const bool begun = rounds_ > 2;
  if (begun) return fail("protocol", "the peer says no to a method that has begun");
  negotiated_ = true;
  for (const EapType type : methods_) {
    const bool wanted = std::ranges::find(packet.data, static_cast<std::uint8_t>(type)) != packet.data.end();
    if (type == asked_ || !wanted) continue;
    ++identifier_;
    return begin_method(type);
  }
  Bytes ours;
  for (const EapType type : methods_) ours.push_back(static_cast<std::uint8_t>(type));
  return fail("method",
              fmt::format("'{}' wants {}, we take {}", escaped(identity_), types_text(packet.data), types_text(ours)));
}

Outcome EapServer::take_turn(const Packet& packet) {
  Turn turn = method_->handle(packet.identifier, packet.data);
  if (turn.refusal && !turn.identity.empty()) identity_ = turn.identity;
  if (turn.progress == Progress::refused) return fail(std::move(*turn.refusal));
  if (turn.progress == Progress::more) {
    ++identifier_;
    Outcome outcome = ask(*asked_, turn.data);
    outcome.refusal = std::move(turn.refusal);
    return outcome;
  }
  over_ = true;
  Outcome outcome;
  outcome.state = Outcome::State::success;
  outcome.packet = make_end(EapCode::success, identifier_);
  outcome.msk = std::move(turn.msk);
  outcome.identity = turn.identity.empty() ? identity_ : turn.identity;
  outcome.method = asked_;
  outcome.good_until = turn.good_until;
  return outcome;
}

Outcome EapServer::fail(std::string check, std::string found) {
  return fail(Refusal{.subject = {}, .serial = {}, .check = std::move(check), .found = std::move(found)});
}

Outcome EapServer::fail(Refusal refusal) {
  over_ = true;
  Outcome outcome;
  outcome.state = Outcome::State::failure;
  outcome.packet = make_end(EapCode::failure, identifier_);
  outcome.identity = identity_;
  if (asked_ && asked_ != EapType::identity) outcome.method = asked_;
  outcome.refusal = std::move(refusal);
  return outcome;
}

}  // namespace culvert::ike::eap
