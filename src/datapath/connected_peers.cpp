#include "datapath/connected_peers.hpp"

#include <algorithm>

namespace culvert::datapath {

// Boyer and Moore's majority vote: one peer among many small ones is found without a table of all.
void ConnectedPeers::note(const net::Path& path, bool dont_fragment) {
  if (path != candidate_ || dont_fragment != candidate_dont_fragment_) {
    if (lead_ != 0) {
      --lead_;
      return;
    }
    candidate_ = path;
    candidate_dont_fragment_ = dont_fragment;
  }
  if (++lead_ >= connect_after_) busy_ = true;
}

std::optional<std::size_t> ConnectedPeers::free_place() const {
  if (count_ < kMost) return count_;
  const auto oldest = std::ranges::min_element(peers_, {}, &Peer::last_use);
  if (uses_ - oldest->last_use < kIdle) return {};
  return static_cast<std::size_t>(oldest - peers_.begin());
}

void ConnectedPeers::forget(std::size_t number) {
  Peer& peer = peers_[number];
  if (peer.entry) closed_drops_ += peer.entry->socket.receive_drops();
  peer = {};
}

std::uint64_t ConnectedPeers::receive_drops() const {
  std::uint64_t drops = closed_drops_;
  for (const Peer& peer : peers_) drops += peer.entry ? peer.entry->socket.receive_drops() : 0;
  return drops;
}

std::optional<std::size_t> ConnectedPeers::connect_at(std::optional<std::size_t> place) {
  busy_ = false;
  lead_ = 0;
  if (!place) return {};
  Peer& peer = peers_[*place];
  forget(*place);
  auto socket = sockets_.connect_to(candidate_, candidate_dont_fragment_);
  // Without one it goes on by the common socket, as before; the next try comes after as many messages.
  if (!socket) return {};
  peer = {candidate_, candidate_dont_fragment_, OuterSockets::Entry{OuterSockets::Kind::nat, std::move(*socket)},
          uses_};
  count_ = std::max(count_, *place + 1);
  return place;
}

}  // namespace culvert::datapath
