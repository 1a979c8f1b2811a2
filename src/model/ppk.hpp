// PPK (RFC 8784): a secret that both sides have from elsewhere, and that goes into the keys of an IKE SA beside the key
// exchange. The secret itself stays with whoever computes AUTH.
#pragma once

#include <string>

namespace culvert::model {

struct Ppk {
  /// By which the sides mean the same secret; it is seen by whoever is between them.
  std::string id;
  /// Without it there is no IKE SA.
  bool required = true;
  friend bool operator==(const Ppk&, const Ppk&) = default;
};

}  // namespace culvert::model
