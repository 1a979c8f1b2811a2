// Security labels of Child SAs (RFC 9478), in both roles.
#include "ike/v2/security_labels.hpp"

#include <gtest/gtest.h>

#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::NotifyType;
using model::SecurityLabel;

const SecurityLabel kRed = *SecurityLabel::parse("system_u:object_r:red_t:s0");
const SecurityLabel kBlue = *SecurityLabel::parse("system_u:object_r:blue_t:s0:c1");

// The parameter: a begins.
class Labels : public ::testing::TestWithParam<bool> {
 protected:
  void begin(const std::vector<SecurityLabel>& of_a, const std::vector<SecurityLabel>& of_b) {
    a.security_labels = of_a;
    b.security_labels = of_b;
    watch(pair.a, labels_a);
    watch(pair.b, labels_b);
    configure(pair, a, b);
    initiate(pair, GetParam());
    pair.settle();
  }
  static void watch(Host& host, std::vector<std::optional<SecurityLabel>>& labels) {
    host.on_event = [&labels](const Event& event) {
      if (const auto* made = std::get_if<ChildSaEstablished>(&event)) labels.push_back(made->security_label);
    };
  }
  Host& opener() { return pair.host(GetParam()); }
  Host& answerer() { return pair.host(!GetParam()); }

  Pair pair;
  model::ConnectionConfig a = config_of(true);
  model::ConnectionConfig b = config_of(false);
  std::vector<std::optional<SecurityLabel>> labels_a;
  std::vector<std::optional<SecurityLabel>> labels_b;
};
INSTANTIATE_TEST_SUITE_P(EitherRole, Labels, ::testing::Bool());

TEST_P(Labels, TheSameAtBothEnds) {
  begin({kRed}, {kRed});
  ASSERT_TRUE(in_step(pair));
  ASSERT_EQ(labels_a.size(), 1u);
  EXPECT_EQ(labels_a[0], kRed);
  EXPECT_EQ(labels_b, labels_a);
  // Addresses are selectors as ever.
  EXPECT_EQ(pair.a.child().local, a.local);
}

TEST_P(Labels, WithoutAnyNothingIsSaid) {
  begin({}, {});
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(labels_a.at(0), std::nullopt);
  EXPECT_EQ(labels_b.at(0), std::nullopt);
}

TEST_P(Labels, TheResponderTakesOneOfSeveral) {  // RFC 9478 2.2
  begin({kRed, kBlue}, {kBlue});
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(labels_a.at(0), kBlue);
  EXPECT_EQ(labels_b.at(0), kBlue);
}

