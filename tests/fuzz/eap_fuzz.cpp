// EAP between our server and our client, with somebody in between. The first octet chooses the methods of both and
// whether the client knows the password; then records
//
//   kind, length (2 octets), data
//
// follow, one for each packet, of the server and the client by turns: the packet goes as it is, with data XORed onto
// it, cut to so many octets, with data behind it, or data goes in its place. Whoever does not know the password is
// never let in, and does not believe that it was; who ends well has the same key at both ends.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/random.hpp"
#include "ike/eap/client.hpp"
#include "ike/eap/server.hpp"

namespace {

using namespace culvert;
using namespace culvert::ike::eap;
using model::EapType;
using State = Outcome::State;

constexpr EapType kAll[] = {EapType::mschapv2, EapType::md5_challenge, EapType::gtc};

std::vector<EapType> methods(unsigned bits) {
  std::vector<EapType> chosen;
  for (unsigned i = 0; i < std::size(kAll); ++i) {
    if ((bits >> i & 1) != 0) chosen.push_back(kAll[i]);
  }
  if (chosen.empty()) chosen.push_back(EapType::mschapv2);
  return chosen;
}

class OneUser final : public Users {
 public:
  explicit OneUser(RandomSource& random) : secret(24) {
    random.fill(secret.mutable_view());
    for (std::uint8_t& octet : secret.mutable_view()) octet = static_cast<std::uint8_t>('a' + octet % 26);
  }
  [[nodiscard]] const SecretBytes* secret_of(std::string_view identity) const override {
    return identity == "carol" ? &secret : nullptr;
  }
  SecretBytes secret;
};

enum Kind : std::uint8_t { unchanged, bent, cut, longer, replaced, kinds };

Bytes in_between(Bytes packet, ByteReader& records) {
  if (records.remaining() < 3) return packet;
  const std::uint8_t kind = records.u8();
  const std::size_t length = records.u16();
  const ByteView data = records.bytes(std::min(length, records.remaining()));
  switch (kind % kinds) {
    case bent:
      for (std::size_t i = 0; i < std::min(packet.size(), data.size()); ++i) packet[i] ^= data[i];
      return packet;
    case cut: packet.resize(std::min(packet.size(), length)); return packet;
    case longer: packet.insert(packet.end(), data.begin(), data.end()); return packet;
    case replaced: return to_bytes(data);
    default: return packet;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader records({data, size});
  const std::uint8_t choice = records.u8();
  SeededRandom random(choice);
  const OneUser users(random);
  const bool knows = (choice & 0x80) != 0;
  SecretBytes secret = users.secret.clone();
  if (!knows) secret.mutable_view()[0] ^= 1;
  EapServer server(methods(choice & 7), random, users);
  EapClient client(methods(choice >> 3 & 7), "carol", std::move(secret), random);
  Outcome at_server = server.begin();
  Outcome at_client;
  unsigned rounds = 0;
  for (; at_server.state == State::going; ++rounds) {
    CHECK(!at_server.packet.empty());
    at_client = client.handle(in_between(at_server.packet, records));
    if (at_client.state != State::going) break;
    CHECK(!at_client.packet.empty());
    at_server = server.handle(in_between(at_client.packet, records));
  }
  CHECK(rounds <= kMostRounds);
  if (at_server.state == State::success) at_client = client.handle(in_between(at_server.packet, records));
  CHECK(at_server.state != State::success || (knows && at_server.identity == "carol"));
  CHECK(at_server.state != State::failure || at_server.refusal.has_value());
  CHECK(at_server.state != State::success || !at_server.refusal.has_value());
  CHECK((at_client.state == State::failure) == at_client.refusal.has_value());
  if (at_client.state != State::success) return 0;
  // MD5 and GTC prove nothing about the server, MSCHAPv2 does.
  CHECK(at_client.method != EapType::mschapv2 || knows);
  if (at_server.state == State::success && at_server.method == at_client.method)
    CHECK(equal(at_server.msk.view(), at_client.msk.view()));
  return 0;
}
