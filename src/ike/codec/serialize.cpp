#include "ike/codec/serialize.hpp"

#include "base/check.hpp"

namespace culvert::ike::codec {

namespace {

using model::PayloadType;

constexpr std::size_t kMaxLength = 0xffff;
constexpr std::uint16_t kAttributeKeyLengthShort = 0x8000 | 14;

std::uint8_t octet(std::size_t value) {
  CHECK(value <= 0xff);
  return static_cast<std::uint8_t>(value);
}

std::uint16_t two_octets(std::size_t value) {
  CHECK(value <= kMaxLength);
  return static_cast<std::uint16_t>(value);
}

template <typename Enum>
std::uint8_t code8(Enum value) {
  static_assert(sizeof(Enum) == 1);
  return static_cast<std::uint8_t>(value);
}

template <typename Enum>
std::uint16_t code16(Enum value) {
  static_assert(sizeof(Enum) == 2);
  return static_cast<std::uint16_t>(value);
}

void write_transform(ByteWriter& out, const model::Transform& transform, bool last) {
  const bool with_key_length = transform.key_bits != 0;
  out.u8(last ? 0 : 3);
  out.u8(0);
  out.u16(with_key_length ? 12 : 8);
  out.u8(code8(transform.type));
  out.u8(0);
  out.u16(transform.id);
  if (with_key_length) {
    out.u16(kAttributeKeyLengthShort);
    out.u16(transform.key_bits);
  }
}

void write_proposal(ByteWriter& out, const model::Proposal& proposal, bool last) {
  const std::size_t start = out.size();
  out.u8(last ? 0 : 2);
  out.u8(0);
  out.u16(0);
  out.u8(proposal.number);
  out.u8(code8(proposal.protocol));
  out.u8(octet(proposal.spi.size()));
  out.u8(octet(proposal.transforms.size()));
  out.bytes(proposal.spi);
  for (std::size_t i = 0; i < proposal.transforms.size(); ++i) {
    write_transform(out, proposal.transforms[i], i + 1 == proposal.transforms.size());
  }
  out.patch_u16(start + 2, two_octets(out.size() - start));
}

void write_range(ByteWriter& out, const model::TrafficSelector& selector) {
  const bool v4 = selector.addresses.family() == net::Family::v4;
  CHECK(selector.addresses.last.family() == selector.addresses.family());
  out.u8(code8(v4 ? model::TrafficSelectorType::ipv4_addr_range : model::TrafficSelectorType::ipv6_addr_range));
  out.u8(selector.protocol);
  out.u16(v4 ? 16 : 40);
  out.u16(selector.start_port);
  out.u16(selector.end_port);
  out.bytes(selector.addresses.first.bytes());
  out.bytes(selector.addresses.last.bytes());
}

/// Writes the body of a payload, behind its generic header.
struct WriteBody {
  ByteWriter& out;

