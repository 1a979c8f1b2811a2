// IKE_SESSION_RESUME (RFC 5723): tickets that are none, and what comes around them.
#include "ike/codec/serialize.hpp"
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using model::NotifyType;

namespace {

using M = codec::Message;

const Setting kLoad{.under_load = true};

M resume_request(Liar& liar, const M& honest, Bytes ticket) {
  M message;
  message.header = honest.header;
  message.header.exchange = model::ExchangeType::ike_session_resume;
  message.add(codec::NoncePayload{liar.octets(32)});
  message.add_notify(NotifyType::ticket_opaque, ticket);
  return message;
}

template <typename Change>
Lie resumes(std::size_t ticket, Change change) {
  return instead([=](Liar& liar, const M& honest) {
    M message = resume_request(liar, honest, liar.octets(ticket));
    change(message);
    return only(codec::serialize(message));
  });
}
Lie resumes(std::size_t ticket) {
  return resumes(ticket, [](M&) {});
}

/// The data of a PUZZLE notification in the answer that has SA, KE and Nr.
Lie puzzle(Bytes data) {
  return in_message([data = std::move(data)](M& m) { m.add_notify(NotifyType::puzzle, data); });
}

Outcome not_taken() {
  return {.reply = Reply::notify, .notify = NotifyType::ticket_nack, .drop = DatagramDrop::bad_ticket};
}

}  // namespace

std::vector<Fault> resume_faults() {
  return {
      {"ticket_of_chance", "RFC 5723 4.3.2", Step::init_request, resumes(240), not_taken()},
      {"ticket_of_no_octets", "RFC 5723 4.3.2", Step::init_request, resumes(0), not_taken()},
      {"ticket_of_60000_octets", "RFC 5723 4.3.2", Step::init_request, resumes(60'000), not_taken()},
      {"ticket_of_a_forged_version", "RFC 5723 9.2", Step::init_request,
       resumes(240, [](M& m) { part<codec::NotifyPayload>(m).data[0] = 1; }), not_taken()},
      {"resume_without_ticket", "RFC 5723 4.3.2", Step::init_request,
       resumes(240, [](M& m) { remove<codec::NotifyPayload>(m); }), ignored(DatagramDrop::malformed)},
      {"resume_without_nonce", "RFC 5723 4.3.2", Step::init_request,
       resumes(240, [](M& m) { remove<codec::NoncePayload>(m); }), ignored(DatagramDrop::malformed)},
      {"resume_with_two_nonces", "RFC 5723 4.3.2", Step::init_request,
       resumes(240, [](M& m) { repeat<codec::NoncePayload>(m); }), ignored(DatagramDrop::malformed)},
      {"resume_with_a_key_exchange", "RFC 5723 4.3.2", Step::init_request,
       resumes(240,
               [](M& m) {
                 m.add(codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)});
               }),
       ignored(DatagramDrop::malformed)},
      {"resume_with_spi_i_zero", "RFC 7296 3.1", Step::init_request,
       resumes(240, [](M& m) { m.header.spi_i = model::IkeSpi(0); }), ignored(DatagramDrop::malformed)},
      {"resume_with_message_id_one", "RFC 5723 4.3.2", Step::init_request,
       resumes(240, [](M& m) { m.header.message_id = model::MessageId(1); }), ignored(DatagramDrop::unexpected)},
      {"resume_without_cookie_under_load",
       "RFC 5723 4.3.2",
       Step::init_request,
       resumes(240),
       {.reply = Reply::notify, .notify = NotifyType::cookie, .drop = DatagramDrop::half_open_limit},
       kLoad},
      // As if ours had begun by a ticket.
      {"ticket_nack_for_ike_sa_init", "RFC 5723 4.3.2", Step::init_answer, instead([](Liar&, const M& honest) {
         M message;
         message.header = honest.header;
         message.header.spi_r = model::IkeSpi(0);
         message.add_notify(NotifyType::ticket_nack);
         return only(codec::serialize(message));
       }),
       awaits_better(ike::FailureKind::protocol_error)},
      {"puzzle_without_cookie",
       "RFC 8019 7.1.2",
       Step::init_answer,
       instead([](Liar&, const M& honest) {
         M message;
         message.header = honest.header;
         message.header.spi_r = model::IkeSpi(0);
         message.add_notify(NotifyType::puzzle, Bytes{0, 5, 8});
         return only(codec::serialize(message));
       }),
       {.drop = DatagramDrop::unexpected, .failure = ike::FailureKind::no_answer}},
      // The liar wants no solution; where ours has one, it stands in front.
      {"init_answer_with_a_light_puzzle", "RFC 8019 7.2.2", Step::init_answer, puzzle({0, 5, 8}), harmless()},
      {"init_answer_with_a_puzzle_of_no_bits", "RFC 8019 7.2.1.1", Step::init_answer, puzzle({0, 5, 0}), harmless()},
      {"init_answer_with_a_puzzle_too_hard", "RFC 8019 7.2.2", Step::init_answer, puzzle({0, 5, 200}), harmless()},
      {"init_answer_with_a_puzzle_of_an_unknown_prf", "RFC 8019 7.2.2", Step::init_answer, puzzle({3, 5, 8}),
       harmless()},
      {"init_answer_with_a_malformed_puzzle", "RFC 8019 8.1", Step::init_answer, puzzle({0, 5}), harmless()},
      {"answer_of_session_resume_for_ike_sa_init",
       "RFC 5723 4.3.2",
       Step::init_answer,
       in_message([](M& m) { m.header.exchange = model::ExchangeType::ike_session_resume; }),
       {.drop = DatagramDrop::unexpected, .failure = ike::FailureKind::no_answer}},
      {"ticket_that_nobody_asked_for", "RFC 5723 4.2", Step::auth_answer, in_message([](M& m) {
         m.add(codec::NotifyPayload{.protocol = model::ProtocolId::none,
                                    .spi = {},
                                    .type = NotifyType::ticket_lt_opaque,
                                    .data = Bytes(99, 1)});
       }),
       harmless()},
      {"ticket_request_where_none_are_given",
       "RFC 5723 4.1",
       Step::auth_request,
       in_message([](M& m) {
         m.add(codec::NotifyPayload{
             .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::ticket_request, .data = {}});
       }),
       {.reply = Reply::notify,
        .after = After::as_honest,
        .notify = NotifyType::ticket_nack,
        .refusal = ike::Refusal::no_ticket}},
  };
}

}  // namespace culvert::liar
