// ControlInlet: what the control thread waits for, behind one descriptor: the workers' wake-up, and the sockets of
// IKE's own port, which it reads itself. Nothing but IKE comes there, so that a message need not wake a worker that
// wakes this thread.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

#include "datapath/io_counters.hpp"
#include "datapath/outer_sockets.hpp"
#include "datapath/userspace_data_plane.hpp"
#include "io/event_fd.hpp"
#include "io/poller.hpp"

namespace culvert::datapath {

class ControlInlet {
 public:
  /// Both must outlive it.
  [[nodiscard]] static Result<ControlInlet, io::IoError> open(const io::EventFd& wakeup, const OuterSockets& sockets);

  [[nodiscard]] int fd() const { return poller_.fd(); }
  /// One batch of each socket that has something, so that a flood leaves time for all else; the kernel keeps the rest,
  /// up to a bound. True when the workers have told something.
  [[nodiscard]] bool take(std::deque<IkeDatagram>& datagrams, IoCounters& counters);

 private:
  static constexpr std::size_t kBatch = 16;

  ControlInlet(io::Poller poller, std::vector<const io::DatagramSocket*> sockets)
      : poller_(std::move(poller)), sockets_(std::move(sockets)), buffers_(kBatch) {}

  io::Poller poller_;
  std::vector<const io::DatagramSocket*> sockets_;
  io::ReceiveBuffers buffers_;
};

}  // namespace culvert::datapath
