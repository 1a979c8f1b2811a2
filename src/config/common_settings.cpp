// What sections of tunnels and of manual entries have in common.
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::int64_t kLeastMtuV4 = 576;   // RFC 791: what every host must take in
constexpr std::int64_t kLeastMtuV6 = 1280;  // RFC 8200 5
constexpr std::size_t kNameLimit = 63;
constexpr std::size_t kDnsNameLimit = 253;

}  // namespace

std::string_view family_name(net::Family family) { return family == net::Family::v4 ? "IPv4" : "IPv6"; }

bool can_be_name(std::string_view name) {
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kNameLimit && std::ranges::all_of(name, allowed) && name.front() != '-' &&
         name.front() != '.';
}

bool is_dns_name(std::string_view text) {
  if (text.empty() || text.size() > kDnsNameLimit) return false;
  if (text.ends_with('.')) text.remove_suffix(1);
  bool letter = false;  // "300.1.2.3" is a mistyped address, not a name
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0 || label > 63) return false;
      label = 0;
      continue;
    }
    const bool alpha = std::isalpha(static_cast<unsigned char>(c)) != 0;
    if (!alpha && std::isdigit(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_') return false;
    letter = letter || alpha;
    ++label;
  }
  return letter && label > 0 && label <= 63;
}

bool is_host_address(Section& section, const Position& at, std::string_view key, const net::IpAddress& address) {
  if (!address.is_unspecified() && !address.is_multicast()) return true;
  section.error(at, key, fmt::format("{} is not the address of one host", address.to_string()),
                address.is_unspecified() && key == "peer" ? "write \"any\" for a peer whose address is not known"
                                                          : "write the host's own address");
  return false;
}

void read_replay_window(Section& section, std::uint32_t& window) {
  const auto written = section.integer("replay_window", 0, 65536);
  if (!written) return;
  const auto value = static_cast<std::uint32_t>(*written);
  const Position at = section.position_of("replay_window");
  if (value == 0) {
    section.warning(at, "replay_window", "0 switches the protection against replayed packets off",
                    "use 1024 outside of tests");
  } else if (value < 32 || !std::has_single_bit(value)) {
    return section.error(at, "replay_window", fmt::format("{} packets cannot be the window", value),
                         "write a power of two from 32 to 65536");
  }
  window = value;
}

namespace {

void check_side(Section& section, const LocatedSelectors& mine, std::string_view key, const LocatedSelectors& other,
                std::string_view other_key) {
  if (mine.selectors.empty() || other.selectors.empty()) return;
  for (std::size_t i = 0; i < mine.selectors.size(); ++i) {
    const net::Family family = mine.selectors[i].addresses.family();
    if (std::ranges::any_of(other.selectors, [&](const auto& s) { return s.addresses.family() == family; })) continue;
    section.error(mine.positions[i], key,
                  fmt::format("{} is {}, but {} has no {} subnet: no packet could match", mine.selectors[i].to_string(),
                              family_name(family), other_key, family_name(family)),
                  fmt::format("add an {} subnet to {}, or take this one out", family_name(family), other_key));
  }
}

}  // namespace

void check_families(Section& section, const LocatedSelectors& local, const LocatedSelectors& remote) {
  check_side(section, local, "local", remote, "remote");
  check_side(section, remote, "remote", local, "local");
}

/// "10.1.0.1/16", or a bare address with its full length.
std::vector<model::InnerAddress> read_inner_addresses(Section& section, const model::TrafficSelectors& local) {
  constexpr std::size_t kMostAddresses = 64;
  std::vector<model::InnerAddress> out;
  for (const Located<std::string>& written : section.texts("address", kMostAddresses)) {
    const std::string_view text = written.value;
    const auto slash = text.find('/');
    const auto address = net::IpAddress::parse(text.substr(0, slash));
    const auto network = net::Prefix::parse(text, true);
    if (!address || !network) {
      section.error(written.position, "address", fmt::format("{} is not an address", in_quotes(text)),
                    "write this host's own address inside the tunnel with the length of its network: \"10.1.0.1/16\"");
      continue;
    }
    if (!is_host_address(section, written.position, "address", *address)) continue;
    const auto covers = [&](const model::TrafficSelector& selector) { return selector.addresses.contains(*address); };
    if (!local.empty() && std::ranges::none_of(local, covers)) {
      section.error(written.position, "address",
                    fmt::format("{} lies in none of the local subnets", address->to_string()),
                    "packets from it could not enter the tunnel: choose one within local, or add its subnet there");
      continue;
    }
    out.push_back({*address, network->length});
  }
  return out;
}

std::optional<std::uint16_t> read_mtu(Section& section, const model::TrafficSelectors& local,
                                      const model::TrafficSelectors& remote) {
  const auto has_v6 = [](const model::TrafficSelectors& selectors) {
    return std::ranges::any_of(selectors, [](const auto& s) { return s.addresses.family() == net::Family::v6; });
  };
  const std::int64_t least = has_v6(local) || has_v6(remote) ? kLeastMtuV6 : kLeastMtuV4;
  const auto mtu = section.integer("mtu", least, 65535);
  if (!mtu) return std::nullopt;
  return static_cast<std::uint16_t>(*mtu);
}

}  // namespace culvert::config
