// PathFinder: where a peer is and from which of our addresses it is reached. DNS runs asynchronously; it never holds
// the loop up.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/result.hpp"
#include "control/outputs.hpp"
#include "net/address.hpp"

namespace culvert::daemon {

class PathFinder {
 public:
  using Answer = std::function<void(const Result<net::Path, std::string>&)>;

  /// `mark` as on the daemon's sockets, so that the tunnels' own routes are not taken for the peer's.
  PathFinder(boost::asio::io_context& io, std::uint32_t mark);
  /// Calls `answer` later from the loop, with addresses of one family; the ports are 0. The error is a sentence that
  /// names the peer.
  void find(const control::FindPath& request, Answer answer);
  using Answers = std::function<void(const std::vector<net::Path>&)>;
  /// The same for all ways that there are; none when no route leads there. A name that cannot be looked up adds none.
  void find_all(const control::FindPaths& request, Answers answer);
  /// The host's addresses, from which ways may begin.
  void set_addresses(std::vector<net::IpAddress> addresses) { addresses_ = std::move(addresses); }
  /// Gives up what is under way; answers that are still to come are not called.
  void cancel();
  /// The system's resolver has not come back yet, cancelled or not.
  [[nodiscard]] bool looks_up_names() const { return lookups_ > 0; }

 private:
  [[nodiscard]] Result<net::Path, std::string> path_to(const net::IpAddress& remote,
                                                       const control::FindPath& request) const;
  [[nodiscard]] std::vector<net::Path> paths_to(const std::vector<net::IpAddress>& peers,
                                                const std::optional<net::IpAddress>& local) const;

  boost::asio::io_context& io_;
  boost::asio::ip::udp::resolver resolver_;
  std::uint32_t mark_;
  std::vector<net::IpAddress> addresses_;
  unsigned lookups_ = 0;
};

}  // namespace culvert::daemon
