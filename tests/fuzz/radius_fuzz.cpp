// libFuzzer: what comes from a RADIUS server, or from whoever says so. The first octet chooses; the rest is
//
//   even   a datagram as it is: to a client with a request under way, and to the port for dynamic authorization
//   odd    the attributes of an answer, or of a request, with all proofs right: what a server gone bad can say
//
// Without the proofs nothing is believed; with them, whatever is made of it is bounded and printable.
#include <algorithm>
#include <cstdint>

#include "base/check.hpp"
#include "base/random.hpp"
#include "ike/eap/packet.hpp"
#include "radius/client.hpp"
#include "radius/conversation.hpp"
#include "radius/dynamic_authorization.hpp"
#include "radius/mppe.hpp"

namespace {

using namespace culvert;
using namespace culvert::radius;
using State = ike::eap::Outcome::State;

const ByteView kSecret = as_bytes("what both ends know of each other");
constexpr std::int64_t kClock = 1700000000;
constexpr Instant kNow{std::chrono::seconds(1000)};

const Nas kNas{.radius = "office", .identifier = "gw", .accounting = true, .interim_interval = {}};

ClientSettings settings() {
  ClientSettings out;
  out.servers = {{net::IpAddress::v4({192, 0, 2, 9}), 1812}};
  out.secret = SecretBytes::copy_of(kSecret);
  return out;
}

void printable(const std::string& text) {
  for (const char c : text) CHECK(c >= ' ' && c < 0x7f);
}

/// Attributes as far as they are whole.
void add_attributes(PacketBuilder& builder, ByteView octets) {
  ByteReader reader(octets);
  while (reader.remaining() >= 2) {
    const auto type = static_cast<AttributeType>(reader.u8());
    const std::size_t size = std::min<std::size_t>({reader.u8(), kMostValue, reader.remaining()});
    if (builder.size() + 2 + size > kMostPacket) return;
    builder.add(type, reader.bytes(size));
  }
}

void read_raw(ByteView octets) {
  SeededRandom random(1);
  Client client(settings(), random);
  CHECK(client.begin(PacketBuilder(Code::access_request), {}, kNow));
  const auto sent = client.poll_transmit();
  // Its identifier is known to whoever sees it, or tries 256.
  Bytes copy = to_bytes(octets);
  if (copy.size() > 1) copy[1] = sent->octets[1];
  client.handle_datagram(sent->line, copy);
  client.handle_datagram(sent->line, octets);
  CHECK(!client.poll_outcome());
  while (const auto complaint = client.poll_complaint()) printable(*complaint);
  DynamicAuthorization dynamic(kNas, SecretBytes::copy_of(kSecret));
  CHECK(!dynamic.take({}, octets, kClock, kNow));
}

void believe_answer(Code code, ByteView attributes) {
  SeededRandom random(2);
  Conversation conversation(kNas, "workers", {}, random);
  const Bytes question = conversation.begin().packet;
  auto builder = conversation.take_client(
      ike::eap::make_packet(model::EapCode::response, question[1], model::EapType::identity, as_bytes("carol")));
  CHECK(builder);
  Client client(settings(), random);
  CHECK(client.begin(std::move(*builder), {}, kNow));
  const auto sent = client.poll_transmit();
  PacketBuilder answer(code);
  add_attributes(answer, attributes);
  client.handle_datagram(sent->line, answer.as_answer(sent->octets[1], authenticator_of(sent->octets), kSecret, true));
  const auto outcome = client.poll_outcome();
  if (!outcome) return;  // a second Message-Authenticator
  const auto step = conversation.take_server(outcome->answer->packet, outcome->answer->request, kSecret, 0);
  CHECK((step.outcome.state == State::success) == (step.authorization != nullptr));
  CHECK((step.outcome.state == State::failure) == step.outcome.refusal.has_value());
  CHECK(step.outcome.state != State::success || code == Code::access_accept);
  CHECK(step.outcome.state != State::going || code == Code::access_challenge);
  if (step.outcome.refusal) printable(step.outcome.refusal->to_string());
  if (step.authorization)
    CHECK(step.authorization->addresses.size() <= 2 && group_named_by(*step.authorization).size() < 64);
  if (step.outcome.state != State::going) return;
  const auto next = conversation.take_client(
      ike::eap::make_packet(model::EapCode::response, step.outcome.packet[1], model::EapType::mschapv2, attributes));
  CHECK(!next || next->size() <= kMostPacket);
}

void believe_request(Code code, ByteView attributes) {
  PacketBuilder request(code);
  add_attributes(request, attributes);
  DynamicAuthorization dynamic(kNas, SecretBytes::copy_of(kSecret));
  const Bytes octets = request.with_proof(1, kSecret, true);
  const auto taken = dynamic.take({}, octets, kClock, kNow);
  if (!taken) return;
  Bytes answer;
  if (const auto* wanted = std::get_if<DynamicAuthorization::Wanted>(&*taken)) {
    CHECK(wanted->query.names_session());
    CHECK(code == Code::coa_request || wanted->change.empty());
    answer = dynamic.answer(*wanted, 1, kNow);
  } else {
    answer = std::get<Bytes>(*taken);
  }
  const auto packet = parse(answer);
  CHECK(packet && is_answer_to(*packet, authenticator_of(octets), kSecret));
  const auto again = dynamic.take({}, octets, kClock, kNow);
  CHECK(again && std::get<Bytes>(*again) == answer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader reader({data, size});
  const std::uint8_t choice = reader.u8();
  if ((choice & 1) == 0) {
    read_raw(reader.rest());
    return 0;
  }
  switch (choice >> 1 & 7) {
    case 0: believe_request(Code::disconnect_request, reader.rest()); break;
    case 1: believe_request(Code::coa_request, reader.rest()); break;
    case 2: believe_answer(Code::access_reject, reader.rest()); break;
    case 3: believe_answer(Code::access_challenge, reader.rest()); break;
    default: believe_answer(Code::access_accept, reader.rest()); break;
  }
  return 0;
}
