// IKE_AUTH, both roles: who the peer is, what proves it, the first Child SA; and what comes before it is done.
#include "ike/codec/serialize.hpp"
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using ike::FailureKind;
using ike::Refusal;
using model::AuthenticationMethod;
using model::ExchangeType;
using model::NotifyType;

namespace {

using M = codec::Message;

model::TrafficSelectors selectors(std::string_view prefix) {
  return {model::TrafficSelector::of(*net::Prefix::parse(prefix))};
}
Lie ts_i(std::string_view prefix) {
  return in_message([=](M& m) { ts(m, Role::initiator).selectors = selectors(prefix); });
}
Lie ts_r(std::string_view prefix) {
  return in_message([=](M& m) { ts(m, Role::responder).selectors = selectors(prefix); });
}
Lie auth(AuthenticationMethod method, std::size_t length) {
  return in_message([=](M& m) {
    part<codec::AuthPayload>(m).method = method;
    part<codec::AuthPayload>(m).data.resize(length, 1);
  });
}
codec::IdPayload& id(M& message, Role side) {
  for (codec::Payload& one : message.payloads)
    if (auto* found = std::get_if<codec::IdPayload>(&one); found != nullptr && found->side == side) return *found;
  check_failed("the payload is there", __FILE__, __LINE__);
}
/// Says to be somebody else, and proves that it has the secret.
Lie other_identity(std::string_view name) {
  return in_message([=](Liar& liar, M& m) {
    id(m, liar.role).identity = model::Identity::parse(name);
    part<codec::AuthPayload>(m).data = liar.auth_data(id(m, liar.role).identity);
  });
}
model::Proposal& child_proposal(M& message) { return part<codec::SaPayload>(message).proposals.front(); }
Lie child_suite(std::string_view text) {
  return in_message([=](M& m) {
    const Bytes spi = child_proposal(m).spi;
    child_proposal(m) = *model::parse_proposal(model::ProtocolId::esp, text);
    child_proposal(m).spi = spi;
  });
}

/// There is no connection for such a peer.
Outcome is_unknown() { return counted(ends(NotifyType::authentication_failed), Refusal::unknown_peer); }

constexpr auto kPsk = AuthenticationMethod::shared_key_mic;

}  // namespace

