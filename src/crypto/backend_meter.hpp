// BackendMeter: a benchmark of a few milliseconds that finds out, where a program begins, who computes a suite fastest
// on this machine.
//
// Each implementation seals and opens short and long packets in calls of 1 to 32, in turns, several times; the least
// time counts, which is the one that nobody disturbed. What is settled stays so as long as the process lives.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "crypto/backend_choice.hpp"

namespace culvert::crypto {

/// What was measured of one suite, by class of packets.
using SuiteCosts = std::array<BackendCosts, kPacketClasses>;

/// Octets of text that stand for each class.
inline constexpr std::array<std::size_t, kPacketClasses> kMeasuredTexts = {64, 1408};

/// The only number of packets that says what a backend takes for each, however many they are. Nothing: each number says
/// it for itself alone.
[[nodiscard]] std::optional<std::uint8_t> measured_batch(Backend backend);

class BackendMeter {
 public:
  /// Once so much time is gone, in all, the suites that follow stay with the rules.
  explicit BackendMeter(std::chrono::nanoseconds budget = std::chrono::milliseconds(30)) : left_(budget) {}

  /// Measures and settles, unless the suite was asked for before, no two implementations serve it, or the time is gone;
  /// true when it was settled so.
  bool settle(const PacketSuite& suite);
  /// Only measures, within the time that is left; nothing when that was too short to look at everything twice.
  [[nodiscard]] std::optional<SuiteCosts> measure(const PacketSuite& suite);
  [[nodiscard]] std::chrono::nanoseconds left() const { return left_; }

 private:
  std::chrono::nanoseconds left_;
};

}  // namespace culvert::crypto
