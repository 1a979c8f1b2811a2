// IKE fragmentation, end to end: messages larger than their path, lost, doubled, late and forged fragments (RFC 7383).
#include "ike/v2/fragments.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/fragment_forger.hpp"
#include "ike/v2/testing/loss.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using codec::FragmentPlace;
using model::ExchangeType;
using model::IkeFragmentation;
using model::MessageId;
using model::NotifyType;
using model::PayloadType;
using std::chrono::minutes;
using std::chrono::seconds;

// IPv4, UDP and the non-ESP marker.
constexpr std::size_t kAround = 32;

std::optional<FragmentPlace> place_of(const Datagram& datagram) {
  const auto parsed = codec::parse_message(datagram.message);
  EXPECT_TRUE(parsed);
  return parsed && parsed->sealed ? parsed->sealed->fragment : std::nullopt;
}

/// Both sides have much to say in IKE_AUTH: identities of that many octets.
model::ConnectionConfig talkative(bool first, std::size_t octets) {
  model::ConnectionConfig config = config_of(first);
  config.local_id = {model::IdentificationType::key_id, Bytes(octets, first ? 'a' : 'b')};
  config.remote_id = {model::IdentificationType::key_id, Bytes(octets, first ? 'b' : 'a')};
  return config;
}

struct Scene {
  explicit Scene(std::uint64_t seed = 1) : pair(seed, exporting()) {}

  void start(model::ConnectionConfig a = talkative(true, 3000), model::ConnectionConfig b = talkative(false, 3000)) {
    configure(pair, std::move(a), std::move(b));
    initiate(pair);
  }
  /// What is larger never arrives, for its fragments of IP are dropped; IKE_SA_INIT has to, however.
  void path_takes(std::size_t ip_datagram) {
    pair.fate = [ip_datagram](const Datagram& datagram) {
      const bool fits =
          datagram.header().exchange == ExchangeType::ike_sa_init || datagram.message.size() + kAround <= ip_datagram;
      return fits ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
    };
  }
  [[nodiscard]] std::size_t largest() const {
    std::size_t most = 0;
    for (const Datagram& one : pair.wire) most = std::max(most, one.message.size() + kAround);
    return most;
  }
  [[nodiscard]] std::size_t fragments_sent() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(pair.wire, [](const Datagram& one) { return place_of(one).has_value(); }));
  }
  static std::uint64_t dropped(Host& host, DatagramDrop reason) {
    return host.endpoint().counters().dropped[static_cast<std::size_t>(reason)];
  }
  /// RFC 5282 3.1: under one key no IV comes twice, unless the datagram is the same octet by octet.
  void expect_no_iv_twice() {
    std::map<std::tuple<std::uint64_t, std::uint64_t, bool, Bytes>, Bytes> seen;
    for (const Datagram& one : pair.wire) {
      const auto parsed = codec::parse_message(one.message);
      ASSERT_TRUE(parsed);
      if (!parsed->sealed) continue;
      const std::size_t at = parsed->sealed->offset + 4 + (parsed->sealed->fragment ? 4 : 0);
      const codec::Header& header = parsed->header;
      const auto [found, fresh] = seen.try_emplace({header.spi_i.value(), header.spi_r.value(), header.initiator,
                                                    to_bytes(ByteView(one.message).subspan(at, 8))},
                                                   one.message);
      EXPECT_TRUE(fresh || found->second == one.message) << "two messages with one IV";
    }
  }

  Pair pair;
};

class Fragments : public ::testing::Test, protected Scene {};

// RFC 7383 2.3, 2.4: agreed on in IKE_SA_INIT, which is never cut itself; used for what does not fit.
TEST_F(Fragments, LargeMessagesGoInFragments) {
  start();
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_LE(largest(), 1280U);
  EXPECT_EQ(fragments_sent(), 9U) << "both identities go, and one comes back";
  for (const Datagram& one : pair.wire) {
    if (one.header().exchange == ExchangeType::ike_sa_init) {
      EXPECT_FALSE(place_of(one));
    }
  }
  EXPECT_TRUE(pair.a.logged("the IKE_AUTH request goes in 6 fragments of 1280 octets"));
  expect_no_iv_twice();
  // What is small goes whole.
  const std::size_t before = pair.wire.size();
  pair.command(pair.a, CheckLiveness{pair.a.ike_sa().ike_sa});
  pair.settle();
  ASSERT_EQ(pair.wire.size(), before + 2);
  EXPECT_FALSE(place_of(pair.wire.back()));
}

