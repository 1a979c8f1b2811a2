// CREATE_CHILD_SA, both roles: new Child SAs, rekeys of them and of the IKE SA.
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using ike::Refusal;
using model::KeyExchangeMethod;
using model::NotifyType;
using model::ProtocolId;
using model::TransformType;

namespace {

using M = codec::Message;

const Setting kPfs{.esp = "aes256gcm16-x25519"};

model::TrafficSelectors selectors(std::string_view prefix) {
  return {model::TrafficSelector::of(*net::Prefix::parse(prefix))};
}
model::Proposal& proposal(M& message) { return part<codec::SaPayload>(message).proposals.front(); }
Lie suite(ProtocolId protocol, std::string_view text) {
  return in_message([=](M& m) {
    const Bytes spi = proposal(m).spi;
    proposal(m) = *model::parse_proposal(protocol, text);
    proposal(m).spi = spi;
  });
}
Lie rekey_sa(ProtocolId protocol, Bytes spi) {
  return in_message([=](M& m) {
    auto& notify = part<codec::NotifyPayload>(m);
    notify.protocol = protocol;
    notify.spi = spi;
  });
}
Lie value(Bytes octets) {
  return in_message([octets](M& m) { part<codec::KePayload>(m).public_value = octets; });
}
Lie error_alone(NotifyType type) {
  return in_message([=](M& m) {
    m.payloads.clear();
    m.add_notify(type);
  });
}
/// The pair that the peer believes in, or the exchange that cannot be trusted, ends by a DELETE of ours.
constexpr Outcome kDeletesPair{.reply = Reply::deletes, .after = After::unchanged, .refusal = Refusal::invalid_answer};

}  // namespace

