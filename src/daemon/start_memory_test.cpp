#include "daemon/start_memory.hpp"

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

// Kilobytes of the process that are in memory and come from files.
std::size_t resident_file_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "RssFile:") continue;
    std::size_t kilobytes = 0;
    status >> kilobytes;
    return kilobytes;
  }
  return 0;
}

TEST(StartMemory, PagesOfFilesGoAndComeBack) {
  // What the program has written stays: its own variables, and what the loader relocated.
  static int written = 1;
  written = 42;
  const auto heap = std::make_unique<std::string>(100'000, 'x');
  const std::size_t before = resident_file_kilobytes();
  ASSERT_GT(before, 0U);
  release_start_memory();
  EXPECT_LT(resident_file_kilobytes(), before);
  EXPECT_EQ(written, 42);
  EXPECT_EQ(*heap, std::string(100'000, 'x'));
  EXPECT_THROW((void)std::stoi("no number"), std::invalid_argument) << "unwinding reads tables in such pages";
}

}  // namespace
}  // namespace culvert::daemon
