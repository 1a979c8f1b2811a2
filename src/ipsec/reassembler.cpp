#include "ipsec/reassembler.hpp"

#include <algorithm>
#include <utility>

#include "ipsec/ecn.hpp"
#include "net/checksum.hpp"
#include "net/header_writer.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

// What a fragment costs beside its octets, so that many tiny ones do not slip under the bound.
constexpr std::size_t kPieceCharge = 64;

void finish_header(Bytes& packet, const FragmentFields& first, net::Family family) {
  std::uint8_t* const at = packet.data();
  if (family == net::Family::v6) {
    at[first.next_header_at] = first.protocol;
    store_be16(at + 4, static_cast<std::uint16_t>(packet.size() - net::kIpv6HeaderSize));
    return;
  }
  store_be16(at + 2, static_cast<std::uint16_t>(packet.size()));
  store_be16(at + 6, load_be16(at + 6) & 0x4000);
  store_be16(at + 10, 0);
  store_be16(at + 10, net::ipv4_header_checksum({at, first.header_length}));
}

}  // namespace

Result<std::optional<Bytes>, ReassemblyError> Reassembler::add(ByteView packet, const net::PacketInfo& info,
                                                               const FragmentFields& fields, Instant now) {
  const Position partial = find_or_make(FragmentKey::of(info, fields, 0), now);
  if (partial->refused) return err(ReassemblyError::overlap);
  if (rewrites_transport_header(fields)) return err(refuse(*partial, ReassemblyError::overlap));
  const ByteView payload = packet.subspan(fields.payload_at, fields.length);
  const bool room =
      partial->pieces.size() < bounds_.fragments && bytes_ + payload.size() + kPieceCharge <= bounds_.bytes;
  switch (partial->ranges.add(fields.offset, fields.end(), !fields.more)) {
    case FragmentRanges::Added::fresh: break;
    case FragmentRanges::Added::contained:
      // RFC 8200 4.5: an exact duplicate may be ignored; anything else that overlaps ends the packet.
      if (says_the_same(*partial, payload, fields)) return std::optional<Bytes>{};
      return err(refuse(*partial, ReassemblyError::overlap));
    case FragmentRanges::Added::overlapping: return err(refuse(*partial, ReassemblyError::overlap));
    case FragmentRanges::Added::too_scattered: return err(refuse(*partial, ReassemblyError::limit));
  }
  if (!room) return err(refuse(*partial, ReassemblyError::limit));
  partial->ecn_seen |= static_cast<std::uint8_t>(1U << (info.tos & kEcnMask));
  keep(*partial, packet, fields);
  if (!partial->ranges.complete()) return std::optional<Bytes>{};
  return finish(partial);
}

Reassembler::Position Reassembler::find_or_make(const FragmentKey& key, Instant now) {
  const auto found = std::find_if(partial_.begin(), partial_.end(), [&](const Partial& p) { return p.key == key; });
  if (found != partial_.end()) {
    if (now - found->since < bounds_.age) return found;
    lost_ += found->pieces.size();
    forget(found);
  }
  if (partial_.size() >= bounds_.packets) {
    lost_ += partial_.front().pieces.size();
    forget(partial_.begin());
  }
  partial_.push_back({.key = key, .since = now});
  return std::prev(partial_.end());
}

bool Reassembler::says_the_same(const Partial& partial, ByteView payload, const FragmentFields& fields) {
  return std::any_of(partial.pieces.begin(), partial.pieces.end(),
                     [&](const Piece& piece) { return piece.offset == fields.offset && equal(piece.bytes, payload); });
}

void Reassembler::keep(Partial& partial, ByteView packet, const FragmentFields& fields) {
  if (fields.offset == 0) {
    partial.header = to_bytes(packet.first(fields.header_length));
    partial.first = fields;
  }
  const auto place = std::upper_bound(partial.pieces.begin(), partial.pieces.end(), fields.offset,
                                      [](std::uint16_t offset, const Piece& piece) { return offset < piece.offset; });
  partial.pieces.insert(place, {fields.offset, to_bytes(packet.subspan(fields.payload_at, fields.length))});
  bytes_ += fields.length + kPieceCharge;
}

Result<std::optional<Bytes>, ReassemblyError> Reassembler::finish(Position partial) {
  const net::Family family = (partial->header[0] >> 4) == 4 ? net::Family::v4 : net::Family::v6;
  std::size_t size = partial->header.size();
  for (const Piece& piece : partial->pieces) size += piece.bytes.size();
  // Each fragment fits by its own header; the first one's may be longer.
  const std::size_t longest = family == net::Family::v4 ? 65535 : 65535 + net::kIpv6HeaderSize;
  if (size > std::min(longest, kMaxInnerPacket)) return err(refuse(*partial, ReassemblyError::limit));
  const auto seen = [&](Ecn codepoint) { return (partial->ecn_seen >> static_cast<unsigned>(codepoint) & 1) != 0; };
  // RFC 3168 5.3: congestion seen by one fragment is congestion seen by the packet, but never for one that cannot say.
  if (seen(Ecn::ce) && seen(Ecn::not_ect)) return err(refuse(*partial, ReassemblyError::ecn));

  Bytes whole;
  whole.reserve(size);
  whole.insert(whole.end(), partial->header.begin(), partial->header.end());
  for (const Piece& piece : partial->pieces) whole.insert(whole.end(), piece.bytes.begin(), piece.bytes.end());
  finish_header(whole, partial->first, family);
  if (seen(Ecn::ce)) {
    const std::uint8_t tos =
        family == net::Family::v4 ? whole[1] : static_cast<std::uint8_t>(load_be16(whole.data()) >> 4);
    net::set_tos(whole, tos | kEcnMask);
  }
  forget(partial);
  return whole;
}

ReassemblyError Reassembler::refuse(Partial& partial, ReassemblyError error) {
  // RFC 5722 4: the fragments still to come are refused too, so the packet is remembered until its time is over.
  lost_ += partial.pieces.size();
  release(partial);
  partial.refused = true;
  return error;
}

void Reassembler::release(Partial& partial) {
  for (const Piece& piece : partial.pieces) bytes_ -= piece.bytes.size() + kPieceCharge;
  partial.pieces.clear();
  partial.header.clear();
}

void Reassembler::forget(Position partial) {
  release(*partial);
  partial_.erase(partial);
}

std::size_t Reassembler::expire(Instant now) {
  while (!partial_.empty() && now - partial_.front().since >= bounds_.age) {
    lost_ += partial_.front().pieces.size();
    forget(partial_.begin());
  }
  return std::exchange(lost_, 0);
}

std::optional<Instant> Reassembler::next_expiry() const {
  if (partial_.empty()) return std::nullopt;
  return partial_.front().since + bounds_.age;
}

}  // namespace culvert::ipsec
