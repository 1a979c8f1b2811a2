// Puzzles in IKE_AUTH (RFC 8019 7.2): given with the answer to IKE_SA_INIT while garbage comes in behind it, solved in
// front of the first sealed message, and nothing computed without.
#include "ike/v2/auth_puzzle.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/loss.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kPlain = "aes256gcm16-prfsha256-x25519";
constexpr const char* kCbc = "aes256-sha256-prfsha256-ecp256";
constexpr const char* kThree = "aes256gcm16-prfsha384-x25519-ke1_mlkem512-ke2_ecp256";

EndpointSettings attacked(std::size_t puzzles_from = 0) {
  EndpointSettings settings;
  settings.cookie_threshold = 0;
  settings.puzzle_threshold = puzzles_from;
  settings.puzzle_bits = 8;
  settings.export_keys = true;
  settings.half_open_timeout = minutes(4);
  return settings;
}

codec::ParsedMessage parsed_at(const Pair& pair, std::size_t n) {
  const auto parsed = codec::parse_message(pair.wire.at(n).message);
  CHECK(parsed.has_value());
  return *parsed;
}
codec::Message as_message(const codec::ParsedMessage& parsed) {
  return {.header = parsed.header, .payloads = parsed.payloads};
}

const Bytes* solution_of(const codec::ParsedMessage& parsed) {
  for (const codec::Payload& one : parsed.payloads)
    if (const auto* unknown = std::get_if<codec::UnknownPayload>(&one);
        unknown != nullptr && unknown->type == kPuzzleSolutionPayload)
      return &unknown->body;
  return nullptr;
}

void configure_with(Pair& pair, std::string_view suite, std::uint16_t fragment = 0, const std::string& name = {}) {
  auto a = config_of(true);
  auto b = config_of(false);
  if (!name.empty()) {
    a.local_id = b.remote_id = model::Identity{model::IdentificationType::key_id, to_bytes(as_bytes(name))};
  }
  a.ike_proposals = b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, suite).value()};
  if (fragment != 0) a.ike_fragment_size = b.ike_fragment_size = fragment;
  configure(pair, std::move(a), std::move(b));
}

std::uint64_t dropped(Host& host, DatagramDrop reason) {
  return host.endpoint().counters().dropped[static_cast<std::size_t>(reason)];
}

/// Begins, up to the puzzle in front of the first sealed message, which a holds in its hands.
bool stops_at_the_second_puzzle(Pair& pair, std::string_view suite) {
  pair.a.postpones = [puzzles = 0](const Request& request) mutable {
    return std::holds_alternative<PuzzleRequest>(request) && ++puzzles == 2;
  };
  configure_with(pair, suite);
  initiate(pair);
  pair.settle();
  return pair.a.postponed.size() == 1;
}

// HDR, SA, KE, Nr, N(PUZZLE) <--; HDR, PS, SK {...} -->: RFC 8019 7.2.1, 7.2.2.
TEST(AuthPuzzleSetUp, IsGivenAndSolved) {
  for (const char* suite : {kPlain, kCbc}) {
    Pair pair(1, attacked());
    configure_with(pair, suite);
    initiate(pair);
    pair.settle();
    ASSERT_TRUE(in_step(pair)) << suite;
    ASSERT_EQ(pair.wire.size(), 6U);
    const codec::Message answer = as_message(parsed_at(pair, 3));
    ASSERT_NE(answer.notify(NotifyType::puzzle), nullptr);
    const auto puzzle = decode_puzzle(answer.notify(NotifyType::puzzle)->data);
    ASSERT_TRUE(puzzle);
    EXPECT_EQ(puzzle->zero_bits, 8);
    const codec::ParsedMessage auth = parsed_at(pair, 4);
    EXPECT_EQ(auth.header.exchange, ExchangeType::ike_auth);
    ASSERT_NE(solution_of(auth), nullptr);
    ByteWriter text;
    text.bytes(answer.first<codec::NoncePayload>()->data);
    text.u64(answer.header.spi_r.value());
    EXPECT_GE(solved_bits(puzzle->prf, text.view(), *solution_of(auth)), 8U);
    EXPECT_EQ(pair.b.endpoint().counters().auth_puzzles, 1U);
    EXPECT_EQ(pair.b.endpoint().counters().auth_solved, 1U);
    EXPECT_TRUE(no_leaks(pair));
  }
}

