// Turning and stopping. Starting stands in daemon_start.cpp, a new configuration in daemon_config.cpp, what the control
// plane wants done in daemon_requests.cpp, what the control protocol asks for in daemon_api.cpp.
#include "daemon/daemon.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "daemon/notify.hpp"
#include "daemon/ticket_keys.hpp"
#include "io/addresses.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;
using Level = control::Notice::Level;

Daemon::Daemon(asio::io_context& io, Log& log, Options options, config::Config config)
    : io_(io),
      log_(log),
      options_(std::move(options)),
      config_(std::move(config)),
      started_(clock_.now()),
      work_ready_(io),
      data_plane_ready_(io),
      monitor_ready_(io),
      timer_(io),
      quiet_timer_(io),
      look_timer_(io),
      secret_timer_(io),
      signals_(io, SIGTERM, SIGINT, SIGHUP) {}

Daemon::~Daemon() {
  // The descriptors belong to others.
  if (work_ready_.is_open()) work_ready_.release();
  if (data_plane_ready_.is_open()) data_plane_ready_.release();
  if (monitor_ready_.is_open()) monitor_ready_.release();
}

// ---------------------------------------------------------------- the loop

void Daemon::wait_for_data_plane() {
  data_plane_ready_.async_wait(asio::posix::stream_descriptor::wait_read,
                               [this](const boost::system::error_code& error) {
                                 if (error) return;
                                 data_plane_->handle_wakeup();
                                 while (auto datagram = data_plane_->poll_datagram())
                                   control_->handle_datagram(datagram->path, datagram->message, now());
                                 tell_stream_news();
                                 control_->handle_data_plane(now());
                                 if (const auto fault = data_plane_->poll_fault()) fail(*fault);
                                 pump();
                                 if (!stopping_) wait_for_data_plane();
                               });
}

void Daemon::wait_for_network_changes() {
  monitor_ready_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    const auto changes = monitor_->take(io::RoutingOptions{}.protocol);
    if (changes.addresses) {
      log_problems(network_->addresses_changed());
      data_plane_->read_addresses();
    }
    if (changes.forwarding) data_plane_->read_forwarding();
    if (changes.links) log_problems(network_->links_changed());
    if (changes.ways() && !stopping_) look_at_network_soon(!changes.addresses && !changes.links);
    if (!stopping_) wait_for_network_changes();
  });
}

// Changes come in bursts; and those of a router's routes come all the time.
void Daemon::look_at_network_soon(bool only_routes) {
  constexpr auto kFirst = std::chrono::milliseconds(100);
  constexpr auto kDistance = std::chrono::seconds(2);
  Instant at = now() + kFirst;
  if (only_routes) at = std::max(at, looked_at_ + kDistance);
  if (look_at_ && *look_at_ <= at) return;
  look_at_ = at;
  look_timer_.expires_after(at - now());
  look_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    look_at_.reset();
    look_at_network();
    pump();
  });
}

void Daemon::look_at_network() {
  looked_at_ = now();
  const auto found = io::local_addresses();
  if (!found) return log_.write(Level::error, "", found.error().text);
  auto addresses = io::addresses_for_peers(*found, io::working_interfaces(), data_plane_->tun().index());
  paths_->set_addresses(addresses);
  control_->handle_network_change(std::move(addresses), now());
}

void Daemon::wait_for_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) return stop();
    notify_reloading();
    log_.write(Level::info, "", "SIGHUP: reading the configuration again");
    (void)apply(api::ApplyRequest{});  // says itself what was wrong
    notify_ready(fmt::format("{} tunnels", config_.tunnels.size()));
    wait_for_signals();
  });
}

void Daemon::pump() {
  do {
    answer_reservations();
    while (auto request = control_->poll_request()) {
      std::visit([this](auto&& one) { carry_out(std::forward<decltype(one)>(one)); }, std::move(*request));
    }
  } while (!reservations_.empty());
  while (const auto notice = control_->poll_notice()) log_.write(*notice);
  while (const auto transmit = control_->poll_transmit()) {
    const int error = data_plane_->send_ike(transmit->path, transmit->message);
    // The data plane counts it; a lost message is sent again by IKE's own timers.
    if (error != 0) {
      log_.write(Level::debug, "",
                 fmt::format("an IKE message to {} was refused: {}", transmit->path.remote.to_string(),
                             io::errno_text(error)));
    }
  }
  set_timer();
}

void Daemon::set_timer() {
  // With very many IKE SAs something is due all the time. One turn then does what has come together since the last, so
  // that neither this thread nor the peers' answers wake up for each by itself; no timer of IKE's is that exact.
  constexpr auto kDistance = std::chrono::milliseconds(20);
  const auto next = control_->poll_timeout();
  if (!next || stopping_) {
    timer_at_.reset();
    timer_.cancel();
    return;
  }
  const Instant at = std::max(*next, timers_turned_ + kDistance);
  if (timer_at_ == at) return;
  timer_at_ = at;
  timer_.expires_after(std::max(Duration::zero(), at - now()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    timer_at_.reset();
    timers_turned_ = now();
    control_->handle_timeout(timers_turned_);
    pump();
  });
}

void Daemon::tell_stream_news() {
  using Kind = datapath::TcpStreamEvent::Kind;
  for (datapath::TcpStreamEvent& event : data_plane_->streams().take_events()) {
    const auto kind =
        event.kind == Kind::opened_again ? control::StreamNews::Kind::opened_again : control::StreamNews::Kind::failed;
    control_->handle_stream({event.path, kind, std::move(event.text)}, now());
  }
}

void Daemon::compute(ike::RequestToken token, WorkPool::Work work) {
  if (pool_) return pool_->submit(token, std::move(work));
  deliver({.token = token, .completion = work()});
}

void Daemon::deliver(WorkPool::Answer answer) {
  if (desk_->keeps(answer)) return control_->handle_wait(answer.token);
  control_->handle_completion(answer.token, std::move(answer.completion), now());
}

void Daemon::wait_for_work() {
  work_ready_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    pool_->handle_wakeup();
    while (auto answer = pool_->poll_answer()) deliver(std::move(*answer));
    pump();
    if (!stopping_) wait_for_work();
  });
}

void Daemon::log_problems(const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) log_.write(Level::error, "", problem);
}

// ---------------------------------------------------------------- end

void Daemon::stop() {
  if (stopping_) return;
  log_.write(Level::info, "", "ending on request: telling the peers, taking back routes and addresses");
  notify_stopping();
  control_->shutdown(now());
  stopping_ = true;
  // RFC 5723 6.2: the tickets end with their IKE SAs, also for a peer that hears nothing of it.
  if (const auto removed = remove_ticket_keys(state_folder()); !removed)
    log_.write(Level::warning, "", removed.error());
  pump();
  radius_->shut_down();
  paths_->cancel();
  server_->close();
  signals_.cancel();
  look_timer_.cancel();
  secret_timer_.cancel();
  if (work_ready_.is_open()) work_ready_.release();
  data_plane_ready_.release();
  monitor_ready_.release();
  // What is on its way out of the loop ends by itself; the destructors take everything back.
  io_.stop();
}

void Daemon::fail(const std::string& problem) {
  log_.write(Level::error, "", problem);
  exit_code_ = kExitFailed;
  stop();
}

}  // namespace culvert::daemon
