// Client: requests to the servers of one kind, in their order, each repeated until an authentic answer comes or its
// patience is over (RFC 2865 2.4, RFC 5080 2.2.1). Many at once; none waits for another. Pure: datagrams and time come
// in, datagrams, outcomes and complaints go out.
//
// What does not prove itself (wrong authenticator, no Message-Authenticator, cut attributes) is dropped and the request
// goes on: whoever can send a datagram must not end a conversation by it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "base/timer_queue.hpp"
#include "net/address.hpp"
#include "radius/packet.hpp"

namespace culvert::radius {

using ExchangeId = StrongId<struct ExchangeIdTag, std::uint64_t>;

struct ClientSettings {
  /// At least one, in the order of preference. One with an unspecified address has none yet, and is passed over till
  /// set_endpoint.
  std::vector<net::Endpoint> servers;
  SecretBytes secret;                          // of all of them
  Duration timeout = std::chrono::seconds(2);  // of one try
  unsigned tries = 3;                          // of one server
  std::vector<std::string> names = {};         // of those that have one, at the same places; for what is said
  /// So long a server that was silent is asked last.
  Duration rest = std::chrono::seconds(60);
  std::size_t most_exchanges = 1024;
};

/// A socket of its own for each: connected to the server, with a port that the system chose. One carries 256 requests,
/// for so many identifiers there are (RFC 2865 5.44).
struct Line {
  std::size_t server = 0;
  std::uint32_t number = 0;
  friend auto operator<=>(const Line&, const Line&) = default;
};

class Client {
 public:
  /// `random` must outlive it.
  Client(ClientSettings settings, RandomSource& random);

  /// An Access-Request or Accounting-Request, that fits (PacketBuilder::size). With `server` to that one only.
  /// Nothing: too many are under way.
  [[nodiscard]] std::optional<ExchangeId> begin(PacketBuilder request, std::optional<std::size_t> server, Instant now);
  /// Its answer is wanted no more.
  void cancel(ExchangeId id);
  /// From the line's server: any octets.
  void handle_datagram(const Line& line, ByteView octets);
  void handle_timeout(Instant now);

  struct Transmit {
    Line line;
    Bytes octets;
  };
  struct Answer {
    Bytes octets;   // what `packet` looks into
    Packet packet;  // authentic
    Authenticator request{};
    std::size_t server = 0;
  };
  struct Outcome {
    ExchangeId id;
    Result<Answer, std::string> answer;  // or a sentence: who was asked, and why nobody was believed
  };
  [[nodiscard]] std::optional<Transmit> poll_transmit();
  [[nodiscard]] std::optional<Outcome> poll_outcome();
  /// A server that has just been silent for all its tries, or has no address: it may be elsewhere now.
  [[nodiscard]] std::optional<std::size_t> poll_missing();
  /// Where the server is from now on. What waits for it goes on there, and its lines are new ones.
  void set_endpoint(std::size_t server, const net::Endpoint& endpoint);
  /// A sentence about an answer that was not believed; of each server one in so many seconds at the most.
  [[nodiscard]] std::optional<std::string> poll_complaint();
  [[nodiscard]] std::optional<Instant> poll_timeout() const { return timers_.next(); }

  [[nodiscard]] const SecretBytes& secret() const { return settings_.secret; }
  [[nodiscard]] const net::Endpoint& endpoint(std::size_t server) const { return settings_.servers[server]; }
  [[nodiscard]] std::size_t under_way() const { return exchanges_.size(); }
  [[nodiscard]] std::uint64_t disbelieved() const { return disbelieved_; }

 private:
  struct Exchange {
    PacketBuilder request{Code::access_request};
    std::vector<std::size_t> servers;  // still to be asked, the last first
    bool bound = false;                // to one server
    Line line;
    std::uint8_t identifier = 0;
    Authenticator authenticator{};
    Bytes octets;
    unsigned tries = 0;
    std::string asked;       // those that were silent, for the sentence
    std::string last_fault;  // of an answer that was not believed
  };
  struct LineState {
    std::array<ExchangeId, 256> by_identifier{};  // 0: free
    unsigned used = 0;
    std::uint8_t next = 0;
  };

  void ask_next(ExchangeId id, Exchange& exchange, Instant now);
  /// To a server that has an address, of those that are left; false when there is none, and the exchange is over.
  [[nodiscard]] bool find_server(ExchangeId id, Exchange& exchange);
  [[nodiscard]] std::string name_of(std::size_t server) const;
  void give_up(ExchangeId id, Exchange& exchange);
  void take_identifier(ExchangeId id, Exchange& exchange, std::size_t server);
  void free_identifier(const Exchange& exchange);
  [[nodiscard]] std::optional<std::string_view> fault_of(const Exchange& exchange, const Packet& packet) const;
  void complain(Exchange& exchange, std::string_view fault);
  void finish(ExchangeId id);

  ClientSettings settings_;
  RandomSource& random_;
  std::uint64_t last_id_ = 0;
  Instant now_{};
  std::map<ExchangeId, Exchange> exchanges_;
  std::map<Line, LineState> lines_;
  std::vector<OptionalInstant> resting_until_;
  std::vector<OptionalInstant> complained_at_;
  TimerQueue<ExchangeId> timers_;
  std::deque<Transmit> transmits_;
  std::deque<Outcome> outcomes_;
  std::deque<std::string> complaints_;
  std::set<std::size_t> missing_;
  std::uint64_t disbelieved_ = 0;
};

}  // namespace culvert::radius
