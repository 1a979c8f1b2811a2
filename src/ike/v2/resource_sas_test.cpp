// Several Child SAs with the same selectors, one for each resource (RFC 9611).
#include "ike/v2/resource_sas.hpp"

#include <gtest/gtest.h>

#include "ike/codec/seal.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kResources = 4;

EndpointSettings with_resources() {
  EndpointSettings settings;
  settings.resources = kResources;
  settings.export_keys = true;
  return settings;
}

model::ConnectionConfig limited(bool first, std::uint32_t limit) {
  model::ConnectionConfig config = config_of(first);
  config.resource_sas = limit;
  // No more in number than in the IKE SA's first pair, so that rekeys by time do not come in between.
  config.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes256gcm16-esn")};
  return config;
}

/// What a worker of the host wishes whose packet goes over the fallback.
ChildWish for_resource(Host& host, bool first, std::uint32_t resource) {
  net::PacketInfo packet;
  packet.source = *net::IpAddress::parse(first ? "10.1.0.9" : "10.2.0.9");
  packet.destination = *net::IpAddress::parse(first ? "10.2.0.9" : "10.1.0.9");
  packet.protocol = 6;
  packet.ports_visible = true;
  packet.source_port = static_cast<std::uint16_t>(40000 + resource);
  packet.destination_port = 80;
  for (const auto& [id, child] : host.children) {
    if (!child.params.resource) return {child.params.local, child.params.remote, packet, resource};
  }
  return {limited(first, 0).local, limited(first, 0).remote, packet, resource};
}

/// The pairs of both sides, each with its like on the other.
bool all_mirrored(Pair& pair) {
  if (pair.a.children.size() != pair.b.children.size()) return false;
  return std::ranges::all_of(pair.a.children, [&](const auto& one) {
    return std::ranges::any_of(pair.b.children,
                               [&](const auto& other) { return mirrored(one.second.params, other.second.params); });
  });
}

std::vector<std::uint32_t> resources_of(const Host& host) {
  std::vector<std::uint32_t> resources;
  for (const auto& [id, child] : host.children) {
    if (child.params.resource) resources.push_back(*child.params.resource);
  }
  std::ranges::sort(resources);
  return resources;
}
using Resources = std::vector<std::uint32_t>;

const model::ChildSaParams* fallback_of(const Host& host) {
  for (const auto& [id, child] : host.children) {
    if (!child.params.resource) return &child.params;
  }
  return nullptr;
}

const model::ChildSaParams* pair_for(const Host& host, std::uint32_t resource) {
  for (const auto& [id, child] : host.children) {
    if (child.params.resource == resource) return &child.params;
  }
  return nullptr;
}

std::size_t held(const Host& host) {
  return static_cast<std::size_t>(
      std::ranges::count_if(host.children, [](const auto& entry) { return entry.second.held; }));
}

/// Reads and writes on the first IKE SA of a pair, with the keys that a exported.
class Wiretap {
 public:
  explicit Wiretap(Pair& pair)
      : keys_(pair.a.exported.at(0)),
        suite_(*model::packet_suite(keys_.suite.encryption, keys_.suite.key_bits, keys_.suite.integrity)),
        from_i_(*codec::MessageOpener::make(suite_, keys_.sk_ei.view(), keys_.sk_ai.view())),
        from_r_(*codec::MessageOpener::make(suite_, keys_.sk_er.view(), keys_.sk_ar.view())),
        sealer_(*codec::MessageSealer::make(suite_, keys_.sk_er.view(), keys_.sk_ar.view(), random_)) {}

  codec::Message open(const Datagram& datagram) {
    const auto parsed = codec::parse_message(datagram.message);
    CHECK(parsed);
    auto opened = (parsed->header.initiator ? from_i_ : from_r_).open(datagram.message, *parsed);
    CHECK(opened);
    return std::move(*opened);
  }
  /// All messages of that exchange since the `first`-th datagram that can be read, in order.
  std::vector<codec::Message> all(Pair& pair, ExchangeType exchange, std::size_t first = 0) {
    std::vector<codec::Message> messages;
    for (std::size_t at = first; at < pair.wire.size(); ++at) {
      if (pair.wire[at].header().exchange == exchange) messages.push_back(open(pair.wire[at]));
    }
    return messages;
  }
  /// Answers a's request in b's place.
  Bytes answer(const codec::Message& request, std::vector<codec::Payload> payloads) {
    codec::Message message{.header = request.header, .payloads = std::move(payloads)};
    message.header.initiator = false;
    message.header.response = true;
    return sealer_.seal(message);
  }

