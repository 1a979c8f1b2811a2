#include "ike/v2/exchange_window.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.hpp"

namespace culvert::ike::v2 {
namespace {

// RFC 7296 2.1: a responder may forget a response after several minutes. Longer than whoever waits for a path of a peer
// that moves (RFC 4555) repeats a request.
constexpr Duration kAnswersKept = std::chrono::minutes(10);

}  // namespace

Duration RetransmitPolicy::wait_after(unsigned sends_before) const {
  return Duration(static_cast<Duration::rep>(static_cast<double>(first.count()) * std::pow(factor, sends_before)));
}

Duration RetransmitPolicy::span() const {
  Duration total{};
  for (unsigned n = 0; n < tries; ++n) total += wait_after(n);
  return total;
}

bool ExchangeWindow::may_send(std::size_t planned) const {
  if (outstanding_.empty()) return planned < send_window_;
  // RFC 7296 2.3: the window begins with the oldest request that has no answer.
  const std::size_t reach = next_id_.value() - outstanding_.begin()->first.value();
  return reach + planned < send_window_;
}

void ExchangeWindow::schedule(Outstanding& request, Instant now, RandomSource& random) const {
  // RFC 7296 2.4: the waits grow exponentially. Up to a tenth more, by chance, keeps many peers from sending in step.
  const Duration wait = request.policy.wait_after(request.sends - 1);
  const auto spread = static_cast<std::uint64_t>(std::max<Duration::rep>(wait.count() / 10, 1));
  request.next = now + wait + Duration(static_cast<Duration::rep>(random.below(spread)));
}

void ExchangeWindow::sent(Outgoing request, const RetransmitPolicy& policy, Instant now, RandomSource& random) {
  Outstanding entry{.request = std::move(request), .policy = policy, .sends = 1, .next = {}};
  schedule(entry, now, random);
  outstanding_.try_emplace(next_id_, std::move(entry));
  next_id_ = model::MessageId(next_id_.value() + 1);
}

void ExchangeWindow::replaced(model::MessageId id, Outgoing request, Instant now, RandomSource& random) {
  const auto found = outstanding_.find(id);
  CHECK(found != outstanding_.end());
  found->second.request = std::move(request);
  restart(id, now, random);
}

void ExchangeWindow::restart(model::MessageId id, Instant now, RandomSource& random) {
  Outstanding& request = outstanding_.at(id);
  request.sends = 1;
  schedule(request, now, random);
}

std::vector<model::MessageId> ExchangeWindow::awaited() const {
  std::vector<model::MessageId> ids;
  for (const auto& [id, request] : outstanding_) ids.push_back(id);
  return ids;
}

Outgoing* ExchangeWindow::request(model::MessageId id) {
  const auto found = outstanding_.find(id);
  return found == outstanding_.end() ? nullptr : &found->second.request;
}

void ExchangeWindow::hasten(const RetransmitPolicy& policy, Instant now, RandomSource& random) {
  for (auto& [id, request] : outstanding_) {
    Duration left = request.next - now;
    for (unsigned n = request.sends; n < request.policy.tries; ++n) left += request.policy.wait_after(n);
    if (left <= policy.span()) continue;
    request.policy = policy;
    request.sends = 1;
    schedule(request, now, random);
  }
}

std::optional<Instant> ExchangeWindow::deadline() const {
  std::optional<Instant> first;
  for (const auto& [id, request] : outstanding_) first = earliest(first, request.next);
  return first;
}

ExchangeWindow::Due ExchangeWindow::handle_timeout(Instant now, RandomSource& random) {
  Due due;
  for (auto& [id, request] : outstanding_) {
    if (request.next > now) continue;
    if (request.sends >= request.policy.tries) {
      due.give_up = true;
      continue;
    }
    ++request.sends;
    schedule(request, now, random);
    due.resend.push_back(id);
  }
  return due;
}

void ExchangeWindow::skip_to(model::MessageId next) {
  next_id_ = std::max(next_id_, next);
  outstanding_.clear();
}

model::MessageId ExchangeWindow::beyond_received() const {
  if (responses_.empty()) return expected_id_;
  return std::max(expected_id_, model::MessageId(responses_.rbegin()->first.value() + 1));
}

void ExchangeWindow::expect(model::MessageId next) {
  expected_id_ = std::max(expected_id_, next);
  responses_.clear();
}

ExchangeWindow::Verdict ExchangeWindow::classify(model::MessageId id) const {
  if (const auto found = responses_.find(id); found != responses_.end()) {
    return found->second.response ? Verdict::repeated : Verdict::busy;
  }
  if (id < expected_id_) return Verdict::old;
  // RFC 7296 2.3: the window begins with the first request that has no answer yet, also where we are still at it.
  const auto unanswered = std::ranges::find_if(responses_, [](const auto& entry) { return !entry.second.response; });
  const model::MessageId first =
      unanswered == responses_.end() ? expected_id_ : std::min(unanswered->first, expected_id_);
  return id.value() - first.value() < receive_window_ ? Verdict::fresh : Verdict::ahead;
}

void ExchangeWindow::accept(model::MessageId id) {
  CHECK(classify(id) == Verdict::fresh);
  responses_.try_emplace(id);
  while (responses_.contains(expected_id_)) expected_id_ = model::MessageId(expected_id_.value() + 1);
  // RFC 7296 2.1: a response is kept until a request comes whose number is at least its own plus the window size.
  erase_if(responses_, [&](const auto& entry) {
    return id.value() >= receive_window_ && entry.first.value() <= id.value() - receive_window_;
  });
}

void ExchangeWindow::forget_answers(Instant now) {
  if (!answered_at_ || now - *answered_at_ < kAnswersKept) return;
  // Those within the window also say which numbers were there.
  erase_if(responses_, [&](const auto& entry) { return entry.first < expected_id_ && entry.second.response; });
  answered_at_.reset();
}

void ExchangeWindow::respond(model::MessageId id, Outgoing response, std::optional<Instant> now) {
  answered_at_ = now;
  const auto found = responses_.find(id);
  if (found != responses_.end()) found->second.response = std::move(response);
}

Outgoing* ExchangeWindow::response(model::MessageId id) {
  const auto found = responses_.find(id);
  if (found == responses_.end()) return nullptr;
  auto& response = found->second.response;
  return response ? &*response : nullptr;
}

}  // namespace culvert::ike::v2
