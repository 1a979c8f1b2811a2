#include "ike/v2/ticket.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/prf.hpp"

namespace culvert::ike::v2 {
namespace {

constexpr std::uint8_t kVersion = 3;
constexpr std::size_t kSalt = 16;
constexpr std::size_t kIcv = 16;
constexpr std::size_t kHead = 1 + 8 + kSalt;
constexpr crypto::PacketSuite kSuite{.cipher = crypto::CipherId::aes_gcm_16, .key_bits = 256};
constexpr std::size_t kCipherKey = 32 + 4;  // with its salt
constexpr std::array<std::uint8_t, 8> kIv{};
// With it IKE_SESSION_RESUME, which cannot be cut, stays below what every path takes (RFC 8200 5).
constexpr std::size_t kMostState = 900;

// RFC 5723 9.5: AES-256-GCM; key and nonce are this ticket's alone.
std::unique_ptr<crypto::PacketCipher> cipher_for(const TicketKey& key, ByteView salt) {
  const SecretBytes derived =
      crypto::hmac(crypto::HashId::sha2_512, key.key.view(), {as_bytes("culvert ticket"), salt});
  auto cipher = crypto::make_packet_cipher(kSuite, derived.view().first(kCipherKey), {}, crypto::Backend::openssl);
  CHECK(cipher);
  return std::move(*cipher);
}

void put(ByteWriter& writer, ByteView text) {
  writer.u16(static_cast<std::uint16_t>(text.size()));
  writer.bytes(text);
}

void put(ByteWriter& writer, const model::Identity& identity) {
  writer.u8(static_cast<std::uint8_t>(identity.type));
  put(writer, ByteView(identity.data));
}

void put(ByteWriter& writer, const model::EapSettings& eap) {
  writer.u8(static_cast<std::uint8_t>((eap.client ? 1U : 0U) | (eap.only ? 2U : 0U)));
  writer.u16(static_cast<std::uint16_t>(eap.methods.size()));
  for (const model::EapType method : eap.methods) writer.u32(static_cast<std::uint32_t>(method));
  writer.u16(static_cast<std::uint16_t>(eap.inner.size()));
  for (const model::EapInner inner : eap.inner) writer.u8(static_cast<std::uint8_t>(inner));
  put(writer, as_bytes(eap.radius));
  put(writer, as_bytes(eap.identity));
  put(writer, eap.server.value_or(model::Identity::none()));
}

ByteView take(ByteReader& reader) { return reader.bytes(reader.u16()); }

std::string take_text(ByteReader& reader) {
  const ByteView text = take(reader);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

model::Identity take_identity(ByteReader& reader) {
  const auto type = static_cast<model::IdentificationType>(reader.u8());
  return {type, to_bytes(take(reader))};
}

void put(ByteWriter& writer, const model::IkeSuite& suite) {
  writer.u16(static_cast<std::uint16_t>(suite.encryption));
  writer.u16(suite.key_bits);
  writer.u16(static_cast<std::uint16_t>(suite.prf));
  writer.u16(static_cast<std::uint16_t>(suite.integrity));
  writer.u16(static_cast<std::uint16_t>(suite.key_exchange));
  for (const model::KeyExchangeMethod method : suite.additional) writer.u16(static_cast<std::uint16_t>(method));
}

model::IkeSuite take_suite(ByteReader& reader) {
  model::IkeSuite suite;
  suite.encryption = static_cast<model::EncryptionId>(reader.u16());
  suite.key_bits = reader.u16();
  suite.prf = static_cast<model::PrfId>(reader.u16());
  suite.integrity = static_cast<model::IntegrityId>(reader.u16());
  suite.key_exchange = static_cast<model::KeyExchangeMethod>(reader.u16());
  for (model::KeyExchangeMethod& method : suite.additional)
    method = static_cast<model::KeyExchangeMethod>(reader.u16());
  return suite;
}

}  // namespace

PolicyDigest policy_digest(const model::ConnectionConfig& config) {
  ByteWriter parts;
  parts.u8(static_cast<std::uint8_t>(config.authentication));
  parts.u8(static_cast<std::uint8_t>(config.expected()));
  parts.u8(config.eap ? 1 : 0);
  parts.u8(config.peer_by_key ? 1 : 0);
  parts.u8(config.ppk && config.ppk->required ? 1 : 0);
  parts.u32(config.credential_group);
  parts.u8(config.sha1_signatures ? 1 : 0);
  parts.u64(static_cast<std::uint64_t>(config.life.reauthentication.count()));
  put(parts, as_bytes(config.ppk ? config.ppk->id : std::string()));
  put(parts, config.eap ? *config.eap : model::EapSettings());
  put(parts, config.local_id.value_or(model::Identity::none()));
  put(parts, config.remote_id.value_or(model::Identity::none()));
  put(parts, as_bytes(config.remote_pattern ? config.remote_pattern->to_string() : std::string()));
  parts.bytes(config.authorities);
  const Bytes whole = crypto::hash(crypto::HashId::sha2_256, {as_bytes("culvert policy"), parts.view()});
  PolicyDigest front{};
  std::copy_n(whole.begin(), front.size(), front.begin());
  return front;
}

TicketState TicketState::clone() const {
  return {.expires = expires,
          .proof_until = proof_until,
          .auth_until = auth_until,
          .spi_i = spi_i,
          .spi_r = spi_r,
          .suite = suite,
          .sk_d = sk_d.clone(),
          .connection = connection,
          .policy = policy,
          .id_i = id_i,
          .id_r = id_r,
          .eap_identity = eap_identity,
          .group = group,
          .ppk_use = ppk_use};
}

SecretBytes encode_state(const TicketState& state) {
  ByteWriter writer;
  writer.u64(static_cast<std::uint64_t>(state.expires));
  writer.u64(static_cast<std::uint64_t>(state.proof_until));
  writer.u64(static_cast<std::uint64_t>(state.auth_until));
  writer.u64(state.spi_i.value());
  writer.u64(state.spi_r.value());
  put(writer, state.suite);
  writer.u16(static_cast<std::uint16_t>(state.sk_d.size()));
  // The secret itself only where it will be wiped: what the writer outgrows is freed as it is.
  const std::size_t secret = writer.size();
  writer.zeros(state.sk_d.size());
  put(writer, as_bytes(state.connection));
  writer.bytes(state.policy);
  put(writer, state.id_i);
  put(writer, state.id_r);
  put(writer, as_bytes(state.eap_identity));
  put(writer, as_bytes(state.group));
  writer.u8(static_cast<std::uint8_t>(state.ppk_use));
  SecretBytes octets = SecretBytes::copy_of(writer.view());
  std::ranges::copy(state.sk_d.view(), octets.mutable_view().begin() + static_cast<std::ptrdiff_t>(secret));
  return octets;
}

std::optional<TicketState> decode_state(ByteView octets) {
  ByteReader reader(octets);
  TicketState state;
  state.expires = static_cast<std::int64_t>(reader.u64());
  state.proof_until = static_cast<std::int64_t>(reader.u64());
  state.auth_until = static_cast<std::int64_t>(reader.u64());
  state.spi_i = model::IkeSpi(reader.u64());
  state.spi_r = model::IkeSpi(reader.u64());
  state.suite = take_suite(reader);
  state.sk_d = SecretBytes::copy_of(take(reader));
  state.connection = take_text(reader);
  std::ranges::copy(reader.bytes(state.policy.size()), state.policy.begin());
  state.id_i = take_identity(reader);
  state.id_r = take_identity(reader);
  state.eap_identity = take_text(reader);
  state.group = take_text(reader);
  const std::uint8_t ppk_use = reader.u8();
  if (ppk_use > static_cast<std::uint8_t>(PpkUse::intermediate)) return std::nullopt;
  state.ppk_use = static_cast<PpkUse>(ppk_use);
  if (!reader.at_end()) return std::nullopt;
  const auto prf = model::prf_function(state.suite.prf);
  if (!prf || state.sk_d.size() != prf->size()) return std::nullopt;
  return state;
}

Bytes seal_ticket(const TicketKey& key, const TicketState& state, RandomSource& random) {
  const SecretBytes plain = encode_state(state);
  if (plain.size() > kMostState) return {};
  Bytes ticket(kHead + plain.size() + kIcv);
  ticket[0] = kVersion;
  std::ranges::copy(key.id, ticket.begin() + 1);
  const MutableByteView salt = MutableByteView(ticket).subspan(kHead - kSalt, kSalt);
  random.fill(salt);
  crypto::PacketJob job;
  job.iv = kIv.data();
  job.aad = ByteView(ticket).first(kHead);
  job.input = plain.view().data();
  job.output = ticket.data() + kHead;
  job.length = plain.size();
  job.icv = ticket.data() + kHead + plain.size();
  cipher_for(key, salt)->seal({&job, 1});
  return ticket;
}

std::optional<TicketState> open_ticket(std::span<const TicketKey> keys, ByteView ticket) {
  if (ticket.size() <= kHead + kIcv || ticket.size() > kHead + kMostState + kIcv || ticket[0] != kVersion)
    return std::nullopt;
  const auto key =
      std::ranges::find_if(keys, [&](const TicketKey& one) { return equal(one.id, ticket.subspan(1, 8)); });
  if (key == keys.end()) return std::nullopt;
  SecretBytes plain(ticket.size() - kHead - kIcv);
  Bytes icv = to_bytes(ticket.last(kIcv));
  crypto::PacketJob job;
  job.iv = kIv.data();
  job.aad = ticket.first(kHead);
  job.input = ticket.data() + kHead;
  job.output = plain.mutable_view().data();
  job.length = plain.size();
  job.icv = icv.data();
  cipher_for(*key, ticket.subspan(kHead - kSalt, kSalt))->open({&job, 1});
  if (!job.ok) return std::nullopt;
  return decode_state(plain.view());
}

}  // namespace culvert::ike::v2