 private:
  const KeysExported& keys_;
  SeededRandom random_{77};
  crypto::PacketSuite suite_;
  codec::MessageOpener from_i_;
  codec::MessageOpener from_r_;
  codec::MessageSealer sealer_;
};

class ResourceSas : public ::testing::TestWithParam<bool> {
 protected:
  ResourceSas() : pair(1, with_resources()) {}
  void up(std::uint32_t ours = 8, std::uint32_t theirs = 8) {
    configure(pair, limited(true, actor() ? ours : theirs), limited(false, actor() ? theirs : ours));
    initiate(pair);
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
  void limit(Host& host, std::uint32_t most) {
    pair.command(host, ConfigureConnection{limited(&host == &pair.a, most)});
  }
  void wish(std::uint32_t resource) { wish(us(), resource); }
  void wish(Host& host, std::uint32_t resource) {
    pair.command(host, CreateChildSa{kConnection, for_resource(host, &host == &pair.a, resource)});
  }
  void wish_all(Host& host) {
    for (std::uint32_t resource = 0; resource < kResources; ++resource) wish(host, resource);
  }
  bool actor() const { return GetParam(); }
  Host& us() { return pair.host(actor()); }
  Host& them() { return pair.host(!actor()); }
  Pair pair;
};

// ---------------------------------------------------------------- the first pair

TEST_P(ResourceSas, TheGroupIsOpenWhenBothSaySo) {  // RFC 9611 3
  struct Case {
    std::uint32_t ours;
    std::uint32_t theirs;
    bool in_request;
    bool in_answer;
  };
  for (const Case& one :
       {Case{8, 8, true, true}, Case{8, 0, true, false}, Case{0, 8, false, false}, Case{0, 0, false, false}}) {
    Pair fresh(3, with_resources());
    configure(fresh, limited(true, one.ours), limited(false, one.theirs));
    initiate(fresh);
    fresh.settle();
    ASSERT_TRUE(in_step(fresh));
    EXPECT_EQ(fresh.a.child().per_resource, one.in_answer) << one.ours << one.theirs;
    EXPECT_EQ(fresh.b.child().per_resource, one.in_answer) << one.ours << one.theirs;
    EXPECT_FALSE(fresh.a.child().resource) << "the first is for all";
    EXPECT_FALSE(fresh.b.child().resource);
    const auto auth = Wiretap(fresh).all(fresh, ExchangeType::ike_auth);
    ASSERT_EQ(auth.size(), 2u);
    const auto* request = auth[0].notify(NotifyType::sa_resource_info);
    EXPECT_EQ(request != nullptr, one.in_request);
    EXPECT_EQ(auth[1].notify(NotifyType::sa_resource_info) != nullptr, one.in_answer);
    if (request == nullptr) continue;
    EXPECT_EQ(*request,
              (codec::NotifyPayload{
                  .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::sa_resource_info, .data = {}}))
        << "it names no resource";
  }
}

TEST_P(ResourceSas, APeerThatTakesNoneIsNotAsked) {
  up(8, 0);
  const std::size_t messages = pair.wire.size();
  wish_all(us());
  pair.advance(seconds(20));
  EXPECT_EQ(pair.wire.size(), messages);
  EXPECT_TRUE(us().failures.empty());
  EXPECT_TRUE(in_step(pair));
}

// ---------------------------------------------------------------- those beside it

TEST_P(ResourceSas, EachResourceGetsAPairOfItsOwn) {
  up();
  const std::size_t before = pair.wire.size();
  wish_all(us());
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2, 3}));
  EXPECT_EQ(resources_of(them()), (Resources{0, 1, 2, 3})) << "RFC 9611 4: each has the fewest in its turn";
  EXPECT_EQ(us().children.size(), 5u);
  EXPECT_TRUE(all_mirrored(pair));
  for (Host* host : {&pair.a, &pair.b}) {
    const model::ChildSaParams* fallback = fallback_of(*host);
    ASSERT_NE(fallback, nullptr);
    for (const auto& [id, child] : host->children) {
      const model::ChildSaParams& params = child.params;
      EXPECT_TRUE(params.per_resource);
      // RFC 9611 3: identical but for their keys.
      EXPECT_EQ(params.suite, fallback->suite);
      EXPECT_EQ(params.local, fallback->local);
      EXPECT_EQ(params.remote, fallback->remote);
      EXPECT_EQ(params.mode, fallback->mode);
      const auto& asked = host->allocator().for_resource;
      EXPECT_EQ(asked.contains(params.spi_inbound) ? std::optional(asked.at(params.spi_inbound)) : std::nullopt,
                params.resource)
          << "its SPI leads to the resource";
    }
  }
  EXPECT_TRUE(no_leaks(pair));
  Wiretap tap(pair);
  std::set<Bytes> infos;
  for (const codec::Message& message : tap.all(pair, ExchangeType::create_child_sa, before)) {
    const auto* info = message.notify(NotifyType::sa_resource_info);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->protocol, model::ProtocolId::none);
    EXPECT_TRUE(info->spi.empty());
    EXPECT_EQ(info->data.size(), 8u);
    EXPECT_TRUE(infos.insert(info->data).second) << "RFC 9611 3: unique";
    if (message.header.response) continue;
    const auto& selectors = message.ts(model::Role::initiator)->selectors;
    ASSERT_EQ(selectors.size(), 2u);
    EXPECT_EQ(selectors[0].start_port, selectors[0].end_port) << "RFC 9611 4: those of the packet come first";
  }
  EXPECT_EQ(infos.size(), 2 * kResources);
}

