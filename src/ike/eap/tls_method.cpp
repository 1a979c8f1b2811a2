#include "ike/eap/tls_method.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/eap/tls_fragments.hpp"
#include "model/certificate_identity.hpp"

namespace culvert::ike::eap {
namespace {

using crypto::TlsChannel;
using crypto::TlsFault;
using model::EapType;

constexpr std::size_t kExported = 128;  // MSK and EMSK
constexpr std::uint8_t kCommitment = 0;

Refusal to_refusal(const TlsFault& fault, EapType type) {
  return {.subject = fault.subject,
          .serial = fault.serial,
          .check = fault.check,
          .found = fmt::format("{} ({})", fault.found, name_of(type))};
}

TlsFault name_fault(const crypto::Certificate& certificate, std::string check, std::string found) {
  return {.subject = certificate.subject(),
          .serial = certificate.serial(),
          .check = std::move(check),
          .found = std::move(found)};
}

/// What both sides do with records.
class Tunnel {
 public:
  Tunnel(EapType type, const TlsTerms& terms, crypto::TlsRules rules, std::unique_ptr<TlsPhase> phase)
      : type_(type), channel_(TlsChannel::make(terms.context, std::move(rules))), phase_(std::move(phase)) {}

  [[nodiscard]] Turn malformed(std::string_view what) const {
    return Turn::refuse("protocol", fmt::format("{}: {}", name_of(type_), what));
  }

  /// A whole flight of the other side. The turn's data are records, which `fragments` has to say; with `done` its key
  /// is there.
  [[nodiscard]] Turn turn(ByteView records, std::uint8_t identifier) {
    channel_->receive(records);
    if (channel_->state() == TlsChannel::State::handshake) {
      fragments.say(channel_->take_output());
      if (!fragments.has_more()) return malformed("the handshake of TLS does not go on");
      return Turn::say({});
    }
    Bytes data = channel_->take_data();
    const bool failed = channel_->state() == TlsChannel::State::failed;
    // Else both could wait for each other's next word. An end behind a word is none yet.
    const bool ended = channel_->is_closed() && data.empty();
    Turn step = failed  ? broken()
                : ended ? Turn::refuse("tls", fmt::format("the other side has ended TLS ({})", name_of(type_)))
                        : advance(data, identifier);
    wipe(data);
    return sealed(std::move(step));
  }

  /// The other side has, or will have, reason to wait for a last word.
  [[nodiscard]] bool is_over() const { return channel_->state() == TlsChannel::State::failed || channel_->is_closed(); }

  TlsFragments fragments;

 private:
  [[nodiscard]] Turn broken() const {
    Turn step = Turn::refuse({}, {});
    step.refusal = to_refusal(channel_->fault(), type_);
    return step;
  }

  [[nodiscard]] Turn advance(ByteView data, std::uint8_t identifier) {
    if (opened_) return phase_->take(data, identifier);
    opened_ = true;
    flight_ = channel_->take_output();
    Turn step = phase_->open(*channel_, !flight_.empty(), identifier);
    if (step.progress != Progress::more || data.empty()) return step;
    // It came together with the end of the handshake.
    Turn next = phase_->take(data, identifier);
    next.data.insert(next.data.begin(), step.data.begin(), step.data.end());
    return next;
  }

  [[nodiscard]] Turn sealed(Turn step) {
    if (!step.data.empty()) {
      channel_->write(step.data);
      wipe(step.data);
      step.data.clear();
      if (channel_->state() == TlsChannel::State::failed) step = broken();
    }
    Bytes output = std::exchange(flight_, {});
    const Bytes more = channel_->take_output();
    output.insert(output.end(), more.begin(), more.end());
    fragments.say(std::move(output));
    if (step.progress != Progress::done) return step;
    auto key = tls_session_key(type_, *channel_);
    if (!key) return Turn::refuse("local", fmt::format("no key can be made ({})", name_of(type_)));
    step.msk = std::move(*key);
    step.good_until = channel_->peer_good_until();
    return step;
  }

  EapType type_;
  std::unique_ptr<TlsChannel> channel_;
  std::unique_ptr<TlsPhase> phase_;  // refers to the channel
  bool opened_ = false;
  Bytes flight_;
};

class Server final : public ServerMethod {
 public:
  explicit Server(Tunnel tunnel) : tunnel_(std::move(tunnel)) {}

