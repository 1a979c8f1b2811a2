#include "radius/dynamic_authorization.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace culvert::radius {
namespace {

using enum AttributeType;
using Fault = std::string_view;

constexpr std::size_t kMostProxyStates = 8;                   // so that an answer always fits
constexpr Duration kLeastInterim = std::chrono::seconds(60);  // RFC 2869 5.16

std::string text_of(ByteView octets) { return {octets.begin(), octets.end()}; }

/// One attribute into what is asked for; nothing when all is well.
std::optional<ErrorCause> understand_one(const Attribute& attribute, const Nas& nas, Code code,
                                         model::SessionQuery& query, model::SessionChange& change) {
  const ByteView value = attribute.value;
  const auto address = [&](std::size_t size) -> std::optional<net::IpAddress> {
    return value.size() == size ? net::IpAddress::from_bytes(value) : std::nullopt;
  };
  const auto seconds = [&](std::optional<Duration>& to) -> std::optional<ErrorCause> {
    if (code != Code::coa_request) return ErrorCause::unsupported_attribute;
    if (value.size() != 4) return ErrorCause::invalid_attribute_value;
    to = std::chrono::seconds(load_be32(value.data()));
    return std::nullopt;
  };
  const auto gateway = [&](std::size_t size) -> std::optional<ErrorCause> {
    query.gateway = address(size);
    return query.gateway ? std::nullopt : std::optional(ErrorCause::invalid_attribute_value);
  };
  const auto inner = [&](std::size_t size) -> std::optional<ErrorCause> {
    const auto one = address(size);
    if (!one) return ErrorCause::invalid_attribute_value;
    query.addresses.push_back(*one);
    return std::nullopt;
  };
  switch (attribute.type) {
    case nas_identifier:
      // RFC 5176 3: whoever is meant by that name, we are not.
      if (text_of(value) != nas.identifier) return ErrorCause::nas_identification_mismatch;
      return std::nullopt;
    case nas_ip_address: return gateway(4);
    case nas_ipv6_address: return gateway(16);
    case user_name: query.user = text_of(value); return std::nullopt;
    case acct_session_id: query.session_id = text_of(value); return std::nullopt;
    case calling_station_id: query.calling_station = text_of(value); return std::nullopt;
    case called_station_id: query.called_station = text_of(value); return std::nullopt;
    case nas_port_id: query.tunnel = text_of(value); return std::nullopt;
    case framed_ip_address: return inner(4);
    case framed_ipv6_address: return inner(16);
    case session_timeout: return seconds(change.session_timeout);
    case idle_timeout: return seconds(change.idle_timeout);
    case acct_interim_interval: {
      const auto refusal = seconds(change.interim_interval);
      if (!refusal) change.interim_interval = std::max(*change.interim_interval, kLeastInterim);
      return refusal;
    }
    case class_:
      if (code != Code::coa_request) return ErrorCause::unsupported_attribute;
      change.classes.push_back(to_bytes(value));
      return std::nullopt;
    // RFC 5176 3.2: an Access-Request of ours in the middle of a session, we do not make.
    case service_type:
      return value.size() == 4 && load_be32(value.data()) == kServiceAuthorizeOnly ? ErrorCause::unsupported_service
                                                                                   : ErrorCause::unsupported_attribute;
    case nas_port_type:
    case acct_terminate_cause:
    case reply_message:
    case state:
    case proxy_state:
    case event_timestamp:
    case message_authenticator: return std::nullopt;
    // RFC 5176 3.5: what we cannot do is refused, whole.
    default: return ErrorCause::unsupported_attribute;
  }
}

}  // namespace

Result<DynamicAuthorization::Taken, std::string_view> DynamicAuthorization::take(const net::Endpoint& from,
                                                                                 ByteView octets,
                                                                                 std::int64_t wall_clock, Instant now) {
  const auto packet = parse(octets);
  if (!packet) return err(packet.error());
  if (packet->code != Code::disconnect_request && packet->code != Code::coa_request)
    return err(Fault("its code is neither Disconnect-Request nor CoA-Request"));
  // RFC 5176 2.3, 3.3.
  if (!is_request_by(*packet, secret_.view()))
    return err(Fault("its authenticator is wrong: another secret than ours, or a forgery"));
  const MessageProof proof = message_proof(*packet, Authenticator{}, secret_.view());
  if (proof == MessageProof::wrong) return err(Fault("its Message-Authenticator is wrong"));
  // RFC 5176 6.3: what was recorded shall not be played again.
  const auto timestamp = packet->number(event_timestamp);
  if (timestamp && std::abs(wall_clock - static_cast<std::int64_t>(*timestamp)) > kTimeWindow)
    return err(Fault("its Event-Timestamp is more than five minutes from our clock"));
  while (!kept_.empty() && kept_.front().until <= now) kept_.pop_front();
  for (const Kept& kept : kept_) {
    if (kept.from == from && kept.identifier == packet->identifier && kept.authenticator == packet->authenticator)
      return kept.answer;
  }
  Wanted wanted{.code = packet->code,
                .query = {},
                .change = {},
                .from = from,
                .identifier = packet->identifier,
                .authenticator = packet->authenticator,
                .with_message_authenticator = proof == MessageProof::right,
                .proxy_states = {},
                .state = {}};
  if (const auto refusal = understand(*packet, wanted)) return make_answer(wanted, refusal, now);
  return wanted;
}

std::optional<ErrorCause> DynamicAuthorization::understand(const Packet& packet, Wanted& wanted) const {
  for (const ByteView one : packet.all(proxy_state)) {
    if (wanted.proxy_states.size() < kMostProxyStates) wanted.proxy_states.push_back(to_bytes(one));
  }
  if (const auto one = packet.first(state)) wanted.state = to_bytes(*one);
  wanted.query.radius = nas_.radius;
  for (const Attribute& attribute : packet.attributes) {
    if (const auto refusal = understand_one(attribute, nas_, packet.code, wanted.query, wanted.change)) return refusal;
  }
  if (!wanted.query.names_session()) return ErrorCause::missing_attribute;
  if (packet.code == Code::coa_request && wanted.change.empty()) return ErrorCause::missing_attribute;
  return std::nullopt;
}

Bytes DynamicAuthorization::answer(const Wanted& wanted, std::size_t sessions, Instant now) {
  return make_answer(wanted, sessions == 0 ? std::optional(ErrorCause::session_context_not_found) : std::nullopt, now);
}

Bytes DynamicAuthorization::make_answer(const Wanted& wanted, std::optional<ErrorCause> refusal, Instant now) {
  const bool disconnect = wanted.code == Code::disconnect_request;
  const Code code = refusal ? (disconnect ? Code::disconnect_nak : Code::coa_nak)
                            : (disconnect ? Code::disconnect_ack : Code::coa_ack);
  PacketBuilder builder(code);
  if (refusal) builder.add_number(error_cause, static_cast<std::uint32_t>(*refusal));
  // RFC 5176 3.1, 3.2: back as they came.
  if (wanted.state) builder.add(state, *wanted.state);
  for (const Bytes& one : wanted.proxy_states) builder.add(proxy_state, one);
  if (kept_.size() >= kMostAnswers) kept_.pop_front();
  kept_.push_back({.from = wanted.from,
                   .identifier = wanted.identifier,
                   .authenticator = wanted.authenticator,
                   .until = now + kKept,
                   .answer = builder.as_answer(wanted.identifier, wanted.authenticator, secret_.view(),
                                               wanted.with_message_authenticator)});
  return kept_.back().answer;
}

}  // namespace culvert::radius