TEST_P(ResourceSas, TheOneThatHasTheFallbackIsServedLast) {  // RFC 9611 4: the fewest; the fallback counts
  up();
  them().allocator().for_all = 2;
  for (const std::uint32_t resource : {3u, 1u, 0u}) wish(resource);
  pair.settle();
  EXPECT_EQ(resources_of(them()), (Resources{0, 1, 3})) << "as many as there are others: no more need be made";
  wish(2);
  pair.settle();
  EXPECT_EQ(resources_of(them()), (Resources{0, 0, 1, 3})) << "with all alike one after the other again";
}

TEST_P(ResourceSas, TheSameIsAskedForOnce) {
  up();
  for (int n = 0; n < 5; ++n) wish(2);
  pair.settle();
  wish(2);
  pair.settle();
  EXPECT_EQ(us().children_made, 2u);
}

TEST_P(ResourceSas, BothSidesMayAskForAllAtOnce) {  // RFC 9611 4
  up();
  wish_all(pair.a);
  wish_all(pair.b);
  pair.advance(seconds(30));
  EXPECT_TRUE(all_mirrored(pair));
  EXPECT_EQ(pair.a.children.size(), 9u) << "none is taken for the other's twin";
  EXPECT_EQ(pair.a.removed.size() + pair.b.removed.size(), 0u);
  EXPECT_EQ(resources_of(pair.a), (Resources{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(resources_of(pair.b), (Resources{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ResourceSas, APairOfThePeersIsNotForAResourceThatIsBeingServed) {
  up();
  // Both ask at once; when the peer's request comes, ours for resource 0 is under way.
  wish(us(), 0);
  wish(them(), 3);
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1}));
  EXPECT_EQ(resources_of(them()), (Resources{0, 3}));
}

TEST_P(ResourceSas, AnAnswerOnItsWayIsWaitedFor) {  // traffic on the new pair would come before its SA
  up();
  bool lose = true;
  pair.fate = [&](const Datagram& datagram) {
    const auto header = datagram.header();
    const bool answer = header.exchange == ExchangeType::create_child_sa && header.response;
    return answer && lose ? std::vector<Duration>{} : std::vector{Pair::kLatency};
  };
  wish(1);
  pair.advance(milliseconds(200));
  ASSERT_EQ(them().children.size(), 2u);
  EXPECT_EQ(held(them()), 1u);
  EXPECT_FALSE(them().outbound()->resource) << "the fallback carries it";
  lose = false;
  pair.advance(seconds(5));
  ASSERT_EQ(us().children.size(), 2u);
  EXPECT_EQ(held(us()), 0u);
  EXPECT_EQ(held(them()), 1u) << "nothing has shown yet that we have it";
  pair.command(them(), PeerAlive{std::ranges::find_if(them().children, [](const auto& entry) {
                                   return entry.second.params.resource.has_value();
                                 })->first});
  EXPECT_EQ(held(them()), 0u) << "a packet on it";
  wish(2);
  pair.settle();
  wish(3);
  pair.settle();
  EXPECT_EQ(held(them()), 1u) << "RFC 7296 2.3: the next request shows that we have the one before";
  pair.advance(minutes(3));
  EXPECT_EQ(held(them()), 0u) << "in the end without any sign";
}

TEST_P(ResourceSas, ManyLostMessagesCostNothingButTime) {
  up();
  SeededRandom chance(5);
  pair.fate = [&](const Datagram&) {
    return chance.below(3) == 0 ? std::vector<Duration>{} : std::vector{Pair::kLatency};
  };
  wish_all(pair.a);
  wish_all(pair.b);
  pair.advance(minutes(5));
  // A wish that waits for its turn is fulfilled by a pair that the peer makes meanwhile.
  for (std::uint32_t resource = 0; resource < kResources; ++resource) {
    EXPECT_NE(pair_for(pair.a, resource), nullptr) << resource;
    EXPECT_NE(pair_for(pair.b, resource), nullptr) << resource;
  }
  EXPECT_TRUE(all_mirrored(pair));
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ResourceSas, OneForSomeTrafficHasItsOwnBesideIt) {
  up();
  // A pair for one port, then one of these for a resource.
  net::PacketInfo packet = for_resource(us(), actor(), 0).packet;
  const auto side = [&](bool ours, const char* port) {
    return model::TrafficSelectors{*model::TrafficSelector::parse(
        fmt::format("{}[tcp{}]", ours == actor() ? "10.1.0.0/16" : "10.2.0.0/16", port))};
  };
  const ChildWish narrow{side(true, ""), side(false, "/80"), packet};
  pair.command(us(), CreateChildSa{kConnection, narrow});
  pair.settle();
  ASSERT_EQ(us().children.size(), 2u);
  ChildWish beside = narrow;
  beside.resource = 3;
  pair.command(us(), CreateChildSa{kConnection, beside});
  pair.settle();
  ASSERT_EQ(us().children.size(), 3u);
  ASSERT_NE(pair_for(us(), 3), nullptr);
  EXPECT_EQ(pair_for(us(), 3)->remote, narrow.remote);
  wish(3);
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{3, 3})) << "each set of selectors has its own";
  EXPECT_TRUE(all_mirrored(pair));
  pair.advance(hours(3));
  EXPECT_EQ(resources_of(us()), (Resources{3, 3}));
  EXPECT_TRUE(all_mirrored(pair));
  EXPECT_TRUE(us().closed.empty());
}

// ---------------------------------------------------------------- refusals

TEST_P(ResourceSas, ThePeersMostIsToldWithTsMaxQueue) {  // RFC 9611 5.2, 6
  up(8, 2);
  wish_all(us());
  pair.advance(seconds(5));
  EXPECT_EQ(us().children.size(), 3u);
  EXPECT_TRUE(all_mirrored(pair));
  ASSERT_EQ(us().failures.size(), 2u);
  const NegotiationFailed& failure = us().failures.front();
  EXPECT_TRUE(failure.child_only);
  EXPECT_EQ(failure.notify, NotifyType::ts_max_queue);
  ASSERT_TRUE(failure.wish);
  EXPECT_EQ(failure.wish->resource, 2u);
  const std::size_t messages = pair.wire.size();
  pair.advance(seconds(20));
  EXPECT_EQ(pair.wire.size(), messages) << "IKE does not try again by itself";
  EXPECT_TRUE(us().closed.empty());
  EXPECT_TRUE(no_leaks(pair));
  // Whoever made them, they count.
  wish(them(), 0);
  pair.settle();
  EXPECT_EQ(us().children.size(), 3u) << "it asks for no more than it takes";
}

TEST_P(ResourceSas, AFullIkeSaIsNoReasonToRefuseOthersToo) {  // RFC 9611 6: not NO_ADDITIONAL_SAS
  EndpointSettings few = with_resources();
  few.children_limit = 3;
  them().settings = few;
  them().restart();
  up();
  for (const std::uint32_t resource : {0u, 1u, 2u}) wish(resource);
  pair.advance(seconds(5));
  EXPECT_EQ(us().children.size(), 3u);
  ASSERT_EQ(us().failures.size(), 1u);
  EXPECT_EQ(us().failures.front().notify, NotifyType::ts_max_queue);
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ResourceSas, NoSpiIsNoReasonToRefuseOthersToo) {  // RFC 9611 6
  up();
  them().allocator().exhausted = true;
  wish(0);
  pair.settle();
  ASSERT_EQ(us().failures.size(), 1u);
  EXPECT_EQ(us().failures.front().notify, NotifyType::ts_max_queue);
  EXPECT_TRUE(in_step(pair));
}

TEST_P(ResourceSas, AnyOtherRefusalLeavesTheFallbackAsItWas) {
  up();
  auto config = limited(!actor(), 8);
  config.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "chacha20poly1305-esn")};
  pair.command(them(), ConfigureConnection{config});
  wish_all(us());
  pair.advance(seconds(10));
  EXPECT_EQ(us().failures.size(), kResources);
  EXPECT_EQ(us().failures.front().notify, NotifyType::no_proposal_chosen);
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ResourceSas, OnlyTheSuiteOfTheFallbackIsOffered) {  // RFC 9611 3
  configure(pair, limited(true, 8), limited(false, 8));
  for (const bool first : {true, false}) {
    auto config = limited(first, 8);
    const char* suites[] = {"aes128gcm16-aes256gcm16-x25519-nopfs-esn-noesn", "chacha20poly1305-esn"};
    config.esp_proposals.clear();
    for (const char* suite : suites) {
      config.esp_proposals.push_back(*model::parse_proposal(model::ProtocolId::esp, suite));
      config.esp_proposals.back().number = static_cast<std::uint8_t>(config.esp_proposals.size());
    }
    pair.command(pair.host(first), ConfigureConnection{config});
  }
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  const std::size_t before = pair.wire.size();
  wish(0);
  pair.settle();
  ASSERT_EQ(us().children.size(), 2u);
  EXPECT_TRUE(all_mirrored(pair));
  const auto messages = Wiretap(pair).all(pair, ExchangeType::create_child_sa, before);
  ASSERT_EQ(messages.size(), 2u);
  const auto& offered = messages[0].first<codec::SaPayload>()->proposals;
  ASSERT_EQ(offered.size(), 1u);
  const auto like = [&](model::TransformType type) {
    return std::ranges::count_if(offered[0].transforms, [&](const auto& one) { return one.type == type; });
  };
  EXPECT_EQ(like(model::TransformType::encryption), 1);
  EXPECT_EQ(like(model::TransformType::esn), 1);
  const auto& fallback = fallback_of(us())->suite;
  const auto& beside = pair_for(us(), 0)->suite;
  EXPECT_EQ(std::tie(fallback.encryption, fallback.key_bits, fallback.integrity, fallback.esn),
            std::tie(beside.encryption, beside.key_bits, beside.integrity, beside.esn));
}

