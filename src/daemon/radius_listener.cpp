#include "daemon/radius_listener.hpp"

#include <cerrno>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>

#include "io/datagram_socket.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;
constexpr std::size_t kBatch = 4;
constexpr int kKernelBuffer = 256 * 1024;

}  // namespace

struct RadiusListener::Socket {
  Socket(asio::io_context& io, io::DatagramSocket opened)
      : socket(std::move(opened)), buffers(kBatch), ready(io, socket.fd()) {}
  ~Socket() { ready.release(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  io::DatagramSocket socket;
  io::ReceiveBuffers buffers;
  asio::posix::stream_descriptor ready;  // the descriptor is the socket's
};

RadiusListener::RadiusListener(std::uint16_t port, Handler handler) : port_(port), handler_(std::move(handler)) {}

RadiusListener::~RadiusListener() = default;

Result<std::shared_ptr<RadiusListener>, std::string> RadiusListener::open(asio::io_context& io, std::uint16_t port,
                                                                          Handler handler) {
  auto listener = std::shared_ptr<RadiusListener>(new RadiusListener(port, std::move(handler)));
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    io::UdpOptions options;
    options.local = {net::IpAddress::any(family), port};
    options.receive_buffer = options.send_buffer = kKernelBuffer;
    options.segmentation = false;
    auto socket = io::DatagramSocket::open_udp(options);
    if (socket) {
      listener->sockets_.push_back(std::make_shared<Socket>(io, std::move(*socket)));
      continue;
    }
    // A host without IPv6 is none the worse.
    const int number = socket.error().system_error;
    if (family == net::Family::v6 && (number == EAFNOSUPPORT || number == EADDRNOTAVAIL)) continue;
    return err(fmt::format("UDP port {}, for RADIUS servers that end sessions, cannot be used: {}", port,
                           socket.error().text));
  }
  for (const auto& socket : listener->sockets_) listener->wait(socket);
  return listener;
}

void RadiusListener::wait(const std::shared_ptr<Socket>& socket) {
  socket->ready.async_wait(
      asio::posix::stream_descriptor::wait_read,
      [weak = weak_from_this(), held = std::weak_ptr(socket)](const boost::system::error_code& error) {
        const auto self = weak.lock();
        const auto one = held.lock();
        if (!self || !one || error) return;
        self->receive(*one);
        self->wait(one);
      });
}

void RadiusListener::receive(Socket& socket) {
  const io::ReceiveOutcome outcome = socket.socket.receive(socket.buffers);
  for (const io::ReceivedMessage& message : outcome.messages) {
    const auto answer = handler_(message.path.remote, message.bytes);
    if (!answer) continue;
    const ByteView parts[] = {*answer};
    // One that is lost is asked for again.
    (void)socket.socket.send_one(message.path, 0, parts);
  }
}

}  // namespace culvert::daemon
