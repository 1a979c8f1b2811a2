#include "api/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/fake_daemon.hpp"
#include "api/json.hpp"
#include "base/random.hpp"

namespace culvert::api {
namespace {

using ::testing::HasSubstr;

class Router : public ::testing::Test {
 protected:
  Routed ask(Method method, std::string_view target, std::string_view body = {}) {
    return route({method, target, body}, handlers_, {});
  }
  unsigned status(Method method, std::string_view target, std::string_view body = {}) {
    return ask(method, target, body).reply.status;
  }
  testing::FakeHandlers handlers_;
};

TEST_F(Router, EveryPath) {
  EXPECT_EQ(status(Method::get, "/v1/status"), 200u);
  EXPECT_EQ(status(Method::get, "/v1/tunnels"), 200u);
  handlers_.leased.leases = {{.address = "10.9.0.7", .identity = "amy@example.org", .pool = "staff", .sessions = 1}};
  const auto leases = from_json_text<LeaseList>(ask(Method::get, "/v1/leases").reply.body);
  ASSERT_TRUE(leases);
  EXPECT_EQ(*leases, handlers_.leased);
  EXPECT_EQ(status(Method::post, "/v1/leases"), 405u);
  EXPECT_EQ(status(Method::get, "/v1/failures"), 200u);
  EXPECT_EQ(status(Method::post, "/v1/failures"), 405u);
  EXPECT_EQ(status(Method::get, "/v1/tunnels/office"), 200u);
  EXPECT_EQ(status(Method::get, "/v1/tunnels/%6fffice"), 200u);
  EXPECT_EQ(status(Method::post, "/v1/tunnels/office/up"), 200u);
  EXPECT_EQ(status(Method::post, "/v1/tunnels/office/down"), 200u);
  EXPECT_EQ(status(Method::post, "/v1/tunnels/office/rekey", R"({"what":"all"})"), 200u);
  EXPECT_EQ(status(Method::post, "/v1/tunnels/office/redirect", R"({"gateway":"192.0.2.9"})"), 200u);
  EXPECT_EQ(handlers_.rekeyed, RekeyWhat::all);
  EXPECT_EQ(status(Method::post, "/v1/apply", R"({"dry_run":true})"), 200u);
  EXPECT_TRUE(handlers_.dry_run);
  EXPECT_EQ(status(Method::post, "/v1/apply"), 200u) << "an empty body is all defaults";
  EXPECT_FALSE(handlers_.dry_run);
  EXPECT_EQ(ask(Method::get, "/v1/log?after=7&limit=5&wait=3&tunnel=a%20b").log,
            (LogQuery{7, 5, "a b", std::chrono::milliseconds(3000)}));
}

TEST_F(Router, TunnelsGoOnWhereTheAnswerBeforeEnded) {
  handlers_.have_many();
  handlers_.most_at_once = 3;
  const auto first = from_json_text<Status>(ask(Method::get, "/v1/status").reply.body);
  EXPECT_EQ(first->tunnels.at(0).ike_sas.size(), 2u);
  EXPECT_EQ(first->next, (StatusPlace{0, 2}));
  const auto second = from_json_text<Status>(ask(Method::get, "/v1/status?from=0&from_sa=2").reply.body);
  ASSERT_EQ(second->tunnels.size(), 2u);
  EXPECT_EQ(second->tunnels[0].ike_sas.at(0).id, 3u);
  EXPECT_EQ(second->tunnels[1].name, "site0");
  EXPECT_EQ(second->next, (StatusPlace{2, 0}));
  EXPECT_EQ(from_json_text<TunnelList>(ask(Method::get, "/v1/tunnels?from=4").reply.body)->tunnels.size(), 1u);
  EXPECT_EQ(from_json_text<Status>(ask(Method::get, "/v1/status?from=18446744073709551615").reply.body)->tunnels.size(),
            0u);
  const auto office = from_json_text<TunnelStatus>(ask(Method::get, "/v1/tunnels/office?from_sa=0").reply.body);
  EXPECT_EQ(office->ike_sas.size(), 3u);
  EXPECT_EQ(office->next, std::nullopt);
  handlers_.most_at_once = 2;
  const auto begin = from_json_text<TunnelStatus>(ask(Method::get, "/v1/tunnels/office").reply.body);
  EXPECT_EQ(begin->ike_sas.size(), 2u);
  EXPECT_EQ(begin->next, 2u);
  const auto rest = from_json_text<TunnelStatus>(ask(Method::get, "/v1/tunnels/office?from_sa=2").reply.body);
  ASSERT_EQ(rest->ike_sas.size(), 1u);
  EXPECT_EQ(rest->ike_sas[0].id, 3u);
  EXPECT_EQ(rest->next, std::nullopt);
}

TEST_F(Router, LeasesGoOnWhereTheAnswerBeforeEnded) {
  for (const char* address : {"10.9.0.1", "10.9.0.2", "10.9.0.3"})
    handlers_.leased.leases.push_back({.address = address});
  handlers_.most_at_once = 2;
  const auto first = from_json_text<LeaseList>(ask(Method::get, "/v1/leases").reply.body);
  EXPECT_EQ(first->leases.size(), 2u);
  EXPECT_EQ(first->next, 2u);
  const auto second = from_json_text<LeaseList>(ask(Method::get, "/v1/leases?from=2").reply.body);
  ASSERT_EQ(second->leases.size(), 1u);
  EXPECT_EQ(second->leases[0].address, "10.9.0.3");
  EXPECT_EQ(second->next, std::nullopt);
  EXPECT_EQ(status(Method::get, "/v1/leases?from=18446744073709551615"), 200u);
}

TEST_F(Router, WhatIsNotThere) {
  for (const char* path : {"/", "/v1", "/v1/", "/v1/status/", "/v1/nothing", "/v1/tunnels/", "/v1/tunnels/office/dance",
                           "/v1/tunnels/a/up/b", "/v2/status", "/v01/status"}) {
    EXPECT_EQ(status(Method::get, path), 404u) << path;
  }
  EXPECT_EQ(status(Method::get, "/v1/tunnels/nowhere"), 404u);
  EXPECT_EQ(status(Method::get, "/v1/status?tunnel=nowhere"), 404u);
  EXPECT_EQ(status(Method::get, "/v1/status?tunnel=office"), 200u);
}

TEST_F(Router, WrongMethodSaysWhichIsRight) {
  EXPECT_EQ(status(Method::get, "/v1/apply"), 405u);
  EXPECT_EQ(status(Method::get, "/v1/tunnels/office/up"), 405u);
  EXPECT_EQ(status(Method::other, "/v1/status"), 405u);
  EXPECT_THAT(ask(Method::post, "/v1/status").reply.body, HasSubstr("use GET"));
  EXPECT_EQ(handlers_.calls, 0);
}

TEST_F(Router, MalformedRequests) {
  for (const std::string& target :
       {std::string("status"), std::string(), std::string("/v1/tunnels/%"), std::string("/v1/tunnels/%zz"),
        std::string("/v1/tunnels/%00"), std::string("/v1/tunnels/a%0ab"), std::string("/v1/") + std::string(4000, 'a'),
        std::string("/v1/a/b/c/d/e/f/g/h/i/j"), "/v1/tunnels/" + std::string(300, 'a'), std::string("/v1/log?after=x"),
        std::string("/v1/log?limit=-1"), std::string("/v1/log?wait=1e9"), std::string("/v1/status?from=x"),
        std::string("/v1/status?from_sa=-1"), std::string("/v1/tunnels?from="), std::string("/v1/leases?from=x"),
        std::string("/v1/leases?from=18446744073709551616"), std::string("/v1/tunnels/office?from_sa=-1")}) {
    EXPECT_EQ(status(Method::get, target), 400u) << target;
  }
  EXPECT_EQ(status(Method::post, "/v1/apply", "{"), 400u);
  EXPECT_EQ(status(Method::post, "/v1/tunnels/office/rekey", R"({"what":"both"})"), 400u);
  EXPECT_EQ(handlers_.calls, 0);
}

TEST_F(Router, LogIsBounded) {
  const auto query = ask(Method::get, "/v1/log?limit=99999999999&wait=18446744073709551615").log;
  ASSERT_TRUE(query);
  EXPECT_EQ(query->limit, 1000u);
  EXPECT_EQ(query->wait, std::chrono::seconds(60));
}

TEST_F(Router, ExceptionOfAHandlerIsAnInternalError) {
  handlers_.on_poll = [](TunnelStatus&) { throw std::runtime_error("broken\n"); };
  const Reply reply = ask(Method::get, "/v1/tunnels/office").reply;
  EXPECT_EQ(reply.status, 500u);
  EXPECT_THAT(reply.body, HasSubstr(R"(broken\\x0a)"));
}

TEST_F(Router, RandomTargetsAlwaysGetAReply) {
  SeededRandom random(7);
  const std::string seed = "/v1/tunnels/office/rekey?after=1&limit=%41";
  for (int i = 0; i < 20000; ++i) {
    std::string target = seed;
    for (int j = 0; j < 4; ++j) target[random.below(target.size())] = static_cast<char>(random.below(256));
    const Routed routed =
        ask(static_cast<Method>(random.below(3)), target.substr(0, random.below(target.size() + 1)), "{}");
    ASSERT_TRUE(routed.log || !routed.reply.body.empty());
  }
}

TEST(PercentCoding, ThereAndBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(percent_decoded(percent_encoded(all)), all);
  EXPECT_EQ(percent_encoded("a b/c"), "a%20b%2Fc");
}

}  // namespace
}  // namespace culvert::api
