#include "tests/sim/figure.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.hpp"
#include "ike/codec/seal.hpp"
#include "ike/puzzle.hpp"
#include "model/proposal.hpp"

namespace culvert::sim {
namespace {

using ike::codec::MessageOpener;
using ike::codec::ParsedMessage;
using ike::v2::testing::Datagram;
using Names = std::vector<std::string>;

// ---------------------------------------------------------------- figures

// RFC 7296 3.10.1: errors have names of their own in every figure.
bool is_status(const std::string& name) {
  if (!name.starts_with("N(")) return false;
  for (const auto& [type, known] : model::kNotifyTypeNames) {
    if (fmt::format("N({})", known) == name) return static_cast<std::uint16_t>(type) >= 16384;
  }
  return false;
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \n") + 1 - first));
}

// SAi1, SAr2 -> SA; KEi, KEr(1) -> KE; Ni, Nr -> nonce.
std::string plain_name(std::string name) {
  if (name.starts_with("SA") && name.size() <= 4) return "SA";
  if (name.starts_with("KE")) return "KE";
  return name == "Ni" || name == "Nr" ? "nonce" : name;
}

std::vector<Piece> parse_pieces(std::string_view text) {
  std::vector<Piece> pieces;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string one = trimmed(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    if (one.empty()) continue;
    Piece piece;
    if (one.front() == '[') {
      CHECK(one.back() == ']');
      piece.optional = true;
      one = one.substr(1, one.size() - 2);
    }
    if (one.back() == '+') {
      piece.many = true;
      one.pop_back();
    }
    const bool in_place = one.back() == '!';
    if (in_place) one.pop_back();
    piece.name = plain_name(one);
    piece.anywhere = !in_place && (piece.name == "N" || is_status(piece.name));
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

Arrow parse_arrow(std::string_view text, bool from_left) {
  Arrow arrow{.from_left = from_left, .exchange = {}, .clear = {}, .inside = {}, .text = trimmed(text)};
  arrow.text.erase(std::ranges::remove(arrow.text, '\n').begin(), arrow.text.end());
  const std::size_t end = text.find(')');
  CHECK(end != std::string_view::npos);
  arrow.exchange = std::string(text.substr(4, end - 4));
  std::string_view rest = text.substr(end + 1);
  const std::size_t sealed = rest.find("SK {");
  arrow.sealed = sealed != std::string_view::npos;
  arrow.clear = parse_pieces(rest.substr(0, sealed));
  if (arrow.sealed) {
    const std::size_t close = rest.find('}');
    CHECK(close != std::string_view::npos);
    arrow.inside = parse_pieces(rest.substr(sealed + 4, close - sealed - 4));
  }
  return arrow;
}

// ---------------------------------------------------------------- the wire

std::string name_of(const ike::codec::Payload& payload) {
  if (const auto* notify = std::get_if<ike::codec::NotifyPayload>(&payload)) {
    const auto name = model::name_of(notify->type);
    return fmt::format("N({})", name.empty() ? std::to_string(static_cast<unsigned>(notify->type)) : name);
  }
  if (const auto* eap = std::get_if<ike::codec::EapPayload>(&payload)) {
    // RFC 3748 4: the code.
    if (eap->message.empty()) return "EAP(?)";
    constexpr std::array kCodes{"?", "Request", "Response", "Success", "Failure"};
    return fmt::format("EAP({})", kCodes[eap->message[0] < kCodes.size() ? eap->message[0] : 0]);
  }
  if (const auto* cp = std::get_if<ike::codec::ConfigurationPayload>(&payload))
    return cp->type == model::ConfigurationType::request ? "CP(CFG_REQUEST)" : "CP(CFG_REPLY)";
  if (const auto* unknown = std::get_if<ike::codec::UnknownPayload>(&payload))
    return unknown->type == ike::kPuzzleSolutionPayload ? "PS" : fmt::format("payload {}", unknown->type);
  if (std::holds_alternative<ike::codec::NoncePayload>(payload)) return "nonce";
  return std::string(model::name_of(ike::codec::type_of(payload)));
}

Names names_of(const std::vector<ike::codec::Payload>& payloads) {
  Names names;
  for (const auto& payload : payloads) names.push_back(name_of(payload));
  return names;
}

std::optional<Bytes> open_part(const Datagram& datagram, const ParsedMessage& parsed,
                               const std::vector<const ike::KeysExported*>& keys) {
  for (const ike::KeysExported* one : keys) {
    if (one->spi_i != parsed.header.spi_i || one->spi_r != parsed.header.spi_r) continue;
    const auto suite = model::packet_suite(one->suite.encryption, one->suite.key_bits, one->suite.integrity);
    const bool initiator = parsed.header.initiator;
    CHECK(suite);
    auto opener = MessageOpener::make(*suite, (initiator ? one->sk_ei : one->sk_er).view(),
                                      (initiator ? one->sk_ai : one->sk_ar).view());
    CHECK(opener);
    if (auto chain = opener->open_chain(datagram.message, parsed)) return std::move(*chain);
  }
  return std::nullopt;
}

/// Puts messages together from what was sent, in the order of their first octets.
class WireReader {
 public:
  explicit WireReader(const std::vector<const ike::KeysExported*>& keys) : keys_(keys) {}

  void read(const Datagram& datagram) {
    const auto parsed = ike::codec::parse_message(datagram.message);
    CHECK(parsed);
    const auto& header = parsed->header;
    SeenMessage message{.from_a = datagram.from_a,
                        .exchange = std::string(model::name_of(header.exchange)),
                        .response = header.response,
                        .clear = names_of(parsed->payloads),
                        .sealed = parsed->sealed.has_value(),
                        .inside = {}};
    if (!parsed->sealed) {
      if (clear_.insert({datagram.from_a, datagram.message}).second) seen_.push_back({std::move(message), {}, {}});
      return;
    }
    const auto key = std::tuple(datagram.from_a, header.spi_i, header.spi_r, header.response, header.message_id);
    const auto [known, fresh] = sealed_.try_emplace(key, seen_.size());
    if (fresh) seen_.push_back({std::move(message), {}, {}});
    add_part(seen_[known->second], datagram, *parsed);
  }

  std::vector<SeenMessage> take() {
    std::vector<SeenMessage> out;
    for (Entry& one : seen_) {
      if (one.message.sealed) one.message.inside = one.opened.value_or(Names{"?"});
      out.push_back(std::move(one.message));
    }
    return out;
  }

 private:
  struct Entry {
    SeenMessage message;
    std::map<std::uint16_t, Bytes> parts;
    std::optional<Names> opened;
    std::uint16_t total = 0;
    model::PayloadType first = model::PayloadType::none;
  };

  // RFC 7383 2.5: fragments of one number of them belong together.
  void add_part(Entry& entry, const Datagram& datagram, const ParsedMessage& parsed) {
    if (entry.opened) return;
    const auto place = parsed.sealed->fragment.value_or(ike::codec::FragmentPlace{});
    if (place.total > entry.total) {
      entry.parts.clear();
      entry.total = place.total;
    }
    auto part = open_part(datagram, parsed, keys_);
    if (place.total < entry.total || !part) return;
    if (place.number == 1) {
      entry.first = parsed.sealed->first_inner;
      entry.message.clear = names_of(parsed.payloads);
    }
    entry.parts[place.number] = std::move(*part);
    if (entry.parts.size() < entry.total) return;
    Bytes chain;
    for (const auto& [number, octets] : entry.parts) chain.insert(chain.end(), octets.begin(), octets.end());
    const auto payloads = ike::codec::parse_payloads(entry.first, chain);
    if (payloads) entry.opened = names_of(*payloads);
  }

  const std::vector<const ike::KeysExported*>& keys_;
  std::vector<Entry> seen_;
  std::set<std::pair<bool, Bytes>> clear_;
  std::map<std::tuple<bool, model::IkeSpi, model::IkeSpi, bool, model::MessageId>, std::size_t> sealed_;
};

// ---------------------------------------------------------------- the comparison

bool fits(std::span<const Piece> pieces, std::span<const std::string> names, bool again = false) {
  if (pieces.empty()) return names.empty();
  const Piece& piece = pieces.front();
  if (!names.empty() && piece.name == names.front()) {
    if (piece.many && fits(pieces, names.subspan(1), true)) return true;
    if (fits(pieces.subspan(1), names.subspan(1))) return true;
  }
  return (piece.optional || again) && fits(pieces.subspan(1), names);
}

// Those that may stand anywhere, and then the others in their order.
bool matches(const std::vector<Piece>& pieces, std::vector<std::string> names) {
  std::vector<Piece> in_order;
  bool any = false;
  for (const Piece& piece : pieces) {
    if (!piece.anywhere) in_order.push_back(piece);
    any = any || piece.name == "N";
  }
  for (const Piece& piece : pieces) {
    if (!piece.anywhere || piece.name == "N") continue;
    const auto gone = std::erase(names, piece.name);
    if ((gone == 0 && !piece.optional) || (gone > 1 && !piece.many)) return false;
  }
  if (any) {
    std::erase_if(names, [&](const std::string& name) {
      return is_status(name) && std::ranges::find(in_order, name, &Piece::name) == in_order.end();
    });
  }
  return fits(in_order, names);
}

bool matches(const Arrow& arrow, const SeenMessage& message, bool a_is_left) {
  return arrow.from_left == (message.from_a == a_is_left) && arrow.exchange == message.exchange &&
         arrow.sealed == message.sealed && matches(arrow.clear, message.clear) && matches(arrow.inside, message.inside);
}

}  // namespace

std::vector<Arrow> parse_figure(std::string_view text) {
  std::vector<Arrow> figure;
  std::size_t at = text.find("HDR(");
  CHECK(at != std::string_view::npos);
  bool from_left = text.substr(0, at).find("<--") == std::string_view::npos;
  while (at != std::string_view::npos) {
    const std::size_t next = text.find("HDR(", at + 1);
    const std::string_view whole = text.substr(at, next == std::string_view::npos ? next : next - at);
    // A message to the left ends where the next begins, one to the right with its arrow.
    const std::size_t arrow = whole.find("-->");
    CHECK(from_left == (arrow != std::string_view::npos));
    const std::size_t back = whole.find("<--");
    figure.push_back(parse_arrow(whole.substr(0, std::min(arrow, back)), from_left));
    from_left = back == std::string_view::npos;
    at = next;
  }
  return figure;
}

std::string SeenMessage::text() const {
  std::string text = fmt::format("{} HDR({}){}", from_a ? "a" : "b", exchange, response ? " response" : "");
  for (const std::string& name : clear) text += ", " + name;
  if (sealed) text += fmt::format(", SK {{{}}}", fmt::join(inside, ", "));
  return text;
}

std::vector<SeenMessage> read_wire(const std::vector<Datagram>& wire, std::size_t from,
                                   const std::vector<const ike::KeysExported*>& keys) {
  WireReader reader(keys);
  for (std::size_t i = from; i < wire.size(); ++i) reader.read(wire[i]);
  return reader.take();
}

std::string compare(const std::vector<Arrow>& figure, const std::vector<SeenMessage>& seen, bool a_is_left) {
  std::string text;
  for (std::size_t i = 0; i < std::max(figure.size(), seen.size()); ++i) {
    const bool same = i < figure.size() && i < seen.size() && matches(figure[i], seen[i], a_is_left);
    if (same) continue;
    text += fmt::format("message {}\n  drawn: {}\n  sent:  {}\n", i + 1,
                        i < figure.size() ? (figure[i].from_left ? "" : "<-- ") + figure[i].text : "nothing",
                        i < seen.size() ? seen[i].text() : "nothing");
  }
  return text;
}

}  // namespace culvert::sim
