// DatagramSocket, the receiving half: one recvmmsg per batch.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include "io/ancillary.hpp"
#include "io/datagram_socket.hpp"
#include "io/ipv6_headers.hpp"
#include "io/socket_address.hpp"

namespace culvert::io {

struct ReceiveBuffers::State {
  State(std::size_t at_first, std::size_t count)
      : few(at_first),
        offered(at_first),
        memory(std::make_unique_for_overwrite<std::uint8_t[]>(count * kStride)),
        headers(count),
        vectors(count),
        senders(count),
        controls(count * kControlStride),
        ip_headers(count * kIpv6HeaderRoom),
        messages(count) {}

  // The beginnings of the buffers, all that small messages touch, shall not fight for one set of the caches, as they
  // would if they lay apart by a power of two.
  static constexpr std::size_t kStride = kBufferSize + std::size_t{5} * 64;
  // Apart by one cache line more than a page, for the same reason.
  static constexpr std::size_t kControlStride = kIpv6ControlSize + 64;
  // Messages that are not longer than that on the average are small.
  static constexpr std::size_t kSmall = 2048;

  std::size_t few;
  std::size_t offered;  // to the next receive

  // Not set to zero: what no packet has needed stays the system's.
  std::unique_ptr<std::uint8_t[]> memory;
  std::vector<mmsghdr> headers;
  std::vector<iovec> vectors;
  std::vector<sockaddr_storage> senders;
  std::vector<std::uint8_t> controls;
  std::vector<std::uint8_t> ip_headers;  // rebuilt ones
  std::vector<ReceivedMessage> messages;

  /// The kernel overwrites the lengths, so each receive needs fresh headers.
  void arm() {
    for (std::size_t i = 0; i < headers.size(); ++i) {
      vectors[i] = {memory.get() + i * kStride, kBufferSize};
      msghdr& header = headers[i].msg_hdr;
      header = {};
      header.msg_name = &senders[i];
      header.msg_namelen = sizeof senders[i];
      header.msg_iov = &vectors[i];
      header.msg_iovlen = 1;
      header.msg_control = controls.data() + i * kControlStride;
      header.msg_controllen = kIpv6ControlSize;
    }
  }
  /// The same, for the headers that the last receive touched.
  void arm(std::size_t used) {
    for (std::size_t i = 0; i < used; ++i) {
      msghdr& header = headers[i].msg_hdr;
      vectors[i] = {memory.get() + i * kStride, kBufferSize};
      header.msg_namelen = sizeof senders[i];
      header.msg_controllen = kIpv6ControlSize;
      header.msg_flags = 0;
    }
  }
  std::size_t to_arm = 0;

  /// Of long messages a few at a time, whose memory stays in the cache; of small ones many, for each receive costs its
  /// call and a turn of the caller.
  void choose(std::size_t received, std::size_t bytes) {
    if (bytes > received * kSmall) {
      offered = few;
    } else if (received == offered) {
      offered = headers.size();
    }
  }
};

ReceiveBuffers::ReceiveBuffers(std::size_t count, std::size_t count_of_small)
    : state_(std::make_unique<State>(count, std::max(count, count_of_small))) {
  state_->arm();
}
ReceiveBuffers::~ReceiveBuffers() = default;
ReceiveBuffers::ReceiveBuffers(ReceiveBuffers&&) noexcept = default;
ReceiveBuffers& ReceiveBuffers::operator=(ReceiveBuffers&&) noexcept = default;

namespace {

/// A raw IPv4 socket hands over the IP header too. Its octets; 0 when it is cut.
std::size_t ipv4_header_length(ByteView bytes) {
  if (bytes.size() < 20) return 0;
  const std::size_t length = std::size_t{bytes[0] & 0x0fU} * 4;
  return length < 20 || length > bytes.size() ? 0 : length;
}

int receive_batch(int fd, std::span<mmsghdr> headers, int flags) {
  // A pending error of an earlier datagram is handed out once and clears; a few in a row must not hide what waits
  // behind them.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int count =
        ::recvmmsg(fd, headers.data(), static_cast<unsigned>(headers.size()), flags | MSG_DONTWAIT, nullptr);
    if (count >= 0) return count;
    if (errno == EAGAIN || errno == EBADF || errno == ENOTSOCK) return -errno;
  }
  return -EAGAIN;
}

}  // namespace

