#if HAVE_IPSEC_MB

#include "crypto/ipsec_mb/manager.hpp"

#include <string>

#include "base/check.hpp"

namespace culvert::crypto::ipsec_mb {

Manager make_manager() {
  Manager manager(alloc_mb_mgr(0));
  if (!manager) return nullptr;
  IMB_ARCH arch = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager.get(), &arch);
  if (imb_get_errno(manager.get()) != 0) return nullptr;
  if ((manager->features & IMB_CPUFLAGS_SSE) != IMB_CPUFLAGS_SSE) return nullptr;
  // A library whose own known-answer tests failed on this machine must not touch packets.
  if ((manager->features & IMB_FEATURE_SELF_TEST) != 0 && (manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0) {
    return nullptr;
  }
  return manager;
}

IMB_MGR* shared_manager() {
  static const Manager manager = make_manager();
  return manager.get();
}

Workspace& thread_workspace() {
  thread_local Workspace workspace;
  CHECK(workspace.manager != nullptr);
  return workspace;
}

std::uint32_t run_queue(Workspace& work, std::uint32_t count) {
  IMB_MGR* manager = work.manager.get();
  std::array<IMB_JOB*, kBurst> slots{};
  const std::uint32_t free_slots = IMB_GET_NEXT_BURST(manager, count, slots.data());
  CHECK(free_slots == count);
  for (std::uint32_t i = 0; i < count; ++i) {
    IMB_JOB& job = work.jobs[i];
    job.status = IMB_STATUS_BEING_PROCESSED;
    job.user_data = &job;
    *slots[i] = job;
  }
  std::uint32_t taken = IMB_SUBMIT_BURST_NOCHECK(manager, count, slots.data());
  std::uint32_t done = 0;
  for (;;) {
    for (std::uint32_t i = 0; i < taken; ++i) static_cast<IMB_JOB*>(slots[i]->user_data)->status = slots[i]->status;
    done += taken;
    if (done == count) break;
    taken = IMB_FLUSH_BURST(manager, count - done, slots.data());
    if (taken == 0) break;
  }
  return done;
}

const char* backend_name() {
  static const std::string name = std::string("ipsec-mb ") + imb_get_version_str();
  return name.c_str();
}

}  // namespace culvert::crypto::ipsec_mb

#endif