std::vector<Fault> child_faults() {
  return {
      {"child_without_sa", "RFC 7296 1.3.1", Step::child_request, in_message([](M& m) { remove<codec::SaPayload>(m); }),
       ends(NotifyType::invalid_syntax)},
      {"child_without_nonce", "RFC 7296 1.3.1", Step::child_request,
       in_message([](M& m) { remove<codec::NoncePayload>(m); }), ends(NotifyType::invalid_syntax)},
      {"child_without_selectors", "RFC 7296 1.3.1", Step::child_request,
       in_message([](M& m) { remove<codec::TsPayload>(m); }), ends(NotifyType::invalid_syntax)},
      {"child_with_two_sa", "RFC 7296 1.3.1", Step::child_request,
       in_message([](M& m) { repeat<codec::SaPayload>(m); }), ends(NotifyType::invalid_syntax)},
      {"child_with_a_nonce_of_15_octets", "RFC 7296 2.10", Step::child_request,
       in_message([](M& m) { part<codec::NoncePayload>(m).data.resize(15); }), ends(NotifyType::invalid_syntax)},
      {"child_with_identity", "RFC 7296 1.3.1", Step::child_request, in_message([](M& m) {
         m.add(codec::IdPayload{
             .side = Role::initiator, .identity = model::Identity::parse("root.example"), .reserved = {}});
       }),
       ends(NotifyType::invalid_syntax)},
      {"child_suite_nobody_accepts", "RFC 7296 2.7", Step::child_request, suite(ProtocolId::esp, "aes128-sha256"),
       refused(NotifyType::no_proposal_chosen)},
      {"child_for_ah", "RFC 7296 3.3.1", Step::child_request, suite(ProtocolId::ah, "sha256-esn"),
       refused(NotifyType::no_proposal_chosen)},
      {"child_with_spi_of_zero", "RFC 4303 2.1", Step::child_request,
       in_message([](M& m) { proposal(m).spi = Bytes(4); }), refused(NotifyType::no_proposal_chosen)},
      {"child_with_a_key_of_12_bits", "RFC 7296 3.3.5", Step::child_request,
       in_message([](M& m) { transform(m, TransformType::encryption).key_bits = 12; }),
       refused(NotifyType::no_proposal_chosen)},
      // CVE-2024-3652: suites that need no key, or do not say how long it is, of kinds that are accepted here.
      {"child_of_gmac_without_a_key_length",
       "RFC 4543 5.2",
       Step::child_request,
       in_message([](M& m) { transform(m, TransformType::encryption).key_bits = 0; }),
       refused(NotifyType::no_proposal_chosen),
       {.esp = "aes256gmac"}},
      {"child_of_null_without_integrity",
       "RFC 4303 3.2",
       Step::child_request,
       in_message([](M& m) { remove_transform(m, TransformType::integrity); }),
       refused(NotifyType::no_proposal_chosen),
       {.esp = "null-sha256"}},
      {"child_of_null_with_integrity_none",
       "RFC 4303 3.2",
       Step::child_request,
       in_message([](M& m) { transform(m, TransformType::integrity).id = 0; }),
       refused(NotifyType::no_proposal_chosen),
       {.esp = "null-sha256"}},
      {"child_of_other_networks", "RFC 7296 2.9", Step::child_request,
       in_message([](M& m) { ts(m, Role::responder).selectors = selectors("172.16.0.0/12"); }),
       refused(NotifyType::ts_unacceptable)},
      {"child_of_all_networks", "RFC 7296 2.9", Step::child_request, in_message([](M& m) {
         ts(m, Role::initiator).selectors = selectors("0.0.0.0/0");
         ts(m, Role::responder).selectors = selectors("0.0.0.0/0");
       }),
       harmless()},
      {"child_request_with_more_selectors_possible", "RFC 7296 2.9", Step::child_request,
       in_message([](M& m) { m.add_notify(NotifyType::additional_ts_possible); }), harmless()},
      {"child_with_ke_nobody_wants", "RFC 7296 1.3.1", Step::child_request, in_message([](M& m) {
         m.add(codec::KePayload{.method = KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)});
       }),
       harmless()},
      {"child_without_the_ke_it_offers", "RFC 7296 1.3.1", Step::child_request,
       in_message([](M& m) { remove<codec::KePayload>(m); }), refused(NotifyType::invalid_ke_payload), kPfs},
      {"child_with_ke_of_another_group", "RFC 7296 1.3", Step::child_request, in_message([](M& m) {
         part<codec::KePayload>(m) = {.method = KeyExchangeMethod::ecp_256, .public_value = Bytes(64, 4)};
       }),
       refused(NotifyType::invalid_ke_payload), kPfs},
      {"child_with_ke_of_zero", "RFC 8031 5", Step::child_request, value(Bytes(32)), ends(NotifyType::invalid_syntax),
       kPfs},
      {"child_with_ke_one_octet_short", "RFC 7296 3.4", Step::child_request, value(Bytes(31, 9)),
       ends(NotifyType::invalid_syntax), kPfs},
      {"critical_payload_in_create_child_sa", "RFC 7296 2.5", Step::child_request,
       in_message([](M& m) { m.add(codec::UnknownPayload{.type = 200, .critical = true, .body = {1}}); }),
       refused(NotifyType::unsupported_critical_payload)},
      // Rekeys of a Child SA.
      {"rekey_of_an_unknown_spi", "RFC 7296 2.25", Step::child_rekey_request, rekey_sa(ProtocolId::esp, Bytes(4, 7)),
       refused(NotifyType::child_sa_not_found)},
      {"rekey_of_an_ah_sa", "RFC 7296 2.25", Step::child_rekey_request, rekey_sa(ProtocolId::ah, Bytes(4, 7)),
       refused(NotifyType::child_sa_not_found)},
      {"rekey_of_protocol_0", "RFC 7296 2.25", Step::child_rekey_request,  // CVE-2023-38710
       rekey_sa(ProtocolId::none, {}), refused(NotifyType::child_sa_not_found)},
      {"rekey_of_protocol_1", "RFC 7296 2.25", Step::child_rekey_request,  // CVE-2023-38710
       rekey_sa(ProtocolId::ike, Bytes(8, 7)), refused(NotifyType::child_sa_not_found)},
      {"rekey_of_an_spi_of_255_octets", "RFC 7296 3.10", Step::child_rekey_request,
       rekey_sa(ProtocolId::esp, Bytes(255, 7)), ends(NotifyType::invalid_syntax)},
      {"rekey_of_the_receivers_spi", "RFC 7296 1.3.3", Step::child_rekey_request,
       in_message([](Liar& liar, M& m) { part<codec::NotifyPayload>(m).spi = octets_of(liar.peer_child); }),
       refused(NotifyType::child_sa_not_found)},
      {"rekey_to_other_networks", "RFC 7296 2.9.2", Step::child_rekey_request,
       in_message([](M& m) { ts(m, Role::initiator).selectors = selectors("172.16.0.0/12"); }),
       refused(NotifyType::ts_unacceptable)},
      // Rekeys of the IKE SA.
      {"ike_rekey_without_ke", "RFC 7296 1.3.2", Step::ike_rekey_request,
       in_message([](M& m) { remove<codec::KePayload>(m); }), refused(NotifyType::invalid_ke_payload)},
      {"ike_rekey_without_key_exchange", "RFC 7296 1.3.2", Step::ike_rekey_request, in_message([](M& m) {
         remove_transform(m, TransformType::key_exchange);
         remove<codec::KePayload>(m);
       }),
       refused(NotifyType::no_proposal_chosen)},
      {"ike_rekey_with_key_exchange_none", "RFC 7296 1.3.2", Step::ike_rekey_request,
       in_message([](M& m) { transform(m, TransformType::key_exchange).id = 0; }),
       refused(NotifyType::no_proposal_chosen)},
      {"ike_rekey_with_spi_of_zero", "RFC 7296 3.1", Step::ike_rekey_request,
       in_message([](M& m) { proposal(m).spi = Bytes(8); }), refused(NotifyType::no_proposal_chosen)},
      {"ike_rekey_without_spi", "RFC 7296 3.3.1", Step::ike_rekey_request,
       in_message([](M& m) { proposal(m).spi.clear(); }), refused(NotifyType::no_proposal_chosen)},
      {"ike_rekey_with_an_spi_of_4_octets", "RFC 7296 3.3.1", Step::ike_rekey_request,
       in_message([](M& m) { proposal(m).spi = Bytes(4, 9); }), ends(NotifyType::invalid_syntax)},
      {"ike_rekey_with_ke_of_zero", "RFC 8031 5", Step::ike_rekey_request, value(Bytes(32)),
       ends(NotifyType::invalid_syntax)},
      {"ike_rekey_with_selectors", "RFC 7296 1.3.2", Step::ike_rekey_request, in_message([](M& m) {
         m.add(codec::TsPayload{.side = Role::initiator, .selectors = selectors("10.1.0.0/16"), .unknown = {}});
       }),
       ends(NotifyType::invalid_syntax)},
      {"ike_rekey_with_a_weaker_prf", "RFC 7296 2.7", Step::ike_rekey_request, in_message([](M& m) {
         transform(m, TransformType::prf).id = static_cast<std::uint16_t>(model::PrfId::hmac_sha1);
       }),
       refused(NotifyType::no_proposal_chosen)},
  };
}

