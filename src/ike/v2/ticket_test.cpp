// Tickets of session resumption (RFC 5723 6.1): what is in one, and which were shown before.
#include "ike/v2/ticket.hpp"

#include <gtest/gtest.h>

#include "ike/secrets.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/ticket_memory.hpp"

namespace culvert::ike::v2 {
namespace {

TicketKey key_of(std::uint8_t id) {
  TicketKey key{.id = {id}, .made = 0, .key = SecretBytes(32)};
  key.key.mutable_view()[0] = id;
  return key;
}

TicketState some_state() {
  TicketState state;
  state.expires = 1'700'000'000;
  state.proof_until = 1'700'000'500;
  state.auth_until = 1'700'000'600;
  state.spi_i = model::IkeSpi(0x1122334455667788);
  state.spi_r = model::IkeSpi(0x99aabbccddeeff00);
  state.sk_d = SecretBytes::copy_of(Bytes(32, 7));
  state.connection = "office";
  state.policy.fill(3);
  state.id_i = model::Identity::parse("a.example");
  state.id_r = model::Identity::parse("b@example.net");
  state.eap_identity = "carol";
  state.group = "staff";
  state.ppk_use = PpkUse::ike_auth;
  return state;
}

bool same(const TicketState& a, const TicketState& b) { return equal(encode_state(a).view(), encode_state(b).view()); }

TEST(Ticket, HoldsWhatWasPutIn) {
  SeededRandom random{5};
  std::vector<TicketKey> keys;
  keys.push_back(key_of(1));
  keys.push_back(key_of(2));
  for (const TicketKey& key : keys) {
    const auto opened = open_ticket(keys, seal_ticket(key, some_state(), random));
    ASSERT_TRUE(opened);
    EXPECT_TRUE(same(*opened, some_state()));
  }
  // Never the same twice, whoever counts what.
  EXPECT_NE(seal_ticket(keys[0], some_state(), random), seal_ticket(keys[0], some_state(), random));
}

TEST(Ticket, AChangedOneIsNone) {  // RFC 5723 6.1, 9.2
  SeededRandom random{5};
  std::vector<TicketKey> keys;
  keys.push_back(key_of(1));
  const Bytes ticket = seal_ticket(keys[0], some_state(), random);
  for (std::size_t at = 0; at < ticket.size(); ++at) {
    Bytes changed = ticket;
    changed[at] ^= 0x10;
    EXPECT_FALSE(open_ticket(keys, changed)) << at;
    EXPECT_FALSE(open_ticket(keys, ByteView(ticket).first(at))) << at;
  }
  EXPECT_FALSE(open_ticket({}, ticket));
  Bytes longer = ticket;
  longer.push_back(0);
  EXPECT_FALSE(open_ticket(keys, longer));
}

TEST(Ticket, OneThatNoDatagramHasRoomForIsNone) {
  SeededRandom random{5};
  TicketState state = some_state();
  state.id_i = {model::IdentificationType::key_id, Bytes(3000, 'x')};
  EXPECT_TRUE(seal_ticket(key_of(1), state, random).empty());
}

TEST(Ticket, AStateThatEndsAnywhereElseIsNone) {
  const SecretBytes whole = encode_state(some_state());
  ASSERT_TRUE(decode_state(whole.view()));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode_state(whole.view().first(size))) << size;
}

TEST(Ticket, AUseOfPpksThatThereIsNotIsNone) {
  const SecretBytes whole = encode_state(some_state());
  for (int use = 0; use < 256; ++use) {
    Bytes state = to_bytes(whole.view());
    state.back() = static_cast<std::uint8_t>(use);
    EXPECT_EQ(decode_state(state).has_value(), use <= static_cast<int>(PpkUse::intermediate)) << use;
  }
}

TEST(SpentTickets, ForgetThoseThatEndSoonest) {  // RFC 5723 9.8
  SpentTickets spent;
  for (std::uint64_t i = 1; i <= 100'001; ++i)
    spent.add({model::IkeSpi(i), model::IkeSpi(i)}, 1000 + static_cast<std::int64_t>(i), 500);
  EXPECT_FALSE(spent.has({model::IkeSpi(1), model::IkeSpi(1)}));
  EXPECT_TRUE(spent.has({model::IkeSpi(2), model::IkeSpi(2)}));
  EXPECT_TRUE(spent.has({model::IkeSpi(100'001), model::IkeSpi(100'001)}));
  spent.add({model::IkeSpi(5), model::IkeSpi(6)}, 300'000, 200'000);
  EXPECT_FALSE(spent.has({model::IkeSpi(100'001), model::IkeSpi(100'001)}));
  EXPECT_TRUE(spent.has({model::IkeSpi(5), model::IkeSpi(6)}));
}

TEST(SpentTickets, OfTwoEndsTheLaterCounts) {
  SpentTickets spent;
  const SpentTickets::Key one{model::IkeSpi(1), model::IkeSpi(2)};
  spent.add(one, 1000, 500);
  spent.add(one, 2000, 500);
  spent.add(one, 1500, 500);
  spent.add({model::IkeSpi(3), model::IkeSpi(4)}, 3000, 1800);
  EXPECT_TRUE(spent.has(one));
  spent.add({model::IkeSpi(5), model::IkeSpi(6)}, 3000, 2000);
  EXPECT_FALSE(spent.has(one));
}

}  // namespace
}  // namespace culvert::ike::v2
