#include "daemon/radius_names.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;

constexpr Duration kRetry = std::chrono::seconds(5);       // after which a name without an address is looked up again
constexpr Duration kRest = std::chrono::seconds(5);        // between two looks for a silent server
constexpr Duration kLook = std::chrono::milliseconds(10);  // between two looks whether the resolver has come back
constexpr std::chrono::milliseconds kPatience{30'000};

}  // namespace

struct RadiusNames::Board {
  std::mutex mutex;
  std::optional<io::NameAnswer> answer;
};

RadiusNames::RadiusNames(asio::io_context& io, const std::vector<config::RadiusServer>& servers, Hooks hooks)
    : hooks_(std::move(hooks)) {
  for (std::size_t place = 0; place < servers.size(); ++place) {
    const config::RadiusServer& server = servers[place];
    if (server.name.empty()) continue;
    names_.push_back({.server = place,
                      .host = server.name,
                      .port = server.endpoint.port,
                      .complained = false,
                      .looked_at = {},
                      .known = {},
                      .under_way = nullptr,
                      .timer = std::make_unique<asio::steady_timer>(io)});
  }
}

void RadiusNames::begin() {
  for (Name& name : names_) look_up(name);
}

bool RadiusNames::looks_up_names() const {
  return std::ranges::any_of(names_, [](const Name& name) { return name.under_way != nullptr; });
}

void RadiusNames::look_again(std::size_t server) {
  const auto name = std::ranges::find(names_, server, &Name::server);
  if (name == names_.end() || (name->looked_at && clock_.now() - *name->looked_at < kRest)) return;
  name->looked_at = clock_.now();
  look_up(*name);
}

void RadiusNames::call_after(Name& name, Duration time, void (RadiusNames::*what)(Name&)) {
  // The vector stays as it is.
  name.timer->expires_after(time);
  name.timer->async_wait([weak = weak_from_this(), &name, what](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (self && !error) ((*self).*what)(name);
  });
}

void RadiusNames::look_up(Name& name) {
  if (name.under_way) return;
  name.under_way = std::make_shared<Board>();
  // Nothing can interrupt the resolver: the thread touches nothing of ours, and is left to itself.
  std::thread([board = name.under_way, host = name.host] {
    io::NameAnswer answer = std::move(io::look_up({host}, kPatience).front());
    const std::scoped_lock lock(board->mutex);
    board->answer = std::move(answer);
  }).detach();
  call_after(name, kLook, &RadiusNames::wait);
}

void RadiusNames::wait(Name& name) {
  std::optional<io::NameAnswer> answer;
  {
    const std::scoped_lock lock(name.under_way->mutex);
    answer = name.under_way->answer;
  }
  if (!answer) return call_after(name, kLook, &RadiusNames::wait);
  name.under_way.reset();
  take(name, *answer);
}

void RadiusNames::take(Name& name, const io::NameAnswer& answer) {
  std::vector<net::IpAddress> addresses = answer.addresses;
  std::erase_if(addresses, [](const net::IpAddress& one) { return one.is_unspecified() || one.is_multicast(); });
  if (addresses.empty()) {
    if (!std::exchange(name.complained, true))
      hooks_.complaint(
          fmt::format("the name of the RADIUS server {} cannot be resolved: {}", escaped(name.host),
                      answer.error.empty() ? "it has no address that can be used" : escaped(answer.error)));
    return call_after(name, kRetry, &RadiusNames::look_up);
  }
  name.complained = false;
  // Of several, the one that it has had was silent: then the next.
  const auto had = std::ranges::find(addresses, name.known.address);
  if (had != addresses.end()) std::rotate(addresses.begin(), std::next(had), addresses.end());
  name.known = {addresses.front(), name.port};
  hooks_.found(name.server, name.known);
}

}  // namespace culvert::daemon
