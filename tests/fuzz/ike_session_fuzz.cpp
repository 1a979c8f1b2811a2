// Whole sessions with a peer that has the keys, step by step, against a model of what stands (tests/liar/session.hpp).
#include <cstddef>
#include <cstdint>

#include "tests/liar/session.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  liar::run_session(ByteView(data, size));
  return 0;
}
