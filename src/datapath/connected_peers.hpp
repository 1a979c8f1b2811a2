// ConnectedPeers: for the peers that a worker sends most to by UDP, a socket each that is connected to the peer. The
// kernel keeps the route of such a socket; for any other it looks the route up anew for each message, both ways.
//
// Such a socket also gets all that comes from that peer's address and port, so it is received from, too. That makes it
// a thing for one worker alone: of several, each gets what io::steer_group says.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "datapath/outer_sockets.hpp"
#include "net/address.hpp"

namespace culvert::datapath {

class ConnectedPeers {
 public:
  static constexpr std::size_t kMost = 4;

  /// Of `sockets` with SocketOptions::connect_after; `alone`: there is no other worker.
  ConnectedPeers(const OuterSockets& sockets, bool alone)
      : sockets_(sockets), connect_after_(alone ? sockets.connect_after() : 0) {}

  /// The socket for ESP in UDP on this path, or null: then it goes by the common one. Counts the use.
  [[nodiscard]] const io::DatagramSocket* for_esp(const net::Path& path, bool dont_fragment) {
    if (connect_after_ == 0) return nullptr;
    ++uses_;
    for (Peer& peer : std::span(peers_).first(count_)) {
      if (peer.path == path && peer.dont_fragment == dont_fragment && peer.entry) {
        peer.last_use = uses_;
        return &peer.entry->socket;
      }
    }
    note(path, dont_fragment);
    return nullptr;
  }

  /// Whom `for_esp` has found to be busy. Connects to it and answers the number of its socket. From then on the peer's
  /// packets come there: what waits in the common one is older. When all places are taken, `leaves` is called with
  /// the number of the socket that is about to be closed, to receive what waits in it.
  template <typename Leaves>
  [[nodiscard]] std::optional<std::size_t> connect(Leaves leaves) {
    if (!busy_) return {};
    const auto place = free_place();
    if (place && peers_[*place].entry) leaves(*place);
    return connect_at(place);
  }

  /// Closes it: its peer goes by the common socket again.
  void forget(std::size_t number);
  /// Packets that the kernel dropped in front of these sockets: their buffers were full. Those of closed ones count on.
  [[nodiscard]] std::uint64_t receive_drops() const;
  /// Of a socket that stands.
  [[nodiscard]] const OuterSockets::Entry& entry(std::size_t number) const { return *peers_[number].entry; }

 private:
  /// A peer that has not been sent to for so many messages of others may lose its socket.
  static constexpr std::uint64_t kIdle = 16384;
  struct Peer {
    net::Path path;
    bool dont_fragment = false;
    std::optional<OuterSockets::Entry> entry;
    std::uint64_t last_use = 0;
  };
  void note(const net::Path& path, bool dont_fragment);
  [[nodiscard]] std::optional<std::size_t> free_place() const;
  [[nodiscard]] std::optional<std::size_t> connect_at(std::optional<std::size_t> place);

  const OuterSockets& sockets_;
  std::uint32_t connect_after_;
  std::array<Peer, kMost> peers_;
  std::size_t count_ = 0;
  std::uint64_t uses_ = 0;
  // Of the paths without a socket the one that has the majority of messages, if one has, and its lead.
  net::Path candidate_;
  bool candidate_dont_fragment_ = false;
  std::uint32_t lead_ = 0;
  std::uint64_t closed_drops_ = 0;
  bool busy_ = false;
};

}  // namespace culvert::datapath
