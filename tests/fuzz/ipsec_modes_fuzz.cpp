// ESP and AH in every mode with known keys. The first octet chooses the mode; then records
//
//   kind, length (2 octets), data
//
// follow: data as headers and packet of a raw socket, as such a packet made right in its lengths and SPI, as plaintext
// behind a right ICV, or as an inner packet on its way out, which then comes in at the other side. Whatever comes out
// must be a whole IP packet that the SA may carry, and what was sent must be what arrives.
#include <cstdint>

#include "base/check.hpp"
#include "ipsec/ah_mutable_fields.hpp"
#include "ipsec/encapsulation.hpp"
#include "ipsec/modes_test_kit.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;

enum Kind : std::uint8_t { raw, fitted, sealed, outbound, kinds };

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
    spi_ = b.spi_inbound;
    const auto suite = model::packet_suite(mode.protocol, b.suite).value();
    layout_ = layout_of(suite, b.suite.esn);
    if (mode.protocol == model::ProtocolId::ah) {
      cipher_ = crypto::make_packet_cipher(suite, {}, b.inbound.integrity.view()).value();
    } else {
      sealer_.emplace(b.spi_inbound, b.suite, b.inbound);
    }
    CHECK(world_.pair.alice.install(std::move(a), {}).has_value());
    CHECK(world_.pair.bob.install(std::move(b), {}).has_value());
  }

  void step(std::uint8_t kind, ByteView data) {
    switch (kind % kinds) {
      case raw: return receive(cut(data, false));
      case fitted: return receive(cut(data, true));
      case sealed: return seal(data);
      default: return send(data);
    }
  }

 private:
  [[nodiscard]] bool ah() const { return world_.mode.protocol == model::ProtocolId::ah; }

  // The first octet of the data says where the headers end, in units of 4.
  Arrived cut(ByteView data, bool fit) {
    Arrived arrived;
    arrived.input = {.path = {world_.pair.path.remote, world_.pair.path.local},
                     .encapsulation = world_.mode.encapsulation,
                     .protocol = static_cast<std::uint8_t>(ah() ? 51 : 50)};
    if (data.empty()) return arrived;
    const std::size_t end = std::min<std::size_t>(data[0] * std::size_t{4}, data.size() - 1);
    arrived.headers = to_bytes(data.subspan(1, end));
    arrived.bytes = to_bytes(data.subspan(1 + end));
    if (!fit) return arrived;
    const std::size_t spi_at = ah() ? 4 : 0;
    if (arrived.bytes.size() >= spi_at + 4) store_be32(arrived.bytes.data() + spi_at, spi_.value());
    fit_headers(arrived);
    return arrived;
  }

  static void fit_headers(Arrived& arrived) {
    Bytes& headers = arrived.headers;
    if (headers.size() < 20) return;
    if (headers[0] >> 4 != 6) {
      headers.resize(std::min<std::size_t>(headers.size(), 60) / 4 * 4);
      headers[0] = static_cast<std::uint8_t>(0x40 | headers.size() / 4);
      headers[6] &= 0xc0;
      headers[7] = 0;
    }
    const auto end = net::chain_end(headers);
    if (end)
      net::close_chain(headers, end->next_header_at, arrived.input.protocol, headers.size() + arrived.bytes.size());
  }

  // Data behind a right ICV: the first octet is the next header.
  void seal(ByteView data) {
    if (data.empty()) return;
    const auto next = static_cast<net::IpProtocol>(data[0]);
    if (!ah()) {
      const Bytes esp = sealer_->seal_inner(++sequence_, data.subspan(1), next);
      if (world_.mode.encapsulation == model::Encapsulation::udp) {
        Arrived arrived;
        arrived.input = {.path = {world_.pair.path.remote, world_.pair.path.local}};
        arrived.bytes = esp;
        return receive(std::move(arrived));
      }
      return receive(arrive_whole(world_.pair.path, with_ip_header(outer(), net::IpProtocol::esp, esp)));
    }
    const std::size_t front = net::ip_header_size(world_.mode.outer);
    const std::size_t ah_size = layout_.ah(world_.mode.outer);
    Bytes upper(ah_size);
    write_ah(upper.data(), ah_size, data[0], spi_.value(), ++sequence_);
    upper.insert(upper.end(), data.begin() + 1, data.end());
    Bytes whole = with_ip_header(outer(), static_cast<net::IpProtocol>(51), upper);
    Bytes covered(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(front + ah_size));
    CHECK(zero_mutable_fields(MutableByteView(covered).first(front)).has_value());
    crypto::PacketJob job = make_ah_job(layout_, covered, whole.data() + front, ah_size, data.size() - 1, sequence_);
    cipher_->seal({&job, 1});
    receive(arrive_whole(world_.pair.path, whole));
  }

  void send(ByteView data) {
    InnerBuffer buffer(data);
    const InnerPacket view = buffer.view();
    CollectingWire wire;
    world_.pair.alice.outbound({&view, 1}, {}, wire);
    if (wire.trains.empty()) return;
    CHECK(wire.trains.size() == 1);
    std::vector<Arrived> arrived = arrive(wire);
    const CollectingInner inner = test_kit::receive(world_.pair.bob, arrived);
    // The header may claim congestion where none was, and ports may be out of sight; then it is dropped.
    for (const Bytes& packet : inner.packets) {
      check_inner(packet);
      const auto info = net::parse_packet(data);
      CHECK(info.has_value());
      CHECK(to_hex(world_.comparable(packet)).size() == to_hex(data.first(info->total_length)).size());
    }
  }

  void receive(Arrived arrived) {
    std::vector<Arrived> all{std::move(arrived)};
    for (const Bytes& packet : test_kit::receive(world_.pair.bob, all).packets) check_inner(packet);
  }

  void check_inner(const Bytes& packet) {
    const auto info = net::parse_packet(packet);
    CHECK(info.has_value());
    CHECK(info->total_length == packet.size());
    CHECK(selectors_match(world_.pair.alice_side, world_.pair.bob_side, *info));
  }

  [[nodiscard]] Flow outer() const { return {world_.pair.path.local.address, world_.pair.path.remote.address}; }

  ModeWorld world_;
  EspLayout layout_;
  std::optional<RawSealer> sealer_;
  std::unique_ptr<crypto::PacketCipher> cipher_;
  model::Spi spi_;
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
