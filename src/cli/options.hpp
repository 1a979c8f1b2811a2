// The command line of culvert.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/schema.hpp"

namespace culvert::cli {

enum class Command : std::uint8_t {
  up,
  down,
  rekey,
  redirect,
  status,
  list,
  leases,
  why,
  apply,
  check,
  log,
  keygen,
  transforms,
  version,
  sa,
  policy,
  bench,
  doctor
};
/// Of `sa` and `policy`.
enum class Verb : std::uint8_t { list, add, del };

/// Of `bench ike`.
struct BenchOptions {
  std::string peer;
  std::string local;
  std::string secret_file;
  std::string certificate;  // instead of the secret; "{}" is the initiator's number, in private_key likewise
  std::string private_key;
  std::string authority;
  std::string local_id = "site{}.example";
  std::string remote_id;
  std::string inner = "10.0.0.0/8";
  std::string remote = "0.0.0.0/0";
  bool pool = false;
  std::string ike;  // a suite as in culvert.toml; empty: the defaults
  std::string esp;
  std::size_t initiators = 1000;
  std::size_t at_once = 16;
  bool rekey = false;
  unsigned hold = 0;            // seconds
  std::vector<int> responders;  // process ids
};

struct Options {
  Command command = Command::status;
  std::string socket;
  bool json = false;
  std::string tunnel;  // up, down, rekey; empty for status and log: all
  std::chrono::seconds wait{20};
  api::RekeyWhat rekey = api::RekeyWhat::child;
  std::string gateway;  // redirect
  std::string who;      // why; empty: all
  bool dry_run = false;
  std::string path;         // check
  std::string doctor_path;  // empty: the running daemon's, else the default
  bool follow = false;
  std::size_t lines = 50;
  Verb verb = Verb::list;             // sa, policy
  std::vector<std::string> settings;  // sa add, policy add: SETTING=VALUE
  BenchOptions bench;
  std::string output;  // keygen; empty: standard output
  bool key = false;    // keygen: a key pair instead of a secret
};

/// Either options, or the exit code to end with at once and the text to print (help, or what is wrong).
struct ParsedOptions {
  std::optional<Options> options;
  int exit_code = 0;
  std::string text;
};
/// `arguments` without the program's name.
[[nodiscard]] ParsedOptions parse_options(std::vector<std::string> arguments);

}  // namespace culvert::cli
