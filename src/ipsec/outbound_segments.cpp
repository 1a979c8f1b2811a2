// OutboundPath's way for super-packets into ESP in tunnel mode with a combined mode: cut where they lie. Each packet's
// headers are written in front of its payload, over the end of the one before, which is sealed by then; its trailer
// over the beginning of the payload behind, which is put back. So the cipher reads what TUN gave and writes into the
// send region, and of the payload nothing is copied. The price is that packets are sealed one by one, which costs
// those of this length nothing: they fill the CPU each alone.
#include <array>
#include <cstring>

#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kMostHeaders = 128;
// Octets behind a packet that its trailer may take: padding up to a block, pad length, next header.
constexpr std::size_t kMostTrailer = 32;
static_assert(kMostTrailer <= kInnerTailroom);

}  // namespace

bool OutboundPath::cuts_in_place(const Segmenter& plan, const SaPair& sa) {
  const OutboundSa& out = sa.outbound;
  return plan.is_super_packet() && out.straight != Straight::no && out.layout.aead &&
         plan.header_length() <= kMostHeaders;
}

// False when there is no cipher; then nothing was written.
bool OutboundPath::seal_alone(OutboundSa& out, const std::uint8_t* inner, std::uint8_t* at, std::size_t padded,
                              std::uint64_t sequence) {
  crypto::PacketCipher* const cipher = out.cipher.get();
  if (cipher == nullptr) return false;
  EspScratch scratch;
  crypto::PacketJob job;
  make_esp_job(out.layout, at, padded, sequence, scratch, job);
  job.input = inner;
  cipher->seal({&job, 1});
  return true;
}

// Stages 4 to 6.
void OutboundPath::protect_in_place(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info,
                                    SaPair& sa, OutboundSink& sink) {
  OutboundSa& out = sa.outbound;
  const EspLayout layout = out.layout;
  const auto first = take_numbers(sa, plan.count(), plan.total_length());
  if (!first) return;
  OuterFields outer = outer_fields(sa, info.family, info.tos, info.dont_fragment);
  outer.dont_fragment = outer.dont_fragment && !cut_outer_;
  const auto next_header =
      static_cast<std::uint8_t>(info.family == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6);

  std::uint8_t* const super = packet.bytes.data();
  std::array<std::uint8_t, kMostHeaders> headers;
  std::memcpy(headers.data(), super, plan.header_length());
  std::array<std::uint8_t, kMostTrailer> behind;
  std::uint64_t payload_sum = plan.payload_sum(0);
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    std::uint8_t* const inner = super + plan.offset(i);
    const std::size_t length = plan.length(i);
    plan.write_headers(i, headers.data(), payload_sum, inner);
    // Before the trailer lies over it; also, the next payload is then on its way to the first-level cache.
    if (i + 1 < plan.count()) payload_sum = plan.payload_sum(i + 1);
    std::memcpy(behind.data(), inner + length, behind.size());

    const std::size_t padded = layout.padded(length);
    const std::size_t sealed = layout.head() + padded + layout.icv;
    std::uint8_t* const at = reserve(sealed, 0, sink);
    write_around(out, layout, at, inner + length, length, next_header, *first + i);
    if (!seal_alone(out, inner, at, padded, *first + i)) {
      return drops_.count(DropReason::seal_impossible, plan.count() - i);
    }
    std::memcpy(inner + length, behind.data(), behind.size());
    add_to_train(sa, outer, at, sealed);
  }
}

}  // namespace culvert::ipsec
