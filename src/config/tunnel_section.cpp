#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "base/text.hpp"
#include "config/draft.hpp"

namespace culvert::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kIdentityLimit = 255;
constexpr std::uint64_t kLeastBytes = 65536;
constexpr std::int64_t kLeastPackets = 100;
constexpr std::int64_t kMostResourceSas = 60;  // an IKE SA has 64 Child SAs at the most
constexpr auto kYear = hours(24 * 365);

constexpr std::pair<std::string_view, model::StartMode> kStarts[] = {{"auto", model::StartMode::automatic},
                                                                     {"on-demand", model::StartMode::on_demand},
                                                                     {"manual", model::StartMode::manual}};
constexpr std::pair<std::string_view, model::EncapsulationPolicy> kEncapsulations[] = {
    {"auto", model::EncapsulationPolicy::udp},
    {"udp", model::EncapsulationPolicy::udp},
    {"esp", model::EncapsulationPolicy::esp}};
constexpr std::pair<std::string_view, model::TcpPolicy> kTcpPolicies[] = {
    {"never", model::TcpPolicy::never}, {"fallback", model::TcpPolicy::fallback}, {"always", model::TcpPolicy::always}};
constexpr std::pair<std::string_view, model::IkeFragmentation> kIkeFragmentations[] = {
    {"yes", model::IkeFragmentation::offered},
    {"no", model::IkeFragmentation::off},
    {"force", model::IkeFragmentation::required}};
constexpr std::pair<std::string_view, model::Mode> kModes[] = {
    {"tunnel", model::Mode::tunnel}, {"transport", model::Mode::transport}, {"beet", model::Mode::beet}};

// Further places of the same peer: addresses and names, nothing else.
void read_further_peers(Section& section, const std::vector<Located<std::string>>& written, TunnelConfig& tunnel) {
  for (std::size_t i = 1; i < written.size(); ++i) {
    const auto& [text, position] = written[i];
    const auto address = net::IpAddress::parse(text);
    if (address && !is_host_address(section, position, "peer", *address)) continue;
    if (!address && (text == "any" || !is_dns_name(text))) {
      section.error(position, "peer", fmt::format("{} is neither an address nor a DNS name", in_quotes(text)),
                    "of several places of the peer each is an address or a name");
      continue;
    }
    tunnel.connection.further_peers.push_back(text);
  }
}

void read_peer(Section& section, DraftTunnel& draft) {
  constexpr std::size_t kMostPeers = 16;
  TunnelConfig& tunnel = draft.config;
  const std::string allowed = "write an address (192.0.2.1, 2001:db8::1), a DNS name (gw.example.net), or \"any\"";
  constexpr std::pair<std::string_view, bool> kOrders[] = {{"order", false}, {"random", true}};
  if (const auto random = section.choice("peer_choice", kOrders)) tunnel.connection.random_peer = *random;
  if (!section.has("peer")) return section.missing("peer", allowed);
  std::vector<Located<std::string>> all;
  if (section.node("peer")->is_array()) {
    all = section.texts("peer", kMostPeers);
  } else if (auto one = section.text("peer")) {
    all.push_back(std::move(*one));
  }
  if (all.empty()) return;
  if (tunnel.connection.random_peer && all.size() < 2)
    section.error(section.position_of("peer_choice"), "peer_choice", "there is one place of the peer only",
                  "write several: peer = [\"gw1.example.net\", \"gw2.example.net\"]");
  const Located<std::string>& written = all.front();
  draft.peer = written.position;
  tunnel.connection.peer_name = written.value;
  if (written.value == "any") {
    tunnel.peer_kind = PeerKind::any;
    if (all.size() > 1) section.error(all[1].position, "peer", "\"any\" stands alone", "take it out, or the others");
  } else if (const auto address = net::IpAddress::parse(written.value)) {
    if (is_host_address(section, written.position, "peer", *address)) tunnel.connection.peer = *address;
  } else if (is_dns_name(written.value)) {
    tunnel.peer_kind = PeerKind::dns_name;
  } else {
    const bool port = net::Endpoint::parse(written.value).has_value();
    section.error(written.position, "peer",
                  fmt::format("{} is neither an address nor a DNS name", in_quotes(written.value)),
                  port ? "write the port as peer_port = N" : allowed);
  }
  if (tunnel.peer_kind != PeerKind::any) read_further_peers(section, all, tunnel);
}

