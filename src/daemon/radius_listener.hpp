// RadiusListener: one UDP port on which RADIUS servers ask for sessions to be ended or changed (RFC 5176), for all
// addresses of the host, on the daemon's loop. Answers leave from the address that was asked.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/address.hpp"

namespace culvert::daemon {

class RadiusListener : public std::enable_shared_from_this<RadiusListener> {
 public:
  /// What came from that endpoint, any octets; the answer, if there is one.
  using Handler = std::function<std::optional<Bytes>(const net::Endpoint&, ByteView)>;
  /// The error is a sentence. `io` must outlive it.
  [[nodiscard]] static Result<std::shared_ptr<RadiusListener>, std::string> open(boost::asio::io_context& io,
                                                                                 std::uint16_t port, Handler handler);
  ~RadiusListener();
  RadiusListener(const RadiusListener&) = delete;
  RadiusListener& operator=(const RadiusListener&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  struct Socket;
  RadiusListener(std::uint16_t port, Handler handler);
  void wait(const std::shared_ptr<Socket>& socket);
  void receive(Socket& socket);

  std::uint16_t port_;
  Handler handler_;
  std::vector<std::shared_ptr<Socket>> sockets_;
};

}  // namespace culvert::daemon
