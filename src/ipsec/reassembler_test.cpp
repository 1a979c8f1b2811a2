#include "ipsec/reassembler.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;
using namespace test_kit;

std::vector<Bytes> fragments_of(const Bytes& packet, std::size_t longest, std::uint32_t id = 9) {
  const auto cutter = FragmentCutter::make(packet, net::parse_packet(packet).value(), longest, id).value();
  std::vector<Bytes> fragments;
  for (std::size_t i = 0; i < cutter.count(); ++i) {
    cutter.write(i, fragments.emplace_back(cutter.length(i)).data());
  }
  return fragments;
}

class Reassembly {
 public:
  explicit Reassembly(const ReassemblyBounds& bounds = {}) : reassembler(bounds) {}
  Result<std::optional<Bytes>, ReassemblyError> add(const Bytes& fragment) {
    const net::PacketInfo info = net::parse_packet(fragment).value();
    return reassembler.add(fragment, info, fragment_fields(fragment, info).value(), now);
  }
  Reassembler reassembler;
  Instant now{};
};

const Flow kV4{address("10.1.0.1"), address("10.2.0.1"), 1000, 2000, 0, false, 0x77aa};
const Flow kV6{address("2001:db8:1::1"), address("2001:db8:2::1")};

TEST(Reassembler, TakesAnyOrderAndDuplicates) {
  for (const Flow& flow : {kV4, kV6}) {
    const Bytes packet = udp_packet(flow, Bytes(3000, 5));
    const std::vector<Bytes> fragments = fragments_of(packet, 1280);
    ASSERT_EQ(fragments.size(), 3U);
    Reassembly run;
    EXPECT_EQ(run.add(fragments[2]).value(), std::nullopt);
    EXPECT_EQ(run.add(fragments[2]).value(), std::nullopt);
    EXPECT_EQ(run.add(fragments[1]).value(), std::nullopt);
    EXPECT_EQ(run.add(fragments[0]).value(), packet);
    EXPECT_EQ(run.reassembler.packets(), 0U);
    EXPECT_EQ(run.reassembler.bytes(), 0U);
  }
}

// RFC 5722 4, RFC 8200 4.5: one overlap and the whole packet is gone, what is still to come included.
TEST(Reassembler, AnOverlapEndsThePacket) {
  const std::vector<Bytes> fragments = fragments_of(udp_packet(kV4, Bytes(3000, 5)), 1280);
  Bytes shifted = fragments[1];
  store_be16(shifted.data() + 6, load_be16(shifted.data() + 6) - 1);
  Bytes altered = fragments[1];
  altered[100] ^= 1;
  for (const Bytes& bad : {shifted, altered}) {
    Reassembly run;
    ASSERT_TRUE(run.add(fragments[0]).has_value());
    ASSERT_TRUE(run.add(fragments[1]).has_value());
    EXPECT_EQ(run.add(bad).error(), ReassemblyError::overlap);
    EXPECT_EQ(run.add(fragments[2]).error(), ReassemblyError::overlap);
    EXPECT_EQ(run.reassembler.bytes(), 0U);
    run.now += 30s;
    EXPECT_EQ(run.reassembler.expire(run.now), 2U);
    EXPECT_TRUE(run.add(fragments[2]).has_value()) << "forgotten with time";
  }
}

