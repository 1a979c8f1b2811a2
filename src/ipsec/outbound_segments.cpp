// OutboundPath's way for super-packets into ESP in tunnel mode with a combined mode: cut where they lie. Each packet's
// headers are written in front of its payload, over the end of the one before, which is sealed by then; its trailer
// over the beginning of the payload behind, which is put back. So the cipher reads what TUN gave and writes into the
// send region, and of the payload nothing is copied. The price is that packets are sealed one by one, which costs
// those of this length nothing: they fill the CPU each alone.
#include <array>
#include <cstring>
#include <type_traits>

#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kMostHeaders = 128;
// Octets behind a packet that its trailer may take: padding up to a block, pad length, next header.
constexpr std::size_t kMostTrailer = 32;
static_assert(kMostTrailer <= kInnerTailroom);

// Header and IV again, in one store: the cipher reads both at once, right away, and would wait for two.
[[gnu::always_inline]] inline void write_head_at_once(std::uint32_t spi, std::uint8_t* at, std::uint64_t sequence) {
  using TwoWords [[gnu::vector_size(16)]] = std::uint64_t;
  const TwoWords head{__builtin_bswap64(std::uint64_t{spi} << 32 | static_cast<std::uint32_t>(sequence)),
                      __builtin_bswap64(sequence)};
  std::memcpy(at, &head, sizeof head);
}

}  // namespace

bool OutboundPath::cuts_in_place(const Segmenter& plan, const SaPair& sa) {
  const OutboundSa& out = sa.outbound;
  return plan.is_super_packet() && out.straight != Straight::no && out.layout.aead &&
         plan.header_length() <= kMostHeaders;
}

// Sealed by itself, with the number and the text of `padded` octets that write_around has framed. False when there is
// no cipher; then nothing was written.
template <typename Layout>
bool OutboundPath::seal_alone(OutboundSa& out, const Layout& layout, const std::uint8_t* inner, std::uint8_t* at,
                              std::size_t padded, std::uint64_t sequence) {
  crypto::PacketCipher* const cipher = out.cipher.get();
  if (cipher == nullptr) return false;
  if constexpr (std::is_same_v<Layout, UsualLayout>) {
    if (const crypto::ManyKeys* const many = cipher->many_keys(); many != nullptr) {
      crypto::EspJob job{.cipher = cipher,
                         .input = inner,
                         .packet = at,
                         .sequence = sequence,
                         .length = static_cast<std::uint32_t>(padded)};
      many->seal_esp({&job, 1});
      return true;
    }
  }
  EspScratch scratch;
  crypto::PacketJob job;
  make_esp_job(layout, at, inner, padded, sequence, scratch, job);
  cipher->seal({&job, 1});
  return true;
}

// Stages 4 to 6.
void OutboundPath::protect_in_place(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info,
                                    SaPair& sa, OutboundSink& sink) {
  const auto first = take_numbers(sa, plan.count(), plan.total_length());
  if (!first) return;
  if (sa.outbound.straight == Straight::usual_layout) {
    cut_in_place(packet, plan, info, sa, UsualLayout{}, *first, sink);
  } else {
    cut_in_place(packet, plan, info, sa, EspLayout(sa.outbound.layout), *first, sink);
  }
}

template <typename Layout>
void OutboundPath::cut_in_place(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info,
                                SaPair& sa, const Layout& layout, std::uint64_t sequence, OutboundSink& sink) {
  OutboundSa& out = sa.outbound;
  OuterFields outer = outer_fields(sa, info.family, info.tos, info.dont_fragment);
  outer.dont_fragment = outer.dont_fragment && !cut_outer_;
  const auto next_header =
      static_cast<std::uint8_t>(info.family == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6);

  std::uint8_t* const super = packet.bytes.data();
  std::array<std::uint8_t, kMostHeaders> headers;
  std::memcpy(headers.data(), super, plan.header_length());
  std::array<std::uint8_t, kMostTrailer> behind;
  std::uint64_t payload_sum = plan.payload_sum(0);
  for (std::uint32_t i = 0; i < plan.count(); ++i, ++sequence) {
    std::uint8_t* const inner = super + plan.offset(i);
    const std::size_t length = plan.length(i);
    plan.write_headers(i, headers.data(), payload_sum, inner);
    // Before the trailer lies over it; also, the next payload is then on its way to the first-level cache.
    if (i + 1 < plan.count()) payload_sum = plan.payload_sum(i + 1);
    std::memcpy(behind.data(), inner + length, behind.size());

    const std::size_t padded = layout.padded(length);
    const std::size_t sealed = layout.head() + padded + layout.icv;
    std::uint8_t* const at = reserve(sealed, 0, sink);
    write_around(out, layout, at, inner + length, length, next_header, sequence);
    if constexpr (std::is_same_v<Layout, UsualLayout>) write_head_at_once(out.spi, at, sequence);
    if (!seal_alone(out, layout, inner, at, padded, sequence)) {
      return drops_.count(DropReason::seal_impossible, plan.count() - i);
    }
    std::memcpy(inner + length, behind.data(), behind.size());
    add_to_train(sa, outer, at, sealed);
  }
}

}  // namespace culvert::ipsec
