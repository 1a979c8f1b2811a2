#include "cli/run.hpp"

#include <algorithm>
#include <iterator>
#include <ostream>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/client.hpp"
#include "api/handlers.hpp"
#include "api/json.hpp"
#include "base/version.hpp"
#include "cli/bench.hpp"
#include "cli/doctor/doctor.hpp"
#include "cli/local_commands.hpp"
#include "cli/options.hpp"
#include "cli/render.hpp"
#include "cli/settings.hpp"
#include "cli/status_printer.hpp"
#include "cli/transforms.hpp"

namespace culvert::cli {
namespace {

constexpr int kIndent = 2;
constexpr std::chrono::seconds kDownPatience{5};
constexpr std::chrono::seconds kFollowWait{30};

ExitCode exit_code_of(const api::Error& error) {
  switch (error.code) {
    case api::ErrorCode::unreachable: return ExitCode::unreachable;
    case api::ErrorCode::config_invalid: return ExitCode::config_invalid;
    case api::ErrorCode::no_such_tunnel: return ExitCode::no_such_tunnel;
    default: return ExitCode::failed;
  }
}

/// The commands that ask the daemon.
class Conversation {
 public:
  Conversation(const Options& options, const World& world)
      : options_(options), world_(world), client_(options.socket) {}

  ExitCode up();
  ExitCode down();
  ExitCode rekey();
  ExitCode redirect();
  ExitCode status();
  ExitCode status_of_one();
  ExitCode list() { return show(client_.list()); }
  ExitCode leases() { return show(client_.leases()); }
  ExitCode why();
  ExitCode apply() { return show(client_.apply({options_.dry_run})); }
  ExitCode log();
  ExitCode sa();
  ExitCode policy();

 private:
  [[nodiscard]] Look look() const { return {world_.color_out, world_.now()}; }

  ExitCode fail(const api::CallError& error) { return fail(error.error); }
  ExitCode fail(const api::Error& error) {
    if (options_.json) {
      world_.out << api::to_json_text(error, kIndent) << '\n';
    } else {
      world_.err << render(error, {world_.color_err, world_.now()});
    }
    return exit_code_of(error);
  }

  template <typename T>
  ExitCode show(const api::Answer<T>& answer) {
    if (!answer) return fail(answer.error());
    world_.out << (options_.json ? api::to_json_text(*answer, kIndent) + '\n' : render(*answer, look()));
    return ExitCode::ok;
  }

  /// The settings of `sa add` and `policy add`, with their keys; nothing after a complaint.
  [[nodiscard]] std::optional<api::AddRequest> read_settings();
  ExitCode removed(const api::Answer<api::Removed>& answer);
  ExitCode up_failed(const api::TunnelStatus& tunnel);
  ExitCode up_succeeded(const api::TunnelStatus& tunnel, bool before);
  ExitCode not_in_time(const api::TunnelStatus& tunnel);
  /// Prints what the log says of the tunnel since the last call. An error, and what follows it, comes with the next
  /// call only: by then it is known whether it is `told`, the failure that this command ends with, and not said twice.
  void tell_story(const api::Failure* told = nullptr);

