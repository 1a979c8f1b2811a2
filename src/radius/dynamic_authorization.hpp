// DynamicAuthorization: what a RADIUS server asks of a session that stands (RFC 5176): Disconnect-Request and
// CoA-Request, proved, understood and answered. Pure; who asks for the sessions to be ended or changed is the caller.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"
#include "model/aaa.hpp"
#include "net/address.hpp"
#include "radius/conversation.hpp"
#include "radius/packet.hpp"

namespace culvert::radius {

class DynamicAuthorization {
 public:
  /// Answers kept for requests that come again, and how long.
  static constexpr std::size_t kMostAnswers = 256;
  static constexpr Duration kKept = std::chrono::seconds(60);
  /// How far the server's clock may be from ours, and its request under way (RFC 5176 6.3).
  static constexpr std::int64_t kTimeWindow = 300;

  /// `nas` must outlive it.
  DynamicAuthorization(const Nas& nas, SecretBytes secret) : nas_(nas), secret_(std::move(secret)) {}

  /// A request that is proved and makes sense: carry it out, and have it answered.
  struct Wanted {
    Code code{};
    model::SessionQuery query;
    model::SessionChange change;  // of a CoA-Request
    // For the answer.
    net::Endpoint from;
    std::uint8_t identifier = 0;
    Authenticator authenticator{};
    bool with_message_authenticator = false;
    std::vector<Bytes> proxy_states;
    std::optional<Bytes> state;
  };
  /// Any octets. Either something to be done, or an answer as it is; the error is why it is dropped. `wall_clock` in
  /// seconds since 1970.
  using Taken = std::variant<Wanted, Bytes>;
  [[nodiscard]] Result<Taken, std::string_view> take(const net::Endpoint& from, ByteView octets,
                                                     std::int64_t wall_clock, Instant now);
  /// The answer, when it concerned so many sessions.
  [[nodiscard]] Bytes answer(const Wanted& wanted, std::size_t sessions, Instant now);

 private:
  struct Kept {
    net::Endpoint from;
    std::uint8_t identifier = 0;
    Authenticator authenticator{};
    Instant until;
    Bytes answer;
  };
  [[nodiscard]] std::optional<ErrorCause> understand(const Packet& packet, Wanted& wanted) const;
  [[nodiscard]] Bytes make_answer(const Wanted& wanted, std::optional<ErrorCause> refusal, Instant now);

  const Nas& nas_;
  SecretBytes secret_;
  std::deque<Kept> kept_;  // the oldest first
};

}  // namespace culvert::radius
