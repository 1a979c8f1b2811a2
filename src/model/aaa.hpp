// What an AAA server (RADIUS) allows a client that it has authenticated, and what it is told of the session: plain
// values, without anything of the protocol.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "net/address.hpp"

namespace culvert::model {

/// What came with the server's consent (RFC 2865 2, RFC 2869).
struct Authorization {
  std::string radius;      // the [radius.NAME] that asked
  std::string session_id;  // ours, never used twice; printable (RFC 2866 5.5)
  std::string user;        // as the server wants to hear of it in accounting; any octets
  /// Of the client inside the tunnel, at most one of each family; without one a pool decides.
  std::vector<net::IpAddress> addresses;
  /// Pools that the server names; any text. Those that the connection has are the only ones that count.
  std::vector<std::string> pools;
  std::vector<Bytes> classes;  // to be repeated in accounting (RFC 2865 5.25)
  std::optional<Duration> session_timeout;
  std::optional<Duration> idle_timeout;
  std::optional<Duration> interim_interval;
  bool accounting = false;  // there are servers that want to hear of the session
};

/// Why a session ended (RFC 2866 5.10).
enum class TerminateCause : std::uint32_t {
  none = 0,  // it has not
  user_request = 1,
  lost_service = 3,
  idle_timeout = 4,
  session_timeout = 5,
  admin_reset = 6,
  nas_error = 9,
  nas_request = 10,
  nas_reboot = 11,
  port_preempted = 13,
};
[[nodiscard]] std::string_view name_of(TerminateCause cause);

/// Of inner packets; `input` is what came from the client (RFC 2866 5.3).
struct SessionTraffic {
  std::uint64_t input_octets = 0;
  std::uint64_t output_octets = 0;
  std::uint64_t input_packets = 0;
  std::uint64_t output_packets = 0;
  friend bool operator==(const SessionTraffic&, const SessionTraffic&) = default;
};

/// What accounting hears of a session (RFC 2866 5.1).
struct SessionRecord {
  enum class Kind : std::uint8_t { start, interim, stop };
  Kind kind = Kind::start;
  std::shared_ptr<const Authorization> authorization;
  std::string tunnel;
  net::Path path;
  std::vector<net::IpAddress> addresses;  // that the client has inside
  Duration lasted{};
  SessionTraffic traffic;
  TerminateCause cause = TerminateCause::none;  // of `stop`
};

/// Which sessions are meant (RFC 5176 3): all that is given must fit.
struct SessionQuery {
  std::string radius;
  std::optional<std::string> user;
  std::optional<std::string> session_id;
  std::vector<net::IpAddress> addresses;
  std::optional<std::string> calling_station;
  // These say which gateway or tunnel it is at, and are not enough by themselves.
  std::optional<std::string> called_station;
  std::optional<net::IpAddress> gateway;
  std::optional<std::string> tunnel;
  [[nodiscard]] bool names_session() const { return user || session_id || !addresses.empty() || calling_station; }
};

/// What shall be different for them from now on (RFC 5176 2.2).
struct SessionChange {
  std::optional<Duration> session_timeout;  // counts anew
  std::optional<Duration> idle_timeout;     // likewise
  std::optional<Duration> interim_interval;
  std::vector<Bytes> classes;  // when not empty
  [[nodiscard]] bool empty() const { return !session_timeout && !idle_timeout && !interim_interval && classes.empty(); }
};

}  // namespace culvert::model
