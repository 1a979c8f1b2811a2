// The containers for records of which there are very many: IdMap, ListMap, RareVector.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/id_map.hpp"
#include "base/list_map.hpp"
#include "base/random.hpp"
#include "base/rare_vector.hpp"
#include "base/strong_id.hpp"

namespace culvert {
namespace {

using Id = StrongId<struct IdTag, std::uint64_t>;

TEST(IdMap, DoesWhatAMapDoes) {
  SeededRandom random(12);
  IdMap<Id, std::uint64_t> map;
  std::map<Id, std::uint64_t> model;
  std::map<Id, const std::uint64_t*> places;
  for (std::uint64_t step = 0; step < 20'000; ++step) {
    const Id id(random.below(700));
    if (random.below(2) == 0) {
      EXPECT_EQ(map.insert_or_assign(id, step), step);
      const bool fresh = model.insert_or_assign(id, step).second;
      if (fresh) places[id] = &map.at(id);
    } else {
      ASSERT_EQ(map.erase(id), model.erase(id)) << step;
    }
    ASSERT_EQ(map.size(), model.size());
    ASSERT_EQ(map.contains(id), model.contains(id));
  }
  std::vector<Id> ids;
  for (const auto& [id, value] : model) {
    ids.push_back(id);
    EXPECT_EQ(map.at(id), value);
    EXPECT_EQ(map.find(id)->first, id);
    EXPECT_EQ(&map.at(id), places.at(id)) << "it stays where it is";
  }
  EXPECT_EQ(map.ids(), ids);
  for (const Id id : ids) map.erase(map.find(id));
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.find(Id(1)), map.end());
}

TEST(ListMap, DoesWhatAMapDoes) {
  SeededRandom random(13);
  ListMap<int, std::string> map;
  std::map<int, std::string> model;
  for (std::uint64_t step = 0; step < 5'000; ++step) {
    const int key = static_cast<int>(random.below(12));
    if (random.below(2) == 0) {
      const auto [at, fresh] = map.emplace(key, std::to_string(step));
      const auto [as, also] = model.emplace(key, std::to_string(step));
      ASSERT_EQ(fresh, also);
      ASSERT_EQ(at->second, as->second) << "what is there stays";
    } else {
      ASSERT_EQ(map.erase(key), model.erase(key));
    }
    ASSERT_EQ(map.size(), model.size());
    ASSERT_EQ(map.empty(), model.empty());
    ASSERT_EQ(map.contains(key), model.contains(key));
    ASSERT_TRUE(std::equal(map.begin(), map.end(), model.begin(), model.end()));
  }
}

TEST(ListMap, MergesInOrderAndMovesNothing) {
  ListMap<int, int> odd;
  ListMap<int, int> even;
  for (const int n : {7, 1, 3, 5}) odd.emplace(n, n);
  for (const int n : {4, 8, 2}) even.emplace(n, n);
  const int* const three = &odd.find(3)->second;
  even.merge(odd);
  EXPECT_TRUE(odd.empty());
  std::vector<int> keys;
  for (const auto& [key, value] : even) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector{1, 2, 3, 4, 5, 7, 8}));
  EXPECT_EQ(&even.find(3)->second, three);
}

TEST(RareVector, DoesWhatAVectorDoes) {
  EXPECT_EQ(sizeof(RareVector<std::string>), sizeof(void*));
  SeededRandom random(14);
  RareVector<std::string> vector;
  std::vector<std::string> model;
  for (std::uint64_t step = 0; step < 5'000; ++step) {
    const std::size_t place = random.below(model.size() + 1);
    const auto at = static_cast<std::ptrdiff_t>(place);
    switch (random.below(5)) {
      case 0:
        vector.push_back(std::to_string(step));
        model.push_back(std::to_string(step));
        break;
      case 1:
        vector.insert(vector.begin() + place, std::to_string(step));
        model.insert(model.begin() + at, std::to_string(step));
        break;
      case 2:
        if (place == model.size()) break;
        vector.erase(vector.begin() + place);
        model.erase(model.begin() + at);
        break;
      case 3:
        vector.erase(vector.begin() + place, vector.end());
        model.erase(model.begin() + at, model.end());
        break;
      default: {
        const auto goes = [&](const std::string& text) { return text.back() == '3'; };
        ASSERT_EQ(erase_if(vector, goes), std::erase_if(model, goes));
      }
    }
    ASSERT_EQ(vector.empty(), model.empty());
    ASSERT_TRUE(std::equal(vector.begin(), vector.end(), model.begin(), model.end())) << step;
    if (model.empty()) continue;
    ASSERT_EQ(vector.front(), model.front());
    ASSERT_EQ(vector[model.size() - 1], model.back());
  }
  vector.clear();
  EXPECT_EQ(vector.begin(), vector.end());
}

}  // namespace
}  // namespace culvert
