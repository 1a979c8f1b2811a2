#include "ipsec/aggfrag_packer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace culvert::ipsec {

void AggfragPacker::open(std::uint8_t* payload, std::size_t capacity) {
  CHECK(payload_ == nullptr && capacity >= header_ + kMinPiece);
  payload_ = payload;
  capacity_ = capacity;
  used_ = header_;
  // RFC 9347 2.2.3: the offset agrees with what the packet that was cut still lacks. It may point behind this payload.
  block_offset_ = static_cast<std::uint16_t>(cut_left_);
}

std::uint8_t* AggfragPacker::claim(std::size_t length) {
  CHECK(is_open() && cut_left_ == 0 && length <= room());
  std::uint8_t* const at = payload_ + used_;
  used_ += length;
  return at;
}

void AggfragPacker::cut(std::size_t length) {
  CHECK(is_open() && cut_left_ == 0 && length <= kMaxAggfragBlock);
  cut_left_ = length;
}

std::size_t AggfragPacker::put(ByteView rest) {
  CHECK(is_open() && rest.size() == cut_left_);
  const std::size_t octets = std::min(rest.size(), room());
  std::memcpy(payload_ + used_, rest.data(), octets);
  used_ += octets;
  cut_left_ -= octets;
  return octets;
}

std::size_t AggfragPacker::close(const AggfragReport& report, std::size_t at_least) {
  CHECK(is_open());
  AggfragHeader header{.block_offset = block_offset_, .report = std::nullopt};
  if (header_ == kAggfragCongestionHeaderSize) header.report = report;
  write_aggfrag_header(header, payload_);
  // RFC 9347 2.2.3: a payload without data is all padding, one pad block.
  const std::size_t wanted = std::min(at_least, capacity_);
  std::size_t padding = wanted > used_ ? wanted - used_ : 0;
  if (blank() && padding == 0) padding = kMinPiece;
  std::memset(payload_ + used_, 0, padding);
  payload_ = nullptr;
  return used_ + padding;
}

std::uint8_t* AggfragQueue::push(std::size_t length) {
  CHECK(has_room(length));
  // Move down what is left rather than grow, once as much has been taken.
  if (head_ != 0 && head_ >= size()) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  const std::size_t at = bytes_.size();
  bytes_.resize(at + length);
  ++packets_;
  return bytes_.data() + at;
}

std::size_t AggfragQueue::fill(AggfragPacker& packer, bool dont_fragment) {
  std::size_t dropped = 0;
  while (!empty() && packer.room() > 0) {
    const ByteView rest = ByteView(bytes_).subspan(head_);
    if (packer.cut_left() != 0) {
      take(packer.put(rest.first(packer.cut_left())));
      if (packer.cut_left() == 0) --packets_;
      continue;
    }
    const std::size_t length = look_at_block(rest).length;
    CHECK(length != 0 && length <= rest.size());
    if (length <= packer.room()) {
      std::memcpy(packer.claim(length), rest.data(), length);
      take(length);
      --packets_;
    } else if (dont_fragment && packer.blank()) {
      // The path has become narrower since it came: no payload will ever have room for it.
      take(length);
      --packets_;
      ++dropped;
    } else if (dont_fragment || packer.room() < AggfragPacker::kMinPiece) {
      break;
    } else {
      packer.cut(length);
    }
  }
  return dropped;
}

std::size_t AggfragQueue::clear() {
  bytes_.clear();
  head_ = 0;
  return std::exchange(packets_, 0);
}

void AggfragQueue::take(std::size_t octets) {
  head_ += octets;
  if (empty()) {
    bytes_.clear();
    head_ = 0;
  }
}

void AggfragPacer::set_interval(Duration interval) { interval_ = std::max(interval, Duration{1}); }

std::uint32_t AggfragPacer::due(Instant now, std::uint32_t limit) {
  if (!next_) next_ = now + interval_;
  if (now < *next_) {
    // The interval may have become shorter meanwhile.
    next_ = std::min(*next_, now + interval_);
    return 0;
  }
  if (now - *next_ > kCatchUp) next_ = now - kCatchUp;
  const std::uint64_t ticks = static_cast<std::uint64_t>((now - *next_) / interval_) + 1;
  const auto taken = static_cast<std::uint32_t>(std::min<std::uint64_t>(ticks, limit));
  *next_ += interval_ * taken;
  return taken;
}

}  // namespace culvert::ipsec
