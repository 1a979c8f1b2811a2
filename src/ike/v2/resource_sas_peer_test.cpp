// Peers that do with Child SAs for single resources (RFC 9611) what ours would not.
#include <optional>

#include "ike/v2/testing/resource_sas.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::seconds;

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
