// Several Child SAs with the same selectors, one for each resource (RFC 9611): how they come about, and refusals.
#include "ike/v2/testing/resource_sas.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

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

INSTANTIATE_TEST_SUITE_P(BothRoles, ResourceSas, ::testing::Bool());

}  // namespace
}  // namespace culvert::ike::v2
