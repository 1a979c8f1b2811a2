// Liar: one end of an IKE SA without a state machine, either role. It can do the whole protocol of RFC 7296 (and RFC
// 9370's additional key exchanges), makes each message as a draft of plain values, and hands it to a Lie before it is
// sealed: so that whatever stands in it, everything else is right, the keys and the ICV above all. Sans I/O; for tests
// only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "crypto/key_exchange.hpp"
#include "crypto/packet_cipher.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"
#include "ike/v2/keys.hpp"
#include "model/identity.hpp"
#include "model/proposal.hpp"
#include "model/traffic_selector.hpp"
#include "net/address.hpp"

namespace culvert::liar {

namespace codec = ike::codec;
using model::Role;

/// What both ends are told: the liar's own half of the configuration.
struct Terms {
  std::string ike = "aes256gcm16-prfsha256-x25519";
  std::string esp = "aes256gcm16";
  bool fragmentation = false;
  Bytes secret = to_bytes(as_bytes("a shared secret"));
  std::string own_id = "a.example";
  std::string peer_id = "b.example";
  std::string own_network = "10.1.0.0/16";
  std::string peer_network = "10.2.0.0/16";
  unsigned rounds = 1, peer_rounds = 1;  // of authentication (RFC 4739)
  bool mobike = false;                   // says that it knows it, as initiator
  net::Path path;                        // as the liar sees it; for NAT detection
};

class Liar;

/// How one message is made wrong. Whichever of the functions are there are called, in this order.
struct Lie {
  /// The header and the payloads.
  std::function<void(Liar&, codec::Message&)> message = {};
  /// The octets of the payloads inside the Encrypted payload, and what type the first is said to have.
  std::function<void(Liar&, model::PayloadType& first, Bytes& chain)> chain = {};
  /// The same with padding and pad length, as encrypted. Must stay as long as the cipher wants it.
  std::function<void(Liar&, Bytes& plain)> plain = {};
  /// The datagram.
  std::function<void(Liar&, Bytes& octets)> octets = {};
  /// What is sent in place of it; `honest` is the draft, not yet sealed.
  std::function<std::vector<Bytes>(Liar&, const codec::Message& honest)> instead = {};
};
/// The IKE SA that a rekey under way makes. (Within Liar clang would not let an optional hold it.)
struct NextSa {
  std::unique_ptr<crypto::KeyExchange> own;
  Bytes nonce;
  model::IkeSpi spi_i, spi_r;
  std::optional<ike::v2::SkKeys> keys;
  bool initiator = true;
  // As initiator: what the keys come of, when additional key exchanges follow.
  SecretBytes shared;
  Bytes peer_nonce, further;
};

class Liar {
 public:
  Liar(Role role, Terms terms, std::uint64_t seed = 7);

  const Role role;
  Terms terms;

  // ---------------------------------------------------------------- drafts

  codec::Message init_request();
  /// Takes the peer's answer; false when it is none that leads on.
  [[nodiscard]] bool take_init_answer(ByteView datagram);
  /// Draws the keys from the request, too. Nothing when the offer does not suit.
  [[nodiscard]] std::optional<codec::Message> init_answer(ByteView request);

  /// The n-th additional key exchange.
  codec::Message intermediate_request(std::size_t n = 0);
  /// Takes both messages into AUTH (RFC 9242 3.3.2), and the keys that come of them; false when the answer is none.
  [[nodiscard]] bool finish_intermediate(const codec::Message& request, const codec::Message& answer);
  /// The n-th request of IKE_AUTH: an own round, or, when there are no more of these, nothing (RFC 4739 2.5).
  codec::Message auth_request(unsigned round = 0);
  codec::Message auth_answer(const codec::Message& request);
  /// `rekeyed`: the SPI by which this end receives the pair that is to be replaced (RFC 7296 1.3.3).
  codec::Message child_request(std::optional<model::Spi> rekeyed = std::nullopt);
  codec::Message child_answer(const codec::Message& request);
  codec::Message rekey_ike_request();
  codec::Message rekey_ike_answer(const codec::Message& request);
  codec::Message follow_up_request(ByteView link, model::KeyExchangeMethod method);
  /// RFC 4555 3.5: from `terms.path` on.
  codec::Message update_request();
  codec::Message informational(std::vector<codec::Payload> payloads = {});
  codec::Message answer_to(const codec::Message& request, std::vector<codec::Payload> payloads = {}) const;

  /// A request with the next message id.
  codec::Message request(model::ExchangeType exchange, std::vector<codec::Payload> payloads = {});

