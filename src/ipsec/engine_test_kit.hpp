// For tests, fuzzers and benchmarks of the engine only: packet builders, collecting sinks, and two engines that share
// SA pairs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/random.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/esp_job.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/spd.hpp"
#include "model/child_sa.hpp"
#include "model/proposal.hpp"
#include "net/checksum.hpp"
#include "net/header_writer.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec::test_kit {

inline net::IpAddress address(std::string_view text) { return net::IpAddress::parse(text).value(); }
inline model::TrafficSelector selector(std::string_view text) { return model::TrafficSelector::parse(text).value(); }

/// What the builders below need to know of a packet.
struct Flow {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint16_t source_port = 1000;
  std::uint16_t destination_port = 2000;
  std::uint8_t tos = 0;
  bool dont_fragment = false;
  std::uint16_t identification = 1;

  [[nodiscard]] Flow reversed() const {
    Flow flow = *this;
    std::swap(flow.source, flow.destination);
    std::swap(flow.source_port, flow.destination_port);
    return flow;
  }
};

inline Bytes with_ip_header(const Flow& flow, net::IpProtocol protocol, ByteView upper) {
  Bytes packet(net::ip_header_size(flow.source.family()));
  net::write_ip_header(packet.data(), {.source = flow.source,
                                       .destination = flow.destination,
                                       .protocol = static_cast<std::uint8_t>(protocol),
                                       .tos = flow.tos,
                                       .dont_fragment = flow.dont_fragment,
                                       .identification = flow.identification,
                                       .payload_length = static_cast<std::uint16_t>(upper.size())});
  packet.insert(packet.end(), upper.begin(), upper.end());
  return packet;
}

/// A UDP packet with a right checksum.
inline Bytes udp_packet(const Flow& flow, ByteView payload) {
  Bytes datagram(net::kUdpHeaderSize);
  net::write_udp_header(datagram.data(), flow.source_port, flow.destination_port,
                        static_cast<std::uint16_t>(payload.size()));
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  store_be16(datagram.data() + 6, net::udp_checksum(flow.source, flow.destination, datagram));
  return with_ip_header(flow, net::IpProtocol::udp, datagram);
}

/// A TCP segment without options and with a right checksum.
inline Bytes tcp_packet(const Flow& flow, std::uint32_t sequence, std::uint8_t flags, ByteView payload) {
  ByteWriter writer;
  writer.u16(flow.source_port);
  writer.u16(flow.destination_port);
  writer.u32(sequence);
  writer.u32(0x01020304);
  writer.u8(5 << 4);
  writer.u8(flags);
  writer.u16(0xfff0);
  writer.u32(0);
  writer.bytes(payload);
  Bytes segment = writer.take();
  const std::uint64_t pseudo =
      net::pseudo_header_sum(flow.source, flow.destination, 6, static_cast<std::uint32_t>(segment.size()));
  store_be16(segment.data() + 16, net::checksum_finish(net::checksum_add(pseudo, segment)));
  return with_ip_header(flow, net::IpProtocol::tcp, segment);
}

inline Bytes random_bytes(RandomSource& random, std::size_t size) {
  Bytes bytes(size);
  random.fill(bytes);
  return bytes;
}

/// An inner packet in a buffer with the room that the engine's face promises.
class InnerBuffer {
 public:
  explicit InnerBuffer(ByteView packet, const Offload& offload = {})
      : storage_(kInnerHeadroom + packet.size() + kInnerTailroom, 0xcc), offload_(offload) {
    std::copy(packet.begin(), packet.end(), storage_.begin() + kInnerHeadroom);
  }
  [[nodiscard]] InnerPacket view() {
    return {MutableByteView(storage_).subspan(kInnerHeadroom, storage_.size() - kInnerHeadroom - kInnerTailroom),
            offload_};
  }

 private:
  Bytes storage_;
  Offload offload_;
};

/// A train with bytes of its own.
struct SentTrain {
  WireTrain train;  // its `bytes` must not be used
  Bytes bytes;

  [[nodiscard]] std::vector<Bytes> packets() const {
    std::vector<Bytes> cut;
    for (std::size_t at = 0; at < bytes.size(); at += train.segment_size) {
      const std::size_t length = std::min<std::size_t>(train.segment_size, bytes.size() - at);
      cut.emplace_back(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                       bytes.begin() + static_cast<std::ptrdiff_t>(at + length));
    }
    return cut;
  }
};

