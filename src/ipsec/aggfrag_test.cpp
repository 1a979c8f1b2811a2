// The two halves of AGGFRAG against each other and against payloads written by hand: RFC 9347's figures, loss,
// reordering and peers that lie.
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "ipsec/aggfrag_packer.hpp"
#include "ipsec/aggfrag_receiver.hpp"
#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using std::chrono::milliseconds;
using test_kit::random_bytes;

struct Collected final : AggfragOutput {
  void inner_packet(MutableByteView packet, bool packet_in_place) override {
    packets.push_back(to_bytes(packet));
    in_place += packet_in_place ? 1 : 0;
  }
  void dropped(DropReason reason) override { drops.push_back(reason); }
  void lost(std::uint64_t outer_packets) override { outer_lost += outer_packets; }

  [[nodiscard]] std::size_t count(DropReason reason) const {
    return static_cast<std::size_t>(std::count(drops.begin(), drops.end(), reason));
  }
  [[nodiscard]] std::vector<std::size_t> lengths() const {
    std::vector<std::size_t> all;
    for (const Bytes& packet : packets) all.push_back(packet.size());
    return all;
  }

  std::vector<Bytes> packets;
  std::vector<DropReason> drops;
  std::uint64_t outer_lost = 0;
  int in_place = 0;
};

// An IPv4 or IPv6 packet of `size` octets that starts its payload with `tag`. Only version and length matter here.
Bytes packet_of(std::size_t size, std::uint32_t tag, bool v6 = false) {
  Bytes packet(size, static_cast<std::uint8_t>(tag * 31 + 7));
  packet[0] = v6 ? 0x60 : 0x45;
  store_be16(packet.data() + (v6 ? 4 : 2), static_cast<std::uint16_t>(v6 ? size - 40 : size));
  store_be32(packet.data() + 12, tag);
  return packet;
}

// Packs packets into payloads of `capacity`, all filled up but the last unless `fill_last`.
std::vector<Bytes> pack(const std::vector<Bytes>& packets, std::size_t capacity, bool dont_fragment = false,
                        bool fill_last = true, bool congestion_control = false) {
  AggfragPacker packer(congestion_control);
  AggfragQueue queue(16 * 1024 * 1024);
  for (const Bytes& packet : packets) {
    std::uint8_t* const at = queue.push(packet.size());
    std::copy(packet.begin(), packet.end(), at);
  }
  std::vector<Bytes> payloads;
  while (!queue.empty()) {
    Bytes payload(capacity);
    packer.open(payload.data(), capacity);
    EXPECT_EQ(queue.fill(packer, dont_fragment), 0U);
    payload.resize(packer.close({}, !queue.empty() || fill_last ? AggfragPacker::kFull : 0));
    payloads.push_back(std::move(payload));
  }
  return payloads;
}

void receive(AggfragReceiver& receiver, std::uint64_t sequence, Bytes payload, Collected& out, Instant now = {}) {
  receiver.receive(sequence, MutableByteView(payload), now, out);
  // What is in the buffer afterwards is nobody's business.
  std::fill(payload.begin(), payload.end(), 0xdd);
}

Collected receive_all(const std::vector<Bytes>& payloads) {
  AggfragReceiver receiver(3);
  Collected out;
  for (std::size_t i = 0; i < payloads.size(); ++i) receive(receiver, i + 1, payloads[i], out);
  return out;
}

Bytes payload_of(std::uint16_t block_offset, std::initializer_list<ByteView> blocks) {
  Bytes payload(kAggfragHeaderSize);
  store_be16(payload.data() + 2, block_offset);
  for (const ByteView block : blocks) payload.insert(payload.end(), block.begin(), block.end());
  return payload;
}

