// udp_load: a stream of UDP datagrams at a given rate, and the counting of those that arrive. For the measurements of
// whole VPNs (tests/bench/vpn), where a general tool would cost more CPU time per small packet than what is measured.
//
//   udp_load receive PORT              prints "ready", then counts until SIGINT or SIGTERM, then one JSON object
//   udp_load send ADDRESS PORT OCTETS RATE SECONDS    RATE in packets per second; prints one JSON object
//   udp_load spread FROM ADDRESS COUNT PORT OCTETS RATE SECONDS    the same from one socket to COUNT addresses in turn,
//                                      from ADDRESS on, so that no two packets in a row have the same flow
//
// Datagrams carry a number, so that what comes twice or out of order is seen and not taken for delivery, and the time
// their stream began: what an earlier stream left on its way is not counted into the next one.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMost = 1472;
constexpr std::size_t kHeaders = 28;  // IPv4 and UDP: OCTETS is the length of the whole inner packet
constexpr unsigned kBatch = 32;
constexpr int kBuffer = 32 << 20;

volatile std::sig_atomic_t stopped = 0;

int fail(std::string_view what) {
  fmt::print(stderr, "udp_load: {}: {}\n", what, std::strerror(errno));
  return 1;
}

struct Batch {
  std::array<std::array<std::uint8_t, kMost>, kBatch> bytes{};
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};

  explicit Batch(std::size_t size) {
    for (unsigned i = 0; i < kBatch; ++i) {
      vectors[i] = {bytes[i].data(), size};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

int receive(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("socket");
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0) return fail("SO_RCVBUFFORCE");
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) return fail("bind");
  fmt::print("ready\n");
  std::fflush(stdout);

  auto batch = std::make_unique<Batch>(kMost);
  std::vector<bool> seen;
  std::uint64_t stream = 0, packets = 0, twice = 0, late = 0, newest = 0;
  pollfd waiting{fd, POLLIN, 0};
  while (stopped == 0) {
    if (::poll(&waiting, 1, 100) <= 0) continue;
    const int got = ::recvmmsg(fd, batch->messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < got; ++i) {
      std::uint64_t mark = 0;
      std::memcpy(&mark, batch->bytes[static_cast<std::size_t>(i)].data(), sizeof mark);
      if (mark >> 32 < stream) continue;
      if (mark >> 32 > stream) {
        stream = mark >> 32;
        packets = twice = late = newest = 0;
        seen.clear();
      }
      const std::uint64_t number = mark & 0xffffffff;
      if (number >= seen.size()) seen.resize(number + 65536);
      if (seen[number]) {
        ++twice;
        continue;
      }
      seen[number] = true;
      ++packets;
      late += number < newest;
      newest = std::max(newest, number);
    }
  }
  fmt::print("{{\"packets\": {}, \"twice\": {}, \"out_of_order\": {}}}\n", packets, twice, late);
  return 0;
}

struct Load {
  std::uint16_t port = 0;
  std::size_t octets = 0;
  double rate = 0;
  double seconds = 0;
};

sockaddr_in with_port(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  return address;
}

/// Whom the packets of a batch go to: addresses that follow each other, each in its turn.
class Spread {
 public:
  Spread(const sockaddr_in& first, std::uint32_t count)
      : first_(ntohl(first.sin_addr.s_addr)), count_(count), addresses_(kBatch, first) {}
  void attach(Batch& batch) {
    for (unsigned i = 0; i < kBatch; ++i) {
      batch.messages[i].msg_hdr.msg_name = &addresses_[i];
      batch.messages[i].msg_hdr.msg_namelen = sizeof addresses_[i];
    }
  }
  void turn(unsigned packets) {
    for (unsigned i = 0; i < packets; ++i) {
      addresses_[i].sin_addr.s_addr = htonl(first_ + next_);
      if (++next_ == count_) next_ = 0;
    }
  }

