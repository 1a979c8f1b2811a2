#include "ike/codec/seal.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "ike/codec/serialize.hpp"

namespace culvert::ike::codec {

namespace {

using crypto::CryptoError;
using crypto::PacketCipher;
using crypto::PacketJob;
using crypto::PacketSuite;
using crypto::SuiteSizes;
using model::PayloadType;

// The header, the solution of a puzzle (RFC 8019 8.2: four keys, of 64 octets at the most), and two payloads' headers.
constexpr std::size_t kMaxAeadData = 320;
constexpr std::size_t kFragmentFieldsSize = 4;  // the number and the total

Result<std::unique_ptr<PacketCipher>, CryptoError> make_cipher(const PacketSuite& suite, ByteView sk_e, ByteView sk_a) {
  const bool authenticates = suite.is_aead() || suite.integrity != crypto::IntegrityId::none;
  // RFC 8750 7: an IKE message has no number from which an IV that is not sent could be made.
  if (!suite.encrypts() || !authenticates || suite.implicit_iv()) return err(CryptoError::unsupported);
  return crypto::make_packet_cipher(suite, sk_e, sk_a);
}

/// Ciphertext comes in whole blocks with CBC only: RFC 5282 4 asks no padding of the AEADs, whatever ESP does.
std::size_t block_of(const PacketSuite& suite, const SuiteSizes& sizes) { return suite.is_aead() ? 1 : sizes.block; }

}  // namespace

SealedSizes::SealedSizes(const PacketSuite& suite) {
  const SuiteSizes sizes = crypto::sizes_of(suite);
  iv_ = sizes.iv;
  icv_ = sizes.icv;
  block_ = block_of(suite, sizes);
}

std::size_t SealedSizes::whole(std::size_t chain, std::size_t clear) const {
  return kHeaderSize + clear + kPayloadHeaderSize + iv_ + padded(chain) + icv_;
}

std::size_t SealedSizes::room(std::size_t most) const {
  const std::size_t around = kHeaderSize + kPayloadHeaderSize + kFragmentFieldsSize + iv_ + icv_;
  const std::size_t blocks = most > around ? (most - around) / block_ * block_ : 0;
  CHECK(blocks > 1);  // the pad length octet, and something
  return blocks - 1;
}

std::size_t SealedSizes::fragments(std::size_t chain, std::size_t most, std::size_t clear) const {
  const std::size_t first = room(most - clear);
  if (chain <= first) return 1;
  const std::size_t each = room(most);
  return 1 + (chain - first + each - 1) / each;
}

Bytes clear_octets(const MessageContent& content, PayloadType next) {
  if (content.clear_size() == 0) return {};
  ByteWriter octets;
  octets.u8(static_cast<std::uint8_t>(next));
  octets.u8(0);
  octets.u16(static_cast<std::uint16_t>(content.clear_size()));
  octets.bytes(content.clear);
  return octets.take();
}

MessageContent content_of(const Message& message) {
  Bytes chain = serialize_payloads(message.payloads);
  MessageContent content{
      .header = message.header, .first = first_type(message.payloads), .chain = SecretBytes::copy_of(chain)};
  wipe(chain);
  return content;
}

MessageSealer::MessageSealer(const PacketSuite& suite, std::unique_ptr<PacketCipher> cipher, RandomSource& random,
                             std::uint64_t next_iv)
    : suite_(suite), sizes_(crypto::sizes_of(suite)), cipher_(std::move(cipher)), random_(&random), next_iv_(next_iv) {}

Result<MessageSealer, CryptoError> MessageSealer::make(const PacketSuite& suite, ByteView sk_e, ByteView sk_a,
                                                       RandomSource& random, std::uint64_t next_iv) {
  auto cipher = make_cipher(suite, sk_e, sk_a);
  if (!cipher) return err(cipher.error());
  return MessageSealer(suite, std::move(*cipher), random, next_iv);
}

void MessageSealer::write_iv(MutableByteView iv) {
  if (!suite_.counter_iv()) {
    // RFC 3602 3: unpredictable.
    random_->fill(iv);
    return;
  }
  // RFC 5282 3.1, RFC 5930 2: never twice under one key.
  CHECK(iv.size() == sizeof(next_iv_) && next_iv_ != std::numeric_limits<std::uint64_t>::max());
  store_be64(iv.data(), next_iv_++);
}

std::size_t MessageSealer::sealed_size(const Message& message) const {
  return SealedSizes(suite_).whole(serialize_payloads(message.payloads).size());
}

Bytes MessageSealer::seal(const Message& message) { return seal(content_of(message)); }

Bytes MessageSealer::seal(const MessageContent& content) { return seal_octets(content, content.chain.view(), nullptr); }

std::vector<Bytes> MessageSealer::seal_fragments(const MessageContent& content, std::size_t most) {
  const SealedSizes sealed(suite_);
  const std::size_t clear = content.clear_size();
  const std::size_t total = sealed.fragments(content.chain.size(), most, clear);
  CHECK(total <= 0xffff);
  std::vector<Bytes> fragments;
  ByteView rest = content.chain.view();
  for (std::size_t number = 1; number <= total; ++number) {
    const FragmentPlace place{static_cast<std::uint16_t>(number), static_cast<std::uint16_t>(total)};
    const ByteView part = rest.first(std::min(sealed.room(number == 1 ? most - clear : most), rest.size()));
    rest = rest.subspan(part.size());
    fragments.push_back(seal_octets(content, part, &place));
  }
  return fragments;
}

Bytes MessageSealer::seal_octets(const MessageContent& content, ByteView chain, const FragmentPlace* place) {
  // RFC 7383 2.5, 2.5.3: the type of the first payload stands in the first fragment, zero in the others; so does what
  // is in front.
  const bool leads = place == nullptr || place->number == 1;
  const PayloadType own_type = place == nullptr ? PayloadType::encrypted : PayloadType::encrypted_fragment;
  const Bytes clear = leads ? clear_octets(content, own_type) : Bytes();
  const std::size_t padded = SealedSizes(suite_).padded(chain.size());
  const std::size_t fields = place == nullptr ? 0 : kFragmentFieldsSize;
  const std::size_t sealed = kPayloadHeaderSize + fields + sizes_.iv + padded + sizes_.icv;
  CHECK(sealed <= 0xffff);

  const std::size_t before = kHeaderSize + clear.size();
  Bytes out = serialize_header(content.header, clear.empty() ? own_type : content.clear_type,
                               static_cast<std::uint32_t>(before + sealed));
  out.insert(out.end(), clear.begin(), clear.end());
  out.resize(before + sealed);
  std::uint8_t* const payload = out.data() + before;
  payload[0] = static_cast<std::uint8_t>(leads ? content.first : PayloadType::none);
  store_be16(payload + 2, static_cast<std::uint16_t>(sealed));
  if (place != nullptr) {
    store_be16(payload + kPayloadHeaderSize, place->number);
    store_be16(payload + kPayloadHeaderSize + 2, place->total);
  }
  std::uint8_t* const iv = payload + kPayloadHeaderSize + fields;
  write_iv({iv, sizes_.iv});

  std::uint8_t* const plain = iv + sizes_.iv;
  std::ranges::copy(chain, plain);
  plain[padded - 1] = static_cast<std::uint8_t>(padded - chain.size() - 1);

  PacketJob job;
  job.iv = iv;
  // RFC 5282 5.1: from the IKE header to the Encrypted payload's generic header; the MAC of RFC 7296 3.14 begins there
  // too. RFC 7383 2.5: a fragment's number and total belong to it.
  job.aad = ByteView(out).first(before + kPayloadHeaderSize + fields);
  job.input = plain;
  job.output = plain;
  job.length = padded;
  job.icv = plain + padded;
  cipher_->seal({&job, 1});
  CHECK(job.ok);
  return out;
}

std::string_view name_of(OpenFault fault) {
  switch (fault) {
    case OpenFault::not_sealed: return "not encrypted";
    case OpenFault::clear_prefix: return "too many payloads in the clear";
    case OpenFault::wrong_length: return "wrong length of the Encrypted payload";
    case OpenFault::bad_integrity: return "wrong integrity checksum";
    case OpenFault::bad_padding: return "wrong padding";
    case OpenFault::malformed: return "malformed payloads inside";
  }
  return "unknown";
}

MessageOpener::MessageOpener(const PacketSuite& suite, std::unique_ptr<PacketCipher> cipher)
    : suite_(suite), sizes_(crypto::sizes_of(suite)), cipher_(std::move(cipher)) {}

Result<MessageOpener, CryptoError> MessageOpener::make(const PacketSuite& suite, ByteView sk_e, ByteView sk_a) {
  auto cipher = make_cipher(suite, sk_e, sk_a);
  if (!cipher) return err(cipher.error());
  return MessageOpener(suite, std::move(*cipher));
}

Result<Bytes, OpenFault> MessageOpener::open_chain(ByteView datagram, const ParsedMessage& parsed) {
  if (!parsed.sealed) return err(OpenFault::not_sealed);
  const std::size_t body_at =
      parsed.sealed->offset + kPayloadHeaderSize + (parsed.sealed->fragment ? kFragmentFieldsSize : 0);
  CHECK(body_at <= datagram.size());
  if (suite_.is_aead() && body_at > kMaxAeadData) return err(OpenFault::clear_prefix);

  const ByteView body = datagram.subspan(body_at);
  if (body.size() < sizes_.iv + sizes_.icv) return err(OpenFault::wrong_length);
  const std::size_t length = body.size() - sizes_.iv - sizes_.icv;
  if (length == 0 || length % block_of(suite_, sizes_) != 0) return err(OpenFault::wrong_length);

  Bytes work = to_bytes(body.subspan(sizes_.iv));
  PacketJob job;
  job.iv = body.data();
  job.aad = datagram.first(body_at);
  job.input = work.data();
  job.output = work.data();
  job.length = length;
  job.icv = work.data() + length;
  cipher_->open({&job, 1});
  if (!job.ok) return err(OpenFault::bad_integrity);

  // RFC 7296 3.14: any content and any amount of padding up to 255 octets is accepted.
  const std::size_t padding = work[length - 1];
  if (padding + 1 > length) return err(OpenFault::bad_padding);
  work.resize(length - 1 - padding);
  return work;
}

Result<Message, OpenError> MessageOpener::open(ByteView datagram, const ParsedMessage& parsed) {
  // A part of a message is none.
  if (!parsed.sealed || parsed.sealed->fragment) return err(OpenError{});
  const Result<Bytes, OpenFault> chain = open_chain(datagram, parsed);
  if (!chain) return err(OpenError{chain.error(), {}});
  Result<std::vector<Payload>, ParseError> payloads = parse_payloads(parsed.sealed->first_inner, *chain);
  if (!payloads) return err(OpenError{OpenFault::malformed, payloads.error()});
  return Message{parsed.header, std::move(*payloads)};
}

}  // namespace culvert::ike::codec