  const Options& options_;
  const World& world_;
  api::Client client_;
  std::optional<std::uint64_t> story_;
  std::vector<api::LogEntry> held_;  // of the story, not printed yet
};

void Conversation::tell_story(const api::Failure* told) {
  if (!story_ || options_.json) return;
  auto page = client_.log({.after = story_, .limit = 100, .tunnel = options_.tunnel});
  const auto tell = [&](const api::LogEntry& entry) {
    if (entry.level == api::LogLevel::debug) return;
    if (told != nullptr && entry.text.find(told->message) != std::string::npos) return;
    world_.out << "  " << entry.text << '\n';
  };
  for (const api::LogEntry& entry : std::exchange(held_, {})) tell(entry);
  if (page) {
    for (api::LogEntry& entry : page->entries) {
      const bool may_end_it = told == nullptr && (!held_.empty() || entry.level == api::LogLevel::error);
      may_end_it ? held_.push_back(std::move(entry)) : tell(entry);
    }
    story_ = page->next;
  }
  world_.out.flush();
}

ExitCode Conversation::up() {
  if (const auto page = client_.log({.limit = 1})) story_ = page->next;
  auto tunnel = client_.up(options_.tunnel);
  if (!tunnel) return fail(tunnel.error());
  if (tunnel->state == api::TunnelState::up) return up_succeeded(*tunnel, true);
  const std::uint64_t attempt = tunnel->attempts;
  const auto end = std::chrono::steady_clock::now() + options_.wait;
  while (options_.wait.count() > 0) {
    const bool failed = tunnel->last_failure && tunnel->last_failure->attempt >= attempt;
    tell_story(failed ? &*tunnel->last_failure : nullptr);
    if (tunnel->state == api::TunnelState::up) return up_succeeded(*tunnel, false);
    if (failed) return up_failed(*tunnel);
    if (std::chrono::steady_clock::now() >= end) return not_in_time(*tunnel);
    std::this_thread::sleep_for(world_.poll);
    tunnel = client_.tunnel(options_.tunnel);
    if (!tunnel) return fail(tunnel.error());
  }
  if (options_.json) return show(tunnel);
  world_.out << fmt::format("{} is {}\n", tunnel->name, api::name_of(tunnel->state));
  return ExitCode::ok;
}

ExitCode Conversation::up_succeeded(const api::TunnelStatus& tunnel, bool before) {
  if (!held_.empty()) tell_story();
  if (options_.json) return show(api::Answer<api::TunnelStatus>(tunnel));
  world_.out << fmt::format("{} is up{}", tunnel.name, before ? " already" : "");
  if (!tunnel.ike_sas.empty()) {
    const api::IkeSa& sa = tunnel.ike_sas.back();
    world_.out << fmt::format(": {} <-> {}", sa.local, sa.remote);
    if (!sa.children.empty()) world_.out << ", " << sa.children.back().suite;
  }
  world_.out << '\n';
  return ExitCode::ok;
}

ExitCode Conversation::up_failed(const api::TunnelStatus& tunnel) {
  const api::Failure& failure = *tunnel.last_failure;
  if (options_.json) {
    (void)show(api::Answer<api::TunnelStatus>(tunnel));
    return ExitCode::failed;
  }
  api::Error error{.code = api::ErrorCode::conflict,
                   .message = fmt::format("{} did not come up: {}", tunnel.name, failure.message),
                   .hint = failure.hint,
                   .field = {},
                   .problems = {}};
  if (tunnel.retry_in) error.hint += fmt::format("{}culvertd tries again by itself", error.hint.empty() ? "" : "\n");
  return fail(error);
}

ExitCode Conversation::not_in_time(const api::TunnelStatus& tunnel) {
  if (!held_.empty()) tell_story();
  if (options_.json) {
    (void)show(api::Answer<api::TunnelStatus>(tunnel));
    return ExitCode::not_in_time;
  }
  // The last step may have been the peer's. What was offered with it is for the log.
  const std::string step = tunnel.progress.substr(0, tunnel.progress.find(", offering "));
  std::string seen = fmt::format("it is {}", api::name_of(tunnel.state));
  if (step.starts_with("sent ")) {
    seen = fmt::format("the peer {} has not answered since we {}", tunnel.peer, step);
  } else if (!step.empty()) {
    seen = fmt::format("the last step with the peer {}: {}", tunnel.peer, step);
  }
  (void)fail(api::Error{.code = api::ErrorCode::conflict,
                        .message = fmt::format("{} is not up after {} s; {}", tunnel.name, options_.wait.count(), seen),
                        .hint = fmt::format("culvertd goes on trying: `culvert status {0}` and `culvert log -f {0}` "
                                            "show how; if the peer answers nothing, does it run IKEv2, and do "
                                            "firewalls let UDP ports 500 and 4500 through?",
                                            tunnel.name),
                        .field = {},
                        .problems = {}});
  return ExitCode::not_in_time;
}

ExitCode Conversation::down() {
  auto tunnel = client_.down(options_.tunnel);
  const auto end = std::chrono::steady_clock::now() + kDownPatience;
  while (tunnel && tunnel->state == api::TunnelState::closing && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(world_.poll);
    tunnel = client_.tunnel(options_.tunnel);
  }
  if (!tunnel || options_.json) return show(tunnel);
  world_.out << fmt::format("{} is {}\n", tunnel->name, api::name_of(tunnel->state));
  return ExitCode::ok;
}

ExitCode Conversation::rekey() {
  const auto result = client_.rekey(options_.tunnel, {options_.rekey});
  if (!result) return fail(result.error());
  if (options_.json) {
    world_.out << api::to_json_text(*result, kIndent) << '\n';
  } else {
    world_.out << fmt::format("{}: rekeying {} IKE and {} Child SAs\n", options_.tunnel, result->ike_sas,
                              result->child_sas);
  }
  return ExitCode::ok;
}

ExitCode Conversation::redirect() {
  const auto result = client_.redirect(options_.tunnel, {options_.gateway});
  if (!result) return fail(result.error());
  if (options_.json) {
    world_.out << api::to_json_text(*result, kIndent) << '\n';
  } else {
    world_.out << fmt::format("{}: sending the peers of {} IKE SAs to {}, as far as they can follow\n", options_.tunnel,
                              result->ike_sas, options_.gateway);
  }
  return ExitCode::ok;
}

ExitCode Conversation::status() {
  if (!options_.tunnel.empty()) return status_of_one();
  StatusPrinter printer(world_.out, look(), options_.json ? std::optional(kIndent) : std::nullopt);
  const auto done = client_.each_status({}, [&](api::Status part) { printer.take(std::move(part)); });
  if (!done) return fail(done.error());
  printer.finish();
  return ExitCode::ok;
}

ExitCode Conversation::status_of_one() {
  std::optional<api::TunnelStatus> whole;
  const auto done = client_.each_status(options_.tunnel, [&](api::Status part) {
    for (api::TunnelStatus& tunnel : part.tunnels) {
      if (!whole) {
        whole = std::move(tunnel);
      } else {
        std::ranges::move(tunnel.ike_sas, std::back_inserter(whole->ike_sas));
      }
    }
  });
  if (!done) return fail(done.error());
  if (!whole) return fail(api::no_such_tunnel(options_.tunnel));
  return show(api::Answer<api::TunnelStatus>(std::move(*whole)));
}

std::optional<api::AddRequest> Conversation::read_settings() {
  std::string warning;
  auto request = add_request(options_.tunnel, options_.settings, world_.in, warning);
  if (!warning.empty()) world_.err << "culvert: warning: " << warning << '\n';
  if (request) return std::move(*request);
  (void)fail(api::Error{api::ErrorCode::bad_request, request.error(), "See: culvert.toml(5)", {}, {}});
  return std::nullopt;
}

ExitCode Conversation::removed(const api::Answer<api::Removed>& answer) {
  if (!answer) return fail(answer.error());
  world_.out << (options_.json ? api::to_json_text(*answer, kIndent) : fmt::format("{} is removed", answer->name))
             << '\n';
  return ExitCode::ok;
}

ExitCode Conversation::sa() {
  if (options_.verb == Verb::del) return removed(client_.remove_sa(options_.tunnel));
  if (options_.verb == Verb::add) {
    auto request = read_settings();
    if (!request) return ExitCode::usage;
    const auto added = client_.add_sa(*request);
    wipe_keys(*request);
    const ExitCode code = show(added);
    // Refused: it stands and is tried again, but carries nothing.
    return added && (added->state == "refused" || added->state == "ended") ? ExitCode::failed : code;
  }
  auto list = client_.manual_sas();
  if (list && !options_.tunnel.empty()) {
    std::erase_if(list->sas, [&](const api::ManualSa& sa) { return sa.name != options_.tunnel; });
    if (list->sas.empty()) {
      return fail(api::Error{api::ErrorCode::not_found,
                             fmt::format("there is no manual SA {}", options_.tunnel),
                             "Run: culvert sa list",
                             {},
                             {}});
    }
  }
  return show(list);
}

ExitCode Conversation::policy() {
  if (options_.verb == Verb::del) return removed(client_.remove_policy(options_.tunnel));
  if (options_.verb == Verb::list) return show(client_.policies());
  const auto request = read_settings();
  return request ? show(client_.add_policy(*request)) : ExitCode::usage;
}

ExitCode Conversation::log() {
  auto page = client_.log({.limit = options_.lines, .tunnel = options_.tunnel});
  if (!page) return fail(page.error());
  if (options_.json && !options_.follow) {
    world_.out << api::to_json_text(*page, kIndent) << '\n';
    return ExitCode::ok;
  }
  while (true) {
    if (page->lost > 0 && !options_.json) world_.err << fmt::format("({} entries were not kept)\n", page->lost);
    for (const api::LogEntry& entry : page->entries) {
      world_.out << (options_.json ? api::to_json_text(entry) + '\n' : render(entry, look()));
    }
    world_.out.flush();
    if (!options_.follow || !world_.follow_on()) return ExitCode::ok;
    page = client_.log({.after = page->next, .limit = 1000, .tunnel = options_.tunnel, .wait = kFollowWait});
    if (!page) return fail(page.error());
  }
}

ExitCode Conversation::why() {
  auto list = client_.failures();
  if (!list) return fail(list.error());
  const auto is_other = [&](const api::PeerFailure& one) {
    return one.tunnel != options_.who && one.peer != options_.who &&
           one.identity.find(options_.who) == std::string::npos;
  };
  if (!options_.who.empty()) std::erase_if(list->failures, is_other);
  return show(list);
}

ExitCode dispatch(const Options& options, const World& world) {
  Conversation conversation(options, world);
  switch (options.command) {
    case Command::up: return conversation.up();
    case Command::down: return conversation.down();
    case Command::rekey: return conversation.rekey();
    case Command::redirect: return conversation.redirect();
    case Command::status: return conversation.status();
    case Command::list: return conversation.list();
    case Command::leases: return conversation.leases();
    case Command::why: return conversation.why();
    case Command::apply: return conversation.apply();
    case Command::log: return conversation.log();
    case Command::sa: return conversation.sa();
    case Command::policy: return conversation.policy();
    case Command::check: return check(options, world);
    case Command::keygen: return keygen(options, world);
    case Command::transforms: return list_transforms(options, world);
    case Command::version: return version(options, world);
    case Command::bench: return bench_ike(options, world);
    case Command::doctor: return doctor::run(options, world);
  }
  return ExitCode::usage;
}

}  // namespace

ExitCode run(std::vector<std::string> arguments, const World& world) {
  const ParsedOptions parsed = parse_options(std::move(arguments));
  if (!parsed.options) {
    (parsed.exit_code == 0 ? world.out : world.err) << parsed.text;
    return static_cast<ExitCode>(parsed.exit_code);
  }
  return dispatch(*parsed.options, world);
}

}  // namespace culvert::cli
