#include "daemon/options.hpp"

#include <CLI/CLI.hpp>

#include "base/version.hpp"

namespace culvert::daemon {

ParsedOptions parse_options(int argc, char** argv) {
  Options options;
  std::string level;
  CLI::App app("culvertd: the Culvert IPsec daemon. Negotiates with IKEv2 and carries ESP in userspace.", "culvertd");
  app.set_version_flag("--version", std::string("culvertd ") + std::string(kVersion));
  app.add_option("-c,--config", options.config, "Configuration: a file, or a folder of *.toml")->capture_default_str();
  app.add_option("-s,--socket", options.socket,
                 "Control socket for the culvert command (default: [daemon] socket, else " +
                     std::string(config::kDefaultSocket) + ")");
  app.add_option("--state", options.state,
                 "Folder for what must outlive culvertd (default: [daemon] state, else " +
                     std::string(config::kDefaultState) + ")");
  app.add_option("--log-level", level, "trace, debug, info, warning or error; over [daemon] log_level");
  app.add_flag("--check", options.check, "Only check the configuration, then end");
  app.footer(
      "Runs in the foreground and logs to standard error. SIGHUP reads the configuration again, SIGTERM and SIGINT end "
      "it after telling\n"
      "the peers. Exit codes: 0 ended on request, 1 could not start or failed, 2 wrong command line, 4 configuration "
      "has errors.\n"
      "See also: culvert --help, culvertd(8), culvert.toml(5).");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return {std::nullopt, code == 0 ? kExitOk : kExitUsage};
  }
  if (!level.empty()) {
    options.log_level = config::parse_log_level(level);
    if (!options.log_level) {
      std::fprintf(stderr, "culvertd: --log-level %s: choose trace, debug, info, warning or error\n", level.c_str());
      return {std::nullopt, kExitUsage};
    }
  }
  return {std::move(options), kExitOk};
}

}  // namespace culvert::daemon
