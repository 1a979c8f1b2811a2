// EAP-TTLS version 0 (RFC 5281): within TLS the client speaks first, in attributes.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "crypto/prf.hpp"
#include "ike/eap/attributes.hpp"
#include "ike/eap/client.hpp"
#include "ike/eap/expected.hpp"
#include "ike/eap/ms_chap.hpp"
#include "ike/eap/packet.hpp"
#include "ike/eap/server.hpp"
#include "ike/eap/tunnelled.hpp"

namespace culvert::ike::eap {
namespace {

using model::EapInner;
using model::EapType;

constexpr std::size_t kChallenge = 16;
constexpr std::size_t kResponse = 50;  // RFC 2548 2.3.2
constexpr std::size_t kDigest = 16;
constexpr std::size_t kPasswordBlock = 16;  // RFC 5281 11.2.5: padded, so that its length is not seen
constexpr std::size_t kMostPassword = 1024;

Turn malformed(std::string_view what) { return Turn::refuse("protocol", fmt::format("TTLS: {}", what)); }

/// RFC 5281 11.1: the challenge that nobody sends, and an identifier; nothing when the library refuses.
struct ImplicitChallenge {
  Bytes challenge;
  std::uint8_t identifier = 0;
};
std::optional<ImplicitChallenge> implicit_challenge(const crypto::TlsChannel& channel) {
  const auto made = channel.export_key("ttls challenge", std::nullopt, kChallenge + 1);
  if (!made) return std::nullopt;
  return ImplicitChallenge{.challenge = to_bytes(made->view().first(kChallenge)),
                           .identifier = made->view()[kChallenge]};
}

Turn no_challenge() { return Turn::refuse("local", "no challenge can be made (TTLS)"); }

const Attribute* find(const std::vector<Attribute>& all, auto code) {
  const auto found = std::ranges::find_if(all, [&](const Attribute& one) { return one.is(code); });
  return found == all.end() ? nullptr : &*found;
}

// RFC 5281 10.1: what must be understood, and is not, ends it.
std::optional<Turn> foreign(const std::vector<Attribute>& all) {
  for (const Attribute& one : all) {
    const bool known =
        (one.vendor == 0 && (one.is(AttributeCode::user_name) || one.is(AttributeCode::user_password) ||
                             one.is(AttributeCode::chap_password) || one.is(AttributeCode::chap_challenge) ||
                             one.is(AttributeCode::eap_message) || one.is(AttributeCode::reply_message))) ||
        one.is(MicrosoftCode::chap_error) || one.is(MicrosoftCode::chap_challenge) ||
        one.is(MicrosoftCode::chap2_response) || one.is(MicrosoftCode::chap2_success);
    if (!known && one.mandatory)
      return malformed(fmt::format("attribute {} (vendor {}) must be understood, and is not", one.code, one.vendor));
  }
  return std::nullopt;
}

Bytes chap_digest(std::uint8_t identifier, const SecretBytes& secret, ByteView challenge) {
  return crypto::hash(crypto::HashId::md5, {ByteView(&identifier, 1), secret.view(), challenge});
}

// ---------------------------------------------------------------- server

class ServerPhase final : public TlsPhase {
 public:
  ServerPhase(std::vector<EapInner> inner, RandomSource& random, const Users& users)
      : inner_(std::move(inner)), random_(random), users_(users) {}

  Turn open(const crypto::TlsChannel& channel, bool flight, std::uint8_t identifier) override {
    (void)identifier;
    (void)flight;
    channel_ = &channel;
    return Turn::say({});
  }

  Turn take(ByteView data, std::uint8_t identifier) override {
    (void)identifier;
    if (data.empty()) {
      if (!proved_) return Turn::say({});  // it is the client's turn
      Turn turn = Turn::say({}, Progress::done);
      turn.identity = identity_;
      return turn;
    }
    if (proved_) return malformed("the client goes on after the end");
    const auto all = parse_attributes(data);
    if (!all) return malformed(all.error());
    if (auto refusal = foreign(*all)) return std::move(*refusal);
    if (const Attribute* message = find(*all, AttributeCode::eap_message)) return take_eap(message->data);
    if (server_) return malformed("no EAP-Message came where EAP was under way");
    const Attribute* name = find(*all, AttributeCode::user_name);
    if (name == nullptr || name->data.empty() || name->data.size() > kMostIdentity)
      return malformed(fmt::format("neither EAP-Message nor a User-Name of 1 to {} octets", kMostIdentity));
    identity_.assign(name->data.begin(), name->data.end());
    if (const Attribute* password = find(*all, AttributeCode::user_password)) return take_password(password->data);
    if (find(*all, AttributeCode::chap_password) != nullptr) return take_chap(*all);
    if (find(*all, MicrosoftCode::chap2_response) != nullptr) return take_ms_chap(*all);
    return Turn::refuse("method", fmt::format("'{}' sends no proof that is known here (TTLS)", escaped(identity_)));
  }

