#include "daemon/log.hpp"

#include <chrono>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace culvert::daemon {
namespace {

spdlog::level::level_enum spdlog_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::trace: return spdlog::level::trace;
    case config::LogLevel::debug: return spdlog::level::debug;
    case config::LogLevel::info: return spdlog::level::info;
    case config::LogLevel::warning: return spdlog::level::warn;
    case config::LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

struct Levels {
  spdlog::level::level_enum spdlog;
  api::LogLevel api;
};

Levels levels_of(control::Notice::Level level) {
  switch (level) {
    case control::Notice::Level::debug: return {spdlog::level::debug, api::LogLevel::debug};
    case control::Notice::Level::info: return {spdlog::level::info, api::LogLevel::info};
    case control::Notice::Level::warning: return {spdlog::level::warn, api::LogLevel::warning};
    case control::Notice::Level::error: return {spdlog::level::err, api::LogLevel::error};
  }
  return {spdlog::level::info, api::LogLevel::info};
}

}  // namespace

Log::Log(config::LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("culvertd", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  // Under systemd the journal stamps the lines itself.
  logger->set_pattern(std::getenv("JOURNAL_STREAM") != nullptr ? "%l: %v" : "%H:%M:%S.%e %^%-7l%$ %v");
  spdlog::set_default_logger(std::move(logger));
  set_level(level);
}

void Log::set_level(config::LogLevel level) { spdlog::set_level(spdlog_level(level)); }

void Log::write(control::Notice::Level level, const std::string& tunnel, const std::string& text) {
  const Levels levels = levels_of(level);
  if (tunnel.empty()) {
    spdlog::log(levels.spdlog, "{}", text);
  } else {
    spdlog::log(levels.spdlog, "{}: {}", tunnel, text);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  ring_.append(std::chrono::duration_cast<std::chrono::milliseconds>(now).count(), levels.api, tunnel, text);
}

}  // namespace culvert::daemon
