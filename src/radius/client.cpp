#include "radius/client.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"

namespace culvert::radius {
namespace {

constexpr Duration kComplaintInterval = std::chrono::seconds(10);

template <typename T>
std::optional<T> take_front(std::deque<T>& queue) {
  if (queue.empty()) return std::nullopt;
  std::optional<T> front(std::move(queue.front()));
  queue.pop_front();
  return front;
}

bool answers(Code request, Code answer) {
  if (request == Code::accounting_request) return answer == Code::accounting_response;
  return answer == Code::access_accept || answer == Code::access_reject || answer == Code::access_challenge;
}

}  // namespace

Client::Client(ClientSettings settings, RandomSource& random)
    : settings_(std::move(settings)),
      random_(random),
      resting_until_(settings_.servers.size()),
      complained_at_(settings_.servers.size()) {
  CHECK(!settings_.servers.empty());
  CHECK(settings_.tries > 0);
}

std::optional<ExchangeId> Client::begin(PacketBuilder request, std::optional<std::size_t> server, Instant now) {
  now_ = now;
  CHECK(request.size() <= kMostPacket);
  if (exchanges_.size() >= settings_.most_exchanges) return std::nullopt;
  const ExchangeId id(++last_id_);
  Exchange& exchange = exchanges_[id];
  exchange.request = std::move(request);
  exchange.bound = server.has_value();
  if (server) {
    exchange.servers = {*server};
  } else {
    // Those that were silent of late are asked last. Taken from the back.
    const auto rests = [&](std::size_t one) { return resting_until_[one] && *resting_until_[one] > now; };
    for (const bool resting : {true, false}) {
      for (std::size_t one = settings_.servers.size(); one-- > 0;) {
        if (rests(one) == resting) exchange.servers.push_back(one);
      }
    }
  }
  if (find_server(id, exchange)) ask_next(id, exchange, now);
  return id;
}

std::string Client::name_of(std::size_t server) const {
  const bool named = server < settings_.names.size() && !settings_.names[server].empty();
  return named ? settings_.names[server] : settings_.servers[server].to_string();
}

bool Client::find_server(ExchangeId id, Exchange& exchange) {
  while (!exchange.servers.empty() && settings_.servers[exchange.servers.back()].address.is_unspecified()) {
    const std::size_t server = exchange.servers.back();
    exchange.servers.pop_back();
    exchange.asked += fmt::format("{}{}, which has no address", exchange.asked.empty() ? "" : ", ", name_of(server));
    missing_.insert(server);
  }
  if (!exchange.servers.empty()) return true;
  give_up(id, exchange);
  return false;
}

void Client::set_endpoint(std::size_t server, const net::Endpoint& endpoint) {
  settings_.servers[server] = endpoint;
  resting_until_[server].reset();
}

void Client::ask_next(ExchangeId id, Exchange& exchange, Instant now) {
  const std::size_t server = exchange.servers.back();
  exchange.servers.pop_back();
  take_identifier(id, exchange, server);
  // RFC 2865 3: another server, another identifier, and for Access-Requests another authenticator.
  if (exchange.request.code() == Code::access_request) {
    Authenticator random;
    random_.fill(random);
    exchange.octets = exchange.request.with_random(exchange.identifier, random, settings_.secret.view());
  } else {
    exchange.octets = exchange.request.with_proof(exchange.identifier, settings_.secret.view());
  }
  exchange.authenticator = authenticator_of(exchange.octets);
  exchange.tries = 1;
  transmits_.push_back({exchange.line, exchange.octets});
  timers_.set(id, now + settings_.timeout);
}

void Client::take_identifier(ExchangeId id, Exchange& exchange, std::size_t server) {
  for (Line line{server, 0};; ++line.number) {
    const bool is_new = !lines_.contains(line);
    LineState& state = lines_[line];
    if (is_new) state.next = static_cast<std::uint8_t>(random_.u32());
    if (state.used == state.by_identifier.size()) continue;
    // By turns, so that a late answer seldom meets another request.
    while (state.by_identifier[state.next] != ExchangeId()) ++state.next;
    exchange.line = line;
    exchange.identifier = state.next++;
    state.by_identifier[exchange.identifier] = id;
    ++state.used;
    return;
  }
}

void Client::free_identifier(const Exchange& exchange) {
  LineState& state = lines_.at(exchange.line);
  state.by_identifier[exchange.identifier] = ExchangeId();
  --state.used;
}

void Client::cancel(ExchangeId id) {
  if (exchanges_.contains(id)) finish(id);
}

void Client::finish(ExchangeId id) {
  // Of who was never sent anything there is none.
  if (const Exchange& exchange = exchanges_.at(id); exchange.tries > 0) free_identifier(exchange);
  timers_.set(id, std::nullopt);
  exchanges_.erase(id);
}

// ---------------------------------------------------------------- answers

void Client::handle_datagram(const Line& line, ByteView octets) {
  const auto state = lines_.find(line);
  // Without an identifier, or with one that nobody waits for: an answer that comes twice, or too late.
  if (state == lines_.end() || octets.size() < 2) return;
  const ExchangeId id = state->second.by_identifier[octets[1]];
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end()) return;
  Exchange& exchange = found->second;
  Answer answer{
      .octets = to_bytes(octets), .packet = {}, .request = exchange.authenticator, .server = exchange.line.server};
  auto packet = parse(answer.octets);
  if (!packet) return complain(exchange, packet.error());
  if (const auto fault = fault_of(exchange, *packet)) return complain(exchange, *fault);
  answer.packet = std::move(*packet);
  resting_until_[line.server].reset();
  outcomes_.push_back({id, std::move(answer)});
  finish(id);
}

