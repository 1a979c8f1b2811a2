#include "io/clear_packet_filter.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <errno.h>

#include <fmt/format.h>

#include "io/clear_packet_joins.hpp"
#include "io/nftables_session.hpp"
#include "io/reverse_path.hpp"

namespace culvert::io {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmpv6 = 58;

// "add" first, so that "delete" never fails for want of a table; all three take effect at once or not at all.
constexpr std::string_view kRemove = "add table inet culvert\ndelete table inet culvert\n";

// ARP is answered along the route back, too: a peer on the same link would never find this host.
constexpr std::string_view kRemoveArp = "add table arp culvert\ndelete table arp culvert\n";
std::string arp_text(std::uint32_t mark) {
  return fmt::format(
      "{}table arp culvert {{\n"
      "  chain arriving {{\n"
      "    type filter hook input priority -190; policy accept;\n"
      "    meta mark set {}\n"
      "  }}\n}}\n",
      kRemoveArp, mark);
}

std::string text_of(const net::AddressRange& range) {
  const std::string first = range.first.to_string();
  const std::string last = range.last.to_string();
  return first == last ? first : first + "-" + last;
}

/// A set where there are several: one look-up for all of them.
std::string addresses(std::string_view word, const std::vector<net::AddressRange>& ranges) {
  const net::AddressRange& first = ranges.front();
  if (first == net::AddressRange::all(first.family())) return {};
  std::string text = first.family() == net::Family::v4 ? "ip " : "ip6 ";
  text += word;
  text += ranges.size() == 1 ? " " : " { ";
  for (const net::AddressRange& range : ranges) {
    if (&range != &first) text += ", ";
    text += text_of(range);
  }
  text += ranges.size() == 1 ? " " : " } ";
  return text;
}

std::string span(unsigned first, unsigned last) {
  return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
}

std::string ports(std::string_view word, const ClearPacketRule::Ports& range) {
  return range.any() ? std::string() : fmt::format("th {} {} ", word, span(range.first, range.last));
}

// The matches that a range of type << 8 | code needs: types whole, and parts of those at its ends. A wider match would
// let in what the selector does not (RFC 4301 4.4.1.1), and its neighbours' rules come too late for it.
std::vector<std::string> icmp(std::string_view header, const ClearPacketRule::Ports& range) {
  if (range.any()) return {std::string()};
  const unsigned first_type = range.first >> 8;
  const unsigned first_code = range.first & 0xff;
  const unsigned last_type = range.last >> 8;
  const unsigned last_code = range.last & 0xff;
  const auto part = [&](unsigned type, unsigned from, unsigned to) {
    return fmt::format("{} type {} {} code {} ", header, type, header, span(from, to));
  };
  const unsigned whole = first_code == 0 ? first_type : first_type + 1;
  const unsigned whole_end = last_code == 0xff ? last_type + 1 : last_type;
  if (first_type == last_type && whole >= whole_end) return {part(first_type, first_code, last_code)};
  std::vector<std::string> matches;
  if (first_code != 0) matches.push_back(part(first_type, first_code, 0xff));
  if (whole < whole_end) matches.push_back(fmt::format("{} type {} ", header, span(whole, whole_end - 1)));
  if (last_code != 0xff) matches.push_back(part(last_type, 0, last_code));
  return matches;
}

/// Each with its end of line. What is accepted for this host gets `mark` (a statement of nftables, or nothing). What is
/// forwarded does not: there the mark would choose the way on.
std::string rule_texts(const JoinedRule& joined, const std::string& mark) {
  const ClearPacketRule& rule = joined.rule;
  const bool v4 = rule.source.family() == net::Family::v4;
  std::string common = v4 ? "    meta nfproto ipv4 " : "    meta nfproto ipv6 ";
  common += addresses("saddr", joined.sources) + addresses("daddr", joined.destinations);
  if (rule.later_fragments_only) common += v4 ? "ip frag-off & 0x1fff != 0 " : "frag frag-off != 0 ";
  if (rule.protocol != 0) common += fmt::format("meta l4proto {} ", rule.protocol);
  const std::string verdict = rule.accept ? "accept\n" : "counter name dropped drop\n";
  const auto whole = [&](const std::string& match) {
    const std::string marking = rule.accept && !mark.empty() ? match + "fib daddr type local " + mark + "\n" : "";
    return marking + match + verdict;
  };
  if (rule.protocol != kIcmp && rule.protocol != kIcmpv6)
    return whole(common + ports("sport", rule.source_ports) + ports("dport", rule.destination_ports));
  std::string text;
  for (const std::string& match : icmp(rule.protocol == kIcmp ? "icmp" : "icmpv6", rule.source_ports))
    text += whole(common + match);
  return text;
}

/// Lets through at once what no rule can drop, whatever else it is: a packet whose source lies outside of everything
/// from the first to the last protected source of its family. Mostly that is all outer packets, which would else pass
/// through look-ups in sets and routes one by one.
std::string outsiders_text(const std::vector<ClearPacketRule>& rules, net::Family family) {
  std::optional<net::AddressRange> hull;
  for (const ClearPacketRule& rule : rules) {
    if (rule.accept || rule.source.family() != family) continue;
    if (!hull) hull = rule.source;
    hull->first = std::min(hull->first, rule.source.first);
    hull->last = std::max(hull->last, rule.source.last);
  }
  const bool v4 = family == net::Family::v4;
  if (!hull) return fmt::format("    meta nfproto {} accept\n", v4 ? "ipv4" : "ipv6");
  if (*hull == net::AddressRange::all(family)) return {};
  return fmt::format("    {} saddr != {} accept\n", v4 ? "ip" : "ip6", text_of(*hull));
}

/// Whether nftables' language can name the interface; the kernel allows almost anything.
bool can_be_quoted(const std::string& interface) { return interface.find_first_of("\"\\*\n") == std::string::npos; }

/// The set that names these interfaces, or nothing. nftables has no empty list of elements.
std::string switched_on_text(const std::set<std::string>& interfaces) {
  if (interfaces.empty()) return {};
  std::string elements;
  for (const std::string& one : interfaces) elements += fmt::format("{}\"{}\"", elements.empty() ? "" : ", ", one);
  return fmt::format("  set marked_sources {{ type ifname; elements = {{ {} }}; }}\n", elements);
}

}  // namespace

