// PEAP version 0 ([MS-PEAP] 2, draft-kamath-pppext-peapv0): within TLS the server speaks first, EAP without its header;
// at the end both say by a result that it went well. Without cryptographic binding: the key is that of TLS alone.
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/eap/client.hpp"
#include "ike/eap/packet.hpp"
#include "ike/eap/server.hpp"
#include "ike/eap/tunnelled.hpp"

namespace culvert::ike::eap {
namespace {

using model::EapCode;
using model::EapType;

constexpr std::size_t kHeader = 4;  // of EAP, which is left out
// [MS-PEAP] 2.2.8.1.2.
constexpr std::uint16_t kTypeBits = 0x3fff;
constexpr std::uint16_t kMandatory = 0x8000;
constexpr std::uint16_t kResultTlv = 3;
constexpr std::uint16_t kSuccess = 1;
constexpr std::uint16_t kFailure = 2;

Turn malformed(std::string_view what) { return Turn::refuse("protocol", fmt::format("PEAP: {}", what)); }

/// The one packet that keeps its header.
Bytes result_packet(EapCode code, std::uint8_t identifier, std::uint16_t status) {
  ByteWriter tlv;
  tlv.u16(kMandatory | kResultTlv);
  tlv.u16(2);
  tlv.u16(status);
  return make_packet(code, identifier, EapType::tlv, tlv.view());
}

struct ResultPacket {
  std::uint8_t identifier = 0;
  std::uint16_t status = 0;  // 0: it has none
};
/// Nothing when the octets are no such packet.
std::optional<ResultPacket> parse_result(ByteView data, EapCode code) {
  // EAP without a header begins with its type, which could look like a code: all must fit.
  if (data.size() < kHeader + 1 || data[0] != static_cast<std::uint8_t>(code) || load_be16(&data[2]) != data.size() ||
      data[4] != static_cast<std::uint8_t>(EapType::tlv))
    return std::nullopt;
  ResultPacket found{.identifier = data[1], .status = 0};
  ByteReader reader(data.subspan(kHeader + 1));
  while (reader.remaining() >= 4) {
    const std::uint16_t type = reader.u16() & kTypeBits;
    const std::size_t length = reader.u16();
    ByteReader value(reader.bytes(length));
    if (!reader.ok()) break;
    if (type == kResultTlv) found.status = value.u16();
  }
  return found;
}

Bytes without_header(ByteView packet) { return to_bytes(packet.subspan(std::min(packet.size(), kHeader))); }

Bytes with_header(EapCode code, std::uint8_t identifier, ByteView data) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(code));
  out.u8(identifier);
  out.u16(static_cast<std::uint16_t>(kHeader + data.size()));
  out.bytes(data);
  return out.take();
}

class ServerPhase final : public TlsPhase {
 public:
  ServerPhase(std::vector<EapType> methods, RandomSource& random, const Users& users)
      : server_(std::move(methods), random, users) {}

  Turn open(const crypto::TlsChannel& channel, bool flight, std::uint8_t identifier) override {
    (void)channel;
    return flight ? Turn::say({}) : begin(identifier);
  }

  Turn take(ByteView data, std::uint8_t identifier) override {
    if (!begun_) return data.empty() ? begin(identifier) : malformed("the client begins within TLS");
    if (data.empty()) return malformed("the client says nothing where it should");
    if (result_) return end(data);
    if (data.size() > 0xffff - kHeader) return malformed("too long a packet within TLS");
    return said(server_.handle(with_header(EapCode::response, identifier_, data)));
  }

 private:
  // The header that is left out has the identifier of the packet around it, the next request; MD5 makes use of it.
  Turn begin(std::uint8_t identifier) {
    begun_ = true;
    return said(server_.begin(static_cast<std::uint8_t>(identifier + 1)));
  }

  Turn said(Outcome outcome) {
    identifier_ = outcome.packet.at(1);
    if (outcome.state == Outcome::State::going) {
      Turn turn = Turn::say(without_header(outcome.packet));
      turn.refusal = std::move(outcome.refusal);
      if (turn.refusal) turn.identity = std::move(outcome.identity);
      return turn;
    }
    const bool good = outcome.state == Outcome::State::success;
    Turn turn = Turn::say(result_packet(EapCode::request, ++identifier_, good ? kSuccess : kFailure));
    if (good) {
      proved_ = std::move(outcome.identity);
    } else {
      turn.progress = Progress::refused;
      turn.refusal = std::move(outcome.refusal);
      turn.identity = std::move(outcome.identity);
    }
    result_ = true;
    return turn;
  }

  // CVE-2021-45079 in reverse: the client's word is worth something only behind our own.
  Turn end(ByteView data) {
    const auto result = parse_result(data, EapCode::response);
    if (!result || result->status == 0) return malformed("the client does not say how it ended");
    if (result->status != kSuccess)
      return Turn::refuse("refused", fmt::format("'{}' says that it failed (PEAP)", escaped(proved_)));
    Turn turn = Turn::say({}, Progress::done);
    turn.identity = proved_;
    return turn;
  }

  EapServer server_;
  bool begun_ = false;
  bool result_ = false;  // was sent
  std::uint8_t identifier_ = 0;
  std::string proved_;
};

class ClientPhase final : public TlsPhase {
 public:
  ClientPhase(std::vector<EapType> methods, RandomSource& random, TunnelledClient self)
      : client_(std::move(methods), std::move(self.identity), std::move(self.secret), random) {}

  Turn open(const crypto::TlsChannel& channel, bool flight, std::uint8_t identifier) override {
    (void)identifier;
    (void)channel, (void)flight;
    return Turn::say({});
  }

  Turn take(ByteView data, std::uint8_t identifier) override {
    if (data.empty()) return Turn::say({});
    if (const auto result = parse_result(data, EapCode::request)) return end(*result);
    if (data.size() > 0xffff - kHeader) return malformed("too long a packet within TLS");
    Outcome outcome = client_.handle(with_header(EapCode::request, identifier, data));
    Turn turn = Turn::say(without_header(outcome.packet));
    wipe(outcome.packet);
    if (outcome.refusal) {
      turn.progress = Progress::refused;
      turn.refusal = std::move(outcome.refusal);
    }
    return turn;
  }

 private:
  Turn end(const ResultPacket& result) {
    const bool good = result.status == kSuccess;
    if (good && client_.is_content())
      return Turn::say(result_packet(EapCode::response, result.identifier, kSuccess), Progress::done);
    Turn turn = Turn::say(result_packet(EapCode::response, result.identifier, kFailure), Progress::refused);
    if (good) {
      turn.refusal = Refusal{.subject = {},
                             .serial = {},
                             .check = "protocol",
                             .found = "PEAP: the server says that it went well before the method was over"};
    } else {
      turn.refusal = client_.handle(make_end(EapCode::failure, result.identifier)).refusal;
    }
    return turn;
  }

  EapClient client_;
};

}  // namespace

std::unique_ptr<ServerMethod> peap_server(const TlsTerms& terms, RandomSource& random, const Users& users) {
  return tls_based_server(EapType::peap, terms, {},
                          std::make_unique<ServerPhase>(eap_methods(terms.inner), random, users));
}

std::unique_ptr<ClientMethod> peap_client(const TlsTerms& terms, RandomSource& random, TunnelledClient self) {
  return tls_based_client(EapType::peap, terms,
                          std::make_unique<ClientPhase>(eap_methods(terms.inner), random, std::move(self)));
}

}  // namespace culvert::ike::eap
