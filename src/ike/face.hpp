// The face of the IKE core, the same for every version: bytes, commands, completions and time go in; datagrams, events
// and requests come out. No socket, clock or thread; the caller owns all three (DESIGN section 3).
//
// The contract of one turn: call one handle_* function, then drain poll_event(), then poll_request(), then
// poll_transmit(), then ask poll_timeout(). Events come first because an SA must be installed before the message that
// lets the peer use it leaves.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ike/commands.hpp"
#include "ike/events.hpp"
#include "ike/message_reasons.hpp"
#include "ike/requests.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike {

// ---------------------------------------------------------------- datagrams

/// One IKE message to send, from the local to the remote endpoint of the path. The non-ESP marker (RFC 3948 2.2) is not
/// included: who sends from the NAT-T port, or over TCP (RFC 9329 3.1), puts it in front.
struct Transmit {
  net::Path path;
  Bytes message;
};

/// Where IKE gets inbound ESP SPIs from: the data plane chooses them, for their bits carry the slot.
class SpiAllocator {
 public:
  virtual ~SpiAllocator() = default;
  /// Nothing when no SPI is free. With `resource` one that leads the SA's packets to it (ChildSaParams::resource).
  [[nodiscard]] virtual std::optional<model::Spi> allocate(std::optional<std::uint32_t> resource) = 0;
  /// Gives back an SPI that never came into an installed SA.
  virtual void release(model::Spi spi) = 0;
  /// Which resource has an installed pair that is for all of them, by the data plane's own choice. Nothing when it is
  /// none's more than another's, or the pair is not installed.
  [[nodiscard]] virtual std::optional<std::uint32_t> resource_of(model::ChildSaId child) const = 0;
};

/// Limits and switches of the whole endpoint.
struct EndpointSettings {
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  /// Half-open IKE SAs as responder from which on cookies are demanded (RFC 7296 2.6), and the bound on all of them.
  std::size_t cookie_threshold = 64;
  std::size_t half_open_limit = 1024;
  /// Of these, once cookies are demanded, from one address, or one /64 of IPv6, and from one network, a /24 or a /56:
  /// who can be reached shall not keep all others out.
  std::size_t half_open_per_address = 128;
  std::size_t half_open_per_network = 256;
  /// Half-open IKE SAs from which on who begins IKE_SA_INIT is given a puzzle beside the cookie (RFC 8019), and how
  /// many zero bits that wants at first. Whoever has solved one gets another for IKE_AUTH while half-open IKE SAs get
  /// garbage; with a threshold of 0 always.
  std::size_t puzzle_threshold = 512;
  std::uint8_t puzzle_bits = 16;
  /// As initiator: puzzles are solved; only where that keeps nothing else waiting.
  bool solve_puzzles = true;
  Duration half_open_timeout = std::chrono::seconds(30);
  /// IKE SAs of one connection and peer; beyond them the oldest is deleted.
  std::size_t ike_sas_per_peer = 16;
  /// Child SAs of one IKE SA, made and wanted by either side: beyond them there are no more (RFC 7296 1.3). With those
  /// that are just being replaced or deleted it may be twice as many.
  std::size_t children_limit = 64;
  /// Requests for work that messages of peers brought about and that are not answered yet. Beyond them what would bring
  /// more is dropped, as if it was lost, and the peer sends it again.
  std::size_t work_limit = 512;
  /// How many resources, the data plane's workers, there are for Child SAs of their own (RFC 9611).
  std::uint32_t resources = 1;
  /// Retransmission of requests (RFC 7296 2.4): first wait, factor, number of sends in all (about 60 s with these).
  Duration retransmit_first = std::chrono::milliseconds(500);
  double retransmit_factor = 1.8;
  unsigned retransmit_tries = 8;
  bool export_keys = false;
};

/// What `culvert status` shows of the endpoint itself.
struct EndpointCounters {
  std::uint64_t datagrams_in = 0;
  std::uint64_t datagrams_out = 0;
  std::uint64_t retransmissions = 0;
  std::uint64_t repeated = 0;  // requests of peers that came again, and got the same answer or none yet
  std::uint64_t half_open = 0;
  std::uint64_t cookies = 0;       // demanded
  std::uint64_t puzzles = 0;       // of these with a puzzle
  std::uint64_t solved = 0;        // puzzles, by who was then let in
  std::uint64_t auth_puzzles = 0;  // given for IKE_AUTH (RFC 8019 7.2)
  std::uint64_t auth_solved = 0;   // of these
  std::uint64_t tickets = 0;       // given to peers (RFC 5723)
  std::uint64_t resumed = 0;       // IKE SAs set up by a ticket, in either role
  std::array<std::uint64_t, kDatagramDropCount> dropped{};
  std::array<std::uint64_t, kRefusalCount> refused{};
};

/// The core itself. IkeEndpoint of ike/v2 implements it.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  /// One received IKE message (without non-ESP marker). Total: any bytes are allowed.
  virtual void handle_datagram(const net::Path& path, ByteView message, Instant now) = 0;
  virtual void handle_timeout(Instant now) = 0;
  virtual void handle_command(Command command, Instant now) = 0;
  virtual void handle_completion(RequestToken token, Completion completion, Instant now) = 0;
  /// The request waits for another host now, which may take its time: it counts no more against
  /// EndpointSettings::work_limit. Its answer is still to come.
  virtual void handle_wait(RequestToken token) = 0;

  [[nodiscard]] virtual std::optional<Event> poll_event() = 0;
  [[nodiscard]] virtual std::optional<Request> poll_request() = 0;
  [[nodiscard]] virtual std::optional<Transmit> poll_transmit() = 0;
  /// When handle_timeout wants to be called next; may change with every handle_* call.
  [[nodiscard]] virtual std::optional<Instant> poll_timeout() const = 0;
  [[nodiscard]] virtual EndpointCounters counters() const = 0;
};

}  // namespace culvert::ike
