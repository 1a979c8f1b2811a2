// What this process may do of what an IPsec daemon needs: the capabilities of Linux that are in force.
#pragma once

namespace culvert::io {

struct ProcessRights {
  bool root = false;              // effective user id 0
  bool net_admin = false;         // TUN, routes, firewall marks, socket buffers beyond the limit
  bool net_raw = false;           // protocols 50 and 51
  bool net_bind_service = false;  // UDP ports below the system's bound, 1024 unless changed
};

/// Of the calling thread, at the time of the call.
[[nodiscard]] ProcessRights process_rights();

}  // namespace culvert::io