TEST_P(ResourceSas, TheKeyExchangeIsOneOfTheFallbacksProposal) {
  const auto esp = [](const char* text) { return *model::parse_proposal(model::ProtocolId::esp, text); };
  model::ConnectionConfig ours = limited(actor(), 8);
  model::ConnectionConfig theirs = limited(!actor(), 8);
  ours.esp_proposals = {esp("aes256gcm16-x25519-esn"), esp("chacha20poly1305-ecp256-esn")};
  theirs.esp_proposals = {ours.esp_proposals[1]};
  configure(pair, actor() ? ours : theirs, actor() ? theirs : ours);
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  const std::size_t before = pair.wire.size();
  wish(3);
  pair.settle();
  EXPECT_EQ(resources_of(them()), Resources{0}) << "a request that waits for its key exchange takes one turn, not two";
  wish_all(us());
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2, 3}));
  EXPECT_EQ(resources_of(them()), (Resources{0, 1, 2, 3}));
  const auto messages = Wiretap(pair).all(pair, ExchangeType::create_child_sa, before);
  EXPECT_EQ(messages.size(), 2 * kResources) << "the first method is no guess";
  for (const codec::Message& message : messages) {
    const auto* ke = message.first<codec::KePayload>();
    ASSERT_NE(ke, nullptr);
    EXPECT_EQ(ke->method, model::KeyExchangeMethod::ecp_256);
  }
}

