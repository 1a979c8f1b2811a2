// SaPair: one Child SA in both directions. What was negotiated never changes, and is shared by all SAs for which it is
// the same; what every packet changes stands apart, one block of cache lines per direction, and belongs to the engine's
// thread. A gateway may have a million of these: what only rare modes need stands behind a pointer.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/dense_memory.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/packet_cipher.hpp"
#include "ipsec/aggfrag_sa.hpp"
#include "ipsec/cipher_pool.hpp"
#include "ipsec/data_plane.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/esn_resync.hpp"
#include "ipsec/ipcomp.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/path_mtu.hpp"
#include "ipsec/replay_window.hpp"
#include "ipsec/sa_profile.hpp"
#include "ipsec/selector_list.hpp"
#include "ipsec/silence_watch.hpp"
#include "ipsec/use_meter.hpp"
#include "model/child_sa.hpp"

namespace culvert::ipsec {

inline constexpr std::size_t kEspHeaderSize = 8;   // SPI and sequence number
inline constexpr std::size_t kEspTrailerSize = 2;  // pad length and next header

/// The sizes that packets of one SA have, from its suite.
struct EspLayout {
  std::uint8_t iv = 0;  // in the packet
  std::uint8_t icv = 0;
  std::uint8_t alignment = 4;  // of the plaintext with its trailer: RFC 4303 2.4, at least 4
  bool aead : 1 = true;
  bool random_iv : 1 = false;    // CBC: a block of unpredictable octets instead of a counter
  bool implicit_iv : 1 = false;  // RFC 8750: the sequence number is the IV, and none is in the packet
  bool extended : 1 = true;      // 64-bit sequence numbers

