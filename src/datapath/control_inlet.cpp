#include "datapath/control_inlet.hpp"

namespace culvert::datapath {
namespace {

constexpr std::uint32_t kWakeupToken = 0;
constexpr std::uint32_t kFirstSocketToken = 1;

}  // namespace

Result<ControlInlet, io::IoError> ControlInlet::open(const io::EventFd& wakeup, const OuterSockets& sockets) {
  auto poller = io::Poller::open();
  if (!poller) return err(std::move(poller.error()));
  auto added = poller->add(wakeup.fd(), kWakeupToken);
  std::vector<const io::DatagramSocket*> own;
  for (const OuterSockets::Entry& entry : sockets.entries()) {
    if (!added || entry.kind != OuterSockets::Kind::ike) continue;
    added = poller->add(entry.socket.fd(), kFirstSocketToken + static_cast<std::uint32_t>(own.size()));
    own.push_back(&entry.socket);
  }
  if (!added) return err(std::move(added.error()));
  return ControlInlet(std::move(*poller), std::move(own));
}

bool ControlInlet::take(std::deque<IkeDatagram>& datagrams, IoCounters& counters) {
  bool told = false;
  for (const io::Poller::Ready& source : poller_.wait(Duration::zero())) {
    if (source.token == kWakeupToken) {
      told = true;
      continue;
    }
    const auto outcome = sockets_[source.token - kFirstSocketToken]->receive(buffers_);
    counters.count(IoDrop::receive_truncated, outcome.dropped);
    // RFC 3948 2.2: the marker exists on the NAT port only; what comes to the IKE port is IKE as a whole.
    for (const io::ReceivedMessage& message : outcome.messages)
      datagrams.push_back({message.path, to_bytes(message.bytes)});
  }
  return told;
}

}  // namespace culvert::datapath
