// [radius.NAME], and `eap = "radius"` of tunnels: servers to whom the EAP conversations of clients are passed (RFC
// 3579), that hear of sessions (RFC 2866) and may end them (RFC 5176).
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "config/draft.hpp"

namespace culvert::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kServerLimit = 8;
constexpr std::size_t kClientLimit = 64;
constexpr std::size_t kMostText = 253;
constexpr std::size_t kShortSecret = 16;
constexpr std::uint16_t kAuthenticationPort = 1812;  // RFC 2865 3
constexpr std::uint16_t kAccountingPort = 1813;      // RFC 2866 3
constexpr std::string_view kRadius = "radius";

/// "ADDRESS", "ADDRESS:PORT", "NAME" or "NAME:PORT"; nothing for other texts.
std::optional<RadiusServer> parse_server(const std::string& text, std::uint16_t usual_port) {
  if (const auto address = net::IpAddress::parse(text)) return RadiusServer{.endpoint = {*address, usual_port}};
  if (const auto endpoint = net::Endpoint::parse(text)) return RadiusServer{.endpoint = *endpoint};
  const std::size_t colon = std::min(text.find(':'), text.size());
  RadiusServer server{.endpoint = {{}, usual_port}, .name = text.substr(0, colon)};
  if (!is_dns_name(server.name)) return std::nullopt;
  if (colon == text.size()) return server;
  const auto port = parse_decimal(std::string_view(text).substr(colon + 1));
  if (!port || *port == 0 || *port > 0xffff) return std::nullopt;
  server.endpoint.port = static_cast<std::uint16_t>(*port);
  return server;
}

std::vector<RadiusServer> read_servers(Section& section, std::string_view key, std::uint16_t port) {
  std::vector<RadiusServer> servers;
  for (const Located<std::string>& written : section.texts(key, kServerLimit)) {
    auto server = parse_server(written.value, port);
    const net::IpAddress address = server ? server->endpoint.address : net::IpAddress();
    const bool nowhere = server && server->name.empty() && (address.is_unspecified() || address.is_multicast());
    if (!server || server->endpoint.port == 0 || nowhere) {
      section.error(
          written.position, key, fmt::format("{} is no address of a server", in_quotes(written.value)),
          fmt::format(R"(write "192.0.2.9", "192.0.2.9:{}", "[2001:db8::9]:{}" or "radius.example.net")", port, port));
    } else if (std::ranges::find(servers, *server) != servers.end()) {
      section.error(written.position, key, fmt::format("{} stands there twice", in_quotes(written.value)),
                    "keep one of them");
    } else {
      servers.push_back(std::move(*server));
    }
  }
  return servers;
}

void read_clients(Section& section, RadiusConfig& radius) {
  for (const Located<std::string>& written : section.texts("dynamic_clients", kClientLimit)) {
    if (const auto address = net::IpAddress::parse(written.value)) {
      radius.dynamic_clients.push_back(*address);
    } else {
      section.error(written.position, "dynamic_clients", fmt::format("{} is not an address", in_quotes(written.value)),
                    R"(write the addresses from which sessions may be ended: ["192.0.2.9"])");
    }
  }
  if (const auto port = section.integer("dynamic_port", 1, 0xffff)) {
    radius.dynamic_port = static_cast<std::uint16_t>(*port);
    if (radius.dynamic_clients.empty())
      section.error(section.position_of("dynamic_port"), "dynamic_port", "nobody may send to this port",
                    R"(write dynamic_clients = ["ADDRESS"] too)");
  }
}

void read_identifier(Section& section, RadiusConfig& radius) {
  radius.nas_identifier = "culvert";
  const auto written = section.text("nas_identifier");
  if (!written) return;
  if (written->value.empty() || written->value.size() > kMostText) {
    section.error(written->position, "nas_identifier",
                  fmt::format("the name has {} octets; 1 to {} are allowed", written->value.size(), kMostText),
                  "write this gateway's name as the servers know it");
    return;
  }
  radius.nas_identifier = written->value;
}

}  // namespace

