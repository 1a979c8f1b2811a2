#include "control/leases.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::control {
namespace {

using net::Family;
using net::IpAddress;
using ::testing::HasSubstr;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
model::Identity id(std::string_view text) { return model::Identity::parse(text); }
model::IkeSaId session(std::uint64_t n) { return model::IkeSaId(n); }

config::PoolConfig pool(std::string name, std::vector<std::string> ranges) {
  config::PoolConfig made;
  made.name = std::move(name);
  for (const std::string& range : ranges) made.ranges.push_back(*net::AddressRange::parse(range));
  return made;
}

const std::vector<std::string> kStaff{"staff"};

class Lease : public ::testing::Test {
 protected:
  std::vector<config::PoolConfig> pools_{pool("staff", {"10.9.0.1-10.9.0.3", "fd00:9::1-fd00:9::2"})};
  Leases leases_;

  void SetUp() override { leases_.configure(pools_); }

  Result<std::vector<IpAddress>, std::string> ask(std::string_view who, std::uint64_t ike_sa,
                                                  std::vector<model::AddressWish> wishes = {{Family::v4, {}}},
                                                  std::vector<model::IkeSaId> ending = {}) {
    const model::Identity identity = id(who);
    return leases_.grant({kStaff, identity, wishes, session(ike_sa), ending});
  }
  std::string given(std::string_view who, std::uint64_t ike_sa,
                    std::vector<model::AddressWish> wishes = {{Family::v4, {}}},
                    std::vector<model::IkeSaId> ending = {}) {
    const auto got = ask(who, ike_sa, std::move(wishes), std::move(ending));
    if (!got) return "no";
    std::string text;
    for (const IpAddress& address : *got) text += (text.empty() ? "" : " ") + address.to_string();
    return text;
  }
};

TEST_F(Lease, AnIdentityComesBackToItsAddress) {
  EXPECT_EQ(given("amy@x", 1), "10.9.0.1");
  EXPECT_EQ(given("bob@x", 2), "10.9.0.2");
  leases_.release(session(1));
  EXPECT_EQ(given("cat@x", 3), "10.9.0.3");  // not Amy's, while there is another
  EXPECT_EQ(given("amy@x", 4), "10.9.0.1");
  EXPECT_EQ(leases_.of_session(session(4)), std::vector{ip("10.9.0.1")});
}

TEST_F(Lease, BothFamiliesAndNoMoreThanThereAre) {
  EXPECT_EQ(given("amy@x", 1, {{Family::v4, {}}, {Family::v6, {}}}), "10.9.0.1 fd00:9::1");
  EXPECT_EQ(given("bob@x", 2, {{Family::v6, {}}, {Family::v6, {}}}), "fd00:9::2");  // RFC 7296 3.15.4
  EXPECT_EQ(given("cat@x", 3, {{Family::v6, {}}, {Family::v4, {}}}), "10.9.0.2");
  const auto none = ask("dan@x", 4, {{Family::v6, {}}});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error(), HasSubstr("no address is left in the pool staff"));
}

TEST_F(Lease, WhenAllAreGoneWhoIsAwayLongestLosesHis) {
  for (const auto& [who, n] : {std::pair("amy@x", 1), {"bob@x", 2}, {"cat@x", 3}}) (void)ask(who, n);
  EXPECT_EQ(given("dan@x", 4), "no");
  leases_.release(session(2));
  leases_.release(session(1));
  EXPECT_EQ(given("dan@x", 5), "10.9.0.2");
  EXPECT_EQ(given("bob@x", 6), "10.9.0.1");
  EXPECT_EQ(given("amy@x", 7), "no");
}

// RFC 7296 3.15.1: the address in a request is a suggestion.
TEST_F(Lease, ASuggestionIsTakenWhereItHarmsNobody) {
  EXPECT_EQ(given("amy@x", 1, {{Family::v4, ip("10.9.0.2")}}), "10.9.0.2");
  EXPECT_EQ(given("bob@x", 2, {{Family::v4, ip("10.9.0.2")}}), "10.9.0.1");
  leases_.release(session(1));
  EXPECT_EQ(given("cat@x", 3, {{Family::v4, ip("10.9.0.2")}}), "10.9.0.3");
  EXPECT_EQ(given("amy@x", 4, {{Family::v4, ip("192.0.2.1")}}), "10.9.0.2");
}

