#include "io/xdp_socket.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/check.hpp"
#include "io/clock.hpp"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

namespace culvert::io {
namespace {

constexpr std::uint32_t kMask = XdpSocket::kFrames - 1;
static_assert((XdpSocket::kFrames & kMask) == 0);
// What the kernel keeps free in front of each received frame, for XDP programs that add headers.
constexpr std::uint32_t kKernelHeadroom = 256;
constexpr std::uint32_t kEthernet = 14;

std::uint32_t load(const std::uint32_t* at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
void store(std::uint32_t* at, std::uint32_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

std::uint64_t& address_in(void* entries, std::uint32_t index) {
  return static_cast<std::uint64_t*>(entries)[index & kMask];
}
xdp_desc& description_in(void* entries, std::uint32_t index) { return static_cast<xdp_desc*>(entries)[index & kMask]; }

// Older kernels count the shared memory against this bound.
void lift_memory_lock() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
  (void)::setrlimit(RLIMIT_MEMLOCK, &limit);
}

}  // namespace

Result<XdpSocket, IoError> XdpSocket::open(const Options& options) {
  XdpSocket socket;
  socket.fd_ = FileDescriptor(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket.fd_.valid()) return err(system_error("cannot open an AF_XDP socket", errno));
  if (auto shared = socket.share_memory(options); !shared) return err(std::move(shared.error()));
  if (auto mapped = socket.map_rings(); !mapped) return err(std::move(mapped.error()));
  if (auto bound = socket.bind(options); !bound) return err(std::move(bound.error()));
  // The first half of the memory is for what is received, the other for what is sent.
  for (std::uint32_t i = 0; i < kFrames; ++i) {
    address_in(socket.rings_[fill].entries, i) = i * socket.frame_size_;
    socket.free_.push_back((kFrames + i) * socket.frame_size_);
  }
  socket.rings_[fill].ours = kFrames;
  store(socket.rings_[fill].producer, kFrames);
  return socket;
}

XdpSocket::XdpSocket(XdpSocket&& other) noexcept
    : fd_(std::move(other.fd_)),
      memory_(std::exchange(other.memory_, nullptr)),
      memory_size_(other.memory_size_),
      frame_size_(other.frame_size_),
      rings_(std::exchange(other.rings_, {})),
      zero_copy_(other.zero_copy_),
      stuck_(other.stuck_.load()),
      free_(std::move(other.free_)),
      received_(std::move(other.received_)),
      reserved_(other.reserved_) {}

XdpSocket::~XdpSocket() {
  fd_.reset();
  for (const Ring& ring : rings_) {
    if (ring.mapped != nullptr) ::munmap(ring.mapped, ring.mapped_size);
  }
  if (memory_ != nullptr) ::munmap(memory_, memory_size_);
}

Result<void, IoError> XdpSocket::share_memory(const Options& options) {
  if (options.mtu > kMostMtu) {
    return err(IoError{IoErrorCode::not_supported, 0, "AF_XDP takes frames of one page: the MTU must be 3500 or less"});
  }
  constexpr std::uint32_t kShort = 2048;
  constexpr std::uint32_t kLong = 4096;
  frame_size_ = kKernelHeadroom + kEthernet + options.mtu <= kShort ? kShort : kLong;
  memory_size_ = std::uint64_t{2} * kFrames * frame_size_;
  lift_memory_lock();
  void* const memory = ::mmap(nullptr, memory_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return err(system_error("no memory for the frames of an AF_XDP socket", errno));
  memory_ = static_cast<std::uint8_t*>(memory);
  xdp_umem_reg region{};
  region.addr = reinterpret_cast<std::uintptr_t>(memory_);
  region.len = memory_size_;
  region.chunk_size = static_cast<std::uint32_t>(frame_size_);
  if (::setsockopt(fd_.get(), SOL_XDP, XDP_UMEM_REG, &region, sizeof region) < 0) {
    return err(system_error("cannot share the frames of an AF_XDP socket with the kernel (see `ulimit -l`)", errno));
  }
  return {};
}

Result<void, IoError> XdpSocket::map_rings() {
  struct Kind {
    int option;
    off_t page;
    xdp_ring_offset xdp_mmap_offsets::* offsets;
    std::size_t entry;
  };
  static constexpr std::array<Kind, kRings> kKinds{{
      {XDP_UMEM_FILL_RING, static_cast<off_t>(XDP_UMEM_PGOFF_FILL_RING), &xdp_mmap_offsets::fr, sizeof(std::uint64_t)},
      {XDP_UMEM_COMPLETION_RING, static_cast<off_t>(XDP_UMEM_PGOFF_COMPLETION_RING), &xdp_mmap_offsets::cr,
       sizeof(std::uint64_t)},
      {XDP_RX_RING, XDP_PGOFF_RX_RING, &xdp_mmap_offsets::rx, sizeof(xdp_desc)},
      {XDP_TX_RING, XDP_PGOFF_TX_RING, &xdp_mmap_offsets::tx, sizeof(xdp_desc)},
  }};
  for (const Kind& kind : kKinds) {
    const std::uint32_t size = kFrames;
    if (::setsockopt(fd_.get(), SOL_XDP, kind.option, &size, sizeof size) < 0)
      return err(system_error("cannot size the rings of an AF_XDP socket", errno));
  }
  xdp_mmap_offsets offsets{};
  socklen_t length = sizeof offsets;
  if (::getsockopt(fd_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) < 0)
    return err(system_error("cannot map the rings of an AF_XDP socket", errno));
  // Before Linux 5.4 the answer is shorter, and there is nothing to tell when the kernel must be woken.
  if (length != sizeof offsets) return err(IoError{IoErrorCode::not_supported, 0, "AF_XDP takes Linux 5.9 or later"});
  for (std::size_t i = 0; i < kRings; ++i) {
    const xdp_ring_offset& at = offsets.*kKinds[i].offsets;
    Ring& ring = rings_[i];
    ring.mapped_size = at.desc + kFrames * kKinds[i].entry;
    void* const mapped =
        ::mmap(nullptr, ring.mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_.get(), kKinds[i].page);
    if (mapped == MAP_FAILED) return err(system_error("cannot map the rings of an AF_XDP socket", errno));
    ring.mapped = mapped;
    auto* const base = static_cast<std::uint8_t*>(mapped);
    ring.producer = reinterpret_cast<std::uint32_t*>(base + at.producer);
    ring.consumer = reinterpret_cast<std::uint32_t*>(base + at.consumer);
    ring.flags = reinterpret_cast<std::uint32_t*>(base + at.flags);
    ring.entries = base + at.desc;
  }
  return {};
}

Result<void, IoError> XdpSocket::bind(const Options& options) {
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_flags = XDP_USE_NEED_WAKEUP;
  address.sxdp_ifindex = options.interface_index;
  address.sxdp_queue_id = options.queue;
  // A closed socket keeps its queue until the kernel has come round to freeing it: whoever restarts finds it busy.
  constexpr auto kLongestWait = std::chrono::milliseconds(500);
  const Instant end = MonotonicClock::now() + kLongestWait;
  while (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    if (errno != EBUSY || MonotonicClock::now() > end)
      return err(system_error("cannot bind an AF_XDP socket to the interface's queue", errno));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  xdp_options taken{};
  socklen_t length = sizeof taken;
  if (::getsockopt(fd_.get(), SOL_XDP, XDP_OPTIONS, &taken, &length) == 0)
    zero_copy_ = (taken.flags & XDP_OPTIONS_ZEROCOPY) != 0;
  constexpr int kSendBuffer = 4 * 1024 * 1024;
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer);
  return {};
}

std::span<const MutableByteView> XdpSocket::receive() {
  received_.clear();
  Ring& ring = rings_[rx];
  const std::uint32_t there = std::min<std::uint32_t>(load(ring.producer) - ring.ours, kBatch);
  for (std::uint32_t i = 0; i < there; ++i) {
    const xdp_desc& one = description_in(ring.entries, ring.ours + i);
    received_.emplace_back(memory_ + one.addr, one.len);
  }
  return received_;
}

void XdpSocket::give_back() {
  if (received_.empty()) return;
  // As many frames as the memory for receiving has: there is always room.
  Ring& empty = rings_[fill];
  for (const MutableByteView& frame : received_) {
    const auto at = static_cast<std::uint64_t>(frame.data() - memory_);
    address_in(empty.entries, empty.ours++) = at & ~(frame_size_ - 1);
  }
  store(empty.producer, empty.ours);
  rings_[rx].ours += static_cast<std::uint32_t>(received_.size());
  store(rings_[rx].consumer, rings_[rx].ours);
  received_.clear();
  if ((*empty.flags & XDP_RING_NEED_WAKEUP) != 0) {
    pollfd wake{fd_.get(), POLLIN, 0};
    (void)::poll(&wake, 1, 0);
  }
}

std::uint64_t XdpSocket::receive_drops() const {
  xdp_statistics counts{};
  socklen_t length = sizeof counts;
  if (::getsockopt(fd_.get(), SOL_XDP, XDP_STATISTICS, &counts, &length) < 0) return 0;
  // An empty fill ring counts among the dropped, too.
  return counts.rx_dropped + counts.rx_ring_full;
}

void XdpSocket::reclaim() {
  Ring& done = rings_[completion];
  const std::uint32_t there = load(done.producer);
  for (; done.ours != there; ++done.ours) free_.push_back(address_in(done.entries, done.ours));
  store(done.consumer, done.ours);
}

bool XdpSocket::has_room(std::size_t frames) {
  if (free_.size() < frames) reclaim();
  return free_.size() >= frames;
}

MutableByteView XdpSocket::reserve() {
  if (free_.empty()) reclaim();
  if (free_.empty()) {
    (void)flush();
    reclaim();
    if (free_.empty()) return {};
  }
  reserved_ = free_.back();
  free_.pop_back();
  return {memory_ + reserved_, frame_size_};
}

void XdpSocket::submit(std::size_t length) {
  Ring& ring = rings_[tx];
  // As many places as there are frames to send.
  description_in(ring.entries, ring.ours++) = {reserved_, static_cast<std::uint32_t>(length), 0};
}

bool XdpSocket::flush() {
  Ring& ring = rings_[tx];
  store(ring.producer, ring.ours);
  // The kernel takes some tens of frames a call.
  for (std::uint32_t calls = 0; calls <= kFrames && load(ring.consumer) != ring.ours; ++calls) {
    if ((*ring.flags & XDP_RING_NEED_WAKEUP) == 0) return true;  // the driver looks for itself
    const std::uint32_t before = load(ring.consumer);
    const ssize_t sent = ::sendto(fd_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
    const bool goes_on = sent >= 0 || errno == EAGAIN || errno == EBUSY || errno == ENOBUFS;
    if (stuck_.load(std::memory_order_relaxed) != !goes_on) stuck_.store(!goes_on, std::memory_order_relaxed);
    if (!goes_on) return true;  // the interface is down or gone: waiting for it would be spinning
    if (load(ring.consumer) == before) return false;
  }
  return true;
}

// Each frame comes back once, whether it was sent or dropped, so that both rings count the same.
std::uint32_t XdpSocket::submitted() const { return load(rings_[tx].producer); }

bool XdpSocket::has_left(std::uint32_t submitted) const {
  constexpr std::uint32_t kHalf = 1U << 31;
  return stuck_.load(std::memory_order_relaxed) || load(rings_[completion].producer) - submitted < kHalf;
}

}  // namespace culvert::io
