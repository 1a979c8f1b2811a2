#include "ike/v2/fragments.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/paths.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

// Sends of one size before the next smaller one is tried.
constexpr unsigned kSendsOfOneSize = 2;
// RFC 7383 2.5.1, 2.5.2: few and coarse. What every link of IPv6 carries; what every host of IPv4 takes; and what slow
// lines were once set to.
constexpr std::array<std::uint16_t, 3> kSizes = {1280, 576, model::kLeastIkeFragmentSize};

std::optional<std::uint16_t> smaller_size(std::uint16_t size) {
  const auto found = std::ranges::find_if(kSizes, [&](std::uint16_t one) { return one < size; });
  return found == kSizes.end() ? std::nullopt : std::optional(*found);
}

void seal_for(Core& core, IkeSa& sa, const net::Path& path, Outgoing& message) {
  message.datagrams = seal_within(core, sa, *message.content, message.size - octets_around(core, path));
}

std::size_t datagrams_for(const IkeSa& sa, const Core& core, const net::Path& path,
                          const codec::MessageContent& content, std::uint16_t size) {
  return datagrams_within(sa, content, size - octets_around(core, path));
}

}  // namespace

// RFC 7383 appendix B.
std::size_t octets_around(const Core& core, const net::Path& path) {
  const std::size_t ip = path.remote.address.family() == net::Family::v4 ? 20 : 40;
  constexpr std::size_t kUdp = 8;
  const std::size_t marker = path.local.port == core.settings.ike_port ? 0 : 4;
  return ip + kUdp + marker;
}

std::size_t sure_room(const Core& core, const net::Path& path) {
  return (path.remote.address.family() == net::Family::v4 ? 576 : 1280) - octets_around(core, path);
}

void offer_fragmentation(codec::Message& message, const model::ConnectionConfig& config) {
  if (config.ike_fragmentation == model::IkeFragmentation::off) return;
  message.add_notify(NotifyType::ikev2_fragmentation_supported);
}

void agree_on_fragmentation(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config) {
  // RFC 7383 2.4: only when both have said that they know it.
  sa.fragmentation.agreed = config.ike_fragmentation != model::IkeFragmentation::off &&
                            peer.notify(NotifyType::ikev2_fragmentation_supported) != nullptr;
  sa.fragmentation.size = config.ike_fragment_size;
}

bool lacks_fragmentation(const codec::Message& peer, const model::ConnectionConfig& config) {
  return config.ike_fragmentation == model::IkeFragmentation::required &&
         peer.notify(NotifyType::ikev2_fragmentation_supported) == nullptr;
}

Outgoing seal_message(Core& core, IkeSa& sa, const codec::Message& message, const net::Path& path) {
  Outgoing out;
  // RFC 9329 7.5: a stream needs no fragments.
  if (!sa.fragmentation.agreed || path.over_tcp()) {
    out.datagrams = seal_within(core, sa, content_with_solution(sa, message), std::numeric_limits<std::size_t>::max());
    return out;
  }
  out.content = std::make_unique<codec::MessageContent>(content_with_solution(sa, message));
  out.size = sa.fragmentation.size;
  // RFC 7383 2.4: what fits goes whole. A message that would have too many parts goes in larger ones.
  while (datagrams_for(sa, core, path, *out.content, out.size) > kMostFragments) out.size *= 2;
  seal_for(core, sa, path, out);
  if (out.datagrams.size() > 1) {
    core.progress(sa, fmt::format("the {} {} goes in {} fragments of {} octets", name_of(message.header.exchange),
                                  message.header.response ? "response" : "request", out.datagrams.size(), out.size));
  }
  const bool may_shrink =
      smaller_size(out.size) && datagrams_for(sa, core, path, *out.content, kSizes.back()) > out.datagrams.size();
  if (!may_shrink) out.size = 0;
  // The last response of each IKE SA is kept for long: once is enough.
  if (!may_shrink || out.datagrams.size() == 1) out.content.reset();
  return out;
}

bool shrink(Core& core, IkeSa& sa, const net::Path& path, Outgoing& message) {
  if (message.size == 0) return false;
  if (!message.content) {
    auto content = reopen_own(sa, message.datagrams.front());
    if (!content) return false;
    message.content = std::make_unique<codec::MessageContent>(std::move(*content));
  }
  for (auto size = smaller_size(message.size); size; size = smaller_size(*size)) {
    const std::size_t count = datagrams_for(sa, core, path, *message.content, *size);
    // RFC 7383 2.5.2: the total tells the sets apart, and must grow.
    if (count <= message.datagrams.size()) continue;
    if (count > kMostFragments) return false;
    message.size = *size;
    seal_for(core, sa, path, message);
    sa.fragmentation.size = std::min(sa.fragmentation.size, *size);
    core.progress(
        sa, fmt::format("the {} {} goes in {} fragments of {} octets now", name_of(message.content->header.exchange),
                        message.content->header.response ? "response" : "request", count, *size));
    return true;
  }
  return false;
}

