#include "ipsec/aggfrag_payload.hpp"

#include <algorithm>

#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::uint8_t kPlain = 0;
constexpr std::uint8_t kCongestionControl = 1;
constexpr std::uint8_t kProbing = 0x02;
constexpr std::uint8_t kEcnCounted = 0x01;

}  // namespace

std::optional<AggfragHeader> parse_aggfrag_header(ByteView payload) {
  ByteReader reader(payload);
  const std::uint8_t sub_type = reader.u8();
  const std::uint8_t flags = reader.u8();
  AggfragHeader header{.block_offset = reader.u16(), .report = std::nullopt};
  if (!reader.ok() || sub_type > kCongestionControl) return std::nullopt;
  if (sub_type == kPlain) return header;
  AggfragReport report{.probing = (flags & kProbing) != 0, .ecn_counted = (flags & kEcnCounted) != 0};
  report.loss_event_rate = reader.u32();
  const std::uint64_t delays = reader.u64();  // 22, 21 and 21 bits
  report.rtt = static_cast<std::uint32_t>(delays >> 42);
  report.echo_delay = static_cast<std::uint32_t>(delays >> 21) & AggfragReport::kMaxDelay;
  report.transmit_delay = static_cast<std::uint32_t>(delays) & AggfragReport::kMaxDelay;
  report.value = reader.u32();
  report.echo = reader.u32();
  if (!reader.ok()) return std::nullopt;
  header.report = report;
  return header;
}

void write_aggfrag_header(const AggfragHeader& header, std::uint8_t* at) {
  at[0] = header.report ? kCongestionControl : kPlain;
  at[1] = 0;
  store_be16(at + 2, header.block_offset);
  if (!header.report) return;
  const AggfragReport& report = *header.report;
  at[1] = static_cast<std::uint8_t>((report.probing ? kProbing : 0) | (report.ecn_counted ? kEcnCounted : 0));
  store_be32(at + 4, report.loss_event_rate);
  // RFC 9347 6.1.2: what is too long for its field is sent as all ones.
  const std::uint64_t rtt = std::min(report.rtt, AggfragReport::kMaxRtt);
  const std::uint64_t echo_delay = std::min(report.echo_delay, AggfragReport::kMaxDelay);
  const std::uint64_t transmit_delay = std::min(report.transmit_delay, AggfragReport::kMaxDelay);
  store_be64(at + 8, rtt << 42 | echo_delay << 21 | transmit_delay);
  store_be32(at + 16, report.value);
  store_be32(at + 20, report.echo);
}

AggfragBlock look_at_block(ByteView octets) {
  using Kind = AggfragBlock::Kind;
  const unsigned type = octets[0] >> 4;
  if (type == 0) return {Kind::pad, 0};
  if (type != 4 && type != 6) return {Kind::bad, 0};
  if (octets.size() < octets_to_length(octets[0])) return {Kind::unknown, 0};
  std::size_t length = 0;
  if (type == 4) {
    length = load_be16(octets.data() + 2);
    if (length < net::kIpv4HeaderSize) return {Kind::bad, 0};
  } else {
    length = net::kIpv6HeaderSize + load_be16(octets.data() + 4);
    if (length > kMaxAggfragBlock) return {Kind::bad, 0};
  }
  return {Kind::packet, length};
}

}  // namespace culvert::ipsec
