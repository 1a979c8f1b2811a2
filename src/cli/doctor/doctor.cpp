#include "cli/doctor/doctor.hpp"

#include <algorithm>
#include <ostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/doctor/gather.hpp"
#include "cli/doctor/judge.hpp"
#include "cli/text.hpp"

namespace culvert::cli::doctor {
namespace {

constexpr std::size_t kStateColumn = 2;
constexpr std::size_t kWhatColumn = kStateColumn + 9;
constexpr std::size_t kTextColumn = kWhatColumn + 17;

std::size_t count(const Findings& findings, State state) {
  return static_cast<std::size_t>(std::ranges::count(findings, state, &Finding::state));
}

Color color_of(State state) {
  return state == State::ok ? Color::green : state == State::note ? Color::yellow : Color::red;
}

std::string render(const Finding& finding, bool color) {
  std::string lines = wrapped(finding.found, kTextColumn);
  const std::string state(name_of(finding.state));
  std::string head = std::string(kStateColumn, ' ') + colored(state, color_of(finding.state), color) +
                     std::string(kWhatColumn - kStateColumn - state.size(), ' ');
  if (finding.what.size() + 2 <= kTextColumn - kWhatColumn) {
    head += finding.what + std::string(kTextColumn - kWhatColumn - finding.what.size(), ' ');
    lines.replace(0, std::min(lines.size(), kTextColumn), head);
  } else {
    lines.insert(0, head + finding.what + '\n');
  }
  if (finding.way_out.empty() || finding.state == State::ok) return lines;
  std::string way_out = wrapped(finding.way_out, kTextColumn + 3);
  way_out.replace(kTextColumn, 2, "->");
  return lines + way_out;
}

}  // namespace

std::string render(const Findings& findings, bool color) {
  std::string out;
  std::string group;
  for (const Finding& finding : findings) {
    if (finding.group != group) {
      out += (out.empty() ? "" : "\n") + colored(finding.group, Color::bold, color) + '\n';
      group = finding.group;
    }
    out += render(finding, color);
  }
  const std::size_t problems = count(findings, State::problem);
  const std::size_t notes = count(findings, State::note);
  const std::string text = fmt::format("{}, {}", problems == 0 ? "no problem" : plural(problems, "problem"),
                                       notes == 0 ? "no note" : plural(notes, "note"));
  const State worst = problems != 0 ? State::problem : notes != 0 ? State::note : State::ok;
  return out + '\n' + colored(text, color_of(worst), color) + '\n';
}

std::string to_json_text(const Findings& findings) {
  auto checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    const std::string state = finding.state == State::problem ? "problem" : std::string(name_of(finding.state));
    checks.push_back({{"group", finding.group}, {"what", finding.what}, {"state", state}, {"found", finding.found}});
    if (!finding.way_out.empty()) checks.back()["way_out"] = finding.way_out;
  }
  return nlohmann::ordered_json{{"ok", count(findings, State::problem) == 0},
                                {"problems", count(findings, State::problem)},
                                {"notes", count(findings, State::note)},
                                {"checks", std::move(checks)}}
      .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

ExitCode run(const Options& options, const World& world) {
  const Findings findings = judge(gather({.socket = options.socket, .config = options.doctor_path}));
  world.out << (options.json ? to_json_text(findings) + '\n' : render(findings, world.color_out));
  return count(findings, State::problem) == 0 ? ExitCode::ok : ExitCode::failed;
}

}  // namespace culvert::cli::doctor