TEST_F(Fragments, ConfiguredSize) {
  auto a = talkative(true, 3000);
  a.ike_fragment_size = 700;
  start(a);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  // RFC 7383 2.5.1: the responder takes the size of what it got.
  EXPECT_LE(largest(), 700U);
  EXPECT_GT(fragments_sent(), 8U);
}

// RFC 7383 2.4: not unless both say that they know it.
TEST_F(Fragments, NoneUnlessBothKnowThem) {
  for (const bool first : {true, false}) {
    Pair other(7, exporting());
    auto a = talkative(true, 3000);
    auto b = talkative(false, 3000);
    (first ? a : b).ike_fragmentation = IkeFragmentation::off;
    configure(other, a, b);
    initiate(other);
    other.settle();
    ASSERT_TRUE(in_step(other));
    EXPECT_EQ(other.wire.size(), 4U);
    for (const Datagram& one : other.wire) EXPECT_FALSE(place_of(one));
  }
}

TEST_F(Fragments, APeerWithoutThemIsRefusedWhereTheyAreInsistedOn) {
  for (const bool first : {true, false}) {
    Pair other(7, exporting());
    auto a = config_of(true);
    auto b = config_of(false);
    (first ? a : b).ike_fragmentation = IkeFragmentation::required;
    (first ? b : a).ike_fragmentation = IkeFragmentation::off;
    configure(other, a, b);
    initiate(other);
    other.advance(minutes(2));
    EXPECT_TRUE(other.a.ike_sas.empty() && other.b.ike_sas.empty());
    const Host& who = other.host(first);
    ASSERT_FALSE(who.failures.empty());
    EXPECT_NE(who.failures.front().detail.find("does not know IKE fragmentation"), std::string::npos)
        << who.failures.front().detail;
  }
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_fragmentation = b.ike_fragmentation = IkeFragmentation::required;
  start(a, b);
  pair.settle();
  EXPECT_TRUE(in_step(pair));
}

// RFC 7383 2.5.2: the size falls until an answer comes, the total grows with it; both directions.
TEST_F(Fragments, SizeFallsUntilTheyArrive) {
  for (const std::size_t mtu : {1279U, 1000U, 576U, 575U, 300U}) {
    Scene scene(mtu);
    Pair& run = scene.pair;
    scene.path_takes(mtu);
    scene.start();
    ASSERT_TRUE(run.run_until([&] { return in_step(run); }, seconds(20))) << mtu;
    scene.expect_no_iv_twice();
    std::map<std::pair<bool, std::uint32_t>, std::uint16_t> totals;
    for (const Datagram& one : run.wire) {
      const auto place = place_of(one);
      if (!place) continue;
      std::uint16_t& total = totals[{one.from_a, one.header().message_id.value()}];
      EXPECT_GE(place->total, total);
      total = place->total;
    }
    // What follows begins with the size that has got through.
    const std::size_t before = run.wire.size();
    run.command(run.a, RekeyIkeSa{run.a.ike_sa().ike_sa});
    run.settle();
    for (std::size_t i = before; i < run.wire.size(); ++i) EXPECT_LE(run.wire[i].message.size() + kAround, mtu);
    EXPECT_TRUE(in_step(run)) << mtu;
  }
}

// RFC 7383 2.4: as responder, by the requests that keep coming. The initiator's are small.
TEST_F(Fragments, SizeOfResponsesFallsToo) {
  auto a = config_of(true);
  auto b = config_of(false);
  b.local_id = a.remote_id = model::Identity{model::IdentificationType::key_id, Bytes(3000, 'b')};
  path_takes(600);
  auto narrow = pair.fate;
  pair.fate = [narrow](const Datagram& datagram) {
    return datagram.from_a ? std::vector<Duration>{Pair::kLatency} : narrow(datagram);
  };
  a.remote_id = b.local_id;
  start(a, b);
  ASSERT_TRUE(pair.run_until([&] { return in_step(pair); }, seconds(20)));
  EXPECT_TRUE(pair.b.logged("the IKE_AUTH response goes in"));
  expect_no_iv_twice();
}

TEST_F(Fragments, WithoutThemTheSamePathLetsNothingThrough) {
  auto a = talkative(true, 3000);
  a.ike_fragmentation = IkeFragmentation::off;
  path_takes(1400);
  start(a);
  EXPECT_FALSE(pair.run_until([&] { return in_step(pair); }, minutes(2)));
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_EQ(pair.a.failures.front().kind, FailureKind::no_answer);
}