TEST(Reassembler, StaysInItsBounds) {
  Reassembly few({.packets = 2});
  for (std::uint32_t id = 1; id <= 3; ++id) {
    EXPECT_TRUE(few.add(fragments_of(udp_packet(kV6, Bytes(3000, 5)), 1280, id)[0]).has_value());
    few.now += 1s;
  }
  EXPECT_EQ(few.reassembler.packets(), 2U);
  EXPECT_EQ(few.reassembler.expire(few.now), 1U) << "the oldest gave way";

  Reassembly small({.bytes = 2000});
  const std::vector<Bytes> fragments = fragments_of(udp_packet(kV4, Bytes(3000, 5)), 1280);
  EXPECT_TRUE(small.add(fragments[0]).has_value());
  EXPECT_EQ(small.add(fragments[1]).error(), ReassemblyError::limit);
  EXPECT_EQ(small.reassembler.bytes(), 0U);

  Reassembly tiny({.fragments = 4});
  const std::vector<Bytes> many = fragments_of(udp_packet(kV4, Bytes(600, 5)), 100);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(tiny.add(many[i]).has_value());
  EXPECT_EQ(tiny.add(many[4]).error(), ReassemblyError::limit);
}

TEST(Reassembler, ForgetsAfterItsTime) {
  Reassembly run;
  const std::vector<Bytes> fragments = fragments_of(udp_packet(kV4, Bytes(3000, 5)), 1280);
  EXPECT_TRUE(run.add(fragments[0]).has_value());
  EXPECT_EQ(run.reassembler.next_expiry(), run.now + 30s);
  run.now += 30s;
  EXPECT_EQ(run.reassembler.expire(run.now), 1U);
  EXPECT_EQ(run.reassembler.next_expiry(), std::nullopt);
  EXPECT_EQ(run.reassembler.bytes(), 0U);
}

// RFC 3168 5.3.
TEST(Reassembler, CongestionOfOneFragmentIsCongestionOfThePacket) {
  Flow flow = kV4;
  flow.tos = 2;
  const Bytes packet = udp_packet(flow, Bytes(2000, 5));
  std::vector<Bytes> fragments = fragments_of(packet, 1280);
  net::set_tos(fragments[1], 3);
  Reassembly run;
  EXPECT_TRUE(run.add(fragments[0]).has_value());
  const auto whole = run.add(fragments[1]).value();
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ((*whole)[1], 3);
  EXPECT_EQ(net::ipv4_header_checksum({whole->data(), 20}), 0);

  net::set_tos(fragments[0], 0);
  Reassembly mixed;
  EXPECT_TRUE(mixed.add(fragments[0]).has_value());
  EXPECT_EQ(mixed.add(fragments[1]).error(), ReassemblyError::ecn);
}

// Random fragments of few packets: never more than the bounds, never an octet that was not sent.
TEST(Reassembler, RandomFragmentsStayInBounds) {
  const ReassemblyBounds bounds{.packets = 8, .fragments = 8, .bytes = 8192, .age = 5s};
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SeededRandom random(seed);
    Reassembly run(bounds);
    for (int step = 0; step < 400; ++step) {
      Flow flow = kV4;
      flow.identification = static_cast<std::uint16_t>(random.below(12));
      Bytes fragment = with_ip_header(flow, net::IpProtocol::gre, Bytes(8 * (1 + random.below(20)), 1));
      store_be16(fragment.data() + 6, static_cast<std::uint16_t>((random.below(2) << 13) | random.below(40)));
      const net::PacketInfo info = net::parse_packet(fragment).value();
      const auto fields = info.is_fragment ? fragment_fields(fragment, info) : std::nullopt;
      if (!fields) continue;
      const auto whole = run.reassembler.add(fragment, info, *fields, run.now);
      if (whole && *whole) {
        const auto parsed = net::parse_packet(**whole);
        ASSERT_TRUE(parsed.has_value()) << "seed " << seed;
        EXPECT_EQ(parsed->total_length, (*whole)->size());
        EXPECT_FALSE(parsed->is_fragment);
      }
      EXPECT_LE(run.reassembler.packets(), bounds.packets);
      EXPECT_LE(run.reassembler.bytes(), bounds.bytes);
      run.now += 100ms;
      run.reassembler.expire(run.now);
    }
    run.reassembler.expire(run.now + 1h);
    EXPECT_EQ(run.reassembler.bytes(), 0U);
  }
}

}  // namespace
}  // namespace culvert::ipsec