 private:
  std::uint32_t first_, count_, next_ = 0;
  std::vector<sockaddr_in> addresses_;
};

int send(int fd, const Load& load, Spread* spread) {
  const auto [port, octets, rate, seconds] = load;
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kBuffer, sizeof kBuffer);

  auto batch = std::make_unique<Batch>(octets - kHeaders);
  if (spread != nullptr) spread->attach(*batch);
  std::uint64_t sent = 0, refused = 0;
  const auto begin = Clock::now();
  // Both ends are on one machine and have one clock.
  const auto stream = static_cast<std::uint64_t>(begin.time_since_epoch() / std::chrono::milliseconds(1)) << 32;
  const std::chrono::duration<double> span(seconds);
  for (auto now = begin; now - begin < span; now = Clock::now()) {
    const double due = std::chrono::duration<double>(now - begin).count() * rate;
    const double behind = due - static_cast<double>(sent);
    if (behind < 1) {
      // Half a millisecond of packets at once is what a NIC's interrupt mitigation makes of a stream, too.
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      continue;
    }
    const unsigned count = std::min(kBatch, static_cast<unsigned>(behind));
    for (unsigned i = 0; i < count; ++i) {
      const std::uint64_t mark = stream | (sent + i);
      std::memcpy(batch->bytes[i].data(), &mark, sizeof mark);
    }
    if (spread != nullptr) spread->turn(count);
    const int taken = ::sendmmsg(fd, batch->messages.data(), count, 0);
    sent += count;  // what the kernel refused is lost, as on any host
    refused += count - static_cast<unsigned>(std::max(taken, 0));
  }
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  fmt::print("{{\"packets\": {}, \"refused\": {}, \"seconds\": {:.6f}}}\n", sent, refused, took);
  return 0;
}

int send_to_one(const char* address, const Load& load) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in there = with_port(load.port);
  if (fd < 0) return fail("socket");
  if (::inet_pton(AF_INET, address, &there.sin_addr) != 1) return fail("the address");
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) return fail("connect");
  return send(fd, load, nullptr);
}

int send_to_many(const char* from, const char* address, std::uint32_t count, const Load& load) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in here = with_port(0), there = with_port(load.port);
  if (fd < 0) return fail("socket");
  if (::inet_pton(AF_INET, from, &here.sin_addr) != 1 || ::inet_pton(AF_INET, address, &there.sin_addr) != 1)
    return fail("the addresses");
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) return fail("bind");
  Spread spread(there, count);
  return send(fd, load, &spread);
}

int usage() {
  fmt::print(stderr,
             "usage: udp_load receive PORT | udp_load send ADDRESS PORT OCTETS RATE SECONDS\n"
             "       | udp_load spread FROM ADDRESS COUNT PORT OCTETS RATE SECONDS\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, [](int) { stopped = 1; });
  if (mode == "receive" && argc == 3) return receive(static_cast<std::uint16_t>(std::atoi(argv[2])));
  const bool many = mode == "spread";
  if ((mode != "send" || argc != 7) && (!many || argc != 9)) return usage();
  char** const load_at = argv + (many ? 5 : 3);
  const int octets = std::atoi(load_at[1]);
  if (octets < static_cast<int>(kHeaders + sizeof(std::uint64_t)) || octets > static_cast<int>(kMost + kHeaders)) {
    fmt::print(stderr, "udp_load: OCTETS is from {} to {}\n", kHeaders + sizeof(std::uint64_t), kMost + kHeaders);
    return 2;
  }
  const Load load{static_cast<std::uint16_t>(std::atoi(load_at[0])), static_cast<std::size_t>(octets),
                  std::atof(load_at[2]), std::atof(load_at[3])};
  if (!many) return send_to_one(argv[2], load);
  const int count = std::atoi(argv[4]);
  return count < 1 ? usage() : send_to_many(argv[2], argv[3], static_cast<std::uint32_t>(count), load);
}
