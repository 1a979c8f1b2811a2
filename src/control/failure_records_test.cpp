#include "control/failure_records.hpp"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace culvert::control {
namespace {

Instant at(int second) { return Instant{} + std::chrono::seconds(second); }

FailureRecord failure(int second, std::string tunnel, std::string identity) {
  FailureRecord record;
  record.first = record.last = at(second);
  record.tunnel = std::move(tunnel);
  record.peer = *net::IpAddress::parse("192.0.2.7");
  record.identity = std::move(identity);
  record.kind = "authentication_failed";
  record.message = fmt::format("at {}", second);
  return record;
}

TEST(FailureRecords, CountWhatWentWrongAlike) {
  FailureRecords records;
  records.note(failure(1, "office", "amy"));
  records.note(failure(2, "office", "bob"));
  records.note(failure(3, "office", "amy"));
  const auto views = records.views();
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].identity, "amy") << "the latest stands first";
  EXPECT_EQ(views[0].times, 2u);
  EXPECT_EQ(views[0].first, at(1));
  EXPECT_EQ(views[0].last, at(3));
  EXPECT_EQ(views[0].message, "at 3");
  EXPECT_EQ(views[1].times, 1u);
}

TEST(FailureRecords, AnotherKindOrTunnelIsAnotherRecord) {
  FailureRecords records;
  records.note(failure(1, "office", "amy"));
  records.note(failure(2, "lab", "amy"));
  FailureRecord other = failure(3, "office", "amy");
  other.kind = "no_answer";
  records.note(other);
  FailureRecord child = failure(4, "office", "amy");
  child.child_only = true;
  records.note(child);
  EXPECT_EQ(records.views().size(), 4u);
  // Whose certificate has expired now, and who typed a wrong password an hour ago, hides neither.
  for (const char* check : {"password", "expired", "password"}) {
    FailureRecord refused = failure(5, "office", "amy");
    refused.refusal = model::AuthenticationRefusal{.subject = {}, .serial = {}, .check = check, .found = "x"};
    records.note(refused);
  }
  const auto views = records.views();
  ASSERT_EQ(views.size(), 6u);
  EXPECT_EQ(views[0].times, 2u);
  EXPECT_EQ(views[1].refusal->check, "expired");
}

TEST(FailureRecords, StrangersPushNoTunnelsOut) {
  FailureRecords records;
  records.note(failure(0, "office", "amy"));
  for (int i = 1; i <= 1000; ++i) records.note(failure(i, "", fmt::format("stranger{}", i)));
  const auto views = records.views();
  ASSERT_EQ(views.size(), FailureRecords::kMostOfStrangers + 1);
  EXPECT_EQ(views.front().identity, "stranger1000");
  EXPECT_EQ(views.back().identity, "amy");
}

TEST(FailureRecords, TheOldestOfATunnelGivesWay) {
  FailureRecords records;
  for (int i = 1; i <= 200; ++i) records.note(failure(i, fmt::format("tunnel{}", i), "amy"));
  const auto views = records.views();
  ASSERT_EQ(views.size(), FailureRecords::kMostOfTunnels);
  EXPECT_EQ(views.front().tunnel, "tunnel200");
  EXPECT_EQ(views.back().tunnel, "tunnel73");
}

}  // namespace
}  // namespace culvert::control
