#include "ike/v2/set_up_gate.hpp"

#include <algorithm>
#include <utility>

#include "crypto/prf.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/puzzle.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/redirect.hpp"
#include "ike/v2/refusals.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

constexpr Duration kCookieSecretLife = std::chrono::seconds(60);

// Solutions that are remembered: as many as half-open IKE SAs can come of in the life of a secret, or nearly so.
constexpr std::size_t kMostSolved = 65536;
// Of those that bring no solution, because they know no puzzles or want none: of so many networks one is let in all the
// same (RFC 8019 7.1), until the cookies' secret changes. To ask again does not help.
constexpr std::uint64_t kLottery = 8;
// Retransmissions of one IKE_SA_INIT; peers are known to send eight of them.
constexpr unsigned kMostLongRepetitions = 16;
constexpr unsigned kHarder = 2;  // bits, when half of the places above the threshold are taken

codec::Message refusal_of(const codec::Message& request) {
  codec::Message answer;
  answer.header = request.header;
  answer.header.spi_r = model::IkeSpi{};  // RFC 7296 2.6: zero when no IKE SA comes of it
  answer.header.initiator = false;
  answer.header.response = true;
  return answer;
}

void send_refusal(Core& core, const net::Path& path, const codec::Message& request, const codec::Message& answer) {
  Bytes octets = codec::serialize(answer);
  // Whoever forges a source address gains nothing by us.
  if (octets.size() <= request.header.length) core.transmit(path, std::move(octets));
}

void renew_cookie_secret(Core& core) {
  if (core.now - core.cookie_secret_since <= kCookieSecretLife) return;
  core.cookies.change_secret();
  core.cookie_secret_since = core.now;
  core.solved_before = std::exchange(core.solved_puzzles, {});
}

const Bytes* solution_in(const codec::Message& request) {
  for (const codec::Payload& payload : request.payloads) {
    const auto* unknown = std::get_if<codec::UnknownPayload>(&payload);
    if (unknown != nullptr && unknown->type == kPuzzleSolutionPayload) return &unknown->body;
  }
  return nullptr;
}

/// RFC 8019 7.1.1.2: the first prf of the offer that we have.
std::optional<model::PrfId> prf_of(const codec::Message& request) {
  const auto* sa = request.first<codec::SaPayload>();
  if (sa == nullptr) return std::nullopt;
  for (const model::Proposal& proposal : sa->proposals) {
    for (const model::Transform& one : proposal.transforms) {
      const auto prf = static_cast<model::PrfId>(one.id);
      if (one.type == model::TransformType::prf && model::prf_function(prf)) return prf;
    }
  }
  return std::nullopt;
}

/// What this request is to be given; nothing: cookies do. RFC 8019 4.5: nor to whoever shows a ticket.
std::optional<Puzzle> puzzle_for(const Core& core, const codec::Message& request) {
  const std::size_t half_open = core.sas.half_open().size();
  const std::size_t from = core.settings.puzzle_threshold;
  if (half_open < from) return std::nullopt;
  const auto prf = prf_of(request);
  if (!prf) return std::nullopt;
  const bool worse = half_open - from > (core.settings.half_open_limit - from) / 2;
  return Puzzle{.prf = *prf, .zero_bits = static_cast<std::uint8_t>(core.settings.puzzle_bits + (worse ? kHarder : 0))};
}

bool has_luck(const Core& core, const net::Path& path) {
  return core.cookies.draw(network_of(path.remote.address).first().bytes(), kLottery);
}

/// With a good cookie, while puzzles are given: RFC 8019 7.1.4 and 7.1.5.
Passage judge_work(const Core& core, const net::Path& path, const codec::Message& request,
                   const auth::CookieNote& note) {
  const Bytes& cookie = request.notify(NotifyType::cookie)->data;
  const Bytes* solution = solution_in(request);
  if (note.zero_bits != 0 && solution != nullptr) {
    // RFC 8019 7.1.1.3: a solution is good once.
    if (core.solved_puzzles.contains(cookie) || core.solved_before.contains(cookie)) return Passage::no;
    const auto bits = solved_bits(static_cast<model::PrfId>(note.prf), cookie, *solution);
    if (bits && *bits >= note.zero_bits) return Passage::by_puzzle;
  }
  return has_luck(core, path) ? Passage::free : Passage::no;
}

/// A cookie, and with it the puzzle, if there is one.
void ask_for_work(Core& core, const net::Path& path, const codec::Message& request,
                  const std::optional<Puzzle>& puzzle) {
  const Bytes& nonce = request.first<codec::NoncePayload>()->data;
  auth::CookieNote note;
  if (puzzle) note = {.zero_bits = puzzle->zero_bits, .prf = static_cast<std::uint16_t>(puzzle->prf)};
  codec::Message answer = refusal_of(request);
  answer.add_notify(NotifyType::cookie, core.cookies.make(nonce, path.remote, request.header.spi_i, note));
  if (puzzle) answer.add_notify(NotifyType::puzzle, encode(*puzzle));
  send_refusal(core, path, request, answer);
  ++core.counters.cookies;
  if (puzzle) ++core.counters.puzzles;
  core.drop(DatagramDrop::half_open_limit);
}

