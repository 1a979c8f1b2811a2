#include "ipsec/ipcomp.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include "base/random.hpp"

namespace culvert::ipsec {
namespace {

Bytes text_of(std::size_t size) {
  Bytes text;
  while (text.size() < size) {
    for (const char c : std::string_view("the quick brown fox jumps over the lazy dog; ")) {
      text.push_back(static_cast<std::uint8_t>(c));
    }
  }
  text.resize(size);
  return text;
}

Bytes noise_of(std::size_t size) {
  SeededRandom random(size);
  Bytes noise(size);
  random.fill(noise);
  return noise;
}

// A raw DEFLATE stream made with the full window, as other stacks may, behind an IPComp header.
Bytes deflated(ByteView payload, std::uint8_t next_header, std::uint16_t cpi) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(kIpCompHeaderSize + deflateBound(&stream, payload.size()));
  out[0] = next_header;
  store_be16(out.data() + 2, cpi);
  stream.next_in = const_cast<Bytef*>(payload.data());
  stream.avail_in = static_cast<uInt>(payload.size());
  stream.next_out = out.data() + kIpCompHeaderSize;
  stream.avail_out = static_cast<uInt>(out.size() - kIpCompHeaderSize);
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// RFC 3173 3.3: next header, flags 0, CPI; RFC 2394 2: each packet by itself.
TEST(IpComp, RoundTripAndHeader) {
  IpComp ipcomp;
  for (const std::size_t size : {90U, 500U, 1400U, 9000U, 65535U}) {
    const Bytes text = text_of(size);
    Bytes out(size);
    const auto length = ipcomp.compress(text, 6, 0x1234, out.data());
    ASSERT_TRUE(length) << size;
    EXPECT_LT(*length, size);
    EXPECT_EQ(to_hex(ByteView(out).first(4)), "06001234");
    Bytes back(65535);
    const auto opened = ipcomp.decompress(ByteView(out).first(*length), 0x1234, back);
    ASSERT_TRUE(opened) << size;
    EXPECT_EQ(opened->next_header, 6);
    back.resize(opened->length);
    EXPECT_EQ(back, text);
  }
}

// RFC 3173 2.2: what does not shrink is sent as it is.
TEST(IpComp, NeverExpands) {
  IpComp ipcomp;
  for (const std::size_t size : {0U, 1U, 4U, 5U, 6U, 20U, 89U, 1400U}) {
    const Bytes noise = noise_of(size);
    Bytes out(size + 1, 0xaa);
    EXPECT_FALSE(ipcomp.compress(noise, 4, 2, out.data())) << size;
    EXPECT_EQ(out.back(), 0xaa) << "wrote behind its room";
  }
  // At the edge: every length is either shorter than before, or refused.
  for (std::size_t repeated = 0; repeated < 60; ++repeated) {
    Bytes mixed = noise_of(100);
    mixed.insert(mixed.end(), repeated, 7);
    Bytes out(mixed.size());
    const auto length = ipcomp.compress(mixed, 4, 2, out.data());
    EXPECT_LT(length.value_or(0), mixed.size());
    EXPECT_TRUE(length || repeated <= 40) << repeated;
  }
}

TEST(IpComp, OthersStreamsWithTheWholeWindowAndPadding) {
  IpComp ipcomp;
  Bytes text = noise_of(20000);
  text.insert(text.end(), text.begin(), text.begin() + 20000);  // matches reach back 20,000 octets
  Bytes datagram = deflated(text, 41, 0xf000);
  ASSERT_LT(datagram.size(), 21000U);
  datagram.insert(datagram.end(), 13, 0);
  Bytes back(65535);
  const auto opened = ipcomp.decompress(datagram, 0xf000, back);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->next_header, 41);
  back.resize(opened->length);
  EXPECT_EQ(back, text);
}

// A megabyte of zeros in a kilobyte.
TEST(IpComp, BombIsBounded) {
  IpComp ipcomp;
  const Bytes bomb = deflated(Bytes(1'000'000), 4, 2);
  ASSERT_LT(bomb.size(), 2000U);
  Bytes back(65535 + 8, 0x55);
  const auto opened = ipcomp.decompress(bomb, 2, MutableByteView(back).first(65535));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), DropReason::ipcomp_too_long);
  for (std::size_t i = 65535; i < back.size(); ++i) EXPECT_EQ(back[i], 0x55);
  // And the next packet is not the worse for it.
  const Bytes good = deflated(text_of(65535), 4, 2);
  EXPECT_TRUE(ipcomp.decompress(good, 2, MutableByteView(back).first(65535)));
}

