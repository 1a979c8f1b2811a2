// TlsChannel: TLS 1.2 and 1.3 (RFC 5246, RFC 8446) over memory, as the methods of EAP that are built on it use it (RFC
// 5216, RFC 9190, RFC 5281): records in, records out, and keys exported. Whom the other side's certificate must lead to
// is judged by our own TrustStore, as in IKE. Nobody resumes a session.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/certificate.hpp"
#include "crypto/signature.hpp"
#include "crypto/trust.hpp"

namespace culvert::crypto {

struct TlsContextHandle;

/// What many conversations have in common. Immutable; may be used by several threads.
class TlsContext {
 public:
  struct Settings {
    bool server = false;
    std::vector<Bytes> certificates;  // in DER, our own first; a client may have none
    PrivateKey key;
    /// Whom the other side's certificate must lead to; a server that asks for none may go without.
    std::optional<TrustStore> trust;
    bool with_tls13 = true;
  };
  /// The error is a sentence: what of the settings cannot be used.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>, std::string> make(Settings settings);

  explicit TlsContext(std::unique_ptr<const TlsContextHandle> handle);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  [[nodiscard]] bool is_server() const;
  /// There is somebody to believe.
  [[nodiscard]] bool has_trust() const;
  [[nodiscard]] const TlsContextHandle& handle() const { return *handle_; }

 private:
  std::unique_ptr<const TlsContextHandle> handle_;
};

/// Why a channel failed. All of it is printable. `subject` and `serial` are empty when it is about no certificate.
struct TlsFault {
  std::string subject;
  std::string serial;
  std::string check;  // that of PathCheck, that of `name_fault`, or "tls"
  std::string found;
};

/// For one channel.
struct TlsRules {
  CalendarTime now = 0;
  /// A server asks the client for its certificate, and takes none that shows none. Needs somebody to believe.
  bool wants_certificate = false;
  /// Asked about a certificate whose path is good: what is wrong with the names in it; nothing when they are right.
  std::function<std::optional<TlsFault>(const Certificate&)> name_fault;
};

class TlsChannel {
 public:
  enum class State : std::uint8_t { handshake, open, failed };

  [[nodiscard]] static std::unique_ptr<TlsChannel> make(std::shared_ptr<const TlsContext> context, TlsRules rules);
  virtual ~TlsChannel() = default;

  /// Records of the other side, whole or in part; any octets. A client begins with none.
  virtual void receive(ByteView records) = 0;
  /// To be sent; empty when there is nothing to say. An alert, too, after a failure.
  [[nodiscard]] virtual Bytes take_output() = 0;
  /// Application data; in state open only.
  virtual void write(ByteView data) = 0;
  /// Application data that came; secret, perhaps: to be wiped.
  [[nodiscard]] virtual Bytes take_data() = 0;

  [[nodiscard]] virtual State state() const = 0;
  /// The other side has said that nothing more will come (close_notify).
  [[nodiscard]] virtual bool is_closed() const = 0;
  /// With failed.
  [[nodiscard]] virtual const TlsFault& fault() const = 0;
  /// In state open.
  [[nodiscard]] virtual bool is_tls13() const = 0;
  /// That was found right.
  [[nodiscard]] virtual const std::optional<Certificate>& peer_certificate() const = 0;
  /// When the first certificate of its path ends; with `peer_certificate`.
  [[nodiscard]] virtual std::optional<CalendarTime> peer_good_until() const = 0;
  /// RFC 5705, RFC 8446 7.5; in state open only. Without `context` there is none, which differs from an empty one
  /// before TLS 1.3. Nothing when the library refuses.
  [[nodiscard]] virtual std::optional<SecretBytes> export_key(std::string_view label, std::optional<ByteView> context,
                                                              std::size_t size) const = 0;
};

}  // namespace culvert::crypto
