// DropReason: why a packet went no further. One list serves as counter label, log word and documentation
// (docs/drop-reasons.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace culvert::ipsec {

enum class DropReason : std::uint8_t {
  // Outbound, in the order of the path.
  inner_malformed,
  offload_mismatch,
  no_rule,
  discard_rule,
  bypass_unavailable,
  populate_unavailable,
  acquire_overflow,
  acquire_timeout,
  too_long,
  fragment_early,
  fragment_overlap,
  fragment_limit,
  fragment_timeout,
  fragment_not_agreed,
  icmp_error_unmatched,
  transport_fragment,
  transport_address,
  headers_unfit,
  path_too_narrow,
  aggfrag_queue_full,
  aggfrag_abandoned,
  lifetime_reached,
  sequence_exhausted,
  sequence_not_granted,
  seal_impossible,
  nat_peer_unclear,
  // Inbound, in the order of the path.
  keepalive,
  esp_truncated,
  ah_malformed,
  outer_malformed,
  outer_fragment,
  spi_reserved,
  spi_unknown,
  protocol_mismatch,
  esp_misaligned,
  replayed,
  replay_too_old,
  lifetime_over,
  open_impossible,
  bad_icv,
  bad_padding,
  dummy,
  bad_next_header,
  beet_malformed,
  nested_too_deep,
  ipcomp_malformed,
  ipcomp_too_long,
  aggfrag_malformed,
  aggfrag_incomplete,
  aggfrag_late,
  decapsulated_malformed,
  selector_mismatch,
  ecn_not_capable,
  inner_fragment_early,
  inner_fragment_overlap,
  inner_fragment_limit,
  inner_fragment_not_agreed,
  icmp_error_mismatch,
  nat_flow_taken,
  unprotected_error_doubtful,
};

enum class DropDirection : std::uint8_t { outbound, inbound };

struct DropReasonEntry {
  DropReason reason;
  DropDirection direction;
  std::string_view name;  // the label: lower case, underscores, never changed once released
  std::string_view text;  // one sentence: what happened
};

