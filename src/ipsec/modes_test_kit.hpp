// For tests and fuzzers of transport, BEET and AH: the wire between two engines, with the IP headers that kernels write
// in front of what an engine hands over, and packets with options and extension headers.
#pragma once

#include <string>
#include <vector>

#include "ipsec/engine_test_kit.hpp"
#include "net/header_chain.hpp"

namespace culvert::ipsec::test_kit {

/// A packet as a raw or UDP socket hands it over, with memory of its own.
struct Arrived {
  WireInput input;
  Bytes headers;
  Bytes bytes;

  [[nodiscard]] WireInput view() {
    input.ip_header = headers;
    input.bytes = bytes;
    return input;
  }
};

/// Cuts a whole IP packet with ESP or AH behind its headers as a raw socket does; at the receiver's end of `path`.
inline Arrived arrive_whole(const net::Path& path, const Bytes& packet) {
  const bool v4 = packet[0] >> 4 == 4;
  std::size_t headers = v4 ? std::size_t{4} * (packet[0] & 15U) : net::kIpv6HeaderSize;
  std::uint8_t protocol = packet[v4 ? 9 : 6];
  while (protocol != 50 && protocol != 51) {  // extension headers; fragment headers have 0 where the others' length is
    protocol = packet.at(headers);
    headers += 8 * (packet.at(headers + 1) + 1U);
  }
  Arrived arrived;
  arrived.input = {.path = {path.remote, path.local},
                   .encapsulation = model::Encapsulation::none,
                   .tos = v4 ? packet[1] : static_cast<std::uint8_t>(load_be16(packet.data()) >> 4),
                   .hop_limit = packet[v4 ? 8 : 7],
                   .protocol = protocol};
  const auto cut = packet.begin() + static_cast<std::ptrdiff_t>(headers);
  arrived.headers = Bytes(packet.begin(), cut);
  arrived.bytes = Bytes(cut, packet.end());
  return arrived;
}

/// What comes of one train at the other end, nothing lost on the way: each of its packets as a datagram of its own.
inline std::vector<Arrived> arrive(const SentTrain& sent) {
  std::vector<Arrived> all;
  const WireTrain& train = sent.train;
  const net::Path& path = train.path;
  static std::uint16_t identification = 0;
  for (Bytes& packet : sent.packets()) {
    if (train.with_ip_header) {
      all.push_back(arrive_whole(path, packet));
      continue;
    }
    if (train.encapsulation == model::Encapsulation::none) {
      Bytes whole(net::ip_header_size(path.local.address.family()));
      net::write_ip_header(whole.data(), {.source = path.local.address,
                                          .destination = path.remote.address,
                                          .protocol = 50,
                                          .tos = train.tos,
                                          .ttl = train.hop_limit,
                                          .dont_fragment = train.dont_fragment,
                                          .identification = ++identification,
                                          .payload_length = static_cast<std::uint16_t>(packet.size())});
      whole.insert(whole.end(), packet.begin(), packet.end());
      all.push_back(arrive_whole(path, whole));
      continue;
    }
    Arrived arrived;
    arrived.input = {.path = {path.remote, path.local}, .tos = train.tos, .hop_limit = train.hop_limit};
    arrived.bytes = std::move(packet);
    all.push_back(std::move(arrived));
  }
  return all;
}

inline std::vector<Arrived> arrive(const CollectingWire& wire) {
  std::vector<Arrived> all;
  for (const SentTrain& train : wire.trains) {
    for (Arrived& arrived : arrive(train)) all.push_back(std::move(arrived));
  }
  return all;
}

inline CollectingInner receive(Engine& engine, std::vector<Arrived>& arrived, Instant now = {}) {
  std::vector<WireInput> inputs;
  for (Arrived& one : arrived) inputs.push_back(one.view());
  CollectingInner inner;
  engine.inbound(inputs, now, inner);
  return inner;
}

/// Puts IPv4 options (a multiple of 4 octets) into a packet.
inline Bytes with_options(const Bytes& packet, const Bytes& options) {
  Bytes out = packet;
  out.insert(out.begin() + net::kIpv4HeaderSize, options.begin(), options.end());
  out[0] = static_cast<std::uint8_t>(0x45 + options.size() / 4);
  net::close_chain(MutableByteView(out).first(net::kIpv4HeaderSize + options.size()), 9, packet[9], out.size());
  return out;
}

/// Puts an IPv6 extension header of this type right behind the fixed header; the first octet of `extension` is filled
/// in.
inline Bytes with_extension(const Bytes& packet, net::IpProtocol type, Bytes extension) {
  Bytes out = packet;
  extension[0] = packet[6];
  out.insert(out.begin() + net::kIpv6HeaderSize, extension.begin(), extension.end());
  out[6] = static_cast<std::uint8_t>(type);
  store_be16(out.data() + 4, static_cast<std::uint16_t>(out.size() - net::kIpv6HeaderSize));
  return out;
}

/// A combination of what the modes differ in.
struct ModeCase {
  model::ProtocolId protocol = model::ProtocolId::esp;
  model::Mode mode = model::Mode::tunnel;
  model::Encapsulation encapsulation = model::Encapsulation::none;
  net::Family outer = net::Family::v4;
  net::Family inner = net::Family::v4;

