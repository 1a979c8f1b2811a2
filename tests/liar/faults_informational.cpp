// INFORMATIONAL and whatever else comes on an IKE SA that stands: deletes of what is not there, message ids, replays,
// notifications that nobody asked for.
#include "ike/codec/serialize.hpp"
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using ike::Refusal;
using model::ExchangeType;
using model::NotifyType;
using model::ProtocolId;

namespace {

using M = codec::Message;

const Setting kWide{.window = 4};

Lie deletes(ProtocolId protocol, std::vector<model::Spi> spis) {
  return in_message([=](M& m) { m.add(codec::DeletePayload{.protocol = protocol, .spis = spis}); });
}
Lie says(NotifyType type, Bytes data = {}) {
  return in_message([=](M& m) { m.add_notify(type, data); });
}
/// A Delete payload with these octets behind its generic header.
Lie raw_delete(Bytes body) {
  return in_chain([=](model::PayloadType& first, Bytes& chain) {
    first = model::PayloadType::delete_;
    chain = {0, 0, 0, static_cast<std::uint8_t>(body.size() + 4)};
    chain.insert(chain.end(), body.begin(), body.end());
  });
}
Lie exchange(ExchangeType type) {
  return in_message([=](M& m) { m.header.exchange = type; });
}

}  // namespace

