// The SPD's fast lookup beside the ordered list it stands for: random lists, random packets near the rules' edges, both
// directions, both families. Over a million verdicts; every one must be the list's. CULVERT_SEED repeats a run.
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "ipsec/decorrelation.hpp"
#include "ipsec/spd.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using model::TrafficSelector;

std::uint64_t seed() {
  const char* const text = std::getenv("CULVERT_SEED");
  return text == nullptr ? 4301 : std::strtoull(text, nullptr, 10);
}

// ---------------------------------------------------------------- the model

bool address_fits(const TrafficSelector& selector, const net::IpAddress& address) {
  return selector.addresses.first.family() == address.family() && selector.addresses.first <= address &&
         address <= selector.addresses.last;
}

// RFC 4301 4.4.1.1 and 4.4.1.3, word by word. `sender` is whether the selector stands for who sent the packet.
bool selector_fits(const TrafficSelector& selector, const net::PacketInfo& packet, bool sender) {
  if (!address_fits(selector, sender ? packet.source : packet.destination)) return false;
  if (selector.protocol != 0 && selector.protocol != packet.protocol) return false;
  const bool any = selector.start_port == 0 && selector.end_port == 65535;
  const bool opaque = selector.start_port == 65535 && selector.end_port == 0;
  if (any) return true;
  if (!packet.ports_visible) return opaque;
  const bool one_field = packet.protocol == 1 || packet.protocol == 58 || packet.protocol == 135;
  if (one_field && !sender) return true;
  if (opaque) return false;
  const std::uint16_t port = sender ? packet.source_port : packet.destination_port;
  return selector.start_port <= port && port <= selector.end_port;
}

bool rule_fits(const Policy& policy, const net::PacketInfo& packet, bool inbound) {
  if (policy.direction == (inbound ? PolicyDirection::outbound : PolicyDirection::inbound)) return false;
  bool from = false;
  bool to = false;
  for (const TrafficSelector& selector : inbound ? policy.remote : policy.local) {
    from = from || selector_fits(selector, packet, true);
  }
  for (const TrafficSelector& selector : inbound ? policy.local : policy.remote) {
    to = to || selector_fits(selector, packet, false);
  }
  return from && to;
}

const Policy* scan(const std::vector<Policy>& policies, const net::PacketInfo& packet, bool inbound) {
  for (const Policy& policy : policies) {
    if (rule_fits(policy, packet, inbound)) return &policy;
  }
  return nullptr;
}

// ---------------------------------------------------------------- random rules and packets

// How a list is made: wide spaces hardly overlap, narrow ones overlap all over.
struct Style {
  std::size_t rules;
  unsigned address_bits;  // that vary
  std::size_t longest_list;
  unsigned port_span;
  const char* name;
};

class Generator {
 public:
  Generator(SeededRandom& random, const Style& style) : random_(random), style_(style) {}

  net::IpAddress address(net::Family family) {
    const std::uint64_t low = random_.below(std::uint64_t{1} << style_.address_bits);
    std::array<std::uint8_t, 16> octets{};
    if (family == net::Family::v4) {
      return net::IpAddress::v4({10, static_cast<std::uint8_t>(low >> 16), static_cast<std::uint8_t>(low >> 8),
                                 static_cast<std::uint8_t>(low)});
    }
    octets[0] = 0x20;
    octets[5] = static_cast<std::uint8_t>(low >> 16);
    octets[7] = static_cast<std::uint8_t>(low >> 8);
    octets[15] = static_cast<std::uint8_t>(low);
    return net::IpAddress::v6(octets);
  }

  net::AddressRange range(net::Family family) {
    switch (random_.below(5)) {
      case 0: return net::AddressRange::all(family);
      case 1: return net::AddressRange::of(address(family));
      case 2: {
        const net::IpAddress a = address(family);
        const net::IpAddress b = address(family);
        return {std::min(a, b), std::max(a, b)};
      }
      default: {
        const net::IpAddress base = address(family);
        const unsigned length = base.bits() - static_cast<unsigned>(random_.below(style_.address_bits + 1));
        return net::AddressRange::of(net::Prefix::make(base, length).value());
      }
    }
  }

