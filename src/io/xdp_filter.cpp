#include "io/xdp_filter.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/check.hpp"
#include "net/headers.hpp"

namespace culvert::io {
namespace {

/// What the program compares destinations with, in network order; places that are zero are nobody's.
struct OwnAddresses {
  std::array<std::uint32_t, XdpFilter::kMostAddresses> v4{};
  std::array<std::array<std::uint64_t, 2>, XdpFilter::kMostAddresses> v6{};
};
static_assert(sizeof(OwnAddresses) == 4 * 8 + 16 * 8);

// The memory of an array map is given in pages.
std::size_t mapped_size() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

// ---- the program, in the kernel's instructions

enum Register : std::uint8_t { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9 };

/// Instructions with jumps to names that are set later.
class Assembler {
 public:
  enum class Label : std::uint8_t { pass, v6, take, count };

  // NOLINTBEGIN(misc-redundant-expression): some of the kernel's parts of an opcode are the same number, or zero
  void move(Register to, Register from) { add({BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0}); }
  void move(Register to, std::int32_t value) { add({BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value}); }
  void plus(Register to, std::int32_t value) { add({BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value}); }
  void mask(Register to, std::int32_t value) { add({BPF_ALU64 | BPF_AND | BPF_K, to, 0, 0, value}); }
  // NOLINTEND(misc-redundant-expression)
  /// to = *(from + offset), of the size that BPF_B, BPF_H, BPF_W or BPF_DW says.
  void load(std::uint8_t size, Register to, Register from, int offset) {
    add({static_cast<std::uint8_t>(BPF_LDX | BPF_MEM | size), to, from, static_cast<std::int16_t>(offset), 0});
  }
  void load_map(Register to, int map) { wide(to, BPF_PSEUDO_MAP_FD, map); }
  /// The address of the only value of an array map.
  void load_map_value(Register to, int map) { wide(to, BPF_PSEUDO_MAP_VALUE, map); }
  void jump(Label to) { jump({BPF_JMP | BPF_JA, 0, 0, 0, 0}, to); }
  void jump_if(std::uint8_t operation, Register left, Register right, Label to) {
    jump({static_cast<std::uint8_t>(BPF_JMP | operation | BPF_X), left, right, 0, 0}, to);
  }
  void jump_if(std::uint8_t operation, Register left, std::int32_t right, Label to) {
    jump({static_cast<std::uint8_t>(BPF_JMP | operation | BPF_K), left, 0, 0, right}, to);
  }
  /// Passes over so many instructions.
  void skip_if(std::uint8_t operation, Register left, Register right, std::int16_t count) {
    add({static_cast<std::uint8_t>(BPF_JMP | operation | BPF_X), left, right, count, 0});
  }
  void call(std::int32_t function) { add({BPF_JMP | BPF_CALL, 0, 0, 0, function}); }
  void leave() { add({BPF_JMP | BPF_EXIT, 0, 0, 0, 0}); }
  void set(Label label) { places_[static_cast<std::size_t>(label)] = program_.size(); }

  [[nodiscard]] std::vector<bpf_insn> finish() {
    for (const auto& [at, label] : jumps_) {
      program_[at].off = static_cast<std::int16_t>(places_[static_cast<std::size_t>(label)] - at - 1);
    }
    return std::move(program_);
  }

 private:
  struct Instruction {
    int code;
    int to;
    int from;
    std::int16_t offset;
    std::int32_t value;
  };
  void add(const Instruction& one) {
    bpf_insn made{};
    made.code = static_cast<std::uint8_t>(one.code);
    made.dst_reg = static_cast<std::uint8_t>(one.to) & 0xf;
    made.src_reg = static_cast<std::uint8_t>(one.from) & 0xf;
    made.off = one.offset;
    made.imm = one.value;
    program_.push_back(made);
  }
  void wide(Register to, int kind, int map) {
    add({BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, map});  // NOLINT(misc-redundant-expression): two of them are zero
    add({0, 0, 0, 0, 0});
  }
  void jump(const Instruction& one, Label to) {
    jumps_.emplace_back(program_.size(), to);
    add(one);
  }