// RFC 9347 6.1.2, figure 5: 22, 21 and 21 bits side by side, values too long for their fields as all ones.
TEST(AggfragPayload, CongestionHeaderBits) {
  const AggfragReport report{.probing = true,
                             .loss_event_rate = 0x01020304,
                             .rtt = 0x200001,
                             .echo_delay = 0x100001,
                             .transmit_delay = 0x0f0f0f,
                             .value = 0xaabbccdd,
                             .echo = 0x11223344};
  Bytes written(kAggfragCongestionHeaderSize);
  write_aggfrag_header({.block_offset = 0x1234, .report = report}, written.data());
  // 10 0000 0000 0000 0000 0001 | 1 0000 0000 0000 0000 0001 | 0 1111 0000 1111 0000 1111
  EXPECT_EQ(to_hex(written), "010212340102030480000600002f0f0faabbccdd11223344");
  EXPECT_EQ(parse_aggfrag_header(written), (AggfragHeader{0x1234, report}));

  AggfragReport large = report;
  large.probing = false;
  large.ecn_counted = true;
  large.rtt = 0x400000;
  large.echo_delay = 0x200000;
  large.transmit_delay = 0xffffffff;
  write_aggfrag_header({.block_offset = 0, .report = large}, written.data());
  EXPECT_EQ(to_hex(written), "0101000001020304ffffffffffffffffaabbccdd11223344");
}

TEST(AggfragPayload, HeadersThatAreNone) {
  EXPECT_EQ(parse_aggfrag_header(from_hex("00ff0102").value())->block_offset, 0x0102);  // reserved bits are ignored
  EXPECT_FALSE(parse_aggfrag_header(from_hex("000001").value()));
  EXPECT_FALSE(parse_aggfrag_header({}));
  EXPECT_FALSE(parse_aggfrag_header(from_hex("02000000").value()));
  EXPECT_FALSE(parse_aggfrag_header(Bytes(23, 1)));
  EXPECT_TRUE(parse_aggfrag_header(Bytes(24, 1)));
}

// RFC 9347 Appendix A, figure 11: payloads of 1404 octets, packets of 750, 750, 60, 240 and 3000; the BlockOffsets are
// 0, 100, 2000 and 600.
TEST(Aggfrag, TheExampleOfTheRfc) {
  const std::vector<Bytes> packets = {packet_of(750, 1), packet_of(750, 2), packet_of(60, 3, true), packet_of(240, 4),
                                      packet_of(3000, 5, true)};
  const std::vector<Bytes> payloads = pack(packets, 1404);
  ASSERT_EQ(payloads.size(), 4U);
  const std::uint16_t offsets[] = {0, 100, 2000, 600};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(payloads[i].size(), 1404U);
    EXPECT_EQ(load_be16(payloads[i].data()), 0) << "sub-type 0, reserved 0";
    EXPECT_EQ(load_be16(payloads[i].data() + 2), offsets[i]);
  }
  EXPECT_TRUE(std::all_of(payloads[3].begin() + 604, payloads[3].end(), [](std::uint8_t octet) { return octet == 0; }));
  const Collected out = receive_all(payloads);
  EXPECT_EQ(out.packets, packets);
  EXPECT_EQ(out.in_place, 3);
  EXPECT_TRUE(out.drops.empty());
}

// The same figure, its payloads put together by hand, with an all-pad payload between the pieces (RFC 9347 2.2.3).
TEST(Aggfrag, AllPadBetweenPieces) {
  const Bytes packet = packet_of(300, 1);
  const ByteView whole(packet);
  const std::vector<Bytes> payloads = {payload_of(0, {whole.first(100)}),
                                       payload_of(0, {Bytes(100)}),
                                       payload_of(200, {whole.subspan(100, 100)}),
                                       payload_of(0, {Bytes(1)}),
                                       payload_of(0, {}),  // RFC 9347 2.2.4: empty
                                       payload_of(100, {whole.subspan(200), packet_of(20, 2)})};
  const Collected out = receive_all(payloads);
  EXPECT_EQ(out.lengths(), (std::vector<std::size_t>{300, 20}));
  EXPECT_EQ(out.packets[0], packet);
  EXPECT_TRUE(out.drops.empty());
}

