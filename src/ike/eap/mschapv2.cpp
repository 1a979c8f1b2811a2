#include "ike/eap/mschapv2.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/eap/ms_chap.hpp"

namespace culvert::ike::eap {
namespace {

enum class OpCode : std::uint8_t { challenge = 1, response = 2, success = 3, failure = 4 };

// draft-kamath-pppext-eap-mschapv2 2: op code, id, length of the whole behind the EAP type.
constexpr std::size_t kHeader = 4;
constexpr std::size_t kResponseSize = 49;
constexpr std::size_t kMostName = 256;
constexpr std::string_view kOurName = "culvert";

Bytes message(OpCode code, std::uint8_t id, ByteView body) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(code));
  out.u8(id);
  out.u16(static_cast<std::uint16_t>(kHeader + body.size()));
  out.bytes(body);
  return out.take();
}

struct Parsed {
  OpCode code{};
  std::uint8_t id = 0;
  ByteView body;
};

/// Nothing when header and size do not agree. Acknowledgements are their op code alone.
std::optional<Parsed> parse(ByteView data) {
  if (data.size() == 1) return Parsed{.code = static_cast<OpCode>(data[0]), .id = 0, .body = {}};
  ByteReader reader(data);
  Parsed parsed;
  parsed.code = static_cast<OpCode>(reader.u8());
  parsed.id = reader.u8();
  const std::size_t length = reader.u16();
  if (!reader.ok() || length != data.size()) return std::nullopt;
  parsed.body = reader.rest();
  return parsed;
}

Turn malformed(std::string_view what) { return Turn::refuse("protocol", fmt::format("MSCHAPV2: {}", what)); }

class Server final : public ServerMethod {
 public:
  Server(RandomSource& random, std::string identity, const SecretBytes* secret)
      : random_(random), identity_(std::move(identity)), known_(secret != nullptr) {
    if (secret != nullptr) {
      auto hash = ms_chap::password_hash(secret->view());
      usable_ = hash.has_value();
      if (hash) hash_ = std::move(*hash);
    }
    if (hash_.empty()) {
      hash_ = SecretBytes(16);
      random_.fill(hash_.mutable_view());
    }
  }

  Bytes begin(std::uint8_t identifier) override {
    random_.fill(exchange_.server_challenge);
    id_ = identifier;
    ByteWriter body;
    body.u8(static_cast<std::uint8_t>(exchange_.server_challenge.size()));
    body.bytes(exchange_.server_challenge);
    body.bytes(as_bytes(kOurName));
    return message(OpCode::challenge, id_, body.view());
  }

  Turn handle(std::uint8_t identifier, ByteView data) override {
    const auto parsed = parse(data);
    if (!parsed) return malformed("the length in the response is not right");
    if (state_ == State::challenged && parsed->code == OpCode::response) return judge(identifier, *parsed);
    if (state_ == State::failing) return refusal();
    // An acknowledgement proves something only behind a response that was right.
    if (state_ == State::proved && parsed->code == OpCode::success) {
      Turn turn = Turn::say({}, Progress::done);
      turn.msk = std::move(msk_);
      return turn;
    }
    return malformed(fmt::format("op code {} came where it has no place", static_cast<unsigned>(parsed->code)));
  }

 private:
  enum class State : std::uint8_t { challenged, proved, failing };

  Turn judge(std::uint8_t identifier, const Parsed& parsed) {
    if (parsed.id != id_) return malformed("the response is for another challenge");
    ByteReader reader(parsed.body);
    const std::size_t size = reader.u8();
    const ByteView peer_challenge = reader.bytes(exchange_.peer_challenge.size());
    reader.skip(8);
    const ByteView answer = reader.bytes(24);
    reader.skip(1);
    if (!reader.ok() || size != kResponseSize || reader.remaining() > kMostName)
      return malformed("the response is too short, or its name too long");
    const std::string name(reader.rest().begin(), reader.rest().end());
    // One identity is authorised, so one must be proved.
    if (name != identity_)
      return Turn::refuse("identity",
                          fmt::format("the response is of '{}', the peer said at first that it is '{}' (MSCHAPV2)",
                                      escaped(name), escaped(identity_)));
    std::ranges::copy(peer_challenge, exchange_.peer_challenge.begin());
    exchange_.name = name;
    const ms_chap::Response expected = ms_chap::nt_response(exchange_, hash_);
    const bool right = constant_time_equal(expected, answer) && known_ && usable_;
    id_ = static_cast<std::uint8_t>(identifier + 1);
    if (!right) return fail();
    state_ = State::proved;
    const std::string proof = ms_chap::authenticator_response(exchange_, hash_, expected);
    msk_ = ms_chap::master_session_key(hash_, expected);
    exchange_.name = {};
    return Turn::say(message(OpCode::success, id_, as_bytes(proof + " M=welcome")));
  }

