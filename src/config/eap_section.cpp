// `eap` of a tunnel and what goes with it, and [user.NAME]: who proves itself by EAP, and by what.
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

using model::EapType;

constexpr std::size_t kMostIdentity = 253;
constexpr std::size_t kMostMethods = 8;
template <typename Value>
struct Word {
  std::string_view text;
  Value value;
};
constexpr Word<EapType> kMethods[] = {{"mschapv2", EapType::mschapv2}, {"md5", EapType::md5_challenge},
                                      {"gtc", EapType::gtc},           {"tls", EapType::tls},
                                      {"ttls", EapType::ttls},         {"peap", EapType::peap}};

/// A list of words of one table, each at most once, with the places where they stand.
template <typename Value>
std::vector<Located<Value>> read_words(Section& section, std::string_view key, std::span<const Word<Value>> table,
                                       std::string_view what) {
  std::vector<Located<Value>> values;
  std::vector<std::string_view> texts;
  for (const auto& [text, value] : table) texts.push_back(text);
  for (const auto& [written, position] : section.texts(key, kMostMethods)) {
    const auto found = std::ranges::find(table, written, &Word<Value>::text);
    if (found == table.end()) {
      section.error(position, key, fmt::format("{} is {} that is known here", in_quotes(written), what),
                    fmt::format("write {}", one_of(texts)));
    } else if (std::ranges::find(values, found->value, &Located<Value>::value) != values.end()) {
      section.error(position, key, fmt::format("{} stands there twice", in_quotes(written)), "keep one of them");
    } else {
      values.push_back({found->value, position});
    }
  }
  return values;
}

template <typename Value>
std::vector<Value> values_of(const std::vector<Located<Value>>& located) {
  std::vector<Value> values;
  for (const Located<Value>& one : located) values.push_back(one.value);
  return values;
}

bool with_tunnel(const model::EapSettings& settings) {
  return settings.has(EapType::ttls) || settings.has(EapType::peap);
}

/// Goes only with `needs`, which is missing: complains, and is false.
bool has_with(Section& section, std::string_view key, bool fits, std::string_view why, std::string_view hint) {
  if (!section.has(key)) return false;
  if (!fits) section.error(section.position_of(key), key, std::string(why), std::string(hint));
  return fits;
}

void read_inner(Section& section, model::EapSettings& settings) {
  if (with_tunnel(settings)) settings.inner = {model::EapInner::mschapv2};
  if (!has_with(section, "eap_inner", with_tunnel(settings),
                "this says what goes on within TTLS or PEAP, neither of which is in eap",
                "take it out, or add \"ttls\" or \"peap\" to eap"))
    return;
  std::vector<Word<model::EapInner>> table;
  for (const auto& [inner, name] : model::kEapInnerNames) table.push_back({name, inner});
  const auto read = read_words<model::EapInner>(section, "eap_inner", table, "no inner method");
  if (read.empty()) return;
  settings.inner = values_of(read);
  const bool peap = settings.has(EapType::peap);
  for (const auto& [inner, position] : read) {
    if (model::method_of(inner)) continue;
    if (peap) {
      section.error(position, "eap_inner", "within PEAP there is only EAP", "write \"mschapv2\", \"md5\" or \"gtc\"");
    } else if (settings.client && read.size() > 1) {
      section.error(position, "eap_inner", "a client that does not use EAP within TTLS names one way only",
                    "keep the one that the server takes");
    }
  }
}

void read_server_id(Section& section, model::EapSettings& settings) {
  if (!has_with(section, "eap_server_id", settings.client && settings.with_tls(),
                "this is for a client (eap_identity) of a method that is built on TLS",
                "take it out, or let eap be \"tls\", \"ttls\" or \"peap\""))
    return;
  const auto written = section.text("eap_server_id");
  if (!written) return;
  settings.server = model::Identity::parse(written->value);
  if (settings.server->data.empty() || settings.server->type == model::IdentificationType::key_id)
    section.error(written->position, "eap_server_id",
                  fmt::format("{} can stand in no certificate", in_quotes(written->value)),
                  "write a name, a mail address, an address, or the subject (\"C=CH, O=Example, CN=radius\")");
}

