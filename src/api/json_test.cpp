#include "api/json.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace culvert::api {
namespace {

TunnelStatus full_tunnel() {
  TunnelStatus tunnel{.name = "office",
                      .state = TunnelState::up,
                      .start = "auto",
                      .peer = "gw",
                      .local = {"a"},
                      .remote = {"b", "c"},
                      .place = "f:1"};
  tunnel.progress = "sent";
  tunnel.attempts = 3;
  tunnel.last_failure =
      Failure{2, -5, "no_answer", "the peer is silent", "is it on?", Refusal{"CN=gw", "2a", "expired", "last year"}};
  tunnel.retry_in = 7;
  IkeSa ike{.id = 1,
            .role = "initiator",
            .spi_i = "0x1",
            .spi_r = "0x2",
            .local = "l",
            .remote = "r",
            .local_id = "li",
            .remote_id = "ri",
            .suite = "s"};
  ike.remote_behind_nat = true;
  ike.rekey_in = 100;
  ike.transport = "tcp";
  ike.transport_age = 60;
  ChildSa child{.id = 9,
                .spi_inbound = "0x3",
                .spi_outbound = "0x4",
                .suite = "aes",
                .mode = "tunnel",
                .encapsulation = "udp",
                .backend = "b"};
  child.counters = {1, 2, 3, ~0ull, 5, 6, 7};
  child.resource = 3;
  ike.of_tunnel = "other";
  ike.eap_identity = "amy@example.org";
  ike.group = "sales";
  ike.ppk = "intermediate";
  ike.leased = {"10.9.0.7"};
  ike.children.push_back(child);
  tunnel.given = {{"10.9.0.8"}, {"10.1.0.53"}, {"example.org"}, {"10.1.0.0/16"}};
  tunnel.ike_sas.push_back(ike);
  return tunnel;
}

TEST(Json, RoundTrip) {
  Status status;
  status.daemon = {"0.1", 77, 3600, "/etc/culvert", "culvert0", 500, 4500, "/keys"};
  status.tunnels = {full_tunnel(), {}};
  status.ike_counters = {{"datagrams_in", 5}};
  status.packet_drops = {{"replayed", 1}};
  const auto again = from_json_text<Status>(to_json_text(status, 2));
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(*again, status);

  const Error error{ErrorCode::config_invalid, "m", "h", "f", {{"warning", "a", 1, 2, "x", "y", "z"}}};
  EXPECT_EQ(from_json_text<Error>(to_json_text(error)), error);
  const ApplyResult apply{true,  {"a"}, {"b"}, {{"c", {"x: 1 -> 2"}, false}},
                          {"d"}, {"f"}, {"g"}, {{"h", {"y: 1 -> 2"}, true}},
                          {"i"}, true,  true,  true,
                          {"e"}, true,  {{}}};
  EXPECT_EQ(from_json_text<ApplyResult>(to_json_text(apply)), apply);
  const LogPage page{{{1, 2, LogLevel::warning, "t", "x"}}, 3, 4};
  EXPECT_EQ(from_json_text<LogPage>(to_json_text(page)), page);
}

TEST(Json, TextIsWhatALibraryMakesOfIt) {
  Status status;
  status.tunnels = {full_tunnel(), {}};
  status.tunnels[0].progress = "a \"quoted\" back\\slash\n\x01 \x7f tab\t \u00e9 \xff end";
  status.ike_counters = {{"datagrams_in", 5}, {"a \"b\"", ~0ull}};
  status.next = StatusPlace{3, 4};
  for (const int indent : {-1, 0, 2, 4}) {
    const std::string text = to_json_text(status, indent);
    EXPECT_EQ(nlohmann::ordered_json::parse(text).dump(indent), text);
    EXPECT_EQ(to_json_text(LeaseList{}, indent),
              nlohmann::ordered_json({{"leases", nlohmann::json::array()}}).dump(indent));
  }
  EXPECT_NE(to_json_text(status).find("\\u0001 \x7f tab\\t \u00e9 \ufffd end"), std::string::npos)
      << "what is no UTF-8 is replaced";
}

TEST(Json, FormOnTheWire) {
  EXPECT_EQ(to_json_text(RekeyRequest{RekeyWhat::all}), R"({"what":"all"})");
  EXPECT_EQ(to_json_text(LogEntry{1, -2, LogLevel::info, "office", "up"}),
            R"({"sequence":1,"time":-2,"level":"info","tunnel":"office","text":"up"})");
  EXPECT_EQ(to_json_text(TunnelStatus{}).find("retry_in"), std::string::npos) << "what is absent is left out";
}

TEST(Json, UnknownMembersAreIgnoredAndMissingOnesAreDefaults) {
  EXPECT_EQ(from_json_text<RekeyRequest>(R"({"what":"ike","later":[1]})"), (RekeyRequest{RekeyWhat::ike}));
  EXPECT_EQ(from_json_text<ApplyRequest>("{}"), ApplyRequest{});
}

TEST(Json, WrongTypesNameTheMember) {
  EXPECT_EQ(from_json_text<ApplyRequest>("{").error(), "this is no JSON");
  EXPECT_EQ(from_json_text<ApplyRequest>("[]").error(), "the body: an object is needed");
  EXPECT_EQ(from_json_text<ApplyRequest>(R"({"dry_run":1})").error(), "dry_run: true or false is needed");
  EXPECT_EQ(from_json_text<RekeyRequest>(R"({"what":"both"})").error(), "what: one of the known words is needed");
  EXPECT_EQ(from_json_text<Status>(R"({"tunnels":[{"attempts":-1}]})").error(),
            "tunnels[].attempts: a whole number in range is needed");
  EXPECT_EQ(from_json_text<Status>(R"({"daemon":{"ike_port":65536}})").error(),
            "daemon.ike_port: a whole number in range is needed");
}

TEST(Json, OctetsThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(to_json_text(LogEntry{1, 0, LogLevel::info, {}, "\xff"}),
            "{\"sequence\":1,\"time\":0,\"level\":\"info\",\"tunnel\":\"\",\"text\":\"\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace culvert::api
