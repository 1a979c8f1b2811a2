// Which implementation serves a suite: by rules for what the CPU has, or by what was measured.
//
// Libraries that compute many packets at once, one in each lane of a wide register, take as long for one as for all
// lanes; so the choice depends on how many packets there are, and, since what a call costs beside the packets weighs
// more with short ones, on their length.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

/// Packets whose text has fewer octets count as short.
inline constexpr std::size_t kLongText = 256;
inline constexpr std::size_t kPacketClasses = 2;  // short, long

/// For one class of packets: `few` serves what is left of a batch when bursts of 32 were taken from it and fewer than
/// `enough` remain, `many` all else. With few == many `enough` is 1.
struct BackendPlan {
  Backend few = Backend::openssl;
  Backend many = Backend::openssl;
  std::uint8_t enough = 1;
  friend bool operator==(const BackendPlan&, const BackendPlan&) = default;
};
using BackendPlans = std::array<BackendPlan, kPacketClasses>;

/// What the rules say: Culvert's own where it serves, then ipsec-mb, with the number of packets from which it is ahead
/// of OpenSSL as measured on one machine with AVX-512; then OpenSSL.
[[nodiscard]] BackendPlans plans_by_rule(const PacketSuite& suite);
/// What is in force for the suite. The first call for a suite that was not measured settles it by rule: its ciphers
/// are all alike as long as the process lives. Any thread.
[[nodiscard]] BackendPlans plans_for(const PacketSuite& suite);
[[nodiscard]] bool plans_settled(const PacketSuite& suite);
/// Settles a suite that nobody has asked for yet; false when somebody has.
[[nodiscard]] bool settle_plans(const PacketSuite& suite, const BackendPlans& plans);

/// The cipher that follows the plans. `unsupported`, `bad_key_length` as make_packet_cipher.
[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make_planned(const PacketSuite& suite,
                                                                              const BackendPlans& plans,
                                                                              ByteView encryption_key,
                                                                              ByteView integrity_key);

/// Nanoseconds per packet of one class, by backend and number of packets in a call.
inline constexpr std::array<std::uint8_t, 6> kMeasuredBatches = {1, 2, 4, 8, 16, 32};
using BackendCosts = std::map<Backend, std::array<double, kMeasuredBatches.size()>>;

/// The best plan for the costs. `preferred` stays where it is at most a tenth slower than that one for any number of
/// packets: the same machine then comes to the same choice again.
[[nodiscard]] BackendPlan judge_costs(const BackendCosts& costs, const BackendPlan& preferred);

}  // namespace culvert::crypto
