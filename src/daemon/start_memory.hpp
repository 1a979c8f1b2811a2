// Memory that only a start or a set-up needed, given back to the system: relocation, look-ups of symbols, reading the
// configuration, nftables' language and the first use of each library touch many more pages than the running daemon
// does.
#pragma once

namespace culvert::daemon {

/// Takes the unwritten pages of the program and its libraries out of this process; they stay in the system's page cache
/// and come back one by one as they are needed. Free heap goes back to the system. Any thread; costs the next use of
/// each page a minor fault.
void release_start_memory();

}  // namespace culvert::daemon
