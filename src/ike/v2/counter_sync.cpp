#include "ike/v2/counter_sync.hpp"

#include <algorithm>
#include <limits>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/children.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/parallel.hpp"

namespace culvert::ike::v2 {
namespace {

using model::MessageId;
using model::NotifyType;

// RFC 7296 2.2: message ids must not wrap. A number that leaves no room for others is none to begin from.
constexpr std::uint32_t kLastMessageId = 0xfff00000;
// IVs of our IKE messages that the member before us may have used, and then some.
constexpr std::uint64_t kSkippedIvs = std::uint64_t{1} << 48;
constexpr unsigned kTries = 7;
constexpr Duration kFirstWait = std::chrono::milliseconds(500);
// RFC 6311 5.2: so much of 32-bit sequence numbers is gone that a new SA is due.
constexpr std::uint64_t kManyOf32Bits = std::uint64_t{1} << 28;
constexpr std::size_t kSyncSize = 12;

struct Numbers {
  Bytes nonce;
  MessageId send{0};  // the sender's next request
  MessageId expect{0};
};

std::optional<Numbers> numbers_of(const codec::Message& message) {
  const auto* notify = message.notify(NotifyType::ikev2_message_id_sync);
  if (notify == nullptr || notify->data.size() != kSyncSize) return std::nullopt;
  const std::uint8_t* const data = notify->data.data();
  return Numbers{Bytes(data, data + 4), MessageId(load_be32(data + 4)), MessageId(load_be32(data + 8))};
}

codec::NotifyPayload sync_notify(ByteView nonce, MessageId send, MessageId expect) {
  ByteWriter data;
  data.bytes(nonce);
  data.u32(send.value());
  data.u32(expect.value());
  return {
      .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::ikev2_message_id_sync, .data = data.take()};
}

// RFC 6311 5.1: nothing else may be in it.
bool has_nothing_else(const codec::Message& message) {
  const std::size_t replay = message.header.response ? 0 : 1;
  std::size_t ids = 0;
  std::size_t counters = 0;
  for (const codec::Payload& payload : message.payloads) {
    const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
    if (notify == nullptr) return false;
    if (notify->type == NotifyType::ikev2_message_id_sync) {
      ++ids;
    } else if (notify->type == NotifyType::ipsec_replay_counter_sync) {
      ++counters;
    } else {
      return false;
    }
  }
  return ids == 1 && counters <= replay;
}

// What of ours waits for an answer is begun again, under a new number.
void begin_again_under_new_numbers(IkeSa& sa) {
  std::vector<QueuedTask> again;
  for (const InitiatorExchange* one : sa.exchanges()) {
    if (auto task = one->anew()) again.push_back({.task = std::move(*task)});
  }
  abandon_exchanges(sa);
  for (QueuedTask& task : std::views::reverse(again)) sa.tasks.insert(sa.tasks.begin(), std::move(task));
}

// RFC 6311 9: what of the peer's was under way is not waited for either.
void forget_requests_of_peer(IkeSa& sa) {
  sa.responder.reset();
  sa.held.clear();
}

// RFC 6311 6.4: all of them have 64-bit sequence numbers, or none.
std::optional<bool> all_extended(const IkeSa& sa) {
  std::optional<bool> extended;
  for (const auto& [id, child] : sa.children) {
    const bool one = child.suite.esn == model::EsnId::esn;
    if (extended && *extended != one) return std::nullopt;
    extended = one;
  }
  return extended;
}

void skip_in_children(Core& core, const IkeSa& sa, std::uint64_t count) {
  for (const auto& [id, child] : sa.children) core.emit(ChildSaSkipSequence{.child = id, .count = count});
}

// RFC 6311 5.1: at the peer's end.
void answer_sync(Core& core, IkeSa& sa, const net::Path& path, const codec::Message& request) {
  const auto asked = numbers_of(request);
  // A message id that was used, by a request or by a message like this, is that of a replay: no answer.
  const bool seen = asked && asked->send.value() < sa.sync_beyond;
  if (!asked || !has_nothing_else(request) || seen || asked->send < sa.window.beyond_received() ||
      asked->send.value() >= kLastMessageId || asked->expect.value() >= kLastMessageId) {
    return core.drop(DatagramDrop::old_message_id);
  }
  sa.sync_beyond = asked->send.value() + 1;
  sa.last_inbound = core.now;
  begin_again_under_new_numbers(sa);
  forget_requests_of_peer(sa);
  sa.window.expect(asked->send);
  sa.window.skip_to(asked->expect);
  core.progress(sa, fmt::format("the peer's cluster has another member: its next request is {}, ours is {}",
                                sa.window.expected_id().value(), sa.window.next_id().value()));
  take_replay_counter_sync(core, sa, request);
  codec::Message answer;
  answer.add(sync_notify(asked->nonce, sa.window.next_id(), sa.window.expected_id()));
  send_unnumbered(core, sa, true, std::move(answer), path);
}

void send_sync(Core& core, IkeSa& sa) {
  CounterSync& sync = *sa.counter_sync;
  sync.nonce = static_cast<std::uint32_t>(core.random.u64());
  // RFC 6311 5.1: a message with a number that was seen before is dropped, also when only its answer was lost.
  sync.mine = MessageId(sync.mine.value() + (sync.sent == 0 ? 0 : 1));
  sa.window.skip_to(sync.mine);
  ByteWriter nonce;
  nonce.u32(sync.nonce);
  codec::Message message;
  message.add(sync_notify(nonce.view(), sync.mine, sync.theirs));
  const auto extended = all_extended(sa);
  if (sync.packets != 0 && sa.replay_counter_sync && extended) {
    ByteWriter delta;
    if (*extended) {
      delta.u64(sync.packets);
    } else {
      delta.u32(
          static_cast<std::uint32_t>(std::min<std::uint64_t>(sync.packets, std::numeric_limits<std::uint32_t>::max())));
    }
    message.add_notify(NotifyType::ipsec_replay_counter_sync, delta.view());
  }
  sync.again = core.now + kFirstWait * (1U << sync.sent);
  ++sync.sent;
  send_unnumbered(core, sa, false, std::move(message), sa.path);
  core.touch(sa);
}

// As a member: both ends have the higher of their numbers now.
void take_answer(Core& core, IkeSa& sa, const codec::Message& response) {
  const auto said = numbers_of(response);
  const CounterSync& sync = *sa.counter_sync;
  // RFC 6311 5.1: the nonce is that of the request.
  if (!said || !has_nothing_else(response) || load_be32(said->nonce.data()) != sync.nonce || said->send < sync.theirs ||
      said->expect < sync.mine || said->send.value() >= kLastMessageId || said->expect.value() >= kLastMessageId) {
    return core.drop(DatagramDrop::unexpected);
  }
  sa.window.skip_to(said->expect);
  sa.window.expect(said->send);
  sa.last_inbound = core.now;
  sa.heard = true;
  const std::uint64_t packets = sync.packets;
  sa.counter_sync.reset();
  core.progress(sa, fmt::format("taken over from another member: our next request is {}, the peer's is {}",
                                sa.window.next_id().value(), sa.window.expected_id().value()));
  if (packets < kManyOf32Bits) return;
  for (const auto& [id, child] : sa.children) {
    if (child.suite.esn != model::EsnId::esn && child.is_current())
      sa.tasks.push_back({.task = RekeyChildTask{.child = id, .retry = {}}});
  }
}

std::optional<codec::Message> open_whole(const IkeSa& sa, ByteView datagram, const codec::ParsedMessage& parsed) {
  const auto& sealed = parsed.sealed;
  if (!sealed) return std::nullopt;
  auto part = open_part(sa, datagram, parsed);
  if (!part) return std::nullopt;
  auto payloads = codec::parse_payloads(sealed->first_inner, part->view());
  if (!payloads) return std::nullopt;
  return codec::Message{parsed.header, std::move(*payloads)};
}

}  // namespace

void add_counter_sync(codec::Message& message, const IkeSa& sa, const model::ConnectionConfig& config) {
  const bool asks = sa.role == model::Role::initiator;
  if (!config.counter_sync) return;
  if (asks || sa.message_id_sync) message.add_notify(NotifyType::ikev2_message_id_sync_supported);
  if (asks || sa.replay_counter_sync) message.add_notify(NotifyType::ipsec_replay_counter_sync_supported);
}

// RFC 6311 5: only what both have announced.
void agree_on_counter_sync(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config) {
  const auto says = [&](NotifyType type) { return config.counter_sync && peer.notify(type) != nullptr; };
  sa.message_id_sync = says(NotifyType::ikev2_message_id_sync_supported);
  sa.replay_counter_sync = says(NotifyType::ipsec_replay_counter_sync_supported);
}

bool receive_counter_sync(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram,
                          const codec::ParsedMessage& parsed) {
  const codec::Header& header = parsed.header;
  const bool may_be = sa.message_id_sync && sa.phase == Phase::established && header.message_id == MessageId{0} &&
                      header.exchange == model::ExchangeType::informational && parsed.sealed &&
                      !parsed.sealed->fragment;
  if (!may_be || (header.response && !sa.counter_sync)) return false;
  // An IKE SA that came of a rekey begins with number 0, so the content tells.
  const auto message = open_whole(sa, datagram, parsed);
  if (!message || message->notify(NotifyType::ikev2_message_id_sync) == nullptr) return false;
  if (header.response) {
    take_answer(core, sa, *message);
  } else if (sa.counter_sync) {
    // Both ends are clusters and have failed over: each asks again later.
    core.drop(DatagramDrop::busy);
  } else {
    answer_sync(core, sa, path, *message);
  }
  return true;
}

void take_replay_counter_sync(Core& core, const IkeSa& sa, const codec::Message& request) {
  const auto* notify = request.notify(NotifyType::ipsec_replay_counter_sync);
  if (notify == nullptr || !sa.replay_counter_sync || sa.children.empty()) return;
  const auto extended = all_extended(sa);
  if (!extended || notify->data.size() != (*extended ? 8U : 4U)) {
    core.progress(sa, "the peer wants sequence numbers skipped in a form that is not that of the Child SAs");
    return;
  }
  const std::uint64_t count = *extended ? load_be64(notify->data.data()) : load_be32(notify->data.data());
  core.progress(sa, fmt::format("the peer may have missed {} packets: our sequence numbers skip as many", count));
  skip_in_children(core, sa, count);
}

bool awaits_counter_sync(const IkeSa& sa) { return sa.counter_sync && sa.phase == Phase::established; }

void take_over(Core& core, IkeSa& sa, const TakeOver& command) {
  if (sa.phase != Phase::established) return;
  // The keys are those of the member before us: no IV of its may come again.
  sa.next_iv += kSkippedIvs;
  if (command.packets != 0) skip_in_children(core, sa, command.packets);
  if (!sa.message_id_sync) {
    core.progress(sa, "the peer knows nothing of failovers (RFC 6311): the IKE SA goes on as it is, or ends");
    sa.tasks.insert(sa.tasks.begin(), {.task = LivenessTask{.hasty = true}});
    return core.touch(sa);
  }
  begin_again_under_new_numbers(sa);
  forget_requests_of_peer(sa);
  sa.counter_sync = std::make_unique<CounterSync>();
  CounterSync& sync = *sa.counter_sync;
  sync.mine = MessageId(sa.window.next_id().value() + std::max(command.requests, sa.window.granted()));
  sync.theirs = sa.window.beyond_received();
  sync.packets = command.packets;
  send_sync(core, sa);
}

// After the last try the next request tells whether the peer is there at all.
void handle_counter_sync_timer(Core& core, IkeSa& sa) {
  if (!sa.counter_sync || sa.counter_sync->again > core.now) return;
  if (sa.counter_sync->sent < kTries) return send_sync(core, sa);
  core.progress(sa, "the peer does not answer the new member of the cluster");
  sa.counter_sync.reset();
  sa.tasks.insert(sa.tasks.begin(), {.task = LivenessTask{.hasty = true}});
}

std::optional<Instant> next_counter_sync_time(const IkeSa& sa) {
  return sa.counter_sync ? std::optional(sa.counter_sync->again) : std::nullopt;
}

}  // namespace culvert::ike::v2
