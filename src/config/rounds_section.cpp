// `auth` and `peer_auth` of a tunnel as lists: several rounds of authentication, one behind the other (RFC 4739).
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/credential_parts.hpp"
#include "config/draft.hpp"
#include "model/certificate_identity.hpp"

namespace culvert::config {
namespace {

using model::Authentication;
using Way = std::optional<Authentication>;  // nothing: EAP

constexpr std::size_t kMostRounds = 4;
constexpr std::size_t kMostIdentity = 255;
constexpr std::string_view kWords =
    R"(write "secret", "certificate" or "eap", or { by = "secret", id = "NAME" } for a round under another identity)";

struct WrittenRound {
  model::AuthRound round;
  Position position;
  std::vector<Located<std::string>> authorities = {};  // `ca`
};

Way way_of(std::string_view word, bool& known) {
  known = word == "secret" || word == "certificate" || word == "eap";
  if (word == "eap") return std::nullopt;
  return word == "certificate" ? Authentication::certificate : Authentication::shared_key;
}

/// The text at `key` of the table; nothing, and a complaint, when it is something else.
std::optional<std::string> text_in(Section& section, std::string_view setting, const toml::table& table,
                                   std::string_view key) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return std::nullopt;
  if (auto text = node->value<std::string>(); text && !text->empty() && text->size() <= kMostIdentity) return text;
  section.error(section.position_of(*node), setting, fmt::format("{} is {}", key, describe(*node)),
                std::string(kWords));
  return std::nullopt;
}

void read_identity(Section& section, std::string_view setting, const Position& at, const std::string& text,
                   model::AuthRound& round) {
  if (setting == "peer_auth" && text.starts_with('*')) {
    round.pattern = model::IdentityPattern::parse(text);
    if (!round.pattern)
      section.error(at, setting, fmt::format("{} is not a pattern of identities", in_quotes(text)),
                    R"(write "*@example.org", "*.example.org", or "*" for everybody who can authenticate)");
    return;
  }
  round.id = model::Identity::parse(text);
  if (round.id->data.empty())
    section.error(at, setting, fmt::format("{} is no identity", in_quotes(text)),
                  "write an address, a name (gw.example.net) or a mail address (amy@example.net)");
}

/// Whom we believe in a round that the peer proves itself in by certificate.
void read_round_authorities(Section& section, std::string_view setting, const toml::node& node, WrittenRound& written) {
  if (setting != "peer_auth" || written.round.by != Authentication::certificate) {
    section.error(section.position_of(node), setting, "ca is for rounds in which the peer shows a certificate",
                  "take it out");
    return;
  }
  written.authorities = section.texts_of(setting, node, kCredentialFilesLimit);
}

std::optional<WrittenRound> read_round(Section& section, std::string_view setting, const toml::node& node) {
  WrittenRound written{.round = {.by = std::nullopt}, .position = section.position_of(node)};
  const toml::table* table = node.as_table();
  std::optional<std::string> word =
      table == nullptr ? node.value<std::string>() : text_in(section, setting, *table, "by");
  bool known = false;
  if (word) written.round.by = way_of(*word, known);
  if (!known) {
    const bool none = word == "none";
    const bool method = word && word->starts_with("eap-");
    section.error(
        written.position, setting,
        none   ? std::string("\"none\" proves nothing, and so is no round among others")
        : word ? fmt::format("{} is no way to authenticate in a round", in_quotes(*word))
               : fmt::format("a round is a word or a table, not {}", describe(node)),
        method ? fmt::format("write \"eap\", and beside it eap = \"{}\"", word->substr(4)) : std::string(kWords));
    return std::nullopt;
  }
  if (table == nullptr) return written;
  for (const auto& [key, value] : *table) {
    if (key.str() == "by" || key.str() == "id") continue;
    if (key.str() == "ca") {
      read_round_authorities(section, setting, value, written);
      continue;
    }
    section.error(section.position_of(value), setting, fmt::format("a round has no setting {}", in_quotes(key.str())),
                  std::string(kWords));
  }
  if (const auto id = text_in(section, setting, *table, "id"))
    read_identity(section, setting, written.position, *id, written.round);
  return written;
}

/// Once each: there is one secret, and one user, to prove it with. But as many certificates as there are names.
bool goes_with(Section& section, std::string_view setting, const WrittenRound& round,
               const std::vector<WrittenRound>& earlier) {
  const auto same_way = [&](const WrittenRound& one) { return one.round.by == round.round.by; };
  const auto same_name = [&](const WrittenRound& one) {
    return same_way(one) && one.round.id == round.round.id && one.round.pattern == round.round.pattern;
  };
  if (std::ranges::none_of(earlier, same_way)) return true;
  if (round.round.by != Authentication::certificate) {
    section.error(round.position, setting, "the same way stands there twice",
                  "keep one of the two: there is one secret and one user to prove it with");
    return false;
  }
  if (round.round.id || round.round.pattern) {
    if (std::ranges::none_of(earlier, same_name)) return true;
    section.error(round.position, setting, "the same name stands there twice", "keep one of the two");
    return false;
  }
  section.error(round.position, setting, "whose certificate it is in this round is not said",
                R"(write { by = "certificate", id = "NAME" } for all but the first)");
  return false;
}

/// The rounds of one side; empty after a complaint.
std::vector<WrittenRound> read_side(Section& section, std::string_view setting) {
  const toml::node* node = section.node(setting);
  if (node == nullptr) {
    section.missing(
        setting, fmt::format("with several rounds say of both sides what they are: {} = [\"certificate\"]", setting));
    return {};
  }
  std::vector<const toml::node*> nodes;
  if (const toml::array* list = node->as_array()) {
    for (const toml::node& one : *list) nodes.push_back(&one);
  } else {
    nodes.push_back(node);
  }
  if (nodes.empty() || nodes.size() > kMostRounds) {
    section.error(section.position_of(setting), setting,
                  fmt::format("there are {} rounds; 1 to {} are allowed", nodes.size(), kMostRounds),
                  std::string(kWords));
    return {};
  }
  std::vector<WrittenRound> rounds;
  for (const toml::node* one : nodes) {
    auto read = read_round(section, setting, *one);
    if (!read) return {};
    if (!goes_with(section, setting, *read, rounds)) return {};
    if (rounds.empty() && (read->round.id || read->round.pattern)) {
      section.error(read->position, setting, "the identity of the first round is written elsewhere",
                    setting == "auth" ? "write it as local_id" : "write it as remote_id");
      return {};
    }
    rounds.push_back(std::move(*read));
  }
  return rounds;
}

bool has(const std::vector<WrittenRound>& rounds, Way way) {
  return std::ranges::any_of(rounds, [&](const WrittenRound& one) { return one.round.by == way; });
}

/// EAP proves the initiator, by what is said beside it.
void check_eap(Section& section, const std::vector<WrittenRound>& own, const std::vector<WrittenRound>& peer) {
  const bool client = section.has("eap_identity");
  const std::string_view ours = client ? "auth" : "peer_auth";
  const std::string_view others = client ? "peer_auth" : "auth";
  if (has(client ? peer : own, std::nullopt))
    section.error(section.position_of(others), others,
                  client ? "this end is the client of EAP (eap_identity), and the peer is not"
                         : "this end is no client of EAP, for eap_identity is missing",
                  client ? "write \"eap\" in auth" : "write eap_identity = \"NAME\", or \"eap\" in peer_auth");
  const bool wanted = has(client ? own : peer, std::nullopt);
  if (wanted && !section.has("eap"))
    section.missing("eap", "write eap = \"mschapv2\", or another method: what the round \"eap\" is");
  if (!wanted && section.has("eap"))
    section.error(section.position_of("eap"), "eap", fmt::format("{} has no round for it", ours),
                  fmt::format("write \"eap\" in {}, or take it out", ours));
  const toml::node* only = section.node("eap_only");
  if (only != nullptr && only->value<bool>().value_or(false))
    section.error(section.position_of("eap_only"), "eap_only", "with several rounds EAP is never alone", "take it out");
}

/// What no round needs must not stand there.
void check_beside(Section& section, const ProofMethods& methods, bool secret) {
  const auto refuse = [&](std::string_view key) {
    if (section.has(key))
      section.error(section.position_of(key), key, "no round needs it", "take it out, or add a round that does");
  };
  // RFC 8784 mixes its secret into the AUTH of one round and says nothing of several: better none than one that does
  // not count. RFC 9867 has done it before the first.
  const toml::node* exchange = section.node("ppk_exchange");
  const bool early = exchange != nullptr && exchange->value<std::string>() == "intermediate";
  if (section.has("ppk") && !early)
    section.error(section.position_of("ppk"), "ppk",
                  "RFC 8784 mixes a PPK into one AUTH, and several rounds have several",
                  "write ppk_exchange = \"intermediate\" (RFC 9867), or take it out, or leave one round");
  const bool eap = section.has("eap");  // which may need certificates of its own
  if (!methods.own_certificate && !eap) {
    for (const std::string_view key :
         {"certificate", "private_key", "private_key_password", "private_key_password_file", "certificate_url"})
      refuse(key);
  }
  if (!methods.peer_certificate && !eap) {
    for (const std::string_view key : {"ca", "crl", "peer_key"}) refuse(key);
    if (read_revocation(section)) refuse("revocation");
    if (!read_fetch_prefixes(section).empty()) refuse("fetch_certificates");
  }
  if (secret) return;
  refuse("secret");
  refuse("secret_file");
}

std::vector<model::AuthRound> behind_the_first(std::vector<WrittenRound> rounds) {
  std::vector<model::AuthRound> more;
  for (std::size_t i = 1; i < rounds.size(); ++i) more.push_back(std::move(rounds[i].round));
  return more;
}

}  // namespace

