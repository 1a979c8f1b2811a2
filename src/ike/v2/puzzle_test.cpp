// Puzzles in IKE_SA_INIT (RFC 8019 7.1): given under attack beside the cookie, solved by our own initiator off the
// core, and good once.
#include "ike/puzzle.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::milliseconds;
using std::chrono::seconds;

EndpointSettings attacked(std::uint8_t bits = 8) {
  EndpointSettings settings;
  settings.cookie_threshold = 0;
  settings.puzzle_threshold = 0;
  settings.puzzle_bits = bits;
  return settings;
}

codec::Message message_at(const Pair& pair, std::size_t n) {
  const auto parsed = codec::parse_message(pair.wire.at(n).message);
  CHECK(parsed.has_value());
  return {.header = parsed->header, .payloads = parsed->payloads};
}

Bytes* solution_of(codec::Message& message) {
  for (codec::Payload& one : message.payloads)
    if (auto* unknown = std::get_if<codec::UnknownPayload>(&one); unknown && unknown->type == kPuzzleSolutionPayload)
      return &unknown->body;
  return nullptr;
}

/// What b answers to the request.
std::optional<codec::Message> answer_to(Pair& pair, const codec::Message& request,
                                        const net::Path& path = path_from(false)) {
  pair.wire.clear();
  pair.inject(pair.b, path, codec::serialize(request));
  if (pair.wire.empty()) return std::nullopt;
  return message_at(pair, 0);
}

// HDR, SA, KE, Ni -->; <-- HDR, N(COOKIE), N(PUZZLE); HDR, N(COOKIE), PS, SA, KE, Ni -->.
TEST(PuzzleSetUp, IsGivenAndSolved) {
  Pair pair(1, attacked());
  bring_up(pair);
  ASSERT_TRUE(in_step(pair));
  const codec::Message given = message_at(pair, 1);
  ASSERT_NE(given.notify(NotifyType::cookie), nullptr);
  const auto puzzle = decode_puzzle(given.notify(NotifyType::puzzle)->data);
  ASSERT_TRUE(puzzle);
  EXPECT_EQ(puzzle->zero_bits, 8);
  EXPECT_LE(pair.wire[1].message.size(), pair.wire[0].message.size());
  codec::Message again = message_at(pair, 2);
  ASSERT_NE(solution_of(again), nullptr);
  EXPECT_GE(solved_bits(puzzle->prf, given.notify(NotifyType::cookie)->data, *solution_of(again)), 8u);
  EXPECT_EQ(again.payloads.size(), message_at(pair, 0).payloads.size() + 2) << "the rest is as it was";
  EXPECT_EQ(pair.b.endpoint().counters().puzzles, 1u);
  EXPECT_EQ(pair.b.endpoint().counters().solved, 1u);
}

TEST(PuzzleSetUp, BelowTheThresholdACookieDoes) {
  EndpointSettings settings = attacked();
  settings.puzzle_threshold = 1;
  Pair pair(1, settings);
  bring_up(pair);
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(message_at(pair, 1).notify(NotifyType::puzzle), nullptr);
  EXPECT_EQ(pair.b.endpoint().counters().cookies, 1u);
  EXPECT_EQ(pair.b.endpoint().counters().puzzles, 0u);
}

// RFC 8019 7.1.1.3: whoever changes what is not the cookie's to bind gains nothing.
TEST(PuzzleSetUp, ASolutionIsGoodOnce) {
  Pair pair(1, attacked());
  bring_up(pair);
  codec::Message again = message_at(pair, 2);
  unsigned let_in = 0;
  for (unsigned n = 0; n < 40; ++n) {
    for (codec::Payload& one : again.payloads)
      if (auto* ke = std::get_if<codec::KePayload>(&one)) ++ke->public_value[5];
    const auto answer = answer_to(pair, again);
    ASSERT_TRUE(answer);
    let_in += answer->first<codec::SaPayload>() != nullptr ? 1 : 0;
  }
  EXPECT_EQ(let_in, 0u) << "nor does this network win in the lottery";
  EXPECT_EQ(pair.b.endpoint().counters().solved, 1u);
}