// ---------------------------------------------------------------- life and end

TEST_P(ResourceSas, ARekeyedOneIsForTheSameResource) {  // RFC 9611 3
  up();
  wish_all(us());
  pair.settle();
  for (Host* rekeyer : {&us(), &them()}) {
    const auto before = resources_of(them());
    std::set<model::Spi> old;
    for (const auto& [id, child] : us().children) old.insert(child.params.spi_inbound);
    std::vector<model::ChildSaId> ids;
    for (const auto& [id, child] : rekeyer->children) ids.push_back(id);
    for (const model::ChildSaId id : ids) pair.command(*rekeyer, RekeyChildSa{id});
    pair.advance(seconds(60));
    EXPECT_EQ(us().children.size(), 5u);
    EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2, 3}));
    EXPECT_EQ(resources_of(them()), before);
    EXPECT_TRUE(all_mirrored(pair));
    EXPECT_EQ(held(us()) + held(them()), 0u);
    for (const auto& [id, child] : us().children) {
      EXPECT_FALSE(old.contains(child.params.spi_inbound));
      EXPECT_TRUE(child.params.per_resource);
      const auto& asked = us().allocator().for_resource;
      EXPECT_EQ(asked.contains(child.params.spi_inbound), child.params.resource.has_value());
    }
  }
  EXPECT_TRUE(us().closed.empty());
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ResourceSas, CrossingRekeysLeaveOneForEachResource) {  // RFC 7296 2.8.1
  up();
  wish_all(us());
  pair.settle();
  for (int round = 0; round < 4; ++round) {
    // The same pairs, at once, on both sides.
    for (std::uint32_t resource = 0; resource < kResources; ++resource) {
      const model::ChildSaParams* ours = pair_for(us(), resource);
      ASSERT_NE(ours, nullptr);
      const auto like = std::ranges::find_if(
          them().children, [&](const auto& entry) { return entry.second.params.spi_inbound == ours->spi_outbound; });
      ASSERT_NE(like, them().children.end());
      pair.command(us(), RekeyChildSa{ours->id});
      pair.command(them(), RekeyChildSa{like->first});
      pair.advance(seconds(30));
      ASSERT_EQ(us().children.size(), 5u) << round;
      ASSERT_TRUE(all_mirrored(pair)) << round;
      ASSERT_EQ(resources_of(us()), (Resources{0, 1, 2, 3})) << round;
      ASSERT_EQ(resources_of(them()), (Resources{0, 1, 2, 3})) << round;
    }
  }
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ResourceSas, TheyOutliveRekeysOfTheIkeSaAndDaysOfTheirOwn) {
  up();
  wish(0);
  wish(1);
  pair.settle();
  pair.command(us(), RekeyIkeSa{us().ike_sa().ike_sa});
  wish(2);
  pair.advance(hours(30));
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2}));
  EXPECT_EQ(resources_of(them()).size(), 3u);
  EXPECT_TRUE(all_mirrored(pair));
  EXPECT_TRUE(us().closed.size() > 5) << "the IKE SA was rekeyed over and over";
  wish(3);
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2, 3})) << "the group is still open";
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ResourceSas, OneThatIsNotRekeyedEndsAlone) {
  up();
  wish(0);
  pair.settle();
  pair.advance(minutes(20));
  pair.command(us(), RekeyChildSa{fallback_of(us())->id});
  pair.settle();
  // From now on nothing can be agreed on.
  for (const bool first : {true, false}) {
    auto config = limited(first, 8);
    config.esp_proposals = {
        *model::parse_proposal(model::ProtocolId::esp, first ? "chacha20poly1305-esn" : "aes128gcm16-esn")};
    pair.command(pair.host(first), ConfigureConnection{config});
  }
  pair.advance(minutes(45));
  EXPECT_TRUE(us().closed.empty()) << "RFC 7296 2.8 closes the IKE SA for a pair that nothing stands in for";
  EXPECT_EQ(resources_of(us()), Resources{});
  EXPECT_NE(fallback_of(us()), nullptr);
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ResourceSas, OneIsDeletedAndMadeAgain) {
  up();
  wish_all(us());
  pair.settle();
  pair.command(us(), DeleteChildSa{pair_for(us(), 2)->id});
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 3}));
  EXPECT_EQ(resources_of(them()).size(), 3u);
  const Resources theirs = resources_of(them());
  wish(2);
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2, 3}));
  EXPECT_EQ(resources_of(them()), (Resources{0, 1, 2, 3})) << "it fills the gap";
  EXPECT_NE(theirs, resources_of(them()));
}

