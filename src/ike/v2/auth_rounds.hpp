// Several authentications of one side, one behind the other (RFC 4739): which rounds a connection has, what each of
// them asks for, and what a message says about those to come. The exchanges are in ike_auth_initiator_rounds.cpp and
// ike_auth_responder_rounds.cpp.
//
// The two sides' rounds do not wait for each other: each IKE_AUTH message that has an ID payload begins the next round
// of who sends it. There are as many as the connection says, so that they are bounded.
#pragma once

#include <optional>
#include <string>

#include "ike/codec/message.hpp"
#include "ike/v2/connection_table.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// Either side has several rounds.
[[nodiscard]] bool has_rounds(const model::ConnectionConfig& config);
/// The initiator's first round is EAP; else EAP comes later, or never.
[[nodiscard]] bool begins_by_eap(const model::ConnectionConfig& config);
/// A signature is in one of the rounds.
[[nodiscard]] bool uses_certificates(const model::ConnectionConfig& config);

[[nodiscard]] inline std::size_t own_round_count(const model::ConnectionConfig& config) {
  return 1 + config.own_rounds.size();
}
[[nodiscard]] inline std::size_t peer_round_count(const model::ConnectionConfig& config) {
  return 1 + config.peer_rounds.size();
}
/// How we, or the peer, do it in that round, counted from 0; nothing: by EAP.
[[nodiscard]] std::optional<model::Authentication> own_way(const model::ConnectionConfig& config, std::size_t round);
[[nodiscard]] std::optional<model::Authentication> peer_way(const model::ConnectionConfig& config, std::size_t round);
/// Who we are in that round.
[[nodiscard]] model::Identity own_identity(const model::ConnectionConfig& config, const IkeSa& sa, std::size_t round);
/// The peer may be who it says in that round; the IKE SA has the identity of its first.
[[nodiscard]] bool expects_in_round(const model::ConnectionConfig& config, const IkeSa& sa, std::size_t round,
                                    const model::Identity& presented);
/// The connection as if these were the only rounds, for what asks for proofs and judges them. Neither is by EAP.
[[nodiscard]] model::ConnectionConfig in_own_round(const model::ConnectionConfig& config, std::size_t round);
[[nodiscard]] model::ConnectionConfig in_peer_round(const model::ConnectionConfig& config, std::size_t round);

/// MULTIPLE_AUTH_SUPPORTED as initiator, into the first IKE_AUTH request; and as responder into the IKE_SA_INIT
/// response, if any connection for the path has several rounds.
void add_rounds_supported(codec::Message& message, const model::ConnectionConfig& config);
void add_rounds_supported(codec::Message& message, const ConnectionTable& connections, const net::Path& path);
/// ANOTHER_AUTH_FOLLOWS beside the AUTH that ends our round, if there is another.
void add_another_round(codec::Message& message, const model::ConnectionConfig& config, std::size_t round);

/// As responder: why the initiator whose first request this is cannot mean the connection, as far as its rounds show.
[[nodiscard]] std::optional<std::string> rounds_fault(const model::ConnectionConfig& config,
                                                      const codec::Message& first_request);
/// The message, which has the AUTH that ends that round of the peer's, says that there is another, and there is none
/// for us; or the other way round.
[[nodiscard]] std::optional<std::string> follow_fault(const model::ConnectionConfig& config, std::size_t round,
                                                      const codec::Message& message);
/// The message with which the peer begins that round, of which it has an ID payload, is not what the connection expects
/// then.
[[nodiscard]] std::optional<std::string> way_fault(const model::ConnectionConfig& config, const IkeSa& sa,
                                                   std::size_t round, const codec::Message& message);
/// The same as what control shows.
[[nodiscard]] model::AuthenticationRefusal rounds_refusal(std::string found);

/// Where an initiator is in its rounds and the responder's.
struct InitiatorRounds {
  std::size_t own = 0;   // that are over
  std::size_t peer = 0;  // likewise
  enum class Wait : std::uint8_t { own_proof, response, verdict };
  Wait wait = Wait::own_proof;
  bool proof_sent = false;  // the request has the AUTH of this round
};

/// Where a responder is.
struct ResponderRounds {
  std::size_t own = 0;
  std::size_t peer = 0;
  bool asked_for_proof = false;  // our own; else the question is about the peer's
  codec::Message request;        // that has the peer's AUTH
};

}  // namespace culvert::ike::v2
