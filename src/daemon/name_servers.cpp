#include "daemon/name_servers.hpp"

#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "io/command.hpp"

namespace culvert::daemon {
namespace {

constexpr Duration kPatience = std::chrono::seconds(5);

// Debian's resolvconf puts records in the order of their names (interface-order(5)), and those of tun* in front of the
// network's own; openresolv goes by the metric and, with -x, asks nobody else's servers.
std::string record_of(const std::string& link) { return "tun." + link; }

std::string resolvconf_text(const control::NameServerWish& wish) {
  std::string text;
  for (const net::IpAddress& server : wish.servers) text += fmt::format("nameserver {}\n", server.to_string());
  if (!wish.domains.empty()) text += fmt::format("search {}\n", fmt::join(wish.domains, " "));
  return text;
}

}  // namespace

HostNameServers::HostNameServers(Options options, std::function<void(std::string)> problem)
    : options_(std::move(options)), problem_(std::move(problem)) {
  take_back_of_a_crash();
}

HostNameServers::~HostNameServers() {
  if (thread_.joinable()) {
    {
      const std::scoped_lock lock(mutex_);
      ending_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  take_back();
}

void HostNameServers::apply(const control::NameServerWish& wish) {
  // Without any tunnel that has servers there is no thread.
  if (!thread_.joinable()) {
    if (wish.empty()) return;
    thread_ = std::thread([this] { run(); });
  }
  const std::scoped_lock lock(mutex_);
  wanted_ = wish;
  changed_.notify_all();
}

void HostNameServers::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !wanted_ && !busy_; });
}

void HostNameServers::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return wanted_ || ending_; });
    if (ending_) return;
    if (!wanted_) continue;
    const control::NameServerWish wish = std::move(*wanted_);
    wanted_.reset();
    busy_ = true;
    lock.unlock();
    bring_about(wish);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

HostNameServers::Way HostNameServers::find_way() const {
  std::error_code error;
  if (std::filesystem::exists(options_.resolved, error) && !io::find_program("resolvectl").empty())
    return Way::resolved;
  return io::find_program("resolvconf").empty() ? Way::none : Way::resolvconf;
}

void HostNameServers::bring_about(const control::NameServerWish& wish) {
  if (wish.empty()) return take_back();
  const Way way = find_way();
  if (in_force_ != Way::none && in_force_ != way) take_back();
  if (way == Way::resolvconf && wish.servers.empty()) {
    take_back();
    return problem_(
        "the tunnel's name servers are asked over TLS only, which resolvconf cannot express; run systemd-resolved");
  }
  if (way == Way::none) {
    return problem_(
        "the tunnel's name servers cannot be set: neither systemd-resolved runs nor resolvconf is installed; "
        "write them into /etc/resolv.conf by hand");
  }
  // Written down first: whatever happens from here on can be taken back.
  if (!note(way)) return;
  in_force_ = way;
  if (way == Way::resolvconf) {
    if (!wish.domains.empty())
      problem_("resolvconf knows no servers for some domains only: all names are looked up by the tunnel's servers");
    (void)call({"resolvconf", "-a", record_of(options_.link), "-m", "0", "-x"}, resolvconf_text(wish));
    return;
  }
  // Where there are such, nothing is asked in clear.
  const bool over_tls = !wish.over_tls.empty();
  std::vector<std::string> servers{"resolvectl", "dns", options_.link};
  for (const auto& server : wish.over_tls)
    servers.push_back(fmt::format("{}#{}", net::Endpoint{server.address, server.port}.to_string(), server.name));
  if (!over_tls) {
    for (const net::IpAddress& server : wish.servers) servers.push_back(server.to_string());
  }
  std::vector<std::string> domains{"resolvectl", "domain", options_.link};
  // "~": where to look up, not what to append to a name without a dot. "~.": everything.
  for (const std::string& domain : wish.domains) domains.push_back("~" + domain);
  if (wish.domains.empty()) domains.emplace_back("~.");
  // TLS before the servers, so that none of them is asked without it in between.
  if (over_tls != over_tls_ && !call({"resolvectl", "dnsovertls", options_.link, over_tls ? "yes" : "no"})) return;
  over_tls_ = over_tls;
  if (!call(std::move(servers)) || !call(std::move(domains))) return;
  (void)call({"resolvectl", "default-route", options_.link, wish.domains.empty() ? "yes" : "no"});
}

void HostNameServers::take_back() {
  over_tls_ = false;
  const Way way = std::exchange(in_force_, Way::none);
  if (way == Way::none) return;
  const bool done = way == Way::resolved ? call({"resolvectl", "revert", options_.link})
                                         : call({"resolvconf", "-d", record_of(options_.link)});
  // Else the next run tries again.
  if (done) std::filesystem::remove(file());
}

void HostNameServers::take_back_of_a_crash() {
  std::ifstream in(file());
  std::string way;
  std::string record;
  if (!(in >> way >> record)) return;
  // The link, and what systemd-resolved knew of it, went with the process.
  std::error_code error;
  if (way != "resolvconf" || call({"resolvconf", "-d", record})) std::filesystem::remove(file(), error);
}

bool HostNameServers::note(Way way) {
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  std::ofstream out(file(), std::ios::trunc);
  out << (way == Way::resolved ? "resolved " + options_.link : "resolvconf " + record_of(options_.link)) << "\n";
  out.flush();
  if (out.good()) return true;
  problem_(
      fmt::format("the tunnel's name servers are not set, because {} cannot be written: after a crash nobody could "
                  "take them back; choose another folder with \"state\"",
                  file().string()));
  return false;
}

bool HostNameServers::call(std::vector<std::string> words, const std::string& input) {
  const std::string program = io::find_program(words.front());
  if (program.empty()) {
    problem_(fmt::format("{} is not there any more", words.front()));
    return false;
  }
  words.front() = program;
  const auto done = io::run_command(words, input, kPatience);
  if (!done) problem_(fmt::format("the tunnel's name servers: {}", done.error().text));
  return done.has_value();
}

}  // namespace culvert::daemon
