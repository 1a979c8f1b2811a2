#include "ipsec/replay_window.hpp"

#include <set>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::ipsec {
namespace {

using Verdict = ReplayWindow::Verdict;

// The rule in its plainest form: a set of all numbers ever received.
class PlainWindow {
 public:
  explicit PlainWindow(std::uint32_t size) : size_(size) {}

  [[nodiscard]] Verdict check(std::uint64_t sequence) const {
    if (sequence == 0) return Verdict::too_old;
    if (sequence + size_ <= top_) return Verdict::too_old;
    return seen_.contains(sequence) ? Verdict::replayed : Verdict::fresh;
  }
  void update(std::uint64_t sequence) {
    seen_.insert(sequence);
    top_ = std::max(top_, sequence);
    while (!seen_.empty() && *seen_.begin() + size_ <= top_) seen_.erase(seen_.begin());
  }
  [[nodiscard]] std::uint64_t top() const { return top_; }
  void jump_to(std::uint64_t top) { top_ = top; }

 private:
  std::uint64_t size_;
  std::uint64_t top_ = 0;
  std::set<std::uint64_t> seen_;
};

class ReplayWindowModel : public testing::TestWithParam<std::uint32_t> {};

// RFC 4303 3.4.3, A2: the same verdicts as the plain model, at 64-bit numbers of every size, with jumps over the
// window's edges.
TEST_P(ReplayWindowModel, AgreesWithPlainModel) {
  const std::uint32_t size = GetParam();
  SeededRandom random(size);
  for (const std::uint64_t start : {0ULL, 0xffff'ff00ULL, 0x1'0000'0000ULL, 0x7'ffff'0000ULL}) {
    ReplayWindow window(size, true);
    PlainWindow plain(size);
    std::uint64_t replayed = 0;
    std::uint64_t too_old = 0;
    if (start != 0) {
      ASSERT_EQ(window.update(start), Verdict::fresh);
      plain.update(start);
    }
    for (int step = 0; step < 60000; ++step) {
      std::uint64_t sequence = 0;
      const std::uint64_t top = plain.top();
      switch (random.below(8)) {
        case 0: sequence = top + 1; break;
        case 1: sequence = top + 1 + random.below(3); break;
        case 2: sequence = top + random.below(std::uint64_t{size} * 2); break;
        case 3: sequence = top - std::min<std::uint64_t>(top, size - 1); break;  // the left edge
        case 4: sequence = top - std::min<std::uint64_t>(top, size); break;      // just outside
        default: sequence = top - std::min<std::uint64_t>(top, random.below(size + 2)); break;
      }
      const Verdict expected = plain.check(sequence);
      ASSERT_EQ(window.check(sequence), expected) << "size " << size << " top " << top << " sequence " << sequence;
      replayed += expected == Verdict::replayed;
      too_old += expected == Verdict::too_old;
      // A number in the window or ahead of it is found again from its low half.
      if (expected != Verdict::too_old) {
        const auto inferred = window.infer(static_cast<std::uint32_t>(sequence));
        ASSERT_TRUE(inferred.has_value());
        ASSERT_EQ(*inferred, sequence);
        std::uint64_t next = 0;
        ASSERT_EQ(window.check_next(static_cast<std::uint32_t>(sequence), next), expected);
        ASSERT_EQ(next, sequence);
      }
      if (random.below(4) == 0) continue;  // as if the ICV had been wrong: nothing may change
      ASSERT_EQ(window.update(sequence), expected);
      if (expected == Verdict::fresh) plain.update(sequence);
      ASSERT_EQ(window.top(), plain.top());
    }
    EXPECT_GT(replayed, 100U);
    EXPECT_GT(too_old, 100U);
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, ReplayWindowModel,
                         testing::Values(32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536));

// Rows of all lengths from all places, in windows that others fill with gaps and late numbers.
TEST_P(ReplayWindowModel, RowsAgreeWithPlainModel) {
  const std::uint32_t size = GetParam();
  SeededRandom random(size + 2);
  ReplayWindow window(size, true);
  PlainWindow plain(size);
  const auto take = [&](std::uint64_t sequence) {
    const Verdict expected = plain.check(sequence);
    ASSERT_EQ(window.update(sequence), expected) << "size " << size << " sequence " << sequence;
    if (expected == Verdict::fresh) plain.update(sequence);
  };
  for (int step = 0; step < 300; ++step) {
    if (random.below(3) == 0) take(window.top() + random.below(100));
    if (random.below(3) == 0) take(window.top() - std::min<std::uint64_t>(window.top(), random.below(size)));
    const std::uint64_t row = window.top() + random.below(random.below(8) == 0 ? 3 * std::uint64_t{size} : 130);
    for (std::uint64_t sequence = window.top() + 1; sequence <= row; ++sequence) take(sequence);
    ASSERT_EQ(window.top(), plain.top());
    for (std::uint64_t back = 0; back < std::min<std::uint64_t>(row + 1, size + 3); ++back) {
      ASSERT_EQ(window.check(row - back), plain.check(row - back)) << "size " << size << " back " << back;
    }
  }
}

// RFC 4303 3.4.3 without ESN: numbers of 32 bits, up to the very last one.
TEST_P(ReplayWindowModel, AgreesWithPlainModelInThirtyTwoBits) {
  constexpr std::uint64_t kLast = 0xffff'ffff;
  const std::uint32_t size = GetParam();
  SeededRandom random(size + 1);
  for (const std::uint64_t start : {std::uint64_t{1}, kLast - 3 * size}) {
    ReplayWindow window(size, false);
    PlainWindow plain(size);
    ASSERT_EQ(window.update(start), Verdict::fresh);
    plain.update(start);
    for (int step = 0; step < 20000; ++step) {
      const std::uint64_t top = plain.top();
      const std::uint64_t left = top - std::min<std::uint64_t>(top, random.below(size + 2));
      const std::uint64_t right = std::min<std::uint64_t>(kLast, top + random.below(4));
      const auto low = static_cast<std::uint32_t>(random.below(3) == 0 ? right : left);
      const auto sequence = window.infer(low);
      ASSERT_EQ(sequence, low);
      const Verdict expected = plain.check(low);
      ASSERT_EQ(window.check(low), expected) << "size " << size << " top " << top << " sequence " << low;
      std::uint64_t next = 0;
      ASSERT_EQ(window.check_next(low, next), expected);
      ASSERT_EQ(window.update(low), expected);
      if (expected == Verdict::fresh) plain.update(low);
    }
    EXPECT_LE(window.top(), kLast);
  }
}

// RFC 4303 A2.2, case A: the window [Tl-W+1, Tl] within one subspace.
TEST(ReplayWindow, InfersTheNextSubspaceLeftOfTheWindow) {
  ReplayWindow window(64, true);
  ASSERT_EQ(window.update(0x1'0000'1000), Verdict::fresh);
  EXPECT_EQ(window.infer(0x1000), 0x1'0000'1000U);
  EXPECT_EQ(window.infer(0x0fc1), 0x1'0000'0fc1U);  // the left edge
  EXPECT_EQ(window.infer(0x0fc0), 0x2'0000'0fc0U);  // one further left: taken for the next subspace
  EXPECT_EQ(window.infer(0xffff'ffff), 0x1'ffff'ffffU);
}

// RFC 4303 A2.2, case B: the window spans two subspaces.
TEST(ReplayWindow, InfersTheFormerSubspaceAcrossTheBorder) {
  ReplayWindow window(64, true);
  ASSERT_EQ(window.update(0x3'0000'000a), Verdict::fresh);
  EXPECT_EQ(window.infer(0x0b), 0x3'0000'000bU);
  EXPECT_EQ(window.infer(0xffff'fff0), 0x2'ffff'fff0U);
  EXPECT_EQ(window.infer(0xffff'ffcb), 0x2'ffff'ffcbU);  // bottom = 10 - 63 modulo 2^32
  EXPECT_EQ(window.infer(0xffff'ffca), 0x3'ffff'ffcaU);
}

TEST(ReplayWindow, NothingLiesBeforeTheFirstSubspace) {
  ReplayWindow window(64, true);
  ASSERT_EQ(window.update(5), Verdict::fresh);
  EXPECT_FALSE(window.infer(0xffff'ffff).has_value());
  EXPECT_EQ(window.infer(0xffff'ff00), 0xffff'ff00U);
}

TEST(ReplayWindow, NothingLiesBehindTheLastSubspace) {
  ReplayWindow window(64, true);
  ASSERT_EQ(window.update(0xffff'ffff'ffff'ff00), Verdict::fresh);
  EXPECT_FALSE(window.infer(0x10).has_value());
  EXPECT_EQ(window.infer(0xffff'ffff), 0xffff'ffff'ffff'ffffU);
}

TEST(ReplayWindow, ThirtyTwoBitNumbersAreTakenAsTheyStand) {
  ReplayWindow window(64, false);
  ASSERT_EQ(window.update(0xffff'fff0), Verdict::fresh);
  EXPECT_EQ(window.infer(3), 3U);
  EXPECT_EQ(window.check(3), Verdict::too_old);
}

// RFC 4303 3.3.3: numbering starts at 1.
TEST(ReplayWindow, ZeroIsNeverANumber) {
  ReplayWindow window(64, false);
  EXPECT_EQ(window.check(0), Verdict::too_old);
}

TEST(ReplayWindow, SizeZeroSwitchesItOff) {
  ReplayWindow window(0, true);
  EXPECT_EQ(window.update(100), Verdict::fresh);
  EXPECT_EQ(window.update(100), Verdict::fresh);
  EXPECT_EQ(window.update(1), Verdict::fresh);
  EXPECT_EQ(window.top(), 100U);
  ASSERT_EQ(window.update(0x1'0000'0010), Verdict::fresh);
  EXPECT_EQ(window.infer(0xffff'fff0), 0xffff'fff0U);
  EXPECT_EQ(window.infer(0x11), 0x1'0000'0011U);
}

// The numbers never get there honestly; a peer that jumps by 2^32 at a time can.
TEST(ReplayWindow, ReachesTheLastNumberOfAll) {
  constexpr std::uint64_t kLast = ~std::uint64_t{0};
  ReplayWindow window(64, true);
  ASSERT_EQ(window.update(kLast - 10), Verdict::fresh);
  ASSERT_EQ(window.update(kLast), Verdict::fresh);
  EXPECT_EQ(window.check(kLast), Verdict::replayed);
  EXPECT_EQ(window.check(kLast - 10), Verdict::replayed);
  EXPECT_EQ(window.check(kLast - 5), Verdict::fresh);
  EXPECT_EQ(window.check(kLast - 64), Verdict::too_old);
}

}  // namespace
}  // namespace culvert::ipsec