std::vector<Fault> auth_faults() {
  return {
      // The header.
      {"auth_for_an_unknown_ike_sa",
       "RFC 7296 2.21.4",
       Step::auth_request,
       in_message([](M& m) { m.header.spi_r = model::IkeSpi(77); }),
       {.reply = Reply::notify, .notify = NotifyType::invalid_ike_spi, .drop = DatagramDrop::unknown_ike_sa}},
      {"auth_with_another_initiator_spi",
       "RFC 7296 2.6",
       Step::auth_request,
       in_message([](M& m) { m.header.spi_i = model::IkeSpi(77); }),
       {.reply = Reply::notify, .notify = NotifyType::invalid_ike_spi, .drop = DatagramDrop::unknown_ike_sa}},
      {"auth_with_message_id_0", "RFC 7296 2.2", Step::auth_request,
       in_message([](M& m) { m.header.message_id = model::MessageId(0); }), repeated()},
      {"auth_with_message_id_2", "RFC 7296 2.3", Step::auth_request,
       in_message([](M& m) { m.header.message_id = model::MessageId(2); }), ignored(DatagramDrop::old_message_id)},
      {"auth_with_the_last_message_id", "RFC 7296 2.2", Step::auth_request,
       in_message([](M& m) { m.header.message_id = model::MessageId(0xffffffff); }),
       ignored(DatagramDrop::old_message_id)},
      {"auth_with_response_flag", "RFC 7296 2.2", Step::auth_request,
       in_message([](M& m) { m.header.response = true; }), ignored(DatagramDrop::old_message_id)},
      {"auth_without_initiator_flag",
       "RFC 7296 3.1",
       Step::auth_request,
       in_message([](M& m) { m.header.initiator = false; }),
       {.reply = Reply::notify, .notify = NotifyType::invalid_ike_spi, .drop = DatagramDrop::unknown_ike_sa}},
      // Encryption.
      {"auth_in_the_clear", "RFC 7296 1.2", Step::auth_request,
       instead([](Liar&, const M& m) { return only(codec::serialize(m)); }), ignored(DatagramDrop::unexpected)},
      {"auth_with_a_wrong_icv", "RFC 7296 2.21.2", Step::auth_request, in_octets([](Bytes& o) { o.back() ^= 1; }),
       ignored(DatagramDrop::bad_integrity)},
      {"auth_with_a_changed_header", "RFC 7296 3.14", Step::auth_request, in_octets([](Bytes& o) { o[17] = 0x21; }),
       ignored(DatagramDrop::bad_integrity)},
      {"auth_shorter_than_an_icv", "RFC 7296 3.14", Step::auth_request, in_octets([](Bytes& o) {
         o.resize(codec::kHeaderSize + 4 + 10);
         store_be16(o.data() + codec::kHeaderSize + 2, 14);
         set_length(o);
       }),
       ignored(DatagramDrop::bad_integrity)},
      {"pad_length_beyond_the_payloads",
       "RFC 7296 2.21.2",
       Step::auth_request,
       {.plain = [](Liar&, Bytes& plain) { plain.assign(8, 255); }},
       ends(NotifyType::invalid_syntax)},
      {"nothing_encrypted", "RFC 7296 2.21.2", Step::auth_request, in_message([](M& m) { m.payloads.clear(); }),
       ends(NotifyType::invalid_syntax)},
      {"encrypted_payload_inside_another", "RFC 7296 3.14", Step::auth_request, in_chain([](auto& first, Bytes& chain) {
         first = model::PayloadType::encrypted;
         chain = {0, 0, 0, 60};
         chain.resize(60);
       }),
       ends(NotifyType::invalid_syntax)},
      {"chain_cut_short", "RFC 7296 2.21.2", Step::auth_request,
       in_chain([](auto&, Bytes& chain) { chain.resize(chain.size() - 5); }), ends(NotifyType::invalid_syntax)},
      {"chain_of_a_thousand_payloads", "RFC 7296 2.5", Step::auth_request, in_chain([](auto& first, Bytes& chain) {
         for (int n = 0; n < 1000; ++n) {
           const Bytes empty = {static_cast<std::uint8_t>(first), 0, 0, 4};
           chain.insert(chain.begin(), empty.begin(), empty.end());
           first = static_cast<model::PayloadType>(200);
         }
       }),
       ends(NotifyType::invalid_syntax)},
      {"critical_payload_in_auth", "RFC 7296 2.5", Step::auth_request,
       in_message([](M& m) { m.add(codec::UnknownPayload{.type = 200, .critical = true, .body = {1}}); }),
       ends(NotifyType::unsupported_critical_payload)},
      // Payloads that are not there, or too often.
      {"no_idi", "RFC 7296 1.2", Step::auth_request, in_message([](M& m) {
         std::erase_if(m.payloads, [](const codec::Payload& one) {
           const auto* found = std::get_if<codec::IdPayload>(&one);
           return found != nullptr && found->side == Role::initiator;
         });
       }),
       ends(NotifyType::invalid_syntax)},
      {"two_idi", "RFC 7296 1.2", Step::auth_request,
       in_message([](M& m) { m.add(codec::IdPayload(id(m, Role::initiator))); }), ends(NotifyType::invalid_syntax)},
      {"two_auth", "RFC 7296 1.2", Step::auth_request, in_message([](M& m) { repeat<codec::AuthPayload>(m); }),
       ends(NotifyType::invalid_syntax)},
      {"two_child_sa_payloads", "RFC 7296 1.2", Step::auth_request,
       in_message([](M& m) { repeat<codec::SaPayload>(m); }), ends(NotifyType::invalid_syntax)},
      {"nonce_in_auth", "RFC 7296 1.2", Step::auth_request,
       in_message([](M& m) { m.add(codec::NoncePayload{Bytes(32, 1)}); }), ends(NotifyType::invalid_syntax)},
      {"eap_in_the_first_auth_request", "RFC 7296 2.16", Step::auth_request,
       in_message([](M& m) { m.add(codec::EapPayload{{3, 1, 0, 4}}); }), ends(NotifyType::invalid_syntax)},
      {"eap_alone_with_success", "RFC 7296 2.16", Step::auth_request, in_message([](M& m) {  // CVE-2021-45079
         m.payloads = {codec::EapPayload{{3, 1, 0, 4}}};
       }),
       ends(NotifyType::invalid_syntax)},
      // Who it is.
      {"auth_of_other_octets", "RFC 7296 2.15", Step::auth_request,
       in_message([](M& m) { part<codec::AuthPayload>(m).data.front() ^= 1; }),
       ends(NotifyType::authentication_failed)},
      {"auth_one_octet_short", "RFC 7296 2.15", Step::auth_request, auth(kPsk, 31),
       ends(NotifyType::authentication_failed)},
      {"auth_one_octet_long", "RFC 7296 2.15", Step::auth_request, auth(kPsk, 33),
       ends(NotifyType::authentication_failed)},
      {"auth_of_60000_octets", "RFC 7296 2.15", Step::auth_request, auth(kPsk, 60000),
       ends(NotifyType::authentication_failed)},
      {"auth_of_zeros", "RFC 7296 2.15", Step::auth_request,
       in_message([](M& m) { std::ranges::fill(part<codec::AuthPayload>(m).data, std::uint8_t{0}); }),
       ends(NotifyType::authentication_failed)},
      {"auth_by_signature", "RFC 7427 3", Step::auth_request, auth(AuthenticationMethod::digital_signature, 32),
       is_unknown()},
      {"auth_by_null", "RFC 7619 2.1", Step::auth_request, auth(static_cast<AuthenticationMethod>(13), 32),
       is_unknown()},
      {"auth_by_method_0", "RFC 7296 3.8", Step::auth_request, auth(static_cast<AuthenticationMethod>(0), 32),
       ends(NotifyType::authentication_failed)},
      {"auth_asks_for_eap", "RFC 7296 2.16", Step::auth_request,
       in_message([](M& m) { remove<codec::AuthPayload>(m); }), is_unknown()},
      {"identity_changed_behind_auth", "RFC 7296 2.15", Step::auth_request,
       in_message([](M& m) { id(m, Role::initiator).identity = model::Identity::parse("mallory.example"); }),
       is_unknown()},
      {"identity_nobody_expects", "RFC 4301 4.4.3", Step::auth_request, other_identity("mallory.example"),
       is_unknown()},
      {"identity_of_the_responder_itself", "RFC 4301 4.4.3", Step::auth_request, other_identity("b.example"),
       is_unknown()},
      {"asks_for_somebody_else", "RFC 7296 2.15", Step::auth_request,
       in_message([](M& m) { id(m, Role::responder).identity = model::Identity::parse("carol.example"); }),
       is_unknown()},
      {"reserved_octets_of_idi_behind_auth", "RFC 7296 2.15", Step::auth_request,
       in_message([](M& m) { id(m, Role::initiator).reserved = {1, 2, 3}; }), ends(NotifyType::authentication_failed)},
      // The Child SA.
      {"child_suite_not_acceptable", "RFC 7296 1.2", Step::auth_request, child_suite("aes128-sha256"),
       childless(NotifyType::no_proposal_chosen)},
      {"child_spi_of_8_octets", "RFC 7296 3.3.1", Step::auth_request,
       in_message([](M& m) { child_proposal(m).spi = Bytes(8, 9); }), ends(NotifyType::invalid_syntax)},
      {"child_spi_of_zero", "RFC 4303 2.1", Step::auth_request,
       in_message([](M& m) { child_proposal(m).spi = Bytes(4); }), childless(NotifyType::no_proposal_chosen)},
      {"child_spi_that_is_reserved", "RFC 4303 2.1", Step::auth_request,
       in_message([](M& m) { child_proposal(m).spi = {0, 0, 0, 255}; }), childless(NotifyType::no_proposal_chosen)},
      {"selectors_wider_than_allowed", "RFC 7296 2.9", Step::auth_request, ts_r("0.0.0.0/0"), harmless()},
      {"selectors_of_other_networks", "RFC 7296 2.9", Step::auth_request, ts_r("172.16.0.0/12"),
       childless(NotifyType::ts_unacceptable)},
      {"own_selectors_of_other_networks", "RFC 7296 2.9", Step::auth_request, ts_i("172.16.0.0/12"),
       childless(NotifyType::ts_unacceptable)},
      {"selectors_of_another_family", "RFC 7296 2.9", Step::auth_request, ts_r("2001:db8::/32"),
       childless(NotifyType::ts_unacceptable)},
      {"selectors_of_an_unknown_type", "RFC 7296 3.13.1", Step::auth_request, in_message([](M& m) {
         ts(m, Role::responder).selectors.clear();
         ts(m, Role::responder).unknown = {{.type = 99, .protocol = 0, .body = Bytes(12)}};
       }),
       childless(NotifyType::ts_unacceptable)},
      {"no_selectors", "RFC 7296 3.13", Step::auth_request,
       in_message([](M& m) { ts(m, Role::initiator).selectors.clear(); }), ends(NotifyType::invalid_syntax)},
      {"more_selectors_said_than_there_are", "RFC 7296 3.13", Step::auth_request,  // CVE-2023-23009
       in_chain(
           [](auto& first, Bytes& chain) { chain[find_payload(chain, 0, first, model::PayloadType::ts_i) + 4] = 7; }),
       ends(NotifyType::invalid_syntax)},
      {"range_that_ends_before_it_begins", "RFC 7296 3.13.1", Step::auth_request,
       in_chain([](auto& first, Bytes& chain) {
         const std::size_t at = find_payload(chain, 0, first, model::PayloadType::ts_i) + 8;
         for (std::size_t n = 0; n < 4; ++n) std::swap(chain[at + 8 + n], chain[at + 12 + n]);
       }),
       ends(NotifyType::invalid_syntax)},
      {"ports_that_end_before_they_begin", "RFC 7296 3.13.1", Step::auth_request,
       in_chain([](auto& first, Bytes& chain) {
         const std::size_t at = find_payload(chain, 0, first, model::PayloadType::ts_i) + 8;
         store_be16(chain.data() + at + 4, 500);
         store_be16(chain.data() + at + 6, 20);
       }),
       ends(NotifyType::invalid_syntax)},
      {"selector_length_0", "RFC 7296 3.13.1", Step::auth_request, in_chain([](auto& first, Bytes& chain) {
         store_be16(chain.data() + find_payload(chain, 0, first, model::PayloadType::ts_i) + 10, 0);
       }),
       ends(NotifyType::invalid_syntax)},
      {"configuration_of_a_thousand_attributes", "RFC 7296 3.15", Step::auth_request, in_message([](M& m) {
         codec::ConfigurationPayload flood{.type = model::ConfigurationType::request, .attributes = {}};
         for (int n = 0; n < 1000; ++n) flood.attributes.push_back({.type = 1, .value = {}});
         m.add(flood);
       }),
       ends(NotifyType::invalid_syntax)},
      {"two_requests_for_addresses", "RFC 7296 3.15", Step::auth_request, in_message([](M& m) {
         codec::ConfigurationPayload wish{.type = model::ConfigurationType::request, .attributes = {}};
         for (int n = 0; n < 2; ++n) {
           wish.attributes.push_back({.type = 1, .value = {}});
           m.add(wish);
         }
       }),
       harmless()},
      {"hundred_configuration_requests", "RFC 7296 3.15", Step::auth_request, in_message([](M& m) {
         for (int n = 0; n < 100; ++n)
           m.add(codec::ConfigurationPayload{.type = model::ConfigurationType::set, .attributes = {}});
       }),
       harmless()},
      {"transport_mode_for_networks", "RFC 7296 1.3.1", Step::auth_request,
       in_message([](M& m) { m.add_notify(NotifyType::use_transport_mode); }), harmless()},
      {"error_notification_in_auth", "RFC 7296 3.10.1", Step::auth_request,
       in_message([](M& m) { m.add_notify(NotifyType::ts_unacceptable); }), harmless()},
      {"redirected_from_and_to_nowhere", "RFC 5685 6", Step::auth_request,
       in_message([](M& m) { m.add_notify(static_cast<NotifyType>(16407), Bytes{9, 9}); }), harmless()},
      // Other exchanges before this one.
      {"create_child_sa_before_auth",
       "RFC 7296 1.3",
       Step::child_early,
       {},  // CVE-2014-2338
       ignored(DatagramDrop::unexpected)},
      {"informational_before_auth",
       "RFC 7296 1.4",
       Step::informational_early,
       {},  // CVE-2019-12312
       ignored(DatagramDrop::unexpected)},
      {"delete_before_auth", "RFC 7296 1.4", Step::informational_early,
       in_message([](M& m) { m.add(codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}}); }),
       ignored(DatagramDrop::unexpected)},
      {"intermediate_nobody_agreed_to", "RFC 9242 3.1", Step::informational_early,
       in_message([](M& m) { m.header.exchange = ExchangeType::ike_intermediate; }), ignored(DatagramDrop::unexpected)},
      {"unknown_exchange_before_auth", "RFC 7296 3.1", Step::informational_early,
       in_message([](M& m) { m.header.exchange = static_cast<ExchangeType>(240); }), ignored(DatagramDrop::unexpected)},
      {"sealed_ike_sa_init", "RFC 7296 1.2", Step::informational_early,
       in_message([](M& m) { m.header.exchange = ExchangeType::ike_sa_init; }), ignored(DatagramDrop::unexpected)},
  };
}