TEST_F(Lease, ASecondSessionGetsAnotherUnlessTheFirstEnds) {
  EXPECT_EQ(given("amy@x", 1), "10.9.0.1");
  EXPECT_EQ(given("amy@x", 2), "10.9.0.2");
  EXPECT_EQ(given("amy@x", 3, {{Family::v4, {}}}, {session(2)}), "10.9.0.2");
  leases_.release(session(2));
  // It is the third session's now.
  EXPECT_EQ(given("bob@x", 4), "10.9.0.3");
  EXPECT_EQ(given("bob@x", 5), "no");
}

TEST_F(Lease, FixedAddressesAreNobodyElses) {
  pools_.front().fixed[id("amy@x")] = {ip("10.9.0.1")};
  leases_.configure(pools_);
  EXPECT_EQ(given("bob@x", 1, {{Family::v4, ip("10.9.0.1")}}), "10.9.0.2");
  EXPECT_EQ(given("cat@x", 2), "10.9.0.3");
  EXPECT_EQ(given("dan@x", 3), "no");
  EXPECT_EQ(given("amy@x", 4, {{Family::v4, ip("10.9.0.2")}}), "10.9.0.1");
}

TEST_F(Lease, AnAddressBecomesFixedWhileAnotherHasIt) {
  EXPECT_EQ(given("bob@x", 1), "10.9.0.1");
  pools_.front().fixed[id("amy@x")] = {ip("10.9.0.1")};
  leases_.configure(pools_);
  EXPECT_EQ(given("amy@x", 2), "10.9.0.2");
  leases_.release(session(1));
  leases_.release(session(2));
  EXPECT_EQ(given("amy@x", 3), "10.9.0.1");
  EXPECT_EQ(given("bob@x", 4), "10.9.0.3");
}

TEST_F(Lease, ARekeyedIkeSaKeepsThem) {
  (void)ask("amy@x", 1);
  leases_.move(session(1), session(9));
  leases_.release(session(1));
  EXPECT_EQ(given("bob@x", 2), "10.9.0.2");
  leases_.release(session(9));
  EXPECT_EQ(given("amy@x", 3), "10.9.0.1");
}

TEST_F(Lease, WhatWasWrittenDownComesBack) {
  (void)ask("amy@x", 1);
  (void)ask("bob@x", 2);
  leases_.release(session(1));
  const auto written = leases_.take_changes();
  EXPECT_EQ(written.size(), 2U);
  EXPECT_TRUE(leases_.take_changes().empty());
  leases_ = {};
  leases_.configure(pools_);
  std::vector<LeaseRecord> records = written;
  records.push_back({ip("192.0.2.77"), id("eve@x"), 99});  // of a pool that is gone
  records.push_back({ip("10.9.0.1"), id("eve@x"), 0});     // a second one for an address
  leases_.restore(records);
  EXPECT_EQ(leases_.views().size(), 2U);
  EXPECT_EQ(given("cat@x", 3), "10.9.0.3");
  EXPECT_EQ(given("bob@x", 4), "10.9.0.2");
  EXPECT_EQ(given("amy@x", 5), "10.9.0.1");
}

TEST_F(Lease, APoolThatShrinksKeepsItsSessionsUntilTheyEnd) {
  (void)ask("amy@x", 1);
  (void)ask("bob@x", 2);
  leases_.configure({pool("staff", {"10.9.0.2-10.9.0.3"})});
  EXPECT_EQ(leases_.of_session(session(1)), std::vector{ip("10.9.0.1")});
  leases_.release(session(1));
  EXPECT_EQ(given("amy@x", 3), "10.9.0.3");
  EXPECT_EQ(leases_.views().size(), 2U);
}

// ---------------------------------------------------------------- against a plain model

/// The same rules by looking at every address each time.
class PlainModel {
 public:
  struct Entry {
    model::Identity who;
    std::uint64_t order = 0;
    std::vector<model::IkeSaId> sessions;
  };
  std::vector<config::PoolConfig> pools;
  std::map<IpAddress, Entry> leases;
  std::uint64_t order = 0;