  [[nodiscard]] std::size_t head() const { return kEspHeaderSize + iv; }
  /// Plaintext octets, padding and trailer included, for an inner packet.
  [[nodiscard]] std::size_t padded(std::size_t inner) const {
    const std::size_t mask = std::size_t{alignment} - 1;
    return (inner + kEspTrailerSize + mask) & ~mask;
  }
  /// The whole ESP packet.
  [[nodiscard]] std::size_t sealed(std::size_t inner) const { return head() + padded(inner) + icv; }
  /// AH up to its payload: 12 octets, IV and ICV, padded to 4 octets over IPv4 and 8 over IPv6 (RFC 4302 3.3.3.2.1).
  [[nodiscard]] std::size_t ah(net::Family outer) const {
    const std::size_t mask = outer == net::Family::v4 ? 3 : 7;
    return (12 + std::size_t{iv} + icv + mask) & ~mask;
  }
};

/// The layout that nearly all SAs have, AES-GCM's and ChaCha20-Poly1305's with 64-bit sequence numbers, so that code
/// for it can be compiled apart.
struct UsualLayout {
  static constexpr std::uint8_t iv = 8;
  static constexpr std::uint8_t icv = 16;
  static constexpr std::uint8_t alignment = 4;
  static constexpr bool aead = true;
  static constexpr bool random_iv = false;
  static constexpr bool implicit_iv = false;
  static constexpr bool extended = true;
  [[nodiscard]] static constexpr std::size_t head() { return kEspHeaderSize + iv; }
  [[nodiscard]] static constexpr std::size_t padded(std::size_t inner) {
    return (inner + kEspTrailerSize + 3) & ~std::size_t{3};
  }
  [[nodiscard]] static constexpr std::size_t sealed(std::size_t inner) { return head() + padded(inner) + icv; }
  [[nodiscard]] static constexpr bool is(const EspLayout& layout) {
    return layout.iv == iv && layout.icv == icv && layout.alignment == alignment && layout.aead && !layout.random_iv &&
           !layout.implicit_iv && layout.extended;
  }
};

/// Whether an SA's packets may take the straight way, and whether the layout is the usual one there.
enum class Straight : std::uint8_t { no, any_layout, usual_layout };
[[nodiscard]] constexpr Straight straight_of(bool straight, const EspLayout& layout) {
  if (!straight) return Straight::no;
  return UsualLayout::is(layout) ? Straight::usual_layout : Straight::any_layout;
}

[[nodiscard]] EspLayout layout_of(const crypto::PacketSuite& suite, model::EsnId esn);

/// How the packets of an SA leave: decided once, by protocol, mode and encapsulation. The kernel writes the outer
/// header of the first three; the others are whole IP packets.
enum class Framing : std::uint8_t {
  esp_tunnel,
  esp_transport_in_udp,
  esp_beet,
  esp_transport,
  ah_tunnel,
  ah_transport,
  ah_beet
};
[[nodiscard]] constexpr bool is_ah(Framing framing) { return framing >= Framing::ah_tunnel; }
[[nodiscard]] constexpr bool is_whole_packet(Framing framing) { return framing >= Framing::esp_transport; }
[[nodiscard]] Framing framing_of(model::ProtocolId protocol, model::Mode mode, model::Encapsulation encapsulation);

/// What changes over seconds is asked for once in each of these, of 134 ms. From 1 on.
[[nodiscard]] constexpr std::uint32_t coarse_tick(Instant now) {
  return static_cast<std::uint32_t>(now.time_since_epoch().count() >> 27) + 1;
}
/// The last instant of its tick.
[[nodiscard]] constexpr Instant end_of_tick(Instant now) {
  return Instant(Duration(now.time_since_epoch().count() | ((Duration::rep{1} << 27) - 1)));
}

/// Where an SA's jobs stand while a batch is sorted; zero between batches.
struct BatchCursor {
  std::uint8_t count = 0;
  std::uint8_t next = 0;
};

// What usual packets need stands in one cache line per direction, so members are ordered to leave no gaps; where one
// ends unevenly, the next ones fill it up (no_unique_address).
inline constexpr std::size_t kCacheLine = 64;

/// What sealing needs. Packets that go as usual need the first line only, and write there. outbound_turns.cpp takes it
/// as eight words, and knows what is in them.
struct alignas(kCacheLine) OutboundSa {
  OutboundSa(const SaKeyPair& keys, const SaProfile& profile, const model::ChildSaParams& params);
  // In its state the kind of outer packets, and when SaPair::silence was asked last.
  [[no_unique_address]] SaCipher cipher;
  // Inner packets up to this leave in one piece; longer ones are looked at.
  std::uint16_t longest_inner = 0;
  // As `longest_inner`, of the straight way in the usual layout; 0: none goes there.
  std::uint16_t longest_usual = 0;
  // Of the straight way. Ended before anybody asks the meter.
  UnwatchedRun unwatched;
  /// With an outer kind: the path's addresses and ports, local and remote each, as they lie in net::Path.
  std::uint64_t addresses = 0;
  std::uint32_t spi = 0;
  std::uint32_t ports = 0;
  // The last number ends the first line.
  [[no_unique_address]] SequenceCounter sequence;
  Framing framing = Framing::esp_tunnel;
  // See sa_lengths.hpp: ESP in tunnel mode and nothing that needs a packet looked at by itself.
  Straight straight = Straight::no;
  bool grant_asked = false;  // SequenceGrantWanted was told for the present grant
  EspLayout layout;
  [[no_unique_address]] UseMeter meter;
  BatchCursor cursor;

  /// SAs of an engine with the same outer kind send over IPv4 by the same transport and encapsulation, with the same
  /// treatment of packets; their outer headers differ in addresses and ports at most. 0: nothing is known of that.
  [[nodiscard]] std::uint16_t outer_kind() const { return cipher.owners_half(); }
  /// Makes the outer kind and what goes with it; whenever path or encapsulation change.
  void set_outer(const SaProfile& profile, const net::Path& path, model::Encapsulation encapsulation);
  /// When SaPair::silence was asked last, see OutboundPath::watch_silence: it stands apart, and for each packet that
  /// would be a line more.
  [[nodiscard]] std::uint32_t silence_tick() const { return cipher.owners_word(); }
  void set_silence_tick(std::uint32_t tick) { cipher.set_owners_word(tick); }
  /// All that a usual packet wants of its SA but its length and a place in the run, in one word: the cipher of that
  /// family is there and marked as used, and silence was asked for in this tick.
  [[nodiscard, gnu::always_inline]] std::uint64_t state() const {
    return cipher.state() & ~SaCipher::half_bits(0xffff);
  }
  [[nodiscard]] static std::uint64_t usual_state(std::uint8_t family, std::uint32_t tick) {
    return SaCipher::state_of(family, 0, tick);
  }
  /// The same with an outer kind, as the whole word says it.
  [[nodiscard]] static std::uint64_t with_kind(std::uint64_t state, std::uint16_t kind) {
    return state | SaCipher::half_bits(kind);
  }

