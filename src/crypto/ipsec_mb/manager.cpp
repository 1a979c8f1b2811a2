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

const char* backend_name() {
  static const std::string name = std::string("ipsec-mb ") + imb_get_version_str();
  return name.c_str();
}

}  // namespace culvert::crypto::ipsec_mb

#endif
