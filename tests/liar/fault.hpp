// Fault: one row per lie. Name, where it stands, the sections that say what is due, how the message is made wrong, and
// the outcome: what ours answers, what it holds afterwards, and under which reason it is counted.
//
// A new fault is a new row in one of the faults_*.cpp; liar_test.cpp runs all of them.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "ike/face.hpp"
#include "model/iana/notify_type.hpp"
#include "tests/liar/scene.hpp"

namespace culvert::liar {

enum class Reply : std::uint8_t {
  nothing,    // no datagram at all
  as_honest,  // the same exchanges and payloads as for the honest message
  notify,     // one response with the notification, in the clear or sealed as the request was
  empty,      // one sealed response without payloads
  tells,      // one INFORMATIONAL request with the notification
  deletes,    // one INFORMATIONAL request with a Delete payload
  repeats,    // one datagram that ours has sent before, octet for octet
};

enum class After : std::uint8_t {
  unchanged,  // as before the message
  as_honest,  // as after the honest message
  childless,  // the IKE SA stands without a Child SA
  disowned,   // likewise, but for the SPI: it is in use until the peer has deleted the pair that it believes in
  withdrawn,  // as before, but the SPI that was kept ready has gone back
  gone,       // no IKE SA, no Child SA, no SPI
};

struct Outcome {
  Reply reply = Reply::nothing;
  After after = After::unchanged;
  std::optional<model::NotifyType> notify = {};
  /// The one reason under which what was told is counted: a drop or a refusal. Without either it may count under none.
  std::optional<ike::DatagramDrop> drop = {};
  std::optional<ike::Refusal> refusal = {};
  /// What the user is told in the end, at the latest when the liar has been silent for some time.
  std::optional<ike::FailureKind> failure = {};
};

struct Fault {
  std::string_view name;
  std::string_view rfc;
  Step step;
  Lie lie;
  Outcome outcome;
  Setting setting = {};
};

/// All rows.
[[nodiscard]] const std::vector<Fault>& faults();
[[nodiscard]] std::vector<Fault> header_faults();
[[nodiscard]] std::vector<Fault> init_faults();
[[nodiscard]] std::vector<Fault> init_answer_faults();
[[nodiscard]] std::vector<Fault> auth_faults();
[[nodiscard]] std::vector<Fault> auth_answer_faults();
[[nodiscard]] std::vector<Fault> fragment_faults();
[[nodiscard]] std::vector<Fault> child_faults();
[[nodiscard]] std::vector<Fault> child_answer_faults();
[[nodiscard]] std::vector<Fault> informational_faults();
[[nodiscard]] std::vector<Fault> key_exchange_faults();
[[nodiscard]] std::vector<Fault> reserved_faults();
[[nodiscard]] std::vector<Fault> resume_faults();

// ---------------------------------------------------------------- outcomes

/// Under which an answer with the notification counts, and what is given up for this.
inline ike::Refusal reason_of(model::NotifyType notify) {
  using model::NotifyType;
  switch (notify) {
    case NotifyType::invalid_syntax: return ike::Refusal::invalid_request;
    case NotifyType::unsupported_critical_payload: return ike::Refusal::critical_payload;
    case NotifyType::no_proposal_chosen: return ike::Refusal::no_common_algorithms;
    case NotifyType::invalid_ke_payload: return ike::Refusal::other_key_exchange;
    case NotifyType::authentication_failed: return ike::Refusal::authentication;
    case NotifyType::ts_unacceptable: return ike::Refusal::traffic_selectors;
    case NotifyType::child_sa_not_found: return ike::Refusal::unknown_child_sa;
    case NotifyType::state_not_found: return ike::Refusal::unknown_key_exchange;
    default: check_failed("the notification has a reason", __FILE__, __LINE__);
  }
}
inline ike::Refusal reason_of(ike::FailureKind failure) {
  using ike::FailureKind;
  switch (failure) {
    case FailureKind::protocol_error: return ike::Refusal::invalid_answer;
    case FailureKind::authentication_failed: return ike::Refusal::authentication;
    case FailureKind::traffic_selectors: return ike::Refusal::traffic_selectors;
    default: check_failed("the failure has a reason", __FILE__, __LINE__);
  }
}
/// The same, but for the reason.
inline Outcome counted(Outcome outcome, ike::Refusal refusal) {
  outcome.refusal = refusal;
  return outcome;
}

inline Outcome ignored(ike::DatagramDrop drop) { return {.drop = drop}; }
/// Nothing is said, and the genuine message is still awaited.
inline Outcome awaits_better(ike::FailureKind failure) {
  return {.refusal = failure == ike::FailureKind::protocol_error ? ike::Refusal::invalid_answer
                                                                 : ike::Refusal::refused_by_peer,
          .failure = failure};
}
inline Outcome harmless() { return {.reply = Reply::as_honest, .after = After::as_honest}; }
inline Outcome refused(model::NotifyType notify) {
  return {.reply = Reply::notify, .notify = notify, .refusal = reason_of(notify)};
}
/// Refused, and the IKE SA ends with it.
inline Outcome ends(model::NotifyType notify) {
  return {.reply = Reply::notify, .after = After::gone, .notify = notify, .refusal = reason_of(notify)};
}
inline Outcome childless(model::NotifyType notify) {
  return {.reply = Reply::notify, .after = After::childless, .notify = notify, .refusal = reason_of(notify)};
}
/// What it says is passed over, as the RFCs have it.
inline Outcome answered() { return {.reply = Reply::empty}; }
inline Outcome repeated() { return {.reply = Reply::repeats}; }
/// As initiator: the IKE SA stands, and the pair that the peer believes in is deleted.
inline Outcome disowns(ike::FailureKind failure) {
  return {.reply = Reply::deletes, .after = After::disowned, .refusal = reason_of(failure), .failure = failure};
}
/// As initiator: given up without a word.
inline Outcome given_up(ike::FailureKind failure) {
  return {.after = After::gone, .refusal = reason_of(failure), .failure = failure};
}
/// As initiator: the peer, which takes the IKE SA for established, hears why it is not.
inline Outcome tells(model::NotifyType notify, ike::FailureKind failure) {
  return {
      .reply = Reply::tells, .after = After::gone, .notify = notify, .refusal = reason_of(failure), .failure = failure};
}

// ---------------------------------------------------------------- lies

template <typename Change>
Lie in_message(Change change) {
  return {.message = [change](Liar& liar, codec::Message& message) {
    if constexpr (std::invocable<Change, Liar&, codec::Message&>) {
      change(liar, message);
    } else {
      change(message);
    }
  }};
}
template <typename Change>
Lie in_octets(Change change) {
  return {.octets = [change](Liar&, Bytes& octets) { change(octets); }};
}
template <typename Change>
Lie in_chain(Change change) {
  return {.chain = [change](Liar&, model::PayloadType& first, Bytes& chain) { change(first, chain); }};
}
/// The honest message goes out with another one, or others, in its place.
template <typename Make>
Lie instead(Make make) {
  return {.instead = [make](Liar& liar, const codec::Message& honest) { return make(liar, honest); }};
}

/// One datagram. (std::vector{Bytes} would be the octets.)
inline std::vector<Bytes> only(Bytes datagram) {
  std::vector<Bytes> one;
  one.push_back(std::move(datagram));
  return one;
}

// ---------------------------------------------------------------- parts of messages

/// The first payload of the type, which must be there.
template <typename T>
T& part(codec::Message& message) {
  for (codec::Payload& one : message.payloads)
    if (T* found = std::get_if<T>(&one)) return *found;
  check_failed("the payload is there", __FILE__, __LINE__);
}
inline codec::TsPayload& ts(codec::Message& message, Role side) {
  for (codec::Payload& one : message.payloads)
    if (auto* found = std::get_if<codec::TsPayload>(&one); found != nullptr && found->side == side) return *found;
  check_failed("the payload is there", __FILE__, __LINE__);
}
template <typename T>
void remove(codec::Message& message) {
  CHECK(std::erase_if(message.payloads, [](const codec::Payload& one) { return std::holds_alternative<T>(one); }) > 0);
}
template <typename T>
void repeat(codec::Message& message) {
  const T copy = part<T>(message);
  message.add(copy);
}
inline model::Transform& transform(codec::Message& message, model::TransformType type) {
  for (model::Transform& one : part<codec::SaPayload>(message).proposals.front().transforms)
    if (one.type == type) return one;
  check_failed("the transform is there", __FILE__, __LINE__);
}
inline void remove_transform(codec::Message& message, model::TransformType type) {
  std::erase_if(part<codec::SaPayload>(message).proposals.front().transforms,
                [&](const model::Transform& one) { return one.type == type; });
}

/// Where the payload of the type begins in a chain of them, with its generic header.
inline std::size_t find_payload(ByteView octets, std::size_t start, model::PayloadType first,
                                model::PayloadType wanted) {
  std::size_t at = start;
  for (auto type = first; type != wanted;) {
    CHECK(at + 4 <= octets.size());
    type = static_cast<model::PayloadType>(octets[at]);
    at += load_be16(octets.data() + at + 2);
  }
  return at;
}
/// The same in a message in the clear.
inline std::size_t find_payload(ByteView message, model::PayloadType wanted) {
  return find_payload(message, codec::kHeaderSize, static_cast<model::PayloadType>(message[16]), wanted);
}
inline void set_length(Bytes& message) { store_be32(message.data() + 24, static_cast<std::uint32_t>(message.size())); }

}  // namespace culvert::liar
