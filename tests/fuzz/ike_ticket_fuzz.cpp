// libFuzzer: what peers show as tickets (RFC 5723). The first octet chooses; the rest is
//
//   even   a ticket as it is shown: without our key nothing may open
//   odd    the state inside one, as a key gone to others could make it: what is taken must come out again octet by
//   octet
#include <cstdint>

#include "base/check.hpp"
#include "base/random.hpp"
#include "ike/v2/ticket.hpp"
#include "model/proposal.hpp"

namespace {

using namespace culvert;
using namespace culvert::ike;

std::vector<TicketKey> keys() {
  std::vector<TicketKey> all;
  all.push_back({.id = {'k', 'e', 'y'}, .made = 0, .key = SecretBytes(32)});
  return all;
}

void shown(ByteView octets) {
  static const std::vector<TicketKey> all = keys();
  CHECK(!v2::open_ticket(all, octets));
}

void inside(ByteView octets) {
  const auto state = v2::decode_state(octets);
  if (!state) return;
  CHECK(equal(v2::encode_state(*state).view(), octets));
  const auto prf = model::prf_function(state->suite.prf);
  CHECK(prf && state->sk_d.size() == prf->size());
  (void)model::to_string(state->suite);
  for (const char c : state->id_i.to_string() + state->id_r.to_string()) CHECK(c >= ' ' && c < 0x7f);
  static const std::vector<TicketKey> all = keys();
  SeededRandom random(1);
  const Bytes ticket = v2::seal_ticket(all[0], *state, random);
  if (ticket.empty()) return;
  const auto opened = v2::open_ticket(all, ticket);
  CHECK(opened && equal(v2::encode_state(*opened).view(), octets));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView octets(data + 1, size - 1);
  (data[0] & 1) == 0 ? shown(octets) : inside(octets);
  return 0;
}
