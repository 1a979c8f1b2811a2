// What is wrong in the IKE header or in the chain of payloads, before anything is known of who speaks.
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using model::ExchangeType;
using model::NotifyType;
using model::PayloadType;

namespace {

constexpr std::size_t kNextPayload = 16, kVersion = 17, kExchange = 18, kFlags = 19, kMessageId = 20, kLength = 24;

/// Puts octets in front of the first payload of an unsealed message.
void prepend(Bytes& message, PayloadType type, Bytes payload) {
  payload[0] = message[kNextPayload];
  message.insert(message.begin() + codec::kHeaderSize, payload.begin(), payload.end());
  message[kNextPayload] = static_cast<std::uint8_t>(type);
  set_length(message);
}

}  // namespace

std::vector<Fault> header_faults() {
  return {
      {"datagram_shorter_than_the_header", "RFC 7296 3.1", Step::init_request,
       in_octets([](Bytes& o) { o.resize(27); }), ignored(DatagramDrop::malformed)},
      {"empty_datagram", "RFC 7296 3.1", Step::init_request, in_octets([](Bytes& o) { o.clear(); }),
       ignored(DatagramDrop::malformed)},
      {"length_beyond_the_datagram", "RFC 7296 3.1", Step::init_request,
       in_octets([](Bytes& o) { store_be32(o.data() + kLength, static_cast<std::uint32_t>(o.size() + 1)); }),
       ignored(DatagramDrop::malformed)},
      {"length_of_four_gigabytes", "RFC 7296 3.1", Step::init_request,
       in_octets([](Bytes& o) { store_be32(o.data() + kLength, 0xffffffff); }), ignored(DatagramDrop::malformed)},
      {"length_of_the_header_alone", "RFC 7296 3.1", Step::init_request,
       in_octets([](Bytes& o) { store_be32(o.data() + kLength, 28); }), ignored(DatagramDrop::malformed)},
      {"octets_behind_the_message", "RFC 7296 3.1", Step::init_request,
       in_octets([](Bytes& o) { o.insert(o.end(), 9, 0); }), ignored(DatagramDrop::malformed)},
      {"major_version_3",
       "RFC 7296 2.5",
       Step::init_request,
       in_octets([](Bytes& o) { o[kVersion] = 0x30; }),
       {.reply = Reply::notify,
        .notify = NotifyType::invalid_major_version,
        .drop = DatagramDrop::unsupported_version}},
      {"major_version_3_in_a_response", "RFC 7296 2.21.4", Step::init_request, in_octets([](Bytes& o) {
         o[kVersion] = 0x30;
         o[kFlags] |= 0x20;
       }),
       ignored(DatagramDrop::unsupported_version)},
      // An answer would be longer than what came (RFC 7296 2.21.4: the source may be forged).
      {"major_version_3_in_a_header_alone", "RFC 7296 2.21.4", Step::init_request, in_octets([](Bytes& o) {
         o.resize(codec::kHeaderSize);
         o[kVersion] = 0x30;
         o[kNextPayload] = 0;
         set_length(o);
       }),
       ignored(DatagramDrop::unsupported_version)},
      {"critical_payload_and_no_other",
       "RFC 7296 2.21.4",
       Step::init_request,
       in_octets([](Bytes& o) {
         o.resize(codec::kHeaderSize);
         o[kNextPayload] = 0;
         prepend(o, static_cast<PayloadType>(200), {0, 0x80, 0, 4});
       }),
       {.refusal = ike::Refusal::critical_payload}},
      {"major_version_1", "RFC 7296 2.5", Step::init_request, in_octets([](Bytes& o) { o[kVersion] = 0x10; }),
       ignored(DatagramDrop::unsupported_version)},
      {"major_version_0", "RFC 7296 2.5", Step::init_request, in_octets([](Bytes& o) { o[kVersion] = 0; }),
       ignored(DatagramDrop::unsupported_version)},
      {"minor_version_15", "RFC 7296 2.5", Step::init_request, in_octets([](Bytes& o) { o[kVersion] = 0x2f; }),
       harmless()},
      {"version_flag", "RFC 7296 2.5", Step::init_request, in_message([](auto& m) { m.header.version = true; }),
       harmless()},
      {"reserved_flags", "RFC 7296 3.1", Step::init_request, in_octets([](Bytes& o) { o[kFlags] |= 0xc7; }),
       harmless()},
      {"response_flag_in_the_first_request", "RFC 7296 2.21.4", Step::init_request,
       in_message([](auto& m) { m.header.response = true; }), ignored(DatagramDrop::unknown_ike_sa)},
      {"no_initiator_flag_in_the_first_request", "RFC 7296 3.1", Step::init_request,
       in_message([](auto& m) { m.header.initiator = false; }), ignored(DatagramDrop::unexpected)},
      {"initiator_spi_of_zero", "RFC 7296 3.1", Step::init_request, in_message([](auto& m) { m.header.spi_i = {}; }),
       ignored(DatagramDrop::malformed)},
      {"responder_spi_in_the_first_request", "RFC 7296 3.1", Step::init_request,
       in_message([](auto& m) { m.header.spi_r = model::IkeSpi(5); }), ignored(DatagramDrop::unknown_ike_sa)},
      {"message_id_1_in_the_first_request", "RFC 7296 2.2", Step::init_request,
       in_octets([](Bytes& o) { store_be32(o.data() + kMessageId, 1); }), ignored(DatagramDrop::unexpected)},
      {"ike_auth_without_ike_sa", "RFC 7296 2.21.4", Step::init_request,
       in_message([](auto& m) { m.header.exchange = ExchangeType::ike_auth; }), ignored(DatagramDrop::unknown_ike_sa)},
      {"exchange_type_of_ikev1", "RFC 7296 3.1", Step::init_request, in_octets([](Bytes& o) { o[kExchange] = 2; }),
       ignored(DatagramDrop::unknown_ike_sa)},
      {"exchange_type_240", "RFC 7296 3.1", Step::init_request, in_octets([](Bytes& o) { o[kExchange] = 240; }),
       ignored(DatagramDrop::unknown_ike_sa)},
      {"first_request_with_an_encrypted_payload", "RFC 7296 1.2", Step::init_request, in_octets([](Bytes& o) {
         o.resize(codec::kHeaderSize);
         o[kNextPayload] = static_cast<std::uint8_t>(PayloadType::encrypted);
         o.insert(o.end(), {33, 0, 0, 84});
         o.resize(o.size() + 80);
         set_length(o);
       }),
       ignored(DatagramDrop::unexpected)},
      {"first_request_in_a_fragment", "RFC 7383 2.3", Step::init_request, in_octets([](Bytes& o) {
         o.resize(codec::kHeaderSize);
         o[kNextPayload] = static_cast<std::uint8_t>(PayloadType::encrypted_fragment);
         o.insert(o.end(), {33, 0, 0, 88, 0, 1, 0, 2});
         o.resize(o.size() + 80);
         set_length(o);
       }),
       ignored(DatagramDrop::unexpected)},
      // The chain of payloads.
      {"no_payloads", "RFC 7296 1.2", Step::init_request, in_message([](auto& m) { m.payloads.clear(); }),
       ignored(DatagramDrop::malformed)},
      {"payload_length_0", "RFC 7296 3.2", Step::init_request,
       in_octets([](Bytes& o) { store_be16(o.data() + 30, 0); }), ignored(DatagramDrop::malformed)},
      {"payload_length_3", "RFC 7296 3.2", Step::init_request,
       in_octets([](Bytes& o) { store_be16(o.data() + 30, 3); }), ignored(DatagramDrop::malformed)},
      {"payload_length_65535", "RFC 7296 3.2", Step::init_request,
       in_octets([](Bytes& o) { store_be16(o.data() + 30, 0xffff); }), ignored(DatagramDrop::malformed)},
      {"last_payload_one_octet_too_long", "RFC 7296 3.2", Step::init_request, in_octets([](Bytes& o) {
         std::size_t at = codec::kHeaderSize;
         while (at + load_be16(o.data() + at + 2) < o.size()) at += load_be16(o.data() + at + 2);
         store_be16(o.data() + at + 2, static_cast<std::uint16_t>(load_be16(o.data() + at + 2) + 1));
       }),
       ignored(DatagramDrop::malformed)},
      {"chain_that_says_more_follows", "RFC 7296 3.2", Step::init_request, in_octets([](Bytes& o) {
         std::size_t at = codec::kHeaderSize;
         while (at + load_be16(o.data() + at + 2) < o.size()) at += load_be16(o.data() + at + 2);
         o[at] = static_cast<std::uint8_t>(PayloadType::notify);
       }),
       ignored(DatagramDrop::malformed)},
      {"thousand_empty_payloads", "RFC 7296 2.5", Step::init_request, in_octets([](Bytes& o) {
         for (int n = 0; n < 1000; ++n) prepend(o, static_cast<PayloadType>(200), {0, 0, 0, 4});
       }),
       ignored(DatagramDrop::malformed)},
      {"thousand_payloads_before_a_fragment", "RFC 7383 2.5.3", Step::init_request, in_octets([](Bytes& o) {
         o.resize(codec::kHeaderSize);
         o[kNextPayload] = static_cast<std::uint8_t>(PayloadType::encrypted_fragment);
         o.insert(o.end(), {33, 0, 0, 88, 0, 2, 0, 2});
         o.resize(o.size() + 80);
         for (int n = 0; n < 1000; ++n) prepend(o, static_cast<PayloadType>(200), {0, 0, 0, 4});
       }),
       ignored(DatagramDrop::malformed)},
      {"unknown_payload", "RFC 7296 2.5", Step::init_request,
       in_octets([](Bytes& o) { prepend(o, static_cast<PayloadType>(200), {0, 0, 0, 6, 1, 2}); }), harmless()},
      {"unknown_payload_marked_critical", "RFC 7296 2.5", Step::init_request,
       in_octets([](Bytes& o) { prepend(o, static_cast<PayloadType>(200), {0, 0x80, 0, 6, 1, 2}); }),
       refused(NotifyType::unsupported_critical_payload)},
      {"payloads_of_ikev1", "RFC 7296 3.2", Step::init_request, in_octets([](Bytes& o) {
         for (std::uint8_t type = 1; type <= 13; ++type)
           prepend(o, static_cast<PayloadType>(type), {0, 0, 0, 8, 0, 0, 0, 1});
       }),
       harmless()},
      {"reserved_bits_in_every_payload", "RFC 7296 2.5", Step::init_request, in_octets([](Bytes& o) {
         for (std::size_t at = codec::kHeaderSize; at < o.size(); at += load_be16(o.data() + at + 2)) o[at + 1] |= 0x7f;
       }),
       harmless()},
      {"known_payloads_marked_critical", "RFC 7296 2.5", Step::init_request, in_octets([](Bytes& o) {
         for (std::size_t at = codec::kHeaderSize; at < o.size(); at += load_be16(o.data() + at + 2)) o[at + 1] |= 0x80;
       }),
       harmless()},
  };
}

}  // namespace culvert::liar
