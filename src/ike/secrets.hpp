// EndpointSecrets: secrets of the IKE endpoint itself that must outlive the process, so that a peer of the last run
// can be helped by the next one. The daemon keeps them; the core only computes with them.
#pragma once

#include "base/secret.hpp"

namespace culvert::ike {

struct EndpointSecrets {
  /// QCD_SECRET (RFC 6290 5.1), 32 octets; empty: no tokens are made.
  SecretBytes crash_tokens;
};

}  // namespace culvert::ike
