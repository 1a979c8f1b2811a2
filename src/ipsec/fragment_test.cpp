#include "ipsec/fragment.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/reassembler.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

net::PacketInfo info_of(ByteView packet) { return net::parse_packet(packet).value(); }

std::vector<Bytes> cut(ByteView packet, std::size_t longest) {
  std::vector<Bytes> fragments;
  const auto cutter = FragmentCutter::make(packet, info_of(packet), longest, 0xabcd1234);
  if (!cutter) return fragments;
  std::size_t total = 0;
  for (std::size_t i = 0; i < cutter->count(); ++i) {
    Bytes& fragment = fragments.emplace_back(cutter->length(i));
    cutter->write(i, fragment.data());
    total += fragment.size();
  }
  EXPECT_EQ(total, cutter->total_length());
  return fragments;
}

Bytes with_v4_options(const Bytes& packet, const Bytes& options) {
  Bytes changed(packet.begin(), packet.begin() + 20);
  changed.insert(changed.end(), options.begin(), options.end());
  changed.insert(changed.end(), packet.begin() + 20, packet.end());
  changed[0] = static_cast<std::uint8_t>(0x40 | ((20 + options.size()) / 4));
  store_be16(changed.data() + 2, static_cast<std::uint16_t>(changed.size()));
  store_be16(changed.data() + 10, 0);
  store_be16(changed.data() + 10, net::ipv4_header_checksum({changed.data(), 20 + options.size()}));
  return changed;
}

/// `chain`: extension headers whose first names what follows it; `first` is the header number of the chain's first.
Bytes with_v6_extensions(const Bytes& packet, std::uint8_t first, const Bytes& chain) {
  Bytes changed(packet.begin(), packet.begin() + 40);
  changed.insert(changed.end(), chain.begin(), chain.end());
  changed.insert(changed.end(), packet.begin() + 40, packet.end());
  changed[6] = first;
  store_be16(changed.data() + 4, static_cast<std::uint16_t>(changed.size() - 40));
  return changed;
}

const Flow kV4{address("10.1.0.1"), address("10.2.0.1"), 1000, 2000, 0, false, 0x77aa};
const Flow kV6{address("2001:db8:1::1"), address("2001:db8:2::1")};

TEST(FragmentCutter, Ipv4FragmentsFitAndSayWhereTheyBelong) {
  const Bytes packet = udp_packet(kV4, Bytes(2000, 7));
  const std::vector<Bytes> fragments = cut(packet, 576);
  ASSERT_EQ(fragments.size(), 4U);
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const net::PacketInfo info = info_of(fragments[i]);
    const auto fields = fragment_fields(fragments[i], info);
    ASSERT_TRUE(fields.has_value());
    EXPECT_LE(fragments[i].size(), 576U);
    EXPECT_EQ(fields->offset, next);
    EXPECT_EQ(fields->more, i + 1 < fragments.size());
    EXPECT_EQ(fields->identification, 0x77aaU);
    EXPECT_EQ(fields->protocol, 17);
    EXPECT_EQ(net::ipv4_header_checksum({fragments[i].data(), 20}), 0);
    next = fields->end();
  }
  EXPECT_EQ(next, 2008U);
}

// RFC 791 3.1: an option with the copied bit stands in every fragment, one without in the first only.
TEST(FragmentCutter, OptionsFollowTheCopyBit) {
  const Bytes router_alert{0x94, 4, 0, 0};           // copied
  const Bytes timestamp{0x44, 8, 9, 0, 0, 0, 0, 0};  // not copied
  const Bytes packet =
      with_v4_options(udp_packet(kV4, Bytes(600, 7)), concat({timestamp, Bytes{1}, router_alert, Bytes{0, 0, 0}}));
  const std::vector<Bytes> fragments = cut(packet, 300);
  ASSERT_GE(fragments.size(), 3U);
  EXPECT_EQ(fragments[0][0], 0x49);
  for (std::size_t i = 1; i < fragments.size(); ++i) {
    EXPECT_EQ(fragments[i][0], 0x46);
    EXPECT_EQ(Bytes(fragments[i].begin() + 20, fragments[i].begin() + 24), router_alert);
    EXPECT_EQ(net::ipv4_header_checksum({fragments[i].data(), 24}), 0);
  }
}

// RFC 791 3.2: a fragment that is cut again keeps its place, and says that more follow when they did before.
TEST(FragmentCutter, FragmentsOfFragmentsFitTogether) {
  const Bytes packet = udp_packet(kV4, Bytes(3000, 7));
  std::vector<Bytes> pieces;
  for (const Bytes& fragment : cut(packet, 1400)) {
    std::vector<Bytes> again = cut(fragment, 400);
    if (again.empty()) again.push_back(fragment);
    pieces.insert(pieces.end(), again.begin(), again.end());
  }
  Reassembler reassembler{ReassemblyBounds{}};
  std::optional<Bytes> whole;
  for (const Bytes& piece : pieces) {
    const net::PacketInfo info = info_of(piece);
    whole = reassembler.add(piece, info, fragment_fields(piece, info).value(), Instant{}).value();
  }
  EXPECT_EQ(whole, packet);
}

