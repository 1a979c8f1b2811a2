// culvertd: command line, configuration, then the daemon until it is told to end.
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include <cstdio>

#include "config/load.hpp"
#include "daemon/daemon.hpp"
#include "daemon/log.hpp"
#include "daemon/options.hpp"

namespace {

using namespace culvert;

int check(const std::string& path, const Result<config::Config, config::Problems>& loaded) {
  const config::Problems& problems = loaded ? loaded->warnings : loaded.error();
  for (const config::Problem& problem : problems) std::fprintf(stderr, "%s\n", problem.to_string().c_str());
  if (!loaded) return daemon::kExitConfigInvalid;
  std::printf("%s is well-formed: %zu tunnels, %zu explicit rules\n", path.c_str(), loaded->tunnels.size(), loaded->policies.size());
  return daemon::kExitOk;
}

int run(const daemon::Options& options) {
  // Before the configuration is read: without root its secrets cannot be, and that would be the wrong complaint.
  if (!options.check && ::geteuid() != 0) {
    std::fprintf(stderr,
                 "culvertd: must run as root: it makes a TUN device, sets routes and opens UDP ports 500 and 4500.\n"
                 "  Start it with sudo, or as a service: systemctl start culvertd\n");
    return daemon::kExitFailed;
  }
  auto loaded = config::load(options.config);
  if (options.check || !loaded) return check(options.config, loaded);
  daemon::Log log(options.log_level.value_or(loaded->daemon.log_level));
  boost::asio::io_context io(1);
  auto started = daemon::Daemon::start(io, log, options, std::move(*loaded));
  if (!started) {
    log.write(control::Notice::Level::error, "", "cannot start: " + started.error());
    return daemon::kExitFailed;
  }
  io.run();
  return (*started)->exit_code();
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = culvert::daemon::parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  return run(*parsed.options);
}
