// Two engines and what does not take the straight way between them: what its tests have in common. Header only; never
// part of the product.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/fragment.hpp"
#include "ipsec/reassembler.hpp"
#include "net/header_writer.hpp"

namespace culvert::ipsec::test_kit {

inline constexpr std::size_t kAroundGcmInUdp = 28 + 8 + 8 + 16;

inline net::PacketInfo info_of(ByteView packet) { return net::parse_packet(packet).value(); }

/// Alice and Bob with one pair whose parameters a test may change first.
class Around : public ::testing::Test {
 protected:
  template <typename Change>
  void install(Change change, bool policies = true) {
    if (policies) pair.set_policies();
    auto [a, b] = pair.make_pair(1, {});
    change(a);
    change(b);
    if (a.local != pair.alice_side || a.remote != pair.bob_side) {
      b.local = a.remote;
      b.remote = a.local;
    }
    spi = a.spi_outbound;
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
  }
  void install_for_path(std::uint16_t mtu, const model::OuterHeader& outer = {}) {
    install([&](model::ChildSaParams& params) {
      params.path_mtu = mtu;
      params.treatment.outer = outer;
    });
  }
  /// Alice and Bob talk over TCP port 80 and UDP port 2000 only.
  void restrict_to_ports() {
    pair.alice_side = {selector("10.1.0.0/16[udp]"), selector("10.1.0.0/16[tcp]")};
    pair.bob_side = {selector("10.2.0.0/16[udp/2000]"), selector("10.2.0.0/16[tcp/80]")};
  }
  std::vector<Bytes> over(const std::vector<Bytes>& packets) {
    return pair.bob_receives(pair.alice_sends(packets).packets()).packets;
  }
  void wait(Duration duration) { pair.now += duration; }

  TwoEngines pair;
  model::Spi spi;
};

inline Flow with_df(Flow flow) {
  flow.dont_fragment = true;
  return flow;
}

inline Bytes udp_of_length(const Flow& flow, std::size_t length) {
  return udp_packet(flow, Bytes(length - net::ip_header_size(flow.source.family()) - net::kUdpHeaderSize, 0x5a));
}

inline std::vector<Bytes> cut(const Bytes& packet, std::size_t longest) {
  const auto cutter = FragmentCutter::make(packet, info_of(packet), longest, 1).value();
  std::vector<Bytes> fragments;
  for (std::size_t i = 0; i < cutter.count(); ++i) cutter.write(i, fragments.emplace_back(cutter.length(i)).data());
  return fragments;
}

inline std::optional<Bytes> join(const std::vector<Bytes>& fragments) {
  Reassembler reassembler{ReassemblyBounds{}};
  std::optional<Bytes> whole;
  for (const Bytes& fragment : fragments) {
    const net::PacketInfo info = info_of(fragment);
    whole = reassembler.add(fragment, info, fragment_fields(fragment, info).value(), Instant{}).value();
  }
  return whole;
}

inline Bytes icmp_error(const net::IpAddress& router, const net::IpAddress& to, std::uint8_t type, ByteView quoted) {
  const Bytes body = concat({Bytes{type, 1, 0, 0, 0, 0, 0, 0}, quoted});
  return with_ip_header({router, to}, router.is_v4() ? net::IpProtocol::icmp : net::IpProtocol::icmpv6, body);
}

}  // namespace culvert::ipsec::test_kit