void read_local_address(Section& section, model::ConnectionConfig& connection) {
  const auto written = section.text("local_address");
  if (!written) return;
  const auto address = net::IpAddress::parse(written->value);
  if (!address) {
    section.error(written->position, "local_address", fmt::format("{} is not an address", in_quotes(written->value)),
                  "write one of this host's addresses (192.0.2.1, 2001:db8::1), or take the setting out");
    return;
  }
  if (!is_host_address(section, written->position, "local_address", *address)) return;
  if (connection.peer && connection.peer->family() != address->family()) {
    section.error(written->position, "local_address",
                  fmt::format("{} is {}, but the peer {} is {}", address->to_string(), family_name(address->family()),
                              connection.peer->to_string(), family_name(connection.peer->family())),
                  "use two addresses of one family");
    return;
  }
  if (connection.peer == *address) {
    section.error(written->position, "local_address", fmt::format("{} is the peer's address too", address->to_string()),
                  "write this host's address here and the other host's as peer");
    return;
  }
  connection.local_address = *address;
}

std::optional<model::Identity> read_identity(Section& section, std::string_view key) {
  const auto written = section.text(key);
  if (!written) return std::nullopt;
  const std::string& text = written->value;
  const bool certificate = has_certificates(section);
  const std::string allowed =
      certificate
          ? R"(write a name (gw.example.net), a mail address, an address, or a subject ("C=CH, O=Example, CN=gw"))"
          : R"(write an address, a name (gw.example.net), a mail address (amy@example.net) or "keyid:TEXT")";
  const bool key_id = text.starts_with("keyid:");
  const bool subject = !key_id && text.find('=') != std::string::npos;
  if (subject && !certificate) {
    section.error(written->position, key,
                  fmt::format("{} looks like a distinguished name, which needs a certificate", in_quotes(text)),
                  allowed);
    return std::nullopt;
  }
  if (subject) {
    model::Identity name = model::Identity::parse(text);
    if (!name.data.empty()) return name;
    section.error(
        written->position, key,
        fmt::format("{} is no distinguished name: it has an attribute that is not known, or an empty one",
                    in_quotes(text)),
        "write it as `openssl x509 -noout -subject -nameopt oneline` shows it, such as \"C=CH, O=Example, CN=gw\"");
    return std::nullopt;
  }
  if (key_id && text.starts_with("keyid:0x") && !from_hex(std::string_view(text).substr(8))) {
    section.error(written->position, key,
                  fmt::format("{} has no even number of hexadecimal digits after 0x", in_quotes(text)), allowed);
    return std::nullopt;
  }
  model::Identity identity = model::Identity::parse(text);
  const bool blank = !key_id && text.find(' ') != std::string::npos;
  if (blank || identity.data.empty() || identity.data.size() > kIdentityLimit) {
    section.error(
        written->position, key,
        blank ? fmt::format("{} has a blank in it", in_quotes(text))
              : fmt::format("the identity has {} octets; 1 to {} are allowed", identity.data.size(), kIdentityLimit),
        allowed);
    return std::nullopt;
  }
  return identity;
}

/// One identity, or with a "*" in front those that are like it.
/// Each peer by its own address.
bool is_transport(const Section& section) {
  const toml::node* node = section.node("mode");
  const auto* text = node == nullptr ? nullptr : node->as_string();
  return text != nullptr && text->get() == "transport";
}

void read_remote_id(Section& section, model::ConnectionConfig& connection) {
  const toml::node* node = section.node("remote_id");
  const auto* text = node == nullptr ? nullptr : node->as_string();
  if (text == nullptr || !text->get().starts_with('*')) {
    connection.remote_id = read_identity(section, "remote_id");
    return;
  }
  const auto written = section.text("remote_id");
  if (!written) return;
  connection.remote_pattern = model::IdentityPattern::parse(written->value);
  if (!connection.remote_pattern) {
    return section.error(written->position, "remote_id",
                         fmt::format("{} is not a pattern of identities", in_quotes(written->value)),
                         R"(write "*@example.org", "*.example.org", or "*" for every peer that can authenticate)");
  }
  if (connection.peer_name != "any") {
    section.error(written->position, "remote_id", "the peer has one address, so one identity is all that it can have",
                  "write its identity, or peer = \"any\"");
  } else if (!section.has("pool") && !is_transport(section)) {
    section.error(written->position, "remote_id",
                  "several peers need an address each, which only a pool can tell apart",
                  "write pool = [\"NAME\"] and a section [pool.NAME], or mode = \"transport\"");
  }
}

