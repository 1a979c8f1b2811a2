#include "base/flat_table.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert {
namespace {

struct Item {
  std::uint64_t key = 0;
  std::uint64_t number = 0;
};
struct KeyOfItem {
  std::uint64_t operator()(const std::unique_ptr<Item>& item) const { return item->key; }
};
using Table = FlatTable<std::unique_ptr<Item>, KeyOfItem>;

// Few keys, so that many are equal, and many that lie side by side.
TEST(FlatTable, DoesWhatAMultimapDoes) {
  const std::uint64_t seed = 20;
  SeededRandom random(seed);
  for (const std::uint64_t keys : {3, 50, 5000}) {
    Table table(random.u64());
    std::multimap<std::uint64_t, std::uint64_t> model;
    for (std::uint64_t step = 0; step < 20'000; ++step) {
      const std::uint64_t key = random.below(keys);
      const auto [first, last] = model.equal_range(key);
      if (random.below(step % 2000 < 1000 ? 3 : 2) != 0) {
        table.insert(std::make_unique<Item>(Item{key, step}));
        model.emplace(key, step);
      } else if (first != last) {
        const auto goes = std::next(
            first, static_cast<std::ptrdiff_t>(random.below(static_cast<std::uint64_t>(std::distance(first, last)))));
        auto* const found = table.find(key, [&](const auto& item) { return item->number == goes->second; });
        ASSERT_NE(found, nullptr) << step;
        EXPECT_EQ(table.erase(found)->number, goes->second);
        model.erase(goes);
      } else {
        ASSERT_EQ(table.find(key), nullptr) << step;
      }
      ASSERT_EQ(table.size(), model.size());
    }
    for (const auto& [key, number] : model) {
      ASSERT_NE(table.find(key, [&](const auto& item) { return item->number == number; }), nullptr);
    }
    std::size_t seen = 0;
    table.for_each([&](const auto& item) { seen += model.count(item->key) != 0 ? 1U : 0U; });
    EXPECT_EQ(seen, model.size());
  }
}

TEST(FlatTable, AnEmptyOneHasNothing) {
  Table table;
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.find(0), nullptr);
  table.insert(std::make_unique<Item>());
  EXPECT_NE(table.find(0), nullptr);
  (void)table.erase(table.find(0));
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.find(0), nullptr);
}

}  // namespace
}  // namespace culvert