  Turn fail() {
    state_ = State::failing;
    exchange_.name = {};
    ms_chap::Challenge next;
    random_.fill(next);
    // RFC 2759 6: authentication failure, no retry. The same for whoever nobody knows.
    Turn turn = refusal();
    turn.progress = Progress::more;
    turn.data = message(OpCode::failure, id_, as_bytes(fmt::format("E=691 R=0 C={} V=3 M=refused", to_hex(next))));
    return turn;
  }

  [[nodiscard]] Turn refusal() const {
    if (!known_) return Turn::refuse("identity", fmt::format("nobody is called '{}' (MSCHAPV2)", escaped(identity_)));
    if (!usable_)
      return Turn::refuse("password", fmt::format("the secret of '{}' is no text that MSCHAPV2 can use (UTF-8, at most "
                                                  "256 characters)",
                                                  escaped(identity_)));
    return Turn::refuse("password", fmt::format("'{}' does not have our secret (MSCHAPV2)", escaped(identity_)));
  }

  RandomSource& random_;
  const std::string identity_;
  const bool known_;
  bool usable_ = true;
  SecretBytes hash_;
  ms_chap::Exchange exchange_;
  std::uint8_t id_ = 0;
  State state_ = State::challenged;
  SecretBytes msk_;
};

class Client final : public ClientMethod {
 public:
  Client(RandomSource& random, std::string identity, SecretBytes secret)
      : random_(random), identity_(std::move(identity)), hash_(ms_chap::password_hash(secret.view())) {}

  Turn handle(std::uint8_t identifier, ByteView data) override {
    (void)identifier;
    const auto parsed = parse(data);
    if (!parsed || data.size() < kHeader) return malformed("the length in the request is not right");
    if (state_ == State::waiting && parsed->code == OpCode::challenge) return answer(*parsed);
    if (state_ == State::answered && parsed->code == OpCode::success) return check(parsed->body);
    if (state_ == State::answered && parsed->code == OpCode::failure) return give_in(parsed->body);
    return malformed(fmt::format("op code {} came where it has no place", static_cast<unsigned>(parsed->code)));
  }

 private:
  enum class State : std::uint8_t { waiting, answered, over };

  Turn answer(const Parsed& parsed) {
    if (!hash_)
      return Turn::refuse("password", "our secret is no text that MSCHAPV2 can use (UTF-8, at most 256 characters)");
    ByteReader reader(parsed.body);
    const std::size_t size = reader.u8();
    const ByteView challenge = reader.bytes(exchange_.server_challenge.size());
    if (!reader.ok() || size != exchange_.server_challenge.size()) return malformed("the challenge has another size");
    std::ranges::copy(challenge, exchange_.server_challenge.begin());
    random_.fill(exchange_.peer_challenge);
    exchange_.name = identity_;
    response_ = ms_chap::nt_response(exchange_, *hash_);
    state_ = State::answered;
    ByteWriter body;
    body.u8(kResponseSize);
    body.bytes(exchange_.peer_challenge);
    body.zeros(8);
    body.bytes(response_);
    body.u8(0);
    body.bytes(as_bytes(identity_));
    return Turn::say(message(OpCode::response, parsed.id, body.view()));
  }

  // RFC 2759 5: the server proves that it knows the password, too; without that it gets no further word.
  Turn check(ByteView body) {
    const std::string expected = ms_chap::authenticator_response(exchange_, *hash_, response_);
    const bool right =
        body.size() >= expected.size() && constant_time_equal(as_bytes(expected), body.first(expected.size()));
    state_ = State::over;
    if (!right)
      return Turn::refuse("password",
                          fmt::format("the server does not have the secret of '{}' (MSCHAPV2)", escaped(identity_)));
    Turn turn = Turn::say({static_cast<std::uint8_t>(OpCode::success)}, Progress::done);
    turn.msk = ms_chap::master_session_key(*hash_, response_);
    return turn;
  }

  Turn give_in(ByteView body) {
    state_ = State::over;
    const std::string words(body.begin(), body.end());
    return Turn::refuse("password",
                        fmt::format("the server does not take the secret of '{}': \"{}\" (MSCHAPV2)",
                                    escaped(identity_), escaped(words, 100)),
                        {static_cast<std::uint8_t>(OpCode::failure)});
  }

  RandomSource& random_;
  const std::string identity_;
  const std::optional<SecretBytes> hash_;
  ms_chap::Exchange exchange_;
  ms_chap::Response response_{};
  State state_ = State::waiting;
};

}  // namespace

std::unique_ptr<ServerMethod> mschapv2_server(RandomSource& random, std::string identity, const SecretBytes* secret) {
  return std::make_unique<Server>(random, std::move(identity), secret);
}

std::unique_ptr<ClientMethod> mschapv2_client(RandomSource& random, std::string identity, SecretBytes secret) {
  return std::make_unique<Client>(random, std::move(identity), std::move(secret));
}

}  // namespace culvert::ike::eap