std::optional<std::string_view> Client::fault_of(const Exchange& exchange, const Packet& packet) const {
  const ByteView secret = settings_.secret.view();
  if (!answers(exchange.request.code(), packet.code)) return "its code is that of no answer to the request";
  if (!is_answer_to(packet, exchange.authenticator, secret))
    return "its authenticator is wrong: another secret than ours, or a forgery";
  const MessageProof proof = message_proof(packet, exchange.authenticator, secret);
  if (proof == MessageProof::wrong) return "its Message-Authenticator is wrong";
  // RFC 3579 3.2 demands it of what has EAP in it. Of all answers about authentication, because without it MD5 alone
  // stands between an Access-Reject and an Access-Accept (CVE-2024-3596).
  if (proof == MessageProof::absent && exchange.request.code() == Code::access_request)
    return "it has no Message-Authenticator";
  return std::nullopt;
}

void Client::complain(Exchange& exchange, std::string_view fault) {
  ++disbelieved_;
  exchange.last_fault = fault;
  OptionalInstant& before = complained_at_[exchange.line.server];
  if (before && now_ - *before < kComplaintInterval) return;
  before = now_;
  complaints_.push_back(
      fmt::format("an answer of the RADIUS server {} is not believed: {}", name_of(exchange.line.server), fault));
}

// ---------------------------------------------------------------- silence

void Client::handle_timeout(Instant now) {
  now_ = now;
  while (const auto id = timers_.due(now)) {
    Exchange& exchange = exchanges_.at(*id);
    if (exchange.tries < settings_.tries) {
      ++exchange.tries;
      transmits_.push_back({exchange.line, exchange.octets});
      timers_.set(*id, now + settings_.timeout);
      continue;
    }
    const std::size_t server = exchange.line.server;
    resting_until_[server] = now + settings_.rest;
    missing_.insert(server);
    exchange.asked += (exchange.asked.empty() ? "" : ", ") + name_of(server);
    if (find_server(*id, exchange)) {
      free_identifier(exchange);
      ask_next(*id, exchange, now);
    }
  }
}

void Client::give_up(ExchangeId id, Exchange& exchange) {
  std::string text = fmt::format("no RADIUS server answers ({}; {} tries each)", exchange.asked, settings_.tries);
  if (!exchange.last_fault.empty())
    text += fmt::format("; an answer came and is not believed: {}", exchange.last_fault);
  outcomes_.push_back({id, err(std::move(text))});
  finish(id);
}

// ---------------------------------------------------------------- outputs

std::optional<Client::Transmit> Client::poll_transmit() { return take_front(transmits_); }
std::optional<Client::Outcome> Client::poll_outcome() { return take_front(outcomes_); }
std::optional<std::size_t> Client::poll_missing() {
  if (missing_.empty()) return std::nullopt;
  return missing_.extract(missing_.begin()).value();
}
std::optional<std::string> Client::poll_complaint() { return take_front(complaints_); }

}  // namespace culvert::radius
