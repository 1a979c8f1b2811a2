// EapClient: the peer's half of one conversation (RFC 3748 2, 4): answers with its identity, takes part in one method
// that it is allowed, and believes EAP-Success only when that method is content.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/secret.hpp"
#include "ike/eap/method.hpp"
#include "ike/eap/packet.hpp"
#include "ike/eap/server.hpp"

namespace culvert::ike::eap {

class EapClient {
 public:
  /// `methods` it takes part in, the dearest first; those that are built on TLS need `tls`. `outer_identity` is what it
  /// says where others can read it; empty: `identity`. `random` must outlive it.
  EapClient(std::vector<model::EapType> methods, std::string identity, SecretBytes secret, RandomSource& random,
            TlsTerms tls = {}, std::string outer_identity = {})
      : methods_(std::move(methods)),
        identity_(std::move(identity)),
        outer_identity_(std::move(outer_identity)),
        secret_(std::move(secret)),
        random_(random),
        tls_(std::move(tls)) {}

  /// What the server sent: any octets.
  [[nodiscard]] Outcome handle(ByteView octets);
  /// The method is done: EAP-Success may come.
  [[nodiscard]] bool is_content() const { return content_; }
  /// What it has failed for, when only the server's last word is still to come.
  [[nodiscard]] const std::optional<Refusal>& refusal() const { return refusal_; }

 private:
  [[nodiscard]] Outcome answer(const Packet& request, model::EapType type, ByteView data) const;
  [[nodiscard]] Outcome take_request(const Packet& packet);
  [[nodiscard]] Outcome take_turn(const Packet& packet);
  [[nodiscard]] Outcome say_no(const Packet& packet) const;
  [[nodiscard]] std::unique_ptr<ClientMethod> make_method(model::EapType type);
  [[nodiscard]] Outcome fail(std::string check, std::string found);
  [[nodiscard]] Outcome fail(Refusal refusal);

  const std::vector<model::EapType> methods_;
  const std::string identity_;
  const std::string outer_identity_;
  const SecretBytes secret_;
  RandomSource& random_;
  const TlsTerms tls_;
  unsigned rounds_ = 0;
  unsigned identified_ = 0;
  bool over_ = false;
  std::optional<model::EapType> type_;  // of the method that has begun
  std::unique_ptr<ClientMethod> method_;
  bool content_ = false;  // the method is done
  SecretBytes msk_;
  std::optional<Refusal> refusal_;  // what it failed for; EAP-Failure is still to come
};

}  // namespace culvert::ike::eap
