// The framing of IKE and ESP in TCP. The first octet says whether there is a prefix and how large portions are; the
// rest is the stream. Read at once and in portions it must come to the same messages and the same fault; and what comes
// out, framed again, is read as what it was.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/check.hpp"
#include "ipsec/tcp_framing.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;

struct Reading {
  std::vector<Bytes> messages;
  std::optional<StreamFault> fault;
  friend bool operator==(const Reading&, const Reading&) = default;
};

Reading read(bool with_prefix, Bytes stream, std::size_t step) {
  StreamReader reader(with_prefix);
  Reading reading;
  std::vector<MutableByteView> messages;
  for (MutableByteView rest = stream; !rest.empty();) {
    const MutableByteView portion = rest.first(std::min(step, rest.size()));
    rest = rest.subspan(portion.size());
    const auto taken = reader.take(portion, messages);
    for (const MutableByteView message : messages) reading.messages.push_back(to_bytes(message));
    if (!taken) {
      reading.fault = taken.error();
      return reading;
    }
  }
  return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool with_prefix = (data[0] & 1) != 0;
  const std::size_t step = 1 + (data[0] >> 1);
  const Bytes stream(data + 1, data + size);
  const Reading whole = read(with_prefix, stream, stream.size());
  CHECK(whole == read(with_prefix, stream, step));
  Bytes again;
  for (const Bytes& message : whole.messages) {
    CHECK(!message.empty() && message.size() <= kMaxStreamMessage);
    const auto length = stream_length(message.size());
    again.insert(again.end(), length.begin(), length.end());
    again.insert(again.end(), message.begin(), message.end());
  }
  const Reading second = read(false, again, step);
  CHECK(!second.fault && second.messages == whole.messages);
  return 0;
}