  Bytes begin(std::uint8_t identifier) override {
    (void)identifier;
    return TlsFragments::start();
  }

  Turn handle(std::uint8_t identifier, ByteView data) override {
    TlsFragments& fragments = tunnel_.fragments;
    auto received = fragments.receive(data);
    if (!received) return tunnel_.malformed(received.error());
    if (received->start) return tunnel_.malformed("the client says that it begins");
    // RFC 5216 2.1.5: each fragment is acknowledged by a packet without data.
    if (fragments.has_more() && (!received->complete || !received->message.empty()))
      return tunnel_.malformed("a fragment of ours was not acknowledged");
    if (fragments.has_more() || !received->complete) return Turn::say(fragments.next());
    // RFC 5216 2.1.3: the client has heard the alert.
    if (refusal_) {
      Turn end = Turn::refuse({}, {});
      end.refusal = std::move(refusal_);
      return end;
    }
    Turn turn = tunnel_.turn(received->message, identifier);
    if (turn.progress == Progress::done) return turn;
    if (turn.progress == Progress::more && turn.refusal) certain_ = turn.refusal;
    if (turn.progress == Progress::refused) {
      // What the client does when it has heard of it says nothing new.
      if (certain_) turn.refusal = certain_;
      if (!fragments.has_more()) return turn;
      refusal_ = turn.refusal;
      turn.progress = Progress::more;
    }
    turn.data = fragments.next();
    return turn;
  }

 private:
  Tunnel tunnel_;
  std::optional<Refusal> certain_;  // told, while the words for it were still to be said
  std::optional<Refusal> refusal_;  // to be told when its last words have been heard
};

class Client final : public ClientMethod {
 public:
  explicit Client(Tunnel tunnel) : tunnel_(std::move(tunnel)) {}

  Turn handle(std::uint8_t identifier, ByteView data) override {
    TlsFragments& fragments = tunnel_.fragments;
    auto received = fragments.receive(data);
    if (!received) return tunnel_.malformed(received.error());
    if (received->start == begun_)
      return tunnel_.malformed(begun_ ? "the server begins again" : "the server does not say that it begins");
    if (received->start && !received->complete) return tunnel_.malformed("the beginning is cut into fragments");
    begun_ = true;
    if (fragments.has_more() && (!received->complete || !received->message.empty()))
      return tunnel_.malformed("a fragment of ours was not acknowledged");
    if (!fragments.has_more()) {
      if (!received->complete) return Turn::say(fragments.next());
      // What may stand in the beginning, RFC 5281 9.2.1, is for who knows the server already.
      last_ = tunnel_.turn(received->start ? ByteView() : ByteView(received->message), identifier);
      // RFC 5216 2.1.3: an alert is acknowledged, so that the server can end it.
      if (last_.progress == Progress::refused && !fragments.has_more() && !tunnel_.is_over()) return std::move(last_);
    }
    Bytes next = fragments.next();
    if (fragments.has_more() || last_.progress == Progress::more) return Turn::say(std::move(next));
    last_.data = std::move(next);
    return std::move(last_);
  }

 private:
  Tunnel tunnel_;
  bool begun_ = false;
  Turn last_;  // whose records are going out
};

// ---------------------------------------------------------------- EAP-TLS

/// RFC 9190 2.1.8, RFC 7542 2.4.
bool is_anonymous(std::string_view identity) {
  const std::string_view user = identity.substr(0, identity.find('@'));
  return user.empty() || user == "anonymous";
}

/// Within EAP an identity is text; some send the distinguished name itself.
model::Identity identity_of(std::string_view text) {
  constexpr char kSequence = 0x30;
  if (text.starts_with(kSequence))
    return {.type = model::IdentificationType::der_asn1_dn, .data = to_bytes(as_bytes(text))};
  return model::Identity::parse(text);
}

// RFC 5216 5.2: the certificate tells who the client is; who said something else is not let in.
std::optional<TlsFault> client_fault(const crypto::Certificate& certificate, const std::string& identity) {
  if (is_anonymous(identity)) {
    if (model::preferred_identity(certificate)) return std::nullopt;
    return name_fault(certificate, "eap_identity", "the peer is anonymous, and its certificate has no name either");
  }
  if (model::has_identity(certificate, identity_of(identity))) return std::nullopt;
  return name_fault(certificate, "eap_identity",
                    fmt::format("the peer says it is '{}'; the certificate is for {}", escaped(identity),
                                model::identities_text(certificate)));
}

class TlsServerPhase final : public TlsPhase {
 public:
  explicit TlsServerPhase(std::string identity) : identity_(std::move(identity)) {}