bool DatagramSocket::read_message(std::size_t slot, ReceiveBuffers& buffers, ReceivedMessage& message) const {
  auto& state = *buffers.state_;
  msghdr& header = state.headers[slot].msg_hdr;
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || header.msg_namelen == 0) return false;
  const Ancillary ancillary = read_ancillary(header);
  message.bytes = {static_cast<std::uint8_t*>(state.vectors[slot].iov_base), state.headers[slot].msg_len};
  message.ip_header = {};
  message.path.remote = from_sockaddr(state.senders[slot]);
  message.path.local = {ancillary.has_destination ? ancillary.destination : local_.address, local_.port};
  message.tos = ancillary.tos;
  message.hop_limit = ancillary.hop_limit;
  if (raw_) {
    message.path.remote.port = 0;  // the kernel puts the protocol number there for IPv6
    std::size_t length = 0;
    if (family_ == net::Family::v4) {
      length = ipv4_header_length(message.bytes);
      message.ip_header = message.bytes.first(length);
      message.bytes = message.bytes.subspan(length);
    } else {
      const MutableByteView room = MutableByteView(state.ip_headers).subspan(slot * kIpv6HeaderRoom, kIpv6HeaderRoom);
      length = rebuild_ipv6_headers(header,
                                    {.source = message.path.remote.address,
                                     .destination = message.path.local.address,
                                     .flow_info = ancillary.flow_info,
                                     .hop_limit = ancillary.hop_limit,
                                     .protocol = protocol_,
                                     .payload_length = message.bytes.size()},
                                    room);
      message.ip_header = room.first(length);
    }
    if (length == 0) return false;
  }
  message.segment_size = ancillary.segment_size < message.bytes.size() ? ancillary.segment_size : std::uint16_t{0};
  return true;
}

ReceiveOutcome DatagramSocket::receive(ReceiveBuffers& buffers) const {
  auto& state = *buffers.state_;
  state.arm(state.to_arm);
  const int count = receive_batch(fd_.get(), std::span(state.headers).first(state.offered), 0);
  state.to_arm = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (count <= 0) return {{}, 0, count < 0 ? -count : EAGAIN};

  std::size_t kept = 0;
  std::size_t bytes = 0;
  ReceiveOutcome outcome;
  for (std::size_t i = 0; i < state.to_arm; ++i) {
    bytes += state.headers[i].msg_len;
    if (read_message(i, buffers, state.messages[kept])) {
      ++kept;
    } else {
      ++outcome.dropped;
    }
  }
  state.choose(state.to_arm, bytes);
  outcome.messages = {state.messages.data(), kept};
  return outcome;
}

std::uint32_t DatagramSocket::receive_drops() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> counts{};
  socklen_t length = sizeof counts;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, counts.data(), &length) < 0) return 0;
  return counts[SK_MEMINFO_DROPS];
}

// ---------------------------------------------------------------- ICMP errors

struct ErrorBuffers::State {
  static constexpr std::size_t kCount = 16;
  // An ICMPv6 error is cut to 1280 octets, an ICMP error is shorter (RFC 4443 2.4, RFC 1812 4.3.2.3).
  static constexpr std::size_t kQuoted = 1280;
  std::array<std::array<std::uint8_t, kQuoted>, kCount> memory;
  std::array<mmsghdr, kCount> headers{};
  std::array<iovec, kCount> vectors{};
  std::array<sockaddr_storage, kCount> senders{};
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, 512> octets;
  };
  std::array<Control, kCount> controls;
  std::array<ReceivedError, kCount> errors;
};

ErrorBuffers::ErrorBuffers() : state_(std::make_unique<State>()) {}
ErrorBuffers::~ErrorBuffers() = default;
ErrorBuffers::ErrorBuffers(ErrorBuffers&&) noexcept = default;
ErrorBuffers& ErrorBuffers::operator=(ErrorBuffers&&) noexcept = default;

std::span<const ReceivedError> DatagramSocket::receive_errors(ErrorBuffers& buffers) const {
  using State = ErrorBuffers::State;
  auto& state = *buffers.state_;
  for (std::size_t i = 0; i < State::kCount; ++i) {
    state.vectors[i] = {state.memory[i].data(), state.memory[i].size()};
    msghdr& header = state.headers[i].msg_hdr;
    header = {};
    header.msg_name = &state.senders[i];
    header.msg_namelen = sizeof state.senders[i];
    header.msg_iov = &state.vectors[i];
    header.msg_iovlen = 1;
    header.msg_control = state.controls[i].octets.data();
    header.msg_controllen = sizeof state.controls[i].octets;
  }
  const int count = receive_batch(fd_.get(), state.headers, MSG_ERRQUEUE);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(count, 0)); ++i) {
    msghdr& header = state.headers[i].msg_hdr;
    const Ancillary ancillary = read_ancillary(header);
    const sock_extended_err& told = ancillary.error;
    const bool v4 = told.ee_origin == SO_EE_ORIGIN_ICMP;
    if ((!v4 && told.ee_origin != SO_EE_ORIGIN_ICMP6) || header.msg_namelen == 0 || !ancillary.has_destination)
      continue;
    ReceivedError& error = state.errors[kept++];
    error.path = {{ancillary.destination, local_.port}, from_sockaddr(state.senders[i])};
    if (raw_) error.path.remote.port = 0;
    error.type = told.ee_type;
    error.code = told.ee_code;
    const bool too_long = v4 ? told.ee_type == ICMP_DEST_UNREACH && told.ee_code == ICMP_FRAG_NEEDED
                             : told.ee_type == ICMP6_PACKET_TOO_BIG;
    error.mtu = too_long ? static_cast<std::uint16_t>(std::min<std::uint32_t>(told.ee_info, 0xffff)) : std::uint16_t{0};
    error.quoted = ByteView(state.memory[i]).first(std::min<std::size_t>(state.headers[i].msg_len, State::kQuoted));
  }
  return {state.errors.data(), kept};
}

}  // namespace culvert::io
