// Lists of traffic selectors.
#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kSelectorLimit = 64;  // as many as a peer is ever answered with
constexpr std::string_view kExamples =
    R"(write a prefix "10.1.0.0/16", an address, a range "10.1.0.1-10.1.0.9", each also with "[tcp]" or "[udp/53]" behind it)";

struct Diagnosis {
  std::string message;
  std::string hint{kExamples};
};

/// Why a text is no selector.
Diagnosis diagnose(const std::string& text) {
  const std::size_t bracket = text.find('[');
  const std::string addresses = text.substr(0, bracket);
  if (!net::AddressRange::parse(addresses)) {
    if (const auto prefix = net::Prefix::parse(addresses, true)) {
      return {fmt::format("{} has bits set after the prefix length", in_quotes(text)),
              fmt::format("did you mean \"{}\"?",
                          prefix->to_string() + (bracket == std::string::npos ? "" : text.substr(bracket)))};
    }
    const std::size_t slash = addresses.find('/');
    if (const auto address = net::IpAddress::parse(addresses.substr(0, slash)); address && slash != std::string::npos) {
      return {fmt::format("{} has a wrong prefix length", in_quotes(text)),
              fmt::format("write a number from 0 to {} after the '/'", address->bits())};
    }
    const std::size_t dash = addresses.find('-');
    const auto first = net::IpAddress::parse(addresses.substr(0, dash));
    const auto last = dash == std::string::npos ? std::nullopt : net::IpAddress::parse(addresses.substr(dash + 1));
    if (first && last) {
      return {fmt::format("{} is no range", in_quotes(text)), "write the lower address first, and both of one family"};
    }
    return {fmt::format("{} is not a subnet", in_quotes(text))};
  }
  return {fmt::format("{} has no valid protocol and port in its brackets", in_quotes(text)),
          R"(write "[tcp]", "[tcp/443]", "[udp/5000-5010]", "[icmp/8.0]" or a protocol number)"};
}

}  // namespace

LocatedSelectors read_selectors(Section& section, std::string_view key) {
  LocatedSelectors out;
  for (auto& [text, position] : section.texts(key, kSelectorLimit)) {
    if (const auto selector = model::TrafficSelector::parse(text)) {
      out.selectors.push_back(*selector);
      out.positions.push_back(position);
    } else {
      Diagnosis why = diagnose(text);
      section.error(position, key, std::move(why.message), std::move(why.hint));
    }
  }
  return out;
}

}  // namespace culvert::config