  [[nodiscard]] std::uint64_t packets() const { return meter.packets() + unwatched.packets(); }
  [[nodiscard]] std::uint64_t bytes() const { return meter.bytes() + unwatched.bytes(); }
};
static_assert(sizeof(OutboundSa) == 2 * kCacheLine);

/// Where packets come from, in a word: two are the same if their words are, of IPv4 at least. Others have none.
struct PeerWord {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  [[nodiscard]] static std::uint64_t of(const net::Endpoint& remote, model::Encapsulation encapsulation) {
    return remote.address.is_v4() ? raw(remote, encapsulation) : kNone;
  }
  /// The same for IPv4; for IPv6 a number that no IPv4 endpoint has, nor kNone. From below: the family and the address
  /// as they lie in memory, zeros, overlaid by the port, on top the encapsulation.
  [[nodiscard]] static std::uint64_t raw(const net::Endpoint& remote, model::Encapsulation encapsulation) {
    std::uint64_t head = 0;
    __builtin_memcpy(&head, &remote, sizeof head);
    return head ^ std::uint64_t{remote.port} << 40 ^ static_cast<std::uint64_t>(encapsulation) << 56;
  }
  /// The same of what was received: port and encapsulation stand side by side there.
  [[nodiscard]] static std::uint64_t of_sender(const WireInput& input) {
    static_assert(offsetof(WireInput, encapsulation) == kPort + 2);
    if constexpr (std::endian::native != std::endian::little) return raw(input.path.remote, input.encapsulation);
    std::uint64_t head = 0;
    std::uint32_t port = 0;
    const auto* const at = reinterpret_cast<const std::uint8_t*>(&input);
    __builtin_memcpy(&head, at + offsetof(WireInput, path) + offsetof(net::Path, remote), sizeof head);
    __builtin_memcpy(&port, at + kPort, sizeof port);
    return head ^ std::uint64_t{port} << 40;
  }

 private:
  static constexpr std::size_t kPort =
      offsetof(WireInput, path) + offsetof(net::Path, remote) + offsetof(net::Endpoint, port);
};

/// What opening needs. Packets that go as usual need the second line only, and write there: the window's highest number
/// begins it, the cipher's first half ends it. It costs no memory that there are three: see Dense.
struct alignas(kCacheLine) InboundSa {
  InboundSa(const SaKeyPair& keys, const SaProfile& profile, const model::ChildSaParams& params);
  [[no_unique_address]] UseMeter meter;
  BatchCursor cursor;
  EspLayout layout;
  CoarseInstant last_activity_event;
  [[no_unique_address]] ReplayWindow window;
  std::uint64_t peer = PeerWord::kNone;  // of the path
  RangeV4 remote;
  RangeV4 local;
  // Of the straight way. Ended before anybody asks the meter. Not beside the window's highest number: the compiler
  // would store both at once, and the next packet wait longer for that than for two stores.
  UnwatchedRun unwatched;
  [[no_unique_address]] EsnResync resync;
  // ESP in tunnel mode, and nothing that needs a packet looked at by itself; see SaPair::settle.
  Straight straight = Straight::no;
  bool ah : 1 = false;       // else ESP
  bool in_place : 1 = true;  // tunnel mode: the inner packet is delivered where it lies
  // The selectors say of IPv4 just what `remote` and `local` say.
  bool has_ranges : 1 = false;
  [[no_unique_address]] SaCipher cipher;

  /// The line that usual packets need.
  [[nodiscard]] const void* usual_line() const { return reinterpret_cast<const std::uint8_t*>(this) + kCacheLine; }
  /// A note that all that changes seldom lets packets be taken in one loop, as far as the SA knows: the usual layout,
  /// ranges, no failure, no event due. Good up to the end of a tick.
  [[nodiscard, gnu::always_inline]] bool noted_usual(std::uint32_t tick) const { return cipher.owners_word() >= tick; }
  void note_usual(std::uint32_t last_tick) { cipher.set_owners_word(last_tick); }
  /// After a change of any of it.
  void forget_usual() { cipher.set_owners_word(0); }

