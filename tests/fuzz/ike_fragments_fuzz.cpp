// libFuzzer: IKE fragments put together (RFC 7383 2.6). The first octets choose a suite and what the message says;
// then records
//
//   kind, which (2 octets)
//
// follow: a set of fragments is made of the message, larger in number than all before; a fragment of any set arrives,
// as it is, bent, or with places of the record's choice. Whatever arrives in whatever order: what is put together is
// the message, every octet of it, and what is kept has its bounds.
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/random.hpp"
#include "crypto/packet_cipher.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/seal.hpp"
#include "ike/v2/reassembly.hpp"

namespace {

using namespace culvert;
using namespace culvert::ike;
using v2::Reassembly;

constexpr std::array<crypto::PacketSuite, 2> kSuites{
    crypto::PacketSuite{crypto::CipherId::aes_gcm_16, 128, crypto::IntegrityId::none},
    crypto::PacketSuite{crypto::CipherId::aes_cbc, 128, crypto::IntegrityId::hmac_sha2_256_128}};

/// As the receiver does it: judged, opened, kept.
class Receiver {
 public:
  explicit Receiver(const crypto::PacketSuite& suite, const codec::MessageContent& message)
      : message_(message),
        opener_(codec::MessageOpener::make(suite, Bytes(crypto::sizes_of(suite).encryption_key, 1),
                                           Bytes(crypto::sizes_of(suite).integrity_key, 2))
                    .value()) {}

  void take(ByteView datagram) {
    const auto parsed = codec::parse_message(datagram);
    if (!parsed || !parsed->sealed || !parsed->sealed->fragment) return;
    const codec::FragmentPlace place = *parsed->sealed->fragment;
    CHECK(place.number >= 1 && place.number <= place.total);
    if (parts_.judge(place) != Reassembly::Verdict::wanted) return;
    auto part = opener_.open_chain(datagram, *parsed);
    if (!part) return;
    const auto state = parts_.add(*parsed->sealed, SecretBytes::copy_of(*part), datagram.size());
    if (state == Reassembly::State::incomplete) {
      CHECK(parts_.total() == place.total && place.total > 1);
      return;
    }
    const Reassembly whole = std::exchange(parts_, Reassembly());
    if (state == Reassembly::State::too_much) {
      CHECK(whole.total() == 0);
      return;
    }
    const v2::OpenedContent content = whole.content();
    CHECK(equal(content.chain.view(), message_.chain.view()) && content.first == message_.first);
  }

 private:
  const codec::MessageContent& message_;
  codec::MessageOpener opener_;
  Reassembly parts_;
};

enum Kind : std::uint8_t { make_set, as_it_is, bent, other_place, anything, kinds };

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader records({data, size});
  const std::uint8_t choice = records.u8();
  const crypto::PacketSuite& suite = kSuites[choice & 1];
  SeededRandom random(choice);
  codec::MessageContent message;
  message.header.spi_i = model::IkeSpi(1);
  message.first = static_cast<model::PayloadType>(33 + (choice >> 1) % 16);
  message.chain = SecretBytes(records.u16() % 20000);
  random.fill(message.chain.mutable_view());
  auto sealer = codec::MessageSealer::make(suite, Bytes(crypto::sizes_of(suite).encryption_key, 1),
                                           Bytes(crypto::sizes_of(suite).integrity_key, 2), random)
                    .value();
  Receiver receiver(suite, message);
  std::vector<Bytes> sent;
  std::size_t total = 0;
  for (unsigned round = 0; round < 400 && records.remaining() >= 3; ++round) {
    const std::uint8_t kind = records.u8() % kinds;
    const std::uint16_t which = records.u16();
    if (kind == make_set) {
      const std::size_t most = 120 + which % 4000;
      const std::size_t parts = codec::SealedSizes(suite).fragments(message.chain.size(), most);
      if (parts <= total || sent.size() > 1000) continue;  // RFC 7383 2.5.2: the total grows
      total = parts;
      for (Bytes& one : sealer.seal_fragments(message, most)) sent.push_back(std::move(one));
      continue;
    }
    if (kind == anything) {
      receiver.take(records.bytes(std::min<std::size_t>(which, records.remaining())));
      continue;
    }
    if (sent.empty()) continue;
    Bytes datagram = sent[which % sent.size()];
    if (kind == bent) datagram[which % datagram.size()] ^= static_cast<std::uint8_t>(1 + which % 255);
    if (kind == other_place) store_be16(datagram.data() + 32 + (which & 2), which);
    receiver.take(datagram);
  }
  return 0;
}
