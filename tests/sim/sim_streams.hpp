// SimStreams: the TCP connections of the two hosts in virtual time (RFC 9329), with what datapath::TcpStreams makes of
// them: streams that their opener names, opens again when they are lost, and closes when no IKE SA is on them.
//
// What is lost of TCP comes later, in order, and holds up what is behind it; what cannot pass for long breaks the
// connection. A middlebox can reset all connections, or let nothing of TCP pass.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/random.hpp"
#include "control/outputs.hpp"
#include "tests/sim/sim_network.hpp"

namespace culvert::sim {

class SimStreams {
 public:
  /// Takes news of a host's own streams.
  using NewsTaker = std::function<void(control::StreamNews)>;

  SimStreams(EventQueue& queue, NetworkObserver& observer, SimNetwork& network, std::uint64_t seed)
      : queue_(queue), observer_(observer), network_(network), random_(seed) {}

  void attach(Side side, NewsTaker taker) { takers_[index_of(side)] = std::move(taker); }
  /// A new stream to `remote`, from now on; its name.
  [[nodiscard]] net::Path open(Side caller, const net::IpAddress& local, const net::Endpoint& remote);
  void hold(Side side, const net::Path& path, bool held);
  /// A message, or an ESP packet, for the stream between the packet's ends.
  void send(Side from, Packet packet);
  /// The host is gone with its sockets, and nobody is told.
  void forget(Side side);

  /// A middlebox ends all connections, in the sight of both ends.
  void reset_all();
  /// While blocked, nothing of TCP passes.
  void set_blocked(bool blocked) { blocked_ = blocked; }
  /// Connections that came about, the ones behind a lost one included.
  [[nodiscard]] unsigned connections() const { return made_; }
  /// Streams that hosts have opened and not given up.
  [[nodiscard]] std::size_t open_streams() const { return streams_.size(); }

 private:
  struct Stream;
  /// One end of a connection: what it sends, and whether its host has it still.
  struct End {
    net::Path path;  // as the host sees it; for the caller the stream's name
    bool there = false;
    bool pumping = false;
    std::deque<Packet> unsent;
    std::optional<Instant> stuck_since;
    unsigned tries = 0;
    Instant last_arrival;
  };
  struct Connection {
    Side caller = Side::alice;
    std::weak_ptr<Stream> stream;
    std::uint64_t mapping = 0;  // of the caller's NAT, by which it goes
    std::array<End, 2> ends;
    [[nodiscard]] End& end(Side side) { return ends[index_of(side)]; }
  };
  using ConnectionPtr = std::shared_ptr<Connection>;
  struct Stream {
    Side caller = Side::alice;
    net::Path name;
    bool held = false;
    bool was_open = false;
    unsigned failures = 0;
    std::uint64_t closing = 0;  // number of the plan to close it
    ConnectionPtr connection;
    std::deque<Packet> early;  // IKE messages that wait for it to open
  };
  using StreamPtr = std::shared_ptr<Stream>;

  void connect(const StreamPtr& stream, unsigned tries);
  void answer(const StreamPtr& stream);
  void opened(const StreamPtr& stream, const ConnectionPtr& connection);
  void failed(const StreamPtr& stream);
  void pump(const ConnectionPtr& connection, Side from);
  void arrive(const ConnectionPtr& connection, Side from, Packet packet);
  /// The host sees that the connection is at its end.
  void lost(const ConnectionPtr& connection, Side at);
  void lost_later(const ConnectionPtr& connection, Side at);
  void plan_close(const StreamPtr& stream, Duration after);
  void plan_close(const ConnectionPtr& connection, Duration after);
  [[nodiscard]] bool passes(const Connection& connection, Side from) const;
  [[nodiscard]] bool wanted(const StreamPtr& stream) const;
  [[nodiscard]] ConnectionPtr find(Side side, const net::Path& path) const;
  void drop(Side from, const Packet& packet) { observer_.dropped(from, packet, DropCause::loss); }
  void tell(const StreamPtr& stream, control::StreamNews::Kind kind, std::string text = {});

  EventQueue& queue_;
  NetworkObserver& observer_;
  SimNetwork& network_;
  SeededRandom random_;
  std::array<NewsTaker, 2> takers_;
  std::map<std::pair<Side, net::Path>, StreamPtr> streams_;
  std::map<std::pair<Side, net::Path>, ConnectionPtr> ends_;  // by who has it, and how he sees it
  std::map<std::pair<Side, net::Path>, std::uint64_t> held_;  // accepted ones, with the number of the last change
  std::uint16_t next_port_ = 40000;
  std::uint64_t plans_ = 0;
  unsigned made_ = 0;
  bool blocked_ = false;
};

}  // namespace culvert::sim