class CollectingWire final : public OutboundSink {
 public:
  MutableByteView region() override {
    memory_.assign(kMinWireRegion, 0xee);
    return memory_;
  }
  void send(std::span<const WireTrain> sent) override {
    for (const WireTrain& train : sent) trains.push_back({train, to_bytes(train.bytes)});
  }
  bool bypass(const InnerPacket& packet) override {
    if (!bypass_allowed) return false;
    bypassed.push_back(to_bytes(packet.bytes));
    return true;
  }
  void answer(ByteView packet) override { answers.push_back(to_bytes(packet)); }
  void elsewhere(const InnerPacket& packet, std::uint32_t worker) override {
    handed_over.emplace_back(worker, to_bytes(packet.bytes));
  }

  [[nodiscard]] std::vector<Bytes> packets() const {
    std::vector<Bytes> all;
    for (const SentTrain& train : trains) {
      for (Bytes& packet : train.packets()) all.push_back(std::move(packet));
    }
    return all;
  }

  std::vector<SentTrain> trains;
  std::vector<Bytes> bypassed;
  std::vector<Bytes> answers;
  std::vector<std::pair<std::uint32_t, Bytes>> handed_over;
  bool bypass_allowed = false;

 private:
  Bytes memory_;
};

class CollectingInner final : public InboundSink {
 public:
  void deliver(std::span<const InnerPacket> delivered) override {
    for (std::size_t i = 0; i < delivered.size();) {
      const std::size_t end = i + delivered[i].pieces;
      offloads.push_back(delivered[i].offload);
      packets.emplace_back();
      for (; i < end; ++i)
        packets.back().insert(packets.back().end(), delivered[i].bytes.begin(), delivered[i].bytes.end());
    }
  }
  void ike_message(const net::Path& path, ByteView message) override {
    ike.push_back(to_bytes(message));
    ike_paths.push_back(path);
  }

  std::vector<Bytes> packets;
  std::vector<Offload> offloads;
  std::vector<Bytes> ike;
  std::vector<net::Path> ike_paths;
};

inline std::uint64_t drops(const Engine& engine, std::string_view reason) {
  for (const auto& [name, count] : engine.drop_counters()) {
    if (name == reason) return count;
  }
  return 0;
}

inline std::uint64_t all_drops(const Engine& engine) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : engine.drop_counters()) sum += count;
  return sum;
}

struct NamedSuite {
  const char* name;
  model::EspSuite suite;
};

inline std::vector<NamedSuite> all_suites() {
  using model::EncryptionId;
  using model::EsnId;
  using model::IntegrityId;
  std::vector<NamedSuite> suites;
  const auto add = [&](const char* name, EncryptionId encryption, std::uint16_t bits, IntegrityId integrity,
                       EsnId esn) {
    suites.push_back({name, {.encryption = encryption, .key_bits = bits, .integrity = integrity, .esn = esn}});
  };
  for (const EsnId esn : {EsnId::esn, EsnId::no_esn}) {
    const bool wide = esn == EsnId::esn;
    add(wide ? "aes128gcm16_esn" : "aes128gcm16", EncryptionId::aes_gcm_16, 128, IntegrityId::none, esn);
    add(wide ? "aes256gcm16_esn" : "aes256gcm16", EncryptionId::aes_gcm_16, 256, IntegrityId::none, esn);
    add(wide ? "chacha20_esn" : "chacha20", EncryptionId::chacha20_poly1305, 0, IntegrityId::none, esn);
    add(wide ? "aes128_sha256_esn" : "aes128_sha256", EncryptionId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128, esn);
    add(wide ? "aes256_sha512_esn" : "aes256_sha512", EncryptionId::aes_cbc, 256, IntegrityId::hmac_sha2_512_256, esn);
    add(wide ? "null_sha256_esn" : "null_sha256", EncryptionId::null, 0, IntegrityId::hmac_sha2_256_128, esn);
    add(wide ? "aes128gcm8_esn" : "aes128gcm8", EncryptionId::aes_gcm_8, 128, IntegrityId::none, esn);
    add(wide ? "aes256gcm12_esn" : "aes256gcm12", EncryptionId::aes_gcm_12, 256, IntegrityId::none, esn);
    add(wide ? "aes128ccm8_esn" : "aes128ccm8", EncryptionId::aes_ccm_8, 128, IntegrityId::none, esn);
    add(wide ? "aes192ccm12_esn" : "aes192ccm12", EncryptionId::aes_ccm_12, 192, IntegrityId::none, esn);
    add(wide ? "aes256ccm16_esn" : "aes256ccm16", EncryptionId::aes_ccm_16, 256, IntegrityId::none, esn);
    add(wide ? "aes128ctr_sha1_esn" : "aes128ctr_sha1", EncryptionId::aes_ctr, 128, IntegrityId::hmac_sha1_96, esn);
    add(wide ? "camellia256_xcbc_esn" : "camellia256_xcbc", EncryptionId::camellia_cbc, 256, IntegrityId::aes_xcbc_96,
        esn);
    add(wide ? "camellia128ctr_cmac_esn" : "camellia128ctr_cmac", EncryptionId::camellia_ctr, 128,
        IntegrityId::aes_cmac_96, esn);
    add(wide ? "des3_md5_esn" : "des3_md5", EncryptionId::triple_des, 0, IntegrityId::hmac_md5_96, esn);
    add(wide ? "gmac256_esn" : "gmac256", EncryptionId::null_aes_gmac, 256, IntegrityId::none, esn);
    add(wide ? "aes128ccm8iiv_esn" : "aes128ccm8iiv", EncryptionId::aes_ccm_8_iiv, 128, IntegrityId::none, esn);
    add(wide ? "aes256gcm16iiv_esn" : "aes256gcm16iiv", EncryptionId::aes_gcm_16_iiv, 256, IntegrityId::none, esn);
    add(wide ? "chacha20iiv_esn" : "chacha20iiv", EncryptionId::chacha20_poly1305_iiv, 0, IntegrityId::none, esn);
  }
  return suites;
}