// RFC 8019 7.2.4: neither the shared secret nor keys before the solution is there.
TEST(AuthPuzzleSetUp, NothingIsComputedBefore) {
  Pair pair(1, attacked());
  std::size_t secrets = 0;
  pair.b.postpones = [&](const Request& request) {
    const auto* work = std::get_if<KeyExchangeRequest>(&request);
    secrets += work != nullptr && work->peer_value ? 1 : 0;
    return false;
  };
  pair.fate = [](const Datagram& datagram) {
    return datagram.header().exchange == ExchangeType::ike_sa_init ? std::vector<Duration>{Pair::kLatency}
                                                                   : std::vector<Duration>{};
  };
  configure_with(pair, kPlain);
  initiate(pair);
  pair.settle();
  EXPECT_EQ(secrets, 0U);
  EXPECT_TRUE(pair.b.exported.empty());
  pair.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
  pair.advance(seconds(2));
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(secrets, 1U);
}

// RFC 8019 7.2.1: not for who has solved none to get in.
TEST(AuthPuzzleSetUp, NoneWithoutOneBefore) {
  Pair pair(1, attacked(1));
  configure_with(pair, kPlain);
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.b.endpoint().counters().cookies, 1U);
  EXPECT_EQ(as_message(parsed_at(pair, 3)).notify(NotifyType::puzzle), nullptr);
}

// In front of IKE_INTERMEDIATE where that comes first, whole and in fragments; AUTH is over it (RFC 9242 3.3.2).
TEST(AuthPuzzleSetUp, GoesWithTheFirstMessageWhateverItIs) {
  for (const std::uint16_t fragment : {std::uint16_t{0}, std::uint16_t{400}}) {
    Pair pair(1, attacked());
    configure_with(pair, kThree, fragment);
    initiate(pair);
    pair.settle();
    ASSERT_TRUE(in_step(pair)) << fragment << (pair.b.failures.empty() ? "" : pair.b.failures.front().detail);
    EXPECT_EQ(std::ranges::count_if(pair.wire,
                                    [](const Datagram& one) {
                                      const auto parsed = codec::parse_message(one.message);
                                      return parsed && parsed->sealed && solution_of(*parsed) != nullptr;
                                    }),
              1);
  }
}

TEST(AuthPuzzleSetUp, UnderLoss) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Pair pair(seed, attacked());
    pair.fate = bad_network(seed, 700);
    configure_with(pair, seed % 2 == 0 ? kPlain : kThree, seed % 3 == 0 ? std::uint16_t{400} : std::uint16_t{0});
    initiate(pair);
    ASSERT_TRUE(pair.run_until([&] { return in_step(pair); }, minutes(5))) << seed;
    EXPECT_TRUE(no_leaks(pair)) << seed;
  }
}

// RFC 7383 2.5.2: the request is cut anew when it does not get through, and the solution still stands in the first
// part.
TEST(AuthPuzzleSetUp, AMessageCutAnewKeepsIt) {
  for (const char* suite : {kPlain, kThree}) {
    Pair pair(1, attacked());
    pair.fate = [](const Datagram& datagram) {
      const bool small = datagram.header().exchange == ExchangeType::ike_sa_init || datagram.message.size() < 500;
      return small ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
    };
    configure_with(pair, suite, 1280, std::string(700, 'x'));
    initiate(pair);
    ASSERT_TRUE(pair.run_until([&] { return in_step(pair); }, minutes(2))) << suite;
    EXPECT_TRUE(std::ranges::all_of(pair.wire, [](const Datagram& one) {
      const auto parsed = codec::parse_message(one.message);
      const bool first = parsed && parsed->sealed && one.from_a && parsed->header.message_id.value() == 1 &&
                         (!parsed->sealed->fragment || parsed->sealed->fragment->number == 1);
      return !parsed || !parsed->sealed || (solution_of(*parsed) != nullptr) == first;
    })) << suite;
  }
}