// RFC 8019 7.1.4, 7.1.5: of those that do not solve it some are let in. Whoever has no luck has none when it asks
// again, or from beside it, until the secret changes; and what is let in so was not solved.
TEST(PuzzleSetUp, WhoKnowsNoPuzzlesHasAChance) {
  Pair pair(1, attacked());
  auto anybody = config_of(false);
  anybody.peer.reset();
  configure(pair, config_of(true), anybody);
  pair.fate = [](const Datagram&) { return std::vector<Duration>(); };
  initiate(pair);
  codec::Message request = message_at(pair, 0);
  ByteWriter wrong;
  for (std::uint32_t key = 1; key <= 4; ++key) wrong.u32(key);
  request.add(codec::UnknownPayload{.type = kPuzzleSolutionPayload, .critical = false, .body = wrong.take()});
  unsigned let_in = 0;
  bool before = false;
  for (unsigned n = 0; n < 200; ++n) {
    net::Path path = path_from(false);
    // Two of each network.
    path.remote.address = *net::IpAddress::parse(fmt::format("10.9.{}.{}", n / 2, n));
    request.header.spi_i = model::IkeSpi(1000 + n);
    std::erase_if(request.payloads, [](const codec::Payload& one) {
      const auto* notify = std::get_if<codec::NotifyPayload>(&one);
      return notify != nullptr && notify->type == NotifyType::cookie;
    });
    const auto given = answer_to(pair, request, path);
    ASSERT_TRUE(given && given->notify(NotifyType::cookie));
    request.payloads.insert(request.payloads.begin(), *given->notify(NotifyType::cookie));
    const auto answer = answer_to(pair, request, path);
    ASSERT_TRUE(answer);
    const bool in = answer->first<codec::SaPayload>() != nullptr;
    let_in += in ? 1 : 0;
    EXPECT_EQ(answer->notify(NotifyType::puzzle) == nullptr, in);
    EXPECT_TRUE(n % 2 == 0 || in == before) << n;
    before = in;
  }
  EXPECT_GT(let_in, 5u);
  EXPECT_LT(let_in, 60u);
  EXPECT_EQ(pair.b.endpoint().counters().solved, 0u);
}

TEST(PuzzleSetUp, AWrongSolutionIsNone) {
  Pair pair(1, attacked(16));
  pair.a.postpones = [](const Request& request) { return std::holds_alternative<PuzzleRequest>(request); };
  configure(pair);
  initiate(pair);
  pair.settle();
  ASSERT_EQ(pair.a.postponed.size(), 1u);
  // While it is being solved nothing else is sent but the request again, and other puzzles are not looked at.
  pair.advance(seconds(2));
  EXPECT_EQ(pair.a.postponed.size(), 1u);
  const RequestToken token = std::get<PuzzleRequest>(pair.a.postponed.front()).token;
  pair.a.postponed.clear();
  ByteWriter wrong;
  for (std::uint32_t key = 1; key <= 4; ++key) wrong.u32(key);
  pair.a.postpones = nullptr;
  pair.a.endpoint().handle_completion(token, PuzzleResult{.solution = wrong.take()}, pair.now);
  pair.command(pair.a, OwnAddresses{});
  pair.advance(milliseconds(100));
  EXPECT_GE(pair.b.endpoint().counters().puzzles, 2u) << "it is given again, as long as the lottery does not let us in";
}

TEST(PuzzleSetUp, OneThatIsTooHardIsPassedOver) {
  Pair pair(3, attacked(16));
  EndpointSettings settings = attacked();
  settings.puzzle_bits = 200;
  pair.b.settings = settings;
  pair.b.restart();
  configure(pair);
  initiate(pair);
  // The cookie alone: the lottery lets it in sooner or later.
  EXPECT_TRUE(pair.run_until([&] { return in_step(pair) || !pair.a.failures.empty(); }, seconds(120)));
  EXPECT_FALSE(std::ranges::any_of(pair.wire, [](const Datagram& one) {
    const auto parsed = codec::parse_message(one.message);
    return parsed && std::ranges::any_of(parsed->payloads, [](const codec::Payload& payload) {
             const auto* unknown = std::get_if<codec::UnknownPayload>(&payload);
             return unknown != nullptr && unknown->type == kPuzzleSolutionPayload;
           });
  }));
}

