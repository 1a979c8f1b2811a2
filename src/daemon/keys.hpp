// SharedSecrets: the one place that holds long-term secrets after loading. It computes with them and never gives them
// away, so that it can become a process of its own (DESIGN section 3, "keys").
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/secret.hpp"
#include "config/config.hpp"
#include "ike/face.hpp"
#include "model/ids.hpp"

namespace culvert::daemon {

class SharedSecrets {
 public:
  /// Replaces all secrets by copies of those in `config`.
  void load(const config::Config& config);
  /// Which tunnel a connection id stands for is the control plane's to tell.
  void name_connection(model::ConnectionId connection, std::string tunnel);
  [[nodiscard]] ike::SharedKeyMacResult compute(const ike::SharedKeyMacRequest& request) const;

 private:
  std::map<std::string, SecretBytes, std::less<>> by_tunnel_;
  std::map<model::ConnectionId, std::string> names_;
};

}  // namespace culvert::daemon