/// RFC 5998.
void read_only(Section& section, model::EapSettings& settings, const std::vector<Located<EapType>>& methods) {
  const auto wanted = section.boolean("eap_only");
  if (!wanted || !*wanted) return;
  settings.only = true;
  for (const auto& [type, position] : methods) {
    if (settings.client && !model::may_stand_alone(type))
      section.error(position, "eap", fmt::format("{} does not prove the server, as eap_only wants", name_of(type)),
                    "keep \"tls\", \"ttls\" and \"peap\", or take eap_only out");
  }
  if (!settings.with_tls() && !settings.client)
    section.error(section.position_of("eap_only"), "eap_only", "no method in eap proves this end, too",
                  "add \"tls\", \"ttls\" or \"peap\" to eap, or take eap_only out");
}

/// TLS needs a certificate at the server, and whoever judges one needs authorities.
void check_tls(Section& section, const model::EapSettings& settings) {
  if (!settings.with_tls()) return;
  const auto need = [&](std::string_view key, std::string_view hint) {
    if (!section.has(key)) section.missing(key, std::string(hint));
  };
  if (section.has("peer_key"))
    section.error(section.position_of("peer_key"), "peer_key", "the other end of TLS shows a certificate",
                  "write ca = [\"PATH\"]: the authorities that may certify it");
  if (!settings.client || settings.has(EapType::tls))
    need("certificate", "write certificate = \"PATH\": what this end shows within EAP");
  // With other files there, `ca` is asked for with them.
  if (!wants_credentials(section) && (settings.client || settings.has(EapType::tls)))
    need("ca", settings.client ? "write ca = [\"PATH\"]: the authorities that may certify the server"
                               : "write ca = [\"PATH\"]: the authorities that may certify the users");
}

void read_outer_identity(Section& section, model::EapSettings& settings) {
  if (!has_with(section, "eap_outer_identity", settings.client && settings.with_tls(),
                "this is for a client (eap_identity) of a method that hides who it is",
                "take it out, or let eap be \"tls\", \"ttls\" or \"peap\""))
    return;
  const auto written = section.text("eap_outer_identity");
  if (!written) return;
  if (written->value.size() > kMostIdentity) {
    section.error(written->position, "eap_outer_identity",
                  fmt::format("the identity has {} octets; 1 to {} are allowed", written->value.size(), kMostIdentity),
                  "write \"anonymous@REALM\"");
    return;
  }
  settings.outer_identity = written->value;
}

/// A client has one, except where the certificate is all there is.
bool wants_secret(Section& section) {
  if (section.has("eap_secret") || section.has("eap_secret_file")) return true;
  if (!section.has("eap_identity")) return false;
  const toml::node* node = section.node("eap");
  const auto is_tls = [](const toml::node* one) { return one != nullptr && one->value<std::string>() == "tls"; };
  const toml::array* list = node == nullptr ? nullptr : node->as_array();
  return !(is_tls(node) || (list != nullptr && list->size() == 1 && is_tls(list->get(0))));
}

/// Who begins by EAP says so in IKE as well, where the user wants nothing else.
void settle_client(Section& section, DraftTunnel& draft, const std::string& identity) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (!section.has("local_id") && !draft.methods.rounds) connection.local_id = model::Identity::parse(identity);
  if (section.has("certificate") && !draft.methods.own_certificate && !connection.eap->has(EapType::tls))
    section.error(section.position_of("certificate"), "certificate",
                  "this end proves itself by EAP, and by certificate", "take out one of certificate and eap_identity");
  if (draft.config.peer_kind == PeerKind::any)
    section.error(section.position_of("peer"), "peer", "a client of EAP begins, and must know whom to ask",
                  "write the server's address or DNS name, or take eap_identity out");
}

