#include "base/chunked_set.hpp"

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert {
namespace {

using Set = ChunkedSet<std::uint64_t>;

void expect_same(const Set& set, const std::set<std::uint64_t>& model) {
  ASSERT_EQ(set.size(), model.size());
  ASSERT_EQ(set.empty(), model.empty());
  ASSERT_TRUE(std::equal(set.begin(), set.end(), model.begin(), model.end()));
  ASSERT_TRUE(std::equal(set.rbegin(), set.rend(), model.rbegin(), model.rend()));
}

// It grows beyond a thousand blocks, shrinks to nothing, and grows again.
TEST(ChunkedSet, DoesWhatASetDoes) {
  SeededRandom random(11);
  for (const std::uint64_t keys : {5, 500, 50'000}) {
    Set set;
    std::set<std::uint64_t> model;
    for (std::uint64_t step = 0; step < 40'000; ++step) {
      const std::uint64_t key = random.below(keys);
      if (random.below(step % 8000 < 4000 ? 4 : 8) < 3) {
        const auto [at, fresh] = set.insert(key);
        ASSERT_EQ(fresh, model.insert(key).second) << step;
        ASSERT_EQ(*at, key) << step;
      } else {
        ASSERT_EQ(set.erase(key), model.erase(key)) << step;
      }
      ASSERT_EQ(set.contains(key), model.contains(key));
      const auto above = model.upper_bound(key);
      const auto found = set.upper_bound(key);
      ASSERT_EQ(found == set.end(), above == model.end()) << step;
      if (above != model.end()) {
        ASSERT_EQ(*found, *above) << step;
      }
      if (step % 1000 == 0) expect_same(set, model);
    }
    expect_same(set, model);
    while (!set.empty()) set.erase(std::next(set.begin(), static_cast<std::ptrdiff_t>(random.below(set.size()))));
    EXPECT_EQ(set.size(), 0u);
    EXPECT_EQ(set.begin(), set.end());
  }
}

// As ids are made and go: what is left of very many lies together.
TEST(ChunkedSet, FewOfManyStay) {
  Set set;
  std::set<std::uint64_t> model;
  for (std::uint64_t n = 0; n < 100'000; ++n) {
    set.insert(n);
    if (n % 97 == 0) model.insert(n);
  }
  for (std::uint64_t n = 0; n < 100'000; ++n) {
    if (n % 97 == 0) continue;
    ASSERT_EQ(set.erase(n), 1u);
  }
  expect_same(set, model);
}

struct ByText {
  using Text = std::unique_ptr<std::string>;
  bool operator()(const Text& a, const Text& b) const { return *a < *b; }
  bool operator()(const Text& a, std::string_view b) const { return *a < b; }
  bool operator()(std::string_view a, const Text& b) const { return a < *b; }
};

TEST(ChunkedSet, FindsByWhatIsLikeAKey) {
  ChunkedSet<ByText::Text, ByText> set;
  for (int n = 999; n >= 0; --n) set.insert(std::make_unique<std::string>(std::to_string(n)));
  EXPECT_EQ(**set.find(std::string_view("500")), "500");
  EXPECT_EQ(set.find(std::string_view("x")), set.end());
  const auto [first, last] = set.equal_range(std::string_view("7"));
  EXPECT_EQ(std::distance(first, last), 1);
  EXPECT_EQ(set.erase(std::string_view("7")), 1u);
  EXPECT_EQ(set.erase(std::string_view("7")), 0u);
}

}  // namespace
}  // namespace culvert
