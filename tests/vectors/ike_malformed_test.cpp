// Captures that once crashed other decoders, and datagrams of other protocols: all of it is refused, none of it does
// harm.
#include <algorithm>

#include <gtest/gtest.h>

#include "capture.hpp"
#include "ike/codec/parse.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

namespace codec = ike::codec;

/// The octets once as they are, and once with version and length made right, so that the payloads behind the header are
/// read too.
void feed(ByteView octets) {
  (void)codec::parse_message(octets);
  if (octets.size() < codec::kHeaderSize) return;
  Bytes changed = to_bytes(octets);
  changed[7] |= 1;
  changed[17] = 0x20;
  store_be32(changed.data() + 24, static_cast<std::uint32_t>(changed.size()));
  (void)codec::parse_message(changed);
  for (int type = 0; type < 64; ++type) {
    changed[16] = static_cast<std::uint8_t>(type);
    (void)codec::parse_message(changed);
    (void)codec::parse_payload_body(static_cast<model::PayloadType>(type), false, octets);
  }
}

TEST(Malformed, EveryDatagramIsRefused) {
  std::size_t messages = 0;
  for (const char* folder : {"malformed/tcpdump", "malformed/zeek-spicy-ipsec"}) {
    REQUIRE_VECTORS(path, folder);
    for (const auto& file : files_in(folder)) {
      if (file.extension() == ".out") continue;
      for (const Bytes& message : ike_messages(file)) {
        ++messages;
        EXPECT_FALSE(codec::parse_message(message)) << file;
        feed(message);
      }
      for (const Datagram& datagram : udp_datagrams(file)) feed(datagram.payload);
      const Bytes whole = read_file(file);
      for (std::size_t at = 0; at < std::min<std::size_t>(whole.size(), 2000); ++at) feed(ByteView(whole).subspan(at));
    }
  }
  EXPECT_GT(messages, 0U);
}

// RFC 7296 2.5: IKEv1 is another protocol.
TEST(Malformed, IkeV1IsAnUnsupportedVersion) {
  REQUIRE_VECTORS(path, "captures/tcpdump/ISAKMP_sa_setup.pcap");
  const auto messages = ike_messages(path);
  EXPECT_EQ(messages.size(), 9U);
  for (const Bytes& message : messages) {
    const auto parsed = codec::parse_message(message);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().fault, codec::ParseFault::unsupported_version);
    feed(message);
  }
}

// RFC 7296 3.1: the SPI of the initiator is zero in both, and octets are left over or missing.
TEST(Malformed, HandMadeIdentities) {
  for (const char* file : {"captures/tcpdump/ikev2-id-normal.pcap", "captures/tcpdump/ikev2-id-short.pcap"}) {
    REQUIRE_VECTORS(path, file);
    const auto messages = ike_messages(path);
    ASSERT_EQ(messages.size(), 1U);
    Bytes message = messages[0];
    EXPECT_EQ(codec::parse_message(message).error().fault, codec::ParseFault::zero_initiator_spi);
    message[0] = 1;
    EXPECT_FALSE(codec::parse_message(message));
    feed(message);
  }
}

TEST(Malformed, OtherPeersIkeV1) {
  std::size_t messages = 0;
  for (const char* folder : {"captures/libreswan", "captures/suricata-verify/ikev1-rules", "captures/zeek-spicy-ipsec",
                             "captures/suricata-verify/ikev1-duplicate-proposals"}) {
    REQUIRE_VECTORS(path, folder);
    for (const auto& file : files_in(folder)) {
      for (const Bytes& message : ike_messages(file)) {
        ++messages;
        EXPECT_EQ(codec::parse_message(message).error().fault, codec::ParseFault::unsupported_version) << file;
        feed(message);
      }
    }
  }
  EXPECT_EQ(messages, 20U);
}

TEST(Malformed, CutMessagesAreRefused) {
  REQUIRE_VECTORS(path, "captures/wireshark/ikev2-decrypt-aes256gcm16.pcap");
  for (const Bytes& message : ike_messages(path)) {
    for (std::size_t size = 0; size < message.size(); ++size) {
      EXPECT_FALSE(codec::parse_message(ByteView(message).first(size)));
      feed(ByteView(message).first(size));
    }
  }
}

}  // namespace
}  // namespace culvert::vectors
