// The simulator's own parts: a harness that cannot fail proves nothing.
#include "tests/sim/sim_network.hpp"

#include <gtest/gtest.h>

#include "tests/sim/ledger.hpp"
#include "tests/sim/wire_monitor.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

net::Endpoint endpoint(const char* text) { return *net::Endpoint::parse(text); }

class SimNetworkTest : public ::testing::Test {
 protected:
  SimNetworkTest() {
    for (const Side side : {Side::alice, Side::bob}) {
      network.attach(side, endpoint(side == Side::alice ? "192.0.2.1:0" : "192.0.2.2:0").address,
                     [this, side](Packet&& packet) { got[index_of(side)].push_back(std::move(packet)); });
      network.set_up(side, true);
    }
  }
  void send(Side from, const char* source, const char* destination, std::uint8_t octet = 0xff) {
    network.send(from, Packet{endpoint(source), endpoint(destination), model::Encapsulation::udp, Bytes{octet}, {}});
  }
  void run(Duration time) {
    const Instant until = queue.now() + time;
    while (queue.run_next(until)) {
    }
  }
  std::vector<Packet>& at(Side side) { return got[index_of(side)]; }

  EventQueue queue;
  RunLog log{queue, true};
  Ledger ledger{log};
  WireMonitor monitor{log, ledger};
  SimNetwork network{queue, monitor, 1};
  std::array<std::vector<Packet>, 2> got;
};

TEST_F(SimNetworkTest, DeliversAfterTheLatency) {
  network.conditions(Side::alice).latency = milliseconds(30);
  send(Side::alice, "192.0.2.1:4500", "192.0.2.2:4500");
  run(milliseconds(29));
  EXPECT_TRUE(at(Side::bob).empty());
  run(milliseconds(1));
  ASSERT_EQ(at(Side::bob).size(), 1u);
  EXPECT_EQ(at(Side::bob)[0].source, endpoint("192.0.2.1:4500"));
}

TEST_F(SimNetworkTest, LosesAndDoublesAboutAsManyAsAsked) {
  network.conditions(Side::alice).loss_ppm = 100'000;
  network.conditions(Side::bob).duplicate_ppm = 200'000;
  for (int i = 0; i < 2000; ++i) {
    send(Side::alice, "192.0.2.1:4500", "192.0.2.2:4500");
    send(Side::bob, "192.0.2.2:4500", "192.0.2.1:4500");
  }
  run(seconds(1));
  EXPECT_NEAR(static_cast<double>(at(Side::bob).size()), 1800, 80);
  EXPECT_NEAR(static_cast<double>(at(Side::alice).size()), 2400, 100);
}

TEST_F(SimNetworkTest, JitterReorders) {
  network.conditions(Side::alice).jitter = milliseconds(50);
  for (std::uint8_t i = 0; i < 20; ++i) {  // the onlooker's complaint about such short packets is not the point here
    network.send(
        Side::alice,
        Packet{endpoint("192.0.2.1:4500"), endpoint("192.0.2.2:4500"), model::Encapsulation::none, Bytes{i}, {}});
  }
  run(seconds(1));
  ASSERT_EQ(at(Side::bob).size(), 20u);
  EXPECT_FALSE(std::ranges::is_sorted(at(Side::bob), {}, [](const Packet& packet) { return packet.bytes[0]; }));
}

