#include "datapath/outer_sockets.hpp"

#include <array>
#include <vector>

#include <errno.h>

#include "io/steering.hpp"
#include "net/headers.hpp"

namespace culvert::datapath {

Result<std::vector<OuterSockets>, io::IoError> OuterSockets::open(const SocketOptions& options, std::uint32_t workers) {
  std::vector<OuterSockets> sets;
  sets.reserve(workers);
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    auto set = open_set(options, {worker, workers, worker == 0 ? nullptr : &sets.front()});
    if (!set) return err(std::move(set.error()));
    sets.push_back(std::move(*set));
  }
  if (workers > 1) {
    if (auto steered = sets.front().steer(workers); !steered) return err(std::move(steered.error()));
  }
  if (!options.xdp.empty()) {
    std::vector<std::unique_ptr<XdpLane>> lanes(workers);
    sets.front().xdp_ports_ = XdpPorts::open(options.xdp, options.mark, lanes);
    for (std::uint32_t worker = 0; worker < workers; ++worker) sets[worker].xdp_ = std::move(lanes[worker]);
  }
  return sets;
}

Result<OuterSockets, io::IoError> OuterSockets::open_set(const SocketOptions& options, const Share& share) {
  OuterSockets sockets;
  sockets.ike_port_ = options.ike_port;
  sockets.nat_port_ = options.nat_port;
  sockets.mark_ = options.mark;
  sockets.mtu_probe_ = io::PathMtuProbe(options.mark);
  sockets.connect_after_ = options.connect_after;
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    if (share.first != nullptr && share.first->receiver(Kind::nat, family) == nullptr) continue;
    auto opened = sockets.open_family(family, options, share);
    if (opened) continue;
    // A kernel booted without IPv6 has no such sockets, or no address to bind; one that has it switched off, no ::1.
    const int number = opened.error().system_error;
    if (family == net::Family::v6 && (number == EAFNOSUPPORT || number == EADDRNOTAVAIL || number == ENETUNREACH)) {
      std::erase_if(sockets.entries_, [](const Entry& entry) { return entry.socket.family() == net::Family::v6; });
      std::erase_if(sockets.senders_, [](const Sender& entry) { return entry.socket.family() == net::Family::v6; });
      continue;
    }
    return err(std::move(opened.error()));
  }
  return sockets;
}

// Once all sockets of the groups are there: their numbers count.
Result<void, io::IoError> OuterSockets::steer(std::uint32_t workers) const {
  for (const Entry& entry : entries_) {
    if (entry.kind != Kind::nat) continue;
    if (auto steered = io::steer_group(entry.socket, workers); !steered) return steered;
  }
  return {};
}

Result<io::DatagramSocket, io::IoError> OuterSockets::open_one(Kind kind, net::Family family,
                                                               const SocketOptions& options) {
  if (kind == Kind::esp || kind == Kind::ah) {
    const auto protocol = kind == Kind::esp ? net::IpProtocol::esp : net::IpProtocol::ah;
    return io::DatagramSocket::open_raw(
        {.family = family, .protocol = static_cast<std::uint8_t>(protocol), .mark = options.mark, .errors = true});
  }
  io::UdpOptions udp;
  udp.local = {net::IpAddress::any(family), kind == Kind::ike ? options.ike_port : options.nat_port};
  udp.mark = options.mark;
  // IKE messages come one by one, and a control thread that is behind need not find megabytes of them.
  if (kind == Kind::ike) udp.receive_buffer = 1024 * 1024;
  udp.segmentation = options.segmentation && kind == Kind::nat;
  udp.errors = kind == Kind::nat;
  return io::DatagramSocket::open_udp(udp);
}

Result<void, io::IoError> OuterSockets::open_family(net::Family family, const SocketOptions& options,
                                                    const Share& share) {
  for (const Kind kind : {Kind::ike, Kind::nat, Kind::esp, Kind::ah}) {
    if ((kind >= Kind::esp && !options.raw) || (kind == Kind::ike && share.worker != 0)) continue;
    if (auto opened = open_kind(kind, family, options, share); !opened) return opened;
  }
  if (!options.raw) return {};
  auto whole = io::DatagramSocket::open_whole({.family = family, .mark = options.mark});
  if (!whole) return err(std::move(whole.error()));
  whole_.push_back(std::move(*whole));
  return {};
}