TEST(IpComp, BadInput) {
  IpComp ipcomp;
  Bytes back(65535);
  const Bytes good = deflated(text_of(1000), 4, 700);
  const auto refused = [&](ByteView datagram, std::uint16_t cpi) {
    const auto opened = ipcomp.decompress(datagram, cpi, back);
    return !opened && opened.error() == DropReason::ipcomp_malformed;
  };
  EXPECT_TRUE(ipcomp.decompress(good, 700, back));
  EXPECT_TRUE(refused(good, 701));
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_TRUE(refused(ByteView(good).first(length), 700)) << length;
  }
  // Block type 3 does not exist.
  EXPECT_TRUE(refused(from_hex("040002bcffffffff").value(), 700));
  // A match that reaches back before the beginning.
  EXPECT_TRUE(refused(from_hex("040002bc03020000").value(), 700));
  EXPECT_TRUE(ipcomp.decompress(good, 700, back));
}

// RFC 1951 3.2.6 by hand: one block with fixed codes, the literal 'a' (0x91: 8 bits 10010001), end of block.
TEST(IpComp, StreamWrittenByHand) {
  IpComp ipcomp;
  Bytes back(100);
  const auto opened = ipcomp.decompress(from_hex("110000024b0400").value(), 2, back);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->next_header, 17);
  ASSERT_EQ(opened->length, 1U);
  EXPECT_EQ(back[0], 'a');
}

// RFC 3173 3.3: 64 to 255 are reserved, and of the well-known ones only 2 is DEFLATE.
TEST(IpComp, UsableCpis) {
  for (const std::uint16_t cpi : std::initializer_list<std::uint16_t>{2, 256, 61439, 61440, 65535})
    EXPECT_TRUE(cpi_is_usable(cpi)) << cpi;
  for (const std::uint16_t cpi : std::initializer_list<std::uint16_t>{0, 1, 3, 63, 64, 255})
    EXPECT_FALSE(cpi_is_usable(cpi)) << cpi;
}

// RFC 3173 2.2: after i failures the next k are sent without an attempt, and more of them after each further failure.
TEST(CompressionBackoff, PausesGrowAndEnd) {
  CompressionBackoff backoff;
  constexpr std::uint64_t kFlow = 12345;
  std::vector<int> pauses;
  int pause = 0;
  for (int packet = 0; packet < 5000; ++packet) {
    if (backoff.should_try(kFlow)) {
      if (packet > 0) pauses.push_back(pause);
      pause = 0;
      backoff.tell(kFlow, false);
    } else {
      ++pause;
    }
  }
  const std::vector<int> first(pauses.begin(), pauses.begin() + 10);
  EXPECT_EQ(first, (std::vector<int>{0, 0, 0, 8, 16, 32, 64, 128, 256, 512}));
  EXPECT_EQ(pauses.back(), 512);

  while (!backoff.should_try(kFlow)) {
  }
  backoff.tell(kFlow, true);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(backoff.should_try(kFlow));
    backoff.tell(kFlow, false);
  }
  EXPECT_TRUE(backoff.should_try(kFlow));
}

TEST(CompressionBackoff, OtherFlowsGoOn) {
  CompressionBackoff backoff;
  for (int i = 0; i < 4; ++i) backoff.tell(1, false);
  EXPECT_FALSE(backoff.should_try(1));
  EXPECT_TRUE(backoff.should_try(2));
}

}  // namespace
}  // namespace culvert::ipsec