TEST_P(ResourceSas, WithoutAFallbackTheNextOneIsTheFallback) {
  up();
  wish(0);
  wish(1);
  pair.settle();
  const ChildWish again = for_resource(us(), actor(), 2);
  pair.command(us(), DeleteChildSa{fallback_of(us())->id});
  pair.settle();
  ASSERT_EQ(us().children.size(), 2u);
  pair.command(us(), CreateChildSa{kConnection, again});
  pair.settle();
  EXPECT_EQ(us().children.size(), 2u) << "there is nothing that it could stand beside";
  ChildWish for_all = again;
  for_all.resource.reset();
  pair.command(us(), CreateChildSa{kConnection, for_all});
  pair.settle();
  ASSERT_EQ(us().children.size(), 3u);
  ASSERT_NE(fallback_of(us()), nullptr);
  ASSERT_NE(fallback_of(them()), nullptr) << "those for single resources do not fulfil the wish";
  EXPECT_TRUE(fallback_of(us())->per_resource);
  pair.command(us(), CreateChildSa{kConnection, again});
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2}));
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ResourceSas, FallbacksOfBothSidesAtOnceAreTwinsAllTheSame) {
  up();
  wish_all(us());
  pair.settle();
  ChildWish ours = for_resource(us(), actor(), 0);
  ChildWish theirs = for_resource(them(), !actor(), 0);
  ours.resource.reset();
  theirs.resource.reset();
  pair.command(us(), DeleteChildSa{fallback_of(us())->id});
  pair.settle();
  ASSERT_EQ(us().children.size(), kResources);
  pair.command(us(), CreateChildSa{kConnection, ours});
  pair.command(them(), CreateChildSa{kConnection, theirs});
  pair.advance(seconds(20));
  EXPECT_EQ(us().children.size(), kResources + 1);
  EXPECT_NE(fallback_of(us()), nullptr);
  EXPECT_NE(fallback_of(them()), nullptr);
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ResourceSas, TwoSetUpsAtOnceLeaveOneIkeSaWithAllOfItsOwn) {  // decision 004
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Pair fresh(seed, with_resources());
    configure(fresh, limited(true, 8), limited(false, 8));
    initiate(fresh, true);
    initiate(fresh, false);
    // Packets come while there still are two of everything.
    for (int n = 0; n < 20; ++n) {
      fresh.advance(milliseconds(100));
      for (const bool first : {true, false}) {
        Host& host = fresh.host(first);
        if (host.children.empty()) continue;
        for (std::uint32_t resource = 0; resource < kResources; ++resource)
          fresh.command(host, CreateChildSa{kConnection, for_resource(host, first, resource)});
      }
    }
    fresh.advance(seconds(20));
    ASSERT_EQ(fresh.a.ike_sas.size(), 1u) << seed;
    ASSERT_EQ(fresh.b.ike_sas.size(), 1u) << seed;
    for (const bool first : {true, false}) {
      Host& host = fresh.host(first);
      for (std::uint32_t resource = 0; resource < kResources; ++resource)
        fresh.command(host, CreateChildSa{kConnection, for_resource(host, first, resource)});
    }
    fresh.advance(seconds(20));
    EXPECT_TRUE(all_mirrored(fresh)) << seed;
    for (Host* host : {&fresh.a, &fresh.b}) {
      EXPECT_EQ(held(*host), 0u) << seed;
      for (std::uint32_t resource = 0; resource < kResources; ++resource)
        EXPECT_NE(pair_for(*host, resource), nullptr) << seed;
    }
    EXPECT_TRUE(no_leaks(fresh)) << seed;
  }
}