  std::uint8_t protocol() {
    constexpr std::uint8_t kSome[] = {0, 0, 6, 6, 17, 17, 1, 58, 135, 47, 132};
    return kSome[random_.below(std::size(kSome))];
  }
  std::uint16_t port() {
    // Half of them at the edges of the space.
    constexpr std::uint16_t kEdges[] = {0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff};
    if (random_.below(4) == 0) return kEdges[random_.below(std::size(kEdges))];
    return static_cast<std::uint16_t>(random_.below(style_.port_span));
  }

  TrafficSelector selector(net::Family family, std::uint8_t of_protocol) {
    TrafficSelector one = TrafficSelector::of(range(family));
    one.protocol = random_.below(4) == 0 ? protocol() : of_protocol;
    switch (random_.below(6)) {
      case 0:
        one.start_port = 0xffff;
        one.end_port = 0;
        break;
      case 1: one.start_port = one.end_port = port(); break;
      case 2: {
        const std::uint16_t a = port();
        const std::uint16_t b = port();
        one.start_port = std::min(a, b);
        one.end_port = std::max(a, b);
        break;
      }
      default: break;
    }
    return one;
  }

  Policy policy(std::uint32_t id) {
    Policy made;
    made.id = PolicyId{id};
    made.action = static_cast<PolicyAction>(random_.below(3));
    made.direction = random_.below(3) == 0 ? static_cast<PolicyDirection>(random_.below(3)) : PolicyDirection::both;
    const std::uint8_t of_protocol = protocol();
    for (model::TrafficSelectors* const list : {&made.local, &made.remote}) {
      for (std::size_t i = 1 + random_.below(style_.longest_list); i > 0; --i) {
        list->push_back(selector(random_.below(2) == 0 ? net::Family::v4 : net::Family::v6, of_protocol));
      }
    }
    return made;
  }

  // At an edge of a rule, or one beside it, or anywhere.
  net::IpAddress near(const model::TrafficSelectors& list, net::Family family) {
    if (list.empty() || random_.below(3) == 0) return address(family);
    const TrafficSelector& one = list[random_.below(list.size())];
    if (one.addresses.family() != family) return address(family);
    const net::IpAddress edge = random_.below(2) == 0 ? one.addresses.first : one.addresses.last;
    if (random_.below(2) == 0) return edge;
    return (random_.below(2) == 0 ? edge.next() : edge.previous()).value_or(edge);
  }
  std::uint16_t near_port(const model::TrafficSelectors& list) {
    if (list.empty() || random_.below(2) == 0) return port();
    const TrafficSelector& one = list[random_.below(list.size())];
    const std::uint16_t edge = random_.below(2) == 0 ? one.start_port : one.end_port;
    return static_cast<std::uint16_t>(edge + random_.below(3) - 1);
  }

  net::PacketInfo packet(const std::vector<Policy>& policies, bool inbound) {
    const Policy& rule = policies[random_.below(policies.size())];
    const model::TrafficSelectors& from = inbound ? rule.remote : rule.local;
    const model::TrafficSelectors& to = inbound ? rule.local : rule.remote;
    net::PacketInfo info;
    info.family = random_.below(2) == 0 ? net::Family::v4 : net::Family::v6;
    info.source = near(from, info.family);
    info.destination = near(to, info.family);
    info.protocol = protocol();
    info.ports_visible = info.protocol != 0 && info.protocol != 47 && random_.below(5) != 0;
    if (info.ports_visible) {
      info.source_port = near_port(from);
      info.destination_port = near_port(to);
      if (model::has_one_port_field(info.protocol)) info.destination_port = info.source_port;
    }
    return info;
  }

 private:
  SeededRandom& random_;
  const Style& style_;
};

std::vector<Policy> random_list(Generator& generator, std::size_t rules) {
  std::vector<Policy> policies;
  for (std::uint32_t i = 0; i < rules; ++i) policies.push_back(generator.policy(i + 1));
  return policies;
}

struct Tally {
  std::uint64_t checks = 0;
  std::uint64_t matched = 0;
};