  [[nodiscard]] std::string name() const {
    std::string text = protocol == model::ProtocolId::ah ? "ah" : "esp";
    text += mode == model::Mode::tunnel ? "_tunnel" : mode == model::Mode::transport ? "_transport" : "_beet";
    text += encapsulation == model::Encapsulation::udp ? "_udp" : "";
    text += inner == net::Family::v4 ? "_4" : "_6";
    text += outer == net::Family::v4 ? "in4" : "in6";
    return text;
  }
};

/// Every combination that there is.
inline std::vector<ModeCase> all_mode_cases() {
  using model::Encapsulation;
  using model::Mode;
  using model::ProtocolId;
  std::vector<ModeCase> cases;
  for (const ProtocolId protocol : {ProtocolId::esp, ProtocolId::ah}) {
    for (const Mode mode : {Mode::tunnel, Mode::transport, Mode::beet}) {
      for (const Encapsulation encapsulation : {Encapsulation::none, Encapsulation::udp}) {
        if (protocol == ProtocolId::ah && encapsulation == Encapsulation::udp) continue;
        for (const net::Family outer : {net::Family::v4, net::Family::v6}) {
          for (const net::Family inner : {net::Family::v4, net::Family::v6}) {
            if (mode == Mode::transport && inner != outer) continue;
            cases.push_back({protocol, mode, encapsulation, outer, inner});
          }
        }
      }
    }
  }
  return cases;
}

/// Alice and Bob with an SA pair of one such combination. In transport mode the packets are between the ends of the
/// path; in BEET mode between one inner address on each side.
class ModeWorld {
 public:
  explicit ModeWorld(const ModeCase& wanted, const EngineOptions& options = {}, std::uint64_t seed = 1)
      : mode(wanted), pair(options, seed) {
    const std::uint16_t port = mode.encapsulation == model::Encapsulation::udp ? 4500 : 0;
    const bool four = mode.outer == net::Family::v4;
    pair.path = {{address(four ? "192.0.2.1" : "2001:db8:f::1"), port},
                 {address(four ? "192.0.2.2" : "2001:db8:f::2"), port}};
    flow = mode.inner == net::Family::v4 ? pair.v4 : pair.v6;
    if (mode.mode == model::Mode::transport) {
      flow.source = pair.path.local.address;
      flow.destination = pair.path.remote.address;
    }
    if (mode.mode != model::Mode::tunnel) {
      pair.alice_side = {model::TrafficSelector::of(net::AddressRange::of(flow.source))};
      pair.bob_side = {model::TrafficSelector::of(net::AddressRange::of(flow.destination))};
    }
    pair.set_policies();
  }

  /// AES-GCM for ESP, HMAC-SHA2-256 for AH.
  [[nodiscard]] model::EspSuite suite() const {
    if (mode.protocol == model::ProtocolId::esp) return {};
    return {.encryption = model::EncryptionId::null, .key_bits = 0, .integrity = model::IntegrityId::hmac_sha2_256_128};
  }
  [[nodiscard]] std::pair<model::ChildSaParams, model::ChildSaParams> make_pair(std::uint64_t id,
                                                                                const model::EspSuite& with) {
    auto [a, b] = pair.make_pair(id, with);
    for (model::ChildSaParams* const side : {&a, &b}) {
      side->protocol = mode.protocol;
      side->mode = mode.mode;
      side->encapsulation = mode.encapsulation;
    }
    return {std::move(a), std::move(b)};
  }
  void install(std::uint64_t id, const model::EspSuite& with) {
    auto [a, b] = make_pair(id, with);
    CHECK(pair.alice.install(std::move(a), pair.now).has_value());
    CHECK(pair.bob.install(std::move(b), pair.now).has_value());
  }

  /// From Alice's TUN to Bob's.
  std::vector<Bytes> carry(const std::vector<Bytes>& packets, const Offload& offload = {}) {
    const CollectingWire wire = pair.alice_sends(packets, offload);
    std::vector<Arrived> arrived = arrive(wire);
    return receive(pair.bob, arrived, pair.now).packets;
  }
  /// What of a sent packet comes out at the other end, where a mode does not carry its header whole: BEET and transport
  /// in UDP do not carry identification and flow label, nor DF where the wire is not IPv4.
  [[nodiscard]] Bytes comparable(const Bytes& packet) const {
    Bytes out = packet;
    const bool keeps_header = mode.mode == model::Mode::tunnel ||
                              (mode.mode == model::Mode::transport && mode.encapsulation == model::Encapsulation::none);
    if (keeps_header) return out;
    if (out[0] >> 4 == 4) {
      store_be16(out.data() + 4, 0);
      store_be16(out.data() + 6, 0);
      store_be16(out.data() + 10, 0);
      return out;
    }
    store_be32(out.data(), load_be32(out.data()) & 0xfff0'0000U);
    return out;
  }

  ModeCase mode;
  TwoEngines pair;
  Flow flow;
};

}  // namespace culvert::ipsec::test_kit