TEST_P(ResourceSas, ANewIkeSaAfterARestartBeginsAnew) {
  up();
  wish_all(us());
  pair.settle();
  them().restart();
  pair.command(them(), ConfigureConnection{limited(!actor(), 8)});
  initiate(pair, !actor());
  pair.advance(seconds(10));
  ASSERT_TRUE(in_step(pair)) << "INITIAL_CONTACT took the old ones along";
  EXPECT_TRUE(us().child().per_resource);
  wish_all(them());
  pair.settle();
  EXPECT_EQ(resources_of(us()), (Resources{0, 1, 2, 3}));
  EXPECT_TRUE(all_mirrored(pair));
}

INSTANTIATE_TEST_SUITE_P(BothRoles, ResourceSas, ::testing::Bool());

// ---------------------------------------------------------------- peers that do otherwise

/// Up, begun by a, with an open group; b's part is then the test's.
struct Scripted {
  Scripted() : pair(1, with_resources()) {
    configure(pair, limited(true, 8), limited(false, 8));
    initiate(pair);
    pair.settle();
    CHECK(in_step(pair) && pair.a.child().per_resource);
    pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
    tap.emplace(pair);
  }
  /// a's request, the last datagram that it sent.
  codec::Message request() { return tap->open(pair.wire.back()); }
  void answer(std::vector<codec::Payload> payloads) {
    pair.inject(pair.a, path_from(true, 4500), tap->answer(request(), std::move(payloads)));
  }
  /// The payloads that accept a request for a Child SA, with these selectors.
  std::vector<codec::Payload> acceptance(model::TrafficSelectors i, model::TrafficSelectors r) {
    codec::SaPayload sa = *request().first<codec::SaPayload>();
    ByteWriter spi;
    spi.u32(++spi_);
    sa.proposals.resize(1);
    sa.proposals[0].spi = spi.take();
    return {sa, codec::NoncePayload{Bytes(32, 7)},
            codec::TsPayload{.side = model::Role::initiator, .selectors = std::move(i), .unknown = {}},
            codec::TsPayload{.side = model::Role::responder, .selectors = std::move(r), .unknown = {}}};
  }
  void wish(std::uint32_t resource) {
    pair.command(pair.a, CreateChildSa{kConnection, for_resource(pair.a, true, resource)});
  }
  Pair pair;
  std::optional<Wiretap> tap;
  std::uint32_t spi_ = 0x5000;
};

