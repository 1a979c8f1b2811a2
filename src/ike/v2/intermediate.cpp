#include "ike/v2/intermediate.hpp"

#include <utility>

#include "ike/codec/serialize.hpp"
#include "ike/puzzle.hpp"
#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/keys.hpp"

namespace culvert::ike::v2 {
namespace {

using model::Role;

// RFC 9242 3.3.2: prf(SK_p, what came before | A | P). A is the IKE header and the generic header of the Encrypted
// payload with the lengths that they would have without IV, padding and ICV, whether it went in fragments or not; and
// what is between them, which is the solution of a puzzle.
void note(IkeSa& sa, Role side, ByteView header, model::PayloadType first, std::uint8_t flags, ByteView chain) {
  Bytes a = to_bytes(header);
  const Bytes front = octets_in_front(sa, *codec::parse_header(header));
  a[16] = front.empty() ? static_cast<std::uint8_t>(model::PayloadType::encrypted) : kPuzzleSolutionPayload;
  a.insert(a.end(), front.begin(), front.end());
  const std::size_t at = a.size();
  a.resize(at + codec::kPayloadHeaderSize);
  store_be32(a.data() + 24, static_cast<std::uint32_t>(a.size() + chain.size()));
  a[at] = static_cast<std::uint8_t>(first);
  a[at + 1] = flags;
  store_be16(a.data() + at + 2, static_cast<std::uint16_t>(codec::kPayloadHeaderSize + chain.size()));
  if (!sa.intermediate) sa.intermediate = IntermediateState{};
  SecretBytes& int_auth = side == Role::initiator ? sa.intermediate->int_auth_i : sa.intermediate->int_auth_r;
  int_auth = sa.prf(sa.keys.sk_p(side), {int_auth.view(), a, chain});
}

}  // namespace

bool knows_intermediate(const codec::Message& message) {
  return message.notify(model::NotifyType::intermediate_exchange_supported) != nullptr;
}

std::optional<model::KeyExchangeMethod> additional_method(const model::IkeSuite& suite, unsigned n) {
  for (const model::KeyExchangeMethod method : suite.additional) {
    if (method != model::KeyExchangeMethod::none && n-- == 0) return method;
  }
  return std::nullopt;
}

void note_intermediate(IkeSa& sa, const codec::Message& ours) {
  const codec::MessageContent content = codec::content_of(ours);
  note(sa, sa.role, codec::serialize_header(ours.header, model::PayloadType::encrypted, 0), content.first, 0,
       content.chain.view());
}

void note_intermediate(IkeSa& sa, ByteView header, const OpenedContent& theirs) {
  note(sa, sa.peer_role(), header, theirs.first, theirs.flags, theirs.chain.view());
}

void append_int_auth(const IkeSa& sa, Bytes& octets) {
  if (!sa.intermediate || sa.intermediate->exchanges == 0) return;
  ByteWriter writer;
  writer.bytes(sa.intermediate->int_auth_i.view());
  writer.bytes(sa.intermediate->int_auth_r.view());
  // RFC 9242 3.3.2: the message id of the first IKE_AUTH.
  writer.u32(sa.intermediate->exchanges + 1);
  octets.insert(octets.end(), writer.view().begin(), writer.view().end());
}

SecretBytes skeyseed_with(const IkeSa& sa, ByteView shared_secret) {
  // RFC 9370 2.2.2: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr).
  return skeyseed_rekey(sa.prf, sa.keys.sk_d(), shared_secret, sa.init->nonce_i, sa.init->nonce_r);
}

SecretBytes sk_d_with(const IkeSa& sa, ByteView skeyseed) {
  if (skeyseed.empty()) return SecretBytes::copy_of(sa.keys.sk_d());
  const auto suite = model::packet_suite(sa.suite.encryption, sa.suite.key_bits, sa.suite.integrity);
  const SkKeys keys = derive_sk_keys(sa.prf, *suite, skeyseed, sa.init->nonce_i, sa.init->nonce_r, sa.spi_i, sa.spi_r);
  return SecretBytes::copy_of(keys.sk_d());
}

Result<void, crypto::CryptoError> end_intermediate(Core& core, IkeSa& sa, model::MessageId id, bool key_exchange,
                                                   ByteView skeyseed) {
  ++sa.intermediate->exchanges;
  if (key_exchange) ++sa.intermediate->done;
  if (skeyseed.empty()) return {};
  sa.earlier_keys = EarlierKeys{.id = id, .keys = std::move(sa.keys), .next_iv = sa.next_iv};
  return key_ike_sa(core, sa, model::IkeSuite(sa.suite), skeyseed, sa.init->nonce_i, sa.init->nonce_r);
}

}  // namespace culvert::ike::v2
