// Why a message of a peer came to nothing: dropped, or refused with an error, a DELETE or the end of what it belonged
// to. Every such message counts under exactly one of these. One list serves as counter label and documentation
// (docs/message-reasons.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace culvert::ike {

/// Why a datagram was dropped, most often without an answer and always without an effect.
enum class DatagramDrop : std::uint8_t {
  malformed,
  unsupported_version,
  unknown_ike_sa,
  bad_integrity,
  old_message_id,
  unexpected,
  half_open_limit,
  half_open_share,
  unsolved_puzzle,
  no_connection,
  bad_fragment,
  unexpected_fragment,
  repeated_fragment,
  outdated_fragment,
  oversized_message,
  incomplete_message,
  bad_crash_token,
  bad_redirect,
  bad_ticket,
  unproved_address,
  busy,
  count_
};

/// Why what a peer sent was answered with an error, or ended what it belonged to: a set-up, a Child SA to be, the IKE
/// SA.
enum class Refusal : std::uint8_t {
  invalid_request,
  critical_payload,
  no_common_algorithms,
  other_key_exchange,
  authentication,
  unknown_peer,
  policy,
  traffic_selectors,
  inner_address,
  too_many_sas,
  not_now,
  unknown_child_sa,
  unknown_key_exchange,
  unacceptable_path,
  unexpected_nat,
  no_ticket,
  own_fault,
  invalid_answer,
  refused_by_peer,
  count_
};

template <typename Reason>
struct MessageReason {
  Reason reason;
  std::string_view name;
  std::string_view text;    // what happened
  std::string_view advice;  // what to do
};

inline constexpr std::size_t kDatagramDropCount = static_cast<std::size_t>(DatagramDrop::count_);
inline constexpr std::size_t kRefusalCount = static_cast<std::size_t>(Refusal::count_);

/// In the order of the values.
[[nodiscard]] const std::array<MessageReason<DatagramDrop>, kDatagramDropCount>& datagram_drops();
[[nodiscard]] const std::array<MessageReason<Refusal>, kRefusalCount>& refusals();

[[nodiscard]] std::string_view name_of(DatagramDrop reason);
[[nodiscard]] std::string_view name_of(Refusal reason);

/// The page docs/message-reasons.md.
[[nodiscard]] std::string message_reasons_markdown();

}  // namespace culvert::ike