/// Seals any plaintext for an SA, also such as no honest peer would send.
class RawSealer {
 public:
  RawSealer(model::Spi spi, const model::EspSuite& suite, const model::SaKeys& keys) : spi_(spi) {
    const crypto::PacketSuite packet_suite =
        model::packet_suite(suite.encryption, suite.key_bits, suite.integrity).value();
    layout_ = layout_of(packet_suite, suite.esn);
    cipher_ = crypto::make_packet_cipher(packet_suite, keys.encryption.view(), keys.integrity.view()).value();
  }

  /// `text` is what gets encrypted, padding and trailer included; a multiple of `layout().alignment`.
  [[nodiscard]] Bytes seal(std::uint64_t sequence, ByteView text) {
    Bytes packet(layout_.head() + text.size() + layout_.icv);
    store_be32(packet.data(), spi_.value());
    store_be32(packet.data() + 4, static_cast<std::uint32_t>(sequence));
    for (std::size_t i = 0; i < layout_.iv; ++i) {
      packet[kEspHeaderSize + i] = static_cast<std::uint8_t>(sequence >> (8 * (i % 8)));
    }
    std::copy(text.begin(), text.end(), packet.begin() + static_cast<std::ptrdiff_t>(layout_.head()));
    EspScratch scratch{};
    crypto::PacketJob job;
    make_esp_job(layout_, packet.data(), text.size(), sequence, scratch, job);
    cipher_->seal({&job, 1});
    return packet;
  }
  /// The packet with the trailer that RFC 4303 2.4 wants.
  [[nodiscard]] Bytes seal_inner(std::uint64_t sequence, ByteView inner, net::IpProtocol next_header) {
    Bytes text = to_bytes(inner);
    const std::size_t padding = layout_.padded(text.size()) - text.size() - kEspTrailerSize;
    for (std::size_t i = 1; i <= padding; ++i) text.push_back(static_cast<std::uint8_t>(i));
    text.push_back(static_cast<std::uint8_t>(padding));
    text.push_back(static_cast<std::uint8_t>(next_header));
    return seal(sequence, text);
  }
  [[nodiscard]] const EspLayout& layout() const { return layout_; }

 private:
  model::Spi spi_;
  EspLayout layout_;
  std::unique_ptr<crypto::PacketCipher> cipher_;
};

/// Alice and Bob, joined by nothing: a test carries the packets. Each has the rule `local` <-> `remote`, protect.
class TwoEngines {
 public:
  static constexpr model::ConnectionId kConnection{7};
  static constexpr PolicyId kPolicy{3};

  explicit TwoEngines(const EngineOptions& options = {}, std::uint64_t seed = 1)
      : random(seed),
        alice_spis(options.spi_layout, random),
        bob_spis(options.spi_layout, random),
        alice(options, random),
        bob(options, random) {}

  void set_policies() {
    alice.set_policies({{kPolicy, PolicyAction::protect, alice_side, bob_side, kConnection}});
    bob.set_policies({{kPolicy, PolicyAction::protect, bob_side, alice_side, kConnection}});
  }