std::vector<Fault> informational_faults() {
  const Outcome ends_both{.reply = Reply::empty, .after = After::gone};
  const Outcome unknown_child = counted(answered(), Refusal::unknown_child_sa);
  const Outcome reported = counted(answered(), Refusal::refused_by_peer);
  return {
      // Deletes.
      {"delete_of_a_strangers_spi", "RFC 7296 1.4.1", Step::informational,
       deletes(ProtocolId::esp, {model::Spi(0x12345678)}), unknown_child},
      {"delete_of_the_receivers_spi", "RFC 7296 1.4.1", Step::informational, in_message([](Liar& liar, M& m) {
         m.add(codec::DeletePayload{.protocol = ProtocolId::esp, .spis = {liar.peer_child}});
       }),
       unknown_child},
      {"delete_of_a_thousand_strangers", "RFC 7296 3.11", Step::informational, in_message([](M& m) {
         std::vector<model::Spi> spis;
         for (std::uint32_t n = 0; n < 1000; ++n) spis.emplace_back(0x20000000 + n);
         m.add(codec::DeletePayload{.protocol = ProtocolId::esp, .spis = spis});
       }),
       unknown_child},
      {"delete_of_ten_thousand_strangers", "RFC 7296 3.11", Step::informational, in_message([](M& m) {
         std::vector<model::Spi> spis;
         for (std::uint32_t n = 0; n < 10000; ++n) spis.emplace_back(0x20000000 + n);
         m.add(codec::DeletePayload{.protocol = ProtocolId::esp, .spis = spis});
       }),
       ends(NotifyType::invalid_syntax)},
      {"delete_of_an_ah_sa", "RFC 7296 3.11", Step::informational, deletes(ProtocolId::ah, {model::Spi(0x12345678)}),
       unknown_child},
      {"delete_with_fewer_spis_than_it_says", "RFC 7296 3.11", Step::informational,
       raw_delete({3, 4, 0, 9, 1, 2, 3, 4}), ends(NotifyType::invalid_syntax)},
      {"delete_with_more_spis_than_it_says", "RFC 7296 3.11", Step::informational,
       raw_delete({3, 4, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}), ends(NotifyType::invalid_syntax)},
      {"delete_with_spis_of_3_octets", "RFC 7296 3.11", Step::informational, raw_delete({3, 3, 0, 1, 1, 2, 3}),
       ends(NotifyType::invalid_syntax)},
      {"delete_of_the_ike_sa_with_an_spi", "RFC 7296 3.11", Step::informational,
       raw_delete({1, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}), ends(NotifyType::invalid_syntax)},
      {"deletes_behind_the_delete_of_the_ike_sa", "RFC 7296 3.11", Step::informational, in_message([](M& m) {
         m.add(codec::DeletePayload{.protocol = ProtocolId::ike, .spis = {}});
         m.add(codec::DeletePayload{.protocol = ProtocolId::esp, .spis = {model::Spi(0x12345678)}});
         m.add(codec::DeletePayload{.protocol = ProtocolId::ike, .spis = {}});
       }),
       counted(ends_both, Refusal::unknown_child_sa)},
      {"delete_in_the_clear", "RFC 7296 1.4", Step::informational, instead([](Liar&, const M& m) {
         M message = m;
         message.add(codec::DeletePayload{.protocol = ProtocolId::ike, .spis = {}});
         return only(codec::serialize(message));
       }),
       ignored(DatagramDrop::unexpected)},
      // Message ids.
      {"request_sent_again", "RFC 7296 2.1", Step::informational, instead([](Liar& liar, const M& m) {
         M message = m;
         message.header.message_id = model::MessageId(1);
         message.header.exchange = ExchangeType::ike_auth;
         return only(liar.honest(message));
       }),
       repeated()},
      {"old_message_id_with_other_content", "RFC 7296 2.1", Step::informational, in_message([](M& m) {
         m.header.message_id = model::MessageId(1);
         m.add(codec::DeletePayload{.protocol = ProtocolId::ike, .spis = {}});
       }),
       repeated()},
      {"message_id_far_ahead", "RFC 7296 2.3", Step::informational,
       in_message([](M& m) { m.header.message_id = model::MessageId(1000); }), ignored(DatagramDrop::old_message_id)},
      {"message_id_one_ahead", "RFC 7296 2.3", Step::informational,
       in_message([](M& m) { m.header.message_id = model::MessageId(m.header.message_id.value() + 1); }),
       ignored(DatagramDrop::old_message_id)},
      {"message_id_one_ahead_within_the_window", "RFC 7296 2.3", Step::informational,
       in_message([](M& m) { m.header.message_id = model::MessageId(m.header.message_id.value() + 1); }), answered(),
       kWide},
      {"message_id_at_the_end_of_the_window", "RFC 7296 2.3", Step::informational,
       in_message([](M& m) { m.header.message_id = model::MessageId(m.header.message_id.value() + 3); }), answered(),
       kWide},
      {"message_id_beyond_the_window", "RFC 7296 2.3", Step::informational,
       in_message([](M& m) { m.header.message_id = model::MessageId(m.header.message_id.value() + 4); }),
       ignored(DatagramDrop::old_message_id), kWide},
      {"old_message_id_within_the_window", "RFC 7296 2.1", Step::informational, in_message([](M& m) {
         m.header.message_id = model::MessageId(1);
         m.add(codec::DeletePayload{.protocol = ProtocolId::ike, .spis = {}});
       }),
       repeated(), kWide},
      {"response_to_nothing", "RFC 7296 2.2", Step::informational, in_message([](M& m) { m.header.response = true; }),
       ignored(DatagramDrop::old_message_id)},
      {"request_with_a_wrong_icv", "RFC 7296 2.21.2", Step::informational, in_octets([](Bytes& o) { o.back() ^= 1; }),
       ignored(DatagramDrop::bad_integrity)},
      {"request_cut_short", "RFC 7296 3.1", Step::informational, in_octets([](Bytes& o) { o.resize(o.size() - 1); }),
       ignored(DatagramDrop::malformed)},
      {"request_of_the_other_role",
       "RFC 7296 3.1",
       Step::informational,
       in_message([](M& m) { m.header.initiator = false; }),
       {.reply = Reply::notify, .notify = NotifyType::invalid_ike_spi, .drop = DatagramDrop::unknown_ike_sa}},
      // Exchanges that have had their time, or are none.
      {"second_ike_auth", "RFC 7296 1.2", Step::informational, exchange(ExchangeType::ike_auth),
       ends(NotifyType::invalid_syntax)},
      {"intermediate_after_ike_auth", "RFC 9242 3.2", Step::informational, exchange(ExchangeType::ike_intermediate),
       ends(NotifyType::invalid_syntax)},
      {"key_exchange_in_intermediate_after_ike_auth", "RFC 9242 3.2", Step::informational, in_message([](M& m) {
         m.header.exchange = ExchangeType::ike_intermediate;
         m.add(codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)});
       }),
       ends(NotifyType::invalid_syntax)},
      {"ike_sa_init_inside_an_ike_sa", "RFC 7296 1.2", Step::informational, exchange(ExchangeType::ike_sa_init),
       ends(NotifyType::invalid_syntax)},
      {"unknown_exchange", "RFC 7296 2.21.3", Step::informational, exchange(static_cast<ExchangeType>(240)),
       ends(NotifyType::invalid_syntax)},
      // Payloads that do not belong there.
      {"eap_after_ike_auth", "RFC 7296 2.16", Step::informational,
       in_message([](M& m) { m.add(codec::EapPayload{{3, 1, 0, 4}}); }), ends(NotifyType::invalid_syntax)},
      {"identity_in_informational", "RFC 7296 1.4", Step::informational, in_message([](M& m) {
         m.add(codec::IdPayload{
             .side = Role::initiator, .identity = model::Identity::parse("root.example"), .reserved = {}});
       }),
       ends(NotifyType::invalid_syntax)},
      {"critical_payload_in_informational", "RFC 7296 2.5", Step::informational,
       in_message([](M& m) { m.add(codec::UnknownPayload{.type = 200, .critical = true, .body = {1}}); }),
       refused(NotifyType::unsupported_critical_payload)},
      {"unknown_payload_in_informational", "RFC 7296 2.5", Step::informational,
       in_message([](M& m) { m.add(codec::UnknownPayload{.type = 200, .critical = false, .body = {1}}); }), answered()},
      {"notify_cut_short", "RFC 7296 3.10", Step::informational, in_chain([](auto& first, Bytes& chain) {
         first = model::PayloadType::notify;
         chain = {0, 0, 0, 7, 0, 0, 64};
       }),
       ends(NotifyType::invalid_syntax)},
      {"notify_with_an_spi_beyond_its_end", "RFC 7296 3.10", Step::informational,
       in_chain([](auto& first, Bytes& chain) {
         first = model::PayloadType::notify;
         chain = {0, 0, 0, 10, 3, 200, 64, 9, 1, 2};
       }),
       ends(NotifyType::invalid_syntax)},
      // Notifications.
      {"invalid_selectors", "RFC 7296 2.21.4", Step::informational, says(NotifyType::invalid_selectors, Bytes(40, 1)),
       reported},
      {"invalid_syntax_reported", "RFC 7296 2.21.4", Step::informational, says(NotifyType::invalid_syntax), reported},
      {"unknown_error_reported", "RFC 7296 3.10.1", Step::informational, says(static_cast<NotifyType>(9999)), reported},
      {"cookie_inside_an_ike_sa", "RFC 7296 2.6", Step::informational, says(NotifyType::cookie, Bytes(40, 3)),
       answered()},
      {"initial_contact_outside_ike_auth", "RFC 7296 2.4", Step::informational, says(NotifyType::initial_contact),
       answered()},
      {"window_of_four_billion", "RFC 7296 2.3", Step::informational,
       says(NotifyType::set_window_size, {0xff, 0xff, 0xff, 0xff}), answered()},
      {"window_of_three_octets", "RFC 7296 2.3", Step::informational, says(NotifyType::set_window_size, {0, 0, 9}),
       answered()},
      {"window_of_four_billion_for_who_wants_four", "RFC 7296 2.3", Step::informational,
       says(NotifyType::set_window_size, {0xff, 0xff, 0xff, 0xff}), answered(), kWide},
      {"window_of_zero", "RFC 7296 2.3", Step::informational, says(NotifyType::set_window_size, {0, 0, 0, 0}),
       answered()},
      {"redirect_inside_an_ike_sa", "RFC 5685 5", Step::informational_back,
       says(NotifyType::redirect, {1, 4, 192, 0, 2, 99}),
       Outcome{.reply = Reply::empty, .drop = DatagramDrop::bad_redirect}},
      {"addresses_of_mobike_nobody_agreed_to", "RFC 4555 3.3", Step::informational,
       says(NotifyType::update_sa_addresses), answered()},
      {"rekey_sa_in_informational", "RFC 7296 1.3.3", Step::informational, says(NotifyType::rekey_sa), answered()},
      {"authentication_failed_afterwards", "RFC 7296 2.21.2", Step::informational,
       says(NotifyType::authentication_failed), counted(ends_both, Refusal::refused_by_peer)},
      {"configuration_flood", "RFC 7296 3.15", Step::informational, in_message([](M& m) {
         for (int n = 0; n < 30; ++n) {
           codec::ConfigurationPayload set{.type = model::ConfigurationType::set, .attributes = {}};
           for (std::uint16_t one = 0; one < 200; ++one) set.attributes.push_back({.type = one, .value = {1, 2, 3, 4}});
           m.add(set);
         }
       }),
       answered()},
      {"unprotected_invalid_ike_spi", "RFC 7296 2.21.4", Step::informational, instead([](Liar&, const M& m) {
         M message = m;
         message.header.response = true;
         message.header.message_id = model::MessageId(0x7fffffff);
         message.add_notify(NotifyType::invalid_ike_spi);
         return only(codec::serialize(message));
       }),
       ignored(DatagramDrop::unexpected)},
      // Answers.
      {"answer_cut_short",
       "RFC 7296 2.21.3",
       Step::informational_answer,
       in_chain([](auto& first, Bytes& chain) {
         first = model::PayloadType::notify;
         chain = {0, 0, 0, 9};
       }),
       {.reply = Reply::deletes, .after = After::gone, .refusal = Refusal::invalid_answer}},
      {"answer_of_another_exchange_type", "RFC 7296 2.2", Step::informational_answer,
       exchange(ExchangeType::create_child_sa), ignored(DatagramDrop::unexpected)},
      {"answer_with_another_message_id", "RFC 7296 2.2", Step::informational_answer,
       in_message([](M& m) { m.header.message_id = model::MessageId(m.header.message_id.value() + 1); }),
       ignored(DatagramDrop::old_message_id)},
      {"answer_that_deletes_strangers", "RFC 7296 1.4.1", Step::informational_answer,
       deletes(ProtocolId::esp, {model::Spi(0x12345678)}), harmless()},
      {"answer_with_an_error", "RFC 7296 2.21.4", Step::informational_answer, says(NotifyType::invalid_selectors),
       counted(harmless(), Refusal::refused_by_peer)},
      {"answer_in_the_clear", "RFC 7296 2.21.2", Step::informational_answer,
       instead([](Liar&, const M& m) { return only(codec::serialize(m)); }), ignored(DatagramDrop::unexpected)},
  };
}

}  // namespace culvert::liar
