#include "model/traffic_selector.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::model {
namespace {

struct ProtocolName {
  std::uint8_t number;
  std::string_view name;
};

// IANA "Assigned Internet Protocol Numbers", the ones that people write in policies.
constexpr ProtocolName kProtocols[] = {{1, "icmp"},       {2, "igmp"},     {4, "ipv4"},  {6, "tcp"},    {17, "udp"},
                                       {33, "dccp"},      {41, "ipv6"},    {47, "gre"},  {50, "esp"},   {51, "ah"},
                                       {58, "icmpv6"},    {89, "ospf"},    {103, "pim"}, {112, "vrrp"}, {132, "sctp"},
                                       {135, "mobility"}, {136, "udplite"}};

std::string protocol_text(std::uint8_t number) {
  for (const ProtocolName& row : kProtocols) {
    if (row.number == number) return std::string(row.name);
  }
  return std::to_string(number);
}

std::optional<std::uint8_t> parse_protocol(std::string_view text) {
  for (const ProtocolName& row : kProtocols) {
    if (row.name == text) return row.number;
  }
  const auto number = parse_decimal(text);
  if (!number || *number > 255) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}

bool is_icmp(std::uint8_t protocol) { return protocol == 1 || protocol == 58; }

std::optional<std::uint16_t> parse_number(std::string_view text, std::uint64_t limit) {
  const auto number = parse_decimal(text);
  if (!number || *number > limit) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

struct PortRange {
  std::uint16_t start = 0;
  std::uint16_t end = 0xffff;
};

// One end of a range: a port, or for ICMP "type" (all its codes) or "type.code".
std::optional<PortRange> parse_port(std::string_view text, bool icmp) {
  if (!icmp) {
    const auto port = parse_number(text, 0xffff);
    if (!port) return std::nullopt;
    return PortRange{*port, *port};
  }
  const auto dot = text.find('.');
  const auto type = parse_number(text.substr(0, dot), 255);
  if (!type) return std::nullopt;
  const auto base = static_cast<std::uint16_t>(*type << 8);
  if (dot == std::string_view::npos) return PortRange{base, static_cast<std::uint16_t>(base | 0xff)};
  const auto code = parse_number(text.substr(dot + 1), 255);
  if (!code) return std::nullopt;
  const auto port = static_cast<std::uint16_t>(base | *code);
  return PortRange{port, port};
}

std::optional<PortRange> parse_ports(std::string_view text, bool icmp) {
  if (text == "opaque") return PortRange{0xffff, 0};
  const auto dash = text.find('-');
  const auto first = parse_port(text.substr(0, dash), icmp);
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return first;
  const auto last = parse_port(text.substr(dash + 1), icmp);
  if (!last || last->end < first->start) return std::nullopt;
  return PortRange{first->start, last->end};
}

std::string icmp_text(std::uint16_t start, std::uint16_t end) {
  const auto one = [](std::uint16_t port) { return fmt::format("{}.{}", port >> 8, port & 0xff); };
  if (start == end) return one(start);
  if ((start >> 8) == (end >> 8) && (start & 0xff) == 0 && (end & 0xff) == 0xff) return std::to_string(start >> 8);
  return one(start) + "-" + one(end);
}

std::string ports_text(const TrafficSelector& selector) {
  if (selector.is_opaque()) return "opaque";
  if (is_icmp(selector.protocol)) return icmp_text(selector.start_port, selector.end_port);
  if (selector.start_port == selector.end_port) return std::to_string(selector.start_port);
  return fmt::format("{}-{}", selector.start_port, selector.end_port);
}

}  // namespace

bool TrafficSelector::contains(const TrafficSelector& other) const {
  if (!addresses.contains(other.addresses)) return false;
  if (protocol != 0 && protocol != other.protocol) return false;
  // RFC 4301 4.4.1.1: ANY covers OPAQUE too; a port range does not.
  if (any_port()) return true;
  if (is_opaque() || other.is_opaque()) return is_opaque() && other.is_opaque();
  return start_port <= other.start_port && other.end_port <= end_port;
}

std::optional<TrafficSelector> TrafficSelector::intersection(const TrafficSelector& other) const {
  const auto common = addresses.intersection(other.addresses);
  if (!common) return std::nullopt;
  if (protocol != 0 && other.protocol != 0 && protocol != other.protocol) return std::nullopt;
  TrafficSelector result{*common, protocol != 0 ? protocol : other.protocol};
  if (any_port() || other.any_port()) {
    const TrafficSelector& narrower = any_port() ? other : *this;
    result.start_port = narrower.start_port;
    result.end_port = narrower.end_port;
    return result;
  }
  if (is_opaque() != other.is_opaque()) return std::nullopt;
  if (is_opaque()) {
    result.start_port = 0xffff;
    result.end_port = 0;
    return result;
  }
  result.start_port = std::max(start_port, other.start_port);
  result.end_port = std::min(end_port, other.end_port);
  if (result.start_port > result.end_port) return std::nullopt;
  return result;
}

std::string TrafficSelector::to_string() const {
  if (protocol == 0 && any_port()) return addresses.to_string();
  const std::string name = protocol == 0 ? "any" : protocol_text(protocol);
  if (any_port()) return fmt::format("{}[{}]", addresses.to_string(), name);
  return fmt::format("{}[{}/{}]", addresses.to_string(), name, ports_text(*this));
}

std::optional<TrafficSelector> TrafficSelector::parse(std::string_view text) {
  const auto bracket = text.find('[');
  const auto range = net::AddressRange::parse(text.substr(0, bracket));
  if (!range) return std::nullopt;
  TrafficSelector selector{*range};
  if (bracket == std::string_view::npos) return selector;
  if (!text.ends_with(']')) return std::nullopt;
  const std::string_view inside = text.substr(bracket + 1, text.size() - bracket - 2);
  const auto slash = inside.find('/');
  const std::string_view name = inside.substr(0, slash);
  if (name != "any") {
    const auto number = parse_protocol(name);
    if (!number) return std::nullopt;
    selector.protocol = *number;
  }
  if (slash == std::string_view::npos) return selector;
  const auto ports = parse_ports(inside.substr(slash + 1), is_icmp(selector.protocol));
  if (!ports) return std::nullopt;
  selector.start_port = ports->start;
  selector.end_port = ports->end;
  return selector;
}

TrafficSelectors narrow(const TrafficSelectors& proposed, const TrafficSelectors& policy, std::size_t limit) {
  TrafficSelectors result;
  for (const TrafficSelector& wanted : proposed) {
    for (const TrafficSelector& allowed : policy) {
      const auto common = wanted.intersection(allowed);
      if (!common) continue;
      const auto covers = [&](const TrafficSelector& kept) { return kept.contains(*common); };
      if (std::ranges::any_of(result, covers)) continue;
      std::erase_if(result, [&](const TrafficSelector& kept) { return common->contains(kept); });
      result.push_back(*common);
      if (result.size() >= limit) return result;
    }
  }
  return result;
}

bool is_subset(const TrafficSelectors& inner, const TrafficSelectors& outer) {
  return std::ranges::all_of(inner, [&](const TrafficSelector& one) {
    return std::ranges::any_of(outer, [&](const TrafficSelector& other) { return other.contains(one); });
  });
}

bool protects(const TrafficSelectors& local, const net::IpAddress& address) {
  return std::ranges::any_of(local, [&](const TrafficSelector& one) {
    return one.addresses != net::AddressRange::all(address.family()) && one.addresses.contains(address);
  });
}

std::string to_string(const TrafficSelectors& selectors) {
  std::string text;
  for (const TrafficSelector& selector : selectors) {
    if (!text.empty()) text += ", ";
    text += selector.to_string();
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace culvert::model