// Loss, repetition and disorder of single fragments, both directions.
TEST_F(Fragments, LossRepetitionAndDisorder) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Scene scene(seed);
    Pair& run = scene.pair;
    run.fate = bad_network(seed, 80);
    scene.start();
    ASSERT_TRUE(run.run_until([&] { return in_step(run); }, minutes(3))) << seed;
    scene.expect_no_iv_twice();
    run.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
    run.advance(minutes(2));
    EXPECT_TRUE(in_step(run)) << seed;
    EXPECT_TRUE(no_leaks(run)) << seed;
  }
}

// RFC 7383 2.6.1: of a request that comes again its first fragment alone brings the response.
TEST_F(Fragments, OnlyTheFirstOneBringsTheResponseAgain) {
  start();
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  std::vector<Datagram> request;
  std::size_t answers = 0;
  for (const Datagram& one : pair.wire) {
    if (one.header().exchange != ExchangeType::ike_auth) continue;
    if (one.from_a) request.push_back(one);
    if (!one.from_a) ++answers;
  }
  ASSERT_EQ(request.size(), 6U);
  for (std::size_t i = 0; i < request.size(); ++i) {
    const std::size_t before = pair.wire.size();
    pair.inject(pair.b, path_from(false, 4500), request[i].message);
    EXPECT_EQ(pair.wire.size() - before, i == 0 ? answers : 0U) << i;
  }
  EXPECT_EQ(dropped(pair.b, DatagramDrop::repeated_fragment), 5U);
}

TEST_F(Fragments, RekeyedIkeSasGoOnWithThem) {
  start();
  pair.settle();
  pair.command(pair.b, RekeyIkeSa{pair.b.ike_sa().ike_sa});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  // A child with a proposal that does not fit is a large request on the new IKE SA.
  FragmentForger forger(pair.b.exported.back(), pair.b.ike_sa().role == model::Role::initiator);
  forger.header.exchange = ExchangeType::informational;
  forger.header.message_id = MessageId(0);
  const std::size_t before = pair.wire.size();
  pair.inject(pair.a, path_from(true, 4500), forger.seal({1, 2}, PayloadType::none, {}));
  EXPECT_EQ(pair.wire.size(), before);
  pair.inject(pair.a, path_from(true, 4500), forger.seal({2, 2}, PayloadType::none, {}));
  EXPECT_EQ(pair.wire.size(), before + 1) << "an empty message in two fragments is answered";
}

// ---------------------------------------------------------------- what a peer with the keys may try

struct HostileScene : Scene {
  explicit HostileScene(std::uint64_t seed = 1) : Scene(seed) {
    auto a = config_of(true);
    auto b = config_of(false);
    a.liveness_interval = b.liveness_interval = {};
    start(a, b);
    pair.settle();
    CHECK(in_step(pair));
    forger.emplace(pair.a.exported.back());
    forger->header.exchange = ExchangeType::informational;
    forger->header.message_id = MessageId(2);
  }
  /// Datagrams that b sends when this arrives.
  std::size_t answers(const Bytes& datagram) {
    const std::size_t before = pair.wire.size();
    pair.inject(pair.b, path_from(false, 4500), datagram);
    return pair.wire.size() - before;
  }
  Bytes fragment(std::uint16_t number, std::uint16_t total, ByteView part = {}, PayloadType first = PayloadType::none) {
    return forger->seal({number, total}, first, part);
  }
  std::uint64_t dropped_by_b(DatagramDrop reason) { return dropped(pair.b, reason); }

  std::optional<FragmentForger> forger;
};

class HostileFragments : public ::testing::Test, protected HostileScene {};

TEST_F(HostileFragments, NumbersThatCannotBe) {  // RFC 7383 2.6, CVE-2013-6076
  for (const auto& [number, total] : {std::pair{0, 0}, {0, 1}, {1, 0}, {3, 2}, {0xffff, 1}}) {
    EXPECT_EQ(answers(fragment(static_cast<std::uint16_t>(number), static_cast<std::uint16_t>(total))), 0U);
  }
  EXPECT_EQ(dropped_by_b(DatagramDrop::bad_fragment), 5U);
  EXPECT_TRUE(in_step(pair));
}