  std::vector<bpf_insn> program_;
  std::vector<std::pair<std::size_t, Label>> jumps_;
  std::array<std::size_t, static_cast<std::size_t>(Label::count)> places_{};
};

// Where things stand in the frame.
constexpr int kIp = ETH_HLEN;
constexpr int kV4Fragment = kIp + 6, kV4Protocol = kIp + 9, kV4Destination = kIp + 16, kV4End = kIp + 20;
constexpr int kV6Next = kIp + 6, kV6Destination = kIp + 24, kV6End = kIp + 40;
constexpr std::int32_t kEsp = static_cast<std::int32_t>(net::IpProtocol::esp);

std::vector<bpf_insn> make_program(int addresses, int sockets) {
  using Label = Assembler::Label;
  Assembler a;
  // r6: the context; r7: the frame; r3: its end; r8, r9: the destination.
  a.move(r6, r1);
  a.load(BPF_W, r7, r6, offsetof(xdp_md, data));
  a.load(BPF_W, r3, r6, offsetof(xdp_md, data_end));
  a.move(r4, r7);
  a.plus(r4, kV4End);
  a.jump_if(BPF_JGT, r4, r3, Label::pass);
  a.load(BPF_H, r5, r7, ETH_HLEN - 2);
  a.jump_if(BPF_JEQ, r5, htons(ETH_P_IPV6), Label::v6);
  a.jump_if(BPF_JNE, r5, htons(ETH_P_IP), Label::pass);
  a.load(BPF_B, r5, r7, kIp);
  a.jump_if(BPF_JNE, r5, 0x45, Label::pass);  // version 4, no options
  a.load(BPF_H, r5, r7, kV4Fragment);
  a.mask(r5, htons(0x3fff));  // MF and the offset
  a.jump_if(BPF_JNE, r5, 0, Label::pass);
  a.load(BPF_B, r5, r7, kV4Protocol);
  a.jump_if(BPF_JNE, r5, kEsp, Label::pass);
  a.load(BPF_W, r8, r7, kV4Destination);
  a.jump_if(BPF_JEQ, r8, 0, Label::pass);
  a.load_map_value(r2, addresses);
  for (std::size_t i = 0; i < XdpFilter::kMostAddresses; ++i) {
    a.load(BPF_W, r5, r2, static_cast<int>(offsetof(OwnAddresses, v4) + 4 * i));
    a.jump_if(BPF_JEQ, r5, r8, Label::take);
  }
  a.jump(Label::pass);

  a.set(Label::v6);
  a.move(r4, r7);
  a.plus(r4, kV6End);
  a.jump_if(BPF_JGT, r4, r3, Label::pass);
  a.load(BPF_B, r5, r7, kV6Next);
  a.jump_if(BPF_JNE, r5, kEsp, Label::pass);
  a.load(BPF_DW, r8, r7, kV6Destination);
  a.load(BPF_DW, r9, r7, kV6Destination + 8);
  a.jump_if(BPF_JEQ, r8, 0, Label::pass);  // :: and ::1 are no addresses of a wire
  a.load_map_value(r2, addresses);
  for (std::size_t i = 0; i < XdpFilter::kMostAddresses; ++i) {
    a.load(BPF_DW, r5, r2, static_cast<int>(offsetof(OwnAddresses, v6) + 16 * i));
    a.skip_if(BPF_JNE, r5, r8, 2);
    a.load(BPF_DW, r5, r2, static_cast<int>(offsetof(OwnAddresses, v6) + 16 * i + 8));
    a.jump_if(BPF_JEQ, r5, r9, Label::take);
  }

  a.set(Label::pass);
  a.move(r0, XDP_PASS);
  a.leave();

  // A queue without a socket: the packet goes on to the kernel.
  a.set(Label::take);
  a.load(BPF_W, r2, r6, offsetof(xdp_md, rx_queue_index));
  a.load_map(r1, sockets);
  a.move(r3, XDP_PASS);
  a.call(BPF_FUNC_redirect_map);
  a.leave();
  return a.finish();
}

Result<FileDescriptor, IoError> make_map(bpf_map_type type, std::size_t value, std::uint32_t entries,
                                         std::uint32_t flags) {
  bpf_attr attributes{};
  attributes.map_type = type;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = static_cast<std::uint32_t>(value);
  attributes.max_entries = entries;
  attributes.map_flags = flags;
  const int fd = bpf(BPF_MAP_CREATE, attributes);
  if (fd < 0) return err(system_error("cannot make a BPF map (it takes CAP_BPF and CAP_NET_ADMIN)", errno));
  return FileDescriptor(fd);
}

std::uint64_t pointer(const void* at) { return reinterpret_cast<std::uintptr_t>(at); }

}  // namespace

Result<XdpFilter, IoError> XdpFilter::attach(unsigned interface_index, const std::string& name, std::uint32_t queues) {
  XdpFilter filter;
  if (auto made = filter.make_maps(queues); !made) return err(std::move(made.error()));
  if (auto loaded = filter.load(); !loaded) return err(std::move(loaded.error()));
  if (auto linked = filter.link(interface_index, name); !linked) return err(std::move(linked.error()));
  return filter;
}

XdpFilter::XdpFilter(XdpFilter&& other) noexcept
    : addresses_(std::move(other.addresses_)),
      sockets_(std::move(other.sockets_)),
      program_(std::move(other.program_)),
      link_(std::move(other.link_)),
      own_(std::exchange(other.own_, nullptr)) {}

XdpFilter::~XdpFilter() {
  if (own_ != nullptr) ::munmap(own_, mapped_size());
}

Result<void, IoError> XdpFilter::make_maps(std::uint32_t queues) {
  auto addresses = make_map(BPF_MAP_TYPE_ARRAY, sizeof(OwnAddresses), 1, BPF_F_MMAPABLE);
  if (!addresses) return err(std::move(addresses.error()));
  addresses_ = std::move(*addresses);
  auto sockets = make_map(BPF_MAP_TYPE_XSKMAP, sizeof(std::uint32_t), queues, 0);
  if (!sockets) return err(std::move(sockets.error()));
  sockets_ = std::move(*sockets);
  void* const own = ::mmap(nullptr, mapped_size(), PROT_READ | PROT_WRITE, MAP_SHARED, addresses_.get(), 0);
  if (own == MAP_FAILED) return err(system_error("cannot map a BPF map", errno));
  own_ = own;
  return {};
}

Result<void, IoError> XdpFilter::load() {
  const std::vector<bpf_insn> program = make_program(addresses_.get(), sockets_.get());
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.insns = pointer(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  static constexpr char kLicense[] = "proprietary";  // the kernel's word for "calls no function that is for GPL only"
  attributes.license = pointer(kLicense);
  const int fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd < 0) return err(system_error("the kernel refuses the XDP program", errno));
  program_ = FileDescriptor(fd);
  return {};
}

Result<void, IoError> XdpFilter::link(unsigned interface_index, const std::string& name) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(program_.get());
  attributes.link_create.target_ifindex = interface_index;
  attributes.link_create.attach_type = BPF_XDP;
  const int fd = bpf(BPF_LINK_CREATE, attributes);
  if (fd < 0) {
    const int number = errno;
    const char* const why = number == EBUSY || number == EEXIST ? " (another program is attached to it)" : "";
    return err(system_error(fmt::format("cannot attach an XDP program to {}{}", name, why), number));
  }
  link_ = FileDescriptor(fd);
  return {};
}

void XdpFilter::set_addresses(const std::vector<net::IpAddress>& addresses) {
  OwnAddresses own;
  std::size_t v4 = 0;
  std::size_t v6 = 0;
  for (const net::IpAddress& address : addresses) {
    const auto bytes = address.bytes();
    if (address.is_v4()) {
      if (v4 < kMostAddresses) std::memcpy(&own.v4[v4++], bytes.data(), sizeof own.v4[0]);
    } else if (v6 < kMostAddresses) {
      std::memcpy(&own.v6[v6++], bytes.data(), sizeof own.v6[0]);
    }
  }
  // The program reads words of it at any time: half an address is nobody's, or costs one packet the fast way.
  std::memcpy(own_, &own, sizeof own);
}

Result<void, IoError> XdpFilter::add_socket(std::uint32_t queue, int socket) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(sockets_.get());
  attributes.key = pointer(&queue);
  attributes.value = pointer(&socket);
  if (bpf(BPF_MAP_UPDATE_ELEM, attributes) < 0) return err(system_error("cannot use an AF_XDP socket", errno));
  return {};
}

}  // namespace culvert::io
