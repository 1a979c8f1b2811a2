#include "datapath/offload.hpp"

#include <gtest/gtest.h>

namespace culvert::datapath {
namespace {

using Segmentation = ipsec::Offload::Segmentation;

TEST(Offload, EveryKindSurvivesTheWayThere) {
  for (const auto kind : {Segmentation::none, Segmentation::tcp4, Segmentation::tcp6, Segmentation::udp}) {
    ipsec::Offload offload;
    offload.segmentation = kind;
    if (kind != Segmentation::none) {
      offload.segment_size = 1348;
      offload.header_length = 52;
      offload.checksum_partial = true;
      offload.checksum_start = 20;
      offload.checksum_offset = 16;
    }
    const auto back = decode_offload(encode_offload(offload));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->segmentation, kind);
    EXPECT_EQ(back->segment_size, offload.segment_size);
    EXPECT_EQ(back->checksum_partial, offload.checksum_partial);
    EXPECT_EQ(back->checksum_start, offload.checksum_start);
    EXPECT_EQ(back->checksum_offset, offload.checksum_offset);
    EXPECT_FALSE(back->checksum_valid);
  }
}

TEST(Offload, WhatWasNotAskedForIsRefused) {
  io::VirtioNetHeader header;
  header.gso_type = 3;  // VIRTIO_NET_HDR_GSO_UDP: fragmentation offload, gone from the kernel
  header.gso_size = 1000;
  EXPECT_FALSE(decode_offload(header));
  header.gso_type = io::kVirtioGsoTcp4;
  header.gso_size = 0;
  EXPECT_FALSE(decode_offload(header)) << "a super-packet without a segment size";
}

TEST(Offload, TheEcnBitBelongsToTcpAndIsReadFromTheHeaderInstead) {
  io::VirtioNetHeader header;
  header.gso_type = io::kVirtioGsoTcp6 | io::kVirtioGsoEcn;
  header.gso_size = 1000;
  const auto offload = decode_offload(header);
  ASSERT_TRUE(offload);
  EXPECT_EQ(offload->segmentation, Segmentation::tcp6);
}

TEST(Offload, AVerifiedChecksumIsSaidSo) {
  ipsec::Offload offload;
  offload.checksum_valid = true;
  EXPECT_EQ(encode_offload(offload).flags, io::kVirtioDataValid);
  offload.checksum_partial = true;
  EXPECT_EQ(encode_offload(offload).flags, io::kVirtioNeedsChecksum) << "partial wins: there is still one to compute";
}

}  // namespace
}  // namespace culvert::datapath
