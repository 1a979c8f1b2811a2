// Sessions by chance against the model of session.hpp, as the fuzzer has them by search.
#include "tests/liar/session.hpp"

#include <csignal>
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
  const char* const one = std::getenv("LIAR_SEED");
  const std::uint64_t first = one != nullptr ? std::stoull(one) : 1;
  const std::uint64_t last = one != nullptr ? first : 300;
  const auto before = std::signal(SIGABRT, say_seed);
  for (running = first; running <= last; ++running) {
    SeededRandom random(running);
    Bytes choices(random.below(600) + 1);
    random.fill(choices);
    run_session(choices);
  }
  std::signal(SIGABRT, before);
}

}  // namespace
}  // namespace culvert::liar
