// Message: an IKEv2 message as plain values, header and payloads, without encryption (RFC 7296 3.1 and 3.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "ike/codec/payload.hpp"
#include "model/iana/exchange_type.hpp"
#include "model/iana/notify_type.hpp"
#include "model/iana/payload_type.hpp"
#include "model/ids.hpp"

namespace culvert::ike::codec {

/// Octets of the IKE header, of the generic payload header.
inline constexpr std::size_t kHeaderSize = 28;
inline constexpr std::size_t kPayloadHeaderSize = 4;

/// The IKE header (RFC 7296 3.1). `next_payload` and `length` are what was received; the serializer computes its own.
struct Header {
  model::IkeSpi spi_i;
  model::IkeSpi spi_r;
  model::PayloadType next_payload = model::PayloadType::none;
  std::uint8_t major_version = 2;
  std::uint8_t minor_version = 0;
  model::ExchangeType exchange = model::ExchangeType::ike_sa_init;
  /// The sender is the original initiator of the IKE SA.
  bool initiator = false;
  /// The sender speaks a higher major version (RFC 7296 2.5); never set by us.
  bool version = false;
  /// A response to the request with this message id.
  bool response = false;
  model::MessageId message_id;
  std::uint32_t length = 0;
  friend bool operator==(const Header&, const Header&) = default;
};

/// The first payload of type T, or null.
template <typename T>
[[nodiscard]] const T* first_of(const std::vector<Payload>& payloads) {
  for (const Payload& payload : payloads) {
    if (const T* found = std::get_if<T>(&payload)) return found;
  }
  return nullptr;
}

/// A message in the clear: as to be sent, or as received and opened.
struct Message {
  Header header;
  std::vector<Payload> payloads;

  template <typename T>
  [[nodiscard]] const T* first() const {
    return first_of<T>(payloads);
  }
  /// All payloads of type T, in order. The pointers live as long as `payloads` is not changed.
  template <typename T>
  [[nodiscard]] std::vector<const T*> all() const {
    std::vector<const T*> found;
    for (const Payload& payload : payloads) {
      if (const T* one = std::get_if<T>(&payload)) found.push_back(one);
    }
    return found;
  }
  /// The first notification of the type, or null.
  [[nodiscard]] const NotifyPayload* notify(model::NotifyType type) const;
  /// The first error notification, or null.
  [[nodiscard]] const NotifyPayload* error_notify() const;
  /// IDi or IDr, TSi or TSr; null when absent.
  [[nodiscard]] const IdPayload* id(model::Role side) const;
  [[nodiscard]] const TsPayload* ts(model::Role side) const;
  /// How many payloads have the type number.
  [[nodiscard]] std::size_t count(model::PayloadType type) const;

  void add(Payload payload) { payloads.push_back(std::move(payload)); }
  /// Adds a notification about no particular SA.
  void add_notify(model::NotifyType type, ByteView data = {});

  friend bool operator==(const Message&, const Message&) = default;
};

/// RFC 7296 2.5: the type number of the first payload that is marked critical and unknown to us: the message must be
/// refused with UNSUPPORTED_CRITICAL_PAYLOAD and this octet. Nothing when there is none.
[[nodiscard]] std::optional<std::uint8_t> unsupported_critical(const std::vector<Payload>& payloads);

/// One line for a log: `IKE_AUTH request 1 [IDi AUTH SA TSi TSr N(INITIAL_CONTACT)]`. Safe to print.
[[nodiscard]] std::string summary(const Message& message);

}  // namespace culvert::ike::codec
