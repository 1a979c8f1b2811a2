#include "ike/v2/ike_sa_table.hpp"

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::ike::v2 {
namespace {

using model::ConnectionId;
using model::IkeSaId;

net::IpAddress address(std::uint64_t n) { return net::IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(n)}); }
model::Identity user(std::uint64_t n) { return model::Identity::parse("user" + std::to_string(n) + "@example.net"); }
Instant at(std::uint64_t n) { return Instant(std::chrono::seconds(100 + n)); }

// What the table must answer, kept plainly: who is established, under which connection, address and name, and when its
// timer is.
struct Known {
  ConnectionId connection;
  std::uint64_t peer = 0;
  std::uint64_t name = 0;
  std::optional<Instant> timer;
};

class Table : public ::testing::Test {
 protected:
  IkeSaTable table_;
  std::map<IkeSaId, Known> model_;
  SeededRandom random_{5};
  std::uint64_t last_ = 0;

  void add() {
    const IkeSaId id(++last_);
    IkeSa& sa = table_.add(id);
    Known known{.connection = ConnectionId(static_cast<std::uint32_t>(1 + random_.below(3))),
                .peer = random_.below(4),
                .name = random_.below(4),
                .timer = std::nullopt};
    sa.role = model::Role::responder;
    sa.spi_r = model::IkeSpi(id.value() << 20U);
    sa.phase = Phase::established;
    sa.one_of_many = true;
    sa.connection = known.connection;
    sa.path.remote = {address(known.peer), 500};
    sa.remote_id = user(known.name);
    // Many have the same front, which is what they are looked up by.
    sa.init_digest[0] = static_cast<std::uint8_t>(id.value() % 3 + 1);
    store_be32(&sa.init_digest[12], static_cast<std::uint32_t>(id.value()));
    table_.index_spi(sa);
    table_.index_init(sa);
    table_.index_child(model::ChildSaId(id.value() * 2), id);
    table_.note(sa);
    model_.emplace(id, known);
  }

  std::map<IkeSaId, Known>::iterator any() {
    return std::next(model_.begin(), static_cast<std::ptrdiff_t>(random_.below(model_.size())));
  }

  void change() {
    const auto [id, known] = *any();
    IkeSa& sa = *table_.find(id);
    Known& now = model_.at(id);
    switch (random_.below(8)) {
      case 0:
        table_.erase(id);
        table_.forget_child(model::ChildSaId(id.value() * 2));
        model_.erase(id);
        return;
      case 1:
        now.peer = random_.below(4);
        sa.path.remote = {address(now.peer), 500};
        break;
      // Shared IKE SAs pass to other connections.
      case 2: sa.connection = now.connection = ConnectionId(static_cast<std::uint32_t>(1 + random_.below(3))); break;
      default:
        now.timer = random_.below(5) == 0 ? std::nullopt : std::optional(at(random_.below(1000)));
        table_.schedule(sa, now.timer);
    }
    table_.note(sa);
  }

  template <typename Fits>
  [[nodiscard]] std::vector<IkeSaId> expected(Fits fits) const {
    std::vector<IkeSaId> ids;
    for (const auto& [id, known] : model_) {
      if (fits(known)) ids.push_back(id);
    }
    return ids;
  }
  [[nodiscard]] static std::vector<IkeSaId> ids(const std::vector<IkeSa*>& sas) {
    std::vector<IkeSaId> all;
    for (const IkeSa* sa : sas) all.push_back(sa->id);
    return all;
  }

  void compare() {
    std::set<std::pair<Instant, IkeSaId>> timers;
    for (const auto& [id, known] : model_) {
      if (known.timer) timers.emplace(*known.timer, id);
    }
    ASSERT_EQ(table_.next_timeout(), timers.empty() ? std::nullopt : std::optional(timers.begin()->first));
    ASSERT_EQ(table_.due(at(2000)), timers.empty() ? std::nullopt : std::optional(timers.begin()->second));
    ASSERT_EQ(ids(table_.all()), expected([](const Known&) { return true; }));
    for (std::uint64_t n = 0; n < 4; ++n) {
      const ConnectionId connection(static_cast<std::uint32_t>(n));
      const auto of_connection = expected([&](const Known& one) { return one.connection == connection; });
      ASSERT_EQ(ids(table_.of_connection(connection)), of_connection);
      ASSERT_EQ(table_.established_of(connection), of_connection.size());
      ASSERT_EQ(ids(table_.of_peer(address(n))), expected([&](const Known& one) { return one.peer == n; }));
      ASSERT_EQ(ids(table_.of_peer(ConnectionId(2), user(n))),
                expected([&](const Known& one) { return one.connection == ConnectionId(2) && one.name == n; }));
    }
  }
};

TEST_F(Table, FindsWhatAPlainListFinds) {
  for (int step = 0; step < 20'000; ++step) {
    if (model_.empty() || random_.below(model_.size() + 8) < 3) {
      add();
    } else {
      change();
    }
    if (step % 7 != 0) continue;
    ASSERT_NO_FATAL_FAILURE(compare());
  }
  for (std::uint64_t n = 1; n <= last_; ++n) {
    const bool there = model_.contains(IkeSaId(n));
    IkeSa* const sa = table_.find(IkeSaId(n));
    ASSERT_EQ(sa != nullptr, there);
    ASSERT_EQ(table_.find_by_spi(model::IkeSpi(n << 20U)), sa);
    ASSERT_EQ(table_.find_by_child(model::ChildSaId(n * 2)), sa);
    if (!there) continue;
    ASSERT_EQ(table_.find_by_init(sa->init_digest), sa);
  }
}

// A timer that keeps being put off leaves nothing behind for hours.
TEST_F(Table, TimersComeInOrderHoweverOftenTheyMove) {
  for (int i = 0; i < 10; ++i) add();
  for (std::uint64_t round = 0; round < 5'000; ++round) {
    for (auto& [id, known] : model_) {
      known.timer = at(round % 2 == 0 ? 900 - round % 400 : 1000 + round % 900);
      table_.schedule(*table_.find(id), known.timer);
    }
  }
  ASSERT_NO_FATAL_FAILURE(compare());
}

}  // namespace
}  // namespace culvert::ike::v2