void resend_request(Core& core, IkeSa& sa, model::MessageId id) {
  ++core.counters.retransmissions;
  Outgoing& request = *sa.window.request(id);
  // Part of the response is there: the request has arrived.
  const bool arrived = sa.fragmentation.incomplete.contains({true, id});
  if (!arrived && sa.window.sends(id) > kSendsOfOneSize && shrink(core, sa, sa.path, request)) {
    // RFC 7383 2.5.2: with a new size the waits start over.
    sa.window.restart(id, core.now, core.random);
  }
  retransmit(core, sa, id);
}

void resend_response(Core& core, IkeSa& sa, const net::Path& path, model::MessageId id) {
  Outgoing& response = *sa.window.response(id);
  // RFC 7383 2.4: a request that keeps coming is a hint that the response does not get through.
  if (sa.window.count_repetition(id) >= kSendsOfOneSize && shrink(core, sa, path, response))
    sa.window.forget_repetitions(id);
  core.transmit(path, response);
}

bool wants_fragment(Core& core, const IkeSa& sa, const codec::ParsedMessage& parsed) {
  const auto& sealed = parsed.sealed;
  CHECK(sealed && sealed->fragment);
  // RFC 7383 2.4: not unless both know it.
  if (!sa.fragmentation.agreed) {
    core.drop(DatagramDrop::unexpected_fragment);
    return false;
  }
  const auto found = sa.fragmentation.incomplete.find({parsed.header.response, parsed.header.message_id});
  if (found == sa.fragmentation.incomplete.end()) return true;
  switch (found->second.parts.judge(*sealed->fragment)) {
    case Reassembly::Verdict::wanted: return true;
    case Reassembly::Verdict::repeated: core.drop(DatagramDrop::repeated_fragment); return false;
    case Reassembly::Verdict::outdated: core.drop(DatagramDrop::outdated_fragment); return false;
  }
  return false;
}

Result<std::optional<OpenedContent>, std::string> take_fragment(Core& core, IkeSa& sa, const net::Path& path,
                                                                const codec::ParsedMessage& parsed, SecretBytes part) {
  const auto& sealed = parsed.sealed;
  CHECK(sealed);
  const codec::Header& header = parsed.header;
  const auto [found, fresh] = sa.fragmentation.incomplete.try_emplace({header.response, header.message_id});
  Fragmentation::Entry& entry = found->second;
  // RFC 7383 2.6: as long as we would wait for an answer ourselves.
  if (fresh) entry.deadline = core.now + core.retransmission().span();
  const auto state = entry.parts.add(*sealed, std::move(part), header.length);
  if (state == Reassembly::State::incomplete) return std::nullopt;
  const Reassembly whole = std::move(entry.parts);
  sa.fragmentation.incomplete.erase(found);
  if (state == Reassembly::State::too_much) {
    core.drop(DatagramDrop::oversized_message);
    return err(fmt::format("it has more than {} fragments, or {} octets in them", kMostFragments, kMostReassembled));
  }
  if (!header.response && whole.total() > 1) {
    // RFC 7383 2.5.1: the peer may have found out what gets through.
    const std::size_t size = whole.largest() + octets_around(core, path);
    sa.fragmentation.size = static_cast<std::uint16_t>(std::clamp<std::size_t>(
        size, std::min(model::kLeastIkeFragmentSize, sa.fragmentation.size), sa.fragmentation.size));
  }
  return whole.content();
}

void forget_fragments(IkeSa& sa, const codec::Header& header) {
  sa.fragmentation.incomplete.erase({header.response, header.message_id});
}

void expire_fragments(Core& core, IkeSa& sa) {
  const std::size_t expired =
      erase_if(sa.fragmentation.incomplete, [&](const auto& one) { return one.second.deadline <= core.now; });
  for (std::size_t i = 0; i < expired; ++i) core.drop(DatagramDrop::incomplete_message);
}

std::optional<Instant> next_fragment_expiry(const IkeSa& sa) {
  std::optional<Instant> first;
  for (const auto& [key, entry] : sa.fragmentation.incomplete) first = earliest(first, entry.deadline);
  return first;
}

}  // namespace culvert::ike::v2
