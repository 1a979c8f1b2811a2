#include "io/clear_packet_joins.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <utility>

namespace culvert::io {
namespace {

using Ranges = std::vector<net::AddressRange>;

/// Nothing behind the last address of all.
std::optional<net::IpAddress> successor(const net::IpAddress& address) {
  Bytes octets = to_bytes(address.bytes());
  for (auto octet = octets.rbegin(); octet != octets.rend(); ++octet) {
    if (++*octet != 0) return net::IpAddress::from_bytes(octets);
  }
  return std::nullopt;
}

/// Sorted; what overlaps or lies side by side becomes one.
Ranges apart(Ranges ranges) {
  std::ranges::sort(ranges);
  Ranges joined;
  for (const net::AddressRange& one : ranges) {
    if (!joined.empty()) {
      net::AddressRange& last = joined.back();
      const auto next = successor(last.last);
      if (!next || one.first <= *next) {
        last.last = std::max(last.last, one.last);
        continue;
      }
    }
    joined.push_back(one);
  }
  return joined;
}

/// Of rules with one verdict any order decides alike, so like ones come together from anywhere among them.
class Run {
 public:
  void add(const ClearPacketRule& rule) { by_destination_.of(key_of(rule, true)).sources.push_back(rule.source); }

  void finish(std::vector<JoinedRule>& out, std::size_t most) {
    Groups by_source;
    std::vector<JoinedRule> rest;
    for (JoinedRule& one : by_destination_.take()) {
      one.sources = apart(std::move(one.sources));
      one.destinations = {one.rule.destination};
      if (one.sources.size() > 1) {
        rest.push_back(std::move(one));
        continue;
      }
      // Those that share no destination with others may share their source.
      ClearPacketRule rule = one.rule;
      rule.source = one.sources.front();
      JoinedRule& group = by_source.of(key_of(rule, false));
      group.sources = {rule.source};
      group.destinations.push_back(rule.destination);
    }
    for (JoinedRule& one : by_source.take()) {
      one.destinations = apart(std::move(one.destinations));
      rest.push_back(std::move(one));
    }
    for (const JoinedRule& one : rest) cut(one, most, out);
  }

 private:
  /// In the order of the first of each.
  class Groups {
   public:
    JoinedRule& of(const ClearPacketRule& key) {
      const auto [place, inserted] = places_.try_emplace(key, groups_.size());
      if (inserted) groups_.push_back({key, {}, {}});
      return groups_[place->second];
    }
    std::vector<JoinedRule> take() {
      places_.clear();
      return std::move(groups_);
    }

   private:
    std::map<ClearPacketRule, std::size_t> places_;
    std::vector<JoinedRule> groups_;
  };

  /// The rule without what its group may differ in; that keeps its family.
  static ClearPacketRule key_of(ClearPacketRule rule, bool any_source) {
    (any_source ? rule.source : rule.destination) = net::AddressRange::all(rule.source.family());
    return rule;
  }

  static void cut(const JoinedRule& whole, std::size_t most, std::vector<JoinedRule>& out) {
    const bool many_sources = whole.sources.size() > 1;
    const Ranges& list = many_sources ? whole.sources : whole.destinations;
    for (std::size_t first = 0; first < list.size(); first += most) {
      const auto part = std::span(list).subspan(first, std::min(most, list.size() - first));
      JoinedRule one{whole.rule, {}, {}};
      (many_sources ? one.sources : one.destinations).assign(part.begin(), part.end());
      (many_sources ? one.destinations : one.sources) = many_sources ? whole.destinations : whole.sources;
      one.rule.source = one.sources.front();
      one.rule.destination = one.destinations.front();
      out.push_back(std::move(one));
    }
  }

  Groups by_destination_;
};

}  // namespace

std::vector<JoinedRule> join_rules(const std::vector<ClearPacketRule>& rules, std::size_t most) {
  std::vector<JoinedRule> joined;
  for (std::size_t i = 0; i < rules.size();) {
    Run run;
    const bool accept = rules[i].accept;
    for (; i < rules.size() && rules[i].accept == accept; ++i) run.add(rules[i]);
    run.finish(joined, most);
  }
  return joined;
}

}  // namespace culvert::io
