#include "radius/accounting.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::radius {
namespace {

using Kind = model::SessionRecord::Kind;
using enum AttributeType;

AcctStatus status_of(Kind kind) {
  return kind == Kind::start ? AcctStatus::start : kind == Kind::stop ? AcctStatus::stop : AcctStatus::interim;
}

std::uint32_t whole_seconds(Duration time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 0, 0xffffffff));
}

/// RFC 2869 5.1, 5.2: how often the 32-bit counter went round.
void add_octets(PacketBuilder& request, AttributeType octets, AttributeType gigawords, std::uint64_t count) {
  request.add_number(octets, static_cast<std::uint32_t>(count));
  request.add_number(gigawords, static_cast<std::uint32_t>(count >> 32));
}

void add_status(PacketBuilder& request, AcctStatus status, std::int64_t wall_clock) {
  request.add_number(acct_status_type, static_cast<std::uint32_t>(status));
  request.add_number(event_timestamp, static_cast<std::uint32_t>(wall_clock));
}

}  // namespace

PacketBuilder accounting_request(const model::SessionRecord& record, const Nas& nas, std::int64_t wall_clock,
                                 Duration delay) {
  const model::Authorization& allowed = *record.authorization;
  PacketBuilder request(Code::accounting_request);
  add_status(request, status_of(record.kind), wall_clock);
  request.add_number(acct_delay_time, whole_seconds(delay));
  request.add_text(acct_session_id, allowed.session_id);
  request.add_number(acct_authentic, kAuthenticByRadius);
  request.add_text(user_name, allowed.user);
  add_nas(request, nas, record.tunnel, record.path);
  request.add_number(service_type, kServiceFramed);
  for (const net::IpAddress& address : record.addresses)
    request.add_address(framed_ip_address, framed_ipv6_address, address);
  for (const Bytes& one : allowed.classes) {
    // The server's own, as long as there is room.
    if (request.size() + one.size() + 128 <= kMostPacket) request.add(class_, one);
  }
  if (record.kind == Kind::start) return request;
  request.add_number(acct_session_time, whole_seconds(record.lasted));
  add_octets(request, acct_input_octets, acct_input_gigawords, record.traffic.input_octets);
  add_octets(request, acct_output_octets, acct_output_gigawords, record.traffic.output_octets);
  request.add_number(acct_input_packets, static_cast<std::uint32_t>(record.traffic.input_packets));
  request.add_number(acct_output_packets, static_cast<std::uint32_t>(record.traffic.output_packets));
  if (record.kind == Kind::stop) request.add_number(acct_terminate_cause, static_cast<std::uint32_t>(record.cause));
  return request;
}

PacketBuilder accounting_on(const Nas& nas, std::int64_t wall_clock) {
  PacketBuilder request(Code::accounting_request);
  add_status(request, AcctStatus::accounting_on, wall_clock);
  request.add_text(nas_identifier, nas.identifier);
  request.add_text(acct_session_id, "0");
  return request;
}

void Accounting::add(model::SessionRecord record, std::int64_t wall_clock, Instant now) {
  if (waiting_.size() >= kMost) {
    const auto interim =
        std::ranges::find_if(waiting_, [](const Entry& one) { return one.record.kind == Kind::interim; });
    waiting_.erase(interim == waiting_.end() ? waiting_.begin() : interim);
    ++lost_;
  }
  waiting_.push_back(
      {.record = std::move(record), .wall_clock = wall_clock, .happened = now, .due = now, .attempts = 0});
  send(now, kMostUnderWay);
}

void Accounting::send(Instant now, std::size_t most) {
  for (std::size_t at = 0; at < waiting_.size() && under_way_.size() < most;) {
    Entry& entry = waiting_[at];
    if (entry.due > now) {
      ++at;
      continue;
    }
    // RFC 2866 5.2: made anew each time, for the delay has grown; so it gets another identifier, too.
    const auto id =
        client_.begin(accounting_request(entry.record, nas_, entry.wall_clock, now - entry.happened), {}, now);
    if (!id) return;
    ++entry.attempts;
    under_way_.emplace(*id, std::move(entry));
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

std::optional<std::string> Accounting::handle(const Client::Outcome& outcome, Instant now) {
  auto node = under_way_.extract(outcome.id);
  if (node.empty()) return std::nullopt;
  std::optional<std::string> said;
  if (outcome.answer) {
    if (std::exchange(failing_, false)) said = "accounting is heard again";
  } else {
    Entry& entry = node.mapped();
    if (entry.attempts >= kAttempts) {
      ++lost_;
      said = fmt::format("accounting: {} is given up: {}", describe(entry.record), outcome.answer.error());
    } else {
      // RFC 2866 2.1: until it is acknowledged. One sentence for each time of silence.
      if (!std::exchange(failing_, true))
        said = fmt::format("accounting: {}; it is tried again", outcome.answer.error());
      entry.due = now + kRetry;
      waiting_.push_back(std::move(entry));
    }
  }
  send(now, kMostUnderWay);
  return said;
}

std::string Accounting::describe(const model::SessionRecord& record) {
  const std::string_view kind = record.kind == Kind::start  ? "the start"
                                : record.kind == Kind::stop ? "the end"
                                                            : "an interim report";
  return fmt::format("{} of session {} of '{}'", kind, record.authorization->session_id,
                     escaped(record.authorization->user));
}

void Accounting::handle_timeout(Instant now) { send(now, kMostUnderWay); }

std::optional<Instant> Accounting::poll_timeout() const {
  // While the most are under way, the next outcome sends more.
  if (under_way_.size() >= kMostUnderWay) return std::nullopt;
  std::optional<Instant> next;
  for (const Entry& entry : waiting_) next = earliest(next, entry.due);
  return next;
}

void Accounting::flush(Instant now) {
  for (Entry& entry : waiting_) entry.due = now;
  send(now, kMost);
}

}  // namespace culvert::radius
