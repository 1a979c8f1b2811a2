// XdpSocket: an AF_XDP socket at one queue of an interface: whole Ethernet frames in and out, in memory that is shared
// with the kernel. One thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "io/error.hpp"
#include "io/file_descriptor.hpp"

namespace culvert::io {

class XdpSocket {
 public:
  struct Options {
    unsigned interface_index = 0;
    std::uint32_t queue = 0;
    std::uint16_t mtu = 1500;
  };
  /// Frames in each direction.
  static constexpr std::uint32_t kFrames = 2048;
  /// A frame and the kernel's room in front of it must fit a page.
  static constexpr std::uint16_t kMostMtu = 3500;

  [[nodiscard]] static Result<XdpSocket, IoError> open(const Options& options);
  ~XdpSocket();
  XdpSocket(XdpSocket&& other) noexcept;
  XdpSocket& operator=(XdpSocket&&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The card reads and writes the frames where they lie; otherwise the kernel copies each.
  [[nodiscard]] bool zero_copy() const { return zero_copy_; }

  /// Frames that wait, at most `kBatch`; they may be written to, and stay ours until `give_back`.
  static constexpr std::size_t kBatch = 64;
  [[nodiscard]] std::span<const MutableByteView> receive();
  void give_back();
  /// Frames that the program gave to this socket and the kernel dropped: no free memory, or too long for it.
  [[nodiscard]] std::uint64_t receive_drops() const;

  /// So many frames can be reserved without a `flush` between.
  [[nodiscard]] bool has_room(std::size_t frames);
  /// Room for one more frame to send; empty when the queue is full and stays so for the moment.
  [[nodiscard]] MutableByteView reserve();
  /// The reserved room holds a frame of so many octets.
  void submit(std::size_t length);
  /// What was submitted leaves. False when the kernel has not taken all of it: to be tried again soon.
  bool flush();
  /// A number for what `flush` has shown to the kernel so far, and whether the interface has done with all of that: no
  /// socket's packet can overtake it any more. Also true when it takes nothing at all. Any thread.
  [[nodiscard]] std::uint32_t submitted() const;
  [[nodiscard]] bool has_left(std::uint32_t submitted) const;
  /// Nobody shall wait for what is still here: the interface is gone.
  void give_up() { stuck_.store(true, std::memory_order_relaxed); }

 private:
  /// One of the four rings that the kernel and we share; one side produces, the other consumes.
  struct Ring {
    std::uint32_t* producer = nullptr;
    std::uint32_t* consumer = nullptr;
    std::uint32_t* flags = nullptr;
    void* entries = nullptr;
    void* mapped = nullptr;
    std::size_t mapped_size = 0;
    std::uint32_t ours = 0;  // our side's index, ahead of what the kernel was told
  };
  enum RingName : std::uint8_t { fill, completion, rx, tx };
  static constexpr std::size_t kRings = 4;

  XdpSocket() = default;
  [[nodiscard]] Result<void, IoError> share_memory(const Options& options);
  [[nodiscard]] Result<void, IoError> map_rings();
  [[nodiscard]] Result<void, IoError> bind(const Options& options);
  void reclaim();

  FileDescriptor fd_;
  std::uint8_t* memory_ = nullptr;
  std::size_t memory_size_ = 0;
  std::uint64_t frame_size_ = 0;
  std::array<Ring, kRings> rings_{};
  bool zero_copy_ = false;
  std::atomic<bool> stuck_{false};   // the interface is down or gone
  std::vector<std::uint64_t> free_;  // frames to send in
  std::vector<MutableByteView> received_;
  std::uint64_t reserved_ = 0;
};

}  // namespace culvert::io
