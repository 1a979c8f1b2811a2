// The life and the end of Child SAs that are one for each resource (RFC 9611): rekeys, deletes, both sides at once.
#include "ike/v2/testing/resource_sas.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class ResourceSasLife : public ResourceSas {};

TEST_P(ResourceSasLife, ARekeyedOneIsForTheSameResource) {  // RFC 9611 3
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

TEST_P(ResourceSasLife, CrossingRekeysLeaveOneForEachResource) {  // RFC 7296 2.8.1
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

TEST_P(ResourceSasLife, TheyOutliveRekeysOfTheIkeSaAndDaysOfTheirOwn) {
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

TEST_P(ResourceSasLife, OneThatIsNotRekeyedEndsAlone) {
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

TEST_P(ResourceSasLife, OneIsDeletedAndMadeAgain) {
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

TEST_P(ResourceSasLife, WithoutAFallbackTheNextOneIsTheFallback) {
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

TEST_P(ResourceSasLife, FallbacksOfBothSidesAtOnceAreTwinsAllTheSame) {
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

TEST_P(ResourceSasLife, TwoSetUpsAtOnceLeaveOneIkeSaWithAllOfItsOwn) {  // decision 004
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

TEST_P(ResourceSasLife, ANewIkeSaAfterARestartBeginsAnew) {
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

INSTANTIATE_TEST_SUITE_P(BothRoles, ResourceSasLife, ::testing::Bool());

}  // namespace
}  // namespace culvert::ike::v2
