// EapSessions: the EAP conversations under way, kept outside the core by whoever holds the secrets, like Credentials.
// One for each IKE SA; how the core's requests about them are answered. Nothing here is part of the state machine.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/random.hpp"
#include "base/secret.hpp"
#include "ike/eap/client.hpp"
#include "ike/eap/server.hpp"
#include "ike/face.hpp"

namespace culvert::ike::v2 {

/// What a connection does EAP with: as client, our own secret; as server, those of all who may come.
struct EapParties final : eap::Users {
  [[nodiscard]] const SecretBytes* secret_of(std::string_view identity) const override {
    const auto found = users.find(identity);
    return found == users.end() ? nullptr : &found->second;
  }
  SecretBytes own_secret;
  std::map<std::string, SecretBytes, std::less<>> users;
};

class EapSessions {
 public:
  /// Kept at once. The core ends what it gives up, so that more than half-open IKE SAs there never are.
  static constexpr std::size_t kMost = 4096;

  /// `random` must outlive it.
  explicit EapSessions(RandomSource& random) : random_(random) {}

  /// Null `parties`: the connection is gone, and the step fails.
  [[nodiscard]] EapResult carry_out(const EapRequest& request, std::shared_ptr<const EapParties> parties);
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  struct Session {
    std::shared_ptr<const EapParties> parties;  // outlives the other
    std::variant<std::unique_ptr<eap::EapServer>, std::unique_ptr<eap::EapClient>> side;
  };
  [[nodiscard]] Session* open(const EapRequest& request, std::shared_ptr<const EapParties> parties);

  RandomSource& random_;
  std::map<model::IkeSaId, Session> sessions_;
};

}  // namespace culvert::ike::v2
