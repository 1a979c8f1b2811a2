#include "daemon/sequence_ledger.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"

namespace culvert::daemon {
namespace {

using ::testing::HasSubstr;

class Ledger : public ::testing::Test {
 protected:
  /// A new object for each call: what it knows is in the file.
  Result<control::SequenceReservation, std::string> reserve(std::uint8_t key, std::uint64_t block = 1000,
                                                            std::optional<std::uint64_t> follows = {},
                                                            std::uint64_t last = ~std::uint64_t{0}) {
    return SequenceLedger(folder_.path())
        .reserve({.child = {}, .fingerprint = Bytes(32, key), .block = block, .last = last, .follows = follows});
  }
  std::string content() {
    std::ifstream in(SequenceLedger(folder_.path()).file());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& text) { std::ofstream(SequenceLedger(folder_.path()).file()) << text; }

  TemporaryFolder folder_;
};

TEST_F(Ledger, EachReservationBeginsWhereTheLastEnded) {
  for (std::uint64_t i = 0; i < 5; ++i) {
    const auto got = reserve(1);
    ASSERT_TRUE(got) << got.error();
    EXPECT_EQ(got->used, 1000 * i);
    EXPECT_EQ(got->granted, 1000 * (i + 1));
    EXPECT_EQ(reserve(2, 7)->used, 7 * i) << "each key for itself";
  }
  EXPECT_EQ(std::filesystem::status(SequenceLedger(folder_.path()).file()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

// What many SAs ask for at a start is written down at once, each request as if it came alone.
TEST_F(Ledger, ManyReservationsAreOneWrite) {
  ASSERT_TRUE(reserve(2, 7));
  std::vector<control::ReserveSequence> requests;
  for (std::uint8_t i = 0; i < 200; ++i) {
    requests.push_back({.child = {},
                        .fingerprint = Bytes(32, static_cast<std::uint8_t>(i % 100)),
                        .block = 1000,
                        .last = i == 5 ? std::uint64_t{400} : ~std::uint64_t{0},
                        .follows = {}});
  }
  requests[3].follows = 17;
  const auto answers = SequenceLedger(folder_.path()).reserve(requests);
  ASSERT_EQ(answers.size(), requests.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (i == 3) {
      EXPECT_FALSE(answers[i]) << "one that is refused holds up no other";
      continue;
    }
    ASSERT_TRUE(answers[i]) << i << ": " << answers[i].error();
    const std::uint64_t used = i == 2 ? 7 : i == 102 ? 1007 : i == 105 ? 400 : i >= 100 && i != 103 ? 1000 : 0;
    EXPECT_EQ(answers[i]->used, used) << i;
    EXPECT_EQ(answers[i]->granted, i == 5 ? 400 : used + 1000) << i;
  }
  EXPECT_EQ(reserve(7)->used, 2000U) << "all of it is on disk";
  EXPECT_EQ(reserve(3)->used, 1000U);
  // A damaged file is nobody's to go on from.
  write("culvert manual-sequences 1\n");
  for (const auto& answer : SequenceLedger(folder_.path()).reserve(requests)) EXPECT_FALSE(answer);
}

TEST_F(Ledger, NobodyElseMayComeBetween) {
  ASSERT_TRUE(reserve(1));
  EXPECT_EQ(reserve(1, 1000, 1000)->granted, 2000U);
  ASSERT_TRUE(reserve(1)) << "another daemon with the same key";
  const auto late = reserve(1, 1000, 2000);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error(), HasSubstr("a key of its own"));
  EXPECT_EQ(reserve(1)->used, 3000U) << "the refused one took nothing";
}

// RFC 4303 3.3.3: 32-bit numbers do not cycle.
TEST_F(Ledger, EndsWithTheNumbers) {
  EXPECT_EQ(reserve(1, 0xffff'fff0, {}, 0xffff'ffff)->granted, 0xffff'fff0U);
  EXPECT_EQ(reserve(1, 1000, {}, 0xffff'ffff)->granted, 0xffff'ffffU);
  const auto end = reserve(1, 1000, {}, 0xffff'ffff);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->used, 0xffff'ffffU);
  EXPECT_EQ(end->granted, 0xffff'ffffU);
  EXPECT_EQ(reserve(1, ~std::uint64_t{0})->granted, ~std::uint64_t{0}) << "the same key with ESN";
}

// Whatever happened to the file: no number comes twice because of it.
TEST_F(Ledger, EveryCutAndEveryFlippedBitIsNoticed) {
  ASSERT_TRUE(reserve(1));
  ASSERT_TRUE(reserve(2));
  const std::string whole = content();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write(whole.substr(0, length));
    const auto got = reserve(1);
    ASSERT_FALSE(got) << length;
    EXPECT_THAT(got.error(), HasSubstr("damaged"));
    EXPECT_THAT(got.error(), HasSubstr("new keys"));
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write(bad);
    EXPECT_FALSE(reserve(1)) << at;
  }
  write(whole + std::string(4096, '\0'));
  EXPECT_FALSE(reserve(1)) << "a torn block behind it";
  write(whole);
  EXPECT_EQ(reserve(1)->used, 1000U);
}

TEST_F(Ledger, ALeftOverFromACrashIsNotRead) {
  ASSERT_TRUE(reserve(1));
  std::ofstream(SequenceLedger(folder_.path()).file().string() + ".new") << "half a li";
  EXPECT_EQ(reserve(1)->used, 1000U);
}

TEST_F(Ledger, WhereNothingCanBeWrittenTheWayOutIsSaid) {
  std::ofstream(folder_ / "file") << "x";
  const auto got =
      SequenceLedger(folder_ / "file" / "state").reserve({.fingerprint = Bytes(32, 1), .block = 1, .last = 9});
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error(), HasSubstr("--state"));
}

TEST_F(Ledger, WaitsForOthersAndNotForEver) {
  ASSERT_TRUE(reserve(1));
  const int held = ::open((SequenceLedger(folder_.path()).file().string() + ".lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  EXPECT_THAT(reserve(1).error(), HasSubstr("another process"));
  ::close(held);
  EXPECT_TRUE(reserve(1));
}

}  // namespace
}  // namespace culvert::daemon
