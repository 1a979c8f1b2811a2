#include "cli/bench.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/credential_files.hpp"
#include "config/words.hpp"
#include "io/clock.hpp"
#include "load/ike_load.hpp"

namespace culvert::cli {
namespace {

/// What the responder's processes have used: CPU time of all their threads, and resident memory.
struct Usage {
  double cpu_seconds = 0;
  double kilobytes = 0;
};

Usage usage_of(const std::vector<int>& pids) {
  Usage sum;
  for (const int pid : pids) {
    std::error_code error;
    for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
      double nanoseconds = 0;
      if (std::ifstream(thread.path() / "schedstat") >> nanoseconds) sum.cpu_seconds += nanoseconds * 1e-9;
    }
    double pages = 0;
    if (std::ifstream(fmt::format("/proc/{}/statm", pid)) >> pages >> pages)
      sum.kilobytes += pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024;
  }
  return sum;
}

/// What cannot be done, and the way out.
struct Complaint {
  std::string text;
};

template <typename T>
T wanted(std::optional<T> parsed, std::string_view option, const std::string& text, std::string_view what) {
  if (!parsed) throw Complaint{fmt::format("{}: \"{}\" is not {}", option, text, what)};
  return std::move(*parsed);
}

std::vector<model::Proposal> proposals(model::ProtocolId protocol, std::string_view option, const std::string& text) {
  auto parsed = model::parse_proposal(protocol, text);
  if (!parsed) throw Complaint{fmt::format("{}: {}", option, parsed.error())};
  parsed->number = 1;
  return {std::move(*parsed)};
}

SecretBytes read_secret(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw Complaint{fmt::format("--secret-file: cannot read a line of {}", path)};
  auto secret = config::parse_secret(line);
  wipe({reinterpret_cast<std::uint8_t*>(line.data()), line.size()});
  if (!secret) throw Complaint{fmt::format("--secret-file: {}: {}", path, secret.error())};
  return std::move(*secret);
}

/// A file's content or, of one that is shared, what was made of it before.
template <typename T>
const T& from_files(Result<T, config::FileFault> const& read) {
  if (!read) throw Complaint{read.error().message};
  return *read;
}

void read_credentials(const BenchOptions& options, load::IkeLoadOptions& made) {
  const auto path_of = [](std::string path, std::size_t n) {
    if (const std::size_t at = path.find("{}"); at != std::string::npos) path.replace(at, 2, std::to_string(n));
    return path;
  };
  config::CredentialFiles files(io::wall_clock().seconds);
  (void)from_files(files.certificates(options.authority));
  const auto& trust = files.trust({options.authority}, {});
  made.authorities = trust.authorities;
  for (std::size_t n = 0; n < options.initiators; ++n) {
    ike::v2::Credentials one{
        .certificates = {}, .key = from_files(files.key(path_of(options.private_key, n))), .peer = trust.store};
    for (const crypto::Certificate& certificate : from_files(files.certificates(path_of(options.certificate, n))))
      one.certificates.push_back(certificate.der());
    made.credentials.push_back(std::move(one));
  }
}

load::IkeLoadOptions to_load(const BenchOptions& options) {
  load::IkeLoadOptions made;
  made.peer = wanted(net::IpAddress::parse(options.peer), "PEER", options.peer, "an IP address");
  made.local = wanted(net::IpAddress::parse(options.local), "--local", options.local, "an IP address");
  if (made.peer.family() != made.local.family()) throw Complaint{"PEER and --local are of different families"};
  made.request_address = options.pool;
  made.inner = wanted(net::Prefix::parse(options.inner), "--inner", options.inner, "a prefix");
  made.remote = wanted(net::Prefix::parse(options.remote), "--remote", options.remote, "a prefix");
  if (options.local_id.find("{}") == std::string::npos || std::ranges::count(options.local_id, '{') != 1 ||
      std::ranges::count(options.local_id, '}') != 1)
    throw Complaint{fmt::format("--local-id: \"{}\" must have one {{}} for the number", options.local_id)};
  made.local_id = options.local_id;
  made.remote_id = options.remote_id;
  made.initiators = options.initiators;
  made.at_once = options.at_once;
  made.rekey = options.rekey;
  made.hold = std::chrono::seconds(options.hold);
  if (options.certificate.empty() && options.secret_file.empty())
    throw Complaint{"--secret-file or --certificate is needed"};
  if (options.certificate.empty()) {
    made.secret = read_secret(options.secret_file);
  } else {
    read_credentials(options, made);
  }
  if (!options.ike.empty()) made.ike_proposals = proposals(model::ProtocolId::ike, "--ike", options.ike);
  if (!options.esp.empty()) made.esp_proposals = proposals(model::ProtocolId::esp, "--esp", options.esp);
  return made;
}

struct PhaseReport {
  std::string name;
  Usage before;
  Usage used;
};

nlohmann::json to_json(const load::IkeLoadPhase& phase, const PhaseReport& report, bool responder) {
  nlohmann::json made{{"done", phase.done},
                      {"seconds", phase.seconds},
                      {"per_second", phase.seconds > 0 ? static_cast<double>(phase.done) / phase.seconds : 0.0},
                      {"milliseconds",
                       {{"p50", phase.percentile(0.5)},
                        {"p90", phase.percentile(0.9)},
                        {"p99", phase.percentile(0.99)},
                        {"max", phase.percentile(1)}}},
                      {"failures", phase.failures}};
  if (responder && phase.done > 0) {
    made["responder_cpu_ms"] = report.used.cpu_seconds * 1e3 / static_cast<double>(phase.done);
    made["responder_kilobytes"] = report.used.kilobytes / static_cast<double>(phase.done);
    if (phase.seconds > 0) made["responder_core_share"] = report.used.cpu_seconds / phase.seconds;
  }
  return made;
}

void print(const World& world, const nlohmann::json& phase, const std::string& name) {
  const nlohmann::json& ms = phase["milliseconds"];
  world.out << fmt::format(
      "{}: {} done, {:.0f} per second; median {:.2f} ms, 90 % {:.2f} ms, 99 % {:.2f} ms, longest {:.2f} ms\n", name,
      phase["done"].get<std::size_t>(), phase["per_second"].get<double>(), ms["p50"].get<double>(),
      ms["p90"].get<double>(), ms["p99"].get<double>(), ms["max"].get<double>());
  if (phase.contains("responder_cpu_ms")) {
    world.out << fmt::format("  the responder: {:.3f} ms of CPU and {:.1f} kB of memory for each; {:.1f} % of a core\n",
                             phase["responder_cpu_ms"].get<double>(), phase["responder_kilobytes"].get<double>(),
                             phase.value("responder_core_share", 0.0) * 100);
  }
  for (const auto& [reason, count] : phase["failures"].items())
    world.out << fmt::format("  {} failed: {}\n", count.get<std::size_t>(), reason);
}

}  // namespace

