// RadiusLines: the sockets and the timer of one radius::Client, on the daemon's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "io/clock.hpp"
#include "radius/client.hpp"

namespace culvert::daemon {

class RadiusLines : public std::enable_shared_from_this<RadiusLines> {
 public:
  struct Hooks {
    std::function<void(radius::Client::Outcome)> outcome;  // from the loop
    std::function<void(std::string)> complaint;
    std::function<void(std::size_t)> missing;  // radius::Client::poll_missing
  };
  /// `io` and `random` must outlive it.
  RadiusLines(boost::asio::io_context& io, radius::ClientSettings settings, RandomSource& random, Hooks hooks);
  ~RadiusLines();
  RadiusLines(const RadiusLines&) = delete;
  RadiusLines& operator=(const RadiusLines&) = delete;

  [[nodiscard]] radius::Client& client() { return client_; }
  /// The server is there from now on (radius::Client::set_endpoint).
  void move(std::size_t server, const net::Endpoint& endpoint);
  /// After each use of the client: what it made is sent, said and told.
  void pump();

 private:
  struct Line;
  void send(const radius::Client::Transmit& transmit);
  [[nodiscard]] Line* open(const radius::Line& name);
  void receive(const std::shared_ptr<Line>& line);

  boost::asio::io_context& io_;
  radius::Client client_;
  Hooks hooks_;
  io::MonotonicClock clock_;
  boost::asio::steady_timer timer_;
  std::map<radius::Line, std::shared_ptr<Line>> lines_;
  bool pumping_ = false;
};

}  // namespace culvert::daemon