void read_start(Section& section, DraftTunnel& draft) {
  TunnelConfig& tunnel = draft.config;
  const auto start = section.choice("start", kStarts);
  if (tunnel.peer_kind != PeerKind::any) {
    if (start) tunnel.connection.start = *start;
    return;
  }
  tunnel.connection.start = model::StartMode::manual;
  if (start && *start != model::StartMode::manual) {
    section.error(section.position_of("start"), "start",
                  "a tunnel whose peer is \"any\" cannot begin by itself: the peer must",
                  "take the setting out, or name the peer's address");
  }
  if (!section.has("remote_id") && !section.has("eap")) {
    section.missing("remote_id", "a peer without a known address is told by its identity: write remote_id = \"NAME\"");
  }
}

void read_tcp(Section& section, DraftTunnel& draft) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (const auto policy = section.choice("tcp", kTcpPolicies)) connection.tcp = *policy;
  if (const auto port = section.integer("tcp_port", 1, 0xffff)) connection.tcp_port = static_cast<std::uint16_t>(*port);
  if (connection.tcp == model::TcpPolicy::never) {
    if (connection.tcp_port != model::ConnectionConfig().tcp_port)
      section.error(section.position_of("tcp_port"), "tcp_port", "without tcp nothing goes over TCP",
                    "write tcp = \"fallback\" or \"always\", or take tcp_port out");
  } else if (draft.config.peer_kind == PeerKind::any) {
    // RFC 9329 6.1: only who begins opens the stream.
    section.error(section.position_of("tcp"), "tcp", "a peer that is not known cannot be called, over TCP or otherwise",
                  "take it out; to be called over TCP write listen_tcp = [4500] in [daemon]");
  }
}

void read_ike_fragmentation(Section& section, model::ConnectionConfig& connection) {
  if (const auto choice = section.choice("ike_fragmentation", kIkeFragmentations))
    connection.ike_fragmentation = *choice;
  if (const auto size = section.integer("ike_fragment_size", model::kLeastIkeFragmentSize, 0xffff)) {
    connection.ike_fragment_size = static_cast<std::uint16_t>(*size);
    if (connection.ike_fragmentation == model::IkeFragmentation::off) {
      section.error(section.position_of("ike_fragment_size"), "ike_fragment_size",
                    "with ike_fragmentation = \"no\" there are no fragments", "take one of the two out");
    }
  }
}

void read_mobike(Section& section, model::ConnectionConfig& connection) {
  const auto wanted = section.boolean("mobike");
  if (!wanted) return;
  connection.mobike = *wanted;
  if (*wanted && connection.mode != model::Mode::tunnel)
    section.error(section.position_of("mobike"), "mobike", "MOBIKE (RFC 4555) moves SAs in tunnel mode only",
                  "take the setting out, or mode");
}

void read_child_lifetime(Section& section, model::Lifetime& lifetime, Problems& problems) {
  constexpr auto kLeast = seconds(5);
  const toml::node* node = section.node("child_lifetime");
  const toml::table* table = node == nullptr ? nullptr : node->as_table();
  if (table == nullptr) {
    if (const auto time = section.duration("child_lifetime", kLeast, kYear)) lifetime.time = *time;
    return;
  }
  Section inner(*table, section.name() + ".child_lifetime", section.file(), problems);
  inner.refuse_unknown(kLifetimeFields);
  if (const auto time = inner.duration("time", kLeast, kYear)) lifetime.time = *time;
  if (const auto bytes = inner.size("bytes", kLeastBytes)) lifetime.bytes = *bytes;
  if (const auto packets = inner.integer("packets", kLeastPackets, std::int64_t{1} << 62)) {
    lifetime.packets = static_cast<std::uint64_t>(*packets);
  }
}

