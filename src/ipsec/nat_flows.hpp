// NatFlows: several hosts behind one NAT in transport mode (RFC 3948 5.2, appendix A). Their packets all come from the
// NAT's address, so selectors do not tell which of them an answer is for: that is told by the flow, which is the one's
// from whose SA it came first. A second host that uses the very same addresses and ports gets another port here, and
// its own again on the way out (a built-in NAPT above IPsec, Tr2); where no other port would be protected by the same
// rule, its packets are refused.
//
// Asked only about SAs in transport mode whose peer was found behind a NAT, and where the flow cache knows nothing.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/event_queue.hpp"
#include "ipsec/flow_cache.hpp"
#include "ipsec/packet_io.hpp"
#include "model/child_sa.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

class SaPair;
class Sad;
class Spd;

/// The ends of a flow, `remote` being the NAT's. Of ICMP's echo the identifier stands for the remote port; 0 where a
/// protocol has no ports.
struct FlowEnds {
  net::IpAddress local;
  net::IpAddress remote;
  std::uint8_t protocol = 0;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  friend bool operator==(const FlowEnds&, const FlowEnds&) = default;
};

class NatFlows;

/// One host behind a NAT: all of its SAs have the same, rekeyed ones too. Its flows end with the last of them.
class NatPeer {
 public:
  struct Flow {
    FlowEnds seen;  // on this host
    NatPeer* peer = nullptr;
    std::uint16_t own_port = 0;  // the peer's word for seen.remote_port
    [[nodiscard]] bool translated() const { return own_port != seen.remote_port; }
  };

  /// What it is told by when it sets up a further SA.
  struct Place {
    model::ConnectionId connection;
    net::Endpoint at;
    net::IpAddress behind;  // its address on the other side of the NAT
    friend auto operator<=>(const Place&, const Place&) = default;
  };

  NatPeer(NatFlows& all, const Place& where);
  ~NatPeer();
  NatPeer(const NatPeer&) = delete;
  NatPeer& operator=(const NatPeer&) = delete;

  [[nodiscard]] model::ConnectionId connection() const { return place_.connection; }

 private:
  friend class NatFlows;
  struct Hash {
    explicit Hash(RandomSource& random);
    std::size_t operator()(const FlowEnds& ends) const;
    std::array<std::uint64_t, 5> multipliers;
  };
  Place place_;
  NatFlows& all_;
  std::list<Flow> flows_;  // the one used last in front
  std::unordered_map<FlowEnds, std::list<Flow>::iterator, Hash> by_own_ends_;
  std::size_t translated_ = 0;
};

/// The peer that the pair's packets come from; null unless it is behind a NAT, in transport mode.
[[nodiscard]] NatPeer* nat_peer_of(const SaPair& pair);

/// Which pairs may be found.
struct NatPeerFilter {
  const NatPeer* only = nullptr;    // with it: none but its own
  const NatPeer* except = nullptr;  // with it: any but its own
  bool direct = false;              // with it: those of no NatPeer
  [[nodiscard]] bool admits(const SaPair& pair) const;
};

struct NatFlowBounds {
  std::size_t per_peer = 4096;
  std::size_t all = 262'144;
};

class NatFlows {
 public:
  /// `random` seeds tables and chooses ports.
  NatFlows(EventQueue& events, RandomSource& random, const NatFlowBounds& bounds = {});

  /// A pair that has just been installed; `params` are what it was made of.
  void attach(SaPair& pair, const model::ChildSaParams& params, const Sad& sad);
  /// The pair has another path: the NAT has another mapping.
  void moved(const SaPair& pair);
  /// No peer is behind a NAT: there is nothing to ask.
  [[nodiscard]] bool empty() const { return peers_.empty(); }

  /// A packet that came out of an SA of this peer, and that its selectors admit: gets another source port where another
  /// peer has the flow; an ICMP error, where it quotes what we sent to the peer, the address and the port that we have
  /// for it. Or why it goes no further.
  [[nodiscard]] std::optional<DropReason> take_in(NatPeer& peer, const SaPair& pair, const Spd& spd,
                                                  MutableByteView packet, net::PacketInfo& info, Instant now);

  /// Whose flow it is that a packet goes out on; null: nobody's so far. `packet` may be empty where only `info` is
  /// known.
  [[nodiscard]] const NatPeer::Flow* find(ByteView packet, const net::PacketInfo& info) const;
  /// The packet is the first of a flow, and goes to this peer.
  void begin(NatPeer& peer, ByteView packet, const net::PacketInfo& info);
  /// Puts the peer's own port into a packet on its way to it; into what an ICMP error quotes its own address as well.
  /// Or why it goes no further.
  [[nodiscard]] std::optional<DropReason> give_back(const NatPeer& peer, const InnerPacket& packet,
                                                    net::PacketInfo& info) const;
  /// The reverse, for a packet that does not go to the peer after all, and that an error to our own stack is about.
  void undo(const NatPeer& peer, MutableByteView packet, const net::PacketInfo& info) const;

  /// Flows that had to make room since the last call: whatever was decided about them holds no more.
  [[nodiscard]] std::vector<FlowEnds> take_forgotten() { return std::exchange(forgotten_, {}); }

 private:
  friend class NatPeer;
  [[nodiscard]] std::optional<DropReason> take_in_error(const NatPeer& peer, MutableByteView packet,
                                                        const net::PacketInfo& info) const;
  [[nodiscard]] std::optional<DropReason> give_back_error(const NatPeer& peer, const InnerPacket& packet,
                                                          const net::PacketInfo& info) const;
  NatPeer::Flow* claim(NatPeer& peer, const FlowEnds& seen, std::uint16_t own_port);
  [[nodiscard]] bool make_room(NatPeer& peer);
  [[nodiscard]] std::optional<std::uint16_t> free_port(const NatPeer& peer, const Spd& spd,
                                                       const net::PacketInfo& packet, FlowEnds ends);
  void tell(const SaPair& pair, const net::PacketInfo& packet, std::optional<std::uint16_t> port, Instant now);

  EventQueue& events_;
  RandomSource& random_;
  NatFlowBounds bounds_;
  NatPeer::Hash hash_;
  std::map<NatPeer::Place, std::weak_ptr<NatPeer>> peers_;
  std::unordered_map<FlowEnds, NatPeer::Flow*, NatPeer::Hash> by_seen_ends_;
  std::vector<FlowEnds> forgotten_;
  RateLimit news_{1};
};

}  // namespace culvert::ipsec
