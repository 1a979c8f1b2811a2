#include "datapath/xdp_lane.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "io/addresses.hpp"
#include "net/checksum.hpp"
#include "net/header_writer.hpp"

namespace culvert::datapath {
namespace {

constexpr std::size_t kEthernetHeader = 14;
constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;

// A way is asked for anew after so long, and later where there are many: asking takes a worker 100 us.
constexpr Duration kWayLife = std::chrono::seconds(1);
constexpr std::size_t kWaysPerSecond = 64;
constexpr std::size_t kMostWays = 65536;

}  // namespace

std::optional<ipsec::WireInput> read_esp_frame(MutableByteView frame) {
  if (frame.size() < kEthernetHeader + net::kIpv4HeaderSize) return {};
  const bool v4 = load_be16(frame.data() + 12) == kEtherIpv4;
  const MutableByteView packet = frame.subspan(kEthernetHeader);
  const std::uint8_t* const at = packet.data();
  const std::size_t header = net::ip_header_size(v4 ? net::Family::v4 : net::Family::v6);
  if (packet.size() < header) return {};
  const std::size_t length = v4 ? load_be16(at + 2) : header + load_be16(at + 4);
  if (length < header || length > packet.size()) return {};
  if (v4 && net::ipv4_header_checksum(packet.first(header)) != 0) return {};
  const net::Family family = v4 ? net::Family::v4 : net::Family::v6;
  ipsec::WireInput input;
  input.path.remote.address = net::IpAddress::load(family, at + (v4 ? 12 : 8));
  input.path.local.address = net::IpAddress::load(family, at + (v4 ? 16 : 24));
  const net::IpAddress& sender = input.path.remote.address;
  if (sender.is_multicast() || sender.is_loopback() || sender.is_unspecified()) return {};
  input.encapsulation = model::Encapsulation::none;
  input.tos = v4 ? at[1] : static_cast<std::uint8_t>(load_be16(at) >> 4);
  input.hop_limit = v4 ? at[8] : at[7];
  input.ip_header = packet.first(header);
  input.bytes = packet.subspan(header, length - header);
  return input;
}

void XdpLane::add(unsigned interface_index, io::XdpSocket socket) {
  ports_.push_back({interface_index, std::move(socket)});
}

XdpLane::Port* XdpLane::port_for(const ipsec::WireTrain& train, Instant now) {
  const bool plain = train.encapsulation == model::Encapsulation::none && !train.with_ip_header;
  if (!plain) return nullptr;
  const Way& way = way_of(train.path, now);
  const std::size_t ip_header = net::ip_header_size(train.path.remote.address.family());
  return way.port != nullptr && ip_header + train.segment_size <= way.target->mtu ? way.port : nullptr;
}

XdpLane::Sent XdpLane::fill(Port& port, const ipsec::WireTrain& train) {
  const Way* const way = last_way_;
  const net::Family family = train.path.remote.address.family();
  const std::size_t ip_header = net::ip_header_size(family);
  Sent sent{.taken = true};
  for (ByteView rest = train.bytes; !rest.empty();) {
    const ByteView segment = rest.first(std::min<std::size_t>(train.segment_size, rest.size()));
    rest = rest.subspan(segment.size());
    std::uint8_t* const frame = port.socket.reserve().data();
    if (frame == nullptr) {
      ++sent.buffer_full;
      continue;
    }
    std::memcpy(frame, way->target->destination.data(), way->target->destination.size());
    std::memcpy(frame + 6, way->target->source.data(), way->target->source.size());
    store_be16(frame + 12, family == net::Family::v4 ? kEtherIpv4 : kEtherIpv6);
    net::write_ip_header(frame + kEthernetHeader, {.source = train.path.local.address,
                                                   .destination = train.path.remote.address,
                                                   .protocol = static_cast<std::uint8_t>(net::IpProtocol::esp),
                                                   .tos = train.tos,
                                                   .ttl = train.hop_limit,
                                                   .dont_fragment = train.dont_fragment,
                                                   .identification = ++identification_,
                                                   .payload_length = static_cast<std::uint16_t>(segment.size())});
    std::memcpy(frame + kEthernetHeader + ip_header, segment.data(), segment.size());
    port.socket.submit(kEthernetHeader + ip_header + segment.size());
  }
  pending_ = true;
  return sent;
}

bool XdpLane::flush() {
  if (!pending_) return true;
  pending_ = false;
  for (Port& port : ports_) pending_ |= port.open && !port.socket.flush();
  return !pending_;
}

std::uint64_t XdpLane::receive_drops() const {
  std::uint64_t drops = 0;
  for (const Port& port : ports_) drops += port.socket.receive_drops();
  return drops;
}

void XdpLane::close(std::size_t port) {
  ports_[port].open = false;
  ports_[port].socket.give_up();
  ways_.clear();
  last_ends_ = nullptr;
}

const XdpLane::Way& XdpLane::way_of(const net::Path& path, Instant now) {
  const auto matches = [&](const Ends& ends) {
    return ends.second == path.remote.address && ends.first == path.local.address;
  };
  if (last_ends_ != nullptr && matches(*last_ends_) && now < last_way_->expires) return *last_way_;
  if (ways_.size() >= kMostWays) ways_.clear();
  const auto [place, inserted] = ways_.try_emplace({path.local.address, path.remote.address});
  if (inserted || now >= place->second.expires) place->second = ask(path, now);
  last_ends_ = &place->first;
  last_way_ = &place->second;
  return place->second;
}

XdpLane::Way XdpLane::ask(const net::Path& path, Instant now) {
  Way way{.target = resolver_.resolve(path.local.address, path.remote.address, mark_),
          .expires = now + std::max<Duration>(kWayLife, kWayLife * static_cast<int>(ways_.size() / kWaysPerSecond))};
  if (!way.target) return way;
  const auto port = std::ranges::find_if(
      ports_, [&](const Port& one) { return one.open && one.interface_index == way.target->interface_index; });
  if (port != ports_.end()) way.port = &*port;
  return way;
}

XdpPorts XdpPorts::open(const std::vector<std::string>& names, std::uint32_t mark,
                        std::vector<std::unique_ptr<XdpLane>>& lanes) {
  XdpPorts ports;
  for (const std::string& name : names) {
    auto opened = ports.open_one(name, mark, lanes);
    ports.facts_.push_back({name, opened ? *opened : opened.error().text, opened.has_value()});
  }
  ports.read_addresses();
  return ports;
}

Result<std::string, io::IoError> XdpPorts::open_one(const std::string& name, std::uint32_t mark,
                                                    std::vector<std::unique_ptr<XdpLane>>& lanes) {
  const auto link = io::link_facts(name);
  if (!link) return err(link.error());
  if (!link->ethernet) {
    return err(io::IoError{io::IoErrorCode::not_supported, 0, fmt::format("{} is no Ethernet interface", name)});
  }
  const std::uint32_t queues = std::max(link->receive_queues, 1U);
  auto filter = io::XdpFilter::attach(link->index, name, queues);
  if (!filter) return err(std::move(filter.error()));
  bool zero_copy = true;
  std::uint32_t opened = 0;
  for (; opened < queues; ++opened) {
    auto socket = io::XdpSocket::open({link->index, opened, link->mtu});
    if (socket) {
      auto added = filter->add_socket(opened, socket->fd());
      if (!added) return err(std::move(added.error()));
    }
    if (!socket) {
      // A driver may have fewer queues in use than it could have.
      if (opened > 0) break;
      return err(std::move(socket.error()));
    }
    zero_copy = zero_copy && socket->zero_copy();
    std::unique_ptr<XdpLane>& lane = lanes[opened % lanes.size()];
    if (!lane) {
      auto resolver = io::LinkResolver::open();
      if (!resolver) return err(std::move(resolver.error()));
      lane = std::make_unique<XdpLane>(std::move(*resolver), mark);
    }
    lane->add(link->index, std::move(*socket));
  }
  filters_.push_back(std::move(*filter));
  return fmt::format("{}, {} queue{}", zero_copy ? "zero copy" : "frames copied by the kernel", opened,
                     opened == 1 ? "" : "s");
}

void XdpPorts::read_addresses() {
  if (filters_.empty()) return;
  const auto found = io::local_addresses();
  if (!found) return;  // those from before stay
  std::vector<net::IpAddress> addresses;
  for (const io::InterfaceAddress& one : *found) {
    if (one.global && !one.tentative && !one.address.is_loopback()) addresses.push_back(one.address);
  }
  for (io::XdpFilter& filter : filters_) filter.set_addresses(addresses);
}

}  // namespace culvert::datapath