  [[nodiscard]] std::optional<model::Identity> owner(const IpAddress& address) const {
    for (const auto& one : pools) {
      for (const auto& [who, fixed] : one.fixed) {
        if (std::ranges::find(fixed, address) != fixed.end()) return who;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::vector<IpAddress> addresses(Family family) const {
    std::vector<IpAddress> all;
    for (const auto& one : pools) {
      for (const auto& range : one.ranges) {
        if (range.family() != family) continue;
        for (std::optional<IpAddress> at = range.first; at && range.contains(*at); at = at->next()) all.push_back(*at);
      }
    }
    return all;
  }
  [[nodiscard]] bool available(const IpAddress& address, const model::Identity& who,
                               const std::vector<model::IkeSaId>& ending) const {
    const auto found = leases.find(address);
    const auto reserved = owner(address);
    if (reserved && *reserved != who) return false;
    if (found == leases.end()) return true;
    for (const auto one : found->second.sessions) {
      if (std::ranges::find(ending, one) == ending.end()) return false;
    }
    return found->second.who == who || (reserved && found->second.sessions.empty());
  }
  std::optional<IpAddress> choose(const model::Identity& who, const model::AddressWish& wish,
                                  const std::vector<model::IkeSaId>& ending) const {
    const auto all = addresses(wish.family);
    for (const auto& one : pools) {
      if (const auto fixed = one.fixed.find(who); fixed != one.fixed.end()) {
        for (const auto& address : fixed->second) {
          if (address.family() == wish.family && available(address, who, ending)) return address;
        }
      }
    }
    if (wish.address && std::ranges::find(all, *wish.address) != all.end() && !owner(*wish.address) &&
        available(*wish.address, who, ending))
      return wish.address;
    std::optional<IpAddress> best;
    std::uint64_t best_order = 0;
    for (const auto& address : all) {
      const auto found = leases.find(address);
      if (found == leases.end() || found->second.who != who || !available(address, who, ending)) continue;
      if (!best || found->second.order > best_order) {
        best = address;
        best_order = found->second.order;
      }
    }
    if (best) return best;
    for (const auto& address : all) {
      if (!leases.contains(address) && !owner(address)) return address;
    }
    for (const auto& address : all) {
      const auto found = leases.find(address);
      if (found == leases.end() || !found->second.sessions.empty() || owner(address)) continue;
      if (!best || found->second.order < best_order) {
        best = address;
        best_order = found->second.order;
      }
    }
    return best;
  }
  void take(const IpAddress& address, const model::Identity& who, model::IkeSaId ike_sa) {
    Entry& entry = leases[address];
    if (entry.who != who) entry.sessions.clear();
    entry.who = who;
    entry.order = ++order;
    entry.sessions.push_back(ike_sa);
  }
  void release(const std::vector<IpAddress>& held, model::IkeSaId ike_sa) {
    for (const auto& address : held) {
      Entry& entry = leases.at(address);
      std::erase(entry.sessions, ike_sa);
      if (entry.sessions.empty()) entry.order = ++order;
    }
  }
};

TEST(LeaseModel, AHundredThousandRandomSteps) {
  std::vector<config::PoolConfig> pools{pool("a", {"10.9.0.1-10.9.0.6", "fd00:9::1-fd00:9::4"}),
                                        pool("b", {"10.8.0.1-10.8.0.2", "10.8.0.9"})};
  pools[0].fixed[id("u3@x")] = {ip("10.9.0.2"), ip("fd00:9::3")};
  pools[1].fixed[id("u4@x")] = {ip("10.8.0.9")};
  const std::vector<std::string> names{"a", "b"};
  const std::uint64_t seed = 7;
  SCOPED_TRACE(seed);
  SeededRandom random(seed);
  Leases real;
  real.configure(pools);
  PlainModel plain{pools, {}, 0};
  struct Standing {
    model::Identity who;
    std::vector<IpAddress> held;
  };
  std::map<model::IkeSaId, Standing> standing;
  std::map<IpAddress, LeaseRecord> written;
  std::uint64_t next = 0;
  const auto any_session = [&] {
    auto at = standing.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random.below(standing.size())));
    return at;
  };
  for (int step = 0; step < 100'000; ++step) {
    const auto kind = random.below(100);
    if (kind < 50 || standing.empty()) {
      const model::Identity who = id("u" + std::to_string(random.below(14)) + "@x");
      std::vector<model::AddressWish> wishes;
      for (auto n = 1 + random.below(3); n > 0; --n) {
        const Family family = random.below(3) == 0 ? Family::v6 : Family::v4;
        const auto all = plain.addresses(family);
        wishes.push_back({family, random.below(3) == 0 ? std::optional(all[random.below(all.size())]) : std::nullopt});
      }
      std::vector<model::IkeSaId> ending;
      for (const auto& [ike_sa, one] : standing) {
        if (one.who == who && random.below(2) == 0) ending.push_back(ike_sa);
      }
      const model::IkeSaId ike_sa = session(++next);
      std::vector<IpAddress> expected;
      for (const auto& wish : wishes) {
        if (const auto address = plain.choose(who, wish, ending)) {
          plain.take(*address, who, ike_sa);
          expected.push_back(*address);
        }
      }
      const auto got = real.grant({names, who, wishes, ike_sa, ending});
      ASSERT_EQ(got.value_or(std::vector<IpAddress>()), expected) << "step " << step;
      if (!expected.empty()) standing[ike_sa] = {who, expected};
      for (const auto gone : ending) {
        real.release(gone);
        plain.release(standing.at(gone).held, gone);
        standing.erase(gone);
      }
    } else if (kind < 85) {
      const auto at = any_session();
      real.release(at->first);
      plain.release(at->second.held, at->first);
      standing.erase(at);
    } else if (kind < 98) {
      const auto at = any_session();
      const model::IkeSaId ike_sa = session(++next);
      real.move(at->first, ike_sa);
      for (const auto& address : at->second.held)
        std::ranges::replace(plain.leases.at(address).sessions, at->first, ike_sa);
      auto node = standing.extract(at);
      node.key() = ike_sa;
      standing.insert(std::move(node));
    } else {
      // The process dies: only what was written down is left, and all sessions are over.
      for (const LeaseRecord& record : real.take_changes()) written[record.address] = record;
      std::vector<LeaseRecord> records;
      for (const auto& [address, record] : written) records.push_back(record);
      real = {};
      real.configure(pools);
      real.restore(records);
      standing.clear();
      for (auto& [address, entry] : plain.leases) entry.sessions.clear();
    }
    for (const LeaseRecord& record : real.take_changes()) written[record.address] = record;
    if (step % 97 != 0) continue;
    // No address is of two identities, and every session holds what it was given.
    const auto views = real.views();
    ASSERT_EQ(views.size(), plain.leases.size());
    for (const LeaseView& view : views) {
      const auto& entry = plain.leases.at(view.record.address);
      ASSERT_EQ(view.record.identity, entry.who);
      ASSERT_EQ(view.sessions, entry.sessions);
      for (const auto ike_sa : view.sessions) ASSERT_EQ(standing.at(ike_sa).who, entry.who);
    }
  }
}

// An AAA server's word is above habit, and below who is there.
TEST_F(Lease, AssignedAddressesAreGivenOrNothing) {
  const auto assigned = [&](std::string_view who, std::uint64_t ike_sa, std::string_view address,
                            std::vector<model::IkeSaId> ending = {}) -> std::string {
    const model::Identity identity = id(who);
    const std::vector<model::AddressWish> wishes{{Family::v4, ip("10.9.0.1")}};
    const std::vector<IpAddress> chosen{ip(address)};
    const auto got = leases_.grant({kStaff, identity, wishes, session(ike_sa), ending, chosen});
    return got ? got->front().to_string() : got.error();
  };
  EXPECT_EQ(assigned("amy@x", 1, "10.9.0.3"), "10.9.0.3");
  EXPECT_EQ(given("amy@x", 2), "10.9.0.1");
  EXPECT_THAT(assigned("bob@x", 3, "10.9.0.3"), HasSubstr("10.9.0.3, which is in no pool of the tunnel or in use"));
  EXPECT_THAT(assigned("bob@x", 3, "10.8.0.3"), HasSubstr("in no pool"));
  // A return before the old session is known to be gone.
  EXPECT_EQ(assigned("amy@x", 4, "10.9.0.3", {session(1)}), "10.9.0.3");
  leases_.release(session(1));
  leases_.release(session(4));
  // Amy is away: the address changes hands, and she gets another.
  EXPECT_EQ(assigned("bob@x", 5, "10.9.0.3"), "10.9.0.3");
  EXPECT_EQ(given("amy@x", 6), "10.9.0.2");
}

}  // namespace
}  // namespace culvert::control
