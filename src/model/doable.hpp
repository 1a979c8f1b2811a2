// What of a configured offer this machine can carry out.
#pragma once

#include <vector>

#include "model/proposal.hpp"

namespace culvert::model {

/// What of the proposals can be offered: without prfs and ciphers that the crypto layer has not, or that the library
/// refuses (MD5 in FIPS mode), and without proposals that would lack a kind of transform then. Which key exchanges
/// there are is asked of key_exchange_id.
[[nodiscard]] std::vector<Proposal> without_what_cannot_be_done(std::vector<Proposal> proposals);

}  // namespace culvert::model