Result<void, io::IoError> OuterSockets::open_kind(Kind kind, net::Family family, const SocketOptions& options,
                                                  const Share& share) {
  auto socket = kind == Kind::nat && share.worker != 0 ? share.first->receiver(kind, family)->sibling()
                                                       : open_one(kind, family, options);
  if (!socket) return err(std::move(socket.error()));
  if (kind >= Kind::esp && share.workers > 1) {
    if (auto kept = io::keep_share(*socket, share.worker, share.workers); !kept) return kept;
  }
  // IKE's own port has no ESP, AH leaves in whole packets: neither needs a socket to send from.
  for (const bool dont_fragment : {false, true}) {
    if (kind == Kind::ike || kind == Kind::ah) break;
    // Of the first: the port is shared with it.
    const io::DatagramSocket& beside = share.worker == 0 ? *socket : *share.first->receiver(kind, family);
    auto sender = beside.sender(dont_fragment);
    if (!sender) return err(std::move(sender.error()));
    senders_.push_back({kind, dont_fragment, std::move(*sender)});
  }
  entries_.push_back({kind, std::move(*socket)});
  return {};
}

const io::DatagramSocket* OuterSockets::receiver(Kind kind, net::Family family) const {
  for (const Entry& entry : entries_) {
    if (entry.kind == kind && entry.socket.family() == family) return &entry.socket;
  }
  return nullptr;
}

const io::DatagramSocket* OuterSockets::sender(Kind kind, net::Family family, bool dont_fragment) const {
  for (const Sender& entry : senders_) {
    if (entry.kind == kind && entry.socket.family() == family && entry.dont_fragment == dont_fragment) {
      return &entry.socket;
    }
  }
  for (const Entry& entry : entries_) {
    if (entry.kind == kind && kind == Kind::ike && entry.socket.family() == family) return &entry.socket;
  }
  return nullptr;
}

const io::DatagramSocket* OuterSockets::for_whole(net::Family family) const {
  for (const io::DatagramSocket& socket : whole_) {
    if (socket.family() == family) return &socket;
  }
  return nullptr;
}

std::uint16_t OuterSockets::mtu_towards(const net::Path& path) const {
  return mtu_probe_.ask(path.local.address, path.remote.address).value_or(0);
}

std::uint64_t OuterSockets::receive_drops() const {
  std::uint64_t drops = xdp_ ? xdp_->receive_drops() : 0;
  for (const Entry& entry : entries_) drops += entry.socket.receive_drops();
  return drops;
}

const io::DatagramSocket* OuterSockets::for_esp(const net::Path& path, model::Encapsulation encapsulation,
                                                bool dont_fragment) const {
  // A sending socket has no address that the kernel could choose for it.
  if (path.local.address.is_unspecified()) return nullptr;
  const net::Family family = path.remote.address.family();
  if (encapsulation == model::Encapsulation::none) return sender(Kind::esp, family, dont_fragment);
  // RFC 3948 2.1: ESP shares the NAT port with IKE, and only that one: on the IKE port there is no marker to tell them
  // apart.
  return path.local.port == nat_port_ ? sender(Kind::nat, family, dont_fragment) : nullptr;
}

Result<io::DatagramSocket, io::IoError> OuterSockets::connect_to(const net::Path& path, bool dont_fragment) const {
  const io::DatagramSocket* const common = receiver(Kind::nat, path.remote.address.family());
  if (common == nullptr) return err(io::IoError{io::IoErrorCode::invalid, EAFNOSUPPORT, "no socket of that family"});
  return common->connected(path, dont_fragment);
}

std::optional<OuterSockets::Kind> OuterSockets::kind_of_port(std::uint16_t port) const {
  if (port == nat_port_) return Kind::nat;
  if (port == ike_port_) return Kind::ike;
  return {};
}

int OuterSockets::send_ike(const net::Path& path, ByteView message) const {
  const auto kind = kind_of_port(path.local.port);
  const io::DatagramSocket* socket = kind ? sender(*kind, path.remote.address.family(), false) : nullptr;
  if (socket == nullptr) return EAFNOSUPPORT;
  // RFC 3948 2.2: four zero octets, where an SPI would stand.
  static constexpr std::array<std::uint8_t, 4> kNonEspMarker{};
  const std::array<ByteView, 2> parts{kNonEspMarker, message};
  return socket->send_one(path, 0, *kind == Kind::nat ? std::span<const ByteView>(parts) : std::span(parts).subspan(1));
}

int OuterSockets::send_keepalive(const net::Path& path) const {
  const auto kind = kind_of_port(path.local.port);
  const io::DatagramSocket* socket = kind ? sender(*kind, path.remote.address.family(), false) : nullptr;
  if (socket == nullptr) return EAFNOSUPPORT;
  static constexpr std::array<std::uint8_t, 1> kKeepalive{0xff};
  const ByteView octet = kKeepalive;
  return socket->send_one(path, 0, std::span(&octet, 1));
}

}  // namespace culvert::datapath
