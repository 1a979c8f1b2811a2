// What an SA pair costs in heap memory, its inbound replay window aside: by suite, by address family and number of
// pairs; standing idle, and with the expanded keys that its packets brought into the engine's pool. The pool is
// bounded, so it stands in a column of its own. Every figure is the growth since before the first pair, per pair.
#include <cstddef>
#include <cstdio>
#include <string>

#include <unistd.h>

#include <fmt/format.h>
#include <malloc.h>

#include "base/check.hpp"
#include "ipsec/engine_test_kit.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;

constexpr std::size_t kBound = 1024;  // octets per pair beyond the window
constexpr std::uint32_t kWindow = 1024;

// What malloc gave out, and what is mapped beside it: large tables (base/large_memory.hpp), SAs, keys and windows
// (base/dense_memory.hpp).
std::size_t memory() {
  const struct mallinfo2 info = mallinfo2();
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  CHECK(file != nullptr);
  unsigned long pages = 0;
  CHECK(std::fscanf(file, "%lu", &pages) == 1);
  CHECK(std::fclose(file) == 0);
  const std::size_t mapped = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return info.uordblks + mapped - info.arena;
}

// What a replay window takes (base/dense_memory.hpp): its bits and nothing else.
constexpr std::size_t kWindowOctets = kWindow / 8;

struct Kind {
  const char* name;
  model::EspSuite suite;
  bool v6 = false;
  bool own_connection = true;  // each pair is a tunnel of its own; else all are of one connection
};

net::IpAddress host(bool v6, std::size_t i) {
  const auto octet = [i](unsigned shift) { return static_cast<std::uint8_t>(i >> shift); };
  if (!v6) return net::IpAddress::v4({static_cast<std::uint8_t>(32 + octet(24)), octet(16), octet(8), octet(0)});
  return net::IpAddress::v6({0x20, 1, 0xd, 0xb8, 1, octet(24), octet(16), octet(8), octet(0), 0, 0, 0, 0, 0, 0, 1});
}

class Gateway {
 public:
  explicit Gateway(const Kind& kind) : kind_(kind) {}

  void install(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      auto [ours, theirs] = kit_.make_pair(i + 1, kind_.suite);
      const net::IpAddress remote = host(kind_.v6, i);
      const model::TrafficSelectors local{model::TrafficSelector::all(remote.family())};
      const model::TrafficSelectors far{model::TrafficSelector::of(net::AddressRange::of(remote))};
      ours.local = theirs.remote = local;
      ours.remote = theirs.local = far;
      ours.replay_window = theirs.replay_window = kWindow;
      if (kind_.own_connection) {
        ours.connection = theirs.connection = model::ConnectionId{static_cast<std::uint32_t>(i + 1)};
      }
      CHECK(kit_.alice.install(std::move(ours), kit_.now).has_value());
      CHECK(kit_.bob.install(std::move(theirs), kit_.now).has_value());
    }
  }

  // A packet over every pair, both ways; all pairs are of one connection.
  void use(std::size_t count) {
    const net::IpAddress ours = kind_.v6 ? address("2001:db8:2::1") : address("10.1.0.1");
    kit_.alice.set_policies({rule(true)});
    kit_.bob.set_policies({rule(false)});
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes out = udp_packet({.source = ours, .destination = host(kind_.v6, i)}, Bytes(18));
      const Bytes in = udp_packet({.source = host(kind_.v6, i), .destination = ours}, Bytes(18));
      carry(kit_.alice, out, kit_.bob, {kit_.path.remote, kit_.path.local});
      carry(kit_.bob, in, kit_.alice, kit_.path);
    }
  }

 private:
  Policy rule(bool alice) const {
    const net::Family family = kind_.v6 ? net::Family::v6 : net::Family::v4;
    const model::TrafficSelectors any{model::TrafficSelector::all(family)};
    return {alice ? TwoEngines::kPolicy : TwoEngines::kPolicy, PolicyAction::protect, any, any,
            TwoEngines::kConnection};
  }
  void carry(Engine& from, const Bytes& packet, Engine& to, const net::Path& path) {
    InnerBuffer buffer(packet);
    const InnerPacket view = buffer.view();
    CollectingWire wire;
    from.outbound({&view, 1}, kit_.now, wire);
    CHECK(wire.trains.size() == 1);
    const WireInput input{.path = path, .bytes = wire.trains[0].bytes};
    CollectingInner inner;
    to.inbound({&input, 1}, kit_.now, inner);
    CHECK(inner.packets.size() == 1);
  }

  Kind kind_;
  TwoEngines kit_;
};

bool measure(const Kind& kind, std::size_t count, std::size_t window) {
  Gateway gateway(kind);
  const std::size_t before = memory();
  gateway.install(count);
  // Both engines have each pair.
  const std::size_t pairs = 2 * count;
  const std::size_t idle = (memory() - before) / pairs - window;
  std::string used = "";
  if (!kind.own_connection) {
    gateway.use(count);
    used = fmt::format("{:>8}", (memory() - before) / pairs - window - idle);
  }
  const bool within = idle < kBound;
  // One pair bears the tables that all share.
  fmt::print("{:<34} {:>8} {:>8} {:>8}  {}\n", kind.name, count, idle, used,
             count == 1 ? ""
             : within   ? "within 1024"
                        : "BEYOND 1024");
  return within || count == 1;
}

}  // namespace

int main() {
  using model::EncryptionId;
  const model::EspSuite gcm{.encryption = EncryptionId::aes_gcm_16, .key_bits = 128};
  const model::EspSuite cbc{
      .encryption = EncryptionId::aes_cbc, .key_bits = 256, .integrity = model::IntegrityId::hmac_sha2_512_256};
  fmt::print("octets per SA pair, of which a replay window of {} packets has {} more\n", kWindow, kWindowOctets);
  fmt::print("an SA pair object has {} octets: {} inbound, {} outbound\n", sizeof(SaPair), sizeof(InboundSa),
             sizeof(OutboundSa));
  fmt::print("{:<34} {:>8} {:>8} {:>8}\n", "", "pairs", "idle", "pool");
  bool within = true;
  for (const bool own : {true, false}) {
    for (const bool v6 : {false, true}) {
      for (const bool aead : {true, false}) {
        const std::string name = fmt::format("{}, IPv{}, {}", aead ? "AES-128-GCM" : "AES-256-CBC, SHA-512", v6 ? 6 : 4,
                                             own ? "tunnels" : "one rule");
        for (const std::size_t count : {1UL, 10'000UL, 100'000UL}) {
          within = measure({name.c_str(), aead ? gcm : cbc, v6, own}, count, kWindowOctets) && within;
        }
      }
    }
  }
  return within ? 0 : 1;
}
