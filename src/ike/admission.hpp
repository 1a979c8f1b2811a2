// Admission: what was found out of a peer, beside its identity, when it was let in. Of most peers nothing is, and then
// it takes the room of a pointer.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/boxed.hpp"

namespace culvert::model {
struct Authorization;  // model/aaa.hpp
}

namespace culvert::ike {

class Admission {
 public:
  /// Whom EAP has proved the initiator to be; empty without EAP. Any octets: escape before printing.
  [[nodiscard]] const std::string& eap_identity() const { return facts().eap_identity; }
  /// The peer's, of the connection's groups; empty: none.
  [[nodiscard]] const std::string& group() const { return facts().group; }
  /// Of the AAA server that has kept the EAP conversation, if one has.
  [[nodiscard]] const std::shared_ptr<const model::Authorization>& authorization() const {
    return facts().authorization;
  }

  void set_eap_identity(std::string identity) {
    if (facts_ || !identity.empty()) made().eap_identity = std::move(identity);
  }
  void set_group(std::string group) {
    if (facts_ || !group.empty()) made().group = std::move(group);
  }
  void set_authorization(std::shared_ptr<const model::Authorization> authorization) {
    if (facts_ || authorization) made().authorization = std::move(authorization);
  }

 private:
  struct Facts {
    std::string eap_identity;
    std::string group;
    std::shared_ptr<const model::Authorization> authorization;
  };
  [[nodiscard]] const Facts& facts() const {
    static const Facts kNone;
    return facts_ ? *facts_ : kNone;
  }
  Facts& made() {
    if (!facts_) facts_ = Facts();
    return *facts_;
  }
  Boxed<Facts> facts_;
};

}  // namespace culvert::ike
