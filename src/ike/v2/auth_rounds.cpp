#include "ike/v2/auth_rounds.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ike/v2/authentication.hpp"

namespace culvert::ike::v2 {
namespace {

using model::Authentication;
using model::AuthRound;
using model::NotifyType;

bool has_eap(const std::vector<AuthRound>& rounds) {
  return std::ranges::any_of(rounds, [](const AuthRound& one) { return !one.by; });
}

bool has_certificate(const std::vector<AuthRound>& rounds) {
  return std::ranges::find(rounds, std::optional(Authentication::certificate), &AuthRound::by) != rounds.end();
}

std::string in_words(std::optional<Authentication> way) { return way ? fmt::format("a {}", name_of(*way)) : "EAP"; }

/// Whom this round of the peer's has to be by, in words.
std::string expected_in_round(const model::ConnectionConfig& config, const IkeSa& sa, std::size_t round) {
  if (round == 0) return sa.remote_id.to_string();
  const AuthRound& expected = config.peer_rounds[round - 1];
  if (expected.pattern) return expected.pattern->to_string();
  return expected.id.value_or(sa.remote_id).to_string();
}

}  // namespace

bool has_rounds(const model::ConnectionConfig& config) {
  return !config.own_rounds.empty() || !config.peer_rounds.empty();
}

bool begins_by_eap(const model::ConnectionConfig& config) {
  return config.eap && !has_eap(config.eap->client ? config.own_rounds : config.peer_rounds);
}

bool uses_certificates(const model::ConnectionConfig& config) {
  return config.uses(Authentication::certificate) || has_certificate(config.own_rounds) ||
         has_certificate(config.peer_rounds);
}

std::optional<Authentication> own_way(const model::ConnectionConfig& config, std::size_t round) {
  if (round > 0) return config.own_rounds[round - 1].by;
  if (const auto& eap = config.eap; eap && eap->client && begins_by_eap(config)) return std::nullopt;
  return config.authentication;
}

std::optional<Authentication> peer_way(const model::ConnectionConfig& config, std::size_t round) {
  if (round > 0) return config.peer_rounds[round - 1].by;
  if (const auto& eap = config.eap; eap && !eap->client && begins_by_eap(config)) return std::nullopt;
  return config.expected();
}

model::Identity own_identity(const model::ConnectionConfig& config, const IkeSa& sa, std::size_t round) {
  return round > 0 ? config.own_rounds[round - 1].id.value_or(sa.local_id) : sa.local_id;
}

bool expects_in_round(const model::ConnectionConfig& config, const IkeSa& sa, std::size_t round,
                      const model::Identity& presented) {
  if (round == 0) return presented.comparable() == sa.remote_id.comparable();
  const AuthRound& expected = config.peer_rounds[round - 1];
  if (expected.pattern) return expected.pattern->matches(presented.comparable());
  if (expected.id) return presented.comparable() == expected.id->comparable();
  return !expected.by || presented.comparable() == sa.remote_id.comparable();
}

model::ConnectionConfig in_own_round(const model::ConnectionConfig& config, std::size_t round) {
  model::ConnectionConfig alone = config;
  alone.peer_authentication = config.expected();
  alone.authentication = own_way(config, round).value_or(config.authentication);
  return alone;
}

model::ConnectionConfig in_peer_round(const model::ConnectionConfig& config, std::size_t round) {
  model::ConnectionConfig alone = config;
  alone.peer_authentication = peer_way(config, round).value_or(config.expected());
  return alone;
}

// RFC 4739 2.1, 3.1.
void add_rounds_supported(codec::Message& message, const model::ConnectionConfig& config) {
  if (has_rounds(config)) message.add_notify(NotifyType::multiple_auth_supported);
}

void add_rounds_supported(codec::Message& message, const ConnectionTable& connections, const net::Path& path) {
  constexpr int kMostVisits = 64;
  int visits = 0;
  bool any = false;
  connections.find_candidate(path, [&](const model::ConnectionConfig& config) {
    any = has_rounds(config);
    return any || ++visits == kMostVisits;
  });
  // Of many connections, those that were not looked at may have some.
  if (any || visits == kMostVisits) message.add_notify(NotifyType::multiple_auth_supported);
}

// RFC 4739 2.1, 3.2: in a message with AUTH only.
void add_another_round(codec::Message& message, const model::ConnectionConfig& config, std::size_t round) {
  if (round + 1 < own_round_count(config)) message.add_notify(NotifyType::another_auth_follows);
}

std::optional<std::string> rounds_fault(const model::ConnectionConfig& config, const codec::Message& first_request) {
  if (has_rounds(config) && first_request.notify(NotifyType::multiple_auth_supported) == nullptr)
    return fmt::format("connection '{}' has several rounds of authentication, of which the peer knows nothing",
                       config.name);
  if (first_request.first<codec::AuthPayload>() == nullptr) return std::nullopt;
  return follow_fault(config, 0, first_request);
}

std::optional<std::string> follow_fault(const model::ConnectionConfig& config, std::size_t round,
                                        const codec::Message& message) {
  const bool follows = message.notify(NotifyType::another_auth_follows) != nullptr;
  const bool expected = round + 1 < peer_round_count(config);
  if (follows == expected) return std::nullopt;
  if (follows)
    return fmt::format("the peer wants to prove itself once more after round {}; connection '{}' expects no other",
                       round + 1, config.name);
  return fmt::format("the peer stops after round {} of {}; connection '{}' then expects {}", round + 1,
                     peer_round_count(config), config.name, in_words(peer_way(config, round + 1)));
}

std::optional<std::string> way_fault(const model::ConnectionConfig& config, const IkeSa& sa, std::size_t round,
                                     const codec::Message& message) {
  const auto* auth = message.first<codec::AuthPayload>();
  const auto* id = message.id(sa.peer_role());
  const auto way = peer_way(config, round);
  const auto by = auth == nullptr ? std::nullopt : authentication_by(auth->method);
  if ((auth != nullptr && !by) || by != way)
    return fmt::format("in round {} the peer authenticates by {}, connection '{}' expects {}", round + 1,
                       auth == nullptr
                           ? "EAP"
                           : fmt::format("method {} ({})", static_cast<unsigned>(auth->method), name_of(auth->method)),
                       config.name, in_words(way));
  if (!expects_in_round(config, sa, round, id->identity))
    return fmt::format("in round {} the peer says it is {}, connection '{}' expects {}", round + 1,
                       id->identity.to_string(), config.name, expected_in_round(config, sa, round));
  if (auth != nullptr) return follow_fault(config, round, message);
  return std::nullopt;
}

model::AuthenticationRefusal rounds_refusal(std::string found) {
  return {.subject = {}, .serial = {}, .check = "rounds", .found = std::move(found)};
}

}  // namespace culvert::ike::v2
