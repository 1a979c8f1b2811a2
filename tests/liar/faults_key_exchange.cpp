// Additional key exchanges: IKE_INTERMEDIATE (RFC 9242) and IKE_FOLLOWUP_KE (RFC 9370) with ML-KEM, out of order, of
// the wrong method, of the wrong length.
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using ike::FailureKind;
using model::ExchangeType;
using model::KeyExchangeMethod;
using model::NotifyType;

namespace {

using M = codec::Message;

const Setting kHybrid{.ike = "aes256gcm16-prfsha256-x25519-ke1_mlkem512"};
const Setting kFollow{.esp = "aes256gcm16-x25519-ke1_mlkem512"};

Lie value(Bytes octets) {
  return in_message([octets](M& m) { part<codec::KePayload>(m).public_value = octets; });
}
Lie method(KeyExchangeMethod other) {
  return in_message([=](M& m) { part<codec::KePayload>(m).method = other; });
}

}  // namespace

std::vector<Fault> key_exchange_faults() {
  const Outcome given_up_there = given_up(FailureKind::protocol_error);
  return {
      {"intermediate_with_message_id_2", "RFC 9242 3.2", Step::intermediate_request,
       in_message([](M& m) { m.header.message_id = model::MessageId(2); }), ignored(DatagramDrop::old_message_id),
       kHybrid},
      {"ike_auth_in_place_of_intermediate",
       "RFC 9370 2.2.2",
       Step::auth_request,
       {},
       ignored(DatagramDrop::unexpected),
       kHybrid},
      {"informational_in_place_of_intermediate",
       "RFC 9242 3.2",
       Step::informational_early,
       {},
       ignored(DatagramDrop::unexpected),
       kHybrid},
      {"intermediate_of_another_method", "RFC 9370 2.2.2", Step::intermediate_request,
       method(KeyExchangeMethod::ml_kem_768), ends(NotifyType::invalid_syntax), kHybrid},
      {"intermediate_of_the_first_method", "RFC 9370 2.2.2", Step::intermediate_request, in_message([](M& m) {
         part<codec::KePayload>(m) = {.method = KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)};
       }),
       ends(NotifyType::invalid_syntax), kHybrid},
      {"ml_kem_key_one_octet_short", "RFC 7296 3.4, FIPS 203 7.2", Step::intermediate_request,
       in_message([](M& m) { part<codec::KePayload>(m).public_value.pop_back(); }), ends(NotifyType::invalid_syntax),
       kHybrid},
      {"ml_kem_key_one_octet_long", "RFC 7296 3.4, FIPS 203 7.2", Step::intermediate_request,
       in_message([](M& m) { part<codec::KePayload>(m).public_value.push_back(0); }), ends(NotifyType::invalid_syntax),
       kHybrid},
      {"ml_kem_key_not_reduced", "RFC 7296 3.4, FIPS 203 7.2", Step::intermediate_request, value(Bytes(800, 0xff)),
       ends(NotifyType::invalid_syntax), kHybrid},
      {"intermediate_without_ke", "RFC 9370 2.2.2", Step::intermediate_request,
       in_message([](M& m) { m.payloads.clear(); }), ends(NotifyType::invalid_syntax), kHybrid},
      {"intermediate_with_two_ke", "RFC 9370 2.2.2", Step::intermediate_request,
       in_message([](M& m) { repeat<codec::KePayload>(m); }), ends(NotifyType::invalid_syntax), kHybrid},
      {"intermediate_with_identity", "RFC 9242 3.2, RFC 9593 3.1", Step::intermediate_request, in_message([](M& m) {
         m.add(codec::IdPayload{
             .side = Role::initiator, .identity = model::Identity::parse("a.example"), .reserved = {}});
       }),
       // RFC 9593 3.1 lets an initiator say there who it is, and all else that is not asked for counts as not there.
       harmless(), kHybrid},
      {"intermediate_answer_of_another_method", "RFC 9370 2.2.2", Step::intermediate_answer,
       method(KeyExchangeMethod::ml_kem_768), given_up_there, kHybrid},
      {"ml_kem_ciphertext_one_octet_short", "RFC 7296 3.4, FIPS 203 7.3", Step::intermediate_answer,
       in_message([](M& m) { part<codec::KePayload>(m).public_value.pop_back(); }), given_up_there, kHybrid},
      {"ml_kem_ciphertext_one_octet_long", "RFC 7296 3.4, FIPS 203 7.3", Step::intermediate_answer,
       in_message([](M& m) { part<codec::KePayload>(m).public_value.push_back(0); }), given_up_there, kHybrid},
      {"intermediate_answer_without_ke", "RFC 9370 2.2.2", Step::intermediate_answer,
       in_message([](M& m) { m.payloads.clear(); }), given_up_there, kHybrid},
      {"intermediate_answer_that_refuses",
       "RFC 9242 3.4",
       Step::intermediate_answer,
       in_message([](M& m) {
         m.payloads.clear();
         m.add_notify(NotifyType::invalid_syntax);
       }),
       {.after = After::gone, .refusal = ike::Refusal::refused_by_peer},
       kHybrid},
      {"ike_auth_where_an_intermediate_answer_is_due",
       "RFC 9242 3.2",
       Step::intermediate_answer,
       in_message([](M& m) { m.header.exchange = ExchangeType::ike_auth; }),
       {.drop = DatagramDrop::unexpected, .failure = FailureKind::no_answer},
       kHybrid},
      // IKE_FOLLOWUP_KE.
      {"follow_up_behind_nothing", "RFC 9370 2.2.4", Step::informational, in_message([](Liar& liar, M& m) {
         m.header.exchange = ExchangeType::ike_followup_ke;
         m.add(liar.new_ke(KeyExchangeMethod::ml_kem_512));
         m.add_notify(NotifyType::additional_key_exchange, Bytes(16, 1));
       }),
       refused(NotifyType::state_not_found)},
      {"follow_up_with_another_link", "RFC 9370 2.2.4", Step::follow_up_request,
       in_message([](M& m) { part<codec::NotifyPayload>(m).data.back() ^= 1; }), refused(NotifyType::state_not_found),
       kFollow},
      {"follow_up_with_an_empty_link", "RFC 9370 2.2.4", Step::follow_up_request,
       in_message([](M& m) { part<codec::NotifyPayload>(m).data.clear(); }), refused(NotifyType::state_not_found),
       kFollow},
      {"follow_up_without_link", "RFC 9370 2.2.4", Step::follow_up_request,
       in_message([](M& m) { remove<codec::NotifyPayload>(m); }), refused(NotifyType::state_not_found), kFollow},
      {"follow_up_without_ke", "RFC 9370 2.2.4", Step::follow_up_request,
       in_message([](M& m) { remove<codec::KePayload>(m); }), ends(NotifyType::invalid_syntax), kFollow},
      {"follow_up_of_another_method", "RFC 9370 2.2.4", Step::follow_up_request, method(KeyExchangeMethod::ml_kem_768),
       ends(NotifyType::invalid_syntax), kFollow},
      {"follow_up_with_a_key_one_octet_short", "RFC 9370 2.2.4, FIPS 203 7.2", Step::follow_up_request,
       in_message([](M& m) { part<codec::KePayload>(m).public_value.pop_back(); }), ends(NotifyType::invalid_syntax),
       kFollow},
  };
}

}  // namespace culvert::liar