void settle_server(Section& section, DraftTunnel& draft) {
  model::ConnectionConfig& connection = draft.config.connection;
  for (const std::string_view key : {"eap_secret", "eap_secret_file"}) {
    if (section.has(key))
      section.error(section.position_of(key), key, "this goes with eap_identity, which is missing",
                    "as client write eap_identity = \"NAME\"; as server give each user a section [user.NAME]");
  }
  const bool begins = section.has("start") && connection.start != model::StartMode::manual;
  connection.start = model::StartMode::manual;
  if (begins && draft.config.peer_kind != PeerKind::any)
    section.error(section.position_of("start"), "start",
                  "a tunnel whose peer proves itself by EAP is begun by the peer",
                  "take the setting out, or, if this end is the client, write eap_identity = \"NAME\"");
}

}  // namespace

bool has_certificates(const Section& section) { return section.has("certificate") || section.has("ca"); }

void read_eap(Section& section, DraftTunnel& draft) {
  const auto identity = section.text("eap_identity");
  SecretBytes secret;
  if (wants_secret(section)) {
    secret = read_secret(section, {.key = "eap_secret",
                                   .file_key = "eap_secret_file",
                                   .missing_hint = "write eap_secret = \"...\" or eap_secret_file = \"PATH\""});
  }
  if (!section.has("eap")) {
    (void)section.texts("eap_inner", kMostMethods);
    (void)section.text("eap_outer_identity");
    (void)section.text("eap_server_id");
    const bool only = section.boolean("eap_only").value_or(false);
    for (const std::string_view key : {"eap_identity", "eap_secret", "eap_secret_file", "eap_inner",
                                       "eap_outer_identity", "eap_server_id", "eap_only"}) {
      if (section.has(key) && (key != "eap_only" || only))
        section.error(section.position_of(key), key, "this goes with eap, which is missing",
                      "write eap = \"mschapv2\", or another method that the server asks for");
    }
    if (section.has("radius") && section.text("radius"))
      section.error(section.position_of("radius"), "radius", "this goes with eap = \"radius\", which is missing",
                    "write eap = \"radius\", or take it out");
    return;
  }
  model::EapSettings settings{.client = section.has("eap_identity"), .methods = {}, .identity = {}};
  std::vector<Located<EapType>> methods;
  if (!read_radius_use(section, draft, settings)) {
    methods = read_words<EapType>(section, "eap", kMethods, "no method of EAP");
    settings.methods = values_of(methods);
  }
  read_inner(section, settings);
  read_outer_identity(section, settings);
  read_server_id(section, settings);
  read_only(section, settings, methods);
  check_tls(section, settings);
  draft.config.connection.eap = settings;
  if (settings.client) {
    if (!identity) return;
    if (identity->value.size() > kMostIdentity) {
      section.error(
          identity->position, "eap_identity",
          fmt::format("the identity has {} octets; 1 to {} are allowed", identity->value.size(), kMostIdentity),
          "write it as the server knows it (carol, carol@example.net, DOMAIN\\\\carol)");
      return;
    }
    draft.config.connection.eap->identity = identity->value;
    settle_client(section, draft, identity->value);
  } else {
    settle_server(section, draft);
  }
  draft.secret_in_file = draft.secret_in_file || section.has("eap_secret");
  draft.config.eap_secret = std::move(secret);
  if (settings.methods.empty() && settings.radius.empty()) draft.config.connection.eap.reset();
}

DraftUser read_user(Section section, std::string name) {
  DraftUser draft;
  draft.header = section.position();
  draft.config.name = std::move(name);
  draft.config.place = {section.file(), section.position().line};
  section.refuse_unknown(kUserFields);
  draft.secret_in_file = section.has("secret");
  draft.config.secret =
      read_secret(section, {.key = "secret",
                            .file_key = "secret_file",
                            .missing_hint = "write secret = \"...\" or secret_file = \"PATH\": the user's password"});
  return draft;
}

}  // namespace culvert::config
