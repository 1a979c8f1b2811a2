// IKE_SA_INIT, both roles: proposals, key exchange values, nonces, cookies, NAT detection.
#include "ike/codec/serialize.hpp"
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using ike::FailureKind;
using model::KeyExchangeMethod;
using model::NotifyType;
using model::TransformType;

namespace {

using M = codec::Message;

const Setting kModp{.ike = "aes256gcm16-prfsha256-modp2048"};
const Setting kEcp{.ike = "aes256gcm16-prfsha256-ecp256"};

Lie value(Bytes octets) {
  return in_message([octets](M& m) { part<codec::KePayload>(m).public_value = octets; });
}
Lie nonce(std::size_t length) {
  return in_message([length](M& m) { part<codec::NoncePayload>(m).data.resize(length, 1); });
}
/// A number of 256 octets: what is at the end, and zeros before it; or ones, which no prime of that size exceeds.
Bytes modp_number(std::uint8_t last) {
  Bytes number(256);
  number.back() = last;
  return number;
}

/// A response of the liar's that is one notification, to the request that `honest` answers.
Bytes init_notify(const M& honest, NotifyType type, ByteView data, std::uint64_t spi_r = 0) {
  M message;
  message.header = honest.header;
  message.header.spi_r = model::IkeSpi(spi_r);
  message.add_notify(type, data);
  return codec::serialize(message);
}
Lie answers_with(NotifyType type, Bytes data) {
  return instead([=](Liar&, const M& honest) { return only(init_notify(honest, type, data)); });
}

void add_notify(M& message, NotifyType type, Bytes data) {
  message.add(
      codec::NotifyPayload{.protocol = model::ProtocolId::none, .spi = {}, .type = type, .data = std::move(data)});
}

}  // namespace