  [[nodiscard]] std::uint64_t packets() const { return meter.packets() + unwatched.packets(); }
  [[nodiscard]] std::uint64_t bytes() const { return meter.bytes() + unwatched.bytes(); }
};
static_assert(sizeof(InboundSa) == 3 * kCacheLine);

/// Whether protocol, mode, encapsulation and addresses go together: AH has no UDP, BEET one inner address on each side.
[[nodiscard]] bool goes_together(const model::ChildSaParams& params);

class NatPeer;

/// Transport mode through a NAT, see model::ChildSaParams::original_local.
struct OriginalAddresses {
  std::optional<net::IpAddress> local;
  std::optional<net::IpAddress> remote;
  std::shared_ptr<NatPeer> peer = nullptr;  // NatFlows'
};

/// What packets need of a pair's model::ChildSaParams. The rest is used up when the pair is made.
struct SaParams {
  SaParams(const model::ChildSaParams& params, std::shared_ptr<const SaProfile> shared);
  // The cache line that outbound packets read where their SA has no outer kind, or the CPU no wide registers.
  std::shared_ptr<const SaProfile> profile;
  net::Path path;
  model::Encapsulation encapsulation = model::Encapsulation::udp;  // follows the peer, as the path does
  model::ProtocolId protocol = model::ProtocolId::esp;
  model::Mode mode = model::Mode::tunnel;
  bool non_first_fragments = false;
  model::Spi spi_inbound;
  // The others.
  model::ChildSaId id;
  model::ConnectionId connection;
  SelectorList local;
  SelectorList remote;
  std::unique_ptr<OriginalAddresses> original;  // null: as in the path
  std::optional<model::IpCompParams> ipcomp;

  [[nodiscard]] const model::PacketTreatment& treatment() const { return profile->treatment; }
};

class EventQueue;

class alignas(kCacheLine) SaPair : public Dense {
 public:
  /// Takes a copy of the keys. `unsupported_suite` when no backend has the algorithms, when the keys do not have the
  /// suite's length; `unsupported_mode` when protocol, mode, encapsulation, suite and addresses do not go together.
  /// `shared` must outlive the pair.
  [[nodiscard]] static Result<std::unique_ptr<SaPair>, DataPlaneError> make(const model::ChildSaParams& params,
                                                                            SaShared& shared);

  SaParams params;  // path and encapsulation follow the peer, the rest never changes
  [[no_unique_address]] SilenceWatch silence;
  bool names_ports = false;  // the selectors do: fragments without ports need looking after (RFC 4301 7)
  /// Not before the peer is ready (RFC 7296 2.8). Changed by `settle`.
  bool held = false;
  /// Only in AGGFRAG mode.
  std::unique_ptr<AggfragSa> aggfrag;
  /// Set by `remove`: inbound packets are taken until then, outbound ones not at all.
  OptionalInstant ends_at;
  PathMtu path_mtu;
  std::uint64_t replay_drops = 0;
  std::uint64_t integrity_drops = 0;
  OptionalInstant last_moved_event;

  // The Sad's: when it came, and its neighbours of the same connection.
  std::uint64_t order = 0;
  SaPair* older = nullptr;
  SaPair* newer = nullptr;

 private:
  SaKeyPair keys_;

 public:
  OutboundSa outbound;
  [[no_unique_address]] InboundSa inbound;
  // Where the last line would be empty.
  /// Only where packets are compressed.
  std::unique_ptr<CompressionBackoff> compression;
  /// RFC 4303 2.7: shorter packets are padded to this.
  std::uint16_t pad_to = 0;
  std::uint16_t mss_v4 = 0;  // 0: left alone
  std::uint16_t mss_v6 = 0;

  /// Follows the peer to another path; how packets are framed may change with it. An encapsulation that the protocol
  /// does not have changes nothing.
  void move_to(const net::Path& path, model::Encapsulation encapsulation);

  /// After a change of what decides whether inbound packets go the straight way.
  void settle(bool hold);

  [[nodiscard]] bool sends() const { return !ends_at && !outbound.meter.closed(); }
  [[nodiscard]] SaCounters counters() const;
  /// Tells what either direction's meter has to tell; what finds no room stays for later.
  void tell_expiry(EventQueue& events);

 private:
  SaPair(const model::ChildSaParams& all, std::shared_ptr<const SaProfile> profile, CipherPool& ciphers);
};
// A gateway has very many: each further line is a good part of a gigabyte to somebody. Dense memory comes in odd
// numbers of them.
static_assert(sizeof(SaPair) <= 9 * kCacheLine);

}  // namespace culvert::ipsec
