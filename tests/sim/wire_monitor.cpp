#include "tests/sim/wire_monitor.hpp"

#include <algorithm>
#include <cstring>

#include "crypto/packet_cipher.hpp"
#include "ike/puzzle.hpp"
#include "model/proposal.hpp"

namespace culvert::sim {
namespace {

constexpr std::uint8_t kIkeSaInit = 34;
constexpr std::uint8_t kInformational = 37;
constexpr std::uint8_t kIkeIntermediate = 43;
constexpr std::uint8_t kEncryptedPayload = 46;
constexpr std::uint8_t kEncryptedFragment = 53;

std::uint64_t digest_of(const model::SaKeys& keys) {
  return digest(keys.integrity.view(), digest(keys.encryption.view()));
}

}  // namespace

// ---------------------------------------------------------------- what the data planes do

void WireMonitor::installed(Side at, const model::ChildSaParams& params) {
  const std::uint64_t key = digest_of(params.outbound);
  if (key == digest_of(params.inbound)) log_.fail("{} has one key for both directions of a Child SA", name_of(at));
  if (!esp_keys_.insert(key).second) log_.fail("{} uses the keys of an earlier Child SA again", name_of(at));
  const auto suite = model::packet_suite(params.suite.encryption, params.suite.key_bits, params.suite.integrity);
  OutboundSa sa{.child = params.id, .ivs = {}};
  if (suite) sa.iv_size = crypto::sizes_of(*suite).iv;
  sa.encrypted = suite && suite->encrypts();
  sa.aggfrag = params.treatment.aggfrag.has_value();
  may_be_plain_ = may_be_plain_ || !sa.encrypted;
  outbound_[index_of(at)].insert_or_assign(params.spi_outbound.value(), std::move(sa));
  spi_of_[index_of(at)][params.id] = params.spi_outbound.value();
  log_.line("{} installs Child SA {}: SPI 0x{:08x} in, 0x{:08x} out{}{}", name_of(at), params.id.value(),
            params.spi_inbound.value(), params.spi_outbound.value(), params.hold_outbound ? ", outbound held" : "",
            params.replaces ? fmt::format(", replaces {}", params.replaces->value()) : "");
}

void WireMonitor::removed(Side at, model::ChildSaId child) {
  const auto spi = spi_of_[index_of(at)].find(child);
  if (spi == spi_of_[index_of(at)].end()) return;
  const auto sa = outbound_[index_of(at)].find(spi->second);
  if (sa != outbound_[index_of(at)].end() && sa->second.child == child) outbound_[index_of(at)].erase(sa);
  spi_of_[index_of(at)].erase(spi);
  log_.line("{} removes Child SA {}", name_of(at), child.value());
}

bool WireMonitor::all_aggfrag(Side at) const {
  const auto& pairs = outbound_[index_of(at)];
  return !pairs.empty() && std::ranges::all_of(pairs, [](const auto& one) { return one.second.aggfrag; });
}

void WireMonitor::crashed(Side at) {
  outbound_[index_of(at)].clear();
  spi_of_[index_of(at)].clear();
}

void WireMonitor::forget_all_but(std::uint64_t spi_i, std::uint64_t spi_r) {
  const SpiPair kept(spi_i, spi_r);
  const auto gone = [&](const auto& entry) { return std::get<0>(entry.first) != kept; };
  std::erase_if(requests_by_sa_, gone);
  std::erase_if(responses_, gone);
  std::erase_if(ike_ivs_, gone);
  std::unordered_set<std::uint64_t>().swap(esp_keys_);
  for (auto& of_side : outbound_) {
    // Buckets are as many as there ever were.
    std::unordered_map<std::uint32_t, OutboundSa> standing;
    for (auto& [spi, sa] : of_side) standing.emplace(spi, std::move(sa));
    of_side = std::move(standing);
  }
}

// ---------------------------------------------------------------- what the network sees

void WireMonitor::sent(Side from, const Packet& packet) {
  ++packets_;
  run_digest_ = digest(packet.bytes, run_digest_ ^ packet.source.port ^ (std::uint64_t{packet.destination.port} << 16));
  const WireView view = wire_view(packet, packet.source.port);
  log_.line("{} sends {} -> {}: {}{}", name_of(from), packet.source.to_string(), packet.destination.to_string(),
            describe(view), packet.inner ? fmt::format(", inner {:x}", *packet.inner) : "");
  if (packet.inner) ledger_.sent_as_esp(*packet.inner);
  check_plaintext(from, packet.bytes);
  if (view.kind == WireKind::esp) check_esp(from, view.body);
  if (view.kind == WireKind::ike) check_ike(from, view.body);
}

void WireMonitor::duplicated(Side, const Packet& packet) {
  if (packet.inner) ledger_.duplicated(*packet.inner);
}

void WireMonitor::dropped(Side from, const Packet& packet, DropCause cause) {
  if (packet.inner) ledger_.dropped(*packet.inner);
  if (!log_.enabled()) return;
  const std::uint16_t port = packet.source.port == kIkePort ? kIkePort : kNatPort;
  log_.line("  dropped ({}), from {}: {}", name_of(cause), name_of(from), describe(wire_view(packet, port)));
}

void WireMonitor::arrived(Side at, const Packet& packet) {
  const WireView view = wire_view(packet, packet.destination.port);
  if (log_.enabled()) log_.line("{} gets {}", name_of(at), describe(view));
  if (view.kind != WireKind::ike) return;
  const auto header = ike_header(view.body);
  if (!header || !header->response) return;
  const auto stream = requests_by_sa_.find({SpiPair(header->spi_i, header->spi_r), at});
  if (stream != requests_by_sa_.end()) stream->second.open.erase(header->message_id);
}

// ---------------------------------------------------------------- the checks

void WireMonitor::check_plaintext(Side from, ByteView bytes) {
  if (may_be_plain_ || bytes.size() < kInnerMagic.size()) return;
  if (memmem(bytes.data(), bytes.size(), kInnerMagic.data(), kInnerMagic.size()) == nullptr) return;
  log_.fail("{} sent an inner packet in plaintext", name_of(from));
}

void WireMonitor::check_esp(Side from, ByteView packet) {
  if (packet.size() < 24) return log_.fail("{} sent an ESP packet of {} octets", name_of(from), packet.size());
  const std::uint32_t spi = load_be32(packet.data());
  const auto found = outbound_[index_of(from)].find(spi);
  if (found == outbound_[index_of(from)].end())
    return log_.fail("{} sent ESP with SPI 0x{:08x}, which it has no SA for", name_of(from), spi);
  OutboundSa& sa = found->second;
  // RFC 4303 2.2: the sequence number grows by one per packet and never cycles.
  const std::uint32_t sequence = load_be32(packet.data() + 4);
  if (failovers_ ? sequence <= sa.last_sequence : sequence != sa.last_sequence + 1) {
    return log_.fail("{} sent ESP sequence {} after {} with SPI 0x{:08x}", name_of(from), sequence, sa.last_sequence,
                     spi);
  }
  sa.last_sequence = sequence;
  // RFC 4106 2, RFC 7634 2: one nonce is used once under one key.
  if (sa.iv_size >= 8 && !sa.ivs.insert(load_be64(packet.data() + 8)).second) {
    log_.fail("{} used an IV twice with SPI 0x{:08x}", name_of(from), spi);
  }
}

void WireMonitor::check_ike(Side from, ByteView message) {
  const auto header = ike_header(message);
  if (!header) return log_.fail("{} sent a broken IKE message of {} octets", name_of(from), message.size());
  if (header->exchange == kIkeSaInit) {
    if (!header->response) ++requests_[0];
    return;
  }
  std::uint8_t type = header->next_payload;
  std::size_t sealed_at = 28;
  // RFC 8019 7.2.2: in front of the first one.
  if (type == ike::kPuzzleSolutionPayload && message.size() >= 32) {
    ++solutions_;
    type = message[28];
    sealed_at += load_be16(message.data() + 30);
  }
  const bool fragment = type == kEncryptedFragment;
  if (type != kEncryptedPayload && !fragment) return;
  const SpiPair spis(header->spi_i, header->spi_r);
  const std::uint64_t message_digest = digest(message);
  const std::size_t iv_at = sealed_at + (fragment ? 8 : 4);
  if (message.size() >= iv_at + 8) {
    // Each IKE_INTERMEDIATE ends with new keys.
    const std::uint32_t generation = header->exchange == kIkeIntermediate ? header->message_id : 0;
    const auto [known, fresh] = ike_ivs_.try_emplace(
        {spis, header->from_initiator, generation, load_be64(message.data() + iv_at)}, message_digest);
    if (!fresh && known->second != message_digest)
      log_.fail("{} used an IV twice in an IKE SA: {}", name_of(from), describe({WireKind::ike, message}));
  }
  Part part;
  if (fragment && message.size() >= iv_at)
    part = {load_be16(message.data() + sealed_at + 4), load_be16(message.data() + sealed_at + 6)};
  if (fragment) ++fragments_;
  // RFC 6311 5.1: messages that set the numbers have none of their own.
  if (failovers_ && header->message_id == 0 && header->exchange == kInformational) return;
  if (header->response) {
    check_response(from, *header, part, message_digest);
  } else {
    check_request(from, *header, part, message_digest);
  }
}

// RFC 7296 2.1: octet by octet the same. RFC 7383 2.5.2: or cut anew, and then in more parts than before.
bool WireMonitor::repeats(Sent& sent, Part part, std::uint64_t message_digest) {
  if (part.total < sent.total) return false;
  if (part.total > sent.total) sent = {part.total, {}};
  return sent.digests.try_emplace(part.number, message_digest).first->second == message_digest;
}

// RFC 7296 2.1 to 2.3: requests are numbered one by one, repeated octet by octet, and as many are outstanding as
// SET_WINDOW_SIZE allows.
void WireMonitor::check_request(Side from, const IkeHeader& header, Part part, std::uint64_t message_digest) {
  const auto [found, fresh] = requests_by_sa_.try_emplace({SpiPair(header.spi_i, header.spi_r), from});
  RequestStream& stream = found->second;
  if (const auto known = stream.sent.find(header.message_id); known != stream.sent.end()) {
    if (!repeats(known->second, part, message_digest))
      log_.fail("{} repeated request {} with other octets", name_of(from), header.message_id);
    return;
  }
  const bool skips = failovers_ && header.message_id > (fresh ? 1 : stream.last_id + 1);
  if (skips) stream.open.clear();
  const bool beyond = !stream.open.empty() && header.message_id - *stream.open.begin() >= window_;
  if (!skips && (fresh ? header.message_id > 1 : header.message_id != stream.last_id + 1)) {
    log_.fail("{} sent request {} after request {}", name_of(from), header.message_id, stream.last_id);
  } else if (!fresh && beyond && !shutting_down_[index_of(from)]) {
    log_.fail("{} sent request {} while {} was outstanding", name_of(from), header.message_id, *stream.open.begin());
  }
  if (header.exchange >= kIkeSaInit && header.exchange < kIkeSaInit + requests_.size())
    ++requests_[header.exchange - kIkeSaInit];
  stream.last_id = header.message_id;
  stream.open.insert(header.message_id);
  stream.sent[header.message_id] = {part.total, {{part.number, message_digest}}};
  constexpr std::uint32_t kKept = 128;
  std::erase_if(stream.sent, [&](const auto& one) { return one.first + kKept < header.message_id; });
}

void WireMonitor::check_response(Side from, const IkeHeader& header, Part part, std::uint64_t message_digest) {
  Sent& sent = responses_[{SpiPair(header.spi_i, header.spi_r), from, header.message_id}];
  if (!repeats(sent, part, message_digest))
    log_.fail("{} answered request {} in two ways", name_of(from), header.message_id);
}

}  // namespace culvert::sim
