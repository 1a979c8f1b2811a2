#include "ike/codec/parse_body.hpp"

#include "ike/codec/parse.hpp"

namespace culvert::ike::codec {

namespace {

using model::IdentificationType;
using model::ProtocolId;
using model::Role;

constexpr std::size_t kMaxCookie = 64;
constexpr std::size_t kMaxNotifySpi = 16;
constexpr std::uint16_t kAttributeTypeMask = 0x7fff;

bool identity_length_fits(IdentificationType type, std::size_t size) {
  switch (type) {
    case IdentificationType::ipv4_addr: return size == 4;
    case IdentificationType::ipv6_addr: return size == 16;
    case IdentificationType::fqdn:
    case IdentificationType::rfc822_addr:
    case IdentificationType::der_asn1_dn:
    case IdentificationType::der_asn1_gn:
    case IdentificationType::key_id: return size > 0;
    // RFC 7619 2.2: nothing but the type.
    case IdentificationType::null: return size == 0;
  }
  return true;
}

bool notify_length_fits(const NotifyPayload& notify) {
  // RFC 7296 2.6: a cookie has 1 to 64 octets, and is sent back as it came.
  if (notify.type == model::NotifyType::cookie) return !notify.data.empty() && notify.data.size() <= kMaxCookie;
  // RFC 7296 1.3: the data is the accepted key exchange method, two octets.
  if (notify.type == model::NotifyType::invalid_ke_payload) return notify.data.size() == 2;
  return true;
}

/// The part of an address range selector behind its length field.
Result<model::TrafficSelector, ParseFault> parse_range(std::uint8_t protocol, ByteView body, std::size_t address_size) {
  if (body.size() != 4 + 2 * address_size) return err(ParseFault::bad_selector);
  ByteReader reader(body);
  model::TrafficSelector selector;
  selector.protocol = protocol;
  selector.start_port = reader.u16();
  selector.end_port = reader.u16();
  const auto first = net::IpAddress::from_bytes(reader.bytes(address_size));
  const auto last = net::IpAddress::from_bytes(reader.bytes(address_size));
  if (!first || !last || *last < *first) return err(ParseFault::bad_selector);
  selector.addresses = {*first, *last};
  // RFC 7296 3.13.1: a start above the end is only the OPAQUE pair 65535, 0.
  if (selector.start_port > selector.end_port && !selector.is_opaque()) return err(ParseFault::bad_selector);
  return selector;
}

Result<void, ParseFault> parse_selector(ByteReader& reader, TsPayload& ts) {
  const std::uint8_t type = reader.u8();
  const std::uint8_t protocol = reader.u8();
  const std::size_t length = reader.u16();
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (length < 4) return err(ParseFault::bad_selector);
  const ByteView body = reader.bytes(length - 4);
  if (!reader.ok()) return err(ParseFault::truncated_payload);

  const bool v4 = type == static_cast<std::uint8_t>(model::TrafficSelectorType::ipv4_addr_range);
  const bool v6 = type == static_cast<std::uint8_t>(model::TrafficSelectorType::ipv6_addr_range);
  if (!v4 && !v6) {
    ts.unknown.push_back(UnknownSelector{type, protocol, to_bytes(body)});
    return {};
  }
  const auto selector = parse_range(protocol, body, v4 ? 4 : 16);
  if (!selector) return err(selector.error());
  ts.selectors.push_back(*selector);
  return {};
}

}  // namespace

BodyResult parse_ke(ByteView body) {
  ByteReader reader(body);
  KePayload ke;
  ke.method = static_cast<model::KeyExchangeMethod>(reader.u16());
  reader.skip(2);
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (reader.remaining() == 0) return err(ParseFault::empty_field);
  ke.public_value = to_bytes(reader.rest());
  return ke;
}

BodyResult parse_id(Role side, ByteView body) {
  ByteReader reader(body);
  IdPayload id;
  id.side = side;
  id.identity.type = static_cast<IdentificationType>(reader.u8());
  for (std::uint8_t& octet : id.reserved) octet = reader.u8();
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (!identity_length_fits(id.identity.type, reader.remaining())) return err(ParseFault::bad_identity_length);
  id.identity.data = to_bytes(reader.rest());
  return id;
}

BodyResult parse_cert(ByteView body) {
  ByteReader reader(body);
  CertPayload cert;
  cert.encoding = static_cast<model::CertificateEncoding>(reader.u8());
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (reader.remaining() == 0) return err(ParseFault::empty_field);
  cert.data = to_bytes(reader.rest());
  return cert;
}

BodyResult parse_certreq(ByteView body) {
  ByteReader reader(body);
  CertReqPayload certreq;
  certreq.encoding = static_cast<model::CertificateEncoding>(reader.u8());
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  certreq.authorities = to_bytes(reader.rest());
  return certreq;
}

BodyResult parse_auth(ByteView body) {
  ByteReader reader(body);
  AuthPayload auth;
  auth.method = static_cast<model::AuthenticationMethod>(reader.u8());
  reader.skip(3);
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (reader.remaining() == 0) return err(ParseFault::empty_field);
  auth.data = to_bytes(reader.rest());
  return auth;
}

BodyResult parse_nonce(ByteView body) {
  // RFC 7296 3.9: between 16 and 256 octets inclusive.
  if (body.size() < kMinNonce || body.size() > kMaxNonce) return err(ParseFault::bad_nonce_length);
  return NoncePayload{to_bytes(body)};
}

BodyResult parse_notify(ByteView body) {
  ByteReader reader(body);
  NotifyPayload notify;
  notify.protocol = static_cast<ProtocolId>(reader.u8());
  const std::size_t spi_size = reader.u8();
  notify.type = static_cast<model::NotifyType>(reader.u16());
  notify.spi = to_bytes(reader.bytes(spi_size));
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (spi_size > kMaxNotifySpi) return err(ParseFault::bad_spi_size);
  notify.data = to_bytes(reader.rest());
  if (!notify_length_fits(notify)) return err(ParseFault::bad_notify_length);
  return notify;
}

BodyResult parse_delete(ByteView body) {
  ByteReader reader(body);
  DeletePayload deletion;
  deletion.protocol = static_cast<ProtocolId>(reader.u8());
  const std::size_t spi_size = reader.u8();
  const std::size_t count = reader.u16();
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  // RFC 7296 3.11: no SPI for the IKE SA, which the header names; four octets each for AH and ESP.
  const bool none = spi_size == 0 && count == 0;
  if (deletion.protocol == ProtocolId::ike ? !none : spi_size != 4) return err(ParseFault::bad_spi_size);
  if (count > kMaxDeleteSpis) return err(ParseFault::too_many_spis);
  for (std::size_t i = 0; i < count; ++i) deletion.spis.push_back(model::Spi(reader.u32()));
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (!reader.at_end()) return err(ParseFault::wrong_payload_length);
  return deletion;
}

BodyResult parse_vendor_id(ByteView body) { return VendorIdPayload{to_bytes(body)}; }

BodyResult parse_ts(Role side, ByteView body) {
  ByteReader reader(body);
  TsPayload ts;
  ts.side = side;
  const std::size_t count = reader.u8();
  reader.skip(3);
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  // RFC 7296 3.13: one selector or more.
  if (count == 0) return err(ParseFault::empty_field);
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto selector = parse_selector(reader, ts); !selector) return err(selector.error());
  }
  if (!reader.at_end()) return err(ParseFault::wrong_payload_length);
  return ts;
}

BodyResult parse_configuration(ByteView body) {
  ByteReader reader(body);
  ConfigurationPayload configuration;
  configuration.type = static_cast<model::ConfigurationType>(reader.u8());
  reader.skip(3);
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  while (!reader.at_end()) {
    if (configuration.attributes.size() >= kMaxConfigurationAttributes) return err(ParseFault::too_many_attributes);
    ConfigurationAttribute attribute;
    // RFC 7296 3.15.1: the top bit is reserved and ignored.
    attribute.type = reader.u16() & kAttributeTypeMask;
    const std::size_t length = reader.u16();
    attribute.value = to_bytes(reader.bytes(length));
    if (!reader.ok()) return err(ParseFault::truncated_payload);
    configuration.attributes.push_back(std::move(attribute));
  }
  return configuration;
}

BodyResult parse_eap(ByteView body) {
  if (body.empty()) return err(ParseFault::empty_field);
  return EapPayload{to_bytes(body)};
}

}  // namespace culvert::ike::codec
