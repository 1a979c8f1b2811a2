// MOBIKE (RFC 4555) between two endpoints, and following a peer behind a NAT (RFC 7296 2.23).
#include "ike/v2/mobike.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <gtest/gtest.h>

#include "ike/secrets.hpp"
#include "ike/v2/paths.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::address_of;
using testing::config_of;
using testing::Datagram;
using testing::Host;
using testing::in_step;
using testing::kConnection;
using testing::Pair;

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

const net::IpAddress kElsewhere = ip("198.51.100.7");  // where the initiator goes
const net::IpAddress kFarther = ip("198.51.100.8");
const net::IpAddress kSecond = ip("203.0.113.2");  // the responder's other address

class Mobike : public ::testing::TestWithParam<bool> {
 protected:
  Mobike() {
    pair.fate = [this](const Datagram& d) {
      const bool gone = dead.contains(d.path.local.address) || dead.contains(d.path.remote.address);
      return gone ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
  }
  /// The original initiator, and the other.
  Host& initiator() { return pair.host(GetParam()); }
  Host& responder() { return pair.host(!GetParam()); }
  net::IpAddress home() const { return address_of(GetParam()); }
  net::IpAddress peer() const { return address_of(!GetParam()); }

  void bring_up(model::ConnectionConfig a = config_of(true), model::ConnectionConfig b = config_of(false)) {
    configure(pair, std::move(a), std::move(b));
    initiate(pair, GetParam());
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
  /// Two Child SAs, of two connections, and a window for requests about both.
  void two_up() {
    constexpr model::ConnectionId kToo{2};
    for (const model::ConnectionId id : {kConnection, kToo}) {
      std::array<model::ConnectionConfig, 2> ends{config_of(true), config_of(false)};
      for (model::ConnectionConfig& one : ends) {
        one.id = id;
        one.credential_group = 1;
        one.ike_window = 8;
        if (id == kConnection) continue;
        one.local = testing::subnet(&one == &ends[0] ? "10.21.0.0/16" : "10.22.0.0/16");
        one.remote = testing::subnet(&one == &ends[0] ? "10.22.0.0/16" : "10.21.0.0/16");
      }
      configure(pair, ends[0], ends[1]);
    }
    for (const model::ConnectionId id : {kConnection, kToo}) {
      pair.command(initiator(), Initiate{.connection = id, .path = testing::path_from(GetParam())});
      pair.settle();
    }
    ASSERT_EQ(pair.a.children.size(), 2u);
    ASSERT_EQ(pair.b.children.size(), 2u);
    ASSERT_EQ(pair.a.ike_sas.size(), 1u);
  }
  static net::Path way(const net::IpAddress& local, const net::IpAddress& remote) { return {{local, 0}, {remote, 0}}; }
  void use(Host& who, std::vector<net::Path> paths) {
    pair.command(who, UsePaths{.ike_sa = who.ike_sa().ike_sa, .paths = std::move(paths)});
  }
  static const net::Path* path_of(const Host& host) { return host.moves.empty() ? nullptr : &host.moves.back().path; }
  /// Both data planes are on this path, as the initiator has it.
  void expect_path(const net::IpAddress& local, const net::IpAddress& remote) {
    ASSERT_NE(path_of(initiator()), nullptr);
    ASSERT_NE(path_of(responder()), nullptr);
    EXPECT_EQ(path_of(initiator())->local.address, local);
    EXPECT_EQ(path_of(initiator())->remote.address, remote);
    EXPECT_EQ(path_of(responder())->local.address, remote);
    EXPECT_EQ(path_of(responder())->remote.address, local);
  }
  void expect_no_new_sas() {
    EXPECT_TRUE(in_step(pair));
    EXPECT_EQ(pair.a.children_made, 1u);
    EXPECT_EQ(pair.b.children_made, 1u);
    EXPECT_TRUE(pair.a.closed.empty() && pair.b.closed.empty());
    EXPECT_TRUE(no_leaks(pair));
  }

  Pair pair;
  std::set<net::IpAddress> dead;
};

INSTANTIATE_TEST_SUITE_P(Both, Mobike, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "AInitiates" : "BInitiates"; });

TEST_P(Mobike, IsAgreedOnAndTheInitiatorChooses) {  // RFC 4555 3.2
  bring_up();
  EXPECT_TRUE(pair.a.ike_sa().mobike && pair.b.ike_sa().mobike);
  EXPECT_TRUE(initiator().ike_sa().chooses_paths);
  EXPECT_FALSE(responder().ike_sa().chooses_paths);
}

TEST_P(Mobike, OneSideThatDoesNotWantItIsEnough) {
  for (const bool first : {true, false}) {
    pair.a.restart(), pair.b.restart();
    auto a = config_of(true);
    auto b = config_of(false);
    (first ? a : b).mobike = false;
    configure(pair, a, b);
    initiate(pair, GetParam());
    pair.settle();
    ASSERT_EQ(pair.a.ike_sas.size(), 1u);
    EXPECT_FALSE(pair.a.ike_sa().mobike || pair.b.ike_sa().mobike);
    // Whatever control says then.
    const std::size_t sent = pair.wire.size();
    use(initiator(), {way(kElsewhere, peer())});
    EXPECT_EQ(pair.wire.size(), sent);
    EXPECT_TRUE(initiator().moves.empty());
    pair.command(pair.a, Shutdown{});
    pair.settle();
  }
}

TEST_P(Mobike, IsForTunnelModeOnly) {  // RFC 4555 1.2
  auto a = config_of(true);
  auto b = config_of(false);
  for (auto* one : {&a, &b}) {
    one->mode = model::Mode::transport;
    one->local = {model::TrafficSelector::of(net::AddressRange::of(address_of(one == &a)))};
    one->remote = {model::TrafficSelector::of(net::AddressRange::of(address_of(one != &a)))};
  }
  bring_up(a, b);
  EXPECT_FALSE(pair.a.ike_sa().mobike || pair.b.ike_sa().mobike);
}

TEST_P(Mobike, GoesToPort4500WithoutANat) {  // RFC 4555 3.3
  for (const bool mobike : {true, false}) {
    pair.a.restart(), pair.b.restart();
    auto a = config_of(true);
    auto b = config_of(false);
    for (auto* one : {&a, &b}) {
      one->encapsulation = model::EncapsulationPolicy::esp;
      one->mobike = mobike;
    }
    configure(pair, a, b);
    initiate(pair, GetParam());
    pair.settle();
    ASSERT_TRUE(in_step(pair));
    EXPECT_EQ(pair.a.ike_sa().path.local.port, mobike ? 4500 : 500);
    EXPECT_EQ(pair.a.ike_sa().path.remote.port, mobike ? 4500 : 500);
    EXPECT_EQ(pair.a.child().encapsulation, model::Encapsulation::none);
    pair.command(pair.a, Shutdown{});
    pair.settle();
  }
}

// RFC 4555 2.2, 3.5, 3.7: its four steps, with what each side does at which.
TEST_P(Mobike, TheInitiatorMovesAndTheResponderFollowsWhenItHasAnsweredThere) {
  bring_up();
  pair.wire.clear();
  dead.insert(home());
  use(initiator(), {way(kElsewhere, peer())});
  // At once: what is to be sent goes out from the new address.
  ASSERT_EQ(initiator().moves.size(), 1u);
  EXPECT_EQ(initiator().moves[0].path.local, (net::Endpoint{kElsewhere, 4500}));
  EXPECT_EQ(initiator().moves[0].path.remote, (net::Endpoint{peer(), 4500}));
  EXPECT_NE(initiator().moves[0].why.find(home().to_string()), std::string::npos);
  pair.advance(Pair::kLatency + milliseconds(1));
  // The responder has answered, and asks; its SAs wait.
  EXPECT_TRUE(responder().moves.empty());
  ASSERT_EQ(pair.wire.size(), 3u);
  EXPECT_TRUE(pair.wire[1].header().response);
  EXPECT_FALSE(pair.wire[2].header().response);
  EXPECT_EQ(pair.wire[2].path.remote.address, kElsewhere);
  pair.settle();
  ASSERT_EQ(responder().moves.size(), 1u);
  expect_path(kElsewhere, peer());
  EXPECT_EQ(pair.wire.size(), 4u);
  expect_no_new_sas();
}

TEST_P(Mobike, WhereNobodyAnswersTheResponderSendsNoTraffic) {  // RFC 4555 3.7
  bring_up();
  // The initiator claims an address that is another's: what it sends from there arrives, what is sent there does not.
  pair.fate = [this](const Datagram& d) {
    return d.path.remote.address == kElsewhere ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  use(initiator(), {way(kElsewhere, peer())});
  pair.advance(seconds(20));
  EXPECT_TRUE(responder().moves.empty());
}

TEST_P(Mobike, TheLastOfSeveralMovesCounts) {  // RFC 4555 3.5
  bring_up();
  // The first update takes long, and comes when a newer one has gone.
  pair.fate = [this](const Datagram& d) {
    const bool slow = d.path.local.address == kElsewhere;
    return std::vector<Duration>{slow ? milliseconds(120) : milliseconds(10)};
  };
  use(initiator(), {way(kElsewhere, peer())});
  pair.advance(milliseconds(30));
  use(initiator(), {way(kFarther, peer())});
  pair.advance(seconds(5));
  expect_path(kFarther, peer());
  expect_no_new_sas();
}

TEST_P(Mobike, ARequestUnderWayGoesOnFromTheNewAddress) {  // RFC 4555 3.5
  bring_up();
  dead.insert(home());
  pair.command(initiator(), RekeyChildSa{initiator().child().id});
  pair.advance(milliseconds(100));
  pair.wire.clear();
  use(initiator(), {way(kElsewhere, peer())});
  ASSERT_FALSE(pair.wire.empty());
  EXPECT_EQ(pair.wire[0].header().exchange, model::ExchangeType::create_child_sa);
  EXPECT_EQ(pair.wire[0].path.local.address, kElsewhere);
  pair.advance(seconds(5));
  expect_path(kElsewhere, peer());
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.children_made, 2u);
}

TEST_P(Mobike, ABetterWayIsTriedBeforeItIsTaken) {  // RFC 4555 3.10
  bring_up();
  dead.insert(kElsewhere);
  use(initiator(), {way(kElsewhere, peer()), way(home(), peer())});
  pair.advance(seconds(10));
  EXPECT_TRUE(initiator().moves.empty());
  EXPECT_TRUE(responder().moves.empty());
  dead.clear();
  use(initiator(), {way(kElsewhere, peer()), way(home(), peer())});
  pair.settle();
  expect_path(kElsewhere, peer());
  expect_no_new_sas();
}

TEST_P(Mobike, APathThatIsSilentIsLeftForOneThatIsNot) {  // RFC 4555 3.5, 3.10
  pair.command(pair.host(!GetParam()), OwnAddresses{{peer(), kSecond}});
  bring_up();
  dead.insert(peer());
  pair.command(initiator(), CheckLiveness{initiator().ike_sa().ike_sa});
  ASSERT_TRUE(pair.run_until([&] { return !initiator().doubts.empty(); }, seconds(5)));
  // RFC 4555 3.4: the responder has said where it is besides.
  EXPECT_TRUE(initiator().doubts[0].silent);
  EXPECT_EQ(initiator().doubts[0].peers, (std::vector{peer(), kSecond}));
  use(initiator(), {way(home(), peer()), way(home(), kSecond)});
  pair.settle();
  expect_path(home(), kSecond);
  expect_no_new_sas();
  EXPECT_EQ(initiator().doubts.size(), 1u);
}

// RFC 7296 2.3 with RFC 4555 3.5: of several requests under way any may have gone over the ways that are tried, and
// whichever response comes first shows one.
TEST_P(Mobike, OfSeveralRequestsUnderWayAnyFindsTheWay) {
  pair.command(responder(), OwnAddresses{{peer(), kSecond}});
  two_up();
  dead.insert(peer());
  std::vector<model::ChildSaId> children;
  for (const auto& [id, child] : initiator().children) children.push_back(id);
  for (const auto id : children) pair.command(initiator(), RekeyChildSa{id});
  ASSERT_TRUE(pair.run_until([&] { return !initiator().doubts.empty(); }, seconds(5)));
  // It takes so long that both have gone there before either is answered.
  pair.fate = [this](const Datagram& d) {
    const bool gone = dead.contains(d.path.local.address) || dead.contains(d.path.remote.address);
    return gone ? std::vector<Duration>{} : std::vector<Duration>{seconds(4)};
  };
  use(initiator(), {way(home(), peer()), way(home(), kSecond)});
  pair.advance(seconds(9));
  ASSERT_FALSE(initiator().moves.empty());
  EXPECT_EQ(initiator().moves.back().path.remote.address, kSecond);
  pair.advance(seconds(60));
  EXPECT_EQ(pair.a.children.size(), 2u);
  EXPECT_EQ(pair.b.children.size(), 2u);
  EXPECT_TRUE(pair.a.closed.empty() && pair.b.closed.empty());
}

// The last has its answer, and one before it has none.
TEST_P(Mobike, WhicheverIsAwaitedTriesTheWays) {
  pair.command(responder(), OwnAddresses{{peer(), kSecond}});
  two_up();
  std::vector<model::ChildSaId> children;
  for (const auto& [id, child] : initiator().children) children.push_back(id);
  const auto working = pair.fate;
  pair.fate = [](const Datagram&) { return std::vector<Duration>(); };
  pair.command(initiator(), RekeyChildSa{children[0]});
  pair.fate = working;
  pair.command(initiator(), DeleteChildSa{children[1]});
  pair.advance(milliseconds(15));
  // What answers the last is on its way.
  dead.insert(peer());
  pair.advance(milliseconds(10));
  ASSERT_TRUE(pair.run_until([&] { return !initiator().doubts.empty(); }, seconds(5)));
  const auto sent = pair.wire.size();
  use(initiator(), {way(home(), peer()), way(home(), kSecond)});
  ASSERT_GT(pair.wire.size(), sent);
  EXPECT_EQ(pair.wire[sent].path.remote.address, kSecond);
  pair.advance(seconds(5));
  ASSERT_FALSE(initiator().moves.empty());
  EXPECT_EQ(initiator().moves.back().path.remote.address, kSecond);
}

TEST_P(Mobike, AnUnknownAddressOfThePeerGetsNoTrafficBeforeItHasAnswered) {  // RFC 4555 3.7
  pair.command(responder(), OwnAddresses{{peer(), kSecond}});
  bring_up();
  dead = {peer(), kSecond};
  use(initiator(), {way(home(), kSecond)});
  pair.advance(seconds(5));
  EXPECT_TRUE(initiator().moves.empty());
  dead.erase(kSecond);
  pair.advance(seconds(10));
  expect_path(home(), kSecond);
  expect_no_new_sas();
}

TEST_P(Mobike, TheResponderSaysThatItsAddressIsGone) {  // RFC 4555 3.5, 3.6
  bring_up();
  dead.insert(peer());
  pair.command(responder(), OwnAddresses{{kSecond}});
  use(responder(), {way(kSecond, home())});
  ASSERT_EQ(responder().moves.size(), 1u);
  ASSERT_TRUE(pair.run_until([&] { return !initiator().doubts.empty(); }, seconds(5)));
  EXPECT_FALSE(initiator().doubts[0].silent);
  EXPECT_EQ(initiator().doubts[0].peers, (std::vector{kSecond}));
  use(initiator(), {way(home(), kSecond)});
  pair.settle();
  expect_path(home(), kSecond);
  expect_no_new_sas();
}

TEST_P(Mobike, FurtherAddressesAreToldWhenTheyChange) {  // RFC 4555 3.6
  bring_up();
  pair.wire.clear();
  pair.command(responder(), OwnAddresses{{peer(), kSecond}});
  pair.settle();
  EXPECT_EQ(pair.wire.size(), 2u);
  // The same again is no news; and what the tunnel protects is no way to it.
  pair.command(responder(), OwnAddresses{{peer(), kSecond}});
  pair.command(responder(), OwnAddresses{{peer(), kSecond, ip(GetParam() ? "10.2.0.1" : "10.1.0.1")}});
  pair.settle();
  EXPECT_EQ(pair.wire.size(), 2u);
  pair.command(initiator(), ReviewPath{initiator().ike_sa().ike_sa});
  ASSERT_EQ(initiator().doubts.size(), 1u);
  EXPECT_EQ(initiator().doubts[0].peers, (std::vector{peer(), kSecond}));
  pair.command(responder(), OwnAddresses{{peer()}});
  pair.settle();
  pair.command(initiator(), ReviewPath{initiator().ike_sa().ike_sa});
  EXPECT_EQ(initiator().doubts.back().peers, (std::vector{peer()}));
  EXPECT_TRUE(initiator().moves.empty() && responder().moves.empty());
}

TEST_P(Mobike, OutlivesARekeyOfTheIkeSaByEitherSide) {
  for (const bool by_initiator : {true, false}) {
    Host& who = by_initiator ? initiator() : responder();
    if (by_initiator) bring_up();
    pair.command(who, RekeyIkeSa{who.ike_sa().ike_sa});
    pair.settle();
    ASSERT_TRUE(in_step(pair));
    EXPECT_TRUE(initiator().ike_sa().mobike && initiator().ike_sa().chooses_paths);
    EXPECT_TRUE(responder().ike_sa().mobike && !responder().ike_sa().chooses_paths);
    const net::IpAddress to = by_initiator ? kElsewhere : kFarther;
    use(initiator(), {way(to, peer())});
    pair.settle();
    expect_path(to, peer());
  }
}

TEST_P(Mobike, AMoveDuringARekeyOfTheIkeSaIsNotForgotten) {
  for (unsigned at = 0; at < 40; at += 4) {
    Pair fresh(at + 1);
    configure(fresh);
    initiate(fresh, GetParam());
    fresh.settle();
    Host& one = fresh.host(GetParam());
    Host& other = fresh.host(!GetParam());
    const model::IkeSaId first = one.ike_sa().ike_sa;
    fresh.command(other, RekeyIkeSa{other.ike_sa().ike_sa});
    fresh.advance(milliseconds(at));
    fresh.command(one, UsePaths{.ike_sa = first, .paths = {way(kElsewhere, peer())}});
    fresh.advance(seconds(10));
    ASSERT_TRUE(in_step(fresh)) << at;
    ASSERT_FALSE(one.moves.empty()) << at;
    ASSERT_FALSE(other.moves.empty()) << at;
    EXPECT_EQ(one.moves.back().path.local.address, kElsewhere) << at;
    EXPECT_EQ(other.moves.back().path.remote.address, kElsewhere) << at;
    EXPECT_EQ(other.moves.back().ike_sa, other.ike_sa().ike_sa) << at;
  }
}

// The responder's own address goes while its question to the peer, at the peer's new address, is under way: that is
// asked once more on the path which there is then.
TEST_P(Mobike, AResponderThatMovesWhileItAsksAsksAgain) {
  bring_up();
  use(initiator(), {way(kElsewhere, peer())});
  pair.advance(Pair::kLatency + milliseconds(1));
  ASSERT_TRUE(responder().moves.empty());
  // The answer to the question is under way.
  pair.advance(Pair::kLatency);
  use(responder(), {way(kSecond, kElsewhere)});
  pair.advance(milliseconds(1));
  use(initiator(), {way(kElsewhere, kSecond)});
  pair.advance(seconds(5));
  expect_path(kElsewhere, kSecond);
  expect_no_new_sas();
}

// The peer's NAT has given it another port while our rekey of the IKE SA is under way: the first request on the new IKE
// SA asks it there. Whatever else is to be said, over the old path nothing arrives.
TEST_P(Mobike, AfterARekeyTheQuestionWhereThePeerIsComesFirst) {
  for (const bool first : {true, false}) {
    auto secrets = std::make_shared<EndpointSecrets>();
    secrets->crash_tokens = SecretBytes::copy_of(as_bytes(first ? "alice's 32 octets" : "bob's 32 octets"));
    pair.command(pair.host(first), UseSecrets{std::move(secrets)});
  }
  bring_up();
  constexpr std::uint16_t kMapped = 5555;
  bool moved = false;
  pair.fate = [&](const Datagram& d) {
    const bool lost = moved && &pair.host(d.from_a) == &responder() && d.path.remote.port != kMapped;
    return lost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  pair.translation = [&](const Datagram& d) {
    net::Path path{d.path.remote, d.path.local};
    if (moved && &pair.host(d.from_a) == &initiator()) path.remote.port = kMapped;
    if (path.local.port == kMapped) path.local.port = 4500;
    return path;
  };
  pair.command(responder(), RekeyIkeSa{responder().ike_sa().ike_sa});
  moved = true;
  pair.command(responder(), PeerMoved{responder().child().id, {home(), kMapped}});
  pair.advance(minutes(3));
  ASSERT_TRUE(in_step(pair));
  EXPECT_TRUE(pair.a.closed.size() == 1 && pair.b.closed.size() == 1) << "the one that was rekeyed";
  ASSERT_NE(path_of(responder()), nullptr);
  EXPECT_EQ(path_of(responder())->remote, (net::Endpoint{home(), kMapped}));
}

// The NAT before the initiator has forgotten it before there was any question about that, and the other end follows no
// ESP: the first answer that says where we are seen brings the update about (RFC 4555 3.8).
TEST_P(Mobike, ANatThatForgotBeforeTheFirstQuestionIsMadeUpFor) {
  const net::IpAddress nat = ip("203.0.113.77");
  std::uint16_t mapped = 4444;
  pair.fate = [&](const Datagram& d) {
    const bool there = d.path.remote.address != nat || d.path.remote.port == 555 || d.path.remote.port == mapped;
    return there ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
  };
  pair.translation = [&](const Datagram& d) {
    net::Path path{d.path.remote, d.path.local};
    if (&pair.host(d.from_a) == &initiator())
      path.remote = {nat, d.path.local.port == 500 ? std::uint16_t{555} : mapped};
    if (path.local.address == nat) path.local = {home(), std::uint16_t(path.local.port == 555 ? 500 : 4500)};
    return path;
  };
  auto a = config_of(true);
  auto b = config_of(false);
  for (auto* config : {&a, &b}) config->liveness_interval = Duration::zero();
  (GetParam() ? b : a).peer.reset();  // whoever calls
  bring_up(a, b);
  mapped = 5555;
  pair.command(initiator(), CheckLiveness{initiator().ike_sa().ike_sa});
  pair.advance(seconds(5));
  ASSERT_TRUE(in_step(pair));
  ASSERT_FALSE(responder().moves.empty());
  EXPECT_EQ(responder().moves.back().path.remote, (net::Endpoint{nat, 5555}));
  EXPECT_TRUE(pair.a.closed.empty() && pair.b.closed.empty());
}

TEST_P(Mobike, ConvergesUnderLossWhereverItGoes) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Pair lossy(seed);
    SeededRandom chance(seed * 7 + GetParam());
    std::set<net::IpAddress> gone;
    lossy.fate = [&](const Datagram& d) {
      if (gone.contains(d.path.local.address) || gone.contains(d.path.remote.address)) return std::vector<Duration>{};
      std::vector<Duration> copies;
      for (std::uint64_t n = chance.below(10) == 0 ? 2 : 1; n > 0; --n) {
        if (chance.below(10) > 1) copies.push_back(milliseconds(5 + chance.below(60)));
      }
      return copies;
    };
    configure(lossy);
    initiate(lossy, GetParam());
    Host& one = lossy.host(GetParam());
    Host& other = lossy.host(!GetParam());
    if (!lossy.run_until([&] { return in_step(lossy); }, minutes(2))) continue;
    const std::array places{home(), kElsewhere, kFarther};
    net::IpAddress now_at = home();
    for (unsigned move = 0; move < 6; ++move) {
      const net::IpAddress to = places[chance.below(places.size())];
      gone = std::set<net::IpAddress>(places.begin(), places.end());
      gone.erase(to);
      now_at = to;
      ASSERT_EQ(one.ike_sas.size(), 1u) << seed;
      lossy.command(one, UsePaths{.ike_sa = one.ike_sa().ike_sa, .paths = {way(to, peer())}});
      lossy.advance(milliseconds(chance.below(900)));
    }
    const auto arrived = [&] {
      return other.moves.empty() ? now_at == home() : other.moves.back().path.remote.address == now_at;
    };
    EXPECT_TRUE(lossy.run_until(arrived, seconds(60))) << seed;
    lossy.advance(seconds(30));
    EXPECT_TRUE(arrived()) << seed;
    EXPECT_TRUE(in_step(lossy)) << seed;
    EXPECT_EQ(one.children_made, 1u) << seed;
  }
}

}  // namespace
}  // namespace culvert::ike::v2
