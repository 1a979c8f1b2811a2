// Secrets: the one place that holds long-term secrets and private keys after loading. It computes with them and never
// gives them away, so that it can become a process of its own (DESIGN section 3, "keys").
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/secret.hpp"
#include "config/config.hpp"
#include "crypto/random.hpp"
#include "ike/face.hpp"
#include "ike/v2/credentials.hpp"
#include "ike/v2/eap_sessions.hpp"
#include "model/ids.hpp"

namespace culvert::daemon {

class Secrets {
 public:
  /// Replaces all secrets by copies of those in `config`.
  void load(const config::Config& config);
  /// Which tunnel a connection id stands for is the control plane's to tell.
  void name_connection(model::ConnectionId connection, std::string tunnel);
  /// Its name; empty when it is not known.
  [[nodiscard]] std::string tunnel_of(model::ConnectionId connection) const;
  [[nodiscard]] ike::SharedKeyMacResult compute(const ike::SharedKeyMacRequest& request) const;
  [[nodiscard]] ike::PpkResult compute(const ike::PpkRequest& request) const;
  /// Null without such. They outlive a load.
  using SharedCredentials = std::shared_ptr<const ike::v2::Credentials>;
  [[nodiscard]] SharedCredentials credentials_of(model::ConnectionId connection) const;
  /// The same as work for any thread, which outlives a load: with the credentials as they are now.
  using Work = std::move_only_function<ike::Completion()>;
  [[nodiscard]] Work work_for(ike::SignRequest request) const;
  [[nodiscard]] Work work_for(ike::VerifyRequest request, crypto::CalendarTime now) const;
  /// A step of an EAP conversation, which is kept here in between; `now` is what certificates are judged by.
  [[nodiscard]] ike::v2::EapSessions::Work work_for(ike::EapRequest request, crypto::CalendarTime now);

 private:
  std::map<std::string, SecretBytes, std::less<>> by_tunnel_;
  std::map<std::string, SecretBytes, std::less<>> ppks_;               // likewise
  std::map<std::string, SharedCredentials, std::less<>> credentials_;  // likewise
  std::map<model::ConnectionId, std::string> names_;
  crypto::SystemRandom random_;                                                         // good for any thread
  std::map<std::string, std::shared_ptr<const ike::v2::EapParties>, std::less<>> eap_;  // by tunnel
  ike::v2::EapSessions eap_sessions_{random_};
};

}  // namespace culvert::daemon
