// The Encrypted payload (RFC 7296 3.14, RFC 5282) and its fragments (RFC 7383 2.5): messages sealed and opened with the
// SK_e and SK_a of one direction.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/packet_cipher.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"

namespace culvert::ike::codec {

/// A message before it is sealed, as octets: so that it can be cut at any place.
struct MessageContent {
  Header header;
  /// In front of the Encrypted payload: one payload, its generic header apart, of not more than some hundred octets
  /// (RFC 8019 7.2.2). None: there is nothing.
  model::PayloadType clear_type = model::PayloadType::none;
  Bytes clear;
  model::PayloadType first = model::PayloadType::none;
  SecretBytes chain;  // the payloads

  /// Octets in front of the Encrypted payload.
  [[nodiscard]] std::size_t clear_size() const {
    return clear_type == model::PayloadType::none ? 0 : kPayloadHeaderSize + clear.size();
  }
};
/// The same octets, with the header of the payload, which says what comes behind it.
[[nodiscard]] Bytes clear_octets(const MessageContent& content, model::PayloadType next);
[[nodiscard]] MessageContent content_of(const Message& message);

/// How many octets messages have when they are sealed with the suite.
class SealedSizes {
 public:
  explicit SealedSizes(const crypto::PacketSuite& suite);
  /// Of a whole message with so many octets of payloads, and these in front.
  [[nodiscard]] std::size_t whole(std::size_t chain, std::size_t clear = 0) const;
  /// Octets of payloads that a fragment of at most `most` octets, header included, has room for: one at least, which
  /// takes a hundred octets with any suite.
  [[nodiscard]] std::size_t room(std::size_t most) const;
  /// Fragments for so many octets of payloads, and these in front in the first.
  [[nodiscard]] std::size_t fragments(std::size_t chain, std::size_t most, std::size_t clear = 0) const;
  /// Payloads, padding and pad length octet.
  // RFC 7296 3.14: any amount is allowed. A message without payloads has some more, so that the answer of a peer that
  // has forgotten the IKE SA, with its token (RFC 6290 4.5), need not be longer than what it answers.
  [[nodiscard]] std::size_t padded(std::size_t chain) const {
    return (std::max<std::size_t>(chain, 3) + block_) / block_ * block_;
  }

 private:
  std::size_t iv_;
  std::size_t icv_;
  std::size_t block_;
};

/// Seals the messages of one direction of an IKE SA.
///
/// Owns the AEAD's explicit IV, a counter that never repeats under the key (RFC 5282 3.1). A retransmission must
/// therefore send the octets of the first time again, never seal anew (RFC 7296 2.1 demands the same).
class MessageSealer {
 public:
  /// `unsupported` for a suite without confidentiality or without integrity (RFC 7296 3.3.2 and 5: IKE must have both).
  /// `sk_e` is key and salt, `sk_a` empty for the AEADs. `random` gives the CBC IVs and must outlive the sealer.
  /// `next_iv` is the first counter IV: 0, or next_iv() of the last sealer that had these keys.
  [[nodiscard]] static Result<MessageSealer, crypto::CryptoError> make(const crypto::PacketSuite& suite, ByteView sk_e,
                                                                       ByteView sk_a, RandomSource& random,
                                                                       std::uint64_t next_iv = 0);
  /// The octets of the whole message, with all payloads of `message` inside one Encrypted payload.
  [[nodiscard]] Bytes seal(const Message& message);
  [[nodiscard]] Bytes seal(const MessageContent& content);
  /// Octets that seal() would give for `message`.
  [[nodiscard]] std::size_t sealed_size(const Message& message) const;

  /// RFC 7383 2.5: the message in fragments of at most `most` octets each, header included, every one with an IV of its
  /// own. `most` must leave room for content.
  [[nodiscard]] std::vector<Bytes> seal_fragments(const MessageContent& content, std::size_t most);
  [[nodiscard]] std::uint64_t next_iv() const { return next_iv_; }

 private:
  MessageSealer(const crypto::PacketSuite& suite, std::unique_ptr<crypto::PacketCipher> cipher, RandomSource& random,
                std::uint64_t next_iv);
  void write_iv(MutableByteView iv);
  /// An Encrypted payload, or with `place` an Encrypted Fragment payload, with this plaintext; what the content has in
  /// front of it stands in the first only.
  [[nodiscard]] Bytes seal_octets(const MessageContent& content, ByteView plain, const FragmentPlace* place);

  crypto::PacketSuite suite_;
  crypto::SuiteSizes sizes_;
  std::unique_ptr<crypto::PacketCipher> cipher_;
  RandomSource* random_;
  std::uint64_t next_iv_;
};

/// Why a sealed message gave no payloads.
enum class OpenFault : std::uint8_t {
  not_sealed,     // there is no Encrypted payload
  clear_prefix,   // more payloads in front of the Encrypted payload than the AEAD takes as additional data
  wrong_length,   // the body is too short, or no whole number of cipher blocks
  bad_integrity,  // the ICV is wrong
  bad_padding,    // the pad length exceeds the plaintext
  malformed       // authentic, but not a chain of payloads: INVALID_SYNTAX is the answer (RFC 7296 2.21.2)
};
[[nodiscard]] std::string_view name_of(OpenFault fault);

struct OpenError {
  OpenFault fault = OpenFault::not_sealed;
  ParseError parse;  // for `malformed`; its offset counts from the start of the decrypted chain
  [[nodiscard]] bool authentic() const { return fault == OpenFault::bad_padding || fault == OpenFault::malformed; }
};

/// Opens the messages of one direction of an IKE SA. Keeps no state but the key: replay is the message id's business
/// (RFC 7296 2.2).
class MessageOpener {
 public:
  [[nodiscard]] static Result<MessageOpener, crypto::CryptoError> make(const crypto::PacketSuite& suite, ByteView sk_e,
                                                                       ByteView sk_a);

  /// `datagram` is what `parsed` was made from. The message holds the header and the payloads from inside the Encrypted
  /// payload only.
  [[nodiscard]] Result<Message, OpenError> open(ByteView datagram, const ParsedMessage& parsed);
  /// The decrypted chain of payloads before it is parsed, without padding; of a fragment, its part of the chain.
  [[nodiscard]] Result<Bytes, OpenFault> open_chain(ByteView datagram, const ParsedMessage& parsed);

 private:
  MessageOpener(const crypto::PacketSuite& suite, std::unique_ptr<crypto::PacketCipher> cipher);

  crypto::PacketSuite suite_;
  crypto::SuiteSizes sizes_;
  std::unique_ptr<crypto::PacketCipher> cipher_;
};

}  // namespace culvert::ike::codec