inline constexpr std::array kDropReasons = {
    DropReasonEntry{DropReason::inner_malformed, DropDirection::outbound, "inner_malformed",
                    "What the TUN device handed over is not a whole IP packet."},
    DropReasonEntry{DropReason::offload_mismatch, DropDirection::outbound, "offload_mismatch",
                    "The offload facts of a packet (segment size, checksum place) do not fit its headers."},
    DropReasonEntry{DropReason::no_rule, DropDirection::outbound, "no_rule",
                    "No rule of the SPD matches; RFC 4301 5.1 wants such packets discarded."},
    DropReasonEntry{DropReason::discard_rule, DropDirection::outbound, "discard_rule",
                    "A discard rule of the SPD matches."},
    DropReasonEntry{DropReason::bypass_unavailable, DropDirection::outbound, "bypass_unavailable",
                    "A bypass rule matches, but this data path has no way out in clear."},
    DropReasonEntry{DropReason::populate_unavailable, DropDirection::outbound, "populate_unavailable",
                    "The rule takes a new SA's ports or protocol from the packet, which does not show them (a later "
                    "fragment)."},
    DropReasonEntry{DropReason::acquire_overflow, DropDirection::outbound, "acquire_overflow",
                    "The queue of packets that wait for an SA is full."},
    DropReasonEntry{DropReason::acquire_timeout, DropDirection::outbound, "acquire_timeout",
                    "The packet waited too long for an SA."},
    DropReasonEntry{DropReason::too_long, DropDirection::outbound, "too_long",
                    "With ESP around it the packet would exceed what one outer packet can carry."},
    DropReasonEntry{DropReason::fragment_early, DropDirection::outbound, "fragment_early",
                    "A fragment without ports whose first fragment did not come in time (RFC 4301 7.3)."},
    DropReasonEntry{DropReason::fragment_overlap, DropDirection::outbound, "fragment_overlap",
                    "A fragment overlaps others of its packet, or its transport header (RFC 1858, RFC 5722)."},
    DropReasonEntry{DropReason::fragment_limit, DropDirection::outbound, "fragment_limit",
                    "More fragments at a time than there is room for."},
    DropReasonEntry{DropReason::fragment_timeout, DropDirection::outbound, "fragment_timeout",
                    "A packet that an SA in transport mode needs whole stayed incomplete (RFC 4303 3.3.4)."},
    DropReasonEntry{DropReason::fragment_not_agreed, DropDirection::outbound, "fragment_not_agreed",
                    "The SA's selectors name ports, and its peer has not agreed to later fragments (RFC 4301 7.3)."},
    DropReasonEntry{DropReason::icmp_error_unmatched, DropDirection::outbound, "icmp_error_unmatched",
                    "No rule matches an ICMP error, and no SA carries the flow that it speaks of (RFC 4301 6.2)."},
    DropReasonEntry{DropReason::transport_fragment, DropDirection::outbound, "transport_fragment",
                    "A fragment met an SA in transport or BEET mode, which takes whole packets only (RFC 4303 3.3.4)."},
    DropReasonEntry{DropReason::transport_address, DropDirection::outbound, "transport_address",
                    "The packet is not between the two hosts of its transport mode SA (RFC 4301 4.1)."},
    DropReasonEntry{DropReason::headers_unfit, DropDirection::outbound, "headers_unfit",
                    "IP options or extension headers that transport mode in UDP cannot carry, or AH cannot foretell."},
    DropReasonEntry{DropReason::path_too_narrow, DropDirection::outbound, "path_too_narrow",
                    "The packet is longer than the path of its SA takes and must not be cut; its source may be told."},
    DropReasonEntry{DropReason::aggfrag_queue_full, DropDirection::outbound, "aggfrag_queue_full",
                    "The queue of an AGGFRAG SA is full: more comes than its rate carries off (RFC 9347 2.4)."},
    DropReasonEntry{DropReason::aggfrag_abandoned, DropDirection::outbound, "aggfrag_abandoned",
                    "The AGGFRAG SA ended, or ran out of sequence numbers, with the packet not yet wholly sent."},
    DropReasonEntry{DropReason::lifetime_reached, DropDirection::outbound, "lifetime_reached",
                    "The SA has sent as many bytes or packets as its hard lifetime allows."},
    DropReasonEntry{DropReason::sequence_exhausted, DropDirection::outbound, "sequence_exhausted",
                    "The SA has used up its sequence numbers; they never wrap (RFC 4303 3.3.3)."},
    DropReasonEntry{DropReason::sequence_not_granted, DropDirection::outbound, "sequence_not_granted",
                    "The manually keyed SA waits until further sequence numbers are written down as used."},
    DropReasonEntry{DropReason::seal_impossible, DropDirection::outbound, "seal_impossible",
                    "The cipher library could not expand the SA's key again, most likely for want of memory."},
    DropReasonEntry{DropReason::nat_peer_unclear, DropDirection::outbound, "nat_peer_unclear",
                    "Several hosts behind one NAT have SAs for the packet, and none of them began its flow (RFC 3948 "
                    "5.2)."},
    DropReasonEntry{DropReason::keepalive, DropDirection::inbound, "keepalive",
                    "A NAT keepalive, the single octet 0xff (RFC 3948 2.3). Harmless."},
    DropReasonEntry{DropReason::esp_truncated, DropDirection::inbound, "esp_truncated",
                    "Too short for the ESP header, IV, trailer and ICV of its SA."},
    DropReasonEntry{DropReason::ah_malformed, DropDirection::inbound, "ah_malformed",
                    "The length field of AH exceeds the packet or does not fit its SA's ICV (RFC 4302 2.2)."},
    DropReasonEntry{DropReason::outer_malformed, DropDirection::inbound, "outer_malformed",
                    "The IP header in front of ESP or AH, its options or extension headers, are not what they say."},
    DropReasonEntry{DropReason::outer_fragment, DropDirection::inbound, "outer_fragment",
                    "AH in a fragment; reassembly has to come first (RFC 4302 3.4.1)."},
    DropReasonEntry{DropReason::spi_reserved, DropDirection::inbound, "spi_reserved",
                    "The SPI lies in 0 to 255, which no SA uses (RFC 4303 2.1)."},
    DropReasonEntry{DropReason::spi_unknown, DropDirection::inbound, "spi_unknown",
                    "No SA has this SPI: it was removed, never existed, or the peer kept it over our restart."},
    DropReasonEntry{DropReason::protocol_mismatch, DropDirection::inbound, "protocol_mismatch",
                    "An ESP packet with the SPI of an AH SA, or the other way (RFC 4301 4.1)."},
    DropReasonEntry{DropReason::esp_misaligned, DropDirection::inbound, "esp_misaligned",
                    "The ciphertext is not a multiple of the cipher's block and of four octets."},
    DropReasonEntry{DropReason::replayed, DropDirection::inbound, "replayed",
                    "A packet with this sequence number was received before."},
    DropReasonEntry{DropReason::replay_too_old, DropDirection::inbound, "replay_too_old",
                    "The sequence number lies left of the replay window."},
    DropReasonEntry{DropReason::lifetime_over, DropDirection::inbound, "lifetime_over",
                    "The SA has received as many bytes or packets as its hard lifetime allows."},
    DropReasonEntry{DropReason::open_impossible, DropDirection::inbound, "open_impossible",
                    "The cipher library could not expand the SA's key again, most likely for want of memory."},
    DropReasonEntry{DropReason::bad_icv, DropDirection::inbound, "bad_icv",
                    "The integrity check failed: forged, damaged, or the keys differ."},
    DropReasonEntry{DropReason::bad_padding, DropDirection::inbound, "bad_padding",
                    "The pad length exceeds the packet or the padding is not 1, 2, 3, ... (RFC 4303 2.4)."},
    DropReasonEntry{DropReason::dummy, DropDirection::inbound, "dummy",
                    "A dummy packet, next header 59 (RFC 4303 2.6). Harmless."},
    DropReasonEntry{DropReason::bad_next_header, DropDirection::inbound, "bad_next_header",
                    "The next header does not name an IP packet, as tunnel mode demands, or contradicts its version."},
    DropReasonEntry{DropReason::beet_malformed, DropDirection::inbound, "beet_malformed",
                    "BEET's pseudo header for IPv4 options has impossible lengths."},
    DropReasonEntry{DropReason::nested_too_deep, DropDirection::inbound, "nested_too_deep",
                    "More ESP and AH headers behind each other than are followed."},
    DropReasonEntry{DropReason::ipcomp_malformed, DropDirection::inbound, "ipcomp_malformed",
                    "IPComp with another CPI than ours, cut short, or with data that is not DEFLATE (RFC 3173 3.3)."},
    DropReasonEntry{DropReason::ipcomp_too_long, DropDirection::inbound, "ipcomp_too_long",
                    "Decompressed, the packet would be longer than an IP packet can be."},
    DropReasonEntry{DropReason::aggfrag_malformed, DropDirection::inbound, "aggfrag_malformed",
                    "An AGGFRAG payload of unknown sub-type, cut short, or with a data block that is no IP packet, or "
                    "a BlockOffset that contradicts the packet it continues (RFC 9347 2.5)."},
    DropReasonEntry{DropReason::aggfrag_incomplete, DropDirection::inbound, "aggfrag_incomplete",
                    "An inner packet of which some pieces came, and others were lost with their outer packets."},
    DropReasonEntry{DropReason::aggfrag_late, DropDirection::inbound, "aggfrag_late",
                    "An outer packet of an AGGFRAG SA came after the reorder window had passed it (RFC 9347 2.2.3)."},
    DropReasonEntry{DropReason::decapsulated_malformed, DropDirection::inbound, "decapsulated_malformed",
                    "The packet inside is not a whole IP packet."},
    DropReasonEntry{DropReason::selector_mismatch, DropDirection::inbound, "selector_mismatch",
                    "The packet inside is not one that this SA may carry (RFC 4301 5.2)."},
    DropReasonEntry{DropReason::ecn_not_capable, DropDirection::inbound, "ecn_not_capable",
                    "Congestion was marked on the outer header of a packet that is not ECN capable (RFC 6040 4.2)."},
    DropReasonEntry{DropReason::inner_fragment_early, DropDirection::inbound, "inner_fragment_early",
                    "A fragment without ports came out of an SA for certain ports before its first fragment."},
    DropReasonEntry{DropReason::inner_fragment_overlap, DropDirection::inbound, "inner_fragment_overlap",
                    "A fragment out of an SA overlaps others of its packet, or its transport header (RFC 5722)."},
    DropReasonEntry{DropReason::inner_fragment_limit, DropDirection::inbound, "inner_fragment_limit",
                    "More fragments came out of SAs at a time than there is room for."},
    DropReasonEntry{DropReason::inner_fragment_not_agreed, DropDirection::inbound, "inner_fragment_not_agreed",
                    "A later fragment came out of an SA for certain ports that was not agreed to carry such."},
    DropReasonEntry{DropReason::icmp_error_mismatch, DropDirection::inbound, "icmp_error_mismatch",
                    "An ICMP error came out of an SA that does not carry the flow that it speaks of (RFC 4301 6.2)."},
    DropReasonEntry{DropReason::nat_flow_taken, DropDirection::inbound, "nat_flow_taken",
                    "Another host behind the same NAT has the same ports, and there is no other port to give (RFC 3948 "
                    "5.2)."},
    DropReasonEntry{DropReason::unprotected_error_doubtful, DropDirection::inbound, "unprotected_error_doubtful",
                    "An ICMP error without protection quotes no packet that an SA sent just now (RFC 4301 8.2)."},
};

[[nodiscard]] constexpr const DropReasonEntry& describe(DropReason reason) {
  return kDropReasons[static_cast<std::size_t>(reason)];
}

/// The text of docs/drop-reasons.md.
[[nodiscard]] std::string drop_reasons_markdown();

/// How often each reason occurred. Plain numbers of one thread.
class DropCounters {
 public:
  void count(DropReason reason, std::uint64_t packets = 1) { counts_[static_cast<std::size_t>(reason)] += packets; }
  [[nodiscard]] std::uint64_t of(DropReason reason) const { return counts_[static_cast<std::size_t>(reason)]; }

 private:
  std::array<std::uint64_t, kDropReasons.size()> counts_{};
};

}  // namespace culvert::ipsec
