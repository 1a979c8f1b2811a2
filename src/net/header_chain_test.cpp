#include "net/header_chain.hpp"

#include <gtest/gtest.h>

#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::net {
namespace {

// An IPv6 header whose chain is these headers, in order, then `last`. Each extension is 8 octets, routing 24.
Bytes chain(const std::vector<IpProtocol>& types, std::uint8_t last) {
  Bytes headers(kIpv6HeaderSize);
  headers[0] = 0x60;
  std::size_t naming = 6;
  for (const IpProtocol type : types) {
    headers[naming] = static_cast<std::uint8_t>(type);
    naming = headers.size();
    headers.resize(headers.size() + (type == IpProtocol::routing ? 24 : 8));
    if (type == IpProtocol::routing) headers[naming + 1] = 2;
  }
  headers[naming] = last;
  return headers;
}

TEST(HeaderChain, InsertionPointIsBehindWhatRoutersRead) {
  using enum IpProtocol;
  const auto point = [](const std::vector<IpProtocol>& types) {
    const Bytes packet = concat({chain(types, 6), Bytes(20)});
    return transport_insertion_point(packet).length;
  };
  EXPECT_EQ(point({}), 40U);
  EXPECT_EQ(point({hop_by_hop}), 48U);
  // RFC 4303 3.1.1: destination options for the last host are protected ...
  EXPECT_EQ(point({destination_options}), 40U);
  EXPECT_EQ(point({hop_by_hop, destination_options}), 48U);
  EXPECT_EQ(point({routing, destination_options}), 64U);
  // ... those for hosts on a route are not.
  EXPECT_EQ(point({destination_options, routing}), 72U);
  EXPECT_EQ(point({hop_by_hop, destination_options, routing, fragment, destination_options}), 88U);
  EXPECT_EQ(transport_insertion_point(chain({}, 6)).next_header_at, 6U);
  EXPECT_EQ(transport_insertion_point(concat({chain({hop_by_hop}, 6), Bytes(20)})).next_header_at, 40U);
}

TEST(HeaderChain, EndIsFoundOnlyWhereHeadersFill) {
  const Bytes headers = chain({IpProtocol::hop_by_hop, IpProtocol::routing}, 51);
  const auto end = chain_end(headers);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->length, headers.size());
  EXPECT_EQ(end->next_header_at, 48U);
  for (std::size_t size = 0; size < headers.size(); ++size) {
    const bool ends_here = size == 40 || size == 48;
    EXPECT_EQ(chain_end(ByteView(headers).first(size)).has_value(), ends_here) << size;
  }
  Bytes four(24);
  four[0] = 0x46;
  EXPECT_TRUE(chain_end(four).has_value());
  four[0] = 0x45;
  EXPECT_FALSE(chain_end(four).has_value());
  four[0] = 0x76;
  EXPECT_FALSE(chain_end(four).has_value());
}

TEST(HeaderChain, ClosingMakesLengthProtocolAndChecksum) {
  Bytes four(24, 0x33);
  four[0] = 0x46;
  close_chain(four, 9, 51, 1000);
  EXPECT_EQ(load_be16(four.data() + 2), 1000);
  EXPECT_EQ(four[9], 51);
  EXPECT_EQ(ipv4_header_checksum(four), 0);
  Bytes six = chain({IpProtocol::hop_by_hop}, 6);
  close_chain(six, 40, 50, 1000);
  EXPECT_EQ(load_be16(six.data() + 4), 960);
  EXPECT_EQ(six[40], 50);
  EXPECT_EQ(six[6], 0);
}

TEST(HeaderChain, FinalDestinationFollowsRoutes) {
  Bytes four(32);
  four[0] = 0x48;
  four[19] = 1;
  const Bytes route{1, 131, 11, 4, 10, 0, 0, 2, 10, 0, 0, 3};
  std::copy(route.begin(), route.end(), four.begin() + 20);
  EXPECT_EQ(final_destination(four).to_string(), "10.0.0.3");
  four[23] = 12;  // the pointer behind the route: used up
  EXPECT_EQ(final_destination(four).to_string(), "0.0.0.1");
  Bytes six = chain({IpProtocol::hop_by_hop, IpProtocol::routing}, 6);
  six[39] = 1;
  six[71] = 9;
  EXPECT_EQ(final_destination(six).to_string(), "::1");
  six[51] = 1;  // segments left
  EXPECT_EQ(final_destination(six).to_string(), "::9");
}

}  // namespace
}  // namespace culvert::net
