// Fragments of any shape into the reassembler and the tracker: each record is seconds that pass (1 octet), length (2),
// packet. What comes out must be a whole packet that is no fragment, and what is held must stay within the bounds. A
// packet that is no fragment is cut, and its pieces must give it back.
#include <cstdint>

#include "base/check.hpp"
#include "ipsec/fragment.hpp"
#include "ipsec/fragment_tracker.hpp"
#include "ipsec/reassembler.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;

constexpr ReassemblyBounds kBounds{.packets = 4, .fragments = 8, .bytes = 16384, .age = std::chrono::seconds(30)};

void check_whole(const Bytes& packet) {
  const auto info = net::parse_packet(packet);
  // The transport header may be broken, which only the whole packet shows; the IP header must be right.
  if (!info) return;
  CHECK(info->total_length == packet.size());
}

void cut_and_join(ByteView packet, const net::PacketInfo& info, std::size_t longest) {
  const auto cutter = FragmentCutter::make(packet, info, longest, 77);
  if (!cutter) return;
  Reassembler reassembler({.fragments = 10'000, .bytes = 4 * 1024 * 1024});
  for (std::size_t i = 0; i < cutter->count(); ++i) {
    Bytes piece(cutter->length(i));
    CHECK(piece.size() <= longest);
    cutter->write(i, piece.data());
    const auto piece_info = net::parse_packet(piece);
    if (!piece_info) return;  // too short for its transport header
    const auto fields = fragment_fields(piece, *piece_info);
    CHECK(fields.has_value());
    if (rewrites_transport_header(*fields)) return;
    const auto whole = reassembler.add(piece, *piece_info, *fields, Instant{});
    CHECK(whole.has_value());
    CHECK(whole->has_value() == (i + 1 == cutter->count()));
    if (*whole) {
      CHECK((*whole)->size() == info.total_length);
      CHECK(equal(ByteView(**whole).subspan(info.header_length),
                  packet.first(info.total_length).subspan(info.header_length)));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader reader({data, size});
  Reassembler reassembler(kBounds);
  FragmentTracker tracker({.packets = 8}, 1);
  Instant now{};
  while (reader.ok() && reader.remaining() >= 3) {
    const std::uint8_t pause = reader.u8();
    now += std::chrono::seconds(pause & 0x1f);
    const std::size_t length = std::min<std::size_t>(reader.u16(), reader.remaining());
    const ByteView packet = reader.bytes(length);
    auto info = net::parse_packet(packet);
    if (!info) continue;
    if (!info->is_fragment) {
      cut_and_join(packet, *info, 100 + std::size_t{pause} * 8);
      continue;
    }
    const auto fields = fragment_fields(packet, *info);
    if (!fields) continue;
    CHECK(std::size_t{fields->payload_at} + fields->length == info->total_length);
    const auto whole = reassembler.add(packet, *info, *fields, now);
    if (whole && *whole) check_whole(**whole);
    CHECK(reassembler.packets() <= kBounds.packets);
    CHECK(reassembler.bytes() <= kBounds.bytes);
    const auto verdict = tracker.see(FragmentKey::of(*info, *fields, 0), *fields, *info, now);
    if (fields->offset != 0 && verdict == FragmentTracker::Verdict::known) CHECK(info->is_later_fragment);
    (void)reassembler.expire(now);
  }
  return 0;
}
