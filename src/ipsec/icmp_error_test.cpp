#include "ipsec/icmp_error.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

const Flow kV4{address("10.1.0.1"), address("10.2.0.1")};
const Flow kV6{address("2001:db8:1::1"), address("2001:db8:2::1")};

net::PacketInfo info_of(ByteView packet) { return net::parse_packet(packet).value(); }

/// An error of `type` from `router` to `to`, quoting `quoted`.
Bytes error_about(const net::IpAddress& router, const net::IpAddress& to, std::uint8_t type, ByteView quoted) {
  const Bytes body = concat({Bytes{type, 0, 0, 0, 0, 0, 0, 0}, quoted});
  return with_ip_header({router, to}, router.is_v4() ? net::IpProtocol::icmp : net::IpProtocol::icmpv6, body);
}

TEST(IcmpError, ErrorsAreToldFromOtherMessages) {
  for (const int type : {3, 4, 5, 11, 12}) {
    EXPECT_TRUE(is_icmp_error(info_of(error_about(kV4.source, kV4.destination, static_cast<std::uint8_t>(type), {}))));
  }
  for (const int type : {0, 8, 13, 255}) {
    EXPECT_FALSE(is_icmp_error(info_of(error_about(kV4.source, kV4.destination, static_cast<std::uint8_t>(type), {}))));
  }
  EXPECT_TRUE(is_icmp_error(info_of(error_about(kV6.source, kV6.destination, 1, {}))));
  EXPECT_FALSE(is_icmp_error(info_of(error_about(kV6.source, kV6.destination, 128, {}))));
  EXPECT_FALSE(is_icmp_error(info_of(udp_packet(kV4, {}))));
}

// RFC 4301 6.2: addresses and ports of the quoted packet are turned round.
TEST(IcmpError, TheQuotedPacketIsReadAndTurnedRound) {
  for (const Flow& flow : {kV4, kV6}) {
    const net::IpAddress router = flow.source.is_v4() ? address("192.0.2.9") : address("2001:db8:9::9");
    const Bytes quoted = udp_packet(flow, Bytes(100, 1));
    const std::size_t header = net::ip_header_size(flow.source.family());
    // The router quotes eight octets of what follows the IP header, no more.
    const Bytes error =
        error_about(router, flow.source, flow.source.is_v4() ? 11 : 3, ByteView(quoted).first(header + 8));
    const auto turned = quoted_flow(error, info_of(error));
    ASSERT_TRUE(turned.has_value());
    EXPECT_EQ(turned->source, flow.destination);
    EXPECT_EQ(turned->destination, flow.source);
    EXPECT_EQ(turned->protocol, 17);
    EXPECT_TRUE(turned->ports_visible);
    EXPECT_EQ(turned->source_port, flow.destination_port);
    EXPECT_EQ(turned->destination_port, flow.source_port);
    const Bytes astray = error_about(router, router, 3, quoted);
    EXPECT_FALSE(quoted_flow(astray, info_of(astray)).has_value()) << "not to the sender of what it quotes";
    for (std::size_t size = 0; size < header + 8; ++size) {
      const Bytes shorter = error_about(router, flow.source, 3, ByteView(quoted).first(size));
      const auto less = quoted_flow(shorter, info_of(shorter));
      EXPECT_EQ(less.has_value(), size >= header);
      if (less) {
        EXPECT_EQ(less->ports_visible, size >= header + 4);
      }
    }
  }
}

TEST(IcmpError, Ipv6ExtensionHeadersAreSkipped) {
  Bytes quoted = udp_packet(kV6, {});
  const Bytes chain{44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 5};
  quoted.insert(quoted.begin() + 40, chain.begin(), chain.end());
  quoted[6] = 0;
  const Bytes error = error_about(address("2001:db8:9::9"), kV6.source, 1, quoted);
  const auto flow = quoted_flow(error, info_of(error));
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->protocol, 17);
  EXPECT_EQ(flow->source_port, kV6.destination_port);
}

TEST(IcmpError, TooLongIsAWholeRightMessage) {
  for (const Flow& flow : {kV4, kV6}) {
    const Bytes packet = udp_packet(flow, Bytes(1472, 9));
    std::array<std::uint8_t, kMaxIcmpError> out{};
    const auto size = make_too_long_error(packet, info_of(packet), 1390, out);
    ASSERT_TRUE(size.has_value());
    const Bytes error(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*size));
    const net::PacketInfo info = info_of(error);
    const bool v4 = flow.source.is_v4();
    EXPECT_EQ(info.total_length, v4 ? 576U : 1280U);
    EXPECT_EQ(info.source, flow.destination);
    EXPECT_EQ(info.destination, flow.source);
    EXPECT_EQ(info.source_port, v4 ? 0x0304 : 0x0200);
    EXPECT_EQ(load_be16(error.data() + info.header_length + 6), 1390);
    const ByteView icmp = ByteView(error).subspan(info.header_length);
    const std::uint64_t pseudo =
        v4 ? 0 : net::pseudo_header_sum(info.source, info.destination, 58, static_cast<std::uint32_t>(icmp.size()));
    EXPECT_EQ(net::checksum_finish(net::checksum_add(pseudo, icmp)), 0);
    const auto about = quoted_flow(error, info);
    ASSERT_TRUE(about.has_value());
    EXPECT_EQ(about->destination_port, flow.source_port);
  }
}

// RFC 1122 3.2.2, RFC 4443 2.4(e).
TEST(IcmpError, ThereIsNoneAboutErrorsLaterFragmentsAndGroups) {
  std::array<std::uint8_t, kMaxIcmpError> out{};
  const auto made = [&](const Bytes& packet) { return make_too_long_error(packet, info_of(packet), 1300, out); };
  EXPECT_FALSE(made(error_about(kV4.source, kV4.destination, 3, Bytes(1400, 0))).has_value());
  Bytes fragment = udp_packet(kV4, Bytes(1400, 0));
  store_be16(fragment.data() + 6, 0x4001);
  EXPECT_FALSE(made(fragment).has_value());
  for (const char* const group : {"224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0"}) {
    EXPECT_FALSE(made(udp_packet({kV4.source, address(group)}, Bytes(1400, 0))).has_value()) << group;
    EXPECT_FALSE(made(udp_packet({address(group), kV4.destination}, Bytes(1400, 0))).has_value()) << group;
  }
  EXPECT_FALSE(made(udp_packet({kV6.source, address("ff02::1")}, Bytes(1400, 0))).has_value());
  EXPECT_TRUE(made(udp_packet(kV4, Bytes(1400, 0))).has_value());
}

}  // namespace
}  // namespace culvert::ipsec
