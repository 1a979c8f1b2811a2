// How the core's requests for key exchanges are carried out: by whoever owns a thread for it. Nothing here is part of
// the state machine.
#pragma once

#include "base/random.hpp"
#include "ike/face.hpp"

namespace culvert::ike {

/// `random` is where a new private value comes from.
[[nodiscard]] KeyExchangeResult carry_out(KeyExchangeRequest request, RandomSource& random);

}  // namespace culvert::ike
