// The keys of tickets (RFC 5723 9.5) in a file of the state folder: a new one every day, the old ones for as long as a
// ticket of theirs can be good. They outlive a restart, so that peers can resume after it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"
#include "ike/secrets.hpp"

namespace culvert::daemon {

/// The newest first, of the time of day `now` in seconds since 1970; a new one is made, and written down, when the
/// newest has had its day. The error is a sentence with the way out: then there are to be no tickets.
[[nodiscard]] Result<std::vector<ike::TicketKey>, std::string> load_ticket_keys(const std::filesystem::path& folder,
                                                                                RandomSource& random, std::int64_t now);
/// How long they are good as they are: to be loaded anew then.
inline constexpr std::int64_t kTicketKeyUse = std::int64_t{24} * 3600;
/// No ticket is good for longer.
inline constexpr std::int64_t kTicketLifeAtMost = std::int64_t{24} * 3600;

}  // namespace culvert::daemon
