// Puzzles in IKE_SA_INIT (RFC 8019 7.1): given under attack beside the cookie, solved by our own initiator off the
// core, and good once.
#include "ike/puzzle.hpp"

#include <algorithm>

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
std::optional<codec::Message> answer_to(Pair& pair, const codec::Message& request) {
  pair.wire.clear();
  pair.inject(pair.b, path_from(false), codec::serialize(request));
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
  EXPECT_LT(let_in, 15u) << "but for the lottery";
  EXPECT_EQ(pair.b.endpoint().counters().solved, 1u + let_in);
}

// RFC 8019 7.1.4, 7.1.5: of those that do not solve it some are let in.
TEST(PuzzleSetUp, WhoKnowsNoPuzzlesHasAChance) {
  Pair pair(1, attacked());
  configure(pair);
  pair.fate = [](const Datagram&) { return std::vector<Duration>(); };
  initiate(pair);
  codec::Message request = message_at(pair, 0);
  unsigned let_in = 0;
  for (unsigned n = 0; n < 200; ++n) {
    request.header.spi_i = model::IkeSpi(1000 + n);
    std::erase_if(request.payloads, [](const codec::Payload& one) {
      const auto* notify = std::get_if<codec::NotifyPayload>(&one);
      return notify != nullptr && notify->type == NotifyType::cookie;
    });
    const auto given = answer_to(pair, request);
    ASSERT_TRUE(given && given->notify(NotifyType::cookie));
    request.payloads.insert(request.payloads.begin(), *given->notify(NotifyType::cookie));
    const auto answer = answer_to(pair, request);
    if (!answer) continue;
    const bool in = answer->first<codec::SaPayload>() != nullptr;
    let_in += in ? 1 : 0;
    EXPECT_EQ(answer->notify(NotifyType::puzzle) == nullptr, in);
  }
  EXPECT_GT(let_in, 5u);
  EXPECT_LT(let_in, 60u);
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
