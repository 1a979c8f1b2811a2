// Puzzles in IKE_AUTH (RFC 8019 7.2): given with the answer to IKE_SA_INIT while garbage comes in behind it, solved in
// front of the first sealed message, and nothing computed without.
#include "ike/v2/auth_puzzle.hpp"

#include <algorithm>
#include <memory>

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

void configure_with(Pair& pair, std::string_view suite, std::uint16_t fragment = 0) {
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, suite).value()};
  if (fragment != 0) a.ike_fragment_size = b.ike_fragment_size = fragment;
  configure(pair, std::move(a), std::move(b));
}

std::uint64_t dropped(Host& host, DatagramDrop reason) {
  return host.endpoint().counters().dropped[static_cast<std::size_t>(reason)];
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
    auto dice = std::make_shared<SeededRandom>(seed);
    pair.fate = [dice](const Datagram&) {
      std::vector<Duration> copies;
      for (int copy = 0; copy < 2; ++copy) {
        if (dice->below(100) < (copy == 0 ? 75U : 20U)) copies.emplace_back(milliseconds(5 + dice->below(700)));
      }
      return copies;
    };
    configure_with(pair, seed % 2 == 0 ? kPlain : kThree, seed % 3 == 0 ? std::uint16_t{400} : std::uint16_t{0});
    initiate(pair);
    ASSERT_TRUE(pair.run_until([&] { return in_step(pair); }, minutes(5))) << seed;
    EXPECT_TRUE(no_leaks(pair)) << seed;
  }
}

// RFC 8019 7.2.4: silently discarded.
TEST(AuthPuzzleSetUp, NoneOrAWrongOneIsAsIfNothingHadCome) {
  ByteWriter wrong;
  for (std::uint32_t key = 1; key <= 4; ++key) wrong.u32(key);
  for (const Bytes& solution : {Bytes(), to_bytes(wrong.view()), Bytes(16, 7)}) {
    EndpointSettings settings = attacked();
    settings.puzzle_bits = 12;
    Pair pair(1, settings);
    unsigned puzzles = 0;
    pair.a.postpones = [&](const Request& request) {
      return std::holds_alternative<PuzzleRequest>(request) && ++puzzles == 2;
    };
    configure_with(pair, kPlain);
    initiate(pair);
    pair.settle();
    ASSERT_EQ(pair.a.postponed.size(), 1U);
    const RequestToken token = std::get<PuzzleRequest>(pair.a.postponed.front()).token;
    pair.a.endpoint().handle_completion(token, PuzzleResult{.solution = solution}, pair.now);
    const std::size_t before = pair.wire.size();
    const std::uint64_t limited = dropped(pair.b, DatagramDrop::half_open_limit);
    pair.command(pair.a, OwnAddresses{});
    pair.settle();
    EXPECT_EQ(pair.wire.size(), before + 1);
    EXPECT_EQ(dropped(pair.b, DatagramDrop::half_open_limit), limited + 1);
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
  for (unsigned n = 0; n < 80; ++n) {
    net::Path path = path_from(false);
    path.remote.address = *net::IpAddress::parse(fmt::format("10.9.{}.1", n));
    codec::Message request = first;
    request.header.spi_i = model::IkeSpi(1000 + n);
    const codec::Message given = answer_to(request, path);
    request.payloads.insert(request.payloads.begin(), *given.notify(NotifyType::cookie));
    // The first is let in by its cookie.
    if (const auto* asked = given.notify(NotifyType::puzzle)) {
      const auto puzzle = decode_puzzle(asked->data);
      const Bytes cookie = given.notify(NotifyType::cookie)->data;
      const PuzzleRequest work{.token = {}, .prf = puzzle->prf, .text = cookie, .zero_bits = puzzle->zero_bits};
      request.add(
          codec::UnknownPayload{.type = kPuzzleSolutionPayload, .critical = false, .body = carry_out(work).solution});
    }
    const codec::Message answer = answer_to(request, path);
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
}

}  // namespace
}  // namespace culvert::ike::v2
