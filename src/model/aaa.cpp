#include "model/aaa.hpp"

namespace culvert::model {

std::string_view name_of(TerminateCause cause) {
  switch (cause) {
    case TerminateCause::none: return "none";
    case TerminateCause::user_request: return "User-Request";
    case TerminateCause::lost_service: return "Lost-Service";
    case TerminateCause::idle_timeout: return "Idle-Timeout";
    case TerminateCause::session_timeout: return "Session-Timeout";
    case TerminateCause::admin_reset: return "Admin-Reset";
    case TerminateCause::nas_error: return "NAS-Error";
    case TerminateCause::nas_request: return "NAS-Request";
    case TerminateCause::nas_reboot: return "NAS-Reboot";
    case TerminateCause::port_preempted: return "Port-Preempted";
  }
  return "unknown";
}

}  // namespace culvert::model
