#include "datapath/wire_sender.hpp"

#include <array>
#include <vector>

#include <poll.h>

#include <gtest/gtest.h>

#include "datapath/testing/sender_kit.hpp"

namespace culvert::datapath {
namespace {

struct Rig : testing::SenderKit {
  explicit Rig(const MessageBounds& bounds = {})
      : SenderKit({.ike_port = 45'617, .nat_port = 45'618, .raw = false}, bounds) {}
  [[nodiscard]] ipsec::WireTrain train(ByteView bytes, std::size_t segment = 0) const {
    const net::IpAddress here = *net::IpAddress::parse("127.0.0.1");
    return {.path = {{here, options.nat_port}, {here, 9}},
            .encapsulation = model::Encapsulation::udp,
            .segment_size = static_cast<std::uint16_t>(segment == 0 ? bytes.size() : segment),
            .bytes = bytes};
  }
};

// AGGFRAG payloads stay open while packets of other SAs are framed behind them, so the trains of one call may come in
// another order than their places. None of them may be written over before it has left.
TEST(WireSender, RegionsBeginBehindEveryTrainThatWaits) {
  Rig rig;
  const MutableByteView region = rig.sender.region();
  const std::array trains{rig.train(region.subspan(1400, 1000)), rig.train(region.subspan(0, 1400))};
  rig.sender.send(trains);
  EXPECT_GE(rig.sender.region().data(), region.data() + 2400);
  rig.sender.flush();
  EXPECT_EQ(rig.sender.region().data(), region.data()) << "all have left";
}

// For each packet that has left, the kernel would look who waits for the socket.
TEST(WireSender, NobodyWaitsForASocketWhileManyPacketsLeaveByIt) {
  for (const std::size_t packets : {1U, 60U}) {
    Rig rig;
    const auto peer = io::DatagramSocket::open_udp({.local = {*net::IpAddress::parse("127.0.0.1"), 0}});
    ASSERT_TRUE(peer) << peer.error().text;
    ipsec::WireTrain train = rig.train(rig.sender.region().first(packets * 100), 100);
    train.path.remote = peer->local();
    // A busy peer's socket is received from, too.
    while (rig.connected.for_esp(train.path, false) == nullptr) (void)rig.connected.connect([](std::size_t) {});
    const io::DatagramSocket& own = rig.connected.entry(0).socket;
    ASSERT_TRUE(rig.poller.add(own.fd(), 7));
    rig.sender.send(std::span(&train, 1));
    rig.sender.flush();
    const std::array<ByteView, 1> answer{ByteView(train.bytes).first(10)};
    ASSERT_EQ(peer->send_one({train.path.remote, train.path.local}, 0, answer), 0);
    pollfd looking{rig.poller.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&looking, 1, 0), packets == 1 ? 1 : 0);
    ASSERT_EQ(rig.poller.wait(std::chrono::seconds(5)).size(), 1U);
  }
}

TEST(WireSender, TrainsOfSeveralSasToOnePeerShareAMessage) {
  Rig rig;
  const MutableByteView region = rig.sender.region();
  const std::array trains{rig.train(region.subspan(0, 100)), rig.train(region.subspan(100, 300), 100),
                          rig.train(region.subspan(400, 60)), rig.train(region.subspan(460, 60))};
  rig.sender.send(trains);
  ASSERT_EQ(rig.sender.gathered().size(), 2U) << "nothing comes behind a shorter one";
  EXPECT_EQ(rig.sender.gathered()[0].segment_size, 100);
  EXPECT_EQ(rig.sender.gathered()[0].bytes.data(), region.data());
  EXPECT_EQ(rig.sender.gathered()[0].bytes.size(), 460U);
  EXPECT_EQ(rig.sender.gathered()[1].bytes.data(), region.data() + 460);
  EXPECT_EQ(rig.sender.gathered()[1].segment_size, 60);
}

TEST(WireSender, WhatLeavesOtherwiseIsAMessageOfItsOwn) {
  Rig rig;
  const MutableByteView region = rig.sender.region();
  const auto second_joins = [&](const auto& change) {
    std::array trains{rig.train(region.subspan(0, 100)), rig.train(region.subspan(100, 100))};
    change(trains[1]);
    rig.sender.send(trains);
    const bool joins = rig.sender.gathered().size() == 1;
    rig.sender.flush();
    return joins;
  };
  EXPECT_TRUE(second_joins([](ipsec::WireTrain&) {}));
  EXPECT_FALSE(second_joins([](ipsec::WireTrain& train) { train.path.remote.port = 10; }));
  EXPECT_FALSE(second_joins([](ipsec::WireTrain& train) { train.tos = 4; }));
  EXPECT_FALSE(second_joins([](ipsec::WireTrain& train) { train.hop_limit = 1; }));
  EXPECT_FALSE(second_joins([](ipsec::WireTrain& train) { train.dont_fragment = true; }));
  EXPECT_FALSE(second_joins([&](ipsec::WireTrain& train) { train.bytes = region.subspan(101, 100); })) << "a gap";
  EXPECT_FALSE(second_joins([&](ipsec::WireTrain& train) { train = rig.train(region.subspan(100, 120)); })) << "longer";
  EXPECT_FALSE(second_joins([&](ipsec::WireTrain& train) { train = rig.train(region.subspan(100, 110), 60); }))
      << "of other pieces";
}

TEST(WireSender, AMessageHasItsBounds) {
  const auto messages = [](const MessageBounds& bounds) {
    Rig rig(bounds);
    const MutableByteView region = rig.sender.region();
    std::vector<ipsec::WireTrain> trains;
    for (std::size_t i = 0; i < 7; ++i) trains.push_back(rig.train(region.subspan(i * 100, 100)));
    rig.sender.send(trains);
    std::vector<std::size_t> sizes;
    for (const io::OutgoingMessage& message : rig.sender.gathered()) sizes.push_back(message.bytes.size());
    return sizes;
  };
  EXPECT_EQ(messages({}), (std::vector<std::size_t>{700}));
  EXPECT_EQ(messages({.segments = 3}), (std::vector<std::size_t>{300, 300, 100}));
  EXPECT_EQ(messages({.bytes = 299}), (std::vector<std::size_t>{200, 200, 200, 100}));
}

}  // namespace
}  // namespace culvert::datapath
