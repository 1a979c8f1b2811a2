// How the methods of EAP that are built on TLS carry its records (RFC 5216 2.1.5, 3; RFC 5281 9.2.2): flags, cut into
// fragments, each acknowledged. The same for both sides; bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::ike::eap {

/// Octets of one flight of TLS that are put together; beyond it the conversation fails.
inline constexpr std::size_t kMostTlsMessage = std::size_t{32} * 1024;
/// Octets of TLS in one EAP packet of ours: what RFC 3748 3.1 counts on, 1020, holds it with its header.
inline constexpr std::size_t kTlsFragment = 1000;

class TlsFragments {
 public:
  /// The version of TTLS and PEAP, 0 here; the flags of EAP-TLS have it reserved as 0.
  static constexpr std::uint8_t kVersion = 0;

  struct Received {
    bool start = false;     // RFC 5216 3.1: the server begins
    bool complete = false;  // `message` is whole; it may be empty: an acknowledgement, or nothing to say
    Bytes message;
  };
  /// The octets behind the EAP type. The error is for a log.
  [[nodiscard]] Result<Received, std::string> receive(ByteView data);

  /// What is to be said; all of the last one has been sent.
  void say(Bytes message);
  [[nodiscard]] bool has_more() const { return sent_ < message_.size(); }
  /// The next packet's octets behind the EAP type: the next fragment, or an acknowledgement when there is nothing.
  [[nodiscard]] Bytes next();
  [[nodiscard]] static Bytes start();

 private:
  Bytes message_;
  std::size_t sent_ = 0;
  Bytes partial_;
  std::optional<std::size_t> announced_;  // by the first fragment
};

}  // namespace culvert::ike::eap
