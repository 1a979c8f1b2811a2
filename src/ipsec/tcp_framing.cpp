#include "ipsec/tcp_framing.hpp"

#include <algorithm>

namespace culvert::ipsec {

namespace {

// RFC 9329 3.1, 3.2: the length counts itself, so 0 and 1 are fatal.
bool is_possible(std::size_t length) { return length >= kStreamLengthSize; }

// RFC 9329 3: an empty message is ignored.
void add(MutableByteView frame, std::vector<MutableByteView>& messages) {
  if (frame.size() > kStreamLengthSize) messages.push_back(frame.subspan(kStreamLengthSize));
}

}  // namespace

bool StreamReader::take_prefix(MutableByteView& rest) {
  const std::size_t count = std::min(prefix_left_, rest.size());
  // RFC 9329 6.1: nothing is read of a stream that does not begin with the whole prefix.
  const auto expected = ByteView(kStreamPrefix).subspan(kStreamPrefix.size() - prefix_left_, count);
  if (!std::ranges::equal(rest.first(count), expected)) return false;
  prefix_left_ -= count;
  rest = rest.subspan(count);
  return true;
}

Result<void, StreamFault> StreamReader::complete(MutableByteView& rest, std::vector<MutableByteView>& messages) {
  const auto fill_up_to = [&](std::size_t size) {
    const std::size_t count = std::min(size - partial_.size(), rest.size());
    partial_.insert(partial_.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(count));
    rest = rest.subspan(count);
    return partial_.size() == size;
  };
  if (partial_.size() < kStreamLengthSize && !fill_up_to(kStreamLengthSize)) return {};
  const std::size_t length = load_be16(partial_.data());
  if (!is_possible(length)) return err(StreamFault::bad_length);
  if (!fill_up_to(length)) return {};
  joined_.swap(partial_);
  add(joined_, messages);
  return {};
}

Result<void, StreamFault> StreamReader::take(MutableByteView octets, std::vector<MutableByteView>& messages) {
  messages.clear();
  Bytes().swap(joined_);  // a connection that rests keeps nothing
  MutableByteView rest = octets;
  if (!take_prefix(rest)) return err(StreamFault::wrong_prefix);
  if (!partial_.empty()) {
    if (auto completed = complete(rest, messages); !completed) return completed;
  }
  while (rest.size() >= kStreamLengthSize) {
    const std::size_t length = load_be16(rest.data());
    if (!is_possible(length)) return err(StreamFault::bad_length);
    if (length > rest.size()) break;
    add(rest.first(length), messages);
    rest = rest.subspan(length);
  }
  if (!rest.empty()) partial_.assign(rest.begin(), rest.end());
  return {};
}

}  // namespace culvert::ipsec
