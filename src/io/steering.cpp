#include "io/steering.hpp"

#include <algorithm>
#include <vector>

#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "base/bytes.hpp"

namespace culvert::io {

namespace {

// Multiplicative hashing: 2^32 over the golden ratio; the upper half of the product is the better one.
constexpr std::uint32_t kMultiplier = 0x9e37'79b1;
constexpr std::uint32_t kShift = 16;

// Where a source address stands in its header, by words, and how many there are.
struct SourceWords {
  std::uint32_t offset;
  std::uint32_t count;
};
constexpr SourceWords source_of(net::Family family) {
  return family == net::Family::v4 ? SourceWords{12, 1} : SourceWords{8, 4};
}

std::vector<sock_filter> share_program(net::Family family, std::uint32_t shares) {
  const SourceWords source = source_of(family);
  std::vector<sock_filter> program;
  for (std::uint32_t i = 0; i < source.count; ++i) {
    if (i != 0) program.push_back(BPF_STMT(BPF_MISC | BPF_TAX, 0));
    program.push_back(
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_NET_OFF) + source.offset + 4 * i));
    if (i != 0) program.push_back(BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0));
  }
  program.push_back(BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, kMultiplier));
  program.push_back(BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, kShift));
  program.push_back(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, shares));
  return program;
}

Result<void, IoError> attach(const DatagramSocket& socket, int option, std::vector<sock_filter> program) {
  const sock_fprog wanted{static_cast<unsigned short>(program.size()), program.data()};
  if (::setsockopt(socket.fd(), SOL_SOCKET, option, &wanted, sizeof wanted) == 0) return {};
  return err(system_error("cannot spread packets from the wire over workers (set workers = 1 to do without)", errno));
}

}  // namespace

std::uint32_t share_of(const net::IpAddress& source, std::uint32_t shares) {
  const auto bytes = source.bytes();
  std::uint32_t sum = 0;
  for (std::uint32_t i = 0; i < source_of(source.family()).count; ++i)
    sum ^= load_be32(bytes.data() + std::size_t{4} * i);
  return ((sum * kMultiplier) >> kShift) % std::max(shares, 1U);
}

Result<void, IoError> steer_group(const DatagramSocket& first, std::uint32_t shares) {
  std::vector<sock_filter> program = share_program(first.family(), shares);
  program.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  return attach(first, SO_ATTACH_REUSEPORT_CBPF, std::move(program));
}

Result<void, IoError> keep_share(const DatagramSocket& socket, std::uint32_t share, std::uint32_t shares) {
  constexpr std::uint32_t kWhole = 0xffff'ffff;
  std::vector<sock_filter> program = share_program(socket.family(), shares);
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, share, 0, 1));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, kWhole));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  return attach(socket, SO_ATTACH_FILTER, std::move(program));
}

}  // namespace culvert::io
