// Log: one line per thing worth telling, to standard error (the journal under systemd) and to the ring behind `culvert
// log`.
#pragma once

#include <string>

#include "api/log_ring.hpp"
#include "config/config.hpp"
#include "control/outputs.hpp"

namespace culvert::daemon {

class Log {
 public:
  explicit Log(config::LogLevel level);
  void set_level(config::LogLevel level);
  void write(control::Notice::Level level, const std::string& tunnel, const std::string& text);
  void write(const control::Notice& notice) { write(notice.level, notice.tunnel, notice.text); }
  [[nodiscard]] api::LogRing& ring() { return ring_; }

 private:
  api::LogRing ring_;
};

}  // namespace culvert::daemon