  // ---------------------------------------------------------------- to octets and back

  /// What goes out: the draft, spoilt by the lie, if there is one, at each stage.
  [[nodiscard]] std::vector<Bytes> tell(codec::Message draft, const Lie* lie = nullptr);
  /// Without a lie: IKE_SA_INIT in the clear, all else sealed.
  [[nodiscard]] Bytes honest(const codec::Message& draft) { return tell(draft).front(); }
  /// Seals what stands there: with `place` an Encrypted Fragment payload. `plain` has its padding. In front stands
  /// `clear`, a Vendor ID; or what belongs there.
  [[nodiscard]] Bytes seal(const codec::Header& header, model::PayloadType first, ByteView plain,
                           std::optional<codec::FragmentPlace> place = std::nullopt, ByteView clear = {});
  /// The chain of the draft cut into `count` fragments.
  [[nodiscard]] std::vector<Bytes> fragments(const codec::Message& draft, std::uint16_t count);
  /// Of the peer's message; nothing when it is not sealed with the keys that we have.
  [[nodiscard]] std::optional<codec::Message> open(ByteView datagram);
  [[nodiscard]] bool keyed() const { return suite_.has_value(); }

  /// The rekeyed IKE SA takes the place of the old: after rekey_ike_request() and its answer, or rekey_ike_answer().
  [[nodiscard]] bool take_rekey_answer(const codec::Message& answer);
  /// Likewise of IKE_FOLLOWUP_KE, one after the other (RFC 9370 2.2.4).
  [[nodiscard]] bool take_further(const codec::Message& answer);
  void move_to_next();

  // ---------------------------------------------------------------- what it knows

  model::IkeSpi spi_i, spi_r;
  std::uint32_t next_id = 0;  // of its own requests
  Bytes solution;             // of the puzzle for IKE_AUTH (RFC 8019 7.2); empty: there was none
  /// By which each end receives the Child SA made last.
  model::Spi peer_child, own_child;
  [[nodiscard]] const Bytes& first_message() const { return init_own_; }
  /// Additional key exchanges that were agreed on, in their order.
  [[nodiscard]] std::vector<model::KeyExchangeMethod> further_methods() const;
  [[nodiscard]] Bytes auth_data(const model::Identity& identity) const;
  [[nodiscard]] Bytes octets(std::size_t count) {
    Bytes made(count);
    random_.fill(made);
    return made;
  }
  [[nodiscard]] model::Spi new_spi() { return model::Spi(next_spi_++); }
  [[nodiscard]] model::Proposal esp_offer(bool with_key_exchange);
  [[nodiscard]] codec::KePayload new_ke(model::KeyExchangeMethod method);
  /// What answers the peer's public value, by the method that it has.
  [[nodiscard]] codec::KePayload encapsulated(const codec::KePayload& asked);

 private:
  void derive(const model::IkeSuite& suite, ByteView shared_secret);
  void take_keys(const model::IkeSuite& suite, ike::v2::SkKeys keys);
  [[nodiscard]] codec::Header header(model::ExchangeType exchange, bool response, std::uint32_t id) const;
  [[nodiscard]] model::Proposal ike_offer(ByteView spi = {}) const;
  void add_child(codec::Message& message, bool with_key_exchange);
  void add_nat_detection(codec::Message& message) const;
  [[nodiscard]] Bytes solution_for(const codec::Header& header) const;
  void note_intermediate(Role side, const codec::Message& message);
  void derive_next();

  SeededRandom random_;
  std::unique_ptr<crypto::KeyExchange> key_exchange_;
  Bytes nonce_i_, nonce_r_;
  Bytes init_own_;  // our part of IKE_SA_INIT as it went over the wire
  model::IkeSuite ike_suite_;
  std::optional<crypto::PacketSuite> suite_;
  ike::v2::SkKeys keys_;
  std::unique_ptr<crypto::PacketCipher> seal_;
  bool original_initiator_;  // of the IKE SA that stands now
  std::uint64_t next_iv_ = std::uint64_t{1} << 40;
  std::uint32_t next_spi_ = 0xa0000001;
  std::uint64_t next_ike_spi_ = 0x4c49415200000001;
  std::optional<NextSa> next_;
  SecretBytes int_auth_i_, int_auth_r_;  // RFC 9242 3.3.2
  std::uint32_t intermediates_ = 0;
};

/// A four-octet or eight-octet SPI as it stands in payloads.
[[nodiscard]] Bytes octets_of(model::Spi spi);
[[nodiscard]] Bytes octets_of(model::IkeSpi spi);

}  // namespace culvert::liar
