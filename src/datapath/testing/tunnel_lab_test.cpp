// The lab's own code. Named as a test so that it is built into the test binary only.
#include "datapath/testing/tunnel_lab.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "net/packet.hpp"

namespace culvert::datapath::testing {

using io::testing::shell;
using net::Family;

namespace {

constexpr std::uint32_t kMark = 4500;

/// Key material that both ends derive alike: the octets differ by child and direction.
SecretBytes key_of(std::size_t size, std::uint64_t child, unsigned sender, std::uint8_t salt) {
  SeededRandom random(child * 16 + sender * 4 + salt);
  SecretBytes key(size);
  random.fill(key.mutable_view());
  return key;
}

model::SaKeys keys_of(const model::EspSuite& suite, std::uint64_t child, unsigned sender) {
  const auto packet_suite = model::packet_suite(suite.encryption, suite.key_bits, suite.integrity);
  if (!packet_suite) return {};
  const auto sizes = crypto::sizes_of(*packet_suite);
  return {key_of(sizes.encryption_key, child, sender, 1), key_of(sizes.integrity_key, child, sender, 2)};
}

void classify_frame(ByteView frame, WireCount& count) {
  const auto type = frame.size() >= 14 ? load_be16(frame.data() + 12) : std::uint16_t{0};
  if (type == ETH_P_ARP) {
    ++count.neighbour;
    return;
  }
  const auto info = net::parse_packet(frame.subspan(std::min<std::size_t>(14, frame.size())));
  const bool outer = info && (info->protocol == 50 || info->protocol == 17);
  if (outer && info->is_later_fragment) {
    ++count.fragments;
  } else if (info && info->protocol == 50) {
    ++count.raw_esp;
  } else if (info && info->protocol == 51) {
    ++count.ah;
  } else if (info && info->protocol == 58 &&
             (info->destination.is_multicast() || info->source_port >> 8 == 136 || info->source_port >> 8 == 135)) {
    ++count.neighbour;
  } else if (info && info->protocol == 17 && (info->source_port == 500 || info->source_port == 4500)) {
    const ByteView payload = frame.subspan(14 + info->header_length + std::size_t{8});
    if (info->source_port == 500 || (payload.size() >= 4 && load_be32(payload.data()) == 0)) {
      ++count.ike;
    } else if (payload.size() == 1) {
      ++count.keepalives;
    } else {
      ++count.esp_in_udp;
    }
  } else {
    count.others.push_back(to_hex(frame.first(std::min<std::size_t>(frame.size(), 64))));
  }
}

}  // namespace

void SharedRandom::fill(MutableByteView out) {
  const std::lock_guard lock(mutex_);
  random_.fill(out);
}

bool wait_readable(int fd, int milliseconds) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, milliseconds) == 1;
}

WireCapture::WireCapture(const char* interface) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  // Protocol 0 until bound: with one it would begin to capture on every interface at once.
  const int size = 64 * 1024 * 1024;
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface));
  EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

WireCount WireCapture::take() const {
  WireCount count;
  Bytes buffer(70000);
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) return count;
    classify_frame({buffer.data(), static_cast<std::size_t>(got)}, count);
  }
}

net::IpAddress Host::outer(Family family) const {
  return *net::IpAddress::parse((family == Family::v4 ? "192.0.2." : "2001:db8:1::") + std::to_string(number));
}

net::IpAddress Host::inner(Family family) const {
  const std::string n = std::to_string(number);
  return *net::IpAddress::parse(family == Family::v4 ? "10." + n + ".0.1" : "fd0" + n + "::1");
}

bool Host::wait_wakeup() {
  if (!wait_readable(plane->wakeup_fd(), 5000)) return false;
  plane->handle_wakeup();
  return true;
}

std::optional<IkeDatagram> Host::wait_datagram() {
  do {
    if (auto datagram = plane->poll_datagram()) return datagram;
  } while (wait_wakeup());
  return {};
}

std::uint64_t Host::drops(std::string_view reason) const {
  for (const auto& [name, count] : plane->drop_counters()) {
    if (name == reason) return count;
  }
  return 0;
}

std::unique_ptr<TunnelLab> TunnelLab::make() {
  auto a = io::testing::NetworkNamespace::create();
  auto b = io::testing::NetworkNamespace::create();
  if (!a || !b) return {};
  std::unique_ptr<TunnelLab> lab(new TunnelLab(std::move(*a), std::move(*b)));
  const auto joined = lab->alice.ns.command("ip link add v0 type veth peer name v0 netns " + lab->bob.ns.path());
  EXPECT_EQ(joined.status, 0) << joined.output;
  for (const Host* host : {&lab->alice, &lab->bob}) {
    const auto made =
        host->ns.command("set -e; ip addr add " + host->outer(Family::v4).to_string() + "/24 dev v0; ip -6 addr add " +
                         host->outer(Family::v6).to_string() + "/64 dev v0 nodad; ip link set v0 up; ip addr add " +
                         host->inner_text(Family::v4) + "/32 dev lo; ip -6 addr add " + host->inner_text(Family::v6) +
                         "/128 dev lo nodad");
    EXPECT_EQ(made.status, 0) << made.output;
  }
  return lab;
}

