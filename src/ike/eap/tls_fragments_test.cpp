#include "ike/eap/tls_fragments.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::ike::eap {
namespace {

Bytes fragment(std::uint8_t flags, std::optional<std::uint32_t> length, std::size_t size) {
  ByteWriter out;
  out.u8(flags);
  if (length) out.u32(*length);
  out.zeros(size);
  return out.take();
}

TEST(TlsFragmentsTest, CutAndJoined) {  // RFC 5216 2.1.5, 3.1
  SeededRandom random(3);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kTlsFragment, kTlsFragment + 1, 2 * kTlsFragment,
                                 std::size_t{12345}, kMostTlsMessage}) {
    Bytes message(size);
    random.fill(message);
    TlsFragments from;
    TlsFragments to;
    from.say(message);
    for (;;) {
      const Bytes packet = from.next();
      EXPECT_LE(packet.size(), kTlsFragment + 5);
      const auto received = to.receive(packet);
      ASSERT_TRUE(received) << received.error();
      EXPECT_EQ(received->complete, !from.has_more());
      if (!received->complete) continue;
      EXPECT_TRUE(equal(received->message, message));
      break;
    }
  }
}

TEST(TlsFragmentsTest, Refusals) {
  const auto fault = [](std::initializer_list<Bytes> packets) {
    TlsFragments fragments;
    for (const Bytes& packet : packets) {
      const auto received = fragments.receive(packet);
      if (!received) return received.error();
    }
    return std::string("none");
  };
  EXPECT_EQ(fault({Bytes{}}), "the packet has no flags");
  EXPECT_EQ(fault({fragment(0x01, {}, 3)}), "version 1, where 0 was agreed on");
  EXPECT_EQ(fault({Bytes{0x80, 0, 0}}), "the length is cut off");
  EXPECT_EQ(fault({fragment(0xc0, 0xffffffff, 3)}), "4294967295 octets of TLS; 32768 are taken");
  EXPECT_EQ(fault({fragment(0xc0, 10, 11)}), "more than the 10 octets that were to come");
  EXPECT_EQ(fault({fragment(0xc0, 10, 5), fragment(0, {}, 6)}), "more than the 10 octets that were to come");
  EXPECT_EQ(fault({fragment(0xc0, 10, 5), fragment(0, {}, 4)}), "9 octets of TLS came of 10");
  EXPECT_EQ(fault({fragment(0xc0, 10, 5), fragment(0x80, 11, 5)}), "the length changes from fragment to fragment");
  EXPECT_EQ(fault({fragment(0x40, {}, 5), fragment(0x80, 10, 5)}), "the length comes only behind the first fragment");
  EXPECT_EQ(fault({fragment(0x40, {}, 0)}), "a fragment without anything in it");
  EXPECT_EQ(fault({fragment(0x40, {}, kMostTlsMessage), fragment(0x40, {}, 1)}),
            "more than the 32768 octets that were to come");
  EXPECT_EQ(fault({fragment(0x21, {}, 0)}), "none") << "who begins may offer a later version";
}

}  // namespace
}  // namespace culvert::ike::eap
