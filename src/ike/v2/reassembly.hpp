// Reassembly: the authentic fragments of one message of the peer's (RFC 7383 2.6), bounded in number and octets; and
// what an IKE SA knows about fragments.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "base/secret.hpp"
#include "base/small_map.hpp"
#include "base/time.hpp"
#include "ike/codec/parse.hpp"
#include "model/iana/payload_type.hpp"
#include "model/ids.hpp"

namespace culvert::ike::v2 {

/// RFC 7383 5: an IKE message has hardly ever more than 64 KiB; nor is it cut into more parts than this.
inline constexpr std::size_t kMostReassembled = 64UL * 1024;
inline constexpr std::uint16_t kMostFragments = 256;

/// What was inside the Encrypted payload of a message, or inside all its fragments.
struct OpenedContent {
  model::PayloadType first = model::PayloadType::none;
  std::uint8_t flags = 0;  // the octet behind it in the payload's header, of the first fragment
  SecretBytes chain;
};

class Reassembly {
 public:
  enum class Verdict : std::uint8_t {
    wanted,
    repeated,  // RFC 7383 2.6: the same number of the same total is there
    outdated   // RFC 7383 2.6: its total is smaller than of those that are there
  };
  /// Before the fragment is known to be authentic.
  [[nodiscard]] Verdict judge(codec::FragmentPlace place) const;

  enum class State : std::uint8_t { incomplete, complete, too_much };
  /// An authentic fragment that is wanted: where it was, its part of the payloads and the octets of the datagram it
  /// came in. With `too_much` nothing is kept.
  [[nodiscard]] State add(const codec::SealedPayload& sealed, SecretBytes part, std::size_t datagram);

  /// Of a complete one: what is inside, and the octets of the largest datagram.
  [[nodiscard]] OpenedContent content() const;
  [[nodiscard]] std::size_t largest() const { return largest_; }
  [[nodiscard]] std::uint16_t total() const { return total_; }

 private:
  void clear();

  std::uint16_t total_ = 0;
  model::PayloadType first_ = model::PayloadType::none;
  std::uint8_t flags_ = 0;
  std::map<std::uint16_t, SecretBytes> parts_;  // by their numbers
  std::size_t octets_ = 0;
  std::size_t largest_ = 0;
};

/// RFC 7383 as one IKE SA has it.
struct Fragmentation {
  bool agreed = false;
  /// Octets of the largest IP datagram that messages are cut for; falls when a larger one seems not to arrive.
  std::uint16_t size = 0;

  /// Which message of the peer's: a response or a request, with its number.
  using Key = std::pair<bool, model::MessageId>;
  struct Entry {
    Reassembly parts;
    Instant deadline;
  };
  /// Only messages that the window would take: as many as it is wide in each direction.
  SmallMap<Key, Entry> incomplete;
};

}  // namespace culvert::ike::v2
