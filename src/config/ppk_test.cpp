// `ppk`, `ppk_id` and `ppk_required`: what is taken, and what is refused with a way out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/diff.hpp"

namespace culvert::config {
namespace {

using ::testing::HasSubstr;
using testing::lines;
using testing::load_text;
using testing::problems_of;
using testing::tunnel;

constexpr const char* kPpk = "ppk = \"0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"\n";

TEST(PpkSection, IsRequiredUnlessItSaysOtherwise) {
  const auto config = load_text(tunnel(std::string(kPpk) + "ppk_id = \"office\"\n"));
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_EQ(config->tunnels[0].connection.ppk, (model::Ppk{.id = "office", .required = true}));
  EXPECT_EQ(config->tunnels[0].ppk.size(), 32U);
  const auto none = load_text(tunnel(""));
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->tunnels[0].connection.ppk);
}

TEST(PpkSection, WhatDoesNotGo) {
  EXPECT_THAT(problems_of(tunnel(kPpk)), HasSubstr("write ppk_id = \"NAME\""));
  EXPECT_THAT(problems_of(tunnel("ppk_id = \"office\"\n")), HasSubstr("there is no ppk that it could be about"));
  EXPECT_THAT(problems_of(tunnel("ppk_required = false\n")), HasSubstr("there is no ppk that it could be about"));
  EXPECT_THAT(problems_of(tunnel(std::string(kPpk) + "ppk_id = \"\"\n")), HasSubstr("the text is empty"));
  EXPECT_THAT(problems_of(tunnel(std::string(kPpk) + "ppk_id = \"" + std::string(257, 'x') + "\"\n")),
              HasSubstr("at most 256 characters"));
  EXPECT_THAT(problems_of(tunnel("ppk = \"a pass phrase\"\nppk_id = \"office\"\n")),
              HasSubstr("is not written as a key"));
}

TEST(PpkSection, TheExchangeThatHasIt) {  // RFC 9867
  using enum model::PpkExchange;
  for (const auto& [word, exchange] :
       {std::pair{"auto", either}, {"intermediate", intermediate}, {"auth", ike_auth}, {"draft", draft}}) {
    const auto config = load_text(tunnel(std::string(kPpk) + "ppk_id = \"office\"\nppk_exchange = \"" + word + "\"\n"));
    ASSERT_TRUE(config) << lines(config.error());
    EXPECT_EQ(config->tunnels[0].connection.ppk->exchange, exchange);
  }
  EXPECT_THAT(problems_of(tunnel(std::string(kPpk) + "ppk_id = \"office\"\nppk_exchange = \"early\"\n")),
              HasSubstr("ppk_exchange"));
  EXPECT_THAT(problems_of(tunnel("ppk_exchange = \"intermediate\"\n")),
              HasSubstr("there is no ppk that it could be about"));
  EXPECT_TRUE(load_text(tunnel("ppk_exchange = \"auto\"\n")));
}

TEST(PpkSection, GoesWithEap) {
  const auto config = load_text(tunnel(std::string(kPpk) + "ppk_id = \"office\"\neap = \"mschapv2\"\n") +
                                "[user.carol]\nsecret = \"a pass phrase\"\n");
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_TRUE(config->tunnels[0].connection.ppk && config->tunnels[0].connection.eap);
}

TEST(PpkSection, AShortOneIsWarnedOf) {
  const auto config = load_text(tunnel("ppk = \"0x0001020304\"\nppk_id = \"office\"\n"));
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_THAT(lines(config->warnings), HasSubstr("do not stand against a quantum computer"));
}

TEST(PpkSection, AnotherOneRestartsTheTunnel) {
  const auto before = load_text(tunnel(std::string(kPpk) + "ppk_id = \"office\"\n"));
  const auto after =
      load_text(tunnel("ppk = \"0x100102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"\n"
                       "ppk_id = \"office\"\n"));
  ASSERT_TRUE(before && after);
  const auto change = diff(*before, *after);
  ASSERT_EQ(change.changed.size(), 1U);
  EXPECT_TRUE(change.changed[0].restarts);
  EXPECT_THAT(change.changed[0].changes, ::testing::ElementsAre("ppk: changed"));
}

}  // namespace
}  // namespace culvert::config
