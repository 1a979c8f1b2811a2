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
  /// `methods` it takes part in, the dearest first. `random` must outlive it.
  EapClient(std::vector<model::EapType> methods, std::string identity, SecretBytes secret, RandomSource& random)
      : methods_(std::move(methods)), identity_(std::move(identity)), secret_(std::move(secret)), random_(random) {}

  /// What the server sent: any octets.
  [[nodiscard]] Outcome handle(ByteView octets);

 private:
  [[nodiscard]] Outcome answer(const Packet& request, model::EapType type, ByteView data) const;
  [[nodiscard]] Outcome take_request(const Packet& packet);
  [[nodiscard]] Outcome take_turn(const Packet& packet);
  [[nodiscard]] Outcome say_no(const Packet& packet) const;
  [[nodiscard]] std::unique_ptr<ClientMethod> make_method(model::EapType type);
  [[nodiscard]] Outcome fail(std::string check, std::string found);

  const std::vector<model::EapType> methods_;
  const std::string identity_;
  const SecretBytes secret_;
  RandomSource& random_;
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