void read_rekey_margin(Section& section, double& margin) {
  constexpr double kMost = 0.5;
  const toml::node* node = section.node("rekey_margin");
  if (node == nullptr) return;
  std::optional<double> value;
  std::string shown;
  if (const auto* number = node->as_floating_point()) {
    value = number->get();
    shown = describe(*node);
  } else if (const auto text = section.text("rekey_margin")) {
    shown = in_quotes(text->value);
    if (text->value.ends_with('%')) {
      if (const auto percent = parse_decimal(std::string_view(text->value).substr(0, text->value.size() - 1));
          percent && *percent <= 100) {
        value = static_cast<double>(*percent) / 100;
      }
    }
  } else {
    return;
  }
  if (!value || !(*value > 0 && *value <= kMost)) {  // so written that NaN is refused
    section.error(section.position_of("rekey_margin"), "rekey_margin", shown + " is not a margin",
                  "write \"1%\" to \"50%\", or 0.01 to 0.5");
    return;
  }
  margin = *value;
}

/// `address = "request"`: the peer gives us one, and what it is stands for `local`.
bool requests_address(const Section& section) {
  const toml::node* node = section.node("address");
  const auto* text = node == nullptr ? nullptr : node->as_string();
  return text != nullptr && text->get() == "request";
}

void read_requested_address(Section& section, DraftTunnel& draft) {
  if (section.has("local")) {
    return section.error(section.position_of("local"), "local",
                         "the address that is asked for is all there is on this side",
                         "take local out, or address = \"request\"");
  }
  if (section.has("pool")) {
    return section.error(section.position_of("address"), "address", "who gives addresses does not ask for one",
                         "take pool out, or address = \"request\"");
  }
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    const auto of_family = [&](const auto& selector) { return selector.addresses.family() == family; };
    if (std::ranges::none_of(draft.remote.selectors, of_family)) continue;
    draft.config.connection.request_addresses.push_back(family);
    draft.local.selectors.push_back(model::TrafficSelector::of(net::AddressRange::all(family)));
    draft.local.positions.push_back(section.position_of("address"));
  }
}

void read_subnets(Section& section, DraftTunnel& draft) {
  const bool requests = requests_address(section);
  for (const std::string_view key : {"local", "remote"}) {
    if (key == "remote" ? section.has("pool") : requests) continue;
    if (!section.has(key)) {
      section.missing(key, key == "local" ? "write local = [\"10.1.0.0/16\"]: the subnets on this side"
                                          : "write remote = [\"10.2.0.0/16\"]: the subnets behind the peer");
    }
  }
  draft.local = read_selectors(section, "local");
  draft.remote = read_selectors(section, "remote");
  draft.config.only_peer_subnets = section.boolean("only_peer_subnets").value_or(false);
  if (draft.config.only_peer_subnets && !requests)
    section.error(section.position_of("only_peer_subnets"), "only_peer_subnets",
                  "the peer names its subnets along with the address that it gives",
                  "write address = \"request\", or take it out");
  if (requests) {
    read_requested_address(section, draft);
  } else {
    check_families(section, draft.local, draft.remote);
    draft.config.connection.addresses = read_inner_addresses(section, draft.local.selectors);
  }
  draft.config.connection.local = draft.local.selectors;
  draft.config.connection.remote = draft.remote.selectors;
}

/// RFC 9478.
void read_security_labels(Section& section, std::vector<model::SecurityLabel>& labels) {
  constexpr std::size_t kMostLabels = 16;
  if (!section.has("security_label")) return;
  std::vector<Located<std::string>> written;
  if (section.node("security_label")->is_array()) {
    written = section.texts("security_label", kMostLabels);
  } else if (auto one = section.text("security_label")) {
    written.push_back(std::move(*one));
  }
  for (const auto& [text, position] : written) {
    const auto label = model::SecurityLabel::parse(text);
    if (!label) {
      section.error(position, "security_label", fmt::format("{} is no security label", in_quotes(text)),
                    fmt::format("write its text, or \"0x\" and hexadecimal digits: 1 to {} octets",
                                model::SecurityLabel::kLongest));
    } else if (std::ranges::find(labels, *label) != labels.end()) {
      section.error(position, "security_label", fmt::format("{} stands here twice", in_quotes(text)), "take one out");
    } else {
      labels.push_back(*label);
    }
  }
}

