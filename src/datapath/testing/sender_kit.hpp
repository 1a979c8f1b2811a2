// What a WireSender needs around it, with sockets by `options`.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "datapath/wire_sender.hpp"

namespace culvert::datapath::testing {

struct SenderKit {
  SocketOptions options;
  Result<std::vector<OuterSockets>, io::IoError> sockets = OuterSockets::open(options);
  io::TunQueue tun{io::FileDescriptor(), false};
  Shared shared{{}, wakeups(), *io::EventFd::open()};
  Exchange exchange{shared, 0};
  Result<std::unique_ptr<TcpStreams>, io::IoError> streams = TcpStreams::open({});
  ConnectedPeers connected{sockets->front(), true};
  io::Poller poller = *io::Poller::open();
  WireSender sender;

  explicit SenderKit(SocketOptions wanted, const MessageBounds& bounds = {})
      : options(std::move(wanted)),
        sender(sockets->front(), connected, **streams, tun, exchange, poller, shared.counters, bounds) {}

 private:
  static std::vector<io::EventFd> wakeups() {
    std::vector<io::EventFd> all;
    all.push_back(*io::EventFd::open());
    return all;
  }
};

}  // namespace culvert::datapath::testing
