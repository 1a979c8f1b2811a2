// DatagramSocket, the receiving half: one recvmmsg per batch.
#include <array>
#include <vector>

#include <errno.h>
#include <sys/socket.h>

#include "io/ancillary.hpp"
#include "io/datagram_socket.hpp"
#include "io/socket_address.hpp"

namespace culvert::io {

struct ReceiveBuffers::State {
  explicit State(std::size_t count)
      : memory(count * kBufferSize), headers(count), vectors(count), senders(count), controls(count), messages(count) {}

  std::vector<std::uint8_t> memory;
  std::vector<mmsghdr> headers;
  std::vector<iovec> vectors;
  std::vector<sockaddr_storage> senders;
  std::vector<AncillaryBuffer> controls;
  std::vector<ReceivedMessage> messages;

  /// The kernel overwrites the lengths, so each receive needs fresh headers; `used` says how many the last one touched.
  void arm(std::size_t used) {
    for (std::size_t i = 0; i < used; ++i) {
      vectors[i] = {memory.data() + i * kBufferSize, kBufferSize};
      msghdr& header = headers[i].msg_hdr;
      header = {};
      header.msg_name = &senders[i];
      header.msg_namelen = sizeof senders[i];
      header.msg_iov = &vectors[i];
      header.msg_iovlen = 1;
      header.msg_control = controls[i].octets.data();
      header.msg_controllen = sizeof controls[i].octets;
    }
  }
  std::size_t to_arm = 0;
};

ReceiveBuffers::ReceiveBuffers(std::size_t count) : state_(std::make_unique<State>(count)) { state_->to_arm = count; }
ReceiveBuffers::~ReceiveBuffers() = default;
ReceiveBuffers::ReceiveBuffers(ReceiveBuffers&&) noexcept = default;
ReceiveBuffers& ReceiveBuffers::operator=(ReceiveBuffers&&) noexcept = default;

namespace {

/// A raw IPv4 socket hands over the IP header too; the rest is ours. Empty when the header is cut.
MutableByteView without_ipv4_header(MutableByteView bytes) {
  if (bytes.size() < 20) return {};
  const std::size_t length = std::size_t{bytes[0] & 0x0fU} * 4;
  if (length < 20 || length > bytes.size()) return {};
  return bytes.subspan(length);
}

int receive_batch(int fd, std::span<mmsghdr> headers) {
  // A pending error of an earlier datagram is handed out once and clears; a few in a row must not hide what waits
  // behind them.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int count = ::recvmmsg(fd, headers.data(), static_cast<unsigned>(headers.size()), MSG_DONTWAIT, nullptr);
    if (count >= 0) return count;
    if (errno == EAGAIN || errno == EBADF || errno == ENOTSOCK) return -errno;
  }
  return -EAGAIN;
}

}  // namespace

ReceiveOutcome DatagramSocket::receive(ReceiveBuffers& buffers) const {
  auto& state = *buffers.state_;
  state.arm(state.to_arm);
  const int count = receive_batch(fd_.get(), state.headers);
  state.to_arm = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (count <= 0) return {{}, 0, count < 0 ? -count : EAGAIN};

  std::size_t kept = 0;
  ReceiveOutcome outcome;
  for (std::size_t i = 0; i < state.to_arm; ++i) {
    msghdr& header = state.headers[i].msg_hdr;
    if ((header.msg_flags & MSG_TRUNC) != 0 || header.msg_namelen == 0) {
      ++outcome.dropped;
      continue;
    }
    const Ancillary ancillary = read_ancillary(header);
    ReceivedMessage& message = state.messages[kept];
    message.bytes = {static_cast<std::uint8_t*>(state.vectors[i].iov_base), state.headers[i].msg_len};
    if (raw_ && family_ == net::Family::v4) message.bytes = without_ipv4_header(message.bytes);
    message.path.remote = from_sockaddr(state.senders[i]);
    if (raw_) message.path.remote.port = 0;  // the kernel puts the protocol number there for IPv6
    message.path.local = {ancillary.has_destination ? ancillary.destination : local_.address, local_.port};
    message.tos = ancillary.tos;
    message.segment_size = ancillary.segment_size < message.bytes.size() ? ancillary.segment_size : std::uint16_t{0};
    ++kept;
  }
  outcome.messages = {state.messages.data(), kept};
  return outcome;
}

}  // namespace culvert::io