void compare(Generator& generator, const std::vector<Policy>& policies, std::size_t packets, Tally& tally) {
  Spd spd;
  spd.replace(policies);
  for (std::size_t i = 0; i < packets; ++i) {
    const bool inbound = i % 2 != 0;
    const net::PacketInfo packet = generator.packet(policies, inbound);
    const Policy* const wanted = scan(policies, packet, inbound);
    const Policy* const found = inbound ? spd.find_inbound(packet) : spd.find_outbound(packet);
    ++tally.checks;
    if (wanted != nullptr) ++tally.matched;
    ASSERT_EQ(wanted == nullptr ? 0 : wanted->id.value(), found == nullptr ? 0 : found->id.value())
        << (inbound ? "in " : "out ") << packet.source.to_string() << " -> " << packet.destination.to_string()
        << " protocol " << int{packet.protocol} << " ports " << packet.source_port << " " << packet.destination_port
        << (packet.ports_visible ? "" : " not visible");
  }
}

constexpr Style kStyles[] = {
    {3, 4, 2, 8, "few"},          {12, 3, 3, 6, "tight"},      {60, 6, 2, 100, "overlapping"},
    {300, 16, 2, 1000, "medium"}, {300, 2, 1, 65536, "ports"}, {20, 10, 40, 500, "long lists"},
    {1500, 24, 1, 65536, "wide"},
};

TEST(SpdModel, MillionVerdictsAreThoseOfTheOrderedList) {
  SeededRandom random(seed());
  SCOPED_TRACE(testing::Message() << "CULVERT_SEED=" << seed());
  Tally tally;
  while (tally.checks < 1'200'000) {
    for (const Style& style : kStyles) {
      SCOPED_TRACE(style.name);
      Generator generator(random, style);
      // About as much work with each style.
      const std::size_t packets = style.rules < 100 ? 2000 : 1000;
      for (std::size_t list = 0; list < (style.rules < 100 ? 10U : 1U); ++list) {
        ASSERT_NO_FATAL_FAILURE(compare(generator, random_list(generator, style.rules), packets, tally));
      }
    }
  }
  // Neither all nor none: the comparison has something to say.
  EXPECT_GT(tally.matched, tally.checks / 4);
  EXPECT_LT(tally.matched, tally.checks - tally.checks / 20);
  RecordProperty("checks", std::to_string(tally.checks));
}

// RFC 4301 4.4.1, Appendix B: no two entries overlap, and in any order they say what the ordered list says.
TEST(SpdModel, DecorrelatedListSaysTheSameInAnyOrder) {
  SeededRandom random(seed() + 1);
  SCOPED_TRACE(testing::Message() << "CULVERT_SEED=" << seed());
  std::uint64_t checks = 0;
  for (int round = 0; round < 400; ++round) {
    const Style style{1 + random.below(8), 4, 2, 12, ""};
    Generator generator(random, style);
    const std::vector<Policy> policies = random_list(generator, style.rules);
    for (const bool inbound : {false, true}) {
      const auto entries = decorrelate(policies, inbound, 1'000'000);
      ASSERT_TRUE(entries.has_value());
      for (std::size_t i = 0; i < entries->size() && i < 300; ++i) {
        for (std::size_t k = 0; k < i; ++k) ASSERT_FALSE((*entries)[i].box.overlaps((*entries)[k].box));
      }
      for (int i = 0; i < 300; ++i) {
        const net::PacketInfo packet = generator.packet(policies, inbound);
        const Policy* const wanted = scan(policies, packet, inbound);
        std::vector<std::uint32_t> holders;
        for (const DecorrelatedEntry& entry : *entries) {
          if (entry.box.contains(packet)) holders.push_back(entry.rule);
        }
        ++checks;
        if (wanted == nullptr) {
          ASSERT_TRUE(holders.empty());
        } else {
          ASSERT_EQ(holders.size(), 1U);
          ASSERT_EQ(policies[holders[0]].id, wanted->id);
        }
      }
    }
  }
  EXPECT_GE(checks, 200'000U);
}

}  // namespace