TEST_F(SimNetworkTest, TheNatTranslatesAndForgets) {
  network.put_nat(Side::alice, endpoint("203.0.113.1:0").address, seconds(30));
  send(Side::bob, "192.0.2.2:4500", "203.0.113.1:4500");
  run(seconds(1));
  EXPECT_TRUE(at(Side::alice).empty()) << "no mapping yet";
  send(Side::alice, "192.0.2.1:4500", "192.0.2.2:4500");
  run(seconds(1));
  ASSERT_EQ(at(Side::bob).size(), 1u);
  const net::Endpoint mapped = at(Side::bob)[0].source;
  EXPECT_EQ(mapped.address, endpoint("203.0.113.1:0").address);
  EXPECT_NE(mapped.port, 4500);
  send(Side::bob, "192.0.2.2:4500", mapped.to_string().c_str());
  run(seconds(1));
  ASSERT_EQ(at(Side::alice).size(), 1u);
  EXPECT_EQ(at(Side::alice)[0].destination, endpoint("192.0.2.1:4500"));
  network.nat(Side::alice)->rebind();
  send(Side::bob, "192.0.2.2:4500", mapped.to_string().c_str());
  send(Side::alice, "192.0.2.1:4500", "192.0.2.2:4500");
  run(seconds(1));
  EXPECT_EQ(at(Side::alice).size(), 1u);
  EXPECT_NE(at(Side::bob).back().source.port, mapped.port);
}

TEST_F(SimNetworkTest, AHostThatIsDownGetsNothing) {
  network.set_up(Side::bob, false);
  send(Side::alice, "192.0.2.1:4500", "192.0.2.2:4500");
  run(seconds(1));
  EXPECT_TRUE(at(Side::bob).empty());
}

// ---------------------------------------------------------------- the onlookers see what they are there for

Packet esp(std::uint32_t spi, std::uint32_t sequence, std::uint64_t iv) {
  ByteWriter out;
  out.u32(spi);
  out.u32(sequence);
  out.u64(iv);
  out.zeros(32);
  return {endpoint("192.0.2.1:4500"), endpoint("192.0.2.2:4500"), model::Encapsulation::udp, out.take(), {}};
}

model::ChildSaParams pair(std::uint64_t id, std::uint32_t spi, std::uint8_t key) {
  model::ChildSaParams params;
  params.id = model::ChildSaId(id);
  params.spi_outbound = model::Spi(spi);
  params.outbound.encryption = SecretBytes::copy_of(Bytes(20, key));
  params.inbound.encryption = SecretBytes::copy_of(Bytes(20, 0xee));
  return params;
}

class WireMonitorTest : public SimNetworkTest {
 protected:
  WireMonitorTest() { monitor.installed(Side::alice, pair(1, 1000, 1)); }
};

TEST_F(WireMonitorTest, AcceptsWhatIsRight) {
  monitor.sent(Side::alice, esp(1000, 1, 1));
  monitor.sent(Side::alice, esp(1000, 2, 2));
  EXPECT_FALSE(log.failed()) << *log.failure();
}

TEST_F(WireMonitorTest, SeesAnIvUsedTwice) {
  monitor.sent(Side::alice, esp(1000, 1, 7));
  monitor.sent(Side::alice, esp(1000, 2, 7));
  EXPECT_TRUE(log.failed());
}

TEST_F(WireMonitorTest, SeesASequenceNumberUsedTwice) {
  monitor.sent(Side::alice, esp(1000, 1, 1));
  monitor.sent(Side::alice, esp(1000, 1, 2));
  EXPECT_TRUE(log.failed());
}

TEST_F(WireMonitorTest, SeesEspWithoutAnSa) {
  monitor.removed(Side::alice, model::ChildSaId(1));
  monitor.sent(Side::alice, esp(1000, 1, 1));
  EXPECT_TRUE(log.failed());
}

TEST_F(WireMonitorTest, SeesAKeyUsedForTwoSas) {
  monitor.installed(Side::alice, pair(2, 1001, 1));
  EXPECT_TRUE(log.failed());
}

TEST_F(WireMonitorTest, SeesPlaintext) {
  Packet packet = esp(1000, 1, 1);
  std::ranges::copy(kInnerMagic, packet.bytes.begin() + 20);
  monitor.sent(Side::alice, packet);
  EXPECT_TRUE(log.failed());
}

