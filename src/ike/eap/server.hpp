// EapServer: the authenticator's half of one conversation (RFC 3748 2, 4): who the peer says it is, a method that both
// can, and what comes of it. Pure: packets in, packets out; bounded in rounds.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "ike/eap/method.hpp"
#include "ike/eap/packet.hpp"
#include "ike/eap/tls_method.hpp"

namespace culvert::ike::eap {

/// Of either side, after each packet.
struct Outcome {
  enum class State : std::uint8_t { going, success, failure };
  State state = State::going;
  /// To be sent. As server never empty; as client there when `going`, and perhaps with `failure`.
  Bytes packet;
  /// With success: the key of the method, or nothing.
  SecretBytes msk;
  /// Who it is about, as the peer (server) or we (client) said; any octets. Empty before that was said.
  std::string identity;
  /// That was agreed on.
  std::optional<model::EapType> method;
  /// With failure; and with `going`, as server, where it is certain already.
  std::optional<Refusal> refusal;
  /// With success, as server: until when what the peer has shown is good, in seconds since 1970; nothing: for ever.
  std::optional<std::int64_t> good_until = {};
};

/// Packets of the other side that a conversation takes; beyond them it fails.
inline constexpr unsigned kMostRounds = 64;
/// The same with methods built on TLS: both sides' certificates in fragments (RFC 9191 4.1 has known peers to give up
/// at 40 to 50), at the most kMostTlsMessage of each, and what is said within.
inline constexpr unsigned kMostTlsRounds = 128;
/// Octets of an identity (RFC 3748 5.1 sets no bound; RFC 7542 2.2 counts on 253).
inline constexpr std::size_t kMostIdentity = 253;

class EapServer {
 public:
  /// `methods`: the dearest first; those that are built on TLS need `tls`. `random` and `users` must outlive it.
  EapServer(std::vector<model::EapType> methods, RandomSource& random, const Users& users, TlsTerms tls = {})
      : methods_(std::move(methods)), random_(random), users_(users), tls_(std::move(tls)) {}

  /// The first request; with that identifier, or any.
  [[nodiscard]] Outcome begin(std::optional<std::uint8_t> identifier = std::nullopt);
  /// Instead, where the peer says who it is without being asked: that response, any octets (RFC 5281 11.2.1).
  [[nodiscard]] Outcome begin_with(ByteView octets);
  /// What the peer sent: any octets.
  [[nodiscard]] Outcome handle(ByteView octets);

 private:
  [[nodiscard]] Outcome ask(model::EapType type, ByteView data);
  [[nodiscard]] Outcome begin_method(model::EapType type);
  [[nodiscard]] bool too_many_rounds() const;
  [[nodiscard]] Outcome take_identity(const Packet& packet);
  [[nodiscard]] Outcome take_nak(const Packet& packet);
  [[nodiscard]] Outcome take_turn(const Packet& packet);
  [[nodiscard]] Outcome fail(std::string check, std::string found);
  [[nodiscard]] Outcome fail(Refusal refusal);

  const std::vector<model::EapType> methods_;
  RandomSource& random_;
  const Users& users_;
  const TlsTerms tls_;
  std::uint8_t identifier_ = 0;
  unsigned rounds_ = 0;
  bool over_ = false;
  std::string identity_;
  std::optional<model::EapType> asked_;  // the type of the request under way
  bool negotiated_ = false;              // the peer has said no to a method once
  std::unique_ptr<ServerMethod> method_;
};

}  // namespace culvert::ike::eap
