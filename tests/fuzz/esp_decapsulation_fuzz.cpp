// The engine with known keys. The input is a script: the first octet chooses the suite and, by its high bit,
// coalescing; then records
//
//   kind, tos, length (2 octets), data
//
// follow: data as a raw datagram, as plaintext that is sealed (so that it gets past the ICV), as an inner packet that
// gets its trailer and is sealed, as a GRO train, or as an inner packet with offload facts on its way out, whose trains
// then come in at the other side. Whatever comes out must be a whole IP packet that the SA may carry.
#include <cstdint>

#include "base/check.hpp"
#include "ipsec/engine_test_kit.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;

enum Kind : std::uint8_t { raw, sealed_text, sealed_inner, train, outbound, kinds };

EngineOptions small_options(bool coalesce) {
  EngineOptions options;
  options.coalesce = coalesce;
  options.flow_cache_entries = 16;
  return options;
}

class Run {
 public:
  Run(const model::EspSuite& suite, bool coalesce) : pair_(small_options(coalesce)) {
    pair_.set_policies();
    auto [a, b] = pair_.make_pair(1, suite);
    sealer_.emplace(b.spi_inbound, b.suite, b.inbound);
    spi_ = b.spi_inbound;
    CHECK(pair_.alice.install(std::move(a), pair_.now).has_value());
    CHECK(pair_.bob.install(std::move(b), pair_.now).has_value());
  }

  void step(std::uint8_t kind, std::uint8_t tos, ByteView data) {
    switch (kind % kinds) {
      case raw: return receive({to_bytes(data)}, tos, 0);
      case sealed_text: {
        Bytes text = to_bytes(data);
        const std::size_t alignment = sealer_->layout().alignment;
        text.resize(std::max(alignment, (text.size() + alignment - 1) / alignment * alignment));
        return receive({sealer_->seal(++sequence_, text)}, tos, 0);
      }
      case sealed_inner:
        return receive(
            {sealer_->seal_inner(++sequence_, data, (tos & 0x80) != 0 ? net::IpProtocol::ipv6 : net::IpProtocol::ipv4)},
            tos, 0);
      case train: {
        // A right packet, then the data cut at its size.
        const Bytes first = sealer_->seal_inner(++sequence_, udp_packet(pair_.v4, Bytes(tos)), net::IpProtocol::ipv4);
        return receive({concat({first, data})}, tos, static_cast<std::uint16_t>(first.size()));
      }
      case outbound: return send(tos, data);
      default: break;
    }
  }

 private:
  void receive(std::vector<Bytes> packets, std::uint8_t tos, std::uint16_t segment_size) {
    std::vector<WireInput> inputs;
    for (Bytes& packet : packets) {
      // So that mutations need not guess the SPI.
      if (packet.size() >= 4 && packet[0] != 0) store_be32(packet.data(), spi_.value());
      inputs.push_back(
          {.path = {pair_.path.remote, pair_.path.local}, .tos = tos, .segment_size = segment_size, .bytes = packet});
    }
    CollectingInner inner;
    pair_.bob.inbound(inputs, pair_.now, inner);
    for (const Bytes& packet : inner.packets) check_inner(packet);
  }

  void send(std::uint8_t tos, ByteView data) {
    ByteReader reader(data);
    const std::uint8_t flags = reader.u8();
    Offload offload;
    offload.segmentation = static_cast<Offload::Segmentation>(flags & 3);
    offload.checksum_partial = (flags & 4) != 0;
    offload.segment_size = reader.u16();
    offload.checksum_start = reader.u16();
    offload.checksum_offset = reader.u16();
    InnerBuffer buffer(reader.rest(), offload);
    const InnerPacket view = buffer.view();
    CollectingWire wire;
    pair_.alice.outbound({&view, 1}, pair_.now, wire);
    for (SentTrain& sent : wire.trains) {
      CHECK(sent.train.segments() <= 64);
      receive({sent.bytes}, tos, sent.train.segment_size);
    }
  }

  void check_inner(const Bytes& packet) {
    const auto info = net::parse_packet(packet);
    CHECK(info.has_value());
    CHECK(info->total_length == packet.size());
    CHECK(selectors_match(pair_.alice_side, pair_.bob_side, *info));
  }

  TwoEngines pair_;
  std::optional<RawSealer> sealer_;
  model::Spi spi_;
  std::uint64_t sequence_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<NamedSuite> suites = all_suites();
  ByteReader reader({data, size});
  const std::uint8_t choice = reader.u8();
  Run run(suites[choice % suites.size()].suite, (choice & 0x80) != 0);
  for (int steps = 0; steps < 64 && reader.ok() && reader.remaining() >= 4; ++steps) {
    const std::uint8_t kind = reader.u8();
    const std::uint8_t tos = reader.u8();
    const std::size_t length = std::min<std::size_t>(reader.u16(), reader.remaining());
    run.step(kind, tos, reader.bytes(length));
  }
  return 0;
}