// A sender may cut anywhere, also inside the length field; each octet in a payload of its own.
TEST(Aggfrag, OctetByOctet) {
  for (const bool v6 : {false, true}) {
    const Bytes packet = packet_of(60, 1, v6);
    std::vector<Bytes> payloads;
    for (std::size_t i = 0; i < packet.size(); ++i) {
      payloads.push_back(
          payload_of(static_cast<std::uint16_t>(i == 0 ? 0 : packet.size() - i), {ByteView(packet).subspan(i, 1)}));
    }
    payloads.push_back(payload_of(0, {packet}));
    const Collected out = receive_all(payloads);
    EXPECT_EQ(out.packets, (std::vector<Bytes>{packet, packet}));
    EXPECT_TRUE(out.drops.empty());
  }
}

TEST(Aggfrag, DontFragment) {
  const std::vector<Bytes> packets = {packet_of(600, 1), packet_of(600, 2), packet_of(600, 3)};
  const std::vector<Bytes> payloads = pack(packets, 1004, true);
  ASSERT_EQ(payloads.size(), 3U);
  for (const Bytes& payload : payloads) EXPECT_EQ(load_be16(payload.data() + 2), 0);
  EXPECT_EQ(receive_all(payloads).packets, packets);
}

TEST(Aggfrag, ShortLastPayloadAndNoTinyFirstPiece) {
  // 7 octets are left: too few for a piece, so they are padding.
  const std::vector<Bytes> payloads = pack({packet_of(93, 1), packet_of(50, 2)}, 104, false, false);
  ASSERT_EQ(payloads.size(), 2U);
  EXPECT_EQ(payloads[0].size(), 104U);
  EXPECT_EQ(payloads[1].size(), 54U);
  EXPECT_EQ(load_be16(payloads[1].data() + 2), 0);
  EXPECT_EQ(receive_all(payloads).packets.size(), 2U);
}

TEST(Aggfrag, BlankPayloadIsAllPad) {
  AggfragPacker packer(true);
  Bytes payload(200, 0xee);
  packer.open(payload.data(), payload.size());
  EXPECT_TRUE(packer.blank());
  EXPECT_EQ(packer.close({.value = 5}, AggfragPacker::kFull), 200U);
  EXPECT_EQ(payload[24], 0);
  EXPECT_EQ(payload[199], 0);
  packer.open(payload.data(), payload.size());
  EXPECT_EQ(packer.close({.value = 5}, 0), 32U);
  EXPECT_EQ(load_be32(payload.data() + 16), 5U);
  packer.open(payload.data(), payload.size());
  EXPECT_EQ(packer.close({}, 100), 100U);
}

TEST(AggfragQueue, IsBounded) {
  AggfragQueue queue(1000);
  (void)queue.push(600);
  EXPECT_FALSE(queue.has_room(401));
  ASSERT_TRUE(queue.has_room(400));
  (void)queue.push(400);
  EXPECT_EQ(queue.packets(), 2U);
  EXPECT_EQ(queue.clear(), 2U);
  EXPECT_TRUE(queue.empty());
}

// RFC 9347 2.2.3: late by up to the window is put right, later than that is dropped.
TEST(AggfragReceiver, Reorders) {
  const std::vector<Bytes> payloads = pack({packet_of(1000, 1), packet_of(1000, 2), packet_of(1000, 3)}, 604);
  ASSERT_EQ(payloads.size(), 5U);
  AggfragReceiver receiver(3);
  Collected out;
  for (const std::size_t i : {3U, 1U, 0U, 4U, 2U}) receive(receiver, i + 1, payloads[i], out);
  EXPECT_EQ(out.lengths(), (std::vector<std::size_t>{1000, 1000, 1000}));
  EXPECT_EQ(out.outer_lost, 0U);
  EXPECT_FALSE(receiver.next_deadline());

  AggfragReceiver narrow(1);
  Collected other;
  for (const std::size_t i : {0U, 2U, 3U, 1U, 4U}) receive(narrow, i + 1, payloads[i], other);
  EXPECT_EQ(other.lengths(), (std::vector<std::size_t>{1000}));
  EXPECT_EQ(other.outer_lost, 1U);
  EXPECT_EQ(other.count(DropReason::aggfrag_late), 1U);
  EXPECT_EQ(other.count(DropReason::aggfrag_incomplete), 2U) << "the beginning of the first, the end of the second";
}

