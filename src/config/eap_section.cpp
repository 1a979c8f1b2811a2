// `eap` of a tunnel and what goes with it, and [user.NAME]: who proves itself by EAP, and by what.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

using model::EapType;

constexpr std::size_t kMostIdentity = 253;
constexpr std::size_t kMostMethods = 8;
constexpr std::pair<std::string_view, EapType> kMethods[] = {
    {"mschapv2", EapType::mschapv2}, {"md5", EapType::md5_challenge}, {"gtc", EapType::gtc}};

std::vector<EapType> read_methods(Section& section) {
  std::vector<EapType> methods;
  std::vector<std::string_view> words;
  for (const auto& [word, type] : kMethods) words.push_back(word);
  for (const auto& [written, position] : section.texts("eap", kMostMethods)) {
    const auto* const found = std::ranges::find(kMethods, written, &std::pair<std::string_view, EapType>::first);
    if (found == std::end(kMethods)) {
      section.error(position, "eap", fmt::format("{} is no method of EAP that is known here", in_quotes(written)),
                    fmt::format("write {}", one_of(words)));
    } else if (std::ranges::find(methods, found->second) != methods.end()) {
      section.error(position, "eap", fmt::format("{} stands there twice", in_quotes(written)), "keep one of them");
    } else {
      methods.push_back(found->second);
    }
  }
  return methods;
}

/// Who begins by EAP says so in IKE as well, where the user wants nothing else.
void settle_client(Section& section, DraftTunnel& draft, const std::string& identity) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (!section.has("local_id")) connection.local_id = model::Identity::parse(identity);
  if (section.has("certificate"))
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

bool has_certificates(const Section& section) {
  return section.has("certificate") || (section.has("eap_identity") && section.has("ca"));
}

void read_eap(Section& section, DraftTunnel& draft) {
  const auto identity = section.text("eap_identity");
  SecretBytes secret;
  if (section.has("eap_identity") || section.has("eap_secret") || section.has("eap_secret_file")) {
    secret = read_secret(section, {.key = "eap_secret",
                                   .file_key = "eap_secret_file",
                                   .missing_hint = "write eap_secret = \"...\" or eap_secret_file = \"PATH\""});
  }
  if (!section.has("eap")) {
    for (const std::string_view key : {"eap_identity", "eap_secret", "eap_secret_file"}) {
      if (section.has(key))
        section.error(section.position_of(key), key, "this goes with eap, which is missing",
                      "write eap = \"mschapv2\", or another method that the server asks for");
    }
    if (section.has("radius") && section.text("radius"))
      section.error(section.position_of("radius"), "radius", "this goes with eap = \"radius\", which is missing",
                    "write eap = \"radius\", or take it out");
    return;
  }
  model::EapSettings settings{.client = section.has("eap_identity"), .methods = {}, .identity = {}};
  if (!read_radius_use(section, draft, settings)) settings.methods = read_methods(section);
  if (settings.client) {
    if (!identity) return;
    if (identity->value.size() > kMostIdentity) {
      section.error(
          identity->position, "eap_identity",
          fmt::format("the identity has {} octets; 1 to {} are allowed", identity->value.size(), kMostIdentity),
          "write it as the server knows it (carol, carol@example.net, DOMAIN\\\\carol)");
      return;
    }
    settings.identity = identity->value;
    settle_client(section, draft, identity->value);
  } else {
    settle_server(section, draft);
  }
  draft.secret_in_file = draft.secret_in_file || section.has("eap_secret");
  draft.config.eap_secret = std::move(secret);
  if (!settings.methods.empty() || !settings.radius.empty()) draft.config.connection.eap = std::move(settings);
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