DraftRadius read_radius(Section section, std::string name) {
  DraftRadius draft;
  RadiusConfig& radius = draft.config;
  draft.header = section.position();
  radius.name = std::move(name);
  radius.place = {section.file(), section.position().line};
  section.refuse_unknown(kRadiusFields);
  if (!section.has("servers"))
    section.missing("servers", R"(write servers = ["192.0.2.9"]: the RADIUS servers, in the order of preference)");
  radius.servers = read_servers(section, "servers", kAuthenticationPort);
  radius.accounting = read_servers(section, "accounting", kAccountingPort);
  draft.secret_in_file = section.has("secret");
  radius.secret = read_secret(section, {.key = "secret",
                                        .file_key = "secret_file",
                                        .missing_hint = "write secret = \"...\" or secret_file = \"PATH\": what this "
                                                        "gateway and the servers share"});
  // Whoever sees one answer can try all short ones at leisure; RFC 2865 3 asks for 16 octets.
  if (!radius.secret.empty() && radius.secret.size() < kShortSecret) {
    const std::string_view key = draft.secret_in_file ? "secret" : "secret_file";
    section.warning(
        section.position_of(key), key,
        fmt::format("the secret has only {} octets: MD5 over it is all that protects answers of the servers",
                    radius.secret.size()),
        fmt::format("use at least {} random octets at both ends; make them with `culvert keygen`", kShortSecret));
  }
  read_identifier(section, radius);
  if (const auto time = section.duration("timeout", milliseconds(100), seconds(30))) radius.timeout = *time;
  if (const auto tries = section.integer("tries", 1, 10)) radius.tries = static_cast<unsigned>(*tries);
  // RFC 2869 5.16: not below a minute.
  radius.interim = section.duration("interim", minutes(1), hours(24));
  if (radius.interim && radius.accounting.empty())
    section.error(section.position_of("interim"), "interim", "there is no server that could hear of it",
                  R"(write accounting = ["ADDRESS"] too)");
  read_clients(section, radius);
  return draft;
}

bool read_radius_use(Section& section, DraftTunnel& draft, model::EapSettings& settings) {
  const toml::node* node = section.node("eap");
  // A list of one is as good as the word itself, as everywhere.
  const auto* list = node == nullptr ? nullptr : node->as_array();
  if (list != nullptr && list->size() == 1) node = list->get(0);
  const auto* word = node == nullptr ? nullptr : node->as_string();
  const bool wanted = word != nullptr && word->get() == kRadius;
  if (!wanted) {
    if (section.has("radius") && section.text("radius"))
      section.error(section.position_of("radius"), "radius", "this goes with eap = \"radius\"",
                    "write eap = \"radius\", or take it out");
    return false;
  }
  if (settings.client) {
    section.error(section.position_of("eap"), "eap", "a client speaks with the gateway, not with its RADIUS server",
                  "write the method (eap = \"mschapv2\"), or take eap_identity out");
    return true;
  }
  if (!section.has("radius"))
    section.missing("radius", "write radius = \"NAME\" and a section [radius.NAME]: the servers that know the users");
  if (const auto name = section.text("radius")) {
    settings.radius = name->value;
    draft.radius = name->position;
  }
  return true;
}

void check_radius(Draft& draft) {
  for (std::size_t second = 0; second < draft.radius.size(); ++second) {
    const DraftRadius& one = draft.radius[second];
    for (std::size_t first = 0; first < second; ++first) {
      const DraftRadius& other = draft.radius[first];
      if (one.config.name == other.config.name) {
        draft.problems.push_back({Severity::error, one.header, "radius." + one.config.name,
                                  fmt::format("the name is taken by the section at {}", other.header.to_string()),
                                  "give one of the two another name"});
        break;
      }
      if (one.config.dynamic_port != other.config.dynamic_port) continue;
      for (const net::IpAddress& client : one.config.dynamic_clients) {
        if (std::ranges::find(other.config.dynamic_clients, client) == other.config.dynamic_clients.end()) continue;
        draft.problems.push_back({Severity::error, one.header,
                                  fmt::format("radius.{}.dynamic_clients", one.config.name),
                                  fmt::format("{} may send to port {} for [radius.{}] already: whose sessions it means "
                                              "cannot be told",
                                              client.to_string(), one.config.dynamic_port, other.config.name),
                                  "give one of the two another dynamic_port"});
      }
    }
  }
  for (const DraftTunnel& tunnel : draft.tunnels) {
    const auto& eap = tunnel.config.connection.eap;
    if (!eap || eap->radius.empty()) continue;
    const auto known =
        std::ranges::any_of(draft.radius, [&](const DraftRadius& one) { return one.config.name == eap->radius; });
    if (known) continue;
    draft.problems.push_back(
        {Severity::error, tunnel.radius, fmt::format("tunnel.{}.radius", tunnel.config.connection.name),
         fmt::format("there is no section [radius.{}]", eap->radius), "write one, or the name of one that there is"});
  }
}

}  // namespace culvert::config