TEST(AggfragReceiver, WithoutWindowEachGapIsALoss) {
  AggfragReceiver receiver(0);
  Collected out;
  for (const std::uint64_t sequence : {1U, 3U, 2U, 4U}) {
    receive(receiver, sequence, payload_of(0, {packet_of(40, 1)}), out);
  }
  EXPECT_EQ(out.packets.size(), 3U);
  EXPECT_EQ(out.outer_lost, 1U);
  EXPECT_EQ(out.count(DropReason::aggfrag_late), 1U);
}

// RFC 9347 2.2.3: the lost packet timer. What waits behind a gap does not wait for ever.
TEST(AggfragReceiver, GivesUpAfterAWhile) {
  AggfragReceiver receiver(3);
  Collected out;
  const Instant start{};
  receive(receiver, 1, payload_of(0, {packet_of(40, 1)}), out, start);
  receive(receiver, 3, payload_of(0, {packet_of(40, 3)}), out, start + milliseconds(1));
  receive(receiver, 5, payload_of(0, {packet_of(40, 5)}), out, start + milliseconds(9));
  EXPECT_EQ(out.packets.size(), 1U);
  ASSERT_TRUE(receiver.next_deadline());
  EXPECT_EQ(*receiver.next_deadline(), start + milliseconds(1) + AggfragReceiver::kLostAfter);
  receiver.expire(*receiver.next_deadline() - Duration{1}, out);
  EXPECT_EQ(out.packets.size(), 1U);
  receiver.expire(*receiver.next_deadline(), out);
  EXPECT_EQ(out.packets.size(), 2U);
  EXPECT_EQ(*receiver.next_deadline(), start + milliseconds(9) + AggfragReceiver::kLostAfter);
  receiver.expire(*receiver.next_deadline(), out);
  EXPECT_EQ(out.packets.size(), 3U);
  EXPECT_EQ(out.outer_lost, 2U);
  EXPECT_FALSE(receiver.next_deadline());
}

