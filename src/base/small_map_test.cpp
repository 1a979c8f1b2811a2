#include "base/small_map.hpp"

#include <map>
#include <memory>
#include <set>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "base/small_set.hpp"

namespace culvert {
namespace {

TEST(SmallMap, DoesWhatAMapDoes) {
  SeededRandom random(7);
  SmallMap<std::uint64_t, std::unique_ptr<std::uint64_t>> map;
  std::map<std::uint64_t, std::uint64_t> model;
  for (std::uint64_t step = 0; step < 20'000; ++step) {
    const std::uint64_t key = random.below(12);
    switch (random.below(6)) {
      case 5:
        if (const auto at = map.find(key); at != map.end()) map.erase(at);
        model.erase(key);
        break;
      case 4:
        if (key != 0) break;
        map.clear();
        model.clear();
        break;
      case 0:
      case 1: {
        const auto [at, fresh] = map.try_emplace(key, std::make_unique<std::uint64_t>(step));
        EXPECT_EQ(fresh, model.try_emplace(key, step).second);
        EXPECT_EQ(at->first, key);
        break;
      }
      case 2: EXPECT_EQ(map.erase(key), model.erase(key)); break;
      default: {
        const auto above = [&](const auto& entry) { return entry.first > key; };
        EXPECT_EQ(erase_if(map, above), std::erase_if(model, above));
      }
    }
    ASSERT_EQ(map.size(), model.size());
    auto expected = model.begin();
    for (const auto& [number, value] : map) {
      ASSERT_EQ(number, expected->first);
      ASSERT_EQ(*value, (expected++)->second);
    }
    ASSERT_EQ(map.empty(), model.empty());
    if (!model.empty()) {
      ASSERT_EQ(map.rbegin()->first, model.rbegin()->first);
    }
    ASSERT_EQ(map.contains(key), model.contains(key));
    if (!model.contains(key)) continue;
    EXPECT_EQ(*map.at(key), model.at(key));
  }
}

TEST(SmallSet, DoesWhatASetDoes) {
  SeededRandom random(8);
  SmallSet<std::uint64_t> set;
  std::set<std::uint64_t> model;
  for (std::uint64_t step = 0; step < 5'000; ++step) {
    const std::uint64_t key = random.below(12);
    if (random.below(2) == 0) {
      set.insert(key);
      model.insert(key);
    } else {
      set.erase(key);
      model.erase(key);
    }
    ASSERT_TRUE(std::ranges::equal(set, model));
    ASSERT_EQ(set.contains(key), model.contains(key));
  }
}

}  // namespace
}  // namespace culvert
