#include "cli/local_commands.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <ostream>

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/json.hpp"
#include "base/version.hpp"
#include "cli/render.hpp"
#include "cli/text.hpp"
#include "config/load.hpp"
#include "config/words.hpp"
#include "crypto/signature.hpp"

namespace culvert::cli {
namespace {

constexpr std::size_t kSecretOctets = 32;

api::Problem to_api(const config::Problem& problem) {
  return {problem.severity == config::Severity::error ? "error" : "warning",
          problem.position.file,
          problem.position.line,
          problem.position.column,
          problem.field,
          problem.message,
          problem.hint};
}

ExitCode fail(const Options& options, const World& world, std::string message, std::string hint) {
  const api::Error error{api::ErrorCode::internal, std::move(message), std::move(hint), {}, {}};
  if (options.json) {
    world.out << api::to_json_text(error, 2) << '\n';
  } else {
    world.err << render(error, {world.color_err, 0});
  }
  return ExitCode::failed;
}

/// Writes to a file that must not be there yet. The error number, 0 on success.
int write_new_file(const std::string& path, std::string_view text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return errno;
  int code = 0;
  if (::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) code = errno != 0 ? errno : EIO;
  if (::close(file) != 0 && code == 0) code = errno;
  if (code != 0) ::unlink(path.c_str());
  return code;
}

}  // namespace

ExitCode check(const Options& options, const World& world) {
  const auto config = config::load(options.path);
  api::CheckResult result{.ok = config.has_value(), .files = {}, .tunnels = {}, .problems = {}};
  for (const config::Problem& problem : config ? config->warnings : config.error())
    result.problems.push_back(to_api(problem));
  if (config) {
    result.files = config->files;
    for (const auto& tunnel : config->tunnels) result.tunnels.push_back(tunnel.connection.name);
  }
  const ExitCode code = result.ok ? ExitCode::ok : ExitCode::config_invalid;
  if (options.json) {
    world.out << api::to_json_text(result, 2) << '\n';
    return code;
  }
  std::size_t errors = 0;
  for (const api::Problem& problem : result.problems) {
    world.out << render(problem, {world.color_out, 0});
    if (problem.severity == "error") ++errors;
  }
  if (result.ok) {
    world.out << wrapped(fmt::format("{}: good, {}{}{}", options.path, plural(result.tunnels.size(), "tunnel"),
                                     result.tunnels.empty() ? "" : ": ", joined(result.tunnels)),
                         0);
  } else {
    world.out << fmt::format("{}: {}\n", options.path, plural(errors, "error"));
  }
  return code;
}

namespace {

ExitCode make_key_pair(const Options& options, const World& world) {
  if (options.output.empty())
    return fail(options, world, "a private key is not shown", "name a new file for it: culvert keygen --key -o FILE");
  const auto key = crypto::PrivateKey::generate();
  if (!key) return fail(options, world, "OpenSSL makes no Ed25519 key", {});
  const SecretBytes pem = key->pem();
  if (const int code = write_new_file(options.output, {reinterpret_cast<const char*>(pem.view().data()), pem.size()});
      code != 0) {
    return fail(options, world, fmt::format("cannot make {}: {}", options.output, std::strerror(code)),
                code == EEXIST ? "a key is never overwritten: remove the file, or name another" : "");
  }
  const std::string shown = config::to_base64(key->public_key().spki());
  if (options.json) {
    world.out << nlohmann::ordered_json{{"file", options.output}, {"public_key", shown}}.dump(2) << '\n';
  } else {
    world.out << fmt::format("{} holds a new private key: private_key = \"{}\"\non the peer: peer_key = \"{}\"\n",
                             options.output, options.output, shown);
  }
  return ExitCode::ok;
}

}  // namespace

ExitCode keygen(const Options& options, const World& world) {
  if (options.key) return make_key_pair(options, world);
  SecretBytes octets(kSecretOctets);
  if (::getrandom(octets.mutable_view().data(), octets.size(), 0) != static_cast<ssize_t>(octets.size())) {
    return fail(options, world, fmt::format("the system gives no random octets: {}", std::strerror(errno)), {});
  }
  const std::string secret = "0s" + config::to_base64(octets.view());
  if (!options.output.empty()) {
    if (const int code = write_new_file(options.output, secret + '\n'); code != 0) {
      return fail(options, world, fmt::format("cannot make {}: {}", options.output, std::strerror(code)),
                  code == EEXIST ? "a secret is never overwritten: remove the file, or name another" : "");
    }
    if (options.json) {
      world.out << nlohmann::ordered_json{{"file", options.output}}.dump(2) << '\n';
    } else {
      world.out << fmt::format("{} holds a new secret: secret_file = \"{}\"\n", options.output, options.output);
    }
    return ExitCode::ok;
  }
  world.out << (options.json ? nlohmann::ordered_json{{"secret", secret}}.dump(2) : secret) << '\n';
  return ExitCode::ok;
}

ExitCode version(const Options& options, const World& world) {
  if (options.json) {
    world.out << nlohmann::ordered_json{{"version", std::string(kVersion)}, {"api", api::kApiVersion}}.dump(2) << '\n';
  } else {
    world.out << "culvert " << kVersion << '\n';
  }
  return ExitCode::ok;
}

}  // namespace culvert::cli
