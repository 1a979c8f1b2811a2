// ike_flood: IKE_SA_INIT requests at a given rate, each from another address that is not ours. For the measurement of a
// responder under attack (tests/bench/ike_attack.py); root, in a namespace.
//
//   ike_flood DESTINATION RATE SECONDS    RATE in requests per second; prints one JSON object
//
// Every request is whole and new: an SPI, a nonce and an X25519 value of its own, what is offered by default.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/serialize.hpp"
#include "model/proposal.hpp"

namespace {

using namespace culvert;
using Clock = std::chrono::steady_clock;

constexpr unsigned kBatch = 64;
constexpr std::uint16_t kPort = 500;
constexpr std::uint32_t kFrom = 0x0b000000;  // 11.0.0.0/8
constexpr std::uint32_t kHosts = 0x00ffffff;

int fail(std::string_view what) {
  fmt::print(stderr, "ike_flood: {}: {}\n", what, std::strerror(errno));
  return 1;
}

/// Fast and of no worth to anybody.
class Chance {
 public:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15;
};

Bytes request() {
  ike::codec::Message message;
  message.header.spi_i = model::IkeSpi(1);
  message.header.initiator = true;
  message.add(ike::codec::SaPayload{model::without_additional_key_exchanges(model::default_ike_proposals())});
  message.add(ike::codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)});
  message.add(ike::codec::NoncePayload{Bytes(32, 5)});
  return ike::codec::serialize(message);
}

struct Packets {
  explicit Packets(in_addr destination) {
    const Bytes ike = request();
    const Bytes value(32, 9);
    const Bytes nonce(32, 5);
    key_at = static_cast<std::size_t>(std::ranges::search(ike, value).begin() - ike.begin());
    nonce_at = static_cast<std::size_t>(std::ranges::search(ike, nonce).begin() - ike.begin());
    const std::size_t size = sizeof(iphdr) + sizeof(udphdr) + ike.size();
    to.sin_family = AF_INET;
    to.sin_addr = destination;
    for (unsigned i = 0; i < kBatch; ++i) {
      bytes[i].resize(size);
      iphdr ip{};
      ip.version = 4;
      ip.ihl = 5;
      ip.ttl = 64;
      ip.protocol = IPPROTO_UDP;
      ip.tot_len = htons(static_cast<std::uint16_t>(size));
      ip.daddr = destination.s_addr;
      udphdr udp{};
      udp.dest = htons(kPort);
      udp.len = htons(static_cast<std::uint16_t>(sizeof udp + ike.size()));
      std::memcpy(bytes[i].data(), &ip, sizeof ip);
      std::memcpy(bytes[i].data() + sizeof ip, &udp, sizeof udp);
      std::ranges::copy(ike, bytes[i].begin() + sizeof ip + sizeof udp);
      vectors[i] = {bytes[i].data(), size};
      messages[i].msg_hdr.msg_name = &to;
      messages[i].msg_hdr.msg_namelen = sizeof to;
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }

  void change(unsigned i) {
    std::uint8_t* at = bytes[i].data();
    store_be32(at + 12, kFrom | (static_cast<std::uint32_t>(chance.next()) & kHosts));
    store_be16(at + sizeof(iphdr), static_cast<std::uint16_t>(1024 + chance.next() % 60000));
    std::uint8_t* ike = at + sizeof(iphdr) + sizeof(udphdr);
    store_be64(ike, chance.next() | 1);
    for (std::size_t n = 0; n < 24; n += 8) {
      store_be64(ike + key_at + n, chance.next());
      store_be64(ike + nonce_at + n, chance.next());
    }
  }

  std::size_t key_at = 0, nonce_at = 0;
  sockaddr_in to{};
  Chance chance;
  std::array<std::vector<std::uint8_t>, kBatch> bytes;
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};
};

int flood(in_addr destination, double rate, double seconds) {
  const int fd = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) return fail("socket");
  Packets packets(destination);
  std::uint64_t sent = 0;
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  while (elapsed() < seconds) {
    const auto due = static_cast<std::uint64_t>(elapsed() * rate);
    if (sent + kBatch > due) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      continue;
    }
    for (unsigned i = 0; i < kBatch; ++i) packets.change(i);
    const int done = ::sendmmsg(fd, packets.messages.data(), kBatch, 0);
    if (done < 0 && errno != ENOBUFS && errno != EAGAIN) return fail("sendmmsg");
    sent += done > 0 ? static_cast<std::uint64_t>(done) : 0;
  }
  fmt::print("{{\"sent\": {}, \"per_second\": {:.0f}}}\n", sent, static_cast<double>(sent) / elapsed());
  ::close(fd);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  in_addr destination{};
  if (argc != 4 || ::inet_pton(AF_INET, argv[1], &destination) != 1) {
    fmt::print(stderr, "usage: ike_flood DESTINATION RATE SECONDS\n");
    return 2;
  }
  return flood(destination, std::atof(argv[2]), std::atof(argv[3]));
}
