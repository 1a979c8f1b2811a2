#include "datapath/handover.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::datapath {
namespace {

Bytes numbered(std::uint32_t number, std::size_t size) {
  Bytes packet(size);
  for (std::size_t i = 0; i < size; ++i) packet[i] = static_cast<std::uint8_t>(number + i);
  store_be32(packet.data(), number);
  return packet;
}

TEST(HandoverRing, InnerPacketsComeOutAsTheyWentInWithRoomAround) {
  HandoverRing ring;
  Bytes packet = numbered(7, 1400);
  const ipsec::Offload offload{.segmentation = ipsec::Offload::Segmentation::tcp4, .segment_size = 1348};
  ASSERT_TRUE(ring.push(ipsec::InnerPacket{.bytes = packet, .offload = offload}));
  EXPECT_FALSE(ring.empty());
  EXPECT_FALSE(ring.settled());
  const auto& batch = ring.take();
  ASSERT_EQ(batch.inner.size(), 1U);
  EXPECT_TRUE(batch.wire.empty() && batch.errors.empty());
  const ipsec::InnerPacket& out = batch.inner[0];
  EXPECT_EQ(to_bytes(out.bytes), packet);
  EXPECT_EQ(out.offload.segmentation, offload.segmentation);
  EXPECT_EQ(out.offload.segment_size, offload.segment_size);
  // AddressSanitizer watches that this is the ring's memory.
  std::fill_n(out.bytes.data() - ipsec::kInnerHeadroom, ipsec::kInnerHeadroom, std::uint8_t{1});
  std::fill_n(out.bytes.data() + out.bytes.size(), ipsec::kInnerTailroom, std::uint8_t{2});
  EXPECT_FALSE(ring.settled()) << "it is not worked up before release";
  ring.release();
  EXPECT_TRUE(ring.settled());
  EXPECT_TRUE(ring.empty());
}

TEST(HandoverRing, WirePacketsAndErrorsKeepWhatWasKnownOfThem) {
  HandoverRing ring;
  const net::Path path{{*net::IpAddress::parse("192.0.2.1"), 4500}, {*net::IpAddress::parse("198.51.100.7"), 40'000}};
  Bytes train = numbered(1, 3000);
  const Bytes header = numbered(2, 40);
  ASSERT_TRUE(ring.push({.path = path,
                         .encapsulation = model::Encapsulation::none,
                         .tos = 3,
                         .hop_limit = 61,
                         .protocol = 51,
                         .ip_header = header,
                         .segment_size = 1500,
                         .bytes = train}));
  const Bytes quoted = numbered(3, 28);
  ASSERT_TRUE(ring.push(OuterError{path, model::Encapsulation::udp, 1280, quoted, 2}));
  const auto& wire = ring.take();
  ASSERT_EQ(wire.wire.size(), 1U);
  EXPECT_TRUE(wire.errors.empty()) << "one kind at a time";
  const ipsec::WireInput& out = wire.wire[0];
  EXPECT_EQ(out.path, path);
  EXPECT_EQ(out.encapsulation, model::Encapsulation::none);
  EXPECT_EQ(out.tos, 3);
  EXPECT_EQ(out.hop_limit, 61);
  EXPECT_EQ(out.protocol, 51);
  EXPECT_EQ(out.segment_size, 1500);
  EXPECT_EQ(to_bytes(out.ip_header), header);
  EXPECT_EQ(to_bytes(out.bytes), train);
  ring.release();
  const auto& errors = ring.take();
  ASSERT_EQ(errors.errors.size(), 1U);
  EXPECT_EQ(errors.errors[0].path, path);
  EXPECT_EQ(errors.errors[0].mtu, 1280);
  EXPECT_EQ(errors.errors[0].asked, 2U);
  EXPECT_EQ(to_bytes(errors.errors[0].quoted), quoted);
  ring.release();
}

TEST(HandoverRing, AFullRingRefusesAndLosesNothingElse) {
  HandoverRing ring(512 * 1024);
  std::uint32_t pushed = 0;
  for (Bytes packet = numbered(0, 1400); ring.push(ipsec::InnerPacket{.bytes = packet});
       packet = numbered(++pushed, 1400)) {
  }
  EXPECT_GT(pushed, 200U);
  std::uint32_t seen = 0;
  while (!ring.empty()) {
    for (const ipsec::InnerPacket& packet : ring.take().inner) {
      EXPECT_EQ(to_bytes(packet.bytes), numbered(seen, 1400));
      ++seen;
    }
    ring.release();
  }
  EXPECT_EQ(seen, pushed);
  Bytes again = numbered(1, 1400);
  EXPECT_TRUE(ring.push(ipsec::InnerPacket{.bytes = again}));
}

// Sizes that never fit evenly, many times around, both threads as fast as they can; ThreadSanitizer looks on.
TEST(HandoverRing, OrderAndContentSurviveTwoThreads) {
  constexpr std::uint32_t kPackets = 50'000;
  HandoverRing ring(512 * 1024);
  const auto size_of = [](std::uint32_t number) {
    return 20 + (number * 2'654'435'761U >> 8) % (number % 50 == 0 ? 60'000 : 1500);
  };
  std::jthread writer([&] {
    for (std::uint32_t number = 0; number < kPackets; ++number) {
      Bytes packet = numbered(number, size_of(number));
      while (!ring.push(ipsec::InnerPacket{.bytes = packet})) std::this_thread::yield();
    }
  });
  std::uint32_t seen = 0;
  std::uint32_t wrong = 0;
  while (seen < kPackets) {
    if (ring.empty()) {
      std::this_thread::yield();
      continue;
    }
    for (const ipsec::InnerPacket& packet : ring.take().inner) {
      if (to_bytes(packet.bytes) != numbered(seen, size_of(seen))) ++wrong;
      ++seen;
    }
    ring.release();
  }
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace culvert::datapath
