// Proposals: what a side offers in an SA payload (RFC 7296 3.3) and how the other chooses (RFC 7296 2.7 and 3.3.6).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/key_exchange.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/prf.hpp"
#include "model/iana/encryption_id.hpp"
#include "model/iana/esn_id.hpp"
#include "model/iana/integrity_id.hpp"
#include "model/iana/key_exchange_method.hpp"
#include "model/iana/prf_id.hpp"
#include "model/iana/protocol_id.hpp"
#include "model/iana/transform_type.hpp"

namespace culvert::model {

/// One transform of a proposal. `key_bits` is the Key Length attribute, 0 when absent.
struct Transform {
  TransformType type = TransformType::encryption;
  std::uint16_t id = 0;
  std::uint16_t key_bits = 0;
  /// The peer sent an attribute we do not know: such a transform is never chosen (RFC 7296 3.3.6).
  bool unknown_attribute = false;
  friend auto operator<=>(const Transform&, const Transform&) = default;
};

/// One proposal: a protocol and, per transform type, the alternatives. On the wire it also has a number and an SPI.
struct Proposal {
  std::uint8_t number = 1;
  ProtocolId protocol = ProtocolId::esp;
  Bytes spi;  // 0, 4 or 8 octets
  std::vector<Transform> transforms;
  friend auto operator<=>(const Proposal&, const Proposal&) = default;
};

/// RFC 9370: the key exchanges that follow the first one, each NONE or not done at all.
using AdditionalKeyExchanges = std::array<KeyExchangeMethod, kAdditionalKeyExchanges>;

/// The chosen algorithms of an IKE SA.
struct IkeSuite {
  EncryptionId encryption = EncryptionId::aes_gcm_16;
  std::uint16_t key_bits = 256;
  PrfId prf = PrfId::hmac_sha2_256;
  IntegrityId integrity = IntegrityId::none;
  KeyExchangeMethod key_exchange = KeyExchangeMethod::curve25519;
  AdditionalKeyExchanges additional{};
  friend bool operator==(const IkeSuite&, const IkeSuite&) = default;
};

/// The chosen algorithms of a Child SA; AH's encryption is NULL. `key_exchange` is NONE when there is no perfect
/// forward secrecy (and in IKE_AUTH).
struct EspSuite {
  EncryptionId encryption = EncryptionId::aes_gcm_16;
  std::uint16_t key_bits = 128;
  IntegrityId integrity = IntegrityId::none;
  EsnId esn = EsnId::esn;
  KeyExchangeMethod key_exchange = KeyExchangeMethod::none;
  AdditionalKeyExchanges additional{};
  friend bool operator==(const EspSuite&, const EspSuite&) = default;
};

/// The proposal that the user's text names: "aes256gcm16-prfsha256-x25519" (IKE) or "aes128gcm16-esn-noesn",
/// "aes256-sha256-x25519" (ESP), "sha256-esn" (AH); behind a key exchange also further ones, "x25519-ke1_mlkem768",
/// which may be left out where "ke1_none" stands too (RFC 9370). Weak words are taken: whether they are allowed is
/// asked of weak_transforms (model/transforms.hpp). Several transforms of one type are alternatives. The error is a
/// sentence that names the word at fault and the words allowed there.
[[nodiscard]] Result<Proposal, std::string> parse_proposal(ProtocolId protocol, std::string_view text);
/// The same short words, "aes256gcm16-prfsha256-x25519"; foreign numbers as "encr-99".
[[nodiscard]] std::string to_string(const Proposal& proposal);
[[nodiscard]] std::string to_string(const IkeSuite& suite);
/// For AH without the encryption, which it has not.
[[nodiscard]] std::string to_string(const EspSuite& suite, ProtocolId protocol = ProtocolId::esp);

/// What is offered and accepted when the user names nothing, numbered from 1: AEADs first, then AES-CBC with SHA-2 for
/// peers without them. Of IKE first of all with ML-KEM beside the first key exchange (RFC 9370), then without for peers
/// that do not have it.
[[nodiscard]] std::vector<Proposal> default_ike_proposals();
[[nodiscard]] std::vector<Proposal> default_esp_proposals();

/// The offered proposal to answer with: the first of ours that one of the peer's matches, reduced to one transform per
/// type, with the offered number and SPI. RFC 7296 3.3.6: whole proposals only, never a mixture. With `prefer_method`
/// the key exchange of that method wins where allowed (the KE payload is already there); `ignore_key_exchange` for
/// IKE_AUTH, where Child SAs carry none (RFC 7296 1.2).
struct ChosenProposal {
  Proposal proposal;
  IkeSuite ike;  // of the two only the one for the proposal's protocol is meaningful
  EspSuite esp;
};
struct SelectionOptions {
  KeyExchangeMethod prefer_method = KeyExchangeMethod::none;
  bool ignore_key_exchange = false;
  /// RFC 9370 2.2.1, 2.2.4: additional key exchanges may follow: in IKE_SA_INIT because the peer has IKE_INTERMEDIATE,
  /// in CREATE_CHILD_SA always. Without it the peer's proposals with them are skipped.
  bool additional_key_exchanges = false;
};
[[nodiscard]] std::optional<ChosenProposal> select_proposal(const std::vector<Proposal>& offered,
                                                            const std::vector<Proposal>& acceptable,
                                                            const SelectionOptions& options = {});
/// Whether one of the proposals has all algorithms of the suite.
[[nodiscard]] bool accepts(const std::vector<Proposal>& acceptable, const IkeSuite& suite);
/// The initiator's check of an answer (RFC 7296 2.7, 3.3.1): exactly one proposal, one transform per type that we
/// offered, all of them among ours.
[[nodiscard]] std::optional<ChosenProposal> accept_answer(const std::vector<Proposal>& answer,
                                                          const std::vector<Proposal>& offered,
                                                          const SelectionOptions& options = {});

/// From negotiated numbers to what the crypto layer runs; nothing where it has no such algorithm. This one does not ask
/// whether ESP, AH or IKE may use it.
[[nodiscard]] std::optional<crypto::PacketSuite> packet_suite(EncryptionId encryption, std::uint16_t key_bits,
                                                              IntegrityId integrity);
/// The same for one protocol: nothing also for an algorithm that ESP or AH may not use, or key bits that the registry
/// of transforms does not have. AH's encryption is NULL.
[[nodiscard]] std::optional<crypto::PacketSuite> packet_suite(ProtocolId protocol, const EspSuite& suite);
[[nodiscard]] std::optional<crypto::Prf> prf_function(PrfId prf);
[[nodiscard]] std::optional<crypto::KeyExchangeId> key_exchange_id(KeyExchangeMethod method);

/// The additional key exchanges that are done, in their order.
[[nodiscard]] std::vector<KeyExchangeMethod> methods_of(const AdditionalKeyExchanges& additional);
/// RFC 9370: whether one of the proposals has additional key exchanges, not just NONE.
[[nodiscard]] bool has_additional_key_exchanges(const std::vector<Proposal>& proposals);
/// The same proposals without them, each once.
[[nodiscard]] std::vector<Proposal> without_additional_key_exchanges(const std::vector<Proposal>& proposals);

}  // namespace culvert::model
