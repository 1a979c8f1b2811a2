#include "ike/message_reasons.hpp"

#include <fmt/format.h>

namespace culvert::ike {
namespace {

constexpr std::string_view kNoise = "Nothing, unless a tunnel fails at the same time: anybody can send such octets.";
constexpr std::string_view kAttack = "Nothing by itself; when it stays, find out who begins so many set-ups.";
constexpr std::string_view kLog = "`culvert log` has the details; if it comes again, the peer has a fault.";
constexpr std::string_view kBothSides = "Compare both configurations; `culvert why` says what each side has.";

constexpr std::array<MessageReason<DatagramDrop>, kDatagramDropCount> kDrops = {{
    {DatagramDrop::malformed, "malformed", "It is no well-formed IKE message.", kNoise},
    {DatagramDrop::unsupported_version, "unsupported_version",
     "It is not IKEv2; a higher version is told so (RFC 7296 2.5).", "Have the peer use IKEv2."},
    {DatagramDrop::unknown_ike_sa, "unknown_ike_sa",
     "No IKE SA has these SPIs; a request is told so, at a bounded rate (RFC 7296 2.21.4).",
     "Nothing: after a restart of ours the peer finds out by itself and begins anew."},
    {DatagramDrop::bad_integrity, "bad_integrity", "The integrity check failed: forged, damaged, or other keys.",
     "If a tunnel fails at the same time, look for a device on the way that changes packets."},
    {DatagramDrop::old_message_id, "old_message_id",
     "Its message id lies outside of the window, or answers nothing of ours (RFC 7296 2.3).",
     "Nothing: late duplicates and replays end here."},
    {DatagramDrop::unexpected, "unexpected", "It is well-formed and has no place here and now.", kLog},
    {DatagramDrop::half_open_limit, "half_open_limit",
     "Too many set-ups are half-done: a cookie or a puzzle was asked for, or there was no room at all.", kAttack},
    {DatagramDrop::half_open_share, "half_open_share", "Too many of them come from this address or network.", kAttack},
    {DatagramDrop::unsolved_puzzle, "unsolved_puzzle",
     "The solution of the puzzle for IKE_AUTH is missing or wrong (RFC 8019 7.2.4).", kAttack},
    {DatagramDrop::no_connection, "no_connection", "No tunnel is configured for these addresses.",
     "If it was a peer of yours: check `peer` and `local_address` of its tunnel."},
    {DatagramDrop::bad_fragment, "bad_fragment", "Its fragment number or total cannot be (RFC 7383 2.6).", kLog},
    {DatagramDrop::unexpected_fragment, "unexpected_fragment", "Fragments were not agreed on (RFC 7383 2.3).", kLog},
    {DatagramDrop::repeated_fragment, "repeated_fragment", "The fragment is there already, or its whole message is.",
     "Nothing: the peer sends again what it thinks is lost."},
    {DatagramDrop::outdated_fragment, "outdated_fragment",
     "It is one of fewer and larger fragments, and smaller ones have come already (RFC 7383 2.6.1).", "Nothing."},
    {DatagramDrop::oversized_message, "oversized_message",
     "More fragments, or more octets in them, than any message has; an authentic request gets INVALID_SYNTAX.", kLog},
    {DatagramDrop::incomplete_message, "incomplete_message", "The rest of its fragments did not come in time.",
     "If tunnels fail: large packets or many at a time are lost on the way."},
    {DatagramDrop::bad_crash_token, "bad_crash_token",
     "It does not prove that the peer has forgotten the IKE SA (RFC 6290).", kNoise},
    {DatagramDrop::bad_redirect, "bad_redirect",
     "A redirection not of the gateway that was asked, or not to be followed (RFC 5685).",
     "If the gateway is to redirect: allow it with `follow_redirect`."},
    {DatagramDrop::bad_ticket, "bad_ticket",
     "The ticket is not ours, not good any more, or was used before; answered with TICKET_NACK (RFC 5723).",
     "Nothing: the peer sets up the IKE SA in full."},
    {DatagramDrop::unproved_address, "unproved_address",
     "A request came again, from an address that has proved nothing, too often to be answered there once more.",
     "If a tunnel fails at the same time: somebody on the way sends the peer's messages again."},
    {DatagramDrop::busy, "busy", "Too much slow work is under way; the peer sends it again.",
     "If it stays: the host has too few processors for so many set-ups, or a RADIUS server does not answer."},
}};

constexpr std::array<MessageReason<Refusal>, kRefusalCount> kRefusals = {{
    {Refusal::invalid_request, "invalid_request",
     "An authentic request breaks the rules; answered with INVALID_SYNTAX, which ends the IKE SA (RFC 7296 2.21.3).",
     kLog},
    {Refusal::critical_payload, "critical_payload",
     "A payload that is not known here is marked critical; answered with UNSUPPORTED_CRITICAL_PAYLOAD (RFC 7296 2.5).",
     "Have the peer leave the extension out."},
    {Refusal::no_common_algorithms, "no_common_algorithms",
     "None of what the peer offers is accepted; answered with NO_PROPOSAL_CHOSEN.", kBothSides},
    {Refusal::other_key_exchange, "other_key_exchange",
     "The peer began with another key exchange than the one chosen; it is told which by INVALID_KE_PAYLOAD.",
     "Nothing: it begins again with that one. The peer's first offer could be the right one at once."},
    {Refusal::authentication, "authentication", "The peer has not proved that it is who it says.",
     "Check secrets, certificates and identities at both ends; `culvert why` says what did not fit."},
    {Refusal::unknown_peer, "unknown_peer",
     "No tunnel is configured for the identity that the peer has, or for the way in which it proves that.",
     "Check `remote_id` and `peer_auth` of the tunnel, and what the peer sends."},
    {Refusal::policy, "policy", "The peer lacks, or wants, what the tunnel's configuration does not leave open.",
     kBothSides},
    {Refusal::traffic_selectors, "traffic_selectors",
     "The networks or ports of the peer's Child SA are none of the tunnel's.", kBothSides},
    {Refusal::inner_address, "inner_address", "No inner address was given, asked for, or left.",
     "Check the pools at the gateway, and what the peer asks for."},
    {Refusal::too_many_sas, "too_many_sas", "There are as many Child SAs in the IKE SA as there may be.",
     "Nothing, unless the peer needs so many."},
    {Refusal::not_now, "not_now",
     "The request crossed one of ours, or came too fast behind another; answered with TEMPORARY_FAILURE "
     "(RFC 7296 2.25).",
     "Nothing: the peer tries again."},
    {Refusal::unknown_child_sa, "unknown_child_sa",
     "The peer rekeys or deletes a Child SA that does not exist, perhaps any more (RFC 7296 2.25).",
     "Nothing: requests that cross each other bring it about."},
    {Refusal::unknown_key_exchange, "unknown_key_exchange",
     "An additional key exchange belongs to nothing that is under way; answered with STATE_NOT_FOUND (RFC 9370 2.2.4).",
     "Nothing: the peer begins anew."},
    {Refusal::unacceptable_path, "unacceptable_path",
     "The peer wants to move to addresses that the tunnel does not allow (RFC 4555 3.5).",
     "Check `local_address` and `peer` of the tunnel."},
    {Refusal::unexpected_nat, "unexpected_nat", "There is a NAT where the peer says that there is none (RFC 4555 3.9).",
     "Allow NAT at the peer, or find the device that changes its addresses."},
    {Refusal::no_ticket, "no_ticket", "The peer asked for a ticket, and none is given (RFC 5723 4.1).",
     "Nothing; or let the tunnel give tickets."},
    {Refusal::own_fault, "own_fault", "What the peer sent was right, and something is missing on our side.",
     "`culvert why` names the secret, the key or the resource that is missing."},
    {Refusal::invalid_answer, "invalid_answer",
     "An answer of the peer breaks the rules, or chooses what was not offered.", kLog},
    {Refusal::refused_by_peer, "refused_by_peer", "The peer refused a request of ours, or reports an error.",
     "`culvert why` says what it refused; its own log says why."},
}};

template <typename Entries>
void add_table(std::string& text, const Entries& entries) {
  text += "| name | what happened | what to do |\n|---|---|---|\n";
  for (const auto& entry : entries) text += fmt::format("| `{}` | {} | {} |\n", entry.name, entry.text, entry.advice);
}

}  // namespace

const std::array<MessageReason<DatagramDrop>, kDatagramDropCount>& datagram_drops() { return kDrops; }
const std::array<MessageReason<Refusal>, kRefusalCount>& refusals() { return kRefusals; }

std::string_view name_of(DatagramDrop reason) {
  const auto index = static_cast<std::size_t>(reason);
  return index < kDrops.size() ? kDrops[index].name : "unknown";
}

std::string_view name_of(Refusal reason) {
  const auto index = static_cast<std::size_t>(reason);
  return index < kRefusals.size() ? kRefusals[index].name : "unknown";
}

std::string message_reasons_markdown() {
  std::string text =
      "# Why IKE messages come to nothing\n\n"
      "A message of a peer that does not do what it was sent for counts under exactly one of these reasons. The name "
      "is "
      "the\n"
      "label of the counters in `culvert status`. This page is made from `src/ike/message_reasons.cpp`; a test holds "
      "both\n"
      "together. Why packets are dropped is in [drop-reasons.md](drop-reasons.md).\n\n"
      "## Dropped\n\n"
      "The datagram changed nothing. Where the RFCs want an answer all the same, it is never longer than what "
      "came.\n\n";
  add_table(text, kDrops);
  text +=
      "\n## Refused\n\n"
      "The message was answered with an error or a DELETE, or it ended what it belonged to: a set-up, a Child SA to "
      "be, "
      "the\n"
      "IKE SA.\n\n";
  add_table(text, kRefusals);
  return text;
}

}  // namespace culvert::ike
