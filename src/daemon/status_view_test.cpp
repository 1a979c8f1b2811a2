#include "daemon/status_view.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::SizeIs;

api::Error refused(std::size_t problems) {
  api::Error error{api::ErrorCode::config_invalid, "/etc/culvert has errors; nothing was changed", "", "", {}};
  for (std::size_t n = 0; n < problems; ++n) {
    error.problems.push_back(
        {"error", "/etc/culvert/office.toml", 7, 9, "tunnel.office.peer", "is no address", "write one"});
  }
  return error;
}

TEST(LinesOf, NamesFileLineAndField) {
  EXPECT_THAT(lines_of(refused(1)), ElementsAre("/etc/culvert has errors; nothing was changed",
                                                "/etc/culvert/office.toml:7:9: tunnel.office.peer: is no address"));
  api::Error whole = refused(1);
  whole.problems[0] = {"error", "/etc/culvert", 0, 0, "", "cannot be read", ""};
  EXPECT_EQ(lines_of(whole).at(1), "/etc/culvert: cannot be read");
}

TEST(LinesOf, EscapesWhatAFileSaysAndHasABound) {
  api::Error odd = refused(1);
  odd.problems[0].message = "\"\n2026 info: all is well\x1b[2J\" is no address";
  EXPECT_EQ(lines_of(odd).at(1),
            "/etc/culvert/office.toml:7:9: tunnel.office.peer: \"\\x0a2026 info: all is well\\x1b[2J\" is no address");
  odd.problems[0].message = std::string(100'000, 'x');
  EXPECT_LE(lines_of(odd).at(1).size(), 600u);
  const auto many = lines_of(refused(1000));
  EXPECT_THAT(many, SizeIs(34));
  EXPECT_THAT(many.back(), EndsWith("and 968 more"));
}

}  // namespace
}  // namespace culvert::daemon
