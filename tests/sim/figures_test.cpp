// The exchanges as the RFCs draw them: each row is a figure, and two endpoints must put just these messages on the
// wire, with these payloads in this order (RFC 7296 2.5: payloads are sent in the order of the figures). Either end is
// the one on the left, either end has begun the IKE SA; and the messages are the same where the network loses, repeats
// and reorders them.
#include <string>

#include <gtest/gtest.h>

#include "tests/sim/figure_scene.hpp"

namespace culvert::sim {
namespace {

using std::chrono::minutes;

constexpr std::uint64_t kSeeds = 6;  // the first on a network without faults

std::string play(const Row& row, const Roles& roles, std::uint64_t seed) {
  ike::EndpointSettings settings;
  settings.export_keys = true;
  settings.half_open_timeout = minutes(4);
  settings.retransmit_tries = 12;
  settings.retransmit_factor = 1.3;
  row.settings(settings);
  Scene scene(roles, settings, seed);
  row.play(scene);
  return scene.compare_with(row.figure, row.rounds_of_eap);
}

class Figures : public ::testing::TestWithParam<Row> {};

TEST_P(Figures, AreWhatIsSent) {
  const Row& row = GetParam();
  for (const bool a_is_left : {true, false}) {
    for (const bool left_began : {true, false}) {
      if (row.by_initiator && !left_began) continue;
      for (std::uint64_t seed = 1; seed <= (row.crossing ? 1 : kSeeds) && !HasFailure(); ++seed) {
        EXPECT_EQ(play(row, {a_is_left, left_began, seed > 1}, seed), "")
            << row.section << ", " << (a_is_left ? "a" : "b") << " is on the left and "
            << (left_began ? "began" : "did not begin") << ", seed " << seed;
      }
    }
  }
}

std::vector<Row> rows() {
  std::vector<Row> all;
  for (auto* some : {set_up_rows, set_up_extension_rows, child_rows, informational_rows}) {
    for (Row& row : some()) all.push_back(std::move(row));
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Rows, Figures, ::testing::ValuesIn(rows()),
                         [](const auto& test) { return std::string(test.param.name); });

// ---------------------------------------------------------------- the comparison itself

SeenMessage message(bool from_a, std::string exchange, std::vector<std::string> inside) {
  return {.from_a = from_a, .exchange = std::move(exchange), .clear = {}, .sealed = true, .inside = std::move(inside)};
}

TEST(Figure, OrderAndNamesAreHeld) {
  const auto figure = parse_figure(R"(
    HDR(IKE_AUTH), SK {IDi, [CERT+], [N+], [IDr], AUTH,
                       SAi2, TSi, TSr, [N(MOBIKE_SUPPORTED)]} -->
                                    <-- HDR(IKE_AUTH), SK {}
    HDR(INFORMATIONAL), SK {D} -->)");
  ASSERT_EQ(figure.size(), 3U);
  EXPECT_TRUE(figure[0].from_left && !figure[1].from_left && figure[2].from_left);
  const auto differs = [&](std::vector<std::string> request, std::vector<std::string> answer = {}, bool from_a = true) {
    const std::vector seen{message(from_a, "IKE_AUTH", std::move(request)),
                           message(!from_a, "IKE_AUTH", std::move(answer)), message(from_a, "INFORMATIONAL", {"D"})};
    return !compare(figure, seen, true).empty();
  };
  EXPECT_FALSE(differs({"IDi", "AUTH", "SA", "TSi", "TSr"}));
  EXPECT_FALSE(differs({"IDi", "CERT", "CERT", "N(INITIAL_CONTACT)", "IDr", "AUTH", "SA", "TSi", "TSr"}));
  EXPECT_FALSE(differs({"N(MOBIKE_SUPPORTED)", "IDi", "AUTH", "SA", "TSi", "TSr"})) << "a notification has no place";
  EXPECT_TRUE(differs({"IDi", "AUTH", "SA", "TSr", "TSi"})) << "the order";
  EXPECT_TRUE(differs({"IDi", "SA", "TSi", "TSr"})) << "AUTH is missing";
  EXPECT_TRUE(differs({"IDi", "AUTH", "AUTH", "SA", "TSi", "TSr"})) << "one too many";
  EXPECT_TRUE(differs({"IDi", "N(NO_PROPOSAL_CHOSEN)", "AUTH", "SA", "TSi", "TSr"})) << "an error is no status";
  EXPECT_TRUE(differs({"IDi", "AUTH", "SA", "TSi", "TSr"}, {"V"})) << "empty is empty";
  EXPECT_TRUE(differs({"IDi", "AUTH", "SA", "TSi", "TSr"}, {}, false)) << "from the other end";
  EXPECT_FALSE(compare(figure, {}, true).empty()) << "nothing was sent";
}

TEST(Figure, NotificationsThatAreDrawnMustBeThere) {
  const auto same = [](const char* figure, std::vector<std::string> names) {
    return compare(parse_figure(figure), {message(true, "INFORMATIONAL", std::move(names))}, true).empty();
  };
  constexpr const char* kCookie =
      "HDR(INFORMATIONAL), SK {N(COOKIE)!, SAi1, KEi, [N(REDIRECT_SUPPORTED)], N(USE_PPK)+} -->";
  EXPECT_TRUE(same(kCookie, {"N(COOKIE)", "SA", "KE", "N(USE_PPK)"}));
  EXPECT_TRUE(same(kCookie, {"N(COOKIE)", "N(USE_PPK)", "SA", "N(USE_PPK)", "KE", "N(REDIRECT_SUPPORTED)"}));
  EXPECT_FALSE(same(kCookie, {"SA", "N(COOKIE)", "KE", "N(USE_PPK)"})) << "it has its place";
  EXPECT_FALSE(same(kCookie, {"N(COOKIE)", "SA", "KE"})) << "one is missing";
  EXPECT_FALSE(same(kCookie, {"N(COOKIE)", "SA", "KE", "N(USE_PPK)", "N(INITIAL_CONTACT)"})) << "one is not drawn";
  EXPECT_FALSE(same(kCookie, {"N(COOKIE)", "SA", "KE", "N(REDIRECT_SUPPORTED)", "N(REDIRECT_SUPPORTED)", "N(USE_PPK)"}))
      << "one too many";
  EXPECT_TRUE(same("HDR(INFORMATIONAL), SK {D, [N+]} -->", {"N(COOKIE2)", "D", "N(REDIRECT)"}));
  EXPECT_FALSE(same("HDR(INFORMATIONAL), SK {D, [N+]} -->", {"D", "N(TEMPORARY_FAILURE)"})) << "an error is no status";
}

}  // namespace
}  // namespace culvert::sim
