// libFuzzer: the IKE message codec (RFC 7296 3). Any octets are parsed as a message, as a chain of payloads and as the
// body of each payload; what parses must say the same after being written and read again, in the clear and inside an
// Encrypted payload.
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/random.hpp"
#include "crypto/packet_cipher.hpp"
#include "ike/codec/configuration.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/seal.hpp"
#include "ike/codec/serialize.hpp"

namespace {

using namespace culvert;
using namespace culvert::ike::codec;
using model::PayloadType;

/// Both directions of an IKE SA with one suite and known keys.
class Channel {
 public:
  explicit Channel(const crypto::PacketSuite& suite)
      : sealer_(MessageSealer::make(suite, Bytes(crypto::sizes_of(suite).encryption_key, 1),
                                    Bytes(crypto::sizes_of(suite).integrity_key, 2), random_)
                    .value()),
        opener_(MessageOpener::make(suite, Bytes(crypto::sizes_of(suite).encryption_key, 1),
                                    Bytes(crypto::sizes_of(suite).integrity_key, 2))
                    .value()) {}

  /// What arrives from the fuzzer is no message of this SA.
  void refuse(ByteView octets, const ParsedMessage& parsed) { CHECK(!opener_.open(octets, parsed).has_value()); }

  void carry(const Message& message) {
    if (sealer_.sealed_size(message) > 0xffff) return;
    const Bytes wire = sealer_.seal(message);
    const auto parsed = parse_message(wire);
    CHECK(parsed.has_value());
    const auto opened = opener_.open(wire, *parsed);
    CHECK(opened.has_value() && opened->payloads == message.payloads);
  }

 private:
  SeededRandom random_{1};
  MessageSealer sealer_;
  MessageOpener opener_;
};

std::array<Channel, 2>& channels() {
  using crypto::CipherId;
  using crypto::IntegrityId;
  static std::array<Channel, 2> both{Channel({CipherId::aes_gcm_16, 256, IntegrityId::none}),
                                     Channel({CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128})};
  return both;
}

/// Attributes that we do not know are noted, not kept: they cannot come back.
void forget_unknown_attributes(std::vector<Payload>& payloads) {
  for (Payload& payload : payloads) {
    auto* sa = std::get_if<SaPayload>(&payload);
    if (sa == nullptr) continue;
    for (model::Proposal& proposal : sa->proposals) {
      for (model::Transform& transform : proposal.transforms) transform.unknown_attribute = false;
    }
  }
}

void check_message(ByteView octets) {
  auto parsed = parse_message(octets);
  if (!parsed) {
    CHECK(!parsed.error().to_string().empty() && parsed.error().offset <= octets.size());
    return;
  }
  CHECK(parsed->payloads.size() <= kMaxPayloads);
  if (parsed->sealed) {
    for (Channel& channel : channels()) channel.refuse(octets, *parsed);
  }
  (void)unsupported_critical(parsed->payloads);
  forget_unknown_attributes(parsed->payloads);
  const Message message{parsed->header, std::move(parsed->payloads)};
  CHECK(!summary(message).empty());

  const Bytes wire = serialize(message);
  CHECK(wire.size() <= octets.size());
  const auto again = parse_message(wire);
  CHECK(again.has_value() && !again->sealed);
  Header expected = message.header;
  expected.length = static_cast<std::uint32_t>(wire.size());
  expected.next_payload = first_type(message.payloads);
  CHECK(again->header == expected && again->payloads == message.payloads);
  for (Channel& channel : channels()) channel.carry(message);
}

/// Whatever the attributes hold is read as a request and as a reply; what we would say of it reads the same.
void check_configuration(ByteView body) {
  const auto parsed = parse_payload_body(PayloadType::configuration, false, body);
  if (!parsed) return;
  const auto& payload = std::get<ConfigurationPayload>(*parsed);
  ConfigurationRequest request = read_request(payload);
  CHECK(request.addresses.size() <= kMostConfigurationAddresses && request.ignored <= payload.attributes.size());
  ConfigurationReply reply = read_reply(payload);
  CHECK(reply.ignored <= payload.attributes.size());
  model::Configuration& said = reply.configuration;
  said.encrypted_dns.clear();
  if (said.dns_servers.empty()) said.domains.clear();
  request.domains = true;
  CHECK(read_reply(make_reply(said, request)).configuration == said);
}

void check_chain(PayloadType first, ByteView octets) {
  auto payloads = parse_payloads(first, octets);
  if (!payloads) return;
  forget_unknown_attributes(*payloads);
  const auto again = parse_payloads(first_type(*payloads), serialize_payloads(*payloads));
  CHECK(again.has_value() && *again == *payloads);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0xffff) return 0;
  const ByteView octets(data, size);
  check_message(octets);
  if (size < kHeaderSize) return 0;

  // The same with the length made right, for it seldom survives a mutation.
  Bytes message = to_bytes(octets);
  store_be32(message.data() + 24, static_cast<std::uint32_t>(size));
  check_message(message);

  // As if an Encrypted payload had held everything behind the header.
  const ByteView chain = octets.subspan(kHeaderSize);
  check_chain(static_cast<PayloadType>(data[16]), chain);
  for (int type = static_cast<int>(PayloadType::sa); type <= static_cast<int>(PayloadType::eap); ++type) {
    (void)parse_payload_body(static_cast<PayloadType>(type), false, chain);
  }
  check_configuration(chain);
  return 0;
}