bool wants_rounds(const Section& section) {
  return std::ranges::any_of(std::array<std::string_view, 2>{"auth", "peer_auth"}, [&](std::string_view key) {
    const toml::node* node = section.node(key);
    return node != nullptr && node->is_array();
  });
}

void read_rounds(Section& section, DraftTunnel& draft) {
  std::vector<WrittenRound> own = read_side(section, "auth");
  std::vector<WrittenRound> peer = read_side(section, "peer_auth");
  ProofMethods methods;
  methods.rounds = true;
  if (own.empty() || peer.empty()) {
    // What is written wrongly there is complaint enough: all else is taken to be meant.
    methods.own_certificate = section.has("certificate");
    methods.peer_certificate = section.has("ca");
    draft.methods = methods;
    return;
  }
  check_eap(section, own, peer);
  methods.own_certificate = has(own, Authentication::certificate);
  methods.peer_certificate = has(peer, Authentication::certificate);
  methods.begins_by_certificate = own.front().round.by == Authentication::certificate;
  for (std::size_t round = 0; round < peer.size(); ++round) {
    if (!peer[round].authorities.empty()) methods.round_authorities[round] = std::move(peer[round].authorities);
  }
  // Where a side begins by EAP, its field is as the other side's, as without rounds.
  const Way other = own.front().round.by ? own.front().round.by : peer.front().round.by;
  methods.own = own.front().round.by.value_or(other.value_or(Authentication::shared_key));
  methods.peer = peer.front().round.by.value_or(other.value_or(Authentication::shared_key));
  const bool secret = has(own, Authentication::shared_key) || has(peer, Authentication::shared_key);
  check_beside(section, methods, secret);
  model::ConnectionConfig& connection = draft.config.connection;
  connection.authentication = methods.own;
  if (methods.peer != methods.own) connection.peer_authentication = methods.peer;
  const bool any = section.has("eap") && !section.has("eap_identity") && !peer.front().round.by;
  connection.own_rounds = behind_the_first(std::move(own));
  connection.peer_rounds = behind_the_first(std::move(peer));
  if (draft.config.peer_kind == PeerKind::any && !section.has("remote_id") && !any)
    section.missing("remote_id", "a peer without a known address is told by its identity: write remote_id = \"NAME\"");
  if (secret) draft.config.secret = read_shared_key(section);
  draft.methods = methods;
}

void settle_rounds(DraftTunnel& draft) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (!draft.methods.rounds || !connection.eap || !connection.eap->client) return;
  const model::Identity user = model::Identity::parse(connection.eap->identity);
  bool first = true;
  for (model::AuthRound& round : connection.own_rounds) {
    if (round.by) continue;
    first = false;
    if (!round.id) round.id = user;
  }
  if (first && !connection.local_id) connection.local_id = user;
}

}  // namespace culvert::config
