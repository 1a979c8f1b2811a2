// Sessions by chance against the model of session.hpp, as the fuzzer has them by search.
#include "tests/liar/session.hpp"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::liar {
namespace {

std::uint64_t running = 0;

// A difference ends the process: it says at least how to see it again.
void say_seed(int) {
  std::fprintf(stderr, "again: LIAR_SEED=%llu liar_test --gtest_filter='LiarSessions.*'\n",
               static_cast<unsigned long long>(running));
}

TEST(LiarSessions, AgreeWithTheModel) {
  // One, or first-last.
  const char* const chosen = std::getenv("LIAR_SEED");
  const std::string seeds = chosen != nullptr ? chosen : "1-300";
  const std::size_t dash = seeds.find('-');
  const std::uint64_t first = std::stoull(seeds);
  const std::uint64_t last = dash == std::string::npos ? first : std::stoull(seeds.substr(dash + 1));
  const auto before = std::signal(SIGABRT, say_seed);
  for (running = first; running <= last; ++running) {
    SeededRandom random(running);
    Bytes choices(random.below(600) + 1);
    random.fill(choices);
    run_session(choices);
  }
  std::signal(SIGABRT, before);
}

// RFC 4555 3.5: a peer that begins to rekey the IKE SA, leaves its additional key exchange out (RFC 9370 2.2.4) and has
// another address then is asked there all the same, and at once.
TEST(LiarSessions, APeerThatMovesInTheMiddleOfARekey) {
  // Additional key exchanges and MOBIKE; rekey_ike(), given up; move() to another address, where it answers.
  run_session(Bytes{0x13, 5, 0, 13, 0x20, 2});
}

}  // namespace
}  // namespace culvert::liar
