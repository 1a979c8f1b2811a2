// EAP-TLS (RFC 5216, RFC 9190) and what it shares with EAP-TTLS (RFC 5281) and PEAP: TLS within EAP, of either side.
// The method itself is a TlsPhase: what is said within TLS once it stands.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/tls_channel.hpp"
#include "ike/eap/method.hpp"
#include "model/eap.hpp"

namespace culvert::ike::eap {

/// What one conversation has for methods that are built on TLS.
struct TlsTerms {
  std::shared_ptr<const crypto::TlsContext> context;  // null: they cannot be done
  std::vector<model::EapInner> inner;                 // within TTLS and PEAP, the dearest first
  std::optional<model::Identity> server;              // as client: whom the server's certificate must be for
  crypto::CalendarTime now = 0;
};

/// One conversation's half within TLS. A turn's `data` is application data; a server is done, or refuses, without any,
/// except with words for a refusal.
class TlsPhase {
 public:
  virtual ~TlsPhase() = default;
  /// The handshake is over. `flight`: the last of it, ours, is still to go, and the other side's turn comes in between.
  /// The channel outlives the phase.
  [[nodiscard]] virtual Turn open(const crypto::TlsChannel& channel, bool flight, std::uint8_t identifier) = 0;
  /// What the other side said; empty when it had nothing to say. `identifier` is that of the EAP packet that came.
  [[nodiscard]] virtual Turn take(ByteView data, std::uint8_t identifier) = 0;
};

/// `rules` of the channel beside its time, and the method's own part.
[[nodiscard]] std::unique_ptr<ServerMethod> tls_based_server(model::EapType type, const TlsTerms& terms,
                                                             crypto::TlsRules rules, std::unique_ptr<TlsPhase> phase);
/// Judges the server by its certificate.
[[nodiscard]] std::unique_ptr<ClientMethod> tls_based_client(model::EapType type, const TlsTerms& terms,
                                                             std::unique_ptr<TlsPhase> phase);

/// EAP-TLS. `identity` is who the peer said it is: its certificate must have that, or, where it is anonymous (RFC 9190
/// 2.1.8: "anonymous", or nothing, in front of a realm or alone), tells who it is. The context must have somebody to
/// believe.
[[nodiscard]] std::unique_ptr<ServerMethod> tls_server(const TlsTerms& terms, std::string identity);
[[nodiscard]] std::unique_ptr<ClientMethod> tls_client(const TlsTerms& terms);

/// 64 octets (RFC 5216 2.3, RFC 9190 2.3, RFC 5281 8, RFC 9427 2.1); nothing when the library refuses.
[[nodiscard]] std::optional<SecretBytes> tls_session_key(model::EapType type, const crypto::TlsChannel& channel);

}  // namespace culvert::ike::eap
