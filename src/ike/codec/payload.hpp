// The payloads of IKEv2 as plain structs, one per payload type (RFC 7296 3.3 to 3.16). No behaviour: parse.hpp makes
// them from octets, serialize.hpp turns them into octets, the exchanges fill and read them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "model/iana/authentication_method.hpp"
#include "model/iana/certificate_encoding.hpp"
#include "model/iana/configuration_attribute.hpp"
#include "model/iana/configuration_type.hpp"
#include "model/iana/key_exchange_method.hpp"
#include "model/iana/notify_type.hpp"
#include "model/iana/payload_type.hpp"
#include "model/iana/protocol_id.hpp"
#include "model/iana/traffic_selector_type.hpp"
#include "model/identity.hpp"
#include "model/ids.hpp"
#include "model/proposal.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::ike::codec {

/// Security Association (RFC 7296 3.3). Proposals in the order of preference; numbers as on the wire.
struct SaPayload {
  std::vector<model::Proposal> proposals;
  friend bool operator==(const SaPayload&, const SaPayload&) = default;
};

/// Key Exchange (RFC 7296 3.4). The value's length is not checked against the method here.
struct KePayload {
  model::KeyExchangeMethod method = model::KeyExchangeMethod::none;
  Bytes public_value;
  friend bool operator==(const KePayload&, const KePayload&) = default;
};

/// Identification: IDi when `side` is initiator, else IDr (RFC 7296 3.5).
struct IdPayload {
  model::Role side = model::Role::initiator;
  model::Identity identity;
  /// Zero when we send. As received it is ignored but kept, for the AUTH computation covers it (RFC 7296 2.15).
  std::array<std::uint8_t, 3> reserved{};

  /// RestOfInitIDPayload or RestOfRespIDPayload of RFC 7296 2.15: type, reserved, data.
  [[nodiscard]] Bytes body() const;
  friend bool operator==(const IdPayload&, const IdPayload&) = default;
};

/// Certificate (RFC 7296 3.6). `data` is not looked into.
struct CertPayload {
  model::CertificateEncoding encoding = model::CertificateEncoding::x509_signature;
  Bytes data;
  friend bool operator==(const CertPayload&, const CertPayload&) = default;
};

/// Certificate Request (RFC 7296 3.7).
struct CertReqPayload {
  model::CertificateEncoding encoding = model::CertificateEncoding::x509_signature;
  Bytes authorities;
  friend bool operator==(const CertReqPayload&, const CertReqPayload&) = default;
};

/// Authentication (RFC 7296 3.8).
struct AuthPayload {
  model::AuthenticationMethod method = model::AuthenticationMethod::shared_key_mic;
  Bytes data;
  friend bool operator==(const AuthPayload&, const AuthPayload&) = default;
};

/// Nonce, 16 to 256 octets (RFC 7296 3.9).
struct NoncePayload {
  Bytes data;
  friend bool operator==(const NoncePayload&, const NoncePayload&) = default;
};

/// Notify (RFC 7296 3.10). `spi` is empty unless the notification is about one SA.
struct NotifyPayload {
  model::ProtocolId protocol = model::ProtocolId::none;
  Bytes spi;
  model::NotifyType type{};
  Bytes data;

  /// Types below 16384 report errors (RFC 7296 3.10.1).
  [[nodiscard]] bool is_error() const { return static_cast<std::uint16_t>(type) < 16384; }
  /// The four-octet SPI of an ESP or AH SA; nothing for any other size.
  [[nodiscard]] std::optional<model::Spi> child_spi() const;
  friend bool operator==(const NotifyPayload&, const NotifyPayload&) = default;
};

/// Delete (RFC 7296 3.11). `spis` is empty for the IKE SA itself.
struct DeletePayload {
  model::ProtocolId protocol = model::ProtocolId::ike;
  std::vector<model::Spi> spis;
  friend bool operator==(const DeletePayload&, const DeletePayload&) = default;
};

/// Vendor ID (RFC 7296 3.12).
struct VendorIdPayload {
  Bytes data;
  friend bool operator==(const VendorIdPayload&, const VendorIdPayload&) = default;
};

/// A selector of a type other than an address range, kept as octets behind its length field (RFC 7296 3.13.1).
struct UnknownSelector {
  std::uint8_t type = 0;
  std::uint8_t protocol = 0;
  Bytes body;
  friend bool operator==(const UnknownSelector&, const UnknownSelector&) = default;
};

/// Traffic Selectors: TSi when `side` is initiator, else TSr (RFC 7296 3.13).
struct TsPayload {
  model::Role side = model::Role::initiator;
  model::TrafficSelectors selectors;
  std::vector<UnknownSelector> unknown;
  friend bool operator==(const TsPayload&, const TsPayload&) = default;
};

/// One configuration attribute (RFC 7296 3.15.1); type without the reserved bit.
struct ConfigurationAttribute {
  std::uint16_t type = 0;
  Bytes value;
  friend bool operator==(const ConfigurationAttribute&, const ConfigurationAttribute&) = default;
};

/// Configuration (RFC 7296 3.15).
struct ConfigurationPayload {
  model::ConfigurationType type = model::ConfigurationType::request;
  std::vector<ConfigurationAttribute> attributes;
  friend bool operator==(const ConfigurationPayload&, const ConfigurationPayload&) = default;
};

/// EAP (RFC 7296 3.16); one whole EAP packet, not looked into.
struct EapPayload {
  Bytes message;
  friend bool operator==(const EapPayload&, const EapPayload&) = default;
};

/// A payload type that we do not know. `critical`: the message must be refused (RFC 7296 2.5).
struct UnknownPayload {
  std::uint8_t type = 0;
  bool critical = false;
  Bytes body;
  friend bool operator==(const UnknownPayload&, const UnknownPayload&) = default;
};

using Payload =
    std::variant<SaPayload, KePayload, IdPayload, CertPayload, CertReqPayload, AuthPayload, NoncePayload, NotifyPayload,
                 DeletePayload, VendorIdPayload, TsPayload, ConfigurationPayload, EapPayload, UnknownPayload>;

/// The payload type number of what the variant holds.
[[nodiscard]] model::PayloadType type_of(const Payload& payload);

}  // namespace culvert::ike::codec
