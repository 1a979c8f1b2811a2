#include "control/advice.hpp"

#include <fmt/format.h>

namespace culvert::control {
namespace {

/// For what went wrong within EAP, by the word of the check; empty where it was not about that.
std::string eap_advice(const ike::NegotiationFailed& failure, const model::ConnectionConfig& config) {
  if (!config.eap) return {};
  const std::string_view check = failure.refusal ? std::string_view(failure.refusal->check) : std::string_view();
  const bool about_eap = failure.refusal && failure.refusal->subject.empty();
  if (check == "eap_server")
    return fmt::format(
        "Let \"eap_server_id\" of tunnel {} ({}) be one of the names in the server's certificate, if it is "
        "the right one.",
        config.name, config.place.to_string());
  if (check == "eap_identity") return "The user must say that it is one of those in its certificate, or be anonymous.";
  if (check == "tls")
    return "The other side broke TLS off: its log tells what it found wrong with our certificate, or with our TLS.";
  if (config.eap->client) {
    if (about_eap && (check == "password" || check == "refused"))
      return fmt::format("Compare \"eap_identity\" and \"eap_secret\" of tunnel {} ({}) with what the server knows.",
                         config.name, config.place.to_string());
    // Without a word of EAP about it.
    if (!failure.refusal && failure.notify == model::NotifyType::authentication_failed)
      return fmt::format(
          "The gateway's log tells why: it may not be our remote_id, not take us by EAP, or have no server that knows "
          "us. Else compare \"eap_identity\" and \"eap_secret\" of tunnel {} ({}) with what the server knows.",
          config.name, config.place.to_string());
    if (about_eap && check == "protocol") return "The server breaks the rules of EAP; its log may tell more.";
    return {};
  }
  if (!about_eap) return {};
  if (check == "reject") return "The RADIUS server decides who may come: its log says why not.";
  if (check == "radius")
    return fmt::format(
        "See that the RADIUS server runs and can be reached from here, and compare [radius.{}] with what it has: its "
        "address and port, the secret, this gateway as a client, and that it sends Message-Authenticator.",
        config.eap->radius);
  if (check == "password")
    return "The user must type the password that its section [user.NAME] has, or it is somebody else.";
  if (check == "identity") return "Give the user a section [user.NAME], if it is one, and type: culvert apply.";
  if (check == "method")
    return fmt::format("Add a method that the peer wants to \"eap\" of tunnel {} ({}).", config.name,
                       config.place.to_string());
  if (check == "protocol") return "The peer breaks the rules of EAP; what it runs must be repaired.";
  return {};
}

/// For what we found wrong with the peer's certificate, by the word of the check.
std::string advice(const model::AuthenticationRefusal& refusal, const model::ConnectionConfig& config) {
  const std::string_view check = refusal.check;
  if (check == "issuer")
    return fmt::format(
        "Put the authority that issued it into \"ca\" of tunnel {}, or let the peer send the certificates "
        "in between.",
        config.name);
  if (check == "identity") return "Let remote_id be one of the names in the peer's certificate.";
  if (check == "expired") return "The certificate must be renewed.";
  if (check == "not_yet_valid") return "Check the clocks of both hosts.";
  if (check == "revoked") return "The peer needs a new certificate.";
  if (check == "revocation_unknown" || check == "revocation_stale")
    return "Put a revocation list of today of each authority into \"crl\", and type: culvert apply.";
  if (check == "certificate") return "The peer must send its certificate (with strongSwan: send_cert = always).";
  if (check == "public_key")
    return fmt::format(
        "If the peer has a new key, put it into \"peer_key\" of tunnel {}: culvert keygen --key shows it where it is "
        "made.",
        config.name);
  if (check == "signature" && config.peer_by_key)
    return fmt::format("The peer signs with another key than \"peer_key\" of tunnel {} says.", config.name);
  if (check == "key_strength") return "The peer needs a certificate with a longer key, signed with SHA-2.";
  return "The peer's certificate, or its key, must be replaced.";
}

}  // namespace

std::string advice(const ike::NegotiationFailed& failure, const model::ConnectionConfig& config) {
  const bool initiator = failure.role == model::Role::initiator;
  if (failure.wish && failure.notify == model::NotifyType::no_additional_sas)
    return "Let rules take fewer selectors from packets (populate), so that fewer SAs carry more.";
  switch (failure.kind) {
    case ike::FailureKind::no_answer:
      return fmt::format(
          "Check that the peer runs IKEv2 at {}, that it has a tunnel for this host, and that no firewall drops UDP {} "
          "and 4500 on the way.",
          failure.path.remote.to_string(), config.peer_port);
    case ike::FailureKind::no_proposal_chosen:
      return fmt::format(
          "Give both ends a common suite: set \"{}\" of tunnel {} ({}) to one that the peer accepts, or remove the "
          "setting to offer the "
          "defaults.",
          failure.child_only ? "esp" : "ike", config.name, config.place.to_string());
    case ike::FailureKind::authentication_failed:
      if (failure.refusal && failure.refusal->check == "rounds")
        return fmt::format(
            "What is \"auth\" at one end must be \"peer_auth\" at the other, round by round, with the same identities "
            "({}).",
            config.place.to_string());
      if (std::string eap = eap_advice(failure, config); !eap.empty()) return eap;
      if (config.authentication == model::Authentication::certificate) {
        if (failure.refusal) return fmt::format("{} ({})", advice(*failure.refusal, config), config.place.to_string());
        return fmt::format(
            "The peer's log tells what it does not accept: it must believe an authority of \"certificate\" of tunnel "
            "{} "
            "({}), and have our local_id as its remote_id.",
            config.name, config.place.to_string());
      }
      return fmt::format(
          "Compare \"secret\", \"local_id\" and \"remote_id\" of tunnel {} ({}) with the peer's; our local_id must be "
          "its remote_id and the "
          "other way round.",
          config.name, config.place.to_string());
    case ike::FailureKind::traffic_selectors:
      return fmt::format("Our local = [{}] and remote = [{}] ({}) must overlap with the peer's remote and local.",
                         model::to_string(config.local), model::to_string(config.remote), config.place.to_string());
    case ike::FailureKind::unknown_peer:
      return "Add a tunnel whose peer is that address, or whose remote_id is that identity; the name that the peer "
             "asks "
             "for must be local_id here.";
    case ike::FailureKind::peer_refused: return initiator ? "The peer's log tells why it refused." : "";
    case ike::FailureKind::protocol_error:
      return "Look at the messages with a key export and a packet capture; the peer's message breaks the protocol.";
    case ike::FailureKind::no_address:
      if (initiator) return "Give this host an address there, or write local in place of address = \"request\".";
      if (failure.notify == model::NotifyType::failed_cp_required)
        return "Let the peer ask for an address (Culvert: address = \"request\"; strongSwan: vips = 0.0.0.0).";
      return "Look at `culvert leases`; end sessions, or give the pool more addresses.";
    case ike::FailureKind::local_error: return "This is a fault on this host; the log has the details.";
  }
  return "";
}

}  // namespace culvert::control
