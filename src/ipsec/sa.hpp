// SaPair: one Child SA in both directions. What was negotiated never changes; what every packet changes stands apart,
// one block of cache lines per direction, and belongs to the engine's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/packet_cipher.hpp"
#include "ipsec/data_plane.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/replay_window.hpp"
#include "ipsec/silence_watch.hpp"
#include "ipsec/use_meter.hpp"
#include "model/child_sa.hpp"

namespace culvert::ipsec {

inline constexpr std::size_t kEspHeaderSize = 8;   // SPI and sequence number
inline constexpr std::size_t kEspTrailerSize = 2;  // pad length and next header

/// The sizes that packets of one SA have, from its suite.
struct EspLayout {
  std::uint16_t iv = 0;  // in the packet
  std::uint16_t icv = 0;
  std::uint16_t alignment = 4;  // of the plaintext with its trailer: RFC 4303 2.4, at least 4
  bool aead = true;
  bool random_iv = false;    // CBC: a block of unpredictable octets instead of a counter
  bool implicit_iv = false;  // RFC 8750: the sequence number is the IV, and none is in the packet
  bool extended = true;      // 64-bit sequence numbers

  [[nodiscard]] std::size_t head() const { return kEspHeaderSize + iv; }
  /// Plaintext octets, padding and trailer included, for an inner packet.
  [[nodiscard]] std::size_t padded(std::size_t inner) const {
    const std::size_t mask = std::size_t{alignment} - 1;
    return (inner + kEspTrailerSize + mask) & ~mask;
  }
  /// The whole ESP packet.
  [[nodiscard]] std::size_t sealed(std::size_t inner) const { return head() + padded(inner) + icv; }
};

[[nodiscard]] EspLayout layout_of(const crypto::PacketSuite& suite, model::EsnId esn);

/// Where an SA's jobs stand while a batch is sorted; zero between batches.
struct BatchCursor {
  std::uint16_t count = 0;
  std::uint16_t next = 0;
};

/// What sealing needs; written for every packet.
struct alignas(64) OutboundSa {
  OutboundSa(std::unique_ptr<crypto::PacketCipher> packet_cipher, const EspLayout& esp_layout, const UseBounds& bounds,
             const SequenceCounter& counter)
      : cipher(std::move(packet_cipher)), layout(esp_layout), sequence(counter), meter(bounds) {}
  std::unique_ptr<crypto::PacketCipher> cipher;
  EspLayout layout;
  std::uint32_t spi = 0;
  BatchCursor cursor;
  SequenceCounter sequence;
  bool grant_asked = false;  // SequenceGrantWanted was told for the present grant
  UseMeter meter;
  SilenceWatch silence;
};

/// What opening needs; written for every packet.
struct alignas(64) InboundSa {
  InboundSa(std::unique_ptr<crypto::PacketCipher> packet_cipher, const EspLayout& esp_layout, const UseBounds& bounds,
            std::uint32_t window_size)
      : cipher(std::move(packet_cipher)), layout(esp_layout), window(window_size, esp_layout.extended), meter(bounds) {}
  std::unique_ptr<crypto::PacketCipher> cipher;
  EspLayout layout;
  std::uint32_t spi = 0;
  BatchCursor cursor;
  ReplayWindow window;
  UseMeter meter;
  std::uint64_t replay_drops = 0;
  std::uint64_t integrity_drops = 0;
  std::optional<Instant> last_activity_event;
  std::optional<Instant> last_moved_event;
};

class EventQueue;

class SaPair {
 public:
  /// Keys the ciphers and wipes the keys in `params`. `unsupported_suite` when no backend has the algorithms, when the
  /// keys do not have the suite's length, or for a mode other than tunnel.
  [[nodiscard]] static Result<std::unique_ptr<SaPair>, DataPlaneError> make(model::ChildSaParams params,
                                                                            crypto::Backend backend);

  model::ChildSaParams params;  // path and encapsulation follow the peer, the rest never changes
  InboundSa inbound;
  OutboundSa outbound;
  /// Not before the peer is ready (RFC 7296 2.8).
  bool held = false;
  /// Set by `remove`: inbound packets are taken until then, outbound ones not at all.
  std::optional<Instant> ends_at;

  [[nodiscard]] bool sends() const { return !ends_at && !outbound.meter.closed(); }
  [[nodiscard]] SaCounters counters() const;
  /// Tells what either direction's meter has to tell; what finds no room stays for later.
  void tell_expiry(EventQueue& events);

 private:
  SaPair(model::ChildSaParams sa_params, InboundSa in, OutboundSa out)
      : params(std::move(sa_params)), inbound(std::move(in)), outbound(std::move(out)) {}
};

}  // namespace culvert::ipsec