std::vector<Fault> init_faults() {
  return {
      {"no_sa", "RFC 7296 1.2", Step::init_request, in_message([](M& m) { remove<codec::SaPayload>(m); }),
       ignored(DatagramDrop::malformed)},
      {"no_ke", "RFC 7296 1.2", Step::init_request, in_message([](M& m) { remove<codec::KePayload>(m); }),
       ignored(DatagramDrop::malformed)},
      {"no_nonce", "RFC 7296 1.2", Step::init_request, in_message([](M& m) { remove<codec::NoncePayload>(m); }),
       ignored(DatagramDrop::malformed)},
      {"two_sa", "RFC 7296 3.3", Step::init_request, in_message([](M& m) { repeat<codec::SaPayload>(m); }),
       ignored(DatagramDrop::malformed)},
      {"two_ke", "RFC 7296 1.2", Step::init_request, in_message([](M& m) { repeat<codec::KePayload>(m); }),
       ignored(DatagramDrop::malformed)},
      {"two_nonces", "RFC 7296 1.2", Step::init_request, in_message([](M& m) { repeat<codec::NoncePayload>(m); }),
       ignored(DatagramDrop::malformed)},
      {"payload_of_another_exchange", "RFC 7296 1.2", Step::init_request,
       in_message([](M& m) { m.add(codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}}); }),
       ignored(DatagramDrop::malformed)},
      {"other_order_of_payloads", "RFC 7296 2.5", Step::init_request,
       in_message([](M& m) { std::ranges::reverse(m.payloads); }), harmless()},
      {"nonce_of_15_octets", "RFC 7296 2.10", Step::init_request, nonce(15), ignored(DatagramDrop::malformed)},
      {"nonce_of_257_octets", "RFC 7296 3.9", Step::init_request, nonce(257), ignored(DatagramDrop::malformed)},
      {"nonce_of_no_octets", "RFC 7296 3.9", Step::init_request, nonce(0), ignored(DatagramDrop::malformed)},
      {"nonce_of_256_octets", "RFC 7296 3.9", Step::init_request, nonce(256), harmless()},
      // Key exchange values.
      {"ke_of_zero", "RFC 8031 5", Step::init_request, value(Bytes(32)), ignored(DatagramDrop::malformed)},
      {"ke_of_low_order", "RFC 8031 5", Step::init_request, in_message([](M& m) {
         Bytes one(32);
         one.front() = 1;
         part<codec::KePayload>(m).public_value = one;
       }),
       ignored(DatagramDrop::malformed)},
      {"ke_one_octet_short", "RFC 7296 3.4", Step::init_request, value(Bytes(31, 9)), ignored(DatagramDrop::malformed)},
      {"ke_one_octet_long", "RFC 7296 3.4", Step::init_request, value(Bytes(33, 9)), ignored(DatagramDrop::malformed)},
      {"ke_of_no_octets", "RFC 7296 3.4", Step::init_request, value({}), ignored(DatagramDrop::malformed)},
      {"ke_of_60000_octets", "RFC 7296 3.4", Step::init_request, value(Bytes(60000, 9)),
       ignored(DatagramDrop::malformed)},
      {"modp_0", "RFC 6989 2.1", Step::init_request, value(modp_number(0)), ignored(DatagramDrop::malformed), kModp},
      {"modp_1", "RFC 6989 2.1", Step::init_request, value(modp_number(1)), ignored(DatagramDrop::malformed), kModp},
      {"modp_beyond_the_prime", "RFC 6989 2.1", Step::init_request, value(Bytes(256, 0xff)),
       ignored(DatagramDrop::malformed), kModp},
      {"modp_without_leading_zeros", "RFC 7296 3.4", Step::init_request, value(Bytes(255, 9)),
       ignored(DatagramDrop::malformed), kModp},
      {"point_off_the_curve", "RFC 6989 2.3", Step::init_request,
       in_message([](M& m) { part<codec::KePayload>(m).public_value.back() ^= 1; }), ignored(DatagramDrop::malformed),
       kEcp},
      {"point_at_infinity", "RFC 6989 2.3", Step::init_request, value(Bytes(64)), ignored(DatagramDrop::malformed),
       kEcp},
      {"ke_of_a_group_not_proposed", "RFC 7296 1.2", Step::init_request, in_message([](M& m) {
         part<codec::KePayload>(m) = {.method = KeyExchangeMethod::ecp_384, .public_value = Bytes(96, 4)};
       }),
       refused(NotifyType::invalid_ke_payload)},
      {"ke_of_private_use", "RFC 7296 1.2", Step::init_request, in_message([](M& m) {  // CVE-2014-9221
         part<codec::KePayload>(m).method = static_cast<KeyExchangeMethod>(1025);
       }),
       refused(NotifyType::invalid_ke_payload)},
      // Proposals.
      {"nothing_acceptable", "RFC 7296 2.7", Step::init_request, in_message([](M& m) {
         part<codec::SaPayload>(m).proposals = {*model::parse_proposal(model::ProtocolId::ike, "aes128-sha256-ecp384")};
       }),
       refused(NotifyType::no_proposal_chosen)},
      {"proposal_without_key_exchange", "RFC 7296 3.3.3", Step::init_request,  // CVE-2016-5391
       in_message([](M& m) { remove_transform(m, TransformType::key_exchange); }),
       refused(NotifyType::no_proposal_chosen)},
      {"proposal_without_prf", "RFC 7296 3.3.3", Step::init_request,
       in_message([](M& m) { remove_transform(m, TransformType::prf); }), refused(NotifyType::no_proposal_chosen)},
      {"proposal_without_encryption", "RFC 7296 3.3.3", Step::init_request,
       in_message([](M& m) { remove_transform(m, TransformType::encryption); }),
       refused(NotifyType::no_proposal_chosen)},
      {"proposal_without_transforms", "RFC 7296 3.3.1", Step::init_request,
       in_message([](M& m) { part<codec::SaPayload>(m).proposals.front().transforms.clear(); }),
       refused(NotifyType::no_proposal_chosen)},
      {"proposal_for_esp", "RFC 7296 3.3.1", Step::init_request, in_message([](M& m) {
         part<codec::SaPayload>(m).proposals.front().protocol = model::ProtocolId::esp;
         part<codec::SaPayload>(m).proposals.front().spi = Bytes(4, 9);
       }),
       refused(NotifyType::no_proposal_chosen)},
      {"proposal_for_no_protocol", "RFC 7296 3.3.1", Step::init_request, in_message([](M& m) {
         part<codec::SaPayload>(m).proposals.front().protocol = static_cast<model::ProtocolId>(77);
       }),
       refused(NotifyType::no_proposal_chosen)},
      {"proposal_with_an_spi_of_3_octets", "RFC 7296 3.3.1", Step::init_request,
       in_message([](M& m) { part<codec::SaPayload>(m).proposals.front().spi = Bytes(3, 9); }),
       ignored(DatagramDrop::malformed)},
      {"key_of_100_bits", "RFC 7296 3.3.5", Step::init_request,
       in_message([](M& m) { transform(m, TransformType::encryption).key_bits = 100; }),
       refused(NotifyType::no_proposal_chosen)},
      {"no_key_length", "RFC 7296 3.3.5", Step::init_request,
       in_message([](M& m) { transform(m, TransformType::encryption).key_bits = 0; }),
       refused(NotifyType::no_proposal_chosen)},
      {"key_length_for_a_prf", "RFC 7296 3.3.6", Step::init_request,
       in_message([](M& m) { transform(m, TransformType::prf).key_bits = 128; }),
       refused(NotifyType::no_proposal_chosen)},
      {"hundred_proposals", "RFC 7296 3.3", Step::init_request, in_message([](M& m) {
         auto& all = part<codec::SaPayload>(m).proposals;
         const auto one = all.front();
         while (all.size() < 100) all.push_back(one);
       }),
       ignored(DatagramDrop::malformed)},
      {"two_hundred_transforms", "RFC 7296 3.3.2", Step::init_request, in_message([](M& m) {
         auto& all = part<codec::SaPayload>(m).proposals.front().transforms;
         const auto one = all.front();
         while (all.size() < 200) all.push_back(one);
       }),
       ignored(DatagramDrop::malformed)},
      {"more_transforms_said_than_there_are", "RFC 7296 3.3.1", Step::init_request, in_octets([](Bytes& o) {
         const std::size_t sa = find_payload(o, model::PayloadType::sa);
         o[sa + 4 + 7] += 1;
       }),
       ignored(DatagramDrop::malformed)},
      {"proposal_that_says_more_follow", "RFC 7296 3.3.1", Step::init_request,
       in_octets([](Bytes& o) { o[find_payload(o, model::PayloadType::sa) + 4] = 2; }),
       ignored(DatagramDrop::malformed)},
      // Notifications.
      {"nat_detection_of_3_octets", "RFC 7296 2.23", Step::init_request, in_message([](M& m) {
         for (codec::Payload& one : m.payloads) {
           if (auto* notify = std::get_if<codec::NotifyPayload>(&one)) notify->data.resize(3);
         }
       }),
       harmless()},
      {"nat_detection_lies", "RFC 7296 2.23", Step::init_request, in_message([](M& m) {
         for (codec::Payload& one : m.payloads) {
           if (auto* notify = std::get_if<codec::NotifyPayload>(&one)) notify->data.assign(20, 0x55);
         }
       }),
       harmless()},
      {"hundred_nat_detection_sources", "RFC 7296 2.23", Step::init_request, in_message([](M& m) {
         for (int n = 0; n < 100; ++n) add_notify(m, NotifyType::nat_detection_source_ip, Bytes(20, 7));
       }),
       harmless()},
      {"unknown_error_in_a_request", "RFC 7296 3.10.1", Step::init_request,
       in_message([](M& m) { add_notify(m, static_cast<NotifyType>(9999), {1, 2}); }), harmless()},
      {"unknown_status", "RFC 7296 3.10.1", Step::init_request,
       in_message([](M& m) { add_notify(m, static_cast<NotifyType>(40123), {1, 2}); }), harmless()},
      {"authentication_failed_in_the_clear", "RFC 7296 2.21.1", Step::init_request,
       in_message([](M& m) { add_notify(m, NotifyType::authentication_failed, {}); }), harmless()},
      {"cookie_nobody_asked_for", "RFC 7296 2.6", Step::init_request,
       in_message([](M& m) { add_notify(m, NotifyType::cookie, Bytes(40, 3)); }), harmless()},
      {"cookie_of_65_octets", "RFC 7296 2.6", Step::init_request,
       in_message([](M& m) { add_notify(m, NotifyType::cookie, Bytes(65, 3)); }), ignored(DatagramDrop::malformed)},
      {"wrong_cookie",
       "RFC 7296 2.6",
       Step::init_request,
       in_message([](M& m) { add_notify(m, NotifyType::cookie, Bytes(40, 3)); }),
       {.reply = Reply::notify, .notify = NotifyType::cookie, .drop = DatagramDrop::half_open_limit},
       {.under_load = true}},
      {"no_cookie_under_load",
       "RFC 7296 2.6",
       Step::init_request,
       {},
       {.reply = Reply::notify, .notify = NotifyType::cookie, .drop = DatagramDrop::half_open_limit},
       {.under_load = true}},
  };
}

