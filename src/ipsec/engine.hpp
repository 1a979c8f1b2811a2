// Engine: the IPsec boundary of RFC 4301 in userspace, without any I/O. Inner packets in, ESP out, and the other way,
// in batches.
//
// One thread owns an engine and makes all calls; engines share nothing. Of several, each SA belongs to one: its numbers
// are handed out and its replay window moves in one place only, whoever the packet came to first. Time comes as an
// argument and never runs backwards. The outer IP header is the kernel's work (UDP and raw sockets): the engine makes
// and takes ESP packets and says what the outer header shall have, or makes the whole packet where the kernel's would
// not do (AH, transport mode). The kernel that forwarded a packet into TUN has decremented its TTL already (RFC
// 4301 5.1.2.1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/packet_cipher.hpp"
#include "ipsec/data_plane.hpp"
#include "ipsec/fragment_tracker.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/path_mtu.hpp"
#include "ipsec/reassembler.hpp"
#include "ipsec/spi_allocator.hpp"
#include "ipsec/super_packet.hpp"

namespace culvert::ipsec {

class EarlyPackets;
class PolicyTable;

struct EngineOptions {
  SpiLayout spi_layout;
  /// Which of several engines this is, each with a thread and a TUN queue of its own; see Engine::set_home.
  std::uint32_t worker = 0;
  /// Where packets wait that are here before their SA is; must outlive the engine. Null: they are dropped.
  EarlyPackets* early_packets = nullptr;
  crypto::Backend backend = crypto::Backend::automatic;
  /// Bounds of one WireTrain: the kernel's UDP_SEGMENT takes 64 segments (128 from Linux 6.9 on) and 65,507 octets.
  std::uint16_t max_train_segments = 64;
  std::size_t max_train_bytes = 65507;
  /// Join inbound TCP segments of one flow to super-packets for a TUN that takes them; see set_joining.
  bool coalesce = false;
  /// With it: UDP datagrams, too.
  bool coalesce_udp = false;
  /// Flows of each family that the flow cache has room for: 32 octets each (IPv6 64), taken as flows come. Twice the
  /// flows expected is enough, see FlowCache.
  std::size_t flow_cache_entries = 65536;
  /// How many SAs, each direction for itself, can have their expanded keys in memory; see cipher_pool.hpp.
  std::size_t expanded_keys = 16'384;
  /// Packets that wait for an SA (RFC 4301 5.1: Acquire): per rule, and for all rules together.
  std::size_t acquire_packets = 64;
  std::size_t acquire_bytes = std::size_t{512} * 1024;
  std::size_t acquire_total_bytes = std::size_t{8} * 1024 * 1024;
  Duration acquire_age = std::chrono::seconds(10);
  PathMtuOptions path_mtu;
  FragmentBounds fragments;     // RFC 4301 7.3: those whose first one shows where they belong
  ReassemblyBounds reassembly;  // RFC 4303 3.3.4: those that transport mode needs whole
};

/// The engine that has a connection's SAs.
struct SaHome {
  std::uint32_t worker = 0;
  /// RFC 9611: the others may have SAs of their own, and ask for them (Acquire::resource).
  bool per_resource = false;
  friend bool operator==(const SaHome&, const SaHome&) = default;
};

class Engine {
 public:
  using Options = EngineOptions;

  /// `random` makes CBC's IVs and the seeds of tables; it must outlive the engine.
  Engine(const Options& options, RandomSource& random);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Packets.

  /// Protects, bypasses or drops each packet (RFC 4301 5.1). Segments super-packets, completes partial checksums.
  /// Packets longer than their path are cut or refused with an ICMP error, fragments follow the first of theirs.
  /// Packets are sealed in order; the order within a flow is the order of the trains. Bytes of the packets are used up,
  /// with head- and tailroom.
  void outbound(std::span<const InnerPacket> packets, Instant now, OutboundSink& sink);