// Who is on the path sees what the puzzle is of, and may solve it too: the keys are computed, what is garbage opens
// nothing, and the genuine message with its own solution is as good as ever (RFC 8019 7.2.4: the keys are kept).
TEST(AuthPuzzleSetUp, AnotherSolutionInFrontOfGarbage) {
  for (const char* suite : {kPlain, kThree}) {
    Pair pair(1, attacked());
    bool done = false;
    pair.fate = [&](const Datagram& datagram) {
      const auto parsed = codec::parse_message(datagram.message);
      const bool genuine = parsed && parsed->sealed && datagram.from_a && !done;
      return genuine ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    configure_with(pair, suite);
    initiate(pair);
    pair.settle();
    const Datagram genuine = pair.wire.back();
    const auto parsed = codec::parse_message(genuine.message);
    ASSERT_TRUE(parsed && parsed->sealed && solution_of(*parsed) != nullptr) << suite;
    // The same four keys in another order are another solution.
    Bytes forged = genuine.message;
    std::swap_ranges(forged.begin() + 32, forged.begin() + 36, forged.begin() + 36);
    const net::Path path{genuine.path.remote, genuine.path.local};
    pair.inject(pair.b, path, forged);
    EXPECT_EQ(pair.b.exported.size(), 1U) << "the keys are there";
    EXPECT_EQ(dropped(pair.b, DatagramDrop::bad_integrity), 1U);
    // One without a solution is still none.
    Bytes bare = genuine.message;
    bare.erase(bare.begin() + 28, bare.begin() + 48);
    bare[16] = static_cast<std::uint8_t>(model::PayloadType::encrypted);
    store_be32(bare.data() + 24, static_cast<std::uint32_t>(bare.size()));
    pair.inject(pair.b, path, bare);
    EXPECT_EQ(dropped(pair.b, DatagramDrop::unsolved_puzzle), 1U);
    done = true;
    ASSERT_TRUE(pair.run_until([&] { return in_step(pair); }, minutes(1))) << suite;
    EXPECT_EQ(pair.b.exported.size(), suite == kPlain ? 1U : 3U);
    EXPECT_EQ(pair.b.endpoint().counters().auth_solved, 1U);
  }
}

// RFC 8019 8.2: keys may be as long as the prf's; they are in the additional data of the AEAD then (RFC 5282 5.1).
TEST(AuthPuzzleSetUp, LongKeysAreTaken) {
  for (const char* suite : {kPlain, kThree}) {
    Pair pair(1, attacked());
    ASSERT_TRUE(stops_at_the_second_puzzle(pair, suite));
    const auto& asked = std::get<PuzzleRequest>(pair.a.postponed.front());
    const auto prf = *model::prf_function(asked.prf);
    Bytes solution;
    Bytes key(prf.size(), 3);
    for (std::uint32_t n = 0; solution.size() < 4 * key.size(); ++n) {
      store_be32(key.data(), n);
      if (trailing_zero_bits(prf(key, {asked.text}).view()) >= asked.zero_bits)
        solution.insert(solution.end(), key.begin(), key.end());
    }
    pair.a.endpoint().handle_completion(asked.token, PuzzleResult{.solution = solution}, pair.now);
    pair.command(pair.a, OwnAddresses{});
    pair.settle();
    EXPECT_TRUE(in_step(pair)) << suite;
  }
}

// Nothing can be put off where the answer is computed of the peer's value.
TEST(AuthPuzzleSetUp, NotBeforeAKeyEncapsulation) {
  Pair pair(1, attacked());
  configure_with(pair, "aes256gcm16-prfsha256-mlkem512");
  initiate(pair);
  pair.settle();
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(pair.b.endpoint().counters().solved, 1U);
  EXPECT_EQ(pair.b.endpoint().counters().auth_puzzles, 0U);
}

// It is not worked on any longer than somebody wants the IKE SA.
TEST(AuthPuzzleSetUp, IsGivenUpWithTheSetUp) {
  Pair pair(1, attacked());
  ASSERT_TRUE(stops_at_the_second_puzzle(pair, kPlain));
  pair.command(pair.a, Terminate{kConnection});
  const std::size_t before = pair.wire.size();
  pair.answer_postponed(pair.a);
  pair.advance(minutes(6));
  EXPECT_EQ(pair.wire.size(), before);
  EXPECT_TRUE(pair.b.exported.empty());
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0U);
  EXPECT_TRUE(pair.a.failures.empty());
}

