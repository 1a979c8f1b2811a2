// IPComp with known keys. The first octet chooses ESP or AH, a mode and the families; then records
//
//   kind, length (2 octets), data
//
// follow: data as an IPComp datagram of the decompressor (the first octet says how much room there is), as what follows
// an IPComp header with the right CPI behind a right ICV, as a payload that is compressed first, by us, or as an inner
// packet on its way out, which then comes in at the other side. Nothing may come out longer than there is room for, and
// what was compressed must be what comes out.
#include <cstdint>
#include <optional>

#include "base/check.hpp"
#include "ipsec/ipcomp.hpp"
#include "ipsec/modes_test_kit.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;

enum Kind : std::uint8_t { datagram, sealed, round_trip, outbound, kinds };
constexpr std::uint16_t kAliceCpi = 0x1111;
constexpr std::uint16_t kBobCpi = 0x2222;

EngineOptions small_options(bool coalesce) {
  EngineOptions options;
  options.coalesce = coalesce;
  options.flow_cache_entries = 16;
  return options;
}

class Run {
 public:
  Run(const ModeCase& mode, bool coalesce) : world_(mode, small_options(coalesce)) {
    auto [a, b] = world_.make_pair(1, world_.suite());
    a.treatment.compress = true;
    a.ipcomp = model::IpCompParams{kAliceCpi, kBobCpi};
    b.ipcomp = model::IpCompParams{kBobCpi, kAliceCpi};
    // AH's receiver is reached by what Alice sends.
    if (mode.protocol == model::ProtocolId::esp) sealer_.emplace(b.spi_inbound, b.suite, b.inbound);
    CHECK(world_.pair.alice.install(std::move(a), {}).has_value());
    CHECK(world_.pair.bob.install(std::move(b), {}).has_value());
  }

  void step(std::uint8_t kind, ByteView data) {
    switch (kind % kinds) {
      case datagram: return decompress(data);
      case sealed: return seal(data);
      case round_trip: return compress(data);
      default: return send(data);
    }
  }

 private:
  void decompress(ByteView data) {
    if (data.empty()) return;
    Bytes out(data[0] * std::size_t{257});
    const auto opened = ipcomp_.decompress(data.subspan(1), kBobCpi, out);
    if (opened) {
      CHECK(opened->length <= out.size());
    } else {
      CHECK(opened.error() == DropReason::ipcomp_malformed || opened.error() == DropReason::ipcomp_too_long);
    }
  }

  // The first octet is the next header in the IPComp header.
  void seal(ByteView data) {
    if (data.empty() || !sealer_) return;
    const Bytes header{data[0], 0, kBobCpi >> 8, kBobCpi & 0xff};
    Bytes payload = header;
    payload.insert(payload.end(), data.begin() + 1, data.end());
    arrives(payload);
  }

  void compress(ByteView data) {
    if (data.empty() || data.size() > kMaxInnerPacket) return;
    const std::uint8_t next_header = data[0];
    const ByteView payload = data.subspan(1);
    Bytes out(payload.size());
    const auto length = ipcomp_.compress(payload, next_header, kBobCpi, out.data());
    if (!length) return;
    CHECK(*length < payload.size());
    out.resize(*length);
    Bytes back(payload.size());
    const auto opened = ipcomp_.decompress(out, kBobCpi, back);
    CHECK(opened.has_value());
    CHECK(opened->next_header == next_header);
    CHECK(opened->length == payload.size());
    CHECK(equal(back, payload));
    if (!payload.empty()) {
      back.pop_back();
      const auto cramped = ipcomp_.decompress(out, kBobCpi, back);
      CHECK(!cramped && cramped.error() == DropReason::ipcomp_too_long);
    }
    if (sealer_) arrives(out);
  }

  void arrives(const Bytes& payload) {
    const Bytes esp = sealer_->seal_inner(++sequence_, payload, net::IpProtocol::ipcomp);
    std::vector<Arrived> all(1);
    if (world_.mode.encapsulation == model::Encapsulation::udp) {
      all[0].input = {.path = {world_.pair.path.remote, world_.pair.path.local}};
      all[0].bytes = esp;
    } else {
      const Flow outer{world_.pair.path.local.address, world_.pair.path.remote.address};
      all[0] = arrive_whole(world_.pair.path, with_ip_header(outer, net::IpProtocol::esp, esp));
    }
    for (const Bytes& packet : receive(world_.pair.bob, all).packets) check_inner(packet);
  }

  void send(ByteView data) {
    InnerBuffer buffer(data);
    const InnerPacket view = buffer.view();
    CollectingWire wire;
    world_.pair.alice.outbound({&view, 1}, {}, wire);
    if (wire.trains.empty()) return;
    CHECK(wire.trains.size() == 1);
    std::vector<Arrived> arrived = arrive(wire);
    for (const Bytes& packet : receive(world_.pair.bob, arrived).packets) {
      check_inner(packet);
      const auto info = net::parse_packet(data);
      CHECK(info.has_value());
      CHECK(packet.size() == info->total_length);
      // Header fields may have changed on the way (RFC 6040 4, MSS); a UDP payload has not.
      if (info->protocol == static_cast<std::uint8_t>(net::IpProtocol::udp)) {
        CHECK(equal(ByteView(packet).subspan(info->header_length),
                    data.first(info->total_length).subspan(info->header_length)));
      }
    }
  }

  void check_inner(const Bytes& packet) {
    const auto info = net::parse_packet(packet);
    CHECK(info.has_value());
    CHECK(info->total_length == packet.size());
    CHECK(selectors_match(world_.pair.alice_side, world_.pair.bob_side, *info));
  }

  ModeWorld world_;
  std::optional<RawSealer> sealer_;
  IpComp ipcomp_;
  std::uint64_t sequence_ = 1000;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<ModeCase> cases = all_mode_cases();
  ByteReader reader({data, size});
  const std::uint8_t choice = reader.u8();
  Run run(cases[(choice & 0x7f) % cases.size()], (choice & 0x80) != 0);
  for (int steps = 0; steps < 64 && reader.ok() && reader.remaining() >= 3; ++steps) {
    const std::uint8_t kind = reader.u8();
    const std::size_t length = std::min<std::size_t>(reader.u16(), reader.remaining());
    run.step(kind, reader.bytes(length));
  }
  return 0;
}
