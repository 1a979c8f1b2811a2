#include "datapath/wire_sender.hpp"

#include <array>

#include <gtest/gtest.h>

namespace culvert::datapath {
namespace {

// AGGFRAG payloads stay open while packets of other SAs are framed behind them, so the trains of one call may come in
// another order than their places. None of them may be written over before it has left.
TEST(WireSender, RegionsBeginBehindEveryTrainThatWaits) {
  SocketOptions options{.ike_port = 45'617, .nat_port = 45'618, .raw = false};
  auto sockets = OuterSockets::open(options);
  ASSERT_TRUE(sockets) << sockets.error().text;
  io::TunQueue tun(io::FileDescriptor(), false);
  auto wakeup = io::EventFd::open();
  auto control = io::EventFd::open();
  ASSERT_TRUE(wakeup && control);
  std::vector<io::EventFd> wakeups;
  wakeups.push_back(std::move(*wakeup));
  Shared shared({}, std::move(wakeups), std::move(*control));
  Exchange exchange(shared, 0);
  const auto streams = TcpStreams::open({});
  ASSERT_TRUE(streams);
  ConnectedPeers connected(sockets->front(), true);
  WireSender sender(sockets->front(), connected, **streams, tun, exchange, shared.counters);

  const MutableByteView region = sender.region();
  const net::IpAddress here = *net::IpAddress::parse("127.0.0.1");
  const auto train = [&](std::size_t at, std::size_t length) {
    return ipsec::WireTrain{.path = {{here, options.nat_port}, {here, 9}},
                            .encapsulation = model::Encapsulation::udp,
                            .segment_size = static_cast<std::uint16_t>(length),
                            .bytes = region.subspan(at, length)};
  };
  const std::array trains{train(1400, 1000), train(0, 1400)};
  sender.send(trains);
  EXPECT_GE(sender.region().data(), region.data() + 2400);
  sender.flush();
  EXPECT_EQ(sender.region().data(), region.data()) << "all have left";
}

}  // namespace
}  // namespace culvert::datapath
