// Conversation: the EAP conversation of one client that is passed through to a RADIUS server (RFC 3579 2): what the
// client says becomes Access-Requests, the server's answers become what the client hears, and at the end stands who it
// is, the key, and what it is allowed. Bounded in rounds and sizes. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/random.hpp"
#include "base/result.hpp"
#include "ike/eap/server.hpp"
#include "model/aaa.hpp"
#include "net/address.hpp"
#include "radius/packet.hpp"

namespace culvert::radius {

/// What is the same for all clients of a [radius.NAME].
struct Nas {
  std::string radius;      // the NAME
  std::string identifier;  // NAS-Identifier
  bool accounting = false;
  std::optional<Duration> interim_interval;  // where the server has no wish
};

/// Who we are for this client, in every request about it (RFC 2865 5.4, 5.41, RFC 2869 5.17).
void add_nas(PacketBuilder& request, const Nas& nas, const std::string& tunnel, const net::Path& path);
/// What of an Access-Accept is for the session. `identity` is who the client said it is.
[[nodiscard]] model::Authorization authorization_of(const Packet& accept, const Nas& nas, std::string session_id,
                                                    std::string identity);
/// The group of peers that a Class names (RFC 2865 5.25: what is in it is between server and administrator): the first
/// that is a name, "staff" or "OU=staff;". Else empty.
[[nodiscard]] std::string group_named_by(const model::Authorization& allowed);

class Conversation {
 public:
  /// `nas` and `random` must outlive it.
  Conversation(const Nas& nas, std::string tunnel, const net::Path& path, RandomSource& random);

  /// The first packet for the client: who is it?
  [[nodiscard]] ike::eap::Outcome begin();
  /// What the client sent, any octets: the request for the server; or that it is refused.
  [[nodiscard]] Result<PacketBuilder, ike::eap::Outcome> take_client(ByteView octets);
  struct Step {
    ike::eap::Outcome outcome;
    std::shared_ptr<const model::Authorization> authorization;  // with success
  };
  /// The server's authentic answer to that, from the server with that number.
  [[nodiscard]] Step take_server(const Packet& answer, const Authenticator& request, ByteView secret,
                                 std::size_t server);
  /// There is no answer.
  [[nodiscard]] ike::eap::Outcome no_answer(std::string why) const { return fail("radius", std::move(why), {}); }

  /// The one that the conversation is with: it keeps what came before.
  [[nodiscard]] std::optional<std::size_t> server() const { return server_; }

 private:
  [[nodiscard]] ike::eap::Outcome fail(std::string check, std::string found, Bytes packet) const;
  [[nodiscard]] ike::eap::Outcome going(Bytes packet) const;
  [[nodiscard]] Step take_challenge(const Packet& answer, Bytes message);
  [[nodiscard]] Step take_accept(const Packet& answer, Bytes message, const Authenticator& request, ByteView secret);

  const Nas& nas_;
  const std::string tunnel_;
  const net::Path path_;
  const std::string session_id_;
  std::uint8_t identifier_ = 0;  // of the request that the client is to answer
  unsigned rounds_ = 0;
  std::string identity_;
  std::optional<model::EapType> method_;
  std::optional<Bytes> state_;
  std::optional<std::size_t> server_;
};

}  // namespace culvert::radius
