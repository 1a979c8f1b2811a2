// The keys of tickets (RFC 5723 9.5) in a file of the state folder: a new one every day, the old ones for as long as a
// ticket of theirs can be good. They outlive a crash, so that peers can resume after it; an orderly stop, which ends
// all IKE SAs and with them their tickets (RFC 5723 6.2), takes them away.
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
/// No ticket that was given so far opens anything again. The error is a sentence; where there is no file there is none.
[[nodiscard]] Result<void, std::string> remove_ticket_keys(const std::filesystem::path& folder);
/// How long they are good as they are: to be loaded anew then.
inline constexpr std::int64_t kTicketKeyUse = std::int64_t{24} * 3600;
/// No ticket is good for longer.
inline constexpr std::int64_t kTicketLifeAtMost = std::int64_t{24} * 3600;

}  // namespace culvert::daemon
