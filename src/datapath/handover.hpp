// HandoverRing: packets from one worker to another that has their SA, in order.
//
// One worker writes, one reads. What is written is copied, so that both go on with their own buffers; the memory is
// bounded, and a full ring refuses. Records stand one behind the other, each in one piece, with the room in front and
// behind that the engine asks for.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "io/datagram_socket.hpp"
#include "ipsec/packet_io.hpp"

namespace culvert::datapath {

/// An ICMP error from the unprotected side, as Engine::unprotected_error wants it.
struct OuterError {
  net::Path path;
  model::Encapsulation encapsulation = model::Encapsulation::udp;
  std::uint16_t mtu = 0;
  ByteView quoted;
  std::uint32_t asked = 1;  // workers that were, or are just being
};

class HandoverRing {
 public:
  /// Octets for all that waits; a power of two that holds some of the longest packets. Memory that nothing has needed
  /// stays the system's.
  explicit HandoverRing(std::size_t capacity = kCapacity);

  // For the writer. False when there is no room; then nothing was written.
  [[nodiscard]] bool push(const ipsec::InnerPacket& packet);
  [[nodiscard]] bool push(const ipsec::WireInput& input);
  [[nodiscard]] bool push(const OuterError& error);
  /// The reader has done all that was pushed: packets pushed before have left the other worker.
  [[nodiscard]] bool settled() const { return read_.load(std::memory_order_acquire) == writing_; }

  // For the reader.
  [[nodiscard]] bool empty() const { return read_.load(std::memory_order_relaxed) == written_.load(); }
  /// What waits, as far as it is of one kind: only one of the lists has something. Good until `release`.
  struct Batch {
    std::vector<ipsec::InnerPacket> inner;
    std::vector<ipsec::WireInput> wire;
    std::vector<OuterError> errors;
    [[nodiscard]] bool empty() const { return inner.empty() && wire.empty() && errors.empty(); }
  };
  const Batch& take();
  /// The last batch was worked up and what came of it has left.
  void release();

 private:
  static constexpr std::size_t kCapacity = std::size_t{2} * 1024 * 1024;
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t kMostTaken = 64;
  enum class Kind : std::uint8_t { skip, inner, wire, error };
  struct Record;

  [[nodiscard]] Record* reserve(Kind kind, std::size_t in_front, std::size_t bytes, std::size_t behind);
  void publish();
  [[nodiscard]] Record& at(std::uint64_t position) const;

  const std::size_t capacity_;
  std::unique_ptr<std::uint8_t[]> memory_;

  // Counts of octets that only grow; each side's on a line of its own.
  alignas(kLine) std::atomic<std::uint64_t> written_{0};
  std::uint64_t writing_ = 0;     // the writer's own
  std::uint64_t read_known_ = 0;  // what the writer last saw of `read_`
  alignas(kLine) std::atomic<std::uint64_t> read_{0};
  std::uint64_t reading_ = 0;  // the reader's own
  Batch batch_;
};

}  // namespace culvert::datapath
