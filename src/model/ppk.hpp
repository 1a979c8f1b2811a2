// PPK (RFC 8784, RFC 9867): a secret that both sides have from elsewhere, and that goes into the keys of an IKE SA
// beside the key exchange. The secret itself stays with whoever computes AUTH.
#pragma once

#include <cstdint>
#include <string>

namespace culvert::model {

/// The exchange in which the PPK goes into the keys.
enum class PpkExchange : std::uint8_t {
  either,        // IKE_INTERMEDIATE with a peer that can, else IKE_AUTH
  intermediate,  // RFC 9867: the identities and whatever else IKE_AUTH says are behind it as well
  ike_auth,      // RFC 8784: what the IKE SA itself carries is not, before its first rekey
  draft          // as `either`, and IKE_INTERMEDIATE also by the numbers that the draft of RFC 9867 had
};

struct Ppk {
  /// By which the sides mean the same secret; it is seen by whoever is between them.
  std::string id;
  /// Without it there is no IKE SA.
  bool required = true;
  PpkExchange exchange = PpkExchange::either;
  friend bool operator==(const Ppk&, const Ppk&) = default;
};

}  // namespace culvert::model