 private:
  [[nodiscard]] bool allows(EapInner one) const { return std::ranges::find(inner_, one) != inner_.end(); }
  [[nodiscard]] Turn not_allowed(EapInner one) const {
    const auto* const name = std::ranges::find(model::kEapInnerNames, one, &model::EapInnerName::inner);
    return Turn::refuse("method", fmt::format("'{}' uses {} within TTLS, which is not among what is taken here",
                                              escaped(identity_), name->name));
  }

  Turn take_eap(ByteView packet) {
    const bool begins = !server_;
    if (begins) {
      std::vector<EapType> methods = eap_methods(inner_);
      if (methods.empty())
        return Turn::refuse("method", "the peer uses EAP within TTLS, which is not among what is taken here");
      server_.emplace(std::move(methods), random_, users_);
    }
    Outcome outcome = begins ? server_->begin_with(packet) : server_->handle(packet);
    if (outcome.state == Outcome::State::failure) {
      Turn turn = Turn::refuse({}, {});
      turn.refusal = std::move(outcome.refusal);
      turn.identity = std::move(outcome.identity);
      return turn;
    }
    // RFC 5281 11.2.1: its own end is not sent; that of EAP-TTLS says it.
    if (outcome.state == Outcome::State::success) {
      Turn turn = Turn::say({}, Progress::done);
      turn.identity = std::move(outcome.identity);
      return turn;
    }
    ByteWriter out;
    add_attribute(out, AttributeCode::eap_message, outcome.packet);
    Turn turn = Turn::say(out.take());
    turn.refusal = std::move(outcome.refusal);
    if (turn.refusal) turn.identity = std::move(outcome.identity);
    return turn;
  }

  [[nodiscard]] Turn about_them(Turn verdict) const {
    verdict.identity = identity_;
    return verdict;
  }

  Turn take_password(ByteView padded) {
    if (!allows(EapInner::pap)) return not_allowed(EapInner::pap);
    const Expected expected(identity_, users_.secret_of(identity_));
    // The zeros behind it are padding. A password that ends in zeros cannot be said this way.
    const ByteView given = padded.first(std::min(padded.size(), expected.secret.size()));
    const ByteView rest = padded.subspan(given.size());
    const bool clean = std::ranges::all_of(rest, [](std::uint8_t octet) { return octet == 0; });
    const bool right = constant_time_equal(expected.secret.view(), given) && clean && !expected.secret.empty();
    return about_them(expected.verdict(right, "TTLS with PAP"));
  }

  Turn take_chap(const std::vector<Attribute>& all) {
    if (!allows(EapInner::chap)) return not_allowed(EapInner::chap);
    const Attribute* challenge = find(all, AttributeCode::chap_challenge);
    const ByteView answer = find(all, AttributeCode::chap_password)->data;
    const auto ours = implicit_challenge(*channel_);
    if (!ours) return no_challenge();
    if (answer.size() != 1 + kDigest) return malformed("the answer of CHAP has another size");
    // RFC 5281 11.2.3: a challenge of the client's own could be an old one.
    if (challenge == nullptr || !equal(challenge->data, ours->challenge) || answer.front() != ours->identifier)
      return malformed("the challenge of CHAP is not that of this TLS");
    const Expected expected(identity_, users_.secret_of(identity_));
    const Bytes right = chap_digest(ours->identifier, expected.secret, ours->challenge);
    return about_them(expected.verdict(constant_time_equal(right, answer.subspan(1)), "TTLS with CHAP"));
  }

