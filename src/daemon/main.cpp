// culvertd: command line, configuration, then the daemon until it is told to end.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sys/prctl.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

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
  std::printf("%s is well-formed: %zu tunnels, %zu explicit rules\n", path.c_str(), loaded->tunnels.size(),
              loaded->policies.size());
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
  const int code = (*started)->exit_code();
  const bool waits = (*started)->looks_up_names();
  started->reset();
  // Routes and addresses are taken back. The io_context's end would wait for the resolver's thread, half a minute where
  // no name server answers.
  if (waits) std::_Exit(code);
  return code;
}

/// Keeps secrets from other processes and from disk, and the daemon from ending by a closed pipe.
void harden() {
  // No core file and no ptrace, whatever the unit or the shell allows: the memory holds keys.
  (void)::prctl(PR_SET_DUMPABLE, 0);
  // A log reader that ends must not end the daemon, and leave its routes behind.
  (void)std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = culvert::daemon::parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  harden();
  return run(*parsed.options);
}