std::string ClearPacketFilter::text(const ClearPacketOptions& options, const std::vector<ClearPacketRule>& rules,
                                    const ReversePathNeeds& needs) {
  std::string text(kRemove);
  if (rules.empty()) return text;
  const std::string mark =
      needs.strict && options.mark != 0 ? fmt::format("meta mark set {} ", options.mark) : std::string();
  // RFC 9329: as UDP's ports below; and what comes back on connections of our own.
  std::string streams;
  if (!options.listen_tcp.empty())
    streams += fmt::format("    fib daddr type local tcp dport {{ {} }} {}accept\n",
                           fmt::join(options.listen_tcp, ", "), mark);
  if (options.own_streams && options.mark != 0)
    streams += fmt::format("    fib daddr type local meta l4proto tcp socket mark {} {}accept\n", options.mark, mark);
  const std::string tun =
      options.tun_index == 0 ? std::string() : fmt::format("    iif {} accept\n", options.tun_index);
  // Not where some of them need the mark.
  std::string outsiders;
  if (mark.empty()) outsiders = outsiders_text(rules, net::Family::v4) + outsiders_text(rules, net::Family::v6);
  text += fmt::format(
      "table inet culvert {{\n"
      "  counter dropped {{ }}\n"
      "{4}"
      "  chain arriving {{\n"
      // Behind connection tracking's defragmentation where that is in use, before NAT and everybody's filters.
      "    type filter hook prerouting priority -190; policy accept;\n"
      "{7}{6}"
      "    iifname {{ \"lo\", \"{0}\" }} accept\n"
      "    fib daddr type local meta l4proto {{ 50, 51 }} {3}accept\n"
      "    fib daddr type local udp dport {{ {1}, {2} }} {3}accept\n"
      "{5}"
      // RFC 4303 3.3.4: ESP and AH come in fragments too, of which the later ones do not show what they are (AH's not
      // even its number in IPv6). To this host nothing gets through by them: it puts them together behind their first
      // one, which shows it and is judged by it.
      "    fib daddr type local ip frag-off & 0x1fff != 0 {3}accept\n"
      "    fib daddr type local frag frag-off != 0 {3}accept\n"
      // RFC 4861: the link itself must work; these never cross a router.
      "    icmpv6 type {{ 130-137, 143 }} ip6 hoplimit {{ 1, 255 }} accept\n",
      options.tun_name, options.ike_port, options.nat_port, mark, switched_on_text(needs.switched_on), streams,
      outsiders, tun);
  for (const JoinedRule& rule : join_rules(rules)) text += rule_texts(rule, mark);
  text += "  }\n}\n";
  return text;
}

