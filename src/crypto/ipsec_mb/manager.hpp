// The library's managers: who owns which, and what they cost.
//
// A manager is a table of functions chosen for this CPU, and queues that collect jobs of one thread. Two uses, two
// owners:
//   - Calls that touch no queue (expanding keys, sealing one packet with AES-GCM) go through one manager for the whole
//   process,
//     which is made on first use and only read afterwards.
//   - Batches go through the calling thread's own manager, made at the thread's first batch and freed when the thread
//   ends: 200 kB
//     and less than a millisecond, once per thread, nothing per SA. Each call leaves the queues empty, so a cipher may
//     be handed from one thread to another between calls.
#pragma once

#include <array>
#include <memory>

#include <intel-ipsec-mb.h>

#include "base/bytes.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"

namespace culvert::crypto::ipsec_mb {

struct ManagerFreer {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, ManagerFreer>;

/// A manager for the best instruction set of this CPU; null where it lacks AES-NI, since the library's AES would then
/// read tables indexed by secrets.
[[nodiscard]] Manager make_manager();

/// The process's manager for calls without a queue; null when the library cannot run here.
[[nodiscard]] IMB_MGR* shared_manager();

/// What a thread needs for its batches.
struct Workspace {
  Manager manager = make_manager();
  std::array<IMB_JOB, kBurst> jobs{};
  Bytes gathered;  // messages for the MAC whose parts do not lie one after the other
};

/// The calling thread's own. Only where `shared_manager` is not null.
[[nodiscard]] Workspace& thread_workspace();

/// Runs the first `count` jobs of the workspace through the library's queue, for algorithms that its bursts of ciphers
/// and hashes do not have. Leaves the queue empty and each job's status set; returns how many came out.
[[nodiscard]] std::uint32_t run_queue(Workspace& work, std::uint32_t count);

/// "ipsec-mb 1.3.0", with the version of the library that runs.
[[nodiscard]] const char* backend_name();

}  // namespace culvert::crypto::ipsec_mb