/// Of the half-open IKE SAs its address may have one more, and its network too (RFC 8019 4.2); counted when not.
bool has_room_for_sender(Core& core, const net::Path& path) {
  const HalfOpenCounts& half_open = core.sas.half_open();
  if (half_open.of_sender(path.remote.address) < core.settings.half_open_per_address &&
      half_open.of_network(path.remote.address) < core.settings.half_open_per_network)
    return true;
  core.drop(DatagramDrop::half_open_share);
  return false;
}

/// Nobody has proved an address here. An answer longer than the request, for what we ask of the peer in it, goes out
/// again as often as an honest peer asks, and be it through another mapping of its NAT.
bool gains(IkeSa& sa, std::size_t octets, std::size_t received) {
  return octets > received && sa.window.count_repetition(model::MessageId{0}) > kMostLongRepetitions;
}

}  // namespace

InitDigest init_digest_of(ByteView datagram) {
  const Bytes whole = crypto::hash(crypto::HashId::sha2_256, {datagram});
  InitDigest front{};
  std::copy_n(whole.begin(), front.size(), front.begin());
  return front;
}

bool repeat_answer(Core& core, const net::Path& path, const InitDigest& digest, std::size_t received) {
  IkeSa* sa = core.sas.find_by_init(digest);
  if (sa == nullptr) return false;
  const Outgoing* response = sa->window.response(model::MessageId{0});
  // RFC 7296 2.1: once IKE_AUTH has come, the old request is ignored.
  if (sa->phase != Phase::half_open || response == nullptr) {
    core.drop(DatagramDrop::old_message_id);
  } else if (gains(*sa, octets_in(*response), received)) {
    core.drop(DatagramDrop::unproved_address);
  } else {
    ++core.counters.repeated;
    core.transmit(path, *response);
  }
  return true;
}

Passage pass_load_check(Core& core, const net::Path& path, const codec::Message& request) {
  const std::size_t half_open = core.sas.half_open().size();
  if (half_open >= core.settings.half_open_limit) {
    core.drop(DatagramDrop::half_open_limit);
    return Passage::no;
  }
  const bool loaded = half_open >= core.settings.cookie_threshold || core.now < core.cookies_until;
  if (!loaded) return Passage::free;
  // RFC 9329 6.3: whoever has a TCP connection has shown its address; no cookie without a puzzle.
  if (path.over_tcp()) return has_room_for_sender(core, path) ? Passage::free : Passage::no;
  renew_cookie_secret(core);
  const Bytes& nonce = request.first<codec::NoncePayload>()->data;
  const auto* cookie = request.notify(NotifyType::cookie);
  // RFC 7296 2.6: a wrong cookie is treated as none.
  const auto note =
      cookie == nullptr ? std::nullopt : core.cookies.check(cookie->data, nonce, path.remote, request.header.spi_i);
  const auto puzzle = puzzle_for(core, request);
  // RFC 8019 7.1.4: who was given no puzzle has none to solve, as long as there are none.
  const Passage passage = !note ? Passage::no : puzzle ? judge_work(core, path, request, *note) : Passage::free;
  if (passage != Passage::no) return has_room_for_sender(core, path) ? passage : Passage::no;
  ask_for_work(core, path, request, puzzle);
  return Passage::no;
}

IkeSa& add_half_open(Core& core, const net::Path& path, const codec::Message& request, const InitDigest& digest,
                     const model::ConnectionConfig& config) {
  IkeSa& sa = core.sas.add(core.next_ike_sa_id());
  sa.role = model::Role::responder;
  sa.phase = Phase::half_open;
  sa.connection = config.id;
  sa.spi_i = request.header.spi_i;
  sa.spi_r = core.new_ike_spi();
  sa.path = path;
  sa.begun_at = sa.last_inbound = core.now;
  sa.begun_order = core.next_order();
  sa.init_digest = digest;
  sa.phase_deadline = core.now + core.settings.half_open_timeout;
  judge_nat_detection(sa, request, path);
  agree_on_fragmentation(sa, request, config);
  note_redirects(sa, request);
  core.sas.index_spi(sa);
  core.sas.index_init(sa);
  core.touch(sa);
  core.sas.note(sa);
  return sa;
}

void note_admitted(Core& core, const codec::Message& request, Passage passage) {
  if (passage != Passage::by_puzzle) return;
  if (core.solved_puzzles.size() < kMostSolved) core.solved_puzzles.insert(request.notify(NotifyType::cookie)->data);
  ++core.counters.solved;
}

void refuse_set_up(Core& core, const net::Path& path, const codec::Message& request, NotifyType type, ByteView data) {
  const bool leads_on = type == NotifyType::cookie || type == NotifyType::invalid_ke_payload ||
                        type == NotifyType::redirect || type == NotifyType::ticket_nack;
  if (type != NotifyType::redirect) core.refuse(refusal_by(type));
  if (!leads_on && !core.unprotected_answers.allow(core.now)) return;
  codec::Message answer = refusal_of(request);
  answer.add_notify(type, data);
  send_refusal(core, path, request, answer);
}

}  // namespace culvert::ike::v2