TEST_F(HostileFragments, RepeatedAndOutdatedAreDropped) {  // RFC 7383 2.6
  EXPECT_EQ(answers(fragment(1, 3)), 0U);
  EXPECT_EQ(answers(fragment(1, 3)), 0U);
  EXPECT_EQ(dropped_by_b(DatagramDrop::repeated_fragment), 1U);
  EXPECT_EQ(answers(fragment(1, 2)), 0U);
  EXPECT_EQ(answers(fragment(2, 2)), 0U);
  EXPECT_EQ(dropped_by_b(DatagramDrop::outdated_fragment), 2U);
  EXPECT_EQ(answers(fragment(2, 3)), 0U);
  EXPECT_EQ(answers(fragment(3, 3)), 1U);
}

TEST_F(HostileFragments, ALargerTotalStartsOver) {  // RFC 7383 2.6
  const Bytes notify = codec::serialize_payloads({codec::NotifyPayload{.type = NotifyType(40000), .data = Bytes(40)}});
  EXPECT_EQ(answers(fragment(1, 2, Bytes(100, 0xff), PayloadType::sa)), 0U);
  EXPECT_EQ(answers(fragment(1, 3, ByteView(notify).first(20), PayloadType::notify)), 0U);
  EXPECT_EQ(answers(fragment(2, 3, ByteView(notify).subspan(20))), 0U);
  EXPECT_EQ(answers(fragment(3, 3)), 1U);
  EXPECT_TRUE(in_step(pair)) << "nothing of the first set was read";
}

// RFC 7383 2.6: what is not authentic is nothing: it neither takes a place nor pushes others out.
TEST_F(HostileFragments, ForgedOnesChangeNothing) {
  EXPECT_EQ(answers(fragment(1, 2)), 0U);
  for (const Bytes& honest : {fragment(2, 2), fragment(1, 9)}) {
    Bytes forged = honest;
    forged.back() ^= 1;
    EXPECT_EQ(answers(forged), 0U);
  }
  EXPECT_EQ(dropped_by_b(DatagramDrop::bad_integrity), 2U);
  EXPECT_EQ(answers(fragment(2, 2)), 1U);
}

// RFC 7383 5, CVE-2016-10396: bounds; beyond them the peer is out of its mind, and the IKE SA ends.
TEST_F(HostileFragments, TooMany) {
  EXPECT_EQ(answers(fragment(1, kMostFragments + 1)), 1U) << "INVALID_SYNTAX";
  EXPECT_EQ(dropped_by_b(DatagramDrop::oversized_message), 1U);
  EXPECT_TRUE(pair.b.ike_sas.empty());
}

TEST_F(HostileFragments, TooMuch) {
  std::uint16_t number = 1;
  for (std::size_t octets = 0; octets + 30000 <= kMostReassembled; octets += 30000)
    EXPECT_EQ(answers(fragment(number++, 200, Bytes(30000))), 0U);
  EXPECT_EQ(answers(fragment(number, 200, Bytes(30000))), 1U);
  EXPECT_EQ(dropped_by_b(DatagramDrop::oversized_message), 1U);
  EXPECT_TRUE(pair.b.ike_sas.empty());
}

TEST_F(HostileFragments, IncompleteOnesAreForgotten) {  // RFC 7383 2.6
  EXPECT_EQ(answers(fragment(1, 2)), 0U);
  pair.advance(minutes(2));
  EXPECT_EQ(dropped_by_b(DatagramDrop::incomplete_message), 1U);
  EXPECT_TRUE(in_step(pair)) << "which is no failure of the IKE SA";
  EXPECT_EQ(answers(fragment(2, 2)), 0U);
  EXPECT_EQ(answers(fragment(1, 2)), 1U) << "sent again, it is taken";
}

// One message for each number that the window would take, and no more.
TEST_F(HostileFragments, OnlyNumbersOfTheWindow) {
  for (const std::uint32_t id : {0U, 3U, 100U, 0xffffffffU}) {
    forger->header.message_id = MessageId(id);
    EXPECT_EQ(answers(fragment(1, 2)), 0U);
  }
  forger->header.message_id = MessageId(0);
  forger->header.response = true;
  EXPECT_EQ(answers(fragment(1, 2)), 0U);
  EXPECT_EQ(dropped_by_b(DatagramDrop::old_message_id), 5U);
}

// RFC 7383 2.4: a peer may send the message whole first, or after all.
TEST_F(HostileFragments, TheWholeMessageMayComeBetween) {
  EXPECT_EQ(answers(fragment(1, 2)), 0U);
  Forger whole(pair.a.exported.back(), 2);
  EXPECT_EQ(answers(whole.request(ExchangeType::informational, {})), 1U);
  // RFC 7383 2.6.1: the rest comes late, and is a repetition.
  EXPECT_EQ(answers(fragment(2, 2)), 0U);
  EXPECT_EQ(answers(fragment(1, 2)), 1U);
  pair.advance(minutes(2));
  EXPECT_EQ(dropped_by_b(DatagramDrop::incomplete_message), 0U) << "nothing was left of it";
}

