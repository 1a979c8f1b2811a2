// InboundPath's straight way up to the cipher: what nearly all packets are, plain ones out of ESP in tunnel mode whose
// SA has nothing to tell and is far from its bounds. Whatever is special about a packet is seen before anything has
// changed, and sends it the other way; what both do and count is the same.
#include <algorithm>
#include <type_traits>

#include "base/prefetch.hpp"
#include "ipsec/inbound_path.hpp"

namespace culvert::ipsec {

void InboundPath::run(std::span<const WireInput> inputs, Instant now, InboundSink& sink) {
  now_ = now;
  // Three rounds of them: one in work, one whose SAs' memory is on its way, one whose places in the table are.
  begin(inputs, ahead_[0]);
  look_up(ahead_[0]);
  begin(inputs, ahead_[1]);
  for (std::size_t turn = 0; !ahead_[turn].inputs.empty();) {
    const std::size_t next = turn == 2 ? 0 : turn + 1;
    const std::size_t after = next == 2 ? 0 : next + 1;
    begin(inputs, ahead_[after]);
    look_up(ahead_[next]);
    process(ahead_[turn], now, sink);
    turn = next;
  }
  finish_batch(now);
  finish_delivery(sink);
}

// Takes the next ones off `inputs` and asks for their SAs' places in the table.
void InboundPath::begin(std::span<const WireInput>& inputs, Ahead& ahead) const {
  const std::size_t count = std::min(inputs.size(), kLookahead);
  ahead.inputs = inputs.first(count);
  inputs = inputs.subspan(count);
  std::uint32_t* to = ahead.spis.data();
  const Sad::Slots slots = sad_.slots();
  for (const WireInput& input : ahead.inputs) {
    const std::uint32_t spi = spi_of(input);
    *to++ = spi;
    slots.prefetch(spi);
  }
}

void InboundPath::look_up(Ahead& ahead) const {
  std::uint32_t spi = 0;
  SaPair* sa = nullptr;  // RFC 4303 2.1: no SA has number 0
  SaPair** to = ahead.sas.data();
  ahead.mixed = false;
  const Sad::Slots slots = sad_.slots();
  for (const std::uint32_t wanted : std::span(ahead.spis.data(), ahead.inputs.size())) {
    if (wanted != spi) {
      if (sa != nullptr) ahead.mixed = true;
      spi = wanted;
      sa = sad_.find_inbound(spi, slots);
      if (sa != nullptr) {
        prefetch_to_write(sa->inbound.usual_line());
      }
    }
    *to++ = sa;
  }
}

namespace {

constexpr auto kEsp = static_cast<std::uint8_t>(net::IpProtocol::esp);

// Octets of text of an ESP packet of this layout, or none when it has the wrong length or is none.
constexpr std::size_t kNoText = ~std::size_t{0};
template <typename Layout>
[[gnu::always_inline]] inline std::size_t text_of(const WireInput& input, std::size_t size, const Layout& layout) {
  if (input.encapsulation != model::Encapsulation::udp && input.protocol != kEsp) return kNoText;
  const std::size_t frame = layout.head() + layout.icv;
  if (size < frame + layout.alignment) return kNoText;
  const std::size_t text_length = size - frame;
  return (text_length & (layout.alignment - std::size_t{1})) != 0 ? kNoText : text_length;
}

// RFC 7296 2.23: it comes from where the SA's peer is. What does not is looked at by itself, once it is opened.
[[gnu::noinline]] bool comes_over_path(const WireInput& input, const SaPair& sa) {
  return input.encapsulation == sa.params.encapsulation && input.path.remote == sa.params.path.remote;
}
[[gnu::always_inline]] inline bool comes_from_peer(const WireInput& input, const SaPair& sa) {
  const std::uint64_t peer = sa.inbound.peer;
  if (peer == PeerWord::of_sender(input)) [[likely]]
    return true;
  return peer == PeerWord::kNone && comes_over_path(input, sa);
}

}  // namespace

// Stages 1 to 3. False when the packet has to go the other way. `Layout` is the SA's.
template <typename Layout>
[[gnu::always_inline]] inline bool InboundPath::enqueue_straight(const WireInput& input, MutableByteView packet,
                                                                 SaPair& sa, const Layout& layout) {
  InboundSa& in = sa.inbound;
  const std::size_t text_length = text_of(input, packet.size(), layout);
  if (text_length == kNoText || !comes_from_peer(input, sa) || in.resync.failing()) return false;
  std::uint64_t sequence = 0;
  if (in.window.check_next(load_be32(packet.data() + 4), sequence) != ReplayWindow::Verdict::fresh) return false;
  Straightly& straight = straight_.data()[batch_.size()];
  straight.sa = &sa;
  straight.input = &input;
  straight.tos = input.tos;
  if constexpr (!std::is_same_v<Layout, UsualLayout>) {
    Item& item = items_.data()[batch_.size()];
    item.sa = &sa;
    item.input = &input;
    item.packet = packet;
    item.sequence = sequence;
    item.nested = nullptr;
    item.ah_size = 0;
  }
  batch_.add(in, layout, packet.data(), packet.data() + layout.head(), text_length, sequence);
  return true;
}

bool InboundPath::enqueue_straight(const WireInput& input, MutableByteView packet, SaPair& sa) {
  switch (sa.inbound.straight) {
    case Straight::no: return false;
    case Straight::any_layout: return enqueue_straight(input, packet, sa, EspLayout(sa.inbound.layout));
    case Straight::usual_layout: break;
  }
  return enqueue_straight(input, packet, sa, UsualLayout{});
}

// What is left to the batch of a packet that came in by `enqueue_straight` with the usual layout.
void InboundPath::complete(std::size_t index) {
  const auto& [sa, input, tos] = straight_[index];
  if (!UsualLayout::is(sa->inbound.layout)) return;
  const crypto::EspJob& job = batch_.usual(index);
  const std::size_t size = UsualLayout::head() + job.length + UsualLayout::icv;
  items_[index] = {.sa = sa, .input = input, .packet = {job.packet, size}, .sequence = job.sequence};
}

void InboundPath::process(const Ahead& ahead, Instant now, InboundSink& sink) {
  const std::size_t count = ahead.inputs.size();
  for (std::size_t i = 0; i < count;) {
    i = enqueue_usual(ahead, i);
    if (i < count && !batch_.full()) {
      process_other(ahead.inputs[i], ahead.sas[i], now, sink);
      ++i;
    }
    if (batch_.full()) finish_full_batch(now, sink);
  }
}

// As `enqueue_straight` for those from `first` on, as far as they have the usual layout and nothing is special about
// them, and as the batch takes them; answers which is the first that is left.
[[gnu::always_inline]] inline std::size_t InboundPath::enqueue_usual(const Ahead& ahead, std::size_t first) {
  if (ahead.sas[first] == nullptr) return first;
  const bool mixed = ahead.mixed || batch_.mixed_with(ahead.sas[first]->inbound);
  const std::size_t most = std::min(ahead.inputs.size() - first, batch_.free_places_if(mixed));
  const std::size_t most_octets = batch_.free_octets();
  crypto::EspJob* job = batch_.next();
  const crypto::EspJob* const keys_end = batch_.keys_end(mixed);
  const std::uint8_t family = batch_.family(ahead.sas[first]->inbound);
  Straightly* straight = straight_.data() + batch_.size();
  const WireInput* input = ahead.inputs.data() + first;
  SaPair* const* sas = ahead.sas.data() + first;
  std::size_t number = 0;
  std::size_t octets = 0;
  for (; number < most && octets < most_octets; ++number, ++input, ++job, ++straight) {
    SaPair* const sa = sas[number];
    if (sa == nullptr || input->segment_size != 0) break;
    InboundSa& in = sa->inbound;
    straight->input = input;
    const std::size_t text_length = text_of(*input, input->bytes.size(), UsualLayout{});
    if (in.straight != Straight::usual_layout || text_length == kNoText || !comes_from_peer(*input, *sa)) break;
    std::uint8_t* const packet = input->bytes.data();
    std::uint64_t sequence = 0;
    if (in.window.check_next(load_be32(packet + 4), sequence) != ReplayWindow::Verdict::fresh) break;
    if (in.resync.failing() || in.cipher.family() != family) break;
    job->cipher = in.cipher.ready();
    if (text_length > crypto::EspJob::kShortText ? mixed : job < keys_end) in.cipher.prefetch(text_length);
    straight->sa = sa;
    straight->tos = input->tos;
    JobBatch<InboundSa>::set(*job, in, packet, packet + UsualLayout::head(), text_length, sequence);
    octets += text_length;
  }
  batch_.added(number, octets, mixed && number != 0);
  return first + number;
}

[[gnu::noinline]] void InboundPath::process_other(const WireInput& input, SaPair* sa, Instant now, InboundSink& sink) {
  if (input.segment_size != 0 && input.segment_size < input.bytes.size()) return process_train(input, sa, now, sink);
  if (sa == nullptr || !enqueue_straight(input, input.bytes, *sa)) sort(input, input.bytes, now, sink);
}

void InboundPath::process_train(const WireInput& input, SaPair* sa, Instant now, InboundSink& sink) {
  // The first packet may be gone before the last one is looked at.
  const std::uint32_t spi = spi_of(input);
  for (MutableByteView rest = input.bytes; !rest.empty();) {
    const MutableByteView packet = rest.first(std::min<std::size_t>(input.segment_size, rest.size()));
    rest = rest.subspan(packet.size());
    const bool same = sa != nullptr && packet.size() >= kEspHeaderSize && load_be32(packet.data()) == spi;
    if (!same || !enqueue_straight(input, packet, *sa)) sort(input, packet, now, sink);
    if (batch_.full()) finish_full_batch(now, sink);
  }
}

}  // namespace culvert::ipsec