// RFC 8019 7.2.4: silently discarded.
TEST(AuthPuzzleSetUp, NoneOrAWrongOneIsAsIfNothingHadCome) {
  ByteWriter wrong;
  for (std::uint32_t key = 1; key <= 4; ++key) wrong.u32(key);
  for (const Bytes& solution : {Bytes(), to_bytes(wrong.view()), Bytes(16, 7)}) {
    EndpointSettings settings = attacked();
    settings.puzzle_bits = 12;
    Pair pair(1, settings);
    ASSERT_TRUE(stops_at_the_second_puzzle(pair, kPlain));
    const RequestToken token = std::get<PuzzleRequest>(pair.a.postponed.front()).token;
    pair.a.endpoint().handle_completion(token, PuzzleResult{.solution = solution}, pair.now);
    const std::size_t before = pair.wire.size();
    pair.command(pair.a, OwnAddresses{});
    pair.settle();
    EXPECT_EQ(pair.wire.size(), before + 1);
    EXPECT_EQ(dropped(pair.b, DatagramDrop::unsolved_puzzle), 1U);
    EXPECT_EQ(pair.b.endpoint().counters().auth_solved, 0U);
    EXPECT_TRUE(pair.b.exported.empty());
    pair.advance(minutes(6));
    EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
    EXPECT_EQ(pair.b.endpoint().counters().half_open, 0U);
  }
}

// Whoever begins IKE_SA_INIT over and over and sends garbage behind it.
TEST(AuthPuzzleSetUp, GarbageBehindIkeSaInitBringsItAbout) {
  Pair pair(1, attacked(1));
  auto anybody = config_of(false);
  anybody.peer.reset();
  anybody.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, kPlain).value()};
  auto config = config_of(true);
  config.ike_proposals = anybody.ike_proposals;
  configure(pair, config, anybody);
  pair.fate = [](const Datagram&) { return std::vector<Duration>(); };
  initiate(pair);
  const codec::Message first = as_message(parsed_at(pair, 0));
  const auto answer_to = [&](const codec::Message& request, const net::Path& path) {
    pair.wire.clear();
    pair.inject(pair.b, path, codec::serialize(request));
    CHECK(!pair.wire.empty());
    return as_message(parsed_at(pair, 0));
  };
  unsigned lucky = 0;
  for (unsigned n = 0; n < 180; ++n) {
    const bool solves = n < 80;
    net::Path path = path_from(false);
    path.remote.address = *net::IpAddress::parse(fmt::format("10.9.{}.1", n));
    codec::Message request = first;
    request.header.spi_i = model::IkeSpi(1000 + n);
    const codec::Message given = answer_to(request, path);
    request.payloads.insert(request.payloads.begin(), *given.notify(NotifyType::cookie));
    // The first is let in by its cookie.
    if (const auto* asked = given.notify(NotifyType::puzzle); asked != nullptr && solves) {
      const auto puzzle = decode_puzzle(asked->data);
      const Bytes cookie = given.notify(NotifyType::cookie)->data;
      const PuzzleRequest work{.token = {}, .prf = puzzle->prf, .text = cookie, .zero_bits = puzzle->zero_bits};
      request.add(
          codec::UnknownPayload{.type = kPuzzleSolutionPayload, .critical = false, .body = carry_out(work).solution});
    }
    const codec::Message answer = answer_to(request, path);
    if (!solves) {
      // RFC 8019 7.2.1: one that is let in without a solution has no puzzle to come.
      lucky += answer.first<codec::SaPayload>() != nullptr && answer.notify(NotifyType::puzzle) == nullptr ? 1 : 0;
      EXPECT_EQ(answer.notify(NotifyType::puzzle) != nullptr, answer.first<codec::SaPayload>() == nullptr) << n;
      continue;
    }
    ASSERT_NE(answer.first<codec::SaPayload>(), nullptr) << n;
    // What has come so far is passed over up to a point.
    EXPECT_EQ(answer.notify(NotifyType::puzzle) != nullptr, n > 64) << n;
    codec::Header header = request.header;
    header.spi_r = answer.header.spi_r;
    header.exchange = ExchangeType::ike_auth;
    header.message_id = model::MessageId(1);
    Bytes garbage = codec::serialize_header(header, model::PayloadType::encrypted, 28 + 64);
    garbage.resize(28 + 64, 0x55);
    garbage[28] = 0;
    garbage[29] = 0;
    store_be16(garbage.data() + 30, 64);
    // The same again does not count again.
    for (int again = 0; again < 3; ++again) pair.inject(pair.b, path, garbage);
  }
  EXPECT_EQ(dropped(pair.b, DatagramDrop::bad_integrity), 3U * 65);
  EXPECT_GT(lucky, 0U);
}

}  // namespace
}  // namespace culvert::ike::v2