TEST(ResourceSasPeer, OneThatTakesAFurtherPairWithoutAWordIsFine) {  // RFC 7296 1.3.1
  Scripted one;
  one.wish(2);
  one.answer(one.acceptance(subnet("10.1.0.0/16"), subnet("10.2.0.0/16")));
  EXPECT_EQ(resources_of(one.pair.a), (Resources{2}));
  EXPECT_TRUE(one.pair.a.failures.empty());
}

TEST(ResourceSasPeer, OneThatLeavesThePacketsSelectorsInIsFine) {
  Scripted one;
  one.wish(2);
  const auto request = one.request();
  one.answer(
      one.acceptance(request.ts(model::Role::initiator)->selectors, request.ts(model::Role::responder)->selectors));
  ASSERT_EQ(resources_of(one.pair.a), (Resources{2}));
  EXPECT_EQ(pair_for(one.pair.a, 2)->local, fallback_of(one.pair.a)->local) << "the same as a set";
}

TEST(ResourceSasPeer, OneThatNarrowsTheFurtherPairIsRefused) {  // RFC 9611 3: identical selectors
  Scripted one;
  one.wish(2);
  const auto request = one.request();
  one.answer(one.acceptance({request.ts(model::Role::initiator)->selectors.front()},
                            {request.ts(model::Role::responder)->selectors.front()}));
  EXPECT_EQ(one.pair.a.children.size(), 1u);
  ASSERT_EQ(one.pair.a.failures.size(), 1u);
  EXPECT_EQ(one.pair.a.failures.front().kind, FailureKind::traffic_selectors);
  EXPECT_EQ(one.request().header.exchange, ExchangeType::informational) << "the peer is told to forget it";
  EXPECT_NE(one.request().first<codec::DeletePayload>(), nullptr);
}

TEST(ResourceSasPeer, OneThatRefusesARekeyWithTsMaxQueueIsNotAskedOverAndOver) {
  Scripted one;
  one.wish(2);
  one.answer(one.acceptance(subnet("10.1.0.0/16"), subnet("10.2.0.0/16")));
  one.pair.command(one.pair.a, RekeyChildSa{pair_for(one.pair.a, 2)->id});
  ASSERT_NE(one.request().notify(NotifyType::rekey_sa), nullptr);
  ASSERT_NE(one.request().notify(NotifyType::sa_resource_info), nullptr) << "RFC 9611 3: may be there";
  one.answer({codec::NotifyPayload{
      .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::ts_max_queue, .data = {}}});
  const std::size_t messages = one.pair.wire.size();
  one.pair.advance(seconds(25));
  EXPECT_EQ(one.pair.wire.size(), messages);
  EXPECT_EQ(resources_of(one.pair.a), (Resources{2})) << "it goes on to its end";
}

TEST(ResourceSasPeer, OneThatDoesNotKnowAPairAnyMoreGetsNoNewFallback) {  // RFC 7296 2.25: CHILD_SA_NOT_FOUND
  Scripted one;
  one.wish(2);
  one.answer(one.acceptance(subnet("10.1.0.0/16"), subnet("10.2.0.0/16")));
  one.pair.command(one.pair.a, RekeyChildSa{pair_for(one.pair.a, 2)->id});
  one.answer({codec::NotifyPayload{
      .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::child_sa_not_found, .data = {}}});
  const std::size_t messages = one.pair.wire.size();
  one.pair.advance(seconds(20));
  EXPECT_EQ(one.pair.wire.size(), messages) << "the next packet asks for one again";
  EXPECT_EQ(one.pair.a.children.size(), 1u);
  EXPECT_NE(fallback_of(one.pair.a), nullptr);
}

}  // namespace
}  // namespace culvert::ike::v2
