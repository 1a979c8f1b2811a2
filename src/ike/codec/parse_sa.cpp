// The Security Association payload (RFC 7296 3.3): proposals in transforms in attributes, three levels of "last
// substructure" chains.
#include "ike/codec/parse.hpp"
#include "ike/codec/parse_body.hpp"

namespace culvert::ike::codec {

namespace {

constexpr std::size_t kProposalHeaderSize = 8;
constexpr std::size_t kTransformHeaderSize = 8;
constexpr std::uint8_t kMoreProposals = 2;
constexpr std::uint8_t kMoreTransforms = 3;
constexpr std::uint16_t kAttributeShortForm = 0x8000;
constexpr std::uint16_t kAttributeKeyLength = 14;

/// RFC 7296 3.3.5: Key Length is the one attribute there is; a transform with any other must not be chosen (3.3.6).
Result<void, ParseFault> parse_attributes(ByteReader& reader, model::Transform& transform) {
  std::size_t count = 0;
  bool seen_key_length = false;
  while (!reader.at_end()) {
    if (++count > kMaxTransformAttributes) return err(ParseFault::too_many_attributes);
    const std::uint16_t format_and_type = reader.u16();
    const bool short_form = (format_and_type & kAttributeShortForm) != 0;
    const std::uint16_t value_or_length = reader.u16();
    if (!short_form) reader.skip(value_or_length);
    if (!reader.ok()) return err(ParseFault::truncated_payload);

    const std::uint16_t type = format_and_type & 0x7fff;
    if (type == kAttributeKeyLength && short_form && value_or_length != 0 && !seen_key_length) {
      transform.key_bits = value_or_length;
      seen_key_length = true;
    } else {
      transform.unknown_attribute = true;
    }
  }
  return {};
}

Result<model::Transform, ParseFault> parse_transform(ByteReader& reader, bool last_expected) {
  const std::uint8_t last = reader.u8();
  reader.skip(1);
  const std::size_t length = reader.u16();
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  if (length < kTransformHeaderSize) return err(ParseFault::wrong_payload_length);
  // RFC 7296 3.3.2: 3 when more transforms follow, else 0; it must agree with the count.
  if (last != (last_expected ? 0 : kMoreTransforms)) return err(ParseFault::bad_substructure_chain);
  ByteReader inside = reader.sub(length - 4);

  model::Transform transform;
  transform.type = static_cast<model::TransformType>(inside.u8());
  inside.skip(1);
  transform.id = inside.u16();
  if (!inside.ok()) return err(ParseFault::truncated_payload);
  if (const auto attributes = parse_attributes(inside, transform); !attributes) return err(attributes.error());
  return transform;
}

/// RFC 7296 3.3.1: zero or eight octets for an IKE SA, four for AH and ESP. Other protocols are not ours to judge.
bool spi_size_fits(model::ProtocolId protocol, std::size_t size) {
  switch (protocol) {
    case model::ProtocolId::ike: return size == 0 || size == 8;
    case model::ProtocolId::ah:
    case model::ProtocolId::esp: return size == 4;
    case model::ProtocolId::none: break;
  }
  return true;
}

Result<model::Proposal, ParseFault> parse_proposal_substructure(ByteReader& inside) {
  model::Proposal proposal;
  proposal.number = inside.u8();
  proposal.protocol = static_cast<model::ProtocolId>(inside.u8());
  const std::size_t spi_size = inside.u8();
  const std::size_t transforms = inside.u8();
  proposal.spi = to_bytes(inside.bytes(spi_size));
  if (!inside.ok()) return err(ParseFault::truncated_payload);
  if (!spi_size_fits(proposal.protocol, spi_size)) return err(ParseFault::bad_spi_size);
  if (transforms > kMaxTransforms) return err(ParseFault::too_many_transforms);
  for (std::size_t i = 0; i < transforms; ++i) {
    const Result<model::Transform, ParseFault> transform = parse_transform(inside, i + 1 == transforms);
    if (!transform) return err(transform.error());
    proposal.transforms.push_back(*transform);
  }
  if (!inside.at_end()) return err(ParseFault::wrong_payload_length);
  return proposal;
}

}  // namespace

BodyResult parse_sa(ByteView body) {
  SaPayload sa;
  ByteReader reader(body);
  bool more = true;
  while (more) {
    if (sa.proposals.size() >= kMaxProposals) return err(ParseFault::too_many_proposals);
    const std::uint8_t last = reader.u8();
    reader.skip(1);
    const std::size_t length = reader.u16();
    if (!reader.ok()) return err(ParseFault::truncated_payload);
    if (length < kProposalHeaderSize) return err(ParseFault::wrong_payload_length);
    // RFC 7296 3.3.1: 2 when more proposals follow, else 0.
    if (last != 0 && last != kMoreProposals) return err(ParseFault::bad_substructure_chain);
    more = last == kMoreProposals;
    ByteReader inside = reader.sub(length - 4);
    Result<model::Proposal, ParseFault> proposal = parse_proposal_substructure(inside);
    if (!proposal) return err(proposal.error());
    sa.proposals.push_back(std::move(*proposal));
  }
  if (!reader.at_end()) return err(ParseFault::wrong_payload_length);
  return sa;
}

}  // namespace culvert::ike::codec
