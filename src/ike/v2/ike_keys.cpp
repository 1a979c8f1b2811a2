#include "ike/v2/ike_keys.hpp"

#include <utility>

#include "base/check.hpp"
#include "ike/codec/seal.hpp"
#include "ike/v2/keys.hpp"

namespace culvert::ike::v2 {
namespace {

std::optional<crypto::PacketSuite> packet_suite(const model::IkeSuite& suite) {
  return model::packet_suite(suite.encryption, suite.key_bits, suite.integrity);
}

/// Of an IKE SA that has keys: what we cannot do was never agreed on.
crypto::PacketSuite suite_of(const IkeSa& sa) {
  const auto found = packet_suite(sa.suite);
  CHECK(found);
  return *found;
}

Result<codec::MessageSealer, crypto::CryptoError> make_sealer(Core& core, const IkeSa& sa, const SkKeys& keys,
                                                              std::uint64_t next_iv) {
  return codec::MessageSealer::make(suite_of(sa), keys.sk_e(sa.role), keys.sk_a(sa.role), core.random, next_iv);
}

/// The keys that the messages with the number were, or are, protected by.
bool is_earlier(const IkeSa& sa, model::MessageId id) { return sa.earlier_keys && sa.earlier_keys->id == id; }
const SkKeys& keys_for(const IkeSa& sa, model::MessageId id) {
  return is_earlier(sa, id) ? sa.earlier_keys->keys : sa.keys;
}

codec::SealedSizes sealed_sizes(const IkeSa& sa) { return codec::SealedSizes(suite_of(sa)); }

/// For what `side` has sealed.
Result<codec::MessageOpener, crypto::CryptoError> make_opener(const IkeSa& sa, const SkKeys& keys, model::Role side) {
  return codec::MessageOpener::make(suite_of(sa), keys.sk_e(side), keys.sk_a(side));
}

}  // namespace

std::vector<Bytes> seal_within(Core& core, IkeSa& sa, const codec::MessageContent& content, std::size_t most) {
  CHECK(sa.keyed);
  const model::MessageId id = content.header.message_id;
  std::uint64_t& next_iv = is_earlier(sa, id) ? sa.earlier_keys->next_iv : sa.next_iv;
  auto sealer = make_sealer(core, sa, keys_for(sa, id), next_iv);
  CHECK(sealer);  // it could be made when the keys were
  std::vector<Bytes> datagrams;
  if (sealed_sizes(sa).whole(content.chain.size(), content.clear_size()) <= most) {
    datagrams.push_back(sealer->seal(content));
  } else {
    datagrams = sealer->seal_fragments(content, most);
  }
  next_iv = sealer->next_iv();
  return datagrams;
}

std::size_t datagrams_within(const IkeSa& sa, const codec::MessageContent& content, std::size_t most) {
  const codec::SealedSizes sizes = sealed_sizes(sa);
  const std::size_t chain = content.chain.size();
  const std::size_t clear = content.clear_size();
  return sizes.whole(chain, clear) <= most ? 1 : sizes.fragments(chain, most, clear);
}

std::optional<codec::MessageContent> reopen_own(const IkeSa& sa, ByteView datagram) {
  const auto parsed = codec::parse_message(datagram);
  if (!parsed) return std::nullopt;
  const auto& sealed = parsed->sealed;
  if (!sealed || sealed->fragment) return std::nullopt;
  auto opener = make_opener(sa, keys_for(sa, parsed->header.message_id), sa.role);
  auto chain = opener ? opener->open_chain(datagram, *parsed) : err(codec::OpenFault::not_sealed);
  if (!chain) return std::nullopt;
  codec::MessageContent content{.header = parsed->header,
                                .clear_type = model::PayloadType::none,
                                .clear = {},
                                .first = sealed->first_inner,
                                .chain = SecretBytes::copy_of(*chain)};
  wipe(*chain);
  // RFC 8019 7.2.2: of ours nothing stands in front but the solution of a puzzle.
  if (parsed->payloads.size() == 1) {
    if (const auto* front = std::get_if<codec::UnknownPayload>(parsed->payloads.data())) {
      content.clear_type = static_cast<model::PayloadType>(front->type);
      content.clear = front->body;
    }
  }
  return content;
}

Result<SecretBytes, codec::OpenFault> open_part(const IkeSa& sa, ByteView datagram,
                                                const codec::ParsedMessage& parsed) {
  CHECK(sa.keyed);
  auto opener = make_opener(sa, keys_for(sa, parsed.header.message_id), sa.peer_role());
  CHECK(opener);
  auto part = opener->open_chain(datagram, parsed);
  if (!part) return err(part.error());
  SecretBytes kept = SecretBytes::copy_of(*part);
  wipe(*part);
  return kept;
}

bool is_usable(const model::IkeSuite& suite) {
  for (const model::KeyExchangeMethod method : suite.additional) {
    if (method != model::KeyExchangeMethod::none && !model::key_exchange_id(method)) return false;
  }
  return packet_suite(suite) && model::prf_function(suite.prf) && model::key_exchange_id(suite.key_exchange);
}

Result<void, crypto::CryptoError> key_ike_sa(Core& core, IkeSa& sa, const model::IkeSuite& suite, ByteView skeyseed,
                                             ByteView nonce_i, ByteView nonce_r) {
  const auto packet = packet_suite(suite);
  const auto prf = model::prf_function(suite.prf);
  if (!packet || !prf) return err(crypto::CryptoError::unsupported);
  sa.suite = suite;
  sa.prf = *prf;
  sa.keys = derive_sk_keys(*prf, *packet, skeyseed, nonce_i, nonce_r, sa.spi_i, sa.spi_r);
  sa.next_iv = 0;
  if (auto sealer = make_sealer(core, sa, sa.keys, 0); !sealer) return err(sealer.error());
  if (auto opener = make_opener(sa, sa.keys, sa.peer_role()); !opener) return err(opener.error());
  sa.keyed = true;
  if (core.settings.export_keys) {
    core.emit(KeysExported{.spi_i = sa.spi_i,
                           .spi_r = sa.spi_r,
                           .suite = suite,
                           .sk_ei = SecretBytes::copy_of(sa.keys.sk_ei()),
                           .sk_er = SecretBytes::copy_of(sa.keys.sk_er()),
                           .sk_ai = SecretBytes::copy_of(sa.keys.sk_ai()),
                           .sk_ar = SecretBytes::copy_of(sa.keys.sk_ar())});
  }
  return {};
}

}  // namespace culvert::ike::v2