ClearPacketFilter::ClearPacketFilter(ClearPacketOptions options)
    : options_(std::move(options)), session_(std::make_unique<NftablesSession>()) {}
ClearPacketFilter::ClearPacketFilter(ClearPacketFilter&& other) noexcept
    : options_(std::move(other.options_)),
      session_(std::move(other.session_)),
      rules_(std::move(other.rules_)),
      needs_(std::exchange(other.needs_, {})),
      adopted_(other.adopted_),
      stands_(std::exchange(other.stands_, false)) {}

ClearPacketFilter::~ClearPacketFilter() {
  if (stands_) (void)session_->run(std::string(kRemove));
  (void)serve_strict({});
}

Result<void, IoError> ClearPacketFilter::apply(const std::vector<ClearPacketRule>& rules) {
  if (!std::exchange(adopted_, true)) {
    needs_.switched_on = left_switched_on();
    needs_.strict = session_->run("list table arp culvert");
  }
  if (rules.empty() && !stands_) {
    // A table that a killed run left goes as well; where nf_tables is missing there is none.
    (void)session_->run(std::string(kRemove));
    return serve_strict({});
  }
  const ReversePathNeeds needs = rules.empty() ? ReversePathNeeds{} : look_at_reverse_paths();
  if (!session_->run(text(options_, rules, needs))) {
    return err(IoError{
        IoErrorCode::not_supported, EOPNOTSUPP,
        fmt::format(
            "packets that arrive unprotected although a tunnel should carry them cannot be dropped: nftables says "
            "\"{}\"; load the kernel module nf_tables, or see to it with a packet filter of your own",
            session_->reason())});
  }
  stands_ = !rules.empty();
  if (&rules != &rules_) rules_ = rules;
  return serve_strict(needs);
}

Result<void, IoError> ClearPacketFilter::links_changed() {
  if (!stands_ || look_at_reverse_paths() == needs_) return {};
  return apply(rules_);
}

// An interface whose src_valid_mark somebody else has switched on is theirs.
ReversePathNeeds ClearPacketFilter::look_at_reverse_paths() const {
  ReversePathNeeds needs;
  if (options_.mark == 0) return needs;
  for (const ReversePathFilter& one : reverse_path_filters()) {
    if (!one.strict || one.interface == options_.tun_name || !can_be_quoted(one.interface)) continue;
    needs.strict = true;
    if (!one.mark_counts || needs_.switched_on.contains(one.interface)) needs.switched_on.insert(one.interface);
  }
  return needs;
}

/// What the set of a table that stands names.
std::set<std::string> ClearPacketFilter::left_switched_on() const {
  std::set<std::string> names;
  if (!session_->run("list set inet culvert marked_sources")) return names;
  const std::string said = session_->output();
  std::size_t at = said.find("elements");
  while (at != std::string::npos && (at = said.find('"', at)) != std::string::npos) {
    const std::size_t end = said.find('"', at + 1);
    if (end == std::string::npos) break;
    names.insert(said.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return names;
}

Result<void, IoError> ClearPacketFilter::serve_strict(const ReversePathNeeds& needs) {
  Result<void, IoError> result;
  if (needs.strict && !needs_.strict && !session_->run(arp_text(options_.mark))) {
    result =
        err(IoError{IoErrorCode::not_supported, EOPNOTSUPP,
                    fmt::format("ARP requests of peers on the same link are dropped by a strict rp_filter: nftables "
                                "says \"{}\"; set rp_filter of the interface to 2",
                                session_->reason())});
  }
  if (!needs.strict && needs_.strict) (void)session_->run(std::string(kRemoveArp));
  for (const std::string& one : needs_.switched_on) {
    if (!needs.switched_on.contains(one)) (void)set_mark_counts(one, false);
  }
  needs_ = {.strict = needs.strict, .switched_on = {}};
  for (const std::string& one : needs.switched_on) {
    auto done = set_mark_counts(one, true);
    if (done) {
      needs_.switched_on.insert(one);
    } else if (result) {
      result = std::move(done);
    }
  }
  return result;
}

std::optional<std::uint64_t> ClearPacketFilter::dropped() const {
  if (!stands_ || !session_->run("list counter inet culvert dropped")) return std::nullopt;
  const std::string said = session_->output();
  constexpr std::string_view kWord = "packets ";
  const std::size_t at = said.find(kWord);
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t count = 0;
  const char* const begin = said.data() + at + kWord.size();
  if (std::from_chars(begin, said.data() + said.size(), count).ec != std::errc()) return std::nullopt;
  return count;
}

}  // namespace culvert::io
