// EapSessions: the EAP conversations under way, kept outside the core by whoever holds the secrets, like Credentials.
// One for each IKE SA; how the core's requests about them are answered. Nothing here is part of the state machine.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/random.hpp"
#include "base/secret.hpp"
#include "crypto/tls_channel.hpp"
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
  /// For methods that are built on TLS; null without any.
  std::shared_ptr<const crypto::TlsContext> tls;
  std::map<std::string, SecretBytes, std::less<>> users;
};

/// Conversations are begun and forgotten on one thread; a step may be carried out on any. Of one conversation the core
/// has no two steps under way.
class EapSessions {
 public:
  /// Kept at once. The core ends what it gives up, so that more than half-open IKE SAs there never are.
  static constexpr std::size_t kMost = 4096;

  /// `random` must outlive it and all steps, and be good for several threads if they are.
  explicit EapSessions(RandomSource& random) : random_(random) {}

  using Work = std::move_only_function<EapResult()>;
  /// The step, to be carried out on any thread; it may outlive the conversation, and this. Null `parties`: the
  /// connection is gone, and the step fails. `now` is what certificates are judged by.
  [[nodiscard]] Work work_for(EapRequest request, std::shared_ptr<const EapParties> parties, crypto::CalendarTime now);
  /// The same at once.
  [[nodiscard]] EapResult carry_out(EapRequest request, std::shared_ptr<const EapParties> parties,
                                    crypto::CalendarTime now) {
    return work_for(std::move(request), std::move(parties), now)();
  }
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  struct Session {
    std::shared_ptr<const EapParties> parties;  // outlives the other
    std::variant<std::unique_ptr<eap::EapServer>, std::unique_ptr<eap::EapClient>> side;
  };
  [[nodiscard]] std::shared_ptr<Session> open(const EapRequest& request, std::shared_ptr<const EapParties> parties,
                                              crypto::CalendarTime now);

  RandomSource& random_;
  std::map<model::IkeSaId, std::shared_ptr<Session>> sessions_;
};

}  // namespace culvert::ike::v2