  Turn take_ms_chap(const std::vector<Attribute>& all) {
    if (!allows(EapInner::mschapv2_attributes)) return not_allowed(EapInner::mschapv2_attributes);
    const Attribute* challenge = find(all, MicrosoftCode::chap_challenge);
    const ByteView answer = find(all, MicrosoftCode::chap2_response)->data;
    const auto ours = implicit_challenge(*channel_);
    if (!ours) return no_challenge();
    if (answer.size() != kResponse) return malformed("the answer of MS-CHAP-V2 has another size");
    // RFC 5281 11.2.4.
    if (challenge == nullptr || !equal(challenge->data, ours->challenge) || answer.front() != ours->identifier)
      return malformed("the challenge of MS-CHAP-V2 is not that of this TLS");
    const Expected expected(identity_, users_.secret_of(identity_));
    const auto hash = ms_chap::password_hash(expected.secret.view());
    if (!hash) return about_them(expected.verdict(false, "TTLS with MS-CHAP-V2"));
    ms_chap::Exchange exchange{.server_challenge = {}, .peer_challenge = {}, .name = identity_};
    std::ranges::copy(ours->challenge, exchange.server_challenge.begin());
    std::ranges::copy(answer.subspan(2, kChallenge), exchange.peer_challenge.begin());
    const ms_chap::Response right = ms_chap::nt_response(exchange, *hash);
    Turn verdict = about_them(expected.verdict(constant_time_equal(right, answer.subspan(26)), "TTLS with MS-CHAP-V2"));
    if (verdict.progress != Progress::done) return verdict;
    // The client has yet to hear that we have the password, too.
    proved_ = true;
    ByteWriter proof;
    proof.u8(ours->identifier);
    proof.bytes(as_bytes(ms_chap::authenticator_response(exchange, *hash, right)));
    ByteWriter out;
    add_attribute(out, MicrosoftCode::chap2_success, proof.view());
    return Turn::say(out.take());
  }

  const std::vector<EapInner> inner_;
  RandomSource& random_;
  const Users& users_;
  const crypto::TlsChannel* channel_ = nullptr;
  std::optional<EapServer> server_;
  std::string identity_;
  bool proved_ = false;  // and waits for the client's assent
};

// ---------------------------------------------------------------- client

class ClientPhase final : public TlsPhase {
 public:
  ClientPhase(std::vector<EapInner> inner, RandomSource& random, TunnelledClient self)
      : inner_(std::move(inner)), random_(random), self_(std::move(self)) {}

  Turn open(const crypto::TlsChannel& channel, bool flight, std::uint8_t identifier) override {
    (void)identifier;
    channel_ = &channel;
    // The server has to take the end of the handshake first.
    if (flight) return Turn::say({});
    return begin();
  }

  Turn take(ByteView data, std::uint8_t identifier) override {
    (void)identifier;
    if (!begun_ && data.empty()) return begin();
    if (data.empty()) return malformed("the server says nothing where it should");
    const auto all = parse_attributes(data);
    if (!all) return malformed(all.error());
    if (auto refusal = foreign(*all)) return std::move(*refusal);
    if (!begun_) return malformed("the server begins within TLS");
    if (client_) return take_eap(*all);
    if (exchange_) return take_ms_chap(*all);
    return malformed("the server goes on after the end");
  }

 private:
  Turn begin() {
    begun_ = true;
    switch (inner_.front()) {
      case EapInner::pap: return say_password();
      case EapInner::chap: return say_chap();
      case EapInner::mschapv2_attributes: return say_ms_chap();
      default: break;
    }
    client_.emplace(eap_methods(inner_), self_.identity, self_.secret.clone(), random_);
    // As if the server had asked for the identity.
    return said(client_->handle(make_packet(model::EapCode::request, 0, EapType::identity, {})));
  }

  Turn take_eap(const std::vector<Attribute>& all) {
    const Attribute* message = find(all, AttributeCode::eap_message);
    if (message == nullptr) return malformed("no EAP-Message came where EAP was under way");
    return said(client_->handle(message->data));
  }

  Turn said(Outcome outcome) {
    Turn turn;
    if (outcome.packet.empty()) {
      if (outcome.refusal) {
        turn.progress = Progress::refused;
        turn.refusal = std::move(outcome.refusal);
        return turn;
      }
      return Turn::say({}, Progress::done);  // EAP-Success within: some servers say it
    }
    ByteWriter out;
    add_attribute(out, AttributeCode::eap_message, outcome.packet);
    wipe(outcome.packet);
    turn.data = out.take();
    if (client_->refusal()) {
      turn.progress = Progress::refused;
      turn.refusal = client_->refusal();
    } else if (client_->is_content()) {
      turn.progress = Progress::done;
    }
    return turn;
  }