void read_mode(Section& section, model::ConnectionConfig& connection) {
  const auto mode = section.choice("mode", kModes);
  if (!mode) return;
  connection.mode = *mode;
  if (*mode != model::Mode::beet) return;
  section.error(section.position_of("mode"), "mode", "IKEv2 has no word for BEET mode, so two sides cannot agree on it",
                "write \"tunnel\" or \"transport\", or use [manual.NAME]");
}

/// What needs the peer's consent, which IKE of this version does not ask for.
void check_treatment(Section& section, const model::ConnectionConfig& connection) {
  const model::PacketTreatment& treatment = connection.treatment;
  const auto refuse = [&](std::string_view key, std::string_view what) {
    section.error(section.position_of(key), key,
                  fmt::format("IKE of this version does not agree with the peer on {}", what),
                  "take it out, or use [manual.NAME] on both sides");
  };
  if (treatment.compress) refuse("compress", "IPComp");
  if (connection.mode != model::Mode::transport) return;
  const auto tunnel_only = [&](std::string_view key, std::string_view why) {
    section.error(section.position_of(key), key, std::string(why), "take it out, or write mode = \"tunnel\"");
  };
  constexpr std::string_view kNoLength = "packets in transport mode have no length of their own to be padded behind";
  if (treatment.confidentiality.pad_to != 0) tunnel_only("tfc_pad_to", kNoLength);
  if (treatment.confidentiality.dummy_after) tunnel_only("dummy_after", kNoLength);
  // RFC 9347 5.1.
  if (treatment.aggfrag) tunnel_only("aggfrag", "AGGFRAG payloads are for tunnels");
}

}  // namespace

DraftTunnel read_tunnel(Section section, std::string name, Problems& problems, CredentialFiles& files) {
  DraftTunnel draft;
  draft.header = section.position();
  draft.peer = section.position();
  model::ConnectionConfig& connection = draft.config.connection;
  connection.name = std::move(name);
  connection.place = {section.file(), section.position().line};

  section.refuse_unknown(kTunnelFields, kTreatmentFields);
  read_peer(section, draft);
  if (const auto port = section.integer("peer_port", 1, 0xffff))
    connection.peer_port = static_cast<std::uint16_t>(*port);
  read_local_address(section, connection);
  connection.local_id = read_identity(section, "local_id");
  read_remote_id(section, connection);
  draft.secret_in_file = section.has("secret");
  read_proof_methods(section, draft);
  read_subnets(section, draft);
  read_pool_use(section, draft);
  read_group_use(section, draft);
  read_start(section, draft);
  read_eap(section, draft);
  std::vector<CompatWord> compat = read_compat(section);
  read_credentials(section, draft, files, compat);
  read_ppk(section, draft);
  settle_rounds(draft);
  connection.ike_proposals = read_proposals(section, "ike", model::ProtocolId::ike, compat);
  connection.esp_proposals = read_proposals(section, "esp", model::ProtocolId::esp, compat);
  check_compat_used(section, compat);
  read_security_labels(section, connection.security_labels);
  if (const auto sync = section.boolean("counter_sync")) connection.counter_sync = *sync;
  read_mode(section, connection);
  if (const auto policy = section.choice("encapsulation", kEncapsulations)) connection.encapsulation = *policy;
  read_tcp(section, draft);
  read_ike_fragmentation(section, connection);
  read_mobike(section, connection);
  if (const auto time = section.duration("ike_lifetime", seconds(10), kYear)) connection.ike_lifetime = *time;
  read_child_lifetime(section, connection.child_lifetime, problems);
  read_rekey_margin(section, connection.rekey_margin);
  if (const auto time = section.duration("liveness", seconds(1), hours(24), "switches the check off"))
    connection.liveness_interval = *time;
  read_life(section, draft);
  if (const auto time = section.duration("child_idle", seconds(5), kYear, "keeps them")) connection.child_idle = *time;
  if (const auto time = section.duration("keepalive", seconds(1), hours(1), "sends none"))
    connection.nat_keepalive_interval = *time;
  read_replay_window(section, connection.replay_window);
  if (const auto most = section.integer("per_resource_sas", 0, kMostResourceSas))
    connection.resource_sas = static_cast<std::uint32_t>(*most);
  connection.inner_mtu = read_mtu(section, connection.local, connection.remote);
  read_treatment(section, connection.treatment, problems);
  check_treatment(section, connection);
  return draft;
}

}  // namespace culvert::config