// Nobody has proved anything who gives us one: it is solved only where nothing waits for that, not again and again, and
// not for an attempt that is over.
class ForgedPuzzles : public ::testing::Test {
 protected:
  void begin(bool solves) {
    EndpointSettings settings;
    settings.solve_puzzles = solves;
    pair.emplace(1, settings);
    configure(*pair);
    pair->a.postpones = [](const Request& request) { return std::holds_alternative<PuzzleRequest>(request); };
    pair->fate = [](const Datagram&) { return std::vector<Duration>(); };
    initiate(*pair);
    first = message_at(*pair, 0);
  }
  void forge(std::uint8_t cookie) {
    codec::Message answer;
    answer.header = first.header;
    answer.header.initiator = false;
    answer.header.response = true;
    answer.add_notify(NotifyType::cookie, Bytes(8, cookie));
    answer.add_notify(NotifyType::puzzle, encode(Puzzle{.zero_bits = 20}));
    pair->inject(pair->a, path_from(true), codec::serialize(answer));
  }
  std::optional<Pair> pair;
  codec::Message first;
};

TEST_F(ForgedPuzzles, WithoutThreadsForThemTheCookieAloneGoesBack) {
  begin(false);
  forge(1);
  EXPECT_TRUE(pair->a.postponed.empty());
  codec::Message again = message_at(*pair, pair->wire.size() - 1);
  ASSERT_NE(again.notify(NotifyType::cookie), nullptr);
  EXPECT_EQ(solution_of(again), nullptr);
}

TEST_F(ForgedPuzzles, AFewOfAnAttemptAreSolvedOneAfterTheOther) {
  begin(true);
  unsigned asked = 0;
  for (std::uint8_t n = 1; n < 10; ++n) {
    forge(n);
    forge(static_cast<std::uint8_t>(100 + n));
    ASSERT_LE(pair->a.postponed.size(), 1u);
    if (pair->a.postponed.empty()) continue;
    ++asked;
    const RequestToken token = std::get<PuzzleRequest>(pair->a.postponed.front()).token;
    pair->a.postponed.clear();
    pair->a.endpoint().handle_completion(token, PuzzleResult{}, pair->now);
    pair->command(pair->a, OwnAddresses{});
  }
  EXPECT_EQ(asked, 2u);
}

TEST_F(ForgedPuzzles, WhenTheAttemptEndsSoDoesTheWork) {
  begin(true);
  forge(1);
  ASSERT_EQ(pair->a.postponed.size(), 1u);
  const PuzzleRequest request = std::get<PuzzleRequest>(pair->a.postponed.front());
  ASSERT_TRUE(request.unwanted);
  EXPECT_FALSE(*request.unwanted);
  pair->command(pair->a, Terminate{kConnection});
  pair->settle();
  EXPECT_TRUE(*request.unwanted);
  PuzzleRequest easy = request;
  easy.zero_bits = 4;
  EXPECT_TRUE(carry_out(easy).solution.empty());
  easy.unwanted = nullptr;
  EXPECT_FALSE(carry_out(easy).solution.empty());
}

// RFC 8019 7.1.2: such an answer is malformed.
TEST(PuzzleSetUp, APuzzleWithoutACookieIsIgnored) {
  Pair pair;
  configure(pair);
  pair.fate = [](const Datagram&) { return std::vector<Duration>(); };
  initiate(pair);
  codec::Message answer;
  answer.header = message_at(pair, 0).header;
  answer.header.initiator = false;
  answer.header.response = true;
  answer.add_notify(NotifyType::puzzle, encode(Puzzle{.zero_bits = 8}));
  const auto sent = pair.wire.size();
  pair.inject(pair.a, path_from(true), codec::serialize(answer));
  EXPECT_EQ(pair.wire.size(), sent);
}

}  // namespace
}  // namespace culvert::ike::v2
