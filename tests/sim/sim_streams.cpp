#include "tests/sim/sim_streams.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// As io/tcp_socket and datapath/tcp_streams have them.
constexpr Duration kUserTimeout = seconds(15);
constexpr Duration kFirstReopening = milliseconds(50);
constexpr Duration kLongestReopening = seconds(5);
constexpr Duration kUnheldTimeOfCaller = seconds(60);
constexpr Duration kUnheldTime = seconds(30);
constexpr Duration kFarewell = seconds(5);
constexpr std::size_t kMostEarly = 8;
// TCP's own patience.
constexpr Duration kFirstRetransmission = milliseconds(200);
constexpr Duration kFirstSyn = seconds(1);

Duration doubled(Duration first, unsigned times) { return first * (1U << std::min(times, 5U)); }

net::Endpoint over_tcp(const net::IpAddress& address, std::uint16_t port) {
  return {address, port, net::Transport::tcp};
}

}  // namespace

// ---------------------------------------------------------------- opening

net::Path SimStreams::open(Side caller, const net::IpAddress& local, const net::Endpoint& remote) {
  auto stream = std::make_shared<Stream>();
  stream->caller = caller;
  stream->name = {over_tcp(local, next_port_++), over_tcp(remote.address, remote.port)};
  streams_[{caller, stream->name}] = stream;
  plan_close(stream, kUnheldTimeOfCaller);
  connect(stream, 0);
  return stream->name;
}

bool SimStreams::wanted(const StreamPtr& stream) const {
  const auto found = streams_.find({stream->caller, stream->name});
  return found != streams_.end() && found->second == stream;
}

// A SYN and what answers it: over a bad network again and again, until the patience ends.
void SimStreams::connect(const StreamPtr& stream, unsigned tries) {
  const Side caller = stream->caller;
  const net::Path& name = stream->name;
  const bool there = !blocked_ && network_.passes(caller, name.local.address, name.remote.address);
  if (!there) {
    const Duration wait = doubled(kFirstSyn, tries);
    queue_.after(wait, [this, stream, tries, over = wait >= seconds(8)] {
      if (!wanted(stream)) return;
      over ? failed(stream) : connect(stream, tries + 1);
    });
    return;
  }
  queue_.after(network_.stream_delay(caller, random_), [this, stream] { answer(stream); });
}

void SimStreams::answer(const StreamPtr& stream) {
  if (!wanted(stream)) return;
  const Side caller = stream->caller;
  const Side called = other(caller);
  const auto back = network_.stream_delay(called, random_);
  if (!network_.is_up(called)) {
    queue_.after(back, [this, stream] {
      if (wanted(stream)) failed(stream);
    });
    return;
  }
  auto connection = std::make_shared<Connection>();
  connection->caller = caller;
  connection->stream = stream;
  connection->mapping = network_.mapping(caller);
  connection->end(caller).path = stream->name;
  // The first one has the port that the stream is named by, unless a NAT changes it.
  const bool plain = !stream->was_open && connection->mapping == 0;
  connection->end(called).path = {over_tcp(stream->name.remote.address, stream->name.remote.port),
                                  plain ? stream->name.local : over_tcp(network_.public_address(caller), next_port_++)};
  connection->end(called).there = true;
  ends_[{called, connection->end(called).path}] = connection;
  plan_close(connection, kUnheldTime);
  queue_.after(back, [this, stream, connection] {
    if (!wanted(stream) || !connection->end(other(stream->caller)).there)
      return lost_later(connection, other(stream->caller));
    opened(stream, connection);
  });
}

void SimStreams::opened(const StreamPtr& stream, const ConnectionPtr& connection) {
  ++made_;
  End& end = connection->end(stream->caller);
  end.there = true;
  stream->connection = connection;
  stream->failures = 0;
  end.unsent = std::exchange(stream->early, {});
  pump(connection, stream->caller);
  if (std::exchange(stream->was_open, true)) tell(stream, control::StreamNews::Kind::opened_again);
}

void SimStreams::failed(const StreamPtr& stream) {
  if (stream->failures++ == 0) tell(stream, control::StreamNews::Kind::failed, "it did not come about");
  Duration delay = kFirstReopening;
  for (unsigned i = 0; i < stream->failures && delay < kLongestReopening; ++i) delay *= 3;
  queue_.after(std::min(delay, kLongestReopening), [this, stream] {
    if (wanted(stream)) connect(stream, 0);
  });
}

void SimStreams::tell(const StreamPtr& stream, control::StreamNews::Kind kind, std::string text) {
  if (network_.is_up(stream->caller)) takers_[index_of(stream->caller)]({stream->name, kind, std::move(text)});
}

// ---------------------------------------------------------------- what goes over them

SimStreams::ConnectionPtr SimStreams::find(Side side, const net::Path& path) const {
  if (const auto own = streams_.find({side, path}); own != streams_.end()) return own->second->connection;
  const auto end = ends_.find({side, path});
  return end == ends_.end() ? nullptr : end->second;
}

void SimStreams::send(Side from, Packet packet) {
  observer_.sent(from, packet);
  const net::Path path{packet.source, packet.destination};
  const ConnectionPtr connection = find(from, path);
  if (connection != nullptr) {
    connection->end(from).unsent.push_back(std::move(packet));
    return pump(connection, from);
  }
  // RFC 9329 6.1: what is under way when the connection breaks is lost; messages of IKE wait for the next.
  const auto own = streams_.find({from, path});
  const bool waits = own != streams_.end() && wire_view(packet, packet.source.port).kind == WireKind::ike;
  if (!waits) return drop(from, packet);
  auto& early = own->second->early;
  const auto same = [&](const Packet& one) { return one.bytes == packet.bytes; };
  if (std::ranges::any_of(early, same)) return;
  if (early.size() >= kMostEarly) early.pop_front();
  early.push_back(std::move(packet));
}

