#include "radius/packet.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/prf.hpp"

namespace culvert::radius {
namespace {

constexpr std::size_t kLengthAt = 2;
constexpr std::size_t kAuthenticatorAt = 4;
constexpr Authenticator kZeros{};

Bytes md5(std::initializer_list<ByteView> parts) { return crypto::hash(crypto::HashId::md5, parts); }

/// Puts HMAC-MD5 over the packet as it stands into its first attribute, which is Message-Authenticator.
void fill_message_authenticator(Bytes& octets, ByteView secret) {
  const SecretBytes mac = crypto::hmac(crypto::HashId::md5, secret, {octets});
  std::ranges::copy(mac.view(), octets.begin() + kHeaderSize + 2);
}

void set_authenticator(Bytes& octets, ByteView authenticator) {
  std::ranges::copy(authenticator, octets.begin() + kAuthenticatorAt);
}

}  // namespace

std::string_view name_of(Code code) {
  switch (code) {
    case Code::access_request: return "Access-Request";
    case Code::access_accept: return "Access-Accept";
    case Code::access_reject: return "Access-Reject";
    case Code::accounting_request: return "Accounting-Request";
    case Code::accounting_response: return "Accounting-Response";
    case Code::access_challenge: return "Access-Challenge";
    case Code::disconnect_request: return "Disconnect-Request";
    case Code::disconnect_ack: return "Disconnect-ACK";
    case Code::disconnect_nak: return "Disconnect-NAK";
    case Code::coa_request: return "CoA-Request";
    case Code::coa_ack: return "CoA-ACK";
    case Code::coa_nak: return "CoA-NAK";
  }
  return "unknown";
}

std::string_view name_of(ErrorCause cause) {
  switch (cause) {
    case ErrorCause::unsupported_attribute: return "Unsupported-Attribute";
    case ErrorCause::missing_attribute: return "Missing-Attribute";
    case ErrorCause::nas_identification_mismatch: return "NAS-Identification-Mismatch";
    case ErrorCause::invalid_request: return "Invalid-Request";
    case ErrorCause::unsupported_service: return "Unsupported-Service";
    case ErrorCause::invalid_attribute_value: return "Invalid-Attribute-Value";
    case ErrorCause::session_context_not_found: return "Session-Context-Not-Found";
  }
  return "unknown";
}

// ---------------------------------------------------------------- reading

Result<Packet, std::string_view> parse(ByteView octets) {
  using Fault = std::string_view;
  ByteReader header(octets);
  Packet packet;
  packet.code = static_cast<Code>(header.u8());
  packet.identifier = header.u8();
  const std::size_t length = header.u16();
  const ByteView authenticator = header.bytes(kAuthenticatorSize);
  if (!header.ok()) return err(Fault("it is shorter than a header"));
  // RFC 2865 3: octets behind the length are padding, fewer than the length are dropped.
  if (length < kHeaderSize || length > kMostPacket) return err(Fault("its length field is out of range"));
  if (length > octets.size()) return err(Fault("it is shorter than its length field says"));
  std::ranges::copy(authenticator, packet.authenticator.begin());
  packet.octets = octets.first(length);
  ByteReader rest(packet.octets.subspan(kHeaderSize));
  while (rest.remaining() != 0) {
    const auto type = static_cast<AttributeType>(rest.u8());
    const std::uint8_t size = rest.u8();
    if (!rest.ok() || size < 2) return err(Fault("an attribute has a length below 2"));
    const ByteView value = rest.bytes(size - 2U);
    if (!rest.ok()) return err(Fault("an attribute is longer than what is left"));
    packet.attributes.push_back({type, value});
  }
  return packet;
}

std::optional<ByteView> Packet::first(AttributeType type) const {
  const auto found = std::ranges::find(attributes, type, &Attribute::type);
  return found == attributes.end() ? std::nullopt : std::optional(found->value);
}

std::vector<ByteView> Packet::all(AttributeType type) const {
  std::vector<ByteView> values;
  for (const Attribute& attribute : attributes) {
    if (attribute.type == type) values.push_back(attribute.value);
  }
  return values;
}

Bytes Packet::joined(AttributeType type) const {
  Bytes joined;
  for (const ByteView value : all(type)) joined.insert(joined.end(), value.begin(), value.end());
  return joined;
}

std::optional<std::uint32_t> Packet::number(AttributeType type) const {
  const auto value = first(type);
  return value && value->size() == 4 ? std::optional(load_be32(value->data())) : std::nullopt;
}

std::optional<ByteView> Packet::microsoft(std::uint8_t type) const {
  for (const ByteView value : all(AttributeType::vendor_specific)) {
    ByteReader reader(value);
    if (reader.u32() != kMicrosoft) continue;
    while (reader.remaining() != 0) {
      const std::uint8_t number = reader.u8();
      const std::uint8_t size = reader.u8();
      if (!reader.ok() || size < 2) break;
      const ByteView content = reader.bytes(size - 2U);
      if (!reader.ok()) break;
      if (number == type) return content;
    }
  }
  return std::nullopt;
}

// ---------------------------------------------------------------- proofs

// RFC 2865 3: MD5(Code + Identifier + Length + Request Authenticator + Attributes + Secret).
bool is_answer_to(const Packet& answer, const Authenticator& request, ByteView secret) {
  const Bytes wanted =
      md5({answer.octets.first(kAuthenticatorAt), request, answer.octets.subspan(kHeaderSize), secret});
  return constant_time_equal(wanted, answer.authenticator);
}

bool is_request_by(const Packet& request, ByteView secret) {
  const Bytes wanted =
      md5({request.octets.first(kAuthenticatorAt), kZeros, request.octets.subspan(kHeaderSize), secret});
  return constant_time_equal(wanted, request.authenticator);
}

MessageProof message_proof(const Packet& packet, const Authenticator& in_header, ByteView secret) {
  const auto given = packet.all(AttributeType::message_authenticator);
  if (given.empty()) return MessageProof::absent;
  // RFC 3579 3.2: one, of 16 octets.
  if (given.size() != 1 || given[0].size() != kAuthenticatorSize) return MessageProof::wrong;
  const auto at = static_cast<std::size_t>(given[0].data() - packet.octets.data());
  const SecretBytes mac = crypto::hmac(
      crypto::HashId::md5, secret,
      {packet.octets.first(kAuthenticatorAt), in_header, packet.octets.subspan(kHeaderSize, at - kHeaderSize), kZeros,
       packet.octets.subspan(at + kAuthenticatorSize)});
  return constant_time_equal(mac.view(), given[0]) ? MessageProof::right : MessageProof::wrong;
}

Authenticator authenticator_of(ByteView octets) {
  Authenticator authenticator{};
  CHECK(octets.size() >= kHeaderSize);
  std::ranges::copy(octets.subspan(kAuthenticatorAt, kAuthenticatorSize), authenticator.begin());
  return authenticator;
}

// ---------------------------------------------------------------- writing

void PacketBuilder::add(AttributeType type, ByteView value) {
  value = value.first(std::min(value.size(), kMostValue));
  attributes_.push_back(static_cast<std::uint8_t>(type));
  attributes_.push_back(static_cast<std::uint8_t>(value.size() + 2));
  attributes_.insert(attributes_.end(), value.begin(), value.end());
}

void PacketBuilder::add_number(AttributeType type, std::uint32_t value) {
  std::array<std::uint8_t, 4> octets{};
  store_be32(octets.data(), value);
  add(type, octets);
}

void PacketBuilder::add_split(AttributeType type, ByteView value) {
  do {
    const ByteView piece = value.first(std::min(value.size(), kMostValue));
    add(type, piece);
    value = value.subspan(piece.size());
  } while (!value.empty());
}

void PacketBuilder::add_address(AttributeType v4, AttributeType v6, const net::IpAddress& address) {
  add(address.is_v4() ? v4 : v6, address.bytes());
}

Bytes PacketBuilder::assemble(std::uint8_t identifier, const Authenticator& authenticator,
                              bool message_authenticator) const {
  ByteWriter writer;
  writer.u8(static_cast<std::uint8_t>(code_));
  writer.u8(identifier);
  writer.u16(0);
  writer.bytes(authenticator);
  if (message_authenticator) {
    writer.u8(static_cast<std::uint8_t>(AttributeType::message_authenticator));
    writer.u8(2 + kAuthenticatorSize);
    writer.zeros(kAuthenticatorSize);
  }
  writer.bytes(attributes_);
  CHECK(writer.size() <= kMostPacket);
  writer.patch_u16(kLengthAt, static_cast<std::uint16_t>(writer.size()));
  return writer.take();
}

Bytes PacketBuilder::with_random(std::uint8_t identifier, const Authenticator& random, ByteView secret) const {
  Bytes octets = assemble(identifier, random, true);
  fill_message_authenticator(octets, secret);
  return octets;
}

Bytes PacketBuilder::with_proof(std::uint8_t identifier, ByteView secret, bool message_authenticator) const {
  Bytes octets = assemble(identifier, kZeros, message_authenticator);
  if (message_authenticator) fill_message_authenticator(octets, secret);
  set_authenticator(octets, md5({octets, secret}));
  return octets;
}

Bytes PacketBuilder::as_answer(std::uint8_t identifier, const Authenticator& request, ByteView secret,
                               bool message_authenticator) const {
  Bytes octets = assemble(identifier, request, message_authenticator);
  if (message_authenticator) fill_message_authenticator(octets, secret);
  set_authenticator(octets, md5({octets, secret}));
  return octets;
}

}  // namespace culvert::radius
