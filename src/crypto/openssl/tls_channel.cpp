#include "crypto/tls_channel.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <openssl/ssl.h>

#include "base/check.hpp"
#include "base/text.hpp"
#include "crypto/openssl/x509_handles.hpp"

namespace culvert::crypto {

struct TlsContextHandle {
  std::unique_ptr<SSL_CTX, openssl::Freer<SSL_CTX_free>> context;
  std::optional<TrustStore> trust;
  bool server = false;
};

namespace {

using openssl::ErrorQueueGuard;
using Ssl = std::unique_ptr<SSL, openssl::Freer<SSL_free>>;

constexpr std::size_t kDataLimit = std::size_t{64} * 1024;  // of application data that nobody has taken yet
constexpr long kChainLimit = 64L * 1024;
constexpr std::size_t kTextLimit = 200;

/// What the library says last; an alert of the other side is among it.
std::string library_fault() {
  const unsigned long code = ERR_peek_last_error();
  if (code == 0) return "the other side broke off";
  const char* reason = ERR_reason_error_string(code);
  return escaped(reason != nullptr ? reason : "no reason is known", kTextLimit);
}

class Channel final : public TlsChannel {
 public:
  Channel(std::shared_ptr<const TlsContext> context, TlsRules rules)
      : context_(std::move(context)), rules_(std::move(rules)), ssl_(SSL_new(context_->handle().context.get())) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    CHECK(ssl_ != nullptr && in_ != nullptr && out_ != nullptr);
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);  // which owns both now
    SSL_set_app_data(ssl_.get(), this);
    const bool server = context_->is_server();
    server ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
    const bool judges = !server || rules_.wants_certificate;
    SSL_set_verify(ssl_.get(), judges ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, nullptr);
  }

  void receive(ByteView records) override {
    if (state_ == State::failed) return;
    const ErrorQueueGuard guard;
    ERR_clear_error();
    if (!records.empty()) CHECK(BIO_write(in_, records.data(), static_cast<int>(records.size())) > 0);
    if (state_ == State::handshake) {
      const int done = SSL_do_handshake(ssl_.get());
      if (done != 1) {
        if (!wants_more(done)) fail();
        return;
      }
      state_ = State::open;
    }
    read();
  }

  Bytes take_output() override {
    Bytes output(BIO_ctrl_pending(out_));
    if (!output.empty())
      CHECK(BIO_read(out_, output.data(), static_cast<int>(output.size())) == static_cast<int>(output.size()));
    return output;
  }

