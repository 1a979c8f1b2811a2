// What a peer may try with IKE_FOLLOWUP_KE (RFC 9370 2.2.4): without a beginning, with another method, over and over.
#include <memory>

#include <gtest/gtest.h>

#include "ike/v2/follow_up.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::KeyExchangeMethod;
using model::NotifyType;
using std::chrono::seconds;

constexpr const char* kSeries = "aes128gcm16-x25519-ke1_ecp256-ke2_mlkem512-esn";

model::Proposal esp(std::string_view text) { return *model::parse_proposal(model::ProtocolId::esp, text); }

class FollowUpForgery : public ::testing::Test {
 protected:
  FollowUpForgery() : pair(1, exporting()) {
    auto a = config_of(true);
    auto b = config_of(false);
    a.ike_proposals =
        b.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519")};
    a.esp_proposals = b.esp_proposals = {esp(kSeries), esp("aes128gcm16-x25519-esn")};
    configure(pair, a, b);
    initiate(pair);
    pair.settle();
    CHECK(in_step(pair));
    forger = std::make_unique<Forger>(pair.a.exported.front(), 2);
  }
  codec::Payload value_of(KeyExchangeMethod method) {
    return codec::KePayload{.method = method,
                            .public_value = to_bytes(
                                (*crypto::make_key_exchange(*model::key_exchange_id(method), random))->public_value())};
  }
  /// A request to rekey the pair; the answer.
  codec::Message begin() {
    model::Proposal offer = esp(kSeries);
    offer.spi = {0, 0, 9, next_spi++};
    const auto& child = pair.b.children.begin()->second.params;
    ByteWriter old;
    old.u32(child.spi_outbound.value());
    return forger->ask(
        pair, ExchangeType::create_child_sa,
        {codec::NotifyPayload{
             .protocol = model::ProtocolId::esp, .spi = old.take(), .type = NotifyType::rekey_sa, .data = {}},
         codec::SaPayload{{offer}}, codec::NoncePayload{Bytes(32, next_spi)}, value_of(KeyExchangeMethod::curve25519),
         codec::TsPayload{.side = model::Role::initiator, .selectors = child.remote, .unknown = {}},
         codec::TsPayload{.side = model::Role::responder, .selectors = child.local, .unknown = {}}});
  }
  static Bytes link_of(const codec::Message& answer) {
    const auto* notify = answer.notify(NotifyType::additional_key_exchange);
    return notify == nullptr ? Bytes{} : notify->data;
  }
  codec::Message follow(KeyExchangeMethod method, const Bytes& link) {
    return forger->ask(pair, ExchangeType::ike_followup_ke,
                       {value_of(method), codec::NotifyPayload{.protocol = model::ProtocolId::none,
                                                               .spi = {},
                                                               .type = NotifyType::additional_key_exchange,
                                                               .data = link}});
  }
  static bool says(const codec::Message& answer, NotifyType type) { return answer.notify(type) != nullptr; }

  Pair pair;
  SeededRandom random{7};
  std::unique_ptr<Forger> forger;
  std::uint8_t next_spi = 1;
};

TEST_F(FollowUpForgery, TheUsualWay) {
  const codec::Message first = begin();
  ASSERT_EQ(link_of(first).size(), 16U);
  EXPECT_EQ(pair.b.children.size(), 1U) << "nothing yet";
  const codec::Message second = follow(KeyExchangeMethod::ecp_256, link_of(first));
  ASSERT_EQ(link_of(second).size(), 16U);
  EXPECT_NE(link_of(second), link_of(first));
  EXPECT_EQ(pair.b.children.size(), 1U);
  const codec::Message third = follow(KeyExchangeMethod::ml_kem_512, link_of(second));
  EXPECT_TRUE(link_of(third).empty()) << "that was the last";
  EXPECT_EQ(third.first<codec::KePayload>()->public_value.size(), 768U);
  EXPECT_EQ(pair.b.children.size(), 2U);
}

