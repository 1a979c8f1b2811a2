// Exit codes of the culvert command, as --help and docs/man/culvert.1.md list them.
#pragma once

namespace culvert::cli {

enum class ExitCode : int {
  ok = 0,
  failed = 1,          // the daemon, or the peer, could not do it; the message says why
  usage = 2,           // wrong command line
  unreachable = 3,     // no daemon answers at the socket
  config_invalid = 4,  // the configuration has errors
  no_such_tunnel = 5,
  not_in_time = 6,  // `up`: not up within --wait; the daemon goes on trying
};

}  // namespace culvert::cli
