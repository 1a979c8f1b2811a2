#include "tests/sim/ledger.hpp"

#include <algorithm>

#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::sim {
namespace {

constexpr std::uint16_t kInnerPort = 7;

std::size_t ip_header_size(ByteView packet) {
  return packet[0] >> 4 == 4 ? net::kIpv4HeaderSize : net::kIpv6HeaderSize;
}

}  // namespace

Bytes make_inner(InnerId id, const net::IpAddress& source, const net::IpAddress& destination, std::size_t payload) {
  payload = std::max(payload, kInnerMagic.size() + 8);
  const auto udp_size = static_cast<std::uint16_t>(net::kUdpHeaderSize + payload);
  ByteWriter out;
  if (source.is_v4()) {
    out.u16(0x4500);
    out.u16(static_cast<std::uint16_t>(net::kIpv4HeaderSize + udp_size));
    out.u32(0);
    out.u8(64);
    out.u8(static_cast<std::uint8_t>(net::IpProtocol::udp));
    out.u16(0);
    out.bytes(source.bytes());
    out.bytes(destination.bytes());
    out.patch_u16(10, net::ipv4_header_checksum(out.view()));
  } else {
    out.u32(0x60000000);
    out.u16(udp_size);
    out.u8(static_cast<std::uint8_t>(net::IpProtocol::udp));
    out.u8(64);
    out.bytes(source.bytes());
    out.bytes(destination.bytes());
  }
  const std::size_t udp = out.size();
  out.u16(kInnerPort);
  out.u16(kInnerPort);
  out.u16(udp_size);
  out.u16(0);
  out.bytes(kInnerMagic);
  out.u64(id);
  for (std::size_t i = kInnerMagic.size() + 8; i < payload; ++i) out.u8(static_cast<std::uint8_t>(id * 31 + i));
  const std::uint64_t pseudo =
      net::pseudo_header_sum(source, destination, static_cast<std::uint8_t>(net::IpProtocol::udp), udp_size);
  const std::uint16_t sum = net::checksum_finish(net::checksum_add(pseudo, out.view().subspan(udp)));
  out.patch_u16(udp + 6, sum == 0 ? 0xffff : sum);
  return out.take();
}

std::optional<InnerId> read_inner(ByteView packet) {
  if (packet.empty()) return std::nullopt;
  const std::size_t header = ip_header_size(packet);
  const std::size_t fixed = header + net::kUdpHeaderSize + kInnerMagic.size() + 8;
  if (packet.size() < fixed) return std::nullopt;
  const bool v4 = header == net::kIpv4HeaderSize;
  const std::size_t address = v4 ? 4 : 16;
  const auto source = net::IpAddress::from_bytes(packet.subspan(header - 2 * address, address));
  const auto destination = net::IpAddress::from_bytes(packet.subspan(header - address, address));
  const InnerId id = load_be64(packet.data() + fixed - 8);
  const Bytes expected = make_inner(id, *source, *destination, packet.size() - header - net::kUdpHeaderSize);
  if (!equal(expected, packet)) return std::nullopt;
  return id;
}

InnerId Ledger::next(Side from) {
  auto& list = entries_[index_of(from)];
  list.emplace_back();
  return (static_cast<InnerId>(index_of(from)) << 63) | (forgotten_[index_of(from)] + list.size() - 1);
}

void Ledger::forget() {
  for (std::size_t side = 0; side < entries_.size(); ++side) {
    forgotten_[side] += entries_[side].size();
    std::vector<Entry>().swap(entries_[side]);
  }
}

void Ledger::delivered(Side at, ByteView packet) {
  const auto id = read_inner(packet);
  if (!id) return log_.fail("{} delivered an inner packet that nobody sent: {}", name_of(at), to_hex(packet));
  if (!known(*id) || side_of(*id) == at)
    return log_.fail("{} delivered inner packet {:x}, which was never sent to it", name_of(at), *id);
  Entry& known_packet = entry(*id);
  if (known_packet.delivered) return log_.fail("{} delivered inner packet {:x} twice", name_of(at), *id);
  known_packet.delivered = true;
  log_.line("{} delivers inner packet {:x}", name_of(at), *id);
}

Ledger::Totals Ledger::totals(Side from, std::size_t first) const {
  Totals totals;
  const auto& list = entries_[index_of(from)];
  const std::size_t forgotten = forgotten_[index_of(from)];
  for (std::size_t i = std::max(first, forgotten) - forgotten; i < list.size(); ++i) {
    ++totals.made;
    if (list[i].delivered) {
      ++totals.delivered;
    } else if (list[i].copies == 0) {
      ++totals.never_sent;
    } else if (list[i].drops >= list[i].copies) {
      ++totals.lost_by_network;
    } else {
      ++totals.lost_by_us;
    }
  }
  return totals;
}

std::vector<InnerId> Ledger::lost_by_us(Side from, std::size_t first) const {
  std::vector<InnerId> lost;
  const auto& list = entries_[index_of(from)];
  const std::size_t forgotten = forgotten_[index_of(from)];
  for (std::size_t i = std::max(first, forgotten) - forgotten; i < list.size(); ++i) {
    if (!list[i].delivered && list[i].drops >= list[i].copies && list[i].copies > 0) continue;
    if (!list[i].delivered) lost.push_back((static_cast<InnerId>(index_of(from)) << 63) | (forgotten + i));
  }
  return lost;
}

}  // namespace culvert::sim
