// DatagramSocket, the sending half: messages are gathered into sendmmsg calls; a train goes as one message where the
// kernel segments it, else piece by piece.
#include <algorithm>
#include <array>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "io/ancillary.hpp"
#include "io/datagram_socket.hpp"
#include "io/socket_address.hpp"

namespace culvert::io {

namespace {

constexpr std::size_t kSlots = 64;
/// How often to wait for room in the socket's buffer, and how long each time. Together the longest stall of a worker
/// per batch part.
constexpr int kFullAttempts = 5;
constexpr int kFullWaitMilliseconds = 2;

std::uint32_t pieces_of(const OutgoingMessage& message) {
  if (message.segment_size == 0) return 1;
  return static_cast<std::uint32_t>((message.bytes.size() + message.segment_size - 1) / message.segment_size);
}

}  // namespace

struct SendScratch::State {
  std::array<mmsghdr, kSlots> headers{};
  std::array<iovec, kSlots> vectors{};
  std::array<sockaddr_storage, kSlots> addresses{};
  std::array<AncillaryBuffer, kSlots> controls{};
  std::array<OutgoingMessage, kSlots> messages{};  // what each slot holds
  std::size_t used = 0;
};

SendScratch::SendScratch() : state_(std::make_unique<State>()) {}
SendScratch::~SendScratch() = default;
SendScratch::SendScratch(SendScratch&&) noexcept = default;
SendScratch& SendScratch::operator=(SendScratch&&) noexcept = default;

/// One run of `send`.
class DatagramSocket::Sender {
 public:
  Sender(const DatagramSocket& socket, SendScratch::State& scratch) : socket_(socket), scratch_(scratch) {}

  void add(const OutgoingMessage& message) {
    if (message.bytes.empty()) return;
    if (message.segment_size != 0 && message.segment_size < message.bytes.size() && !socket_.gso_) {
      add_pieces(message);
    } else {
      put(message);
    }
  }

  SendCounts finish() {
    flush();
    return counts_;
  }

 private:
  void add_pieces(const OutgoingMessage& train) {
    for (std::size_t offset = 0; offset < train.bytes.size(); offset += train.segment_size) {
      const std::size_t size = std::min<std::size_t>(train.segment_size, train.bytes.size() - offset);
      put({train.path, train.tos, 0, train.bytes.subspan(offset, size), train.hop_limit});
    }
  }

  void put(const OutgoingMessage& message) {
    if (scratch_.used == kSlots) flush();
    const std::size_t slot = scratch_.used++;
    scratch_.messages[slot] = message;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): an iovec serves reading, too; here it is only read
    scratch_.vectors[slot] = {const_cast<std::uint8_t*>(message.bytes.data()), message.bytes.size()};
    msghdr& header = scratch_.headers[slot].msg_hdr;
    header = {};
    // Naming either address would make the kernel look up the route.
    const bool addressed = !socket_.connected_;
    if (addressed) {
      header.msg_name = &scratch_.addresses[slot];
      header.msg_namelen =
          to_sockaddr({message.path.remote.address, socket_.raw_ ? std::uint16_t{0} : message.path.remote.port},
                      scratch_.addresses[slot]);
    }
    header.msg_iov = &scratch_.vectors[slot];
    header.msg_iovlen = 1;
    const bool train = message.segment_size != 0 && message.segment_size < message.bytes.size();
    write_ancillary(header, scratch_.controls[slot],
                    {.source = addressed ? message.path.local.address : net::IpAddress::any(socket_.family_),
                     .tos = message.tos,
                     .hop_limit = message.hop_limit,
                     .segment_size = train ? message.segment_size : std::uint16_t{0}});
  }

  void flush() {
    std::size_t first = 0;
    int full = 0;
    int tries = 0;  // of the message at `first`
    while (first < scratch_.used) {
      ++counts_.system_calls;
      const int sent = ::sendmmsg(socket_.fd(), &scratch_.headers[first], static_cast<unsigned>(scratch_.used - first),
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) {
        for (int i = 0; i < sent; ++i)
          counts_.datagrams += pieces_of(scratch_.messages[first + static_cast<std::size_t>(i)]);
        first += static_cast<std::size_t>(sent);
        tries = 0;
        continue;
      }
      if (handle_error(errno, first, full, tries)) {
        ++first;
        tries = 0;
      }
    }
    scratch_.used = 0;
  }

  /// True when the message at `first` is done with, sent or not.
  bool handle_error(int error, std::size_t first, int& full, int& tries) {
    const OutgoingMessage& message = scratch_.messages[first];
    if (error == EINTR) return false;
    if (error == EAGAIN || error == ENOBUFS) {
      if (full++ < kFullAttempts) {
        pollfd waiting{socket_.fd(), POLLOUT, 0};
        (void)::poll(&waiting, 1, kFullWaitMilliseconds);
        return false;
      }
      counts_.buffer_full += pieces_of(message);
      return true;
    }
    // An ICMP error that an earlier datagram caused is reported once, to whoever sends next; of any kind where such
    // errors are asked for.
    if ((error == ECONNREFUSED || socket_.connected_) && tries++ == 0) return false;
    const bool train = message.segment_size != 0 && message.segment_size < message.bytes.size();
    if (train && (error == EINVAL || error == EMSGSIZE || error == EIO)) {
      ++counts_.unsegmented;
      send_pieces(message);
      return true;
    }
    refuse(message, error);
    return true;
  }

  void refuse(const OutgoingMessage& message, int error) {
    counts_.refused += pieces_of(message);
    counts_.last_error = error;
    if (error == EMSGSIZE) counts_.too_long = message;
  }

  void send_pieces(const OutgoingMessage& train) {
    for (std::size_t offset = 0; offset < train.bytes.size(); offset += train.segment_size) {
      const ByteView piece =
          train.bytes.subspan(offset, std::min<std::size_t>(train.segment_size, train.bytes.size() - offset));
      ++counts_.system_calls;
      int error = socket_.send_one(train.path, train.tos, std::span(&piece, 1), train.hop_limit);
      for (int i = 0; i < kFullAttempts && (error == EAGAIN || error == ENOBUFS); ++i) {
        pollfd waiting{socket_.fd(), POLLOUT, 0};
        (void)::poll(&waiting, 1, kFullWaitMilliseconds);
        error = socket_.send_one(train.path, train.tos, std::span(&piece, 1), train.hop_limit);
      }
      if (error == 0) {
        ++counts_.datagrams;
      } else if (error == EAGAIN || error == ENOBUFS) {
        ++counts_.buffer_full;
      } else {
        refuse({train.path, train.tos, 0, piece, train.hop_limit}, error);
      }
    }
  }

  const DatagramSocket& socket_;
  SendScratch::State& scratch_;
  SendCounts counts_;
};

SendCounts DatagramSocket::send(std::span<const OutgoingMessage> messages, SendScratch& scratch) const {
  Sender sender(*this, *scratch.state_);
  for (const OutgoingMessage& message : messages) sender.add(message);
  return sender.finish();
}

}  // namespace culvert::io