Packet ike(std::uint8_t flags, std::uint32_t message_id, std::uint64_t iv, std::uint8_t content = 0) {
  ByteWriter out;
  out.u32(0);  // non-ESP marker
  out.u64(11);
  out.u64(22);
  out.u8(46);
  out.u8(0x20);
  out.u8(37);
  out.u8(flags);
  out.u32(message_id);
  out.u32(72);
  out.u32(44);
  out.u64(iv);
  for (int i = 0; i < 32; ++i) out.u8(content);
  return {endpoint("192.0.2.1:4500"), endpoint("192.0.2.2:4500"), model::Encapsulation::udp, out.take(), {}};
}

TEST_F(WireMonitorTest, AcceptsRequestsOneByOneAndRepeated) {
  monitor.sent(Side::alice, ike(0x08, 0, 1));
  monitor.sent(Side::alice, ike(0x08, 0, 1));
  Packet answer = ike(0x20, 0, 2);
  answer.destination = endpoint("192.0.2.1:4500");
  monitor.arrived(Side::alice, answer);
  monitor.sent(Side::alice, ike(0x08, 1, 3));
  EXPECT_FALSE(log.failed()) << *log.failure();
}

TEST_F(WireMonitorTest, SeesTwoOutstandingRequests) {
  monitor.sent(Side::alice, ike(0x08, 0, 1));
  monitor.sent(Side::alice, ike(0x08, 1, 2));
  EXPECT_TRUE(log.failed());
}

TEST_F(WireMonitorTest, SeesAChangedRepetition) {
  monitor.sent(Side::alice, ike(0x08, 0, 1));
  monitor.sent(Side::alice, ike(0x08, 0, 2));
  EXPECT_TRUE(log.failed());
}

TEST_F(WireMonitorTest, SeesAnIkeIvUsedTwice) {
  monitor.sent(Side::alice, ike(0x08, 0, 1));
  monitor.sent(Side::alice, ike(0x28, 5, 1, 9));
  EXPECT_TRUE(log.failed());
}

// ---------------------------------------------------------------- the ledger

TEST_F(SimNetworkTest, TheLedgerSeesDoublesAndStrangers) {
  const auto a = endpoint("10.1.0.1:0").address;
  const auto b = endpoint("10.2.0.1:0").address;
  const Bytes packet = make_inner(ledger.next(Side::alice), a, b, 50);
  ledger.delivered(Side::bob, packet);
  EXPECT_FALSE(log.failed());
  {
    RunLog other_log(queue, false);
    Ledger strict(other_log);
    strict.delivered(Side::bob, packet);
    EXPECT_TRUE(other_log.failed()) << "never sent";
  }
  Bytes changed = packet;
  changed.back() ^= 1;
  EXPECT_FALSE(read_inner(changed));
  ledger.delivered(Side::bob, packet);
  EXPECT_TRUE(log.failed()) << "twice";
}

TEST_F(SimNetworkTest, TheLedgerTellsWhoLostAPacket) {
  const InnerId delivered = ledger.next(Side::alice);
  ledger.sent_as_esp(delivered);
  ledger.delivered(Side::bob,
                   make_inner(delivered, endpoint("10.1.0.1:0").address, endpoint("10.2.0.1:0").address, 20));
  const InnerId lost = ledger.next(Side::alice);
  ledger.sent_as_esp(lost);
  ledger.duplicated(lost);
  ledger.dropped(lost);
  ledger.dropped(lost);
  const InnerId ours = ledger.next(Side::alice);
  ledger.sent_as_esp(ours);
  ledger.duplicated(ours);
  ledger.dropped(ours);
  (void)ledger.next(Side::alice);
  const Ledger::Totals totals = ledger.totals(Side::alice);
  EXPECT_EQ(totals.made, 4u);
  EXPECT_EQ(totals.delivered, 1u);
  EXPECT_EQ(totals.lost_by_network, 1u);
  EXPECT_EQ(totals.lost_by_us, 1u);
  EXPECT_EQ(totals.never_sent, 1u);
  EXPECT_EQ(ledger.lost_by_us(Side::alice, 0).size(), 2u);
}

}  // namespace
}  // namespace culvert::sim