  Turn say_password() {
    const ByteView password = self_.secret.view();
    if (password.size() > kMostPassword) return Turn::refuse("password", "our secret is too long (TTLS with PAP)");
    const std::size_t size = (password.size() + kPasswordBlock - 1) / kPasswordBlock * kPasswordBlock;
    SecretBytes padded(size);
    std::ranges::copy(password, padded.mutable_view().begin());
    ByteWriter out;
    add_attribute(out, AttributeCode::user_name, as_bytes(self_.identity));
    add_attribute(out, AttributeCode::user_password, padded.view());
    return Turn::say(out.take(), Progress::done);
  }

  Turn say_chap() {
    const auto ours = implicit_challenge(*channel_);
    if (!ours) return no_challenge();
    ByteWriter answer;
    answer.u8(ours->identifier);
    answer.bytes(chap_digest(ours->identifier, self_.secret, ours->challenge));
    ByteWriter out;
    add_attribute(out, AttributeCode::user_name, as_bytes(self_.identity));
    add_attribute(out, AttributeCode::chap_challenge, ours->challenge);
    add_attribute(out, AttributeCode::chap_password, answer.view());
    return Turn::say(out.take(), Progress::done);
  }

  Turn say_ms_chap() {
    const auto ours = implicit_challenge(*channel_);
    hash_ = ms_chap::password_hash(self_.secret.view());
    if (!ours) return no_challenge();
    if (!hash_) {
      return Turn::refuse("password", "our secret is no text that MS-CHAP-V2 can use (UTF-8, at most 256 characters)");
    }
    exchange_.emplace();
    std::ranges::copy(ours->challenge, exchange_->server_challenge.begin());
    random_.fill(exchange_->peer_challenge);
    exchange_->name = self_.identity;
    identifier_ = ours->identifier;
    response_ = ms_chap::nt_response(*exchange_, *hash_);
    ByteWriter answer;
    answer.u8(identifier_);
    answer.u8(0);
    answer.bytes(exchange_->peer_challenge);
    answer.zeros(8);
    answer.bytes(response_);
    ByteWriter out;
    add_attribute(out, AttributeCode::user_name, as_bytes(self_.identity));
    add_attribute(out, MicrosoftCode::chap_challenge, ours->challenge);
    add_attribute(out, MicrosoftCode::chap2_response, answer.view());
    return Turn::say(out.take());
  }

  Turn take_ms_chap(const std::vector<Attribute>& all) {
    const Attribute* proof = find(all, MicrosoftCode::chap2_success);
    if (proof == nullptr)
      return Turn::refuse("password", fmt::format("the server does not take the secret of '{}' (TTLS with MS-CHAP-V2)",
                                                  escaped(self_.identity)));
    const std::string expected = ms_chap::authenticator_response(*exchange_, *hash_, response_);
    const bool right = proof->data.size() > expected.size() && proof->data.front() == identifier_ &&
                       constant_time_equal(as_bytes(expected), proof->data.subspan(1, expected.size()));
    exchange_.reset();
    if (!right)
      return Turn::refuse("password", fmt::format("the server does not have the secret of '{}' (TTLS with MS-CHAP-V2)",
                                                  escaped(self_.identity)));
    return Turn::say({}, Progress::done);
  }

  const std::vector<EapInner> inner_;
  RandomSource& random_;
  const TunnelledClient self_;
  const crypto::TlsChannel* channel_ = nullptr;
  bool begun_ = false;
  std::optional<EapClient> client_;
  // Of MS-CHAP-V2 in attributes.
  std::optional<ms_chap::Exchange> exchange_;
  std::optional<SecretBytes> hash_;
  ms_chap::Response response_{};
  std::uint8_t identifier_ = 0;
};

}  // namespace

std::vector<EapType> eap_methods(const std::vector<EapInner>& inner) {
  std::vector<EapType> methods;
  for (const EapInner one : inner) {
    if (const auto type = model::method_of(one)) methods.push_back(*type);
  }
  return methods;
}

std::unique_ptr<ServerMethod> ttls_server(const TlsTerms& terms, RandomSource& random, const Users& users) {
  return tls_based_server(EapType::ttls, terms, {}, std::make_unique<ServerPhase>(terms.inner, random, users));
}

std::unique_ptr<ClientMethod> ttls_client(const TlsTerms& terms, RandomSource& random, TunnelledClient self) {
  return tls_based_client(EapType::ttls, terms, std::make_unique<ClientPhase>(terms.inner, random, std::move(self)));
}

}  // namespace culvert::ike::eap
