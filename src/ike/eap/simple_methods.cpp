#include "ike/eap/simple_methods.hpp"

#include <utility>

#include "crypto/prf.hpp"
#include "ike/eap/expected.hpp"

namespace culvert::ike::eap {
namespace {

constexpr std::size_t kDigest = 16;
constexpr std::string_view kPrompt = "Password: ";

// RFC 1994 4.1: over identifier, secret and challenge.
Bytes md5_answer(std::uint8_t identifier, const SecretBytes& secret, ByteView challenge) {
  return crypto::hash(crypto::HashId::md5, {ByteView(&identifier, 1), secret.view(), challenge});
}

/// Value-Size, value; a name may follow, which says nothing.
std::optional<ByteView> value_of(ByteView data) {
  ByteReader reader(data);
  const std::size_t size = reader.u8();
  const ByteView value = reader.bytes(size);
  if (!reader.ok() || size == 0) return std::nullopt;
  return value;
}

Bytes with_size(ByteView value) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(value.size()));
  out.bytes(value);
  return out.take();
}

class Md5Server final : public ServerMethod {
 public:
  Md5Server(RandomSource& random, std::string identity, const SecretBytes* secret)
      : expected_(std::move(identity), secret), challenge_(kDigest) {
    random.fill(challenge_);
    if (secret == nullptr) random.fill(expected_.secret.mutable_view());
  }
  Bytes begin(std::uint8_t identifier) override {
    (void)identifier;
    return with_size(challenge_);
  }
  Turn handle(std::uint8_t identifier, ByteView data) override {
    const auto value = value_of(data);
    if (!value || value->size() != kDigest)
      return Turn::refuse("protocol", "MD5: the response has no digest of 16 octets");
    return expected_.verdict(constant_time_equal(md5_answer(identifier, expected_.secret, challenge_), *value), "MD5");
  }

 private:
  Expected expected_;
  Bytes challenge_;
};

class Md5Client final : public ClientMethod {
 public:
  Md5Client(std::string identity, SecretBytes secret) : identity_(std::move(identity)), secret_(std::move(secret)) {}
  Turn handle(std::uint8_t identifier, ByteView data) override {
    const auto challenge = value_of(data);
    if (!challenge) return Turn::refuse("protocol", "MD5: the request has no challenge");
    ByteWriter out;
    out.bytes(with_size(md5_answer(identifier, secret_, *challenge)));
    out.bytes(as_bytes(identity_));
    return Turn::say(out.take(), Progress::done);
  }

 private:
  const std::string identity_;
  const SecretBytes secret_;
};

class GtcServer final : public ServerMethod {
 public:
  GtcServer(std::string identity, const SecretBytes* secret) : expected_(std::move(identity), secret) {}
  Bytes begin(std::uint8_t identifier) override {
    (void)identifier;
    return to_bytes(as_bytes(kPrompt));
  }
  Turn handle(std::uint8_t identifier, ByteView data) override {
    (void)identifier;
    return expected_.verdict(!data.empty() && constant_time_equal(expected_.secret.view(), data), "GTC");
  }

 private:
  const Expected expected_;
};

class GtcClient final : public ClientMethod {
 public:
  explicit GtcClient(SecretBytes secret) : secret_(std::move(secret)) {}
  Turn handle(std::uint8_t identifier, ByteView data) override {
    (void)identifier, (void)data;
    return Turn::say(to_bytes(secret_.view()), Progress::done);
  }

 private:
  const SecretBytes secret_;
};

}  // namespace

std::unique_ptr<ServerMethod> md5_server(RandomSource& random, std::string identity, const SecretBytes* secret) {
  return std::make_unique<Md5Server>(random, std::move(identity), secret);
}
std::unique_ptr<ClientMethod> md5_client(std::string identity, SecretBytes secret) {
  return std::make_unique<Md5Client>(std::move(identity), std::move(secret));
}
std::unique_ptr<ServerMethod> gtc_server(std::string identity, const SecretBytes* secret) {
  return std::make_unique<GtcServer>(std::move(identity), secret);
}
std::unique_ptr<ClientMethod> gtc_client(SecretBytes secret) { return std::make_unique<GtcClient>(std::move(secret)); }

}  // namespace culvert::ike::eap