TEST_F(FollowUpForgery, WithoutABeginning) {  // RFC 9370 2.2.4: STATE_NOT_FOUND, not fatal
  EXPECT_TRUE(says(follow(KeyExchangeMethod::ecp_256, Bytes(16, 1)), NotifyType::state_not_found));
  EXPECT_TRUE(says(follow(KeyExchangeMethod::ecp_256, {}), NotifyType::state_not_found));
  EXPECT_TRUE(says(forger->ask(pair, ExchangeType::ike_followup_ke, {value_of(KeyExchangeMethod::ecp_256)}),
                   NotifyType::state_not_found));
  const codec::Message first = begin();
  const codec::Message second = follow(KeyExchangeMethod::ecp_256, link_of(first));
  EXPECT_TRUE(says(follow(KeyExchangeMethod::ecp_256, link_of(first)), NotifyType::state_not_found)) << "an old link";
  EXPECT_FALSE(says(follow(KeyExchangeMethod::ml_kem_512, link_of(second)), NotifyType::state_not_found));
  EXPECT_EQ(pair.b.ike_sas.size(), 1U);
}

TEST_F(FollowUpForgery, AnotherMethodIsFatal) {  // RFC 9370 2.2.4, RFC 7296 2.21.3
  const codec::Message first = begin();
  EXPECT_TRUE(says(follow(KeyExchangeMethod::ml_kem_512, link_of(first)), NotifyType::invalid_syntax));
  EXPECT_TRUE(pair.b.ike_sas.empty());
  EXPECT_TRUE(pair.b.allocator().in_use.empty());
}

TEST_F(FollowUpForgery, NoValueIsFatal) {  // RFC 9370 2.2.4, RFC 7296 2.21.3
  const codec::Message first = begin();
  const codec::Message answer =
      forger->ask(pair, ExchangeType::ike_followup_ke,
                  {codec::KePayload{.method = KeyExchangeMethod::ecp_256, .public_value = Bytes(64, 1)},
                   codec::NotifyPayload{.protocol = model::ProtocolId::none,
                                        .spi = {},
                                        .type = NotifyType::additional_key_exchange,
                                        .data = link_of(first)}});
  EXPECT_TRUE(says(answer, NotifyType::invalid_syntax)) << "no point of the curve";
  EXPECT_TRUE(pair.b.ike_sas.empty());
  EXPECT_TRUE(pair.b.allocator().in_use.empty());
}

TEST_F(FollowUpForgery, BegunAgainAndAgain) {
  // Of rekeys of one pair the last counts.
  const codec::Message first = begin();
  const codec::Message second = begin();
  EXPECT_TRUE(says(follow(KeyExchangeMethod::ecp_256, link_of(first)), NotifyType::state_not_found));
  EXPECT_EQ(pair.b.allocator().in_use.size(), pair.b.children.size() + 1);
  pair.advance(kFollowUpPatience + seconds(1));
  EXPECT_EQ(pair.b.allocator().in_use.size(), pair.b.children.size());
  EXPECT_TRUE(says(follow(KeyExchangeMethod::ecp_256, link_of(second)), NotifyType::state_not_found));
  // Of new pairs there are a few at a time.
  unsigned kept = 0;
  for (int round = 0; round < 10; ++round) {
    model::Proposal offer = esp(kSeries);
    offer.spi = {0, 0, 9, next_spi++};
    const codec::Message answer = forger->ask(
        pair, ExchangeType::create_child_sa,
        {codec::SaPayload{{offer}}, codec::NoncePayload{Bytes(32, next_spi)}, value_of(KeyExchangeMethod::curve25519),
         codec::TsPayload{.side = model::Role::initiator, .selectors = subnet("10.1.7.0/24"), .unknown = {}},
         codec::TsPayload{.side = model::Role::responder, .selectors = subnet("10.2.7.0/24"), .unknown = {}}});
    kept += link_of(answer).empty() ? 0U : 1U;
    if (link_of(answer).empty()) {
      EXPECT_TRUE(says(answer, NotifyType::temporary_failure));
    }
  }
  EXPECT_EQ(kept, 4U);
  EXPECT_EQ(pair.b.allocator().in_use.size(), pair.b.children.size() + 4);
  pair.command(pair.b, Terminate{kConnection});
  EXPECT_TRUE(pair.b.allocator().in_use.empty()) << "they go with the IKE SA";
}

}  // namespace
}  // namespace culvert::ike::v2
