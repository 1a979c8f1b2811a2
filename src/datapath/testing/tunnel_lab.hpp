// For tests only: two hosts in namespaces of this process, joined by a veth, each with a UserspaceDataPlane, and SAs
// with keys made by hand.
//
//     alice (10.1.0.1, fd01::1)  cvt0 | v0 192.0.2.1, 2001:db8:1::1 ====== v0 192.0.2.2, 2001:db8:1::2 | cvt0  bob
//     (10.2.0.1, fd02::1)
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "datapath/userspace_data_plane.hpp"
#include "io/file_descriptor.hpp"
#include "io/routes.hpp"
#include "io/testing/network_namespace.hpp"
#include "model/child_sa.hpp"

namespace culvert::datapath::testing {

/// SeededRandom behind a lock: the data plane draws on two threads.
class SharedRandom final : public RandomSource {
 public:
  explicit SharedRandom(std::uint64_t seed) : random_(seed) {}
  void fill(MutableByteView out) override;

 private:
  std::mutex mutex_;
  SeededRandom random_;
};

/// What a capture saw, by kind.
struct WireCount {
  std::size_t esp_in_udp = 0;
  std::size_t ike = 0;
  std::size_t keepalives = 0;
  std::size_t raw_esp = 0;
  std::size_t ah = 0;
  std::size_t fragments = 0;  // later ones of outer packets, when ESP makes an inner packet longer than the path takes
  std::size_t neighbour = 0;  // ARP, neighbour and multicast listener discovery
  std::vector<std::string> others;  // what must not be there
};

/// Everything that passes an interface from its making on; the kernel keeps it until `take`.
class WireCapture {
 public:
  /// In the calling thread's namespace.
  explicit WireCapture(const char* interface);
  [[nodiscard]] WireCount take() const;

 private:
  io::FileDescriptor fd_;
};

struct Host {
  Host(io::testing::NetworkNamespace space, unsigned host_number) : ns(std::move(space)), number(host_number) {}

  [[nodiscard]] net::IpAddress outer(net::Family family) const;
  [[nodiscard]] net::IpAddress inner(net::Family family) const;
  [[nodiscard]] std::string inner_text(net::Family family) const { return inner(family).to_string(); }
  /// The first event of a kind within some seconds; others are dropped.
  template <typename Event>
  std::optional<Event> wait_event();
  std::optional<IkeDatagram> wait_datagram();
  std::uint64_t drops(std::string_view reason) const;

  io::testing::NetworkNamespace ns;
  unsigned number;  // 1 or 2
  std::unique_ptr<UserspaceDataPlane> plane;
  std::optional<io::TunnelRoutes> routes;

 private:
  bool wait_wakeup();
};

struct TunnelPlan {
  model::EspSuite suite;
  model::Encapsulation encapsulation = model::Encapsulation::udp;
  net::Family outer = net::Family::v4;
  std::uint64_t child = 1;
  std::optional<std::uint64_t> replaces;
  model::Mode mode = model::Mode::tunnel;
  model::ProtocolId protocol = model::ProtocolId::esp;
  std::optional<std::uint32_t> resource;
  bool per_resource = false;
  /// What happens while alice has the pair and bob has not. Without it bob is the first.
  std::function<void()> between;
};

class TunnelLab {
 public:
  /// Nothing without root.
  static std::unique_ptr<TunnelLab> make();

  /// Opens TUN, sockets, data plane and routes of a host, with policies that protect inner to inner.
  void start(Host& host, io::TunOffload offload = io::TunOffload::tcp_and_udp, bool segmentation = true);
  /// Takes all of it back.
  void stop(Host& host);
  /// Installs one pair at both ends. Answers what the installing said: an empty text when all was well.
  std::string install(const TunnelPlan& plan);
  [[nodiscard]] net::Path path(const Host& from, const Host& to, const TunnelPlan& plan) const;
  /// Whether `count` pings from alice to bob's inner address all came back.
  [[nodiscard]] io::testing::CommandResult ping(net::Family inner, const std::string& options) const;

  Host alice;
  Host bob;
  /// Of each host's data plane: what CULVERT_TEST_WORKERS says, or one. To be set before `start`.
  unsigned workers = workers_wanted();
  /// The tunnel protects the traffic between the outer addresses themselves; to be set before `start`.
  bool host_to_host = false;
  /// SocketOptions::connect_after, small, so that tests see both ways; to be set before `start`.
  std::uint32_t connect_after = 8;
  /// SocketOptions::xdp; to be set before `start`.
  std::vector<std::string> xdp;
  /// Of the pair installed last: what alice sends with.
  model::Spi last_spi_towards_bob;

 private:
  [[nodiscard]] static unsigned workers_wanted();
  [[nodiscard]] model::TrafficSelectors protected_side(const Host& host) const;
  TunnelLab(io::testing::NetworkNamespace a, io::testing::NetworkNamespace b)
      : alice(std::move(a), 1), bob(std::move(b), 2) {}
  SharedRandom random_{1};
};

/// A test with a lab of its own; skipped without root.
class TunnelLabTest : public ::testing::Test {
 protected:
  void SetUp() override {
    lab_ = TunnelLab::make();
    if (!lab_) GTEST_SKIP() << io::testing::kNeedsRoot;
  }
  void TearDown() override {
    if (!lab_) return;
    lab_->stop(lab_->alice);
    lab_->stop(lab_->bob);
  }
  void start_both(io::TunOffload offload = io::TunOffload::tcp_and_udp, bool segmentation = true) {
    lab_->start(lab_->alice, offload, segmentation);
    lab_->start(lab_->bob, offload, segmentation);
    ASSERT_TRUE(lab_->alice.plane && lab_->bob.plane);
  }

  std::unique_ptr<TunnelLab> lab_;
};

[[nodiscard]] bool wait_readable(int fd, int milliseconds);

template <typename Event>
std::optional<Event> Host::wait_event() {
  do {
    while (auto event = plane->poll_event()) {
      if (auto* found = std::get_if<Event>(&*event)) return *found;
    }
  } while (wait_wakeup());
  return {};
}

}  // namespace culvert::datapath::testing
