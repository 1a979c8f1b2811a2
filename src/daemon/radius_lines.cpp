#include "daemon/radius_lines.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;
using udp = asio::ip::udp;

udp::endpoint to_asio(const net::Endpoint& endpoint) {
  const ByteView octets = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    asio::ip::address_v4::bytes_type bytes{};
    std::ranges::copy(octets, bytes.begin());
    return {asio::ip::address_v4(bytes), endpoint.port};
  }
  asio::ip::address_v6::bytes_type bytes{};
  std::ranges::copy(octets, bytes.begin());
  return {asio::ip::address_v6(bytes), endpoint.port};
}

}  // namespace

struct RadiusLines::Line {
  Line(asio::io_context& io, const radius::Line& line) : name(line), socket(io) {}
  radius::Line name;
  udp::socket socket;
  // One octet more than a packet has, so that a longer one is seen to be longer.
  std::array<std::uint8_t, radius::kMostPacket + 1> buffer{};
};

RadiusLines::RadiusLines(asio::io_context& io, radius::ClientSettings settings, RandomSource& random, Hooks hooks)
    : io_(io), client_(std::move(settings), random), hooks_(std::move(hooks)), timer_(io) {}

RadiusLines::~RadiusLines() = default;

RadiusLines::Line* RadiusLines::open(const radius::Line& name) {
  if (const auto found = lines_.find(name); found != lines_.end()) return found->second.get();
  const udp::endpoint server = to_asio(client_.endpoint(name.server));
  auto line = std::make_shared<Line>(io_, name);
  boost::system::error_code error;
  line->socket.open(server.protocol(), error);
  // Connected: the kernel drops what is not from the server, and the port is one that nobody knows beforehand.
  if (!error) line->socket.connect(server, error);
  if (!error) line->socket.non_blocking(true, error);
  if (error) {
    hooks_.complaint(fmt::format("the RADIUS server {} cannot be reached: {}",
                                 client_.endpoint(name.server).to_string(), error.message()));
    return nullptr;
  }
  receive(line);
  return lines_.emplace(name, std::move(line)).first->second.get();
}

void RadiusLines::receive(const std::shared_ptr<Line>& line) {
  line->socket.async_receive(asio::buffer(line->buffer),
                             [weak = weak_from_this(), line](const boost::system::error_code& error, std::size_t size) {
                               const auto self = weak.lock();
                               if (!self || error == asio::error::operation_aborted) return;
                               // Port unreachable: the server is away, perhaps only just now; what was asked is
                               // repeated all the same.
                               if (!error) {
                                 self->client_.handle_datagram(line->name, ByteView(line->buffer).first(size));
                                 self->pump();
                               }
                               self->receive(line);
                             });
}

void RadiusLines::send(const radius::Client::Transmit& transmit) {
  Line* line = open(transmit.line);
  if (line == nullptr) return;
  boost::system::error_code error;
  line->socket.send(asio::buffer(transmit.octets), 0, error);
  // An error of an earlier datagram is told in place of this one's: once more. Else it is as good as lost on the way.
  if (error == asio::error::connection_refused) line->socket.send(asio::buffer(transmit.octets), 0, error);
}

void RadiusLines::move(std::size_t server, const net::Endpoint& endpoint) {
  if (client_.endpoint(server) == endpoint) return;
  client_.set_endpoint(server, endpoint);
  for (auto line = lines_.begin(); line != lines_.end();) {
    if (line->first.server != server) {
      ++line;
      continue;
    }
    boost::system::error_code ignored;
    line->second->socket.close(ignored);
    line = lines_.erase(line);
  }
}

void RadiusLines::pump() {
  // What is told may ask again.
  if (std::exchange(pumping_, true)) return;
  const auto self = shared_from_this();
  for (bool more = true; more;) {
    more = false;
    while (const auto transmit = client_.poll_transmit()) {
      more = true;
      send(*transmit);
    }
    while (const auto server = client_.poll_missing()) hooks_.missing(*server);
    while (auto complaint = client_.poll_complaint()) hooks_.complaint(std::move(*complaint));
    while (auto outcome = client_.poll_outcome()) {
      more = true;
      hooks_.outcome(std::move(*outcome));
    }
  }
  pumping_ = false;
  const auto next = client_.poll_timeout();
  if (!next) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::max(Duration::zero(), *next - clock_.now()));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto lines = weak.lock();
    if (!lines || error) return;
    lines->client_.handle_timeout(lines->clock_.now());
    lines->pump();
  });
}

}  // namespace culvert::daemon
