#include "net/header_writer.hpp"

#include <gtest/gtest.h>

#include "net/checksum.hpp"
#include "net/packet.hpp"

namespace culvert::net {
namespace {

const IpHeader kHeader4{.source = IpAddress::v4({192, 168, 0, 1}),
                        .destination = IpAddress::v4({192, 168, 0, 199}),
                        .protocol = 17,
                        .dont_fragment = true,
                        .payload_length = 95};

TEST(HeaderWriter, Ipv4) {
  Bytes out(20, 0xee);
  write_ip_header(out.data(), kHeader4);
  EXPECT_EQ(to_hex(out), "45000073000040004011b861c0a80001c0a800c7");
}

TEST(HeaderWriter, Ipv6) {
  Bytes out(40, 0xee);
  write_ip_header(out.data(), {.source = *IpAddress::parse("2001:db8::1"),
                               .destination = *IpAddress::parse("2001:db8::2"),
                               .protocol = 50,
                               .tos = 0xb9,
                               .ttl = 7,
                               .payload_length = 0x1234});
  EXPECT_EQ(to_hex(out),
            "6b90000012343207"
            "20010db8000000000000000000000001"
            "20010db8000000000000000000000002");
}

TEST(HeaderWriter, UdpAndItsChecksum) {
  Bytes datagram(12);
  write_udp_header(datagram.data(), 4500, 500, 4);
  EXPECT_EQ(to_hex(datagram), "119401f4000c000000000000");
  const std::uint16_t checksum = udp_checksum(kHeader4.source, kHeader4.destination, datagram);
  store_be16(datagram.data() + 6, checksum);
  EXPECT_EQ(checksum_finish(checksum_add(pseudo_header_sum(kHeader4.source, kHeader4.destination, 17, 12), datagram)),
            0);
}

// RFC 768: a computed checksum of zero is sent as all ones, since zero means "none".
TEST(HeaderWriter, UdpChecksumIsNeverZero) {
  Bytes datagram(10);
  write_udp_header(datagram.data(), 1, 2, 2);
  const std::uint16_t without = udp_checksum(kHeader4.source, kHeader4.destination, datagram);
  store_be16(datagram.data() + 8, without);  // now the words sum to all ones
  EXPECT_EQ(udp_checksum(kHeader4.source, kHeader4.destination, datagram), 0xffff);
}

TEST(HeaderWriter, ChangesKeepTheIpv4ChecksumRight) {
  Bytes out(115);
  write_ip_header(out.data(), kHeader4);
  for (unsigned value = 0; value < 256; ++value) {
    set_tos(out, static_cast<std::uint8_t>(value));
    set_ttl(out, static_cast<std::uint8_t>(value * 7));
    ASSERT_EQ(ipv4_header_checksum(ByteView(out).first(20)), 0) << value;
    ASSERT_EQ(out[1], value);
    ASSERT_EQ(out[8], static_cast<std::uint8_t>(value * 7));
  }
  EXPECT_EQ(out[0], 0x45);
  EXPECT_EQ(out[9], 17);
}

TEST(HeaderWriter, ChangesLeaveTheRestOfAnIpv6Header) {
  Bytes out(40);
  write_ip_header(out.data(),
                  {.source = *IpAddress::parse("::1"), .destination = *IpAddress::parse("::2"), .protocol = 59});
  store_be32(out.data(), 0x600abcde);  // a flow label
  set_tos(out, 0x5a);
  set_ttl(out, 9);
  EXPECT_EQ(load_be32(out.data()), 0x65aabcdeu);
  EXPECT_EQ(parse_packet(out)->tos, 0x5a);
  EXPECT_EQ(parse_packet(out)->ttl, 9);
}

}  // namespace
}  // namespace culvert::net