// RFC 8200 4.5: hop-by-hop and routing headers stay in front of the Fragment header, what is behind is cut.
TEST(FragmentCutter, Ipv6KeepsItsUnfragmentablePart) {
  const Bytes hop_by_hop{60, 0, 1, 4, 0, 0, 0, 0};
  const Bytes options{43, 0, 1, 4, 0, 0, 0, 0};
  const Bytes routing{60, 0, 0, 0, 0, 0, 0, 0};
  const Bytes last_options{17, 0, 1, 4, 0, 0, 0, 0};
  const Bytes packet =
      with_v6_extensions(udp_packet(kV6, Bytes(3000, 7)), 0, concat({hop_by_hop, options, routing, last_options}));
  const std::vector<Bytes> fragments = cut(packet, 1280);
  ASSERT_EQ(fragments.size(), 3U);
  for (const Bytes& fragment : fragments) {
    EXPECT_LE(fragment.size(), 1280U);
    const auto fields = fragment_fields(fragment, info_of(fragment));
    ASSERT_TRUE(fields.has_value());
    EXPECT_EQ(fields->header_length, 64);
    EXPECT_EQ(fields->protocol, 60);
    EXPECT_EQ(fields->identification, 0xabcd1234U);
    EXPECT_EQ(load_be16(fragment.data() + 4), fragment.size() - 40);
  }
}

TEST(FragmentCutter, WhatFitsOrCannotFitIsNotCut) {
  const Bytes packet = udp_packet(kV4, Bytes(100, 7));
  EXPECT_TRUE(cut(packet, packet.size()).empty());
  EXPECT_TRUE(cut(packet, 27).empty());
  EXPECT_FALSE(cut(packet, 28).empty());
  const std::vector<Bytes> of_v6 = cut(udp_packet(kV6, Bytes(2000, 7)), 1280);
  EXPECT_TRUE(cut(of_v6[0], 600).empty());
}

// Property: whatever is cut comes together again, in any order.
TEST(FragmentCutter, CutAndReassembledIsTheOriginal) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SeededRandom random(seed);
    const bool v4 = random.below(2) == 0;
    Bytes packet = udp_packet(v4 ? kV4 : kV6, random_bytes(random, 200 + random.below(9000)));
    if (v4 && random.below(2) == 0) packet = with_v4_options(packet, {0x94, 4, 0, 0, 0x44, 4, 5, 0});
    if (!v4 && random.below(2) == 0) packet = with_v6_extensions(packet, 0, {17, 0, 1, 4, 0, 0, 0, 0});
    std::vector<Bytes> fragments = cut(packet, 180 + random.below(1400));
    if (fragments.empty()) continue;
    for (std::size_t i = fragments.size(); i > 1; --i) std::swap(fragments[i - 1], fragments[random.below(i)]);
    if (fragments.size() > 30) continue;  // out of order these may lie too scattered
    Reassembler reassembler{ReassemblyBounds{}};
    std::optional<Bytes> whole;
    for (std::size_t i = 0; i < fragments.size(); ++i) {
      EXPECT_FALSE(whole.has_value()) << "seed " << seed;
      const net::PacketInfo info = info_of(fragments[i]);
      whole = reassembler.add(fragments[i], info, fragment_fields(fragments[i], info).value(), Instant{}).value();
    }
    EXPECT_EQ(whole, packet) << "seed " << seed;
    EXPECT_EQ(reassembler.bytes(), 0U);
  }
}

TEST(FragmentFields, RefusesWhatMakesNoSense) {
  const std::vector<Bytes> fragments = cut(udp_packet(kV4, Bytes(600, 7)), 300);
  Bytes odd = fragments[1];
  odd.pop_back();
  store_be16(odd.data() + 2, static_cast<std::uint16_t>(odd.size()));
  EXPECT_FALSE(fragment_fields(odd, info_of(odd)).has_value()) << "more follow, but no multiple of 8";
  Bytes empty(fragments[1].begin(), fragments[1].begin() + 20);
  store_be16(empty.data() + 2, 20);
  EXPECT_FALSE(fragment_fields(empty, info_of(empty)).has_value());
  // The "ping of death": an end beyond 65535 octets.
  Bytes beyond = fragments[1];
  store_be16(beyond.data() + 6, 0x1fff);
  EXPECT_FALSE(fragment_fields(beyond, info_of(beyond)).has_value());
}

// RFC 1858 3.2.1: TCP with fragment offset 1 would rewrite the flags.
TEST(FragmentFields, TransportHeadersAreNotRewritten) {
  FragmentFields fields{.offset = 8, .length = 8, .protocol = 6};
  EXPECT_TRUE(rewrites_transport_header(fields));
  fields.offset = 16;
  EXPECT_TRUE(rewrites_transport_header(fields));
  fields.offset = 24;
  EXPECT_FALSE(rewrites_transport_header(fields));
  fields = {.offset = 8, .length = 8, .protocol = 17};
  EXPECT_FALSE(rewrites_transport_header(fields));
  fields = {.offset = 0, .length = 8, .protocol = 6};
  EXPECT_FALSE(rewrites_transport_header(fields));
}

}  // namespace
}  // namespace culvert::ipsec
