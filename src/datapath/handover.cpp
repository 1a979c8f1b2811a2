#include "datapath/handover.hpp"

#include <cstring>
#include <new>

#include "base/check.hpp"

namespace culvert::datapath {

namespace {

constexpr std::size_t rounded(std::size_t size, std::size_t line) { return (size + line - 1) / line * line; }

}  // namespace

/// In front of what it describes.
struct HandoverRing::Record {
  std::uint32_t size = 0;  // of everything, this header included
  Kind kind = Kind::skip;
  model::Encapsulation encapsulation = model::Encapsulation::udp;
  std::uint8_t tos = 0;
  std::uint8_t hop_limit = 0;
  std::uint8_t protocol = 0;
  std::uint16_t segment_size = 0;
  std::uint16_t header_length = 0;  // of the IP header in front of the packet
  std::uint16_t mtu = 0;
  std::uint32_t asked = 0;
  std::uint32_t length = 0;    // of the packet
  std::uint32_t in_front = 0;  // from the end of this header to the packet
  ipsec::Offload offload;
  net::Path path;

  [[nodiscard]] std::uint8_t* packet() {
    return reinterpret_cast<std::uint8_t*>(this) + rounded(sizeof(Record), kLine) + in_front;
  }
};

HandoverRing::HandoverRing(std::size_t capacity)
    : capacity_(capacity), memory_(std::make_unique_for_overwrite<std::uint8_t[]>(capacity + kLine)) {
  CHECK((capacity & (capacity - 1)) == 0 && capacity >= 4 * ipsec::kMaxInnerPacket);
  batch_.inner.reserve(kMostTaken);
  batch_.wire.reserve(kMostTaken);
}

HandoverRing::Record& HandoverRing::at(std::uint64_t position) const {
  const std::size_t start = kLine - reinterpret_cast<std::uintptr_t>(memory_.get()) % kLine;
  return *std::launder(reinterpret_cast<Record*>(memory_.get() + start + (position & (capacity_ - 1))));
}

// Room for a record that ends before the memory does; what is left there is skipped.
HandoverRing::Record* HandoverRing::reserve(Kind kind, std::size_t in_front, std::size_t bytes, std::size_t behind) {
  const std::size_t size = rounded(rounded(sizeof(Record), kLine) + in_front + bytes + behind, kLine);
  const std::size_t to_end = capacity_ - (writing_ & (capacity_ - 1));
  const std::size_t skipped = to_end < size ? to_end : 0;
  if (writing_ + skipped + size - read_known_ > capacity_) {
    read_known_ = read_.load(std::memory_order_acquire);
    if (writing_ + skipped + size - read_known_ > capacity_) return nullptr;
  }
  if (skipped != 0) {
    // A line may be less than a record; what tells its size and kind is at its beginning.
    static_assert(offsetof(Record, kind) < kLine);
    Record& rest = at(writing_);
    rest.size = static_cast<std::uint32_t>(skipped);
    rest.kind = Kind::skip;
    writing_ += skipped;
  }
  auto* const record = ::new (static_cast<void*>(&at(writing_))) Record;
  record->size = static_cast<std::uint32_t>(size);
  record->kind = kind;
  record->length = static_cast<std::uint32_t>(bytes);
  record->in_front = static_cast<std::uint32_t>(in_front);
  writing_ += size;
  return record;
}

// Sequentially consistent, as Inbox::sleeping is: the reader either sees this or is seen asleep.
void HandoverRing::publish() { written_.store(writing_); }

bool HandoverRing::push(const ipsec::InnerPacket& packet) {
  Record* const record = reserve(Kind::inner, ipsec::kInnerHeadroom, packet.bytes.size(), ipsec::kInnerTailroom);
  if (record == nullptr) return false;
  record->offload = packet.offload;
  std::memcpy(record->packet(), packet.bytes.data(), packet.bytes.size());
  publish();
  return true;
}

bool HandoverRing::push(const ipsec::WireInput& input) {
  Record* const record = reserve(Kind::wire, rounded(input.ip_header.size(), kLine), input.bytes.size(), 0);
  if (record == nullptr) return false;
  record->path = input.path;
  record->encapsulation = input.encapsulation;
  record->tos = input.tos;
  record->hop_limit = input.hop_limit;
  record->protocol = input.protocol;
  record->segment_size = input.segment_size;
  record->header_length = static_cast<std::uint16_t>(input.ip_header.size());
  std::uint8_t* const packet = record->packet();
  if (!input.ip_header.empty()) {
    std::memcpy(packet - record->in_front, input.ip_header.data(), input.ip_header.size());
  }
  std::memcpy(packet, input.bytes.data(), input.bytes.size());
  publish();
  return true;
}

bool HandoverRing::push(const OuterError& error) {
  Record* const record = reserve(Kind::error, 0, error.quoted.size(), 0);
  if (record == nullptr) return false;
  record->path = error.path;
  record->encapsulation = error.encapsulation;
  record->mtu = error.mtu;
  record->asked = error.asked;
  if (!error.quoted.empty()) std::memcpy(record->packet(), error.quoted.data(), error.quoted.size());
  publish();
  return true;
}

const HandoverRing::Batch& HandoverRing::take() {
  batch_.inner.clear();
  batch_.wire.clear();
  batch_.errors.clear();
  const std::uint64_t end = written_.load(std::memory_order_acquire);
  Kind kind = Kind::skip;
  for (std::size_t taken = 0; reading_ != end && taken < kMostTaken;) {
    Record& record = at(reading_);
    if (record.kind != Kind::skip) {
      if (kind != Kind::skip && record.kind != kind) break;
      kind = record.kind;
      std::uint8_t* const packet = record.packet();
      const MutableByteView bytes{packet, record.length};
      if (kind == Kind::inner) {
        batch_.inner.push_back({.bytes = bytes, .offload = record.offload});
      } else if (kind == Kind::wire) {
        batch_.wire.push_back({.path = record.path,
                               .encapsulation = record.encapsulation,
                               .tos = record.tos,
                               .hop_limit = record.hop_limit,
                               .protocol = record.protocol,
                               .ip_header = {packet - record.in_front, record.header_length},
                               .segment_size = record.segment_size,
                               .bytes = bytes});
      } else {
        batch_.errors.push_back({record.path, record.encapsulation, record.mtu, bytes, record.asked});
      }
      ++taken;
    }
    reading_ += record.size;
  }
  return batch_;
}

void HandoverRing::release() { read_.store(reading_, std::memory_order_release); }

}  // namespace culvert::datapath
