// EAP-TLS, TTLS and PEAP. The first octet chooses what the rest is given to:
//
//   0, 1   the packets behind one another (length, 2 octets; data): the fragments of one side, put together
//   2      the attributes of TTLS
//   3..    the packets as the other side of a conversation, server or client, by each method, with what the packets say
//          as TLS records and as whole flights. Nobody without the key of a certificate comes anywhere.
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/random.hpp"
#include "ike/eap/attributes.hpp"
#include "ike/eap/client.hpp"
#include "ike/eap/packet.hpp"
#include "ike/eap/server.hpp"
#include "ike/eap/testing/tls_ends.hpp"
#include "ike/eap/tls_fragments.hpp"

namespace {

using namespace culvert;
using namespace culvert::ike::eap;
using culvert::ike::eap::testing::TlsEnd;
using model::EapCode;
using model::EapType;
using State = Outcome::State;

class NoUsers final : public Users {
 public:
  [[nodiscard]] const SecretBytes* secret_of(std::string_view) const override { return nullptr; }
};

Bytes next(ByteReader& packets) {
  const std::size_t length = packets.u16();
  return to_bytes(packets.bytes(std::min(length, packets.remaining())));
}

void join(ByteReader& packets) {
  TlsFragments fragments;
  std::size_t given = 0;
  while (!packets.at_end() && packets.ok()) {
    const Bytes packet = next(packets);
    const auto received = fragments.receive(packet);
    if (!received) return;
    given += packet.size();
    CHECK(received->message.size() <= std::min(given, kMostTlsMessage));
    CHECK(received->complete || received->message.empty());
    if (received->complete) given = 0;
    fragments.say(received->message);
    do {
      const Bytes part = fragments.next();
      CHECK(part.size() <= kTlsFragment + 5);
    } while (fragments.has_more());
  }
}

void read_attributes(ByteView octets) {
  const auto all = parse_attributes(octets);
  if (!all) return;
  std::size_t total = 0;
  for (const Attribute& one : *all) {
    CHECK(one.data.data() >= octets.data() && one.data.data() + one.data.size() <= octets.data() + octets.size());
    total += one.data.size() + 8;
  }
  CHECK(total <= octets.size());
}

void converse(std::uint8_t choice, ByteReader& packets) {
  static const auto server_context = TlsEnd::of(culvert::ike::eap::testing::server_certificate()).context(true);
  static const auto client_context = TlsEnd::of(culvert::ike::eap::testing::client_certificate()).context(false);
  constexpr EapType kTypes[] = {EapType::tls, EapType::ttls, EapType::peap};
  const EapType type = kTypes[choice / 2 % 3];
  const bool server = choice % 2 == 0;
  SeededRandom random(choice);
  const NoUsers users;
  TlsTerms terms{.context = server ? server_context : client_context,
                 .inner = {model::EapInner::mschapv2, model::EapInner::pap},
                 .server = model::Identity::parse("b.example"),
                 .now = culvert::ike::eap::testing::kToday};
  if (type == EapType::peap) terms.inner.pop_back();
  EapServer one({type}, random, users, terms);
  EapClient other({type}, "carol", SecretBytes::copy_of(as_bytes("a pass phrase")), random, terms);
  Outcome outcome;
  if (server) {
    outcome = one.begin();
    outcome = one.handle(make_packet(EapCode::response, outcome.packet[1], EapType::identity, as_bytes("carol")));
  }
  unsigned rounds = 0;
  while (!packets.at_end() && packets.ok() && (outcome.state == State::going)) {
    CHECK(++rounds <= kMostTlsRounds);
    const Bytes data = next(packets);
    if (server) {
      outcome = one.handle(make_packet(EapCode::response, outcome.packet[1], type, data));
    } else if (data.size() == 1 && data[0] == 0xff) {
      outcome = other.handle(make_end(EapCode::success, 0));
    } else {
      outcome = other.handle(make_packet(EapCode::request, static_cast<std::uint8_t>(rounds), type, data));
    }
    CHECK(outcome.state != State::success && outcome.msk.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader packets({data, size});
  const std::uint8_t choice = packets.u8();
  if (choice < 2) {
    join(packets);
  } else if (choice == 2) {
    read_attributes(packets.rest());
  } else {
    converse(choice, packets);
  }
  return 0;
}