  Turn open(const TlsChannel& channel, bool flight, std::uint8_t identifier) override {
    (void)identifier;
    (void)flight;
    const auto& certificate = channel.peer_certificate();
    // CVE-2023-26463: no key without a certificate that was found right.
    if (!certificate) return Turn::refuse("certificate", "the peer has shown no certificate (TLS)");
    if (is_anonymous(identity_)) identity_ = model::preferred_identity(*certificate)->to_string();
    // RFC 9190 2.5: no more handshake messages will come.
    return Turn::say(channel.is_tls13() ? Bytes{kCommitment} : Bytes());
  }

  Turn take(ByteView data, std::uint8_t identifier) override {
    (void)identifier;
    if (!data.empty()) return Turn::refuse("protocol", "TLS: data came, where there is nothing to say");
    Turn turn = Turn::say({}, Progress::done);
    turn.identity = identity_;
    return turn;
  }

 private:
  std::string identity_;
};

class TlsClientPhase final : public TlsPhase {
 public:
  Turn open(const TlsChannel& channel, bool flight, std::uint8_t identifier) override {
    (void)identifier;
    (void)flight;
    // Before TLS 1.3 the server has the last word of the handshake.
    return Turn::say({}, channel.is_tls13() ? Progress::more : Progress::done);
  }

  // RFC 9190 2.5: nothing is a success before the server has said that our certificate is all right.
  Turn take(ByteView data, std::uint8_t identifier) override {
    (void)identifier;
    if (data.empty()) return Turn::say({});
    if (data.size() != 1 || data.front() != kCommitment)
      return Turn::refuse("protocol", "TLS: data came, where there is nothing to say");
    return Turn::say({}, Progress::done);
  }
};

}  // namespace

std::optional<SecretBytes> tls_session_key(EapType type, const TlsChannel& channel) {
  std::optional<SecretBytes> made;
  if (channel.is_tls13()) {
    // RFC 9190 2.3, RFC 9427 2.1: which method it is for is part of it.
    const auto context = static_cast<std::uint8_t>(type);
    made = channel.export_key("EXPORTER_EAP_TLS_Key_Material", ByteView(&context, 1), kExported);
  } else {
    made = channel.export_key(type == EapType::ttls ? "ttls keying material" : "client EAP encryption", std::nullopt,
                              kExported);
  }
  if (!made) return std::nullopt;
  return SecretBytes::copy_of(made->view().first(kMskSize));
}

std::unique_ptr<ServerMethod> tls_based_server(EapType type, const TlsTerms& terms, crypto::TlsRules rules,
                                               std::unique_ptr<TlsPhase> phase) {
  rules.now = terms.now;
  return std::make_unique<Server>(Tunnel(type, terms, std::move(rules), std::move(phase)));
}

std::unique_ptr<ClientMethod> tls_based_client(EapType type, const TlsTerms& terms, std::unique_ptr<TlsPhase> phase) {
  crypto::TlsRules rules{.now = terms.now, .wants_certificate = false, .name_fault = {}};
  // RFC 5216 5.2: a certificate of the right authority is not yet that of the right server.
  rules.name_fault = [server = terms.server](const crypto::Certificate& certificate) -> std::optional<TlsFault> {
    if (server && model::has_identity(certificate, *server)) return std::nullopt;
    return name_fault(certificate, "eap_server",
                      fmt::format("the server should be {}; the certificate is for {}",
                                  server ? server->to_string() : "nobody", model::identities_text(certificate)));
  };
  return std::make_unique<Client>(Tunnel(type, terms, std::move(rules), std::move(phase)));
}

std::unique_ptr<ServerMethod> tls_server(const TlsTerms& terms, std::string identity) {
  crypto::TlsRules rules{.now = terms.now, .wants_certificate = true, .name_fault = {}};
  rules.name_fault = [identity](const crypto::Certificate& certificate) { return client_fault(certificate, identity); };
  return tls_based_server(EapType::tls, terms, std::move(rules), std::make_unique<TlsServerPhase>(std::move(identity)));
}

std::unique_ptr<ClientMethod> tls_client(const TlsTerms& terms) {
  return tls_based_client(EapType::tls, terms, std::make_unique<TlsClientPhase>());
}

}  // namespace culvert::ike::eap