std::vector<Fault> auth_answer_faults() {
  const Outcome not_authentic = tells(NotifyType::authentication_failed, FailureKind::authentication_failed);
  return {
      {"auth_answer_with_a_wrong_icv",
       "RFC 7296 2.21.2",
       Step::auth_answer,
       in_octets([](Bytes& o) { o.back() ^= 1; }),
       {.drop = DatagramDrop::bad_integrity, .failure = FailureKind::no_answer}},
      {"auth_answer_to_a_request_never_sent",
       "RFC 7296 2.2",
       Step::auth_answer,
       in_message([](M& m) { m.header.message_id = model::MessageId(2); }),
       {.drop = DatagramDrop::old_message_id, .failure = FailureKind::no_answer}},
      {"auth_answer_of_another_exchange",
       "RFC 7296 2.2",
       Step::auth_answer,
       in_message([](M& m) { m.header.exchange = ExchangeType::informational; }),
       {.drop = DatagramDrop::unexpected, .failure = FailureKind::no_answer}},
      {"auth_answer_in_the_clear",
       "RFC 7296 2.21.2",
       Step::auth_answer,
       instead([](Liar&, const M& m) { return only(codec::serialize(m)); }),
       {.drop = DatagramDrop::unexpected, .failure = FailureKind::no_answer}},
      {"request_where_an_auth_answer_is_due",
       "RFC 7296 1.2",
       Step::auth_answer,
       in_message([](M& m) {
         m.header.response = false;
         m.header.message_id = model::MessageId(0);
         m.header.exchange = ExchangeType::informational;
       }),
       {.drop = DatagramDrop::unexpected, .failure = FailureKind::no_answer}},
      {"auth_answer_with_auth_of_other_octets", "RFC 7296 2.15", Step::auth_answer,
       in_message([](M& m) { part<codec::AuthPayload>(m).data.front() ^= 1; }), not_authentic},
      {"auth_answer_with_auth_of_no_octets", "RFC 7296 2.15", Step::auth_answer, auth(kPsk, 0),
       given_up(FailureKind::protocol_error)},
      {"auth_answer_by_signature", "RFC 7427 3", Step::auth_answer, auth(AuthenticationMethod::digital_signature, 32),
       not_authentic},
      {"auth_answer_by_null", "RFC 7619 2.1", Step::auth_answer, auth(static_cast<AuthenticationMethod>(13), 32),
       not_authentic},
      {"auth_answer_of_somebody_else", "RFC 4301 4.4.3", Step::auth_answer, other_identity("mallory.example"),
       not_authentic},
      {"auth_answer_with_our_own_identity", "RFC 4301 4.4.3", Step::auth_answer, other_identity("b.example"),
       not_authentic},
      {"auth_answer_with_our_own_auth", "RFC 7296 2.15", Step::auth_answer,
       in_message([](M& m) { part<codec::AuthPayload>(m).data.assign(32, 0x42); }), not_authentic},
      {"auth_answer_without_idr", "RFC 7296 1.2", Step::auth_answer,
       in_message([](M& m) { remove<codec::IdPayload>(m); }), given_up(FailureKind::protocol_error)},
      {"auth_answer_without_auth", "RFC 7296 1.2", Step::auth_answer,
       in_message([](M& m) { remove<codec::AuthPayload>(m); }), given_up(FailureKind::protocol_error)},
      {"auth_answer_with_two_auth", "RFC 7296 1.2", Step::auth_answer,
       in_message([](M& m) { repeat<codec::AuthPayload>(m); }), given_up(FailureKind::protocol_error)},
      {"auth_answer_with_eap", "RFC 7296 2.16", Step::auth_answer,
       in_message([](M& m) { m.payloads = {m.payloads.front(), codec::EapPayload{{1, 1, 0, 5, 1}}}; }),
       given_up(FailureKind::protocol_error)},
      {"auth_answer_with_a_critical_payload", "RFC 7296 2.5", Step::auth_answer,
       in_message([](M& m) { m.add(codec::UnknownPayload{.type = 200, .critical = true, .body = {1}}); }),
       given_up(FailureKind::protocol_error)},
      {"auth_answer_cut_short", "RFC 7296 2.21.2", Step::auth_answer,
       in_chain([](auto&, Bytes& chain) { chain.resize(chain.size() - 5); }), given_up(FailureKind::protocol_error)},
      {"auth_answer_that_refuses", "RFC 7296 2.21.2", Step::auth_answer, in_message([](M& m) {
         m.payloads.clear();
         m.add_notify(NotifyType::authentication_failed);
       }),
       counted(given_up(FailureKind::authentication_failed), Refusal::refused_by_peer)},
      {"auth_answer_with_an_unknown_error",
       "RFC 7296 3.10.1",
       Step::auth_answer,
       in_message([](M& m) {
         m.payloads.clear();
         m.add_notify(static_cast<NotifyType>(9999));
       }),
       {.after = After::gone, .refusal = Refusal::refused_by_peer, .failure = FailureKind::peer_refused}},
      {"auth_answer_with_more_selectors_possible_unasked", "RFC 7296 2.9", Step::auth_answer,
       in_message([](M& m) { m.add_notify(NotifyType::additional_ts_possible); }), harmless()},
      {"auth_answer_with_configuration_nobody_asked_for", "RFC 7296 2.19", Step::auth_answer, in_message([](M& m) {
         codec::ConfigurationPayload given{.type = model::ConfigurationType::reply, .attributes = {}};
         given.attributes.push_back({.type = 1, .value = {10, 66, 6, 6}});
         m.add(given);
       }),
       harmless()},
      // The Child SA: the IKE SA stands, the pair that the peer believes in is deleted.
      {"auth_answer_with_a_suite_never_offered", "RFC 7296 3.3.6", Step::auth_answer, child_suite("aes128gcm16"),
       disowns(FailureKind::protocol_error)},
      {"auth_answer_with_two_child_proposals", "RFC 7296 3.3.6", Step::auth_answer, in_message([](M& m) {
         auto& all = part<codec::SaPayload>(m).proposals;
         all.push_back(all.front());
       }),
       disowns(FailureKind::protocol_error)},
      {"auth_answer_with_a_child_spi_of_zero", "RFC 4303 2.1", Step::auth_answer,
       in_message([](M& m) { child_proposal(m).spi = Bytes(4); }), disowns(FailureKind::protocol_error)},
      {"auth_answer_with_wider_selectors", "RFC 7296 2.9", Step::auth_answer, ts_i("10.0.0.0/8"),
       disowns(FailureKind::traffic_selectors)},
      {"auth_answer_with_wider_selectors_of_its_own", "RFC 7296 2.9", Step::auth_answer, ts_r("0.0.0.0/0"),
       disowns(FailureKind::traffic_selectors)},
      {"auth_answer_with_selectors_of_another_family", "RFC 7296 2.9", Step::auth_answer, ts_r("::/0"),
       disowns(FailureKind::traffic_selectors)},
      {"auth_answer_with_transport_mode",
       "RFC 7296 1.3.1",
       Step::auth_answer,
       in_message([](M& m) { m.add_notify(NotifyType::use_transport_mode); }),
       {.reply = Reply::deletes,
        .after = After::disowned,
        .refusal = Refusal::policy,
        .failure = FailureKind::peer_refused}},
      {"auth_answer_without_child_and_reason",
       "RFC 7296 1.2",
       Step::auth_answer,
       in_message([](M& m) {
         remove<codec::SaPayload>(m);
         remove<codec::TsPayload>(m);
       }),
       {.after = After::childless, .refusal = Refusal::invalid_answer, .failure = FailureKind::protocol_error}},
  };
}

}  // namespace culvert::liar