unsigned TunnelLab::workers_wanted() {
  const char* const wanted = std::getenv("CULVERT_TEST_WORKERS");  // NOLINT: one thread
  return wanted == nullptr ? 1 : static_cast<unsigned>(std::clamp(std::atoi(wanted), 1, 64));
}

model::TrafficSelectors TunnelLab::protected_side(const Host& host) const {
  if (host_to_host) {
    model::TrafficSelectors both;
    for (const Family family : {Family::v4, Family::v6}) {
      both.push_back(model::TrafficSelector::of(net::AddressRange::of(host.outer(family))));
    }
    return both;
  }
  const std::string n = std::to_string(host.number);
  return {*model::TrafficSelector::parse("10." + n + ".0.0/16"), *model::TrafficSelector::parse("fd0" + n + "::/16")};
}

void TunnelLab::start(Host& host, io::TunOffload offload, bool segmentation) {
  Host& peer = host.number == 1 ? bob : alice;
  host.ns.run([&] {
    auto tun = io::Tun::open({.name = "cvt0", .mtu = 1400, .offload = offload, .queues = workers});
    ASSERT_TRUE(tun) << tun.error().text;
    SocketOptions options;
    options.connect_after = connect_after;
    options.mark = kMark;
    options.segmentation = segmentation;
    options.xdp = xdp;
    auto sockets = OuterSockets::open(options, workers);
    ASSERT_TRUE(sockets) << sockets.error().text;
    auto plane = UserspaceDataPlane::start({}, std::move(*tun), std::move(*sockets), random_);
    ASSERT_TRUE(plane) << plane.error().text;
    host.plane = std::move(*plane);
    host.plane->set_policies({{.id = ipsec::PolicyId(1),
                               .action = ipsec::PolicyAction::protect,
                               .local = protected_side(host),
                               .remote = protected_side(peer),
                               .connection = model::ConnectionId(1)}});
    io::RoutingOptions routing;
    routing.mark = kMark;
    auto routes = io::TunnelRoutes::open(routing, host.plane->tun().index());
    ASSERT_TRUE(routes) << routes.error().text;
    host.routes.emplace(std::move(*routes));
    std::vector<io::TunnelRoute> wanted;
    for (const model::TrafficSelector& selector : protected_side(peer)) {
      for (const net::Prefix& prefix : selector.addresses.prefixes()) {
        const Family family = prefix.address.family();
        wanted.push_back(
            {prefix, io::TunnelRoute::Kind::tunnel, host_to_host ? host.outer(family) : host.inner(family)});
      }
    }
    const auto applied = host.routes->apply(wanted);
    ASSERT_TRUE(applied) << applied.error().text;
  });
}

void TunnelLab::stop(Host& host) {
  host.ns.run([&] {
    host.routes.reset();
    host.plane.reset();
  });
}

net::Path TunnelLab::path(const Host& from, const Host& to, const TunnelPlan& plan) const {
  const std::uint16_t port = plan.encapsulation == model::Encapsulation::udp ? 4500 : 0;
  return {{from.outer(plan.outer), port}, {to.outer(plan.outer), port}};
}

std::string TunnelLab::install(const TunnelPlan& plan) {
  const auto spi_alice = alice.plane->allocate_spi();
  const auto spi_bob = bob.plane->allocate_spi();
  if (!spi_alice || !spi_bob) return "no SPI";
  last_spi_towards_bob = *spi_bob;
  Host* const first = plan.between ? &alice : &bob;
  for (Host* host : {first, first == &alice ? &bob : &alice}) {
    if (host != first && plan.between) plan.between();
    Host& peer = host == &alice ? bob : alice;
    model::ChildSaParams params;
    params.id = model::ChildSaId(plan.child);
    params.connection = model::ConnectionId(1);
    params.spi_inbound = host == &alice ? *spi_alice : *spi_bob;
    params.spi_outbound = host == &alice ? *spi_bob : *spi_alice;
    params.suite = plan.suite;
    params.inbound = keys_of(plan.suite, plan.child, peer.number);
    params.outbound = keys_of(plan.suite, plan.child, host->number);
    params.encapsulation = plan.encapsulation;
    params.mode = plan.mode;
    params.protocol = plan.protocol;
    params.path = path(*host, peer, plan);
    params.resource = plan.resource;
    params.per_resource = plan.per_resource;
    params.local = protected_side(*host);
    params.remote = protected_side(peer);
    if (plan.replaces) {
      params.replaces = model::ChildSaId(*plan.replaces);
      // RFC 7296 2.8: bob, as the responder, has the pair first and waits until alice is heard on it.
      params.hold_outbound = host == &bob;
    }
    if (const auto installed = host->plane->install(std::move(params)); !installed) return to_string(installed.error());
    host->plane->settle();
  }
  return {};
}

io::testing::CommandResult TunnelLab::ping(Family inner, const std::string& options) const {
  return alice.ns.command("ping -q -W 5 " + options + " " + bob.inner_text(inner));
}

}  // namespace culvert::datapath::testing
