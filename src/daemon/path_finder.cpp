#include "daemon/path_finder.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "base/text.hpp"
#include "io/addresses.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;
using udp = asio::ip::udp;

net::IpAddress from_asio(const asio::ip::address& address) {
  if (address.is_v4()) return net::IpAddress::v4(address.to_v4().to_bytes());
  return net::IpAddress::v6(address.to_v6().to_bytes());
}

}  // namespace

PathFinder::PathFinder(asio::io_context& io, std::uint32_t mark) : io_(io), resolver_(io), mark_(mark) {}

Result<net::Path, std::string> PathFinder::path_to(const net::IpAddress& remote,
                                                   const control::FindPath& request) const {
  if (request.local && request.local->family() != remote.family()) {
    return err(fmt::format("local_address {} and the peer {} are of different families", request.local->to_string(),
                           remote.to_string()));
  }
  // Asked also when the address is given: without a route the attempt would be silence until its time is up.
  const auto local = io::local_address_towards(remote, mark_, request.local);
  if (!local) return err(local.error().text);
  return net::Path{{*local, 0}, {remote, 0}};
}

void PathFinder::find(const control::FindPath& request, Answer answer) {
  if (const auto address = net::IpAddress::parse(request.peer)) {
    asio::post(io_,
               [this, remote = *address, request, answer = std::move(answer)] { answer(path_to(remote, request)); });
    return;
  }
  ++lookups_;
  resolver_.async_resolve(
      request.peer, "",
      [this, request, answer = std::move(answer)](const boost::system::error_code& error,
                                                  const udp::resolver::results_type& results) {
        --lookups_;
        if (error == asio::error::operation_aborted) return;
        const std::string name = escaped(request.peer);
        if (error) return answer(err(fmt::format("the peer's name {} cannot be resolved: {}", name, error.message())));
        std::string last = fmt::format("the peer's name {} has no address", name);
        for (const auto& result : results) {
          const auto path = path_to(from_asio(result.endpoint().address()), request);
          if (path) return answer(path);
          last = path.error();
        }
        answer(err(std::move(last)));
      });
}

std::vector<net::Path> PathFinder::paths_to(const std::vector<net::IpAddress>& peers,
                                            const std::optional<net::IpAddress>& local) const {
  constexpr std::size_t kMost = 32;
  std::vector<net::Path> paths;
  const auto add = [&](const net::IpAddress& peer, const std::optional<net::IpAddress>& from) {
    if (from && from->family() != peer.family()) return;
    const auto chosen = io::local_address_towards(peer, mark_, from);
    if (!chosen || paths.size() == kMost) return;
    const net::Path path{{*chosen, 0}, {peer, 0}};
    if (std::ranges::find(paths, path) == paths.end()) paths.push_back(path);
  };
  for (const net::IpAddress& peer : peers) add(peer, local);
  if (local) return paths;
  for (const net::IpAddress& peer : peers) {
    for (const net::IpAddress& own : addresses_) add(peer, own);
  }
  return paths;
}

void PathFinder::find_all(const control::FindPaths& request, Answers answer) {
  if (request.names.empty()) {
    asio::post(io_, [this, request, answer = std::move(answer)] { answer(paths_to(request.peers, request.local)); });
    return;
  }
  ++lookups_;
  control::FindPaths rest = request;
  const std::string name = std::move(rest.names.back());
  rest.names.pop_back();
  resolver_.async_resolve(
      name, "",
      [this, rest = std::move(rest), answer = std::move(answer)](const boost::system::error_code& error,
                                                                 const udp::resolver::results_type& results) mutable {
        --lookups_;
        if (error == asio::error::operation_aborted) return;
        for (const auto& result : results) {
          const auto address = from_asio(result.endpoint().address());
          if (std::ranges::find(rest.peers, address) == rest.peers.end()) rest.peers.push_back(address);
        }
        find_all(rest, std::move(answer));
      });
}

void PathFinder::cancel() { resolver_.cancel(); }

}  // namespace culvert::daemon