bool SimStreams::passes(const Connection& connection, Side from) const {
  const net::Path& path = connection.ends[index_of(connection.caller)].path;
  const bool caller = from == connection.caller;
  return !blocked_ && network_.mapping(connection.caller) == connection.mapping &&
         network_.passes(from, caller ? path.local.address : path.remote.address,
                         caller ? path.remote.address : path.local.address);
}

// One after the other; the first that does not pass holds up all behind it.
void SimStreams::pump(const ConnectionPtr& connection, Side from) {
  End& end = connection->end(from);
  if (end.pumping || !end.there) return;
  while (!end.unsent.empty()) {
    if (!passes(*connection, from)) {
      if (!end.stuck_since) end.stuck_since = queue_.now();
      if (queue_.now() - *end.stuck_since >= kUserTimeout) return lost(connection, from);
      end.pumping = true;
      queue_.after(doubled(kFirstRetransmission, end.tries++), [this, connection, from] {
        connection->end(from).pumping = false;
        pump(connection, from);
      });
      return;
    }
    end.stuck_since.reset();
    end.tries = 0;
    Packet packet = std::move(end.unsent.front());
    end.unsent.pop_front();
    end.last_arrival = std::max(end.last_arrival, queue_.now() + network_.stream_delay(from, random_));
    queue_.at(end.last_arrival,
              [this, connection, from, packet = std::move(packet)] { arrive(connection, from, packet); });
  }
}

void SimStreams::arrive(const ConnectionPtr& connection, Side from, Packet packet) {
  const Side to = other(from);
  End& end = connection->end(to);
  if (!network_.is_up(to)) return drop(from, packet);
  if (!end.there) {
    drop(from, packet);
    return lost_later(connection, to);
  }
  packet.destination = end.path.local;
  packet.source = end.path.remote;
  network_.hand_over(to, std::move(packet));
}

// ---------------------------------------------------------------- their end

void SimStreams::lost(const ConnectionPtr& connection, Side at) {
  End& end = connection->end(at);
  if (!std::exchange(end.there, false)) return;
  for (const Packet& packet : std::exchange(end.unsent, {})) drop(at, packet);
  if (at != connection->caller) {
    const std::pair key(at, end.path);
    if (const auto found = ends_.find(key); found != ends_.end() && found->second == connection) ends_.erase(found);
    held_.erase(key);
    return;
  }
  const StreamPtr stream = connection->stream.lock();
  if (stream == nullptr || stream->connection != connection) return;
  stream->connection.reset();
  queue_.after(kFirstReopening, [this, stream] {
    if (wanted(stream)) connect(stream, 0);
  });
}

// RST or FIN on the way from this end to the other.
void SimStreams::lost_later(const ConnectionPtr& connection, Side from) {
  if (!passes(*connection, from)) return;
  queue_.after(network_.stream_delay(from, random_), [this, connection, from] { lost(connection, other(from)); });
}

void SimStreams::hold(Side side, const net::Path& path, bool held) {
  if (const auto own = streams_.find({side, path}); own != streams_.end()) {
    own->second->held = held;
    own->second->closing = ++plans_;
    if (!held) plan_close(own->second, kFarewell);
    return;
  }
  const auto found = ends_.find({side, path});
  if (found == ends_.end()) return;
  held_[{side, path}] = ++plans_;
  if (!held) plan_close(found->second, kFarewell);
}

void SimStreams::plan_close(const StreamPtr& stream, Duration after) {
  queue_.after(after, [this, stream, plan = stream->closing = ++plans_] {
    if (!wanted(stream) || stream->closing != plan) return;
    const ConnectionPtr connection = stream->connection;
    streams_.erase({stream->caller, stream->name});
    if (connection == nullptr) return;
    lost(connection, stream->caller);
    lost_later(connection, stream->caller);
  });
}

void SimStreams::plan_close(const ConnectionPtr& connection, Duration after) {
  const Side side = other(connection->caller);
  const std::pair key(side, connection->end(side).path);
  queue_.after(after, [this, connection, side, key, plan = held_[key] = ++plans_] {
    const auto found = held_.find(key);
    if (found == held_.end() || found->second != plan) return;
    lost(connection, side);
    lost_later(connection, side);
  });
}

void SimStreams::forget(Side side) {
  const auto drop_unsent = [&](const ConnectionPtr& connection) {
    connection->end(side).there = false;
    for (const Packet& packet : std::exchange(connection->end(side).unsent, {})) drop(side, packet);
  };
  std::erase_if(streams_, [&](const auto& entry) {
    if (entry.first.first != side) return false;
    if (entry.second->connection) drop_unsent(entry.second->connection);
    return true;
  });
  std::erase_if(ends_, [&](const auto& entry) {
    if (entry.first.first == side) drop_unsent(entry.second);
    return entry.first.first == side;
  });
  std::erase_if(held_, [&](const auto& entry) { return entry.first.first == side; });
}

void SimStreams::reset_all() {
  std::vector<ConnectionPtr> all;
  for (const auto& [key, stream] : streams_) {
    if (stream->connection) all.push_back(stream->connection);
  }
  for (const auto& [key, connection] : ends_) all.push_back(connection);
  for (const ConnectionPtr& connection : all) {
    for (const Side side : {Side::alice, Side::bob}) lost(connection, side);
  }
}

}  // namespace culvert::sim