  void write(ByteView data) override {
    CHECK(state_ == State::open);
    const ErrorQueueGuard guard;
    ERR_clear_error();
    if (SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size())) <= 0) fail();
  }

  Bytes take_data() override { return std::exchange(data_, {}); }
  State state() const override { return state_; }
  bool is_closed() const override { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
  const TlsFault& fault() const override { return fault_; }
  bool is_tls13() const override { return SSL_version(ssl_.get()) == TLS1_3_VERSION; }
  const std::optional<Certificate>& peer_certificate() const override { return peer_; }
  std::optional<CalendarTime> peer_good_until() const override { return peer_good_until_; }

  std::optional<SecretBytes> export_key(std::string_view label, std::optional<ByteView> context,
                                        std::size_t size) const override {
    CHECK(state_ == State::open);
    const ErrorQueueGuard guard;
    SecretBytes key(size);
    const ByteView about = context.value_or(ByteView());
    if (SSL_export_keying_material(ssl_.get(), key.mutable_view().data(), size, label.data(), label.size(),
                                   about.data(), about.size(), context ? 1 : 0) != 1)
      return std::nullopt;
    return key;
  }

  // RFC 5216 5.3, RFC 5280 6: by the same rules as a certificate in IKE. With anything but 1 the library ends the
  // handshake, and nothing is done with the key.
  static int verify(X509_STORE_CTX* store, void* /*unused*/) {
    auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    CHECK(ssl != nullptr);
    auto& channel = *static_cast<Channel*>(SSL_get_app_data(ssl));
    const bool good = channel.judge(store);
    X509_STORE_CTX_set_error(store, good ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
    return good ? 1 : 0;
  }

 private:
  bool judge(X509_STORE_CTX* store) {
    const std::optional<TrustStore>& trust = context_->handle().trust;
    std::vector<Certificate> all;
    const auto take = [&](const X509* one) {
      auto parsed = Certificate::from_der(openssl::der_of(i2d_X509, one));
      if (parsed) all.push_back(std::move(*parsed));
      return parsed.has_value();
    };
    X509* own = X509_STORE_CTX_get0_cert(store);
    bool good = trust.has_value() && own != nullptr && take(own);
    const STACK_OF(X509)* others = X509_STORE_CTX_get0_untrusted(store);
    const int count = others == nullptr ? 0 : std::min<int>(sk_X509_num(others), static_cast<int>(kPathLimit) + 1);
    for (int i = 0; good && i < count; ++i) {
      const X509* one = sk_X509_value(others, i);
      if (X509_cmp(one, own) != 0) good = take(one);
    }
    if (!good) {
      fault_ = {.subject = {}, .serial = {}, .check = "certificate", .found = "a certificate cannot be read"};
      return false;
    }
    auto path = trust->find_path(all.front(), std::span(all).subspan(1), {.now = rules_.now});
    if (!path) {
      PathRefusal& refusal = path.error();
      fault_ = {.subject = std::move(refusal.subject),
                .serial = std::move(refusal.serial),
                .check = std::string(name_of(refusal.check)),
                .found = std::move(refusal.found)};
      return false;
    }
    if (rules_.name_fault) {
      if (auto fault = rules_.name_fault(all.front())) {
        fault_ = std::move(*fault);
        return false;
      }
    }
    peer_ = all.front();
    peer_good_until_ = peer_->not_after();
    for (const Certificate& one : *path) peer_good_until_ = std::min(*peer_good_until_, one.not_after());
    return true;
  }

  bool wants_more(int result) const {
    const int error = SSL_get_error(ssl_.get(), result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }

  void read() {
    std::array<std::uint8_t, 4096> part;
    for (;;) {
      ERR_clear_error();
      const int got = SSL_read(ssl_.get(), part.data(), static_cast<int>(part.size()));
      if (got <= 0) {
        // An orderly end says nothing about what came before it; who waits for more fails by himself.
        if (!wants_more(got) && SSL_get_error(ssl_.get(), got) != SSL_ERROR_ZERO_RETURN) fail();
        break;
      }
      if (data_.size() + static_cast<std::size_t>(got) > kDataLimit) {
        fault_ = {.subject = {}, .serial = {}, .check = "tls", .found = "more data came than anybody takes"};
        fail();
        break;
      }
      data_.insert(data_.end(), part.begin(), part.begin() + got);
    }
    wipe(part);
  }

  void fail() {
    state_ = State::failed;
    if (fault_.check.empty()) fault_ = {.subject = {}, .serial = {}, .check = "tls", .found = library_fault()};
  }

  const std::shared_ptr<const TlsContext> context_;
  const TlsRules rules_;
  const Ssl ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  Bytes data_;
  State state_ = State::handshake;
  TlsFault fault_;
  std::optional<Certificate> peer_;
  std::optional<CalendarTime> peer_good_until_;
};

/// What cannot be used, as a sentence.
std::optional<std::string> use_own(SSL_CTX* context, const TlsContext::Settings& settings) {
  if (settings.certificates.empty()) {
    if (settings.server) return "a server of TLS needs a certificate";
    return std::nullopt;
  }
  if (!settings.key.present()) return "the certificate is there without its key";
  for (std::size_t i = 0; i < settings.certificates.size(); ++i) {
    // By the library's usual means, for the key of the first is compared with ours.
    const Bytes& der = settings.certificates[i];
    const unsigned char* at = der.data();
    const openssl::X509Cert one(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!one) return "a certificate of ours cannot be read";
    const long good =
        i == 0 ? SSL_CTX_use_certificate(context, one.get()) : SSL_CTX_add1_chain_cert(context, one.get());
    if (good != 1) return fmt::format("our certificate cannot be used with TLS: {}", library_fault());
  }
  if (SSL_CTX_use_PrivateKey(context, settings.key.handle().key.get()) != 1)
    return fmt::format("our private key cannot be used with TLS: {}", library_fault());
  return std::nullopt;
}

}  // namespace

TlsContext::TlsContext(std::unique_ptr<const TlsContextHandle> handle) : handle_(std::move(handle)) {}
TlsContext::~TlsContext() = default;
bool TlsContext::is_server() const { return handle_->server; }
bool TlsContext::has_trust() const { return handle_->trust.has_value(); }

Result<std::shared_ptr<const TlsContext>, std::string> TlsContext::make(Settings settings) {
  const ErrorQueueGuard guard;
  auto handle = std::make_unique<TlsContextHandle>();
  handle->context.reset(SSL_CTX_new(settings.server ? TLS_server_method() : TLS_client_method()));
  CHECK(handle->context != nullptr);
  SSL_CTX* context = handle->context.get();
  CHECK(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  CHECK(SSL_CTX_set_max_proto_version(context, settings.with_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1);
  // RSA of 2048 bits or curves of 224, and SHA-2, as for IKE's certificates.
  SSL_CTX_set_security_level(context, 2);
  // RFC 9190 2.1.2: no tickets here, for nobody resumes.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // RFC 5746 4.1: a server that does not know it is safe as long as nobody renegotiates, and within EAP what goes
  // before the handshake is the EAP server's own. strongSwan 5.9 is one of them.
  if (!settings.server) SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
  CHECK(SSL_CTX_set_num_tickets(context, 0) == 1);
  SSL_CTX_set_max_cert_list(context, kChainLimit);
  // Buffers of 32 KB each are there only while records pass.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  if (auto fault = use_own(context, settings)) return err(std::move(*fault));
  if (!settings.server && !settings.trust)
    return err(std::string("a client of TLS needs authorities to judge the server by"));
  SSL_CTX_set_cert_verify_callback(context, &Channel::verify, nullptr);
  handle->trust = std::move(settings.trust);
  handle->server = settings.server;
  return std::make_shared<const TlsContext>(std::move(handle));
}

std::unique_ptr<TlsChannel> TlsChannel::make(std::shared_ptr<const TlsContext> context, TlsRules rules) {
  CHECK(!rules.wants_certificate || context->has_trust());
  return std::make_unique<Channel>(std::move(context), std::move(rules));
}

}  // namespace culvert::crypto