std::vector<Fault> init_answer_faults() {
  return {
      {"answer_without_responder_spi", "RFC 7296 3.1", Step::init_answer, in_message([](M& m) { m.header.spi_r = {}; }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_to_another_initiator_spi", "RFC 7296 2.6", Step::init_answer,
       in_message([](M& m) { m.header.spi_i = model::IkeSpi(1); }), ignored(DatagramDrop::unknown_ike_sa)},
      {"answer_with_message_id_1", "RFC 7296 2.2", Step::init_answer,
       in_message([](M& m) { m.header.message_id = model::MessageId(1); }), ignored(DatagramDrop::unexpected)},
      {"answer_without_response_flag", "RFC 7296 3.1", Step::init_answer,
       in_message([](M& m) { m.header.response = false; }), ignored(DatagramDrop::unexpected)},
      {"answer_with_initiator_flag", "RFC 7296 3.1", Step::init_answer,
       in_message([](M& m) { m.header.initiator = true; }), ignored(DatagramDrop::unknown_ike_sa)},
      {"answer_of_another_exchange", "RFC 7296 2.2", Step::init_answer,
       in_message([](M& m) { m.header.exchange = model::ExchangeType::informational; }),
       ignored(DatagramDrop::unexpected)},
      {"own_request_comes_back", "RFC 7296 3.1", Step::init_answer, in_message([](M& m) {
         m.header.spi_r = {};
         m.header.response = false;
         m.header.initiator = true;
         m.header.exchange = model::ExchangeType::informational;
       }),
       ignored(DatagramDrop::unknown_ike_sa)},
      {"answer_without_sa", "RFC 7296 1.2", Step::init_answer, in_message([](M& m) { remove<codec::SaPayload>(m); }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_without_ke", "RFC 7296 1.2", Step::init_answer, in_message([](M& m) { remove<codec::KePayload>(m); }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_without_nonce", "RFC 7296 1.2", Step::init_answer,
       in_message([](M& m) { remove<codec::NoncePayload>(m); }), awaits_better(FailureKind::protocol_error)},
      {"answer_with_two_nonces", "RFC 7296 1.2", Step::init_answer,
       in_message([](M& m) { repeat<codec::NoncePayload>(m); }), awaits_better(FailureKind::protocol_error)},
      {"answer_with_a_nonce_of_15_octets", "RFC 7296 2.10", Step::init_answer, nonce(15),
       ignored(DatagramDrop::malformed)},
      {"answer_marks_an_unknown_payload_critical", "RFC 7296 2.5", Step::init_answer,
       in_message([](M& m) { m.add(codec::UnknownPayload{.type = 200, .critical = true, .body = {1}}); }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_a_proposal_never_offered", "RFC 7296 3.3.6", Step::init_answer, in_message([](M& m) {
         transform(m, TransformType::prf).id = static_cast<std::uint16_t>(model::PrfId::hmac_sha1);
       }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_two_proposals", "RFC 7296 3.3.6", Step::init_answer, in_message([](M& m) {
         auto& all = part<codec::SaPayload>(m).proposals;
         all.push_back(all.front());
       }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_two_prfs", "RFC 7296 3.3.6", Step::init_answer, in_message([](M& m) {
         auto& all = part<codec::SaPayload>(m).proposals.front().transforms;
         all.push_back(transform(m, TransformType::prf));
       }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_a_shorter_key", "RFC 7296 3.3.6", Step::init_answer,
       in_message([](M& m) { transform(m, TransformType::encryption).key_bits = 128; }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_without_key_exchange_in_the_proposal", "RFC 7296 3.3.6", Step::init_answer,
       in_message([](M& m) { remove_transform(m, TransformType::key_exchange); }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_ke_of_another_group", "RFC 7296 2.7", Step::init_answer, in_message([](M& m) {
         part<codec::KePayload>(m) = {.method = KeyExchangeMethod::ecp_256, .public_value = Bytes(64, 4)};
       }),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_ke_of_zero", "RFC 8031 5", Step::init_answer, value(Bytes(32)),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_ke_one_octet_long", "RFC 7296 3.4", Step::init_answer, value(Bytes(33, 9)),
       awaits_better(FailureKind::protocol_error)},
      {"answer_with_modp_1", "RFC 6989 2.1", Step::init_answer, value(modp_number(1)),
       awaits_better(FailureKind::protocol_error), kModp},
      {"answer_with_a_point_off_the_curve", "RFC 6989 2.3", Step::init_answer,
       in_message([](M& m) { part<codec::KePayload>(m).public_value.back() ^= 1; }),
       awaits_better(FailureKind::protocol_error), kEcp},
      {"answer_with_nat_detection_lies", "RFC 7296 2.23", Step::init_answer, in_message([](M& m) {
         for (codec::Payload& one : m.payloads) {
           if (auto* notify = std::get_if<codec::NotifyPayload>(&one)) notify->data.assign(20, 0x55);
         }
       }),
       harmless()},
      // Errors that anybody may have written (RFC 7296 2.21.1).
      {"no_proposal_chosen_in_the_clear", "RFC 7296 2.21.1", Step::init_answer,
       answers_with(NotifyType::no_proposal_chosen, {}), awaits_better(FailureKind::no_proposal_chosen)},
      {"authentication_failed_for_an_answer", "RFC 7296 2.21.1", Step::init_answer,
       answers_with(NotifyType::authentication_failed, {}), awaits_better(FailureKind::authentication_failed)},
      {"unknown_error_for_an_answer", "RFC 7296 3.10.1", Step::init_answer,
       answers_with(static_cast<NotifyType>(9999), {}), awaits_better(FailureKind::peer_refused)},
      {"unknown_status_for_an_answer", "RFC 7296 3.10.1", Step::init_answer,
       answers_with(static_cast<NotifyType>(40123), {}), awaits_better(FailureKind::protocol_error)},
      {"invalid_ke_for_a_group_not_offered", "RFC 7296 1.2", Step::init_answer,
       answers_with(NotifyType::invalid_ke_payload, {0, 20}), awaits_better(FailureKind::no_proposal_chosen)},
      {"invalid_ke_for_the_group_that_was_sent", "RFC 7296 1.2", Step::init_answer,
       answers_with(NotifyType::invalid_ke_payload, {0, 31}), ignored(DatagramDrop::unexpected)},
      {"invalid_ke_without_a_group", "RFC 7296 1.2", Step::init_answer,
       answers_with(NotifyType::invalid_ke_payload, {}), ignored(DatagramDrop::malformed)},
      {"cookie_of_no_octets", "RFC 7296 2.6", Step::init_answer, answers_with(NotifyType::cookie, {}),
       ignored(DatagramDrop::malformed)},
      {"cookie_answer_of_65_octets", "RFC 7296 2.6", Step::init_answer, answers_with(NotifyType::cookie, Bytes(65, 1)),
       ignored(DatagramDrop::malformed)},
      {"redirect_nobody_asked_for", "RFC 5685 4", Step::init_answer,
       answers_with(NotifyType::redirect, {1, 4, 192, 0, 2, 99}),
       Outcome{.drop = DatagramDrop::bad_redirect, .failure = FailureKind::no_answer}},
  };
}

}  // namespace culvert::liar