  /// Takes ESP apart (RFC 4301 5.2). Bad packets are dropped, counted by reason and never answered.
  void inbound(std::span<const WireInput> inputs, Instant now, InboundSink& sink);

  /// True once after an inbound packet showed the peer to be ready for a pair that was held (RFC 7296 2.8): from now on
  /// packets leave by it that went OutboundSink::elsewhere before.
  [[nodiscard]] bool take_hold_ended();

  /// Does what is due: drops waiting packets that got too old, ends lingering SAs, and sends packets whose SA has come;
  /// forgets fragments, lets path MTUs rise again (RFC 4301 8.2.2), sends dummy packets (RFC 4303 2.6).
  /// Call it at `next_deadline` and after any of the commands below.
  void handle_time(Instant now, OutboundSink& sink);
  /// Delivers packets that waited: those that were here before their SA (RFC 7296 2.8), and those of AGGFRAG SAs that
  /// have waited too long for earlier ones (RFC 9347 2.2.3). Call it at `next_deadline`, too.
  void release(Instant now, InboundSink& sink);
  /// When `handle_time` or `release` wants to be called; in the past when at once. May change with every call into the
  /// engine.
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  // Commands: what DataPlane asks for, on the engine's own thread.

  /// As DataPlane::install. The inbound SPI must come from a SpiAllocator with this engine's layout.
  [[nodiscard]] Result<void, DataPlaneError> install(model::ChildSaParams params, Instant now);
  void use_outbound(model::ChildSaId child);
  void remove(model::ChildSaId child, Duration linger, Instant now);
  /// `path_mtu` as ChildSaParams has it; nothing: that of the first path counts for this one too.
  void update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation,
                   std::optional<std::uint16_t> path_mtu = {});
  void grant_sequence(model::ChildSaId child, std::uint64_t granted);
  void skip_sequence(model::ChildSaId child, std::uint64_t count);
  void set_policies(std::vector<Policy> policies);
  /// As above, with a table that was made ready elsewhere: takes no longer for 100,000 rules than for one. Whoever
  /// shares it decides where it is taken apart.
  void set_policies(std::shared_ptr<const PolicyTable> table);
  /// Of several engines: where the connection's SAs are that are for packets of any. Packets of the connection for
  /// which there is no SA here go to OutboundSink::elsewhere. Nothing: there are none, so packets wait here.
  void set_home(model::ConnectionId connection, std::optional<SaHome> home);
  /// Where Options::coalesce is: how far TCP segments of a family are joined from now on. As long as nobody says, so
  /// that any of them may be forwarded.
  void set_joining(net::Family family, const TcpJoining& joining);

  /// An ICMP or ICMPv6 error that came back from the unprotected side for an outer packet of ours: not authenticated
  /// (RFC 4301 8.2). `mtu` is 0 unless it says that the packet was too long; `quoted` is what the error quotes of our
  /// packet, from ESP or AH on, so that it can be told from a guess. False when it is about no SA of this engine; it is
  /// counted then if no other engine is `left` to be asked.
  bool unprotected_error(const net::Path& path, model::Encapsulation encapsulation, std::uint16_t mtu, ByteView quoted,
                         Instant now, bool left = false);

  [[nodiscard]] std::optional<SaCounters> counters(model::ChildSaId child) const;
  /// The counters of every SA pair that stands, lingering ones included.
  [[nodiscard]] std::vector<std::pair<model::ChildSaId, SaCounters>> all_counters() const;
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> drop_counters() const;
  [[nodiscard]] std::optional<DataPlaneEvent> poll_event();
  /// "ipsec-mb 1.3" or the like: the cipher library of an SA, for status; empty for an unknown one.
  [[nodiscard]] std::string backend(model::ChildSaId child) const;
  /// Inbound SPIs of pairs that are gone for good since the last call (after lingering); the SpiAllocator may have them
  /// back.
  [[nodiscard]] std::vector<model::Spi> take_released_spis();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert::ipsec