std::vector<Fault> child_answer_faults() {
  const Outcome untrusted{.reply = Reply::deletes, .after = After::gone, .refusal = Refusal::invalid_answer};
  return {
      {"child_answer_without_nonce", "RFC 7296 2.21.3", Step::child_answer,
       in_message([](M& m) { remove<codec::NoncePayload>(m); }), untrusted},
      {"child_answer_without_selectors", "RFC 7296 2.21.3", Step::child_answer,
       in_message([](M& m) { remove<codec::TsPayload>(m); }), untrusted},
      {"child_answer_with_more_selectors_possible_unasked", "RFC 7296 2.9", Step::child_answer,
       in_message([](M& m) { m.add_notify(NotifyType::additional_ts_possible, Bytes{1, 2, 3}); }), harmless()},
      {"child_answer_cut_short", "RFC 7296 2.21.3", Step::child_answer,
       in_chain([](auto&, Bytes& chain) { chain.resize(chain.size() - 3); }), untrusted},
      {"child_answer_with_a_critical_payload", "RFC 7296 2.5", Step::child_answer,
       in_message([](M& m) { m.add(codec::UnknownPayload{.type = 200, .critical = true, .body = {1}}); }), untrusted},
      {"child_answer_with_a_suite_never_offered", "RFC 7296 3.3.6", Step::child_answer,
       suite(ProtocolId::esp, "aes128gcm16"), kDeletesPair},
      {"child_answer_with_two_encryptions", "RFC 7296 3.3.6", Step::child_answer,
       in_message([](M& m) { proposal(m).transforms.push_back(transform(m, TransformType::encryption)); }),
       kDeletesPair},
      {"child_answer_with_spi_of_zero", "RFC 4303 2.1", Step::child_answer,
       in_message([](M& m) { proposal(m).spi = Bytes(4); }), kDeletesPair},
      {"child_answer_with_wider_selectors", "RFC 7296 2.9", Step::child_answer,
       in_message([](M& m) { ts(m, Role::responder).selectors = selectors("10.0.0.0/8"); }),
       counted(kDeletesPair, Refusal::traffic_selectors)},
      {"child_answer_with_ke_of_zero", "RFC 8031 5", Step::child_answer, value(Bytes(32)), kDeletesPair, kPfs},
      {"child_answer_without_ke", "RFC 7296 1.3.1", Step::child_answer,
       in_message([](M& m) { remove<codec::KePayload>(m); }), kDeletesPair, kPfs},
      {"child_answer_for_the_ike_sa", "RFC 7296 1.3.1", Step::child_answer, in_message([](M& m) {
         proposal(m).protocol = ProtocolId::ike;
         proposal(m).spi = Bytes(8, 9);
         remove<codec::TsPayload>(m);
       }),
       kDeletesPair},
      {"child_answer_that_refuses",
       "RFC 7296 1.3.1",
       Step::child_answer,
       error_alone(NotifyType::no_additional_sas),
       {.after = After::withdrawn, .refusal = Refusal::refused_by_peer}},
      {"child_answer_of_invalid_syntax",
       "RFC 7296 2.21.3",
       Step::child_answer,
       error_alone(NotifyType::invalid_syntax),
       {.after = After::gone, .refusal = Refusal::refused_by_peer}},
      {"child_rekey_answer_of_invalid_syntax",
       "RFC 7296 2.21.3",
       Step::child_rekey_answer,
       error_alone(NotifyType::invalid_syntax),
       {.after = After::gone, .refusal = Refusal::refused_by_peer}},
      {"ike_rekey_answer_of_invalid_syntax",
       "RFC 7296 2.21.3",
       Step::ike_rekey_answer,
       error_alone(NotifyType::invalid_syntax),
       {.after = After::gone, .refusal = Refusal::refused_by_peer}},
      {"child_rekey_answer_with_a_suite_never_offered", "RFC 7296 3.3.6", Step::child_rekey_answer,
       suite(ProtocolId::esp, "aes128gcm16"), kDeletesPair},
      {"child_rekey_answer_with_other_networks", "RFC 7296 2.9.2", Step::child_rekey_answer,
       in_message([](M& m) { ts(m, Role::responder).selectors = selectors("172.16.0.0/12"); }),
       counted(kDeletesPair, Refusal::traffic_selectors)},
      {"ike_rekey_answer_with_spi_of_zero", "RFC 7296 3.1", Step::ike_rekey_answer,
       in_message([](M& m) { proposal(m).spi = Bytes(8); }), untrusted},
      {"ike_rekey_answer_without_ke", "RFC 7296 1.3.2", Step::ike_rekey_answer,
       in_message([](M& m) { remove<codec::KePayload>(m); }), untrusted},
      {"ike_rekey_answer_with_ke_of_zero", "RFC 8031 5", Step::ike_rekey_answer, value(Bytes(32)), untrusted},
      {"ike_rekey_answer_with_a_suite_never_offered", "RFC 7296 3.3.6", Step::ike_rekey_answer, in_message([](M& m) {
         transform(m, TransformType::prf).id = static_cast<std::uint16_t>(model::PrfId::hmac_sha1);
       }),
       untrusted},
      {"ike_rekey_answer_that_is_a_childs", "RFC 7296 1.3.2", Step::ike_rekey_answer, in_message([](M& m) {
         proposal(m).protocol = ProtocolId::esp;
         proposal(m).spi = Bytes(4, 9);
       }),
       untrusted},
  };
}

}  // namespace culvert::liar
