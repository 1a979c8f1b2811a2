#include "io/port_holders.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "base/bytes.hpp"

namespace culvert::io {
namespace {

namespace fs = std::filesystem;

struct BoundSocket {
  net::Endpoint local;
  std::uint64_t inode = 0;
};

/// "0100007F:01F4": the address as 32-bit words of this CPU's order, the port as a number.
std::optional<net::Endpoint> parse_local(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon != 8 && colon != 32) return {};
  Bytes octets;
  for (std::size_t at = 0; at < colon; at += 8) {
    std::uint32_t word = 0;
    if (std::from_chars(text.data() + at, text.data() + at + 8, word, 16).ec != std::errc()) return {};
    const auto* const raw = reinterpret_cast<const std::uint8_t*>(&word);
    octets.insert(octets.end(), raw, raw + sizeof word);
  }
  std::uint16_t port = 0;
  if (std::from_chars(text.data() + colon + 1, text.data() + text.size(), port, 16).ec != std::errc()) return {};
  const auto address = net::IpAddress::from_bytes(octets);
  if (!address) return {};
  return net::Endpoint{*address, port};
}

// "sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ..."
std::vector<BoundSocket> bound_sockets(const char* table, std::uint16_t port) {
  constexpr int kFieldsBeforeInode = 7;
  std::vector<BoundSocket> found;
  // Not /proc/net, which is the main thread's namespace.
  std::ifstream in(std::string("/proc/thread-self/net/") + table);
  std::string line;
  std::getline(in, line);  // the heading
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string word;
    std::string local;
    BoundSocket socket;
    if (!(fields >> word >> local)) continue;
    for (int i = 0; i < kFieldsBeforeInode; ++i) fields >> word;
    if (!(fields >> socket.inode)) continue;
    const auto endpoint = parse_local(local);
    if (!endpoint || endpoint->port != port) continue;
    socket.local = *endpoint;
    found.push_back(socket);
  }
  return found;
}

/// Inode to process, of the sockets that are asked for.
std::map<std::uint64_t, int> owners(const std::vector<BoundSocket>& sockets) {
  std::map<std::uint64_t, int> found;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string name = process.path().filename();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
    std::error_code hidden;  // another user's
    fs::directory_iterator descriptors(process.path() / "fd", hidden);
    for (; !hidden && descriptors != fs::directory_iterator(); descriptors.increment(hidden)) {
      std::error_code gone;
      const std::string target = fs::read_symlink(descriptors->path(), gone);
      for (const BoundSocket& socket : sockets) {
        if (target == "socket:[" + std::to_string(socket.inode) + "]") found.emplace(socket.inode, pid);
      }
    }
  }
  return found;
}

std::string name_of_process(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(in, name);
  return name;
}

}  // namespace

std::vector<PortHolder> udp_port_holders(std::uint16_t port) {
  std::vector<BoundSocket> sockets;
  for (const char* const table : {"udp", "udp6"}) {
    for (const BoundSocket& socket : bound_sockets(table, port)) sockets.push_back(socket);
  }
  if (sockets.empty()) return {};
  const std::map<std::uint64_t, int> who = owners(sockets);
  std::vector<PortHolder> holders;
  for (const BoundSocket& socket : sockets) {
    PortHolder holder{socket.local, 0, {}};
    if (const auto owner = who.find(socket.inode); owner != who.end()) {
      holder.pid = owner->second;
      holder.name = name_of_process(owner->second);
    }
    if (std::ranges::find(holders, holder) == holders.end()) holders.push_back(std::move(holder));
  }
  return holders;
}

}  // namespace culvert::io
