// What an EAP method is to the conversation that it is part of (RFC 3748 4, 5): it takes the octets behind the type and
// gives the next ones. One file per method.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "model/authentication.hpp"
#include "model/iana/eap_type.hpp"

namespace culvert::ike::eap {

/// Octets of the master session key that a method exports (RFC 3748 7.10).
inline constexpr std::size_t kMskSize = 64;

/// What the server knows of those who may come.
class Users {
 public:
  virtual ~Users() = default;
  /// The secret of who is called so, octet by octet; null when nobody is. `identity` is any octets a peer may send.
  [[nodiscard]] virtual const SecretBytes* secret_of(std::string_view identity) const = 0;
};

using Refusal = model::AuthenticationRefusal;

enum class Progress : std::uint8_t {
  more,     // `data` goes out, an answer is expected
  done,     // server: the peer has proved itself. Client: `data` goes out, and EAP-Success may come now
  refused,  // for `refusal`. Client: `data` goes out first, when there is any
};

struct Turn {
  Progress progress = Progress::more;
  Bytes data;
  SecretBytes msk;  // with `done`, of a method that makes one
  /// With `refused`; with `more`, as server, where it is certain already, and only the words for it are still to be
  /// said.
  std::optional<Refusal> refusal;
  /// As server, with `done`: whom the method found the peer to be, if another; with a refusal: who it said it is there.
  std::string identity;
  /// With `done`: until when what the other side has shown is good, in seconds since 1970; nothing: for ever.
  std::optional<std::int64_t> good_until = {};

  [[nodiscard]] static Turn refuse(std::string check, std::string found, Bytes data = {}) {
    return {.progress = Progress::refused,
            .data = std::move(data),
            .msk = {},
            .refusal = Refusal{.subject = {}, .serial = {}, .check = std::move(check), .found = std::move(found)},
            .identity = {},
            .good_until = {}};
  }
  [[nodiscard]] static Turn say(Bytes data, Progress progress = Progress::more) {
    return {.progress = progress, .data = std::move(data), .msk = {}, .refusal = {}, .identity = {}, .good_until = {}};
  }
};

/// The server's half.
class ServerMethod {
 public:
  virtual ~ServerMethod() = default;
  /// The first request, which will have that identifier.
  [[nodiscard]] virtual Bytes begin(std::uint8_t identifier) = 0;
  /// The response to the request with that identifier; the next request has the next one.
  [[nodiscard]] virtual Turn handle(std::uint8_t identifier, ByteView data) = 0;
};

/// The client's half.
class ClientMethod {
 public:
  virtual ~ClientMethod() = default;
  [[nodiscard]] virtual Turn handle(std::uint8_t identifier, ByteView data) = 0;
};

}  // namespace culvert::ike::eap