  void operator()(const SaPayload& sa) const {
    for (std::size_t i = 0; i < sa.proposals.size(); ++i) {
      write_proposal(out, sa.proposals[i], i + 1 == sa.proposals.size());
    }
  }
  void operator()(const KePayload& ke) const {
    out.u16(code16(ke.method));
    out.u16(0);
    out.bytes(ke.public_value);
  }
  void operator()(const IdPayload& id) const { out.bytes(id.body()); }
  void operator()(const CertPayload& cert) const {
    out.u8(code8(cert.encoding));
    out.bytes(cert.data);
  }
  void operator()(const CertReqPayload& certreq) const {
    out.u8(code8(certreq.encoding));
    out.bytes(certreq.authorities);
  }
  void operator()(const AuthPayload& auth) const {
    out.u8(code8(auth.method));
    out.zeros(3);
    out.bytes(auth.data);
  }
  void operator()(const NoncePayload& nonce) const { out.bytes(nonce.data); }
  void operator()(const NotifyPayload& notify) const {
    out.u8(code8(notify.protocol));
    out.u8(octet(notify.spi.size()));
    out.u16(code16(notify.type));
    out.bytes(notify.spi);
    out.bytes(notify.data);
  }
  void operator()(const DeletePayload& deletion) const {
    const bool ike = deletion.protocol == model::ProtocolId::ike;
    CHECK(!ike || deletion.spis.empty());
    out.u8(code8(deletion.protocol));
    out.u8(ike ? 0 : 4);
    out.u16(two_octets(deletion.spis.size()));
    for (const model::Spi spi : deletion.spis) out.u32(spi.value());
  }
  void operator()(const VendorIdPayload& vendor_id) const { out.bytes(vendor_id.data); }
  void operator()(const TsPayload& ts) const {
    out.u8(octet(ts.selectors.size() + ts.unknown.size()));
    out.zeros(3);
    for (const model::TrafficSelector& selector : ts.selectors) write_range(out, selector);
    for (const UnknownSelector& selector : ts.unknown) {
      out.u8(selector.type);
      out.u8(selector.protocol);
      out.u16(two_octets(4 + selector.body.size()));
      out.bytes(selector.body);
    }
  }
  void operator()(const ConfigurationPayload& configuration) const {
    out.u8(code8(configuration.type));
    out.zeros(3);
    for (const ConfigurationAttribute& attribute : configuration.attributes) {
      CHECK(attribute.type <= 0x7fff);
      out.u16(attribute.type);
      out.u16(two_octets(attribute.value.size()));
      out.bytes(attribute.value);
    }
  }
  void operator()(const EapPayload& eap) const { out.bytes(eap.message); }
  void operator()(const UnknownPayload& unknown) const { out.bytes(unknown.body); }
};

bool is_critical(const Payload& payload) {
  // RFC 7296 2.5: the critical bit is zero for every payload type of that document.
  const auto* unknown = std::get_if<UnknownPayload>(&payload);
  return unknown != nullptr && unknown->critical;
}

void write_payloads(ByteWriter& out, const std::vector<Payload>& payloads) {
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const std::size_t start = out.size();
    out.u8(code8(i + 1 < payloads.size() ? type_of(payloads[i + 1]) : PayloadType::none));
    out.u8(is_critical(payloads[i]) ? 0x80 : 0);
    out.u16(0);
    std::visit(WriteBody{out}, payloads[i]);
    out.patch_u16(start + 2, two_octets(out.size() - start));
  }
}

void write_header(ByteWriter& out, const Header& header, PayloadType next_payload, std::uint32_t length) {
  out.u64(header.spi_i.value());
  out.u64(header.spi_r.value());
  out.u8(code8(next_payload));
  out.u8(static_cast<std::uint8_t>(header.major_version << 4 | (header.minor_version & 0x0f)));
  out.u8(code8(header.exchange));
  out.u8(static_cast<std::uint8_t>((header.initiator ? 0x08 : 0) | (header.version ? 0x10 : 0) |
                                   (header.response ? 0x20 : 0)));
  out.u32(header.message_id.value());
  out.u32(length);
}

}  // namespace

Bytes serialize(const Message& message) {
  ByteWriter out;
  write_header(out, message.header, first_type(message.payloads), 0);
  write_payloads(out, message.payloads);
  out.patch_u32(kHeaderSize - 4, static_cast<std::uint32_t>(out.size()));
  return out.take();
}

Bytes serialize_payloads(const std::vector<Payload>& payloads) {
  ByteWriter out;
  write_payloads(out, payloads);
  return out.take();
}

PayloadType first_type(const std::vector<Payload>& payloads) {
  return payloads.empty() ? PayloadType::none : type_of(payloads.front());
}

Bytes serialize_header(const Header& header, PayloadType next_payload, std::uint32_t length) {
  ByteWriter out;
  write_header(out, header, next_payload, length);
  return out.take();
}

}  // namespace culvert::ike::codec