ExitCode bench_ike(const Options& options, const World& world) {
  try {
    const load::IkeLoadOptions wish = to_load(options.bench);
    const std::vector<int>& pids = options.bench.responders;
    std::vector<PhaseReport> reports;
    const auto result = load::run_ike_load(wish, [&](std::string_view name) {
      const Usage now = usage_of(pids);
      if (!reports.empty()) {
        PhaseReport& last = reports.back();
        last.used = {now.cpu_seconds - last.before.cpu_seconds, now.kilobytes - last.before.kilobytes};
      }
      if (!name.empty()) reports.push_back({std::string(name), now, {}});
    });
    if (!result) throw Complaint{result.error()};
    nlohmann::json all{{"initiators", wish.initiators},
                       {"at_once", wish.at_once},
                       {"retransmissions", result->retransmissions},
                       {"phases", nlohmann::json::object()}};
    std::vector<const load::IkeLoadPhase*> phases{&result->set_up};
    if (wish.rekey) phases.insert(phases.end(), {&result->rekey_ike, &result->rekey_child});
    phases.push_back(&result->hold);
    bool failed = false;
    for (std::size_t i = 0; i < reports.size(); ++i) {
      all["phases"][reports[i].name] = to_json(*phases[i], reports[i], !pids.empty());
      failed = failed || !phases[i]->failures.empty();
      if (!options.json) print(world, all["phases"][reports[i].name], reports[i].name);
    }
    if (options.json) {
      world.out << all.dump(2) << '\n';
    } else {
      world.out << fmt::format("{} requests were sent again\n", result->retransmissions);
    }
    return failed ? ExitCode::failed : ExitCode::ok;
  } catch (const Complaint& complaint) {
    if (options.json) {
      world.out << nlohmann::json{{"error", complaint.text}}.dump(2) << '\n';
    } else {
      world.err << "culvert: " << complaint.text << '\n';
    }
    return ExitCode::failed;
  }
}

}  // namespace culvert::cli
