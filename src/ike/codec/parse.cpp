#include "ike/codec/parse.hpp"

#include "ike/codec/parse_body.hpp"

namespace culvert::ike::codec {

namespace {

using model::PayloadType;
using model::Role;

constexpr std::uint8_t kFlagInitiator = 0x08;
constexpr std::uint8_t kFlagVersion = 0x10;
constexpr std::uint8_t kFlagResponse = 0x20;
constexpr std::uint8_t kCriticalBit = 0x80;

BodyResult parse_body(PayloadType type, bool critical, ByteView body) {
  switch (type) {
    case PayloadType::sa: return parse_sa(body);
    case PayloadType::ke: return parse_ke(body);
    case PayloadType::id_i: return parse_id(Role::initiator, body);
    case PayloadType::id_r: return parse_id(Role::responder, body);
    case PayloadType::cert: return parse_cert(body);
    case PayloadType::certreq: return parse_certreq(body);
    case PayloadType::auth: return parse_auth(body);
    case PayloadType::nonce: return parse_nonce(body);
    case PayloadType::notify: return parse_notify(body);
    case PayloadType::delete_: return parse_delete(body);
    case PayloadType::vendor_id: return parse_vendor_id(body);
    case PayloadType::ts_i: return parse_ts(Role::initiator, body);
    case PayloadType::ts_r: return parse_ts(Role::responder, body);
    case PayloadType::configuration: return parse_configuration(body);
    case PayloadType::eap: return parse_eap(body);
    case PayloadType::encrypted: return err(ParseFault::nested_encrypted);
    case PayloadType::encrypted_fragment: return err(ParseFault::nested_fragment);
    case PayloadType::none: break;
  }
  // RFC 7296 2.5: what is not known is skipped, or refused by the caller when it is critical. The critical bit of a
  // payload that is known carries no meaning.
  return UnknownPayload{static_cast<std::uint8_t>(type), critical, to_bytes(body)};
}

constexpr bool is_sealed_type(PayloadType type) {
  return type == PayloadType::encrypted || type == PayloadType::encrypted_fragment;
}

/// The fields in front of a fragment's IV.
Result<FragmentPlace, ParseFault> parse_fragment_place(ByteView body, bool alone) {
  ByteReader reader(body);
  FragmentPlace place;
  place.number = reader.u16();
  place.total = reader.u16();
  if (!reader.ok()) return err(ParseFault::truncated_payload);
  // RFC 7383 2.6: neither is zero, and the number is not above the total.
  if (place.number == 0 || place.number > place.total) return err(ParseFault::bad_fragment_number);
  // RFC 7383 2.5.3: what a message has outside of its encryption stands in the first fragment.
  if (place.number > 1 && !alone) return err(ParseFault::payload_before_fragment);
  return place;
}

struct Chain {
  std::vector<Payload> payloads;
  std::optional<SealedPayload> sealed;
};

/// All payloads of `octets` from `start` on. `may_be_sealed`: an Encrypted payload ends the chain instead of being a
/// fault.
Result<Chain, ParseError> parse_chain(PayloadType type, ByteView octets, std::size_t start, bool may_be_sealed) {
  Chain chain;
  ByteReader reader(octets.subspan(start));
  while (type != PayloadType::none) {
    const std::size_t offset = octets.size() - reader.remaining();
    if (chain.payloads.size() >= kMaxPayloads) return err(ParseError{ParseFault::too_many_payloads, type, offset});

    const auto next = static_cast<PayloadType>(reader.u8());
    const std::uint8_t flags = reader.u8();
    const bool critical = (flags & kCriticalBit) != 0;
    const std::size_t length = reader.u16();
    if (!reader.ok()) return err(ParseError{ParseFault::truncated_payload, type, offset});
    // RFC 7296 3.2: the length includes the generic header.
    if (length < kPayloadHeaderSize) return err(ParseError{ParseFault::wrong_payload_length, type, offset});
    const ByteView body = reader.bytes(length - kPayloadHeaderSize);
    if (!reader.ok()) return err(ParseError{ParseFault::truncated_payload, type, offset});

    if (is_sealed_type(type) && may_be_sealed) {
      // RFC 7296 3.14, RFC 7383 2.5: it is the last; its next-payload field names the first payload inside.
      if (reader.remaining() != 0) return err(ParseError{ParseFault::trailing_octets, type, offset});
      chain.sealed = SealedPayload{.offset = offset, .first_inner = next, .fragment = {}, .flags = flags};
      if (type == PayloadType::encrypted) return chain;
      const auto place = parse_fragment_place(body, chain.payloads.empty());
      if (!place) return err(ParseError{place.error(), type, offset});
      chain.sealed->fragment = *place;
      return chain;
    }
    Result<Payload, ParseError> payload = parse_payload_body(type, critical, body, offset);
    if (!payload) return err(payload.error());
    chain.payloads.push_back(std::move(*payload));
    type = next;
  }
  if (reader.remaining() != 0) {
    return err(ParseError{ParseFault::trailing_octets, PayloadType::none, octets.size() - reader.remaining()});
  }
  return chain;
}

}  // namespace

Result<Header, ParseError> parse_header(ByteView message) {
  ByteReader reader(message);
  Header header;
  header.spi_i = model::IkeSpi(reader.u64());
  header.spi_r = model::IkeSpi(reader.u64());
  header.next_payload = static_cast<PayloadType>(reader.u8());
  const std::uint8_t version = reader.u8();
  header.major_version = version >> 4;
  header.minor_version = version & 0x0f;
  header.exchange = static_cast<model::ExchangeType>(reader.u8());
  const std::uint8_t flags = reader.u8();
  header.initiator = (flags & kFlagInitiator) != 0;
  header.version = (flags & kFlagVersion) != 0;
  header.response = (flags & kFlagResponse) != 0;
  header.message_id = model::MessageId(reader.u32());
  header.length = reader.u32();
  if (!reader.ok()) return err(ParseError{});
  return header;
}

Result<ParsedMessage, ParseError> parse_message(ByteView message) {
  const Result<Header, ParseError> header = parse_header(message);
  if (!header) return err(header.error());
  // RFC 7296 2.5: a minor version higher than ours is no obstacle, another major version is another protocol.
  if (header->major_version != 2) return err(ParseError{ParseFault::unsupported_version});
  if (header->length != message.size()) return err(ParseError{ParseFault::wrong_message_length});
  // RFC 7296 3.1: the initiator's SPI must not be zero.
  if (header->spi_i.value() == 0) return err(ParseError{ParseFault::zero_initiator_spi});

  Result<Chain, ParseError> chain = parse_chain(header->next_payload, message, kHeaderSize, true);
  if (!chain) return err(chain.error());
  return ParsedMessage{*header, std::move(chain->payloads), chain->sealed};
}

Result<std::vector<Payload>, ParseError> parse_payloads(PayloadType first, ByteView octets) {
  Result<Chain, ParseError> chain = parse_chain(first, octets, 0, false);
  if (!chain) return err(chain.error());
  return std::move(chain->payloads);
}

Result<Payload, ParseError> parse_payload_body(PayloadType type, bool critical, ByteView body, std::size_t offset) {
  BodyResult payload = parse_body(type, critical, body);
  if (!payload) return err(ParseError{payload.error(), type, offset});
  return std::move(*payload);
}

}  // namespace culvert::ike::codec