  /// Both halves of a pair with fresh keys, as IKE would make them.
  std::pair<model::ChildSaParams, model::ChildSaParams> make_pair(std::uint64_t id, const model::EspSuite& suite) {
    const crypto::SuiteSizes sizes =
        crypto::sizes_of(model::packet_suite(suite.encryption, suite.key_bits, suite.integrity).value());
    const Bytes to_bob = random_bytes(random, sizes.encryption_key);
    const Bytes to_bob_mac = random_bytes(random, sizes.integrity_key);
    const Bytes to_alice = random_bytes(random, sizes.encryption_key);
    const Bytes to_alice_mac = random_bytes(random, sizes.integrity_key);
    const model::Spi alice_spi = alice_spis.allocate().value();
    const model::Spi bob_spi = bob_spis.allocate().value();
    const auto keys = [](ByteView encryption, ByteView integrity) {
      return model::SaKeys{SecretBytes::copy_of(encryption), SecretBytes::copy_of(integrity)};
    };
    model::ChildSaParams a;
    a.id = model::ChildSaId{id};
    a.connection = kConnection;
    a.spi_inbound = alice_spi;
    a.spi_outbound = bob_spi;
    a.suite = suite;
    a.inbound = keys(to_alice, to_alice_mac);
    a.outbound = keys(to_bob, to_bob_mac);
    a.path = path;
    a.local = alice_side;
    a.remote = bob_side;
    model::ChildSaParams b;
    b.id = a.id;
    b.connection = kConnection;
    b.role = model::Role::responder;
    b.spi_inbound = bob_spi;
    b.spi_outbound = alice_spi;
    b.suite = suite;
    b.inbound = keys(to_bob, to_bob_mac);
    b.outbound = keys(to_alice, to_alice_mac);
    b.path = {path.remote, path.local};
    b.local = bob_side;
    b.remote = alice_side;
    return {std::move(a), std::move(b)};
  }

  void install(std::uint64_t id, const model::EspSuite& suite = {}, const model::PacketTreatment& treatment = {}) {
    auto [a, b] = make_pair(id, suite);
    a.treatment = b.treatment = treatment;
    CHECK(alice.install(std::move(a), now).has_value());
    CHECK(bob.install(std::move(b), now).has_value());
  }

  /// What Alice makes of these packets.
  CollectingWire alice_sends(const std::vector<Bytes>& packets, const Offload& offload = {}) {
    return sends(alice, packets, offload);
  }
  CollectingWire sends(Engine& engine, const std::vector<Bytes>& packets, const Offload& offload = {}) {
    std::vector<InnerBuffer> buffers;
    std::vector<InnerPacket> views;
    buffers.reserve(packets.size());
    for (const Bytes& packet : packets) views.push_back(buffers.emplace_back(packet, offload).view());
    CollectingWire wire;
    engine.outbound(views, now, wire);
    return wire;
  }

  /// What Bob makes of these ESP packets, each as a datagram of its own.
  CollectingInner bob_receives(const std::vector<Bytes>& packets, std::uint8_t tos = 0) {
    return receives(bob, {path.remote, path.local}, packets, tos);
  }
  CollectingInner receives(Engine& engine, const net::Path& on, std::vector<Bytes> packets, std::uint8_t tos = 0) {
    std::vector<WireInput> inputs;
    for (Bytes& packet : packets) inputs.push_back({.path = on, .tos = tos, .bytes = packet});
    CollectingInner inner;
    engine.inbound(inputs, now, inner);
    return inner;
  }
  /// The same as GRO trains.
  CollectingInner bob_receives_trains(std::vector<SentTrain> trains) {
    std::vector<WireInput> inputs;
    for (SentTrain& train : trains) {
      inputs.push_back({.path = {path.remote, path.local},
                        .encapsulation = train.train.encapsulation,
                        .tos = train.train.tos,
                        .segment_size = train.train.segment_size,
                        .bytes = train.bytes});
    }
    CollectingInner inner;
    bob.inbound(inputs, now, inner);
    return inner;
  }

  std::vector<DataPlaneEvent> events(Engine& engine) {
    std::vector<DataPlaneEvent> all;
    while (auto event = engine.poll_event()) all.push_back(std::move(*event));
    return all;
  }

  net::Path path{{address("192.0.2.1"), 4500}, {address("192.0.2.2"), 4500}};
  model::TrafficSelectors alice_side{selector("10.1.0.0/16"), selector("2001:db8:1::/48")};
  model::TrafficSelectors bob_side{selector("10.2.0.0/16"), selector("2001:db8:2::/48")};
  Flow v4{address("10.1.0.1"), address("10.2.0.1")};
  Flow v6{address("2001:db8:1::1"), address("2001:db8:2::1")};
  Instant now{};
  SeededRandom random;
  SpiAllocator alice_spis;
  SpiAllocator bob_spis;
  Engine alice;
  Engine bob;
};

template <typename Event>
std::vector<Event> only(const std::vector<DataPlaneEvent>& events) {
  std::vector<Event> found;
  for (const DataPlaneEvent& event : events) {
    if (const auto* const match = std::get_if<Event>(&event)) found.push_back(*match);
  }
  return found;
}

}  // namespace culvert::ipsec::test_kit
