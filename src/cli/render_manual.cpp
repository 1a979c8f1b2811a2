// Manual SAs and the rules of the SPD as text.
#include <algorithm>

#include <fmt/format.h>

#include "cli/render.hpp"
#include "cli/text.hpp"

namespace culvert::cli {
namespace {

Color color_of_state(const std::string& state) {
  if (state == "up") return Color::green;
  return state == "waiting" ? Color::yellow : Color::red;
}

std::string selectors(const std::vector<std::string>& list, std::size_t most) {
  const auto all = [](const std::string& one) { return one == "0.0.0.0/0" || one == "::/0"; };
  return list.size() == 2 && std::ranges::all_of(list, all) ? "any" : joined(list, most);
}

}  // namespace

std::string render(const api::ManualSa& sa, const Look& look) {
  const api::ChildSa& pair = sa.sa;
  const api::Counters& c = pair.counters;
  std::string out = fmt::format("{}  {}  manual keys  ({})\n", colored(sa.name, Color::bold, look.color),
                                colored(sa.state, color_of_state(sa.state), look.color), sa.place);
  out += wrapped(sa.reason, 2);
  out += wrapped(fmt::format("{} {} {}, {}, {} <-> {}{}", sa.protocol, pair.mode, pair.suite,
                             pair.encapsulation == "udp" ? "in UDP" : "in IP", sa.local_address, sa.peer,
                             sa.policy ? "" : ", without a rule of its own"),
                 2);
  out += wrapped(fmt::format("{} <-> {}", joined(pair.local), joined(pair.remote)), 2);
  const auto direction = [](const char* name, const std::string& spi, std::uint64_t packets, std::uint64_t bytes) {
    return fmt::format("    {:<4} SPI {:<10} {:>15} packets {:>9}\n", name, spi, count_text(packets), size_text(bytes));
  };
  out += direction("in", pair.spi_inbound, c.inbound_packets, c.inbound_bytes);
  out += direction("out", pair.spi_outbound, c.outbound_packets, c.outbound_bytes);
  out += sa.sequence_granted == 0
             ? std::string("    sequence numbers are not written down\n")
             : fmt::format("    sequence number {} of {} reserved\n", c.outbound_sequence, sa.sequence_granted);
  if (c.replay_drops + c.integrity_drops > 0) {
    out += wrapped(fmt::format("dropped: {} replayed, {} with a wrong integrity check", count_text(c.replay_drops),
                               count_text(c.integrity_drops)),
                   4);
  }
  return out;
}

std::string render(const api::ManualSaList& list, const Look& look) {
  if (list.sas.empty()) return "no manual SAs\n";
  std::string out;
  for (const api::ManualSa& sa : list.sas) out += (out.empty() ? "" : "\n") + render(sa, look);
  return out;
}

std::string render(const api::PolicyList& list, const Look&) {
  if (list.policies.empty()) return "no rules: everything that reaches the interface is dropped\n";
  std::vector<std::vector<std::string>> rows = {{"#", "ACTION", "DIR", "LOCAL <-> REMOTE", "NAME", "SA", "FROM"}};
  for (const api::PolicyEntry& rule : list.policies) {
    rows.push_back({std::to_string(rule.position), rule.action, rule.direction,
                    fmt::format("{} <-> {}", selectors(rule.local, 1), selectors(rule.remote, 1)),
                    rule.name.empty() ? "-" : rule.name,
                    rule.sa.empty() ? "-" : fmt::format("{} ({})", rule.sa, rule.state.empty() ? "none" : rule.state),
                    rule.origin == rule.place ? rule.origin : fmt::format("{} {}", rule.origin, rule.place)});
  }
  return columns(rows);
}

}  // namespace culvert::cli