TEST_P(Labels, OtherLabelsHaveNothingInCommon) {  // RFC 9478 2.2, RFC 9478 3: TS_UNACCEPTABLE
  begin({kRed}, {kBlue});
  EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
  for (const Host* host : {&pair.a, &pair.b}) {
    ASSERT_EQ(host->failures.size(), 1u);
    EXPECT_EQ(host->failures[0].notify, NotifyType::ts_unacceptable);
  }
  EXPECT_NE(answerer().failures[0].detail.find("security_label"), std::string::npos) << answerer().failures[0].detail;
  EXPECT_NE(answerer().failures[0].detail.find("red_t"), std::string::npos) << answerer().failures[0].detail;
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(Labels, WhoHasOneDoesNotDoWithout) {  // RFC 9478 3: nor with a Child SA without one
  begin({kRed}, {});
  EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
  EXPECT_EQ(opener().failures.size(), 1u);
  EXPECT_EQ(answerer().failures.size(), 1u);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(Labels, ARekeyKeepsTheLabel) {
  begin({kRed, kBlue}, {kBlue, kRed});
  ASSERT_TRUE(in_step(pair));
  const auto label = labels_a.at(0);
  for (const bool first : {true, false, true}) {
    Host& host = pair.host(first);
    pair.command(host, RekeyChildSa{host.child().id});
    pair.settle();
    ASSERT_TRUE(in_step(pair));
    EXPECT_EQ(labels_a.back(), label);
    EXPECT_EQ(labels_b.back(), label);
  }
  EXPECT_EQ(labels_a.size(), 4u);
  // The IKE SA's does not touch it; nor does a change of what is configured, before the next set-up.
  pair.command(opener(), RekeyIkeSa{opener().ike_sa().ike_sa});
  pair.settle();
  for (auto* config : {&a, &b}) std::swap(config->security_labels.front(), config->security_labels.back());
  pair.command(pair.a, ConfigureConnection{a});
  pair.command(pair.b, ConfigureConnection{b});
  pair.command(answerer(), RekeyChildSa{answerer().child().id});
  pair.settle();
  EXPECT_EQ(labels_a.back(), label);
  EXPECT_EQ(labels_b.back(), label);
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
}

// What a peer may say of labels; `a` begins, b answers.
class LabelAnswers : public ::testing::Test {
 protected:
  static codec::UnknownSelector label(Bytes octets) { return {10, 0, std::move(octets)}; }
  static codec::Message request(std::vector<codec::UnknownSelector> i, std::vector<codec::UnknownSelector> r) {
    codec::Message message;
    message.add(codec::TsPayload{.side = model::Role::initiator, .selectors = subnet("10.1.0.0/16"), .unknown = i});
    message.add(codec::TsPayload{.side = model::Role::responder, .selectors = subnet("10.2.0.0/16"), .unknown = r});
    return message;
  }
  static bool refused(const codec::Message& message, const std::vector<SecurityLabel>& ours) {
    return !agree_on_label(message, ours).has_value();
  }
};

TEST_F(LabelAnswers, OnlyTheVeryOctetsMatch) {
  const codec::UnknownSelector red = label(kRed.octets);
  EXPECT_EQ(*agree_on_label(request({red}, {red}), {kRed}), kRed);
  // RFC 9478 2.2: no octets are no wildcard, and are ignored.
  EXPECT_TRUE(refused(request({label({})}, {label({})}), {kRed}));
  EXPECT_TRUE(refused(request({label({})}, {label({})}), {}));
  EXPECT_EQ(*agree_on_label(request({label({}), red}, {red, label({})}), {kRed}), kRed);
  // In both payloads.
  EXPECT_TRUE(refused(request({red}, {}), {kRed}));
  EXPECT_TRUE(refused(request({red}, {label(kBlue.octets)}), {kRed, kBlue}));
  Bytes longer = kRed.octets;
  longer.push_back(0);
  EXPECT_TRUE(refused(request({label(longer)}, {label(longer)}), {kRed}));
  // Selectors of other types are nobody's label.
  EXPECT_EQ(*agree_on_label(request({{9, 0, {1}}}, {{9, 0, {1}}}), {}), std::nullopt);
  EXPECT_TRUE(refused(request({{9, 0, kRed.octets}}, {{9, 0, kRed.octets}}), {kRed}));
}

TEST_F(LabelAnswers, TheAnswerHasExactlyOne) {
  const codec::UnknownSelector red = label(kRed.octets);
  const codec::UnknownSelector blue = label(kBlue.octets);
  const auto answer = [](const codec::Message& message, const std::vector<SecurityLabel>& offered) {
    return label_in_answer(message, offered).has_value();
  };
  EXPECT_TRUE(answer(request({red}, {red}), {kRed, kBlue}));
  EXPECT_FALSE(answer(request({red, blue}, {red, blue}), {kRed, kBlue}));
  EXPECT_FALSE(answer(request({red}, {blue}), {kRed, kBlue}));
  EXPECT_FALSE(answer(request({blue}, {blue}), {kRed}));
  EXPECT_FALSE(answer(request({}, {}), {kRed}));
  EXPECT_FALSE(answer(request({red}, {}), {kRed}));
  EXPECT_FALSE(answer(request({red}, {red}), {}));
  EXPECT_FALSE(answer(request({label({})}, {label({})}), {kRed}));
  EXPECT_TRUE(answer(request({}, {}), {}));
}

// RFC 9478 2.2: a label goes with addresses.
TEST_F(LabelAnswers, ALabelAloneIsUnacceptable) {
  Pair pair(3, exporting());
  auto b = config_of(false);
  b.security_labels = {kRed};
  auto a = config_of(true);
  a.security_labels = {kRed};
  configure(pair, a, b);
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  Forger forger(pair.a.exported.at(0), 2);
  const auto ask = [&](const model::TrafficSelectors& i, const model::TrafficSelectors& r,
                       const std::vector<SecurityLabel>& labels) {
    codec::SaPayload proposals{model::default_esp_proposals()};
    for (model::Proposal& proposal : proposals.proposals) {
      proposal.spi = {0, 0, 0x77, 0x77};
      std::erase_if(proposal.transforms, [](const model::Transform& one) {
        return one.type == model::TransformType::key_exchange || model::is_additional_key_exchange(one.type);
      });
    }
    return forger.ask(pair, model::ExchangeType::create_child_sa,
                      {std::move(proposals), codec::NoncePayload{Bytes(32, 1)},
                       ts_payload(model::Role::initiator, i, labels), ts_payload(model::Role::responder, r, labels)});
  };
  EXPECT_NE(ask({}, {}, {kRed}).notify(NotifyType::ts_unacceptable), nullptr);
  EXPECT_NE(ask(subnet("10.1.0.0/16"), subnet("10.2.0.0/16"), {}).notify(NotifyType::ts_unacceptable), nullptr);
  EXPECT_NE(ask(subnet("10.1.0.0/16"), subnet("10.2.0.0/16"), {{Bytes(2000, 'x')}}).notify(NotifyType::ts_unacceptable),
            nullptr);
  for (const NegotiationFailed& failure : pair.b.failures) EXPECT_LT(failure.detail.size(), 2000u);
  EXPECT_EQ(ask(subnet("10.1.0.0/16"), subnet("10.2.0.0/16"), {kRed}).notify(NotifyType::ts_unacceptable), nullptr);
}

// A connection whose label is another is not meant, though its addresses are the same.
TEST_F(LabelAnswers, ChooseTheConnection) {  // RFC 9478 4: what fits but for the label does not fit
  Pair pair;
  auto a = config_of(true);
  a.security_labels = {kBlue};
  auto red = config_of(false);
  red.security_labels = {kRed};
  auto blue = red;
  blue.id = model::ConnectionId{2};
  blue.name = "blue";
  blue.security_labels = {kBlue};
  configure(pair, a, red);
  pair.b.secrets[blue.id] = pair.b.secrets[red.id];
  pair.command(pair.b, ConfigureConnection{blue});
  initiate(pair);
  pair.settle();
  ASSERT_EQ(pair.b.children.size(), 1u);
  EXPECT_EQ(pair.b.child().connection, blue.id);
}

}  // namespace
}  // namespace culvert::ike::v2
