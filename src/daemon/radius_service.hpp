// RadiusService: the sockets and the clock of the RADIUS clients (src/radius), on the daemon's loop and without a
// thread: a server that is slow or silent keeps nobody waiting but those who wait for it.
//
// Answers come by calls back, never from within a call into the service.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/random.hpp"
#include "config/config.hpp"
#include "control/outputs.hpp"
#include "ike/face.hpp"
#include "io/clock.hpp"
#include "model/aaa.hpp"
#include "radius/client.hpp"

namespace culvert::daemon {

class RadiusListener;

class RadiusService {
 public:
  struct Hooks {
    std::function<void(ike::RequestToken, ike::EapResult)> answer;
    /// How many sessions it concerned.
    std::function<std::size_t(const model::SessionQuery&)> end_sessions;
    std::function<std::size_t(const model::SessionQuery&, const model::SessionChange&)> change_sessions;
    std::function<void(control::Notice::Level, std::string)> log;
  };
  /// `io` and `random` must outlive it.
  RadiusService(boost::asio::io_context& io, RandomSource& random, Hooks hooks);
  ~RadiusService();
  RadiusService(const RadiusService&) = delete;
  RadiusService& operator=(const RadiusService&) = delete;

  /// The servers from now on. Conversations with those that changed fail; what their accounting had not
  /// acknowledged is sent once more, and forgotten.
  void configure(const std::vector<config::RadiusConfig>& sections);
  /// A step of a conversation whose settings name a section; `tunnel` is the connection's name.
  void carry_out(ike::EapRequest request, const std::string& tunnel);
  void carry_out(model::SessionRecord record);
  /// The IKE SA is gone.
  void forget(model::IkeSaId sa);
  /// The system's resolver has not come back yet with where servers are.
  [[nodiscard]] bool looks_up_names() const;
  /// What accounting has still to hear leaves now, once.
  void shut_down();

 private:
  class Servers;
  struct Conversation;
  using Level = control::Notice::Level;

  [[nodiscard]] std::shared_ptr<Servers> find(const std::string& name) const;
  void abandon(const Servers& servers);
  void listen();
  void answer_later(ike::RequestToken token, ike::EapResult result);
  void begin(const ike::EapRequest& request, const std::string& tunnel);
  void go_on(const ike::EapRequest& request);
  void take_outcome(Servers& servers, radius::Client::Outcome& outcome);
  [[nodiscard]] std::optional<Bytes> take_dynamic(std::uint16_t port, const net::Endpoint& from, ByteView octets);

  boost::asio::io_context& io_;
  RandomSource& random_;
  Hooks hooks_;
  io::MonotonicClock clock_;
  bool starting_ = true;  // not configured yet
  std::vector<std::shared_ptr<Servers>> servers_;
  std::vector<std::shared_ptr<RadiusListener>> listeners_;
  OptionalInstant complained_at_;  // of requests that nobody may send
  std::map<model::IkeSaId, std::unique_ptr<Conversation>> conversations_;
  /// Outlives us in what the loop still holds.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace culvert::daemon
