// What has been fetched about certificates is kept for the next peers; and because peers choose what is fetched, there
// is a bound on each kind of it.
#pragma once

#include <cstddef>
#include <memory>

#include "ike/v2/revocation_check.hpp"

namespace culvert::daemon {

inline constexpr std::size_t kMostOcsp = 4096;
inline constexpr std::size_t kMostLists = 64;
inline constexpr std::size_t kMostCertificates = 256;

/// Files what was fetched for the wish, in place of what was there; of too many the oldest go.
void keep(ike::v2::Evidence& evidence, const ike::v2::FetchWish& wish, std::shared_ptr<const ike::v2::Fetched> fetched);

}  // namespace culvert::daemon