TEST(AggfragReceiver, JoinsARunningStreamAndSurvivesHugeGaps) {
  AggfragReceiver receiver(3);
  Collected out;
  receive(receiver, 1'000'000, payload_of(0, {packet_of(40, 1)}), out);
  EXPECT_EQ(out.packets.size(), 1U);
  receive(receiver, 0xffff'ffff'ffff'0000U, payload_of(0, {packet_of(40, 2)}), out);
  receive(receiver, 0xffff'ffff'ffff'0001U, payload_of(0, {packet_of(40, 2)}), out);
  receiver.expire(Instant{} + std::chrono::seconds(1), out);
  EXPECT_EQ(out.packets.size(), 3U);
}

TEST(AggfragReceiver, MemoryIsBounded) {
  AggfragReceiver receiver(65535);
  Collected out;
  std::size_t taken = 0;
  // Number 1 never comes.
  for (std::uint64_t sequence = 2; sequence < 1000; ++sequence) {
    receive(receiver, sequence, payload_of(0, {packet_of(20'000, 1)}), out);
    taken += 20'000;
    EXPECT_LE(taken - out.packets.size() * 20'000, AggfragReceiver::kMaxHeld);
  }
  EXPECT_GT(out.packets.size(), 900U);
  EXPECT_EQ(out.outer_lost, 1U);
}

// A packet whose next header is not AGGFRAG has a number of the stream, too (RFC 4303 2.6: dummies).
TEST(AggfragReceiver, ForeignPacketsKeepTheirPlace) {
  const Bytes packet = packet_of(100, 1);
  AggfragReceiver receiver(3);
  Collected out;
  receive(receiver, 1, payload_of(0, {ByteView(packet).first(50)}), out);
  receive(receiver, 3, payload_of(50, {ByteView(packet).subspan(50)}), out);
  receiver.receive(2, std::nullopt, {}, out);
  EXPECT_EQ(out.packets, std::vector<Bytes>{packet});
  EXPECT_TRUE(out.drops.empty());
}

// RFC 9347 2.5: BlockOffsets that contradict the packet are survived, and what follows is found again.
TEST(AggfragReceiver, LyingOffsets) {
  const Bytes packet = packet_of(100, 1);
  const ByteView whole(packet);
  const Bytes next = packet_of(30, 2);
  for (const std::uint16_t offset : std::initializer_list<std::uint16_t>{0, 1, 49, 51, 80, 81, 1000}) {
    SCOPED_TRACE(offset);
    AggfragReceiver receiver(3);
    Collected out;
    receive(receiver, 1, payload_of(0, {whole.first(50)}), out);
    receive(receiver, 2, payload_of(offset, {whole.subspan(50), next}), out);
    receive(receiver, 3, payload_of(0, {next}), out);
    EXPECT_GE(out.count(DropReason::aggfrag_malformed), 1U);
    ASSERT_FALSE(out.packets.empty());
    EXPECT_EQ(out.packets.back(), next);
    for (const Bytes& taken : out.packets) EXPECT_NE(taken, packet);
  }
}

TEST(AggfragReceiver, MalformedPayloads) {
  const auto malformed = [](Bytes payload) {
    AggfragReceiver receiver(3);
    Collected out;
    receive(receiver, 1, std::move(payload), out);
    receive(receiver, 2, payload_of(0, {packet_of(20, 1)}), out);
    EXPECT_EQ(out.packets.size(), 1U) << "the next payload is taken";
    return out.count(DropReason::aggfrag_malformed);
  };
  EXPECT_EQ(malformed({}), 1U);
  EXPECT_EQ(malformed({0, 0, 0}), 1U);
  EXPECT_EQ(malformed({7, 0, 0, 0, 0x45}), 1U);                       // no such sub-type
  EXPECT_EQ(malformed({1, 0, 0, 0, 0x45}), 1U);                       // sub-type 1 cut short
  EXPECT_EQ(malformed({0, 0, 0, 0, 0x50, 0, 0, 40}), 1U);             // version 5
  EXPECT_EQ(malformed({0, 0, 0, 0, 0x45, 0, 0, 19}), 1U);             // shorter than its header
  EXPECT_EQ(malformed({0, 0, 0, 0, 0x60, 0, 0, 0, 0xff, 0xf0}), 1U);  // longer than we take
}

// Random packets, sizes and capacities; loss and reordering within the window. Exactly those packets come out whose
// every payload arrived, in order.
TEST(Aggfrag, RandomStreams) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    const auto below = [&](std::uint64_t bound) { return random.u64() % bound; };
    const std::size_t capacity = 64 + below(1400);
    const bool congestion_control = below(2) == 0;
    const std::size_t header = congestion_control ? kAggfragCongestionHeaderSize : kAggfragHeaderSize;
    std::vector<Bytes> packets;
    for (std::uint32_t i = 0; i < 60; ++i) {
      packets.push_back(packet_of(40 + below(below(4) == 0 ? 4000 : 200), i, below(2) == 0));
    }
    const std::vector<Bytes> payloads = pack(packets, capacity, false, below(2) == 0, congestion_control);

    // Which packet lies in which payloads, found by counting octets of data.
    std::vector<std::set<std::size_t>> carriers(packets.size());
    std::size_t packet = 0;
    std::size_t of_packet = 0;
    for (std::size_t i = 0; i < payloads.size(); ++i) {
      std::size_t room = payloads[i].size() - header;
      while (packet < packets.size() && room > 0) {
        const std::size_t left = packets[packet].size() - of_packet;
        if (of_packet == 0 && left > room && room < AggfragPacker::kMinPiece) break;
        const std::size_t piece = std::min(left, room);
        carriers[packet].insert(i);
        room -= piece;
        of_packet += piece;
        if (of_packet == packets[packet].size()) {
          ++packet;
          of_packet = 0;
        }
      }
    }
    ASSERT_EQ(packet, packets.size());

    // A payload is late by at most the window: it swaps places with one of its next neighbours.
    constexpr std::uint16_t kWindow = 4;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < payloads.size(); ++i) order.push_back(i);
    if (below(3) != 0) {
      for (std::size_t i = 0; i + kWindow < order.size(); i += kWindow) {
        std::swap(order[i + below(kWindow)], order[i + below(kWindow)]);
      }
    }
    const std::uint64_t loss = below(3) * 5;  // percent
    std::set<std::size_t> arrived;
    AggfragReceiver receiver(kWindow);
    Collected out;
    for (const std::size_t i : order) {
      if (below(100) < loss) continue;
      arrived.insert(i);
      receive(receiver, i + 1, payloads[i], out);
    }
    receiver.expire(Instant{} + std::chrono::seconds(1), out);

    std::vector<Bytes> expected;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      if (std::includes(arrived.begin(), arrived.end(), carriers[i].begin(), carriers[i].end())) {
        expected.push_back(packets[i]);
      }
    }
    ASSERT_EQ(out.lengths().size(), expected.size());
    ASSERT_EQ(out.packets, expected);
    ASSERT_EQ(out.count(DropReason::aggfrag_late), 0U);
    ASSERT_EQ(out.count(DropReason::aggfrag_malformed), 0U);
  }
}

// Rubbish as payloads: nothing but whole packets comes out.
TEST(AggfragReceiver, RandomRubbish) {
  SeededRandom random(7);
  AggfragReceiver receiver(3);
  for (std::uint64_t sequence = 1; sequence < 20'000; ++sequence) {
    Bytes payload = random_bytes(random, random.u64() % 120);
    if (payload.size() > 4) {
      payload[0] = static_cast<std::uint8_t>(payload[0] % 3 / 2 * 7);
      store_be16(payload.data() + 2, static_cast<std::uint16_t>(load_be16(payload.data() + 2) % 150));
      payload[4] = static_cast<std::uint8_t>(random.u64() % 2 == 0 ? 0x45 : payload[4]);
    }
    Collected out;
    receive(receiver, sequence, std::move(payload), out);
    for (const Bytes& packet : out.packets) {
      const AggfragBlock block = look_at_block(packet);
      ASSERT_EQ(block.kind, AggfragBlock::Kind::packet);
      ASSERT_EQ(block.length, packet.size());
    }
  }
}

TEST(AggfragPacer, TicksAndCatchesUpABit) {
  AggfragPacer pacer;
  pacer.set_interval(milliseconds(2));
  const Instant start{};
  EXPECT_EQ(pacer.due(start, 100), 0U);
  EXPECT_EQ(pacer.next(), start + milliseconds(2));
  EXPECT_EQ(pacer.due(start + milliseconds(1), 100), 0U);
  EXPECT_EQ(pacer.due(start + milliseconds(2), 100), 1U);
  EXPECT_EQ(pacer.due(start + milliseconds(2), 100), 0U);
  EXPECT_EQ(pacer.due(start + milliseconds(9), 100), 3U);
  // Limited, the rest stays due.
  EXPECT_EQ(pacer.due(start + milliseconds(16), 2), 2U);
  EXPECT_EQ(pacer.due(start + milliseconds(16), 2), 2U - 0U);
  EXPECT_EQ(pacer.due(start + milliseconds(16), 2), 0U);
  // A second without a call is not made up for.
  EXPECT_EQ(pacer.due(start + milliseconds(1016), 1000), 11U);
}

}  // namespace
}  // namespace culvert::ipsec
