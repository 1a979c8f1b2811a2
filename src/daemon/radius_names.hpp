// RadiusNames: where the RADIUS servers of one kind are that have names. Looked up by the system's resolver on threads
// beside the loop, one for each name, so that no name waits for another: at once, again while there is no answer, and
// when a server is silent.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/time.hpp"
#include "config/config.hpp"
#include "io/clock.hpp"
#include "io/name_lookup.hpp"
#include "net/address.hpp"

namespace culvert::daemon {

class RadiusNames : public std::enable_shared_from_this<RadiusNames> {
 public:
  struct Hooks {
    /// The server, by its place, is there. From the loop.
    std::function<void(std::size_t, const net::Endpoint&)> found;
    std::function<void(std::string)> complaint;
  };
  /// `io` must outlive it.
  RadiusNames(boost::asio::io_context& io, const std::vector<config::RadiusServer>& servers, Hooks hooks);
  RadiusNames(const RadiusNames&) = delete;
  RadiusNames& operator=(const RadiusNames&) = delete;

  /// Looks all names up.
  void begin();
  /// The system's resolver has not come back yet.
  [[nodiscard]] bool looks_up_names() const;
  /// The server was silent: its name is looked up again, at most every so often.
  void look_again(std::size_t server);

 private:
  /// What the thread writes to; it lives as long as the last of both.
  struct Board;
  struct Name {
    std::size_t server;
    std::string host;
    std::uint16_t port;
    bool complained = false;
    OptionalInstant looked_at;  // again
    net::Endpoint known;
    std::shared_ptr<Board> under_way;
    std::unique_ptr<boost::asio::steady_timer> timer;  // till the answer is there, or the name is looked up again
  };
  void look_up(Name& name);
  void wait(Name& name);
  void take(Name& name, const io::NameAnswer& answer);
  void call_after(Name& name, Duration time, void (RadiusNames::*what)(Name&));

  io::MonotonicClock clock_;
  Hooks hooks_;
  std::vector<Name> names_;
};

}  // namespace culvert::daemon
