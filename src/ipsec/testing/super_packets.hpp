// Super-packets as TUN gets them: what their tests have in common. Header only; never part of the product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "ipsec/packet_io.hpp"
#include "ipsec/segmenter.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec::test_kit {

inline constexpr std::uint8_t kAck = 0x10;
inline constexpr std::uint8_t kAckPush = 0x18;
inline constexpr std::size_t kGap = 60;  // what ESP leaves between two inner packets of a train

/// Each packet's pieces put together in `bytes`, and a list in which it has one.
inline void put_together(const std::vector<InnerPacket>& list, std::vector<InnerPacket>& whole,
                         std::vector<Bytes>& bytes) {
  whole.clear();
  bytes.clear();
  bytes.reserve(list.size());
  for (std::size_t i = 0; i < list.size();) {
    const std::size_t end = i + list[i].pieces;
    ASSERT_LE(end, list.size());
    const Offload offload = list[i].offload;
    Bytes& all = bytes.emplace_back();
    for (; i < end; ++i) all.insert(all.end(), list[i].bytes.begin(), list[i].bytes.end());
    whole.push_back({all, offload});
  }
}

/// Everything cut again as the kernel would.
inline std::vector<Bytes> cut(const std::vector<InnerPacket>& list) {
  std::vector<Bytes> out;
  for (const InnerPacket& packet : list) {
    const auto plan = Segmenter::make(packet, net::parse_packet(packet.bytes).value());
    EXPECT_TRUE(plan.has_value());
    for (std::uint32_t i = 0; plan && i < plan->count(); ++i) {
      out.emplace_back(plan->length(i));
      plan->write(i, out.back().data());
    }
  }
  return out;
}

}  // namespace culvert::ipsec::test_kit
