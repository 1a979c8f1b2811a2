// Messages in fragments (RFC 7383) that cannot be, or never become whole.
#include "ike/codec/serialize.hpp"
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;
using model::NotifyType;
using model::PayloadType;

namespace {

using M = codec::Message;

const Setting kAgreed{.fragmentation = true};

Bytes one(Liar& liar, const M& honest, std::uint16_t number, std::uint16_t total, std::size_t size = 40,
          ByteView clear = {}) {
  Bytes part(size, 0);
  return liar.seal(honest.header, number == 1 ? PayloadType::id_i : PayloadType::none, part,
                   codec::FragmentPlace{number, total}, clear);
}

}  // namespace

std::vector<Fault> fragment_faults() {
  // Authentic, so that it is the peer's own fault.
  const Outcome oversized{.reply = Reply::notify,
                          .after = After::gone,
                          .notify = NotifyType::invalid_syntax,
                          .drop = DatagramDrop::oversized_message};
  return {
      {"fragments_in_disorder", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         auto all = liar.fragments(m, 5);
         std::ranges::reverse(all);
         return all;
       }),
       harmless(), kAgreed},
      {"fragments_nobody_agreed_to", "RFC 7383 2.3", Step::auth_request,
       instead([](Liar& liar, const M& m) { return liar.fragments(m, 3); }),
       ignored(DatagramDrop::unexpected_fragment)},
      {"fragment_number_0", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return only(one(liar, m, 0, 3)); }), ignored(DatagramDrop::bad_fragment),
       kAgreed},
      {"fragment_total_0", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return only(one(liar, m, 1, 0)); }), ignored(DatagramDrop::bad_fragment),
       kAgreed},
      {"fragment_number_above_the_total", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return only(one(liar, m, 4, 3)); }), ignored(DatagramDrop::bad_fragment),
       kAgreed},
      {"fragment_of_65535", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return only(one(liar, m, 65535, 65535)); }), oversized, kAgreed},
      {"payload_before_a_later_fragment", "RFC 7383 2.5.3", Step::auth_request, instead([](Liar& liar, const M& m) {
         const Bytes clear = {static_cast<std::uint8_t>(PayloadType::encrypted_fragment), 0, 0, 8, 1, 2, 3, 4};
         return only(one(liar, m, 2, 3, 40, clear));
       }),
       ignored(DatagramDrop::bad_fragment), kAgreed},
      {"fragment_with_a_wrong_icv", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         auto all = liar.fragments(m, 3);
         all[1].back() ^= 1;
         return all;
       }),
       ignored(DatagramDrop::bad_integrity), kAgreed},
      {"fragment_shorter_than_an_icv", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         Bytes cut = one(liar, m, 1, 2);
         cut.resize(codec::kHeaderSize + 8 + 10);
         store_be16(cut.data() + codec::kHeaderSize + 2, 18);
         set_length(cut);
         return only(cut);
       }),
       ignored(DatagramDrop::bad_integrity), kAgreed},
      {"fragment_sent_twice", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         auto all = liar.fragments(m, 2);
         return std::vector{all[0], all[0], all[0]};
       }),
       ignored(DatagramDrop::repeated_fragment), kAgreed},
      {"fragment_repeated_with_other_content", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return std::vector{one(liar, m, 2, 3), one(liar, m, 2, 3, 60)}; }),
       ignored(DatagramDrop::repeated_fragment), kAgreed},
      {"total_that_shrinks", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return std::vector{one(liar, m, 2, 5), one(liar, m, 1, 3)}; }),
       ignored(DatagramDrop::outdated_fragment), kAgreed},
      {"total_that_grows", "RFC 7383 2.5.2", Step::auth_request, instead([](Liar& liar, const M& m) {
         std::vector<Bytes> all = only(one(liar, m, 1, 2));
         for (Bytes& smaller : liar.fragments(m, 4)) all.push_back(std::move(smaller));
         return all;
       }),
       harmless(), kAgreed},
      {"fragments_that_never_end", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         std::vector<Bytes> all;
         for (std::uint16_t n = 2; n <= 12; ++n) all.push_back(one(liar, m, n, 13, 1000));
         return all;
       }),
       ignored(DatagramDrop::incomplete_message), kAgreed},
      {"fragments_of_more_than_a_message", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         std::vector<Bytes> all;
         for (std::uint16_t n = 1; n <= 2; ++n) all.push_back(one(liar, m, n, 20, 60000));
         return all;
       }),
       oversized, kAgreed},
      {"empty_fragments", "RFC 7383 2.5", Step::auth_request, instead([](Liar& liar, const M& m) {
         std::vector<Bytes> all;
         for (std::uint16_t n = 1; n <= 4; ++n) all.push_back(one(liar, m, n, 4, 1));
         return all;
       }),
       ends(NotifyType::invalid_syntax), kAgreed},
      {"fragments_of_rubbish", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return std::vector{one(liar, m, 1, 2, 100), one(liar, m, 2, 2, 100)}; }),
       ends(NotifyType::invalid_syntax), kAgreed},
      {"whole_message_between_fragments", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) { return std::vector{one(liar, m, 2, 3), liar.honest(m)}; }), harmless(),
       kAgreed},
      {"clear_message_between_fragments", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         auto all = liar.fragments(m, 2);
         return std::vector{all[0], codec::serialize(m)};
       }),
       ignored(DatagramDrop::unexpected), kAgreed},
      {"fragments_of_an_answer_never_asked_for", "RFC 7383 2.6", Step::auth_request,
       instead([](Liar& liar, const M& m) {
         M answer = m;
         answer.header.response = true;
         return only(one(liar, answer, 1, 2));
       }),
       ignored(DatagramDrop::old_message_id), kAgreed},
      {"fragments_of_a_request_to_come", "RFC 7383 2.6", Step::auth_request, instead([](Liar& liar, const M& m) {
         M later = m;
         later.header.message_id = model::MessageId(9);
         return only(one(liar, later, 1, 2));
       }),
       ignored(DatagramDrop::old_message_id), kAgreed},
  };
}

}  // namespace culvert::liar