TEST_F(HostileFragments, MalformedWhenJoined) {  // RFC 7296 2.21.3
  EXPECT_EQ(answers(fragment(1, 2, Bytes{0, 0, 0, 9}, PayloadType::nonce)), 0U);
  EXPECT_EQ(answers(fragment(2, 2)), 1U);
  EXPECT_TRUE(pair.b.ike_sas.empty());
}

// RFC 7383 2.5: an Encrypted payload of either kind has no place inside.
TEST_F(HostileFragments, NeitherKindInside) {
  for (const PayloadType type : {PayloadType::encrypted, PayloadType::encrypted_fragment}) {
    HostileScene scene(3);
    EXPECT_EQ(scene.answers(scene.fragment(1, 1, Bytes{0, 0, 0, 8, 0, 1, 0, 1}, type)), 1U) << "INVALID_SYNTAX";
    EXPECT_TRUE(scene.pair.b.ike_sas.empty());
  }
}

// CVE-2026-12413: payloads in front of a fragment, unknown to us and many.
TEST_F(HostileFragments, PayloadsInFront) {
  Bytes clear;
  for (std::size_t i = 0; i < codec::kMaxPayloads + 1; ++i) {
    const bool last = i == codec::kMaxPayloads;
    clear.insert(clear.end(), {static_cast<std::uint8_t>(last ? 53 : 200), 0, 0, 4});
  }
  const auto unknown = static_cast<PayloadType>(200);
  EXPECT_EQ(answers(forger->seal({1, 1}, PayloadType::none, {}, clear, unknown)), 0U);
  EXPECT_EQ(dropped_by_b(DatagramDrop::malformed), 1U);
  const Bytes few = {200, 0, 0, 4, 53, 0, 0, 4};
  EXPECT_EQ(answers(forger->seal({2, 2}, PayloadType::none, {}, few, unknown)), 0U);
  EXPECT_EQ(dropped_by_b(DatagramDrop::bad_fragment), 1U) << "RFC 7383 2.5.3: in the first one only";
  EXPECT_EQ(answers(forger->seal({1, 1}, PayloadType::none, {}, few, unknown)), 1U) << "there they mean nothing";
  EXPECT_TRUE(in_step(pair));
}

TEST_F(Fragments, NotAgreedOn) {
  auto b = config_of(false);
  b.ike_fragmentation = IkeFragmentation::off;
  start(config_of(true), b);
  pair.settle();
  FragmentForger forger(pair.a.exported.back());
  forger.header.exchange = ExchangeType::informational;
  forger.header.message_id = MessageId(2);
  const std::size_t before = pair.wire.size();
  pair.inject(pair.b, path_from(false, 4500), forger.seal({1, 1}, PayloadType::none, {}));
  EXPECT_EQ(pair.wire.size(), before);
  EXPECT_EQ(dropped(pair.b, DatagramDrop::unexpected_fragment), 1U);
}

// RFC 7383 5: whoever completes IKE_SA_INIT and then sends an incomplete IKE_AUTH holds memory for as long as any
// half-open IKE SA does, and within the same bounds.
TEST_F(Fragments, HalfOpen) {
  pair.fate = [](const Datagram& datagram) {
    const bool init = datagram.header().exchange == ExchangeType::ike_sa_init;
    return init ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
  };
  start();
  pair.settle();
  FragmentForger forger(pair.a.exported.back());
  forger.header.message_id = MessageId(1);
  const auto at_b = path_from(false, 4500);
  forger.header.exchange = ExchangeType::informational;
  pair.inject(pair.b, at_b, forger.seal({1, 2}, PayloadType::none, {}));
  EXPECT_EQ(dropped(pair.b, DatagramDrop::unexpected), 1U) << "nothing but IKE_AUTH before IKE_AUTH";
  forger.header.exchange = ExchangeType::ike_auth;
  pair.inject(pair.b, at_b, forger.seal({1, 2}, PayloadType::id_i, Bytes(60000)));
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 1U);
  pair.inject(pair.b, at_b, forger.seal({2, 2}, PayloadType::none, Bytes(60000)));
  EXPECT_EQ(dropped(pair.b, DatagramDrop::oversized_message), 1U);
  pair.advance(minutes(3));
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0U);
}

}  // namespace
}  // namespace culvert::ike::v2
