// [manual.NAME]: an SA pair whose keys somebody wrote down (RFC 4301 4.4.2: manual SA management).
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.hpp"
#include "config/manual_keys.hpp"

namespace culvert::config {
namespace {

constexpr std::int64_t kFirstSpi = 256;  // RFC 4303 2.1: 0 to 255 are reserved
constexpr std::int64_t kLastSpi = 0xffffffff;
constexpr auto kYear = std::chrono::hours(24 * 365);
constexpr std::uint16_t kNatPort = 4500;

constexpr std::pair<std::string_view, model::ProtocolId> kProtocols[] = {{"esp", model::ProtocolId::esp},
                                                                         {"ah", model::ProtocolId::ah}};
constexpr std::pair<std::string_view, model::Mode> kModes[] = {
    {"tunnel", model::Mode::tunnel}, {"transport", model::Mode::transport}, {"beet", model::Mode::beet}};
constexpr std::pair<std::string_view, model::Encapsulation> kEncapsulations[] = {{"udp", model::Encapsulation::udp},
                                                                                 {"none", model::Encapsulation::none}};

std::optional<net::IpAddress> read_address(Section& section, std::string_view key, std::string_view whose) {
  const std::string wanted = fmt::format("write the address of {}: {} = \"192.0.2.1\"", whose, key);
  if (!section.has(key)) {
    section.missing(key, wanted);
    return std::nullopt;
  }
  const auto written = section.text(key);
  if (!written) return std::nullopt;
  const auto address = net::IpAddress::parse(written->value);
  if (!address) {
    section.error(written->position, key, fmt::format("{} is not an address", in_quotes(written->value)),
                  wanted + "; names are not looked up for manual keys");
    return std::nullopt;
  }
  if (address->is_unspecified() || address->is_multicast()) {
    section.error(written->position, key, fmt::format("{} is not the address of one host", address->to_string()),
                  wanted);
    return std::nullopt;
  }
  return address;
}

/// False after a complaint.
bool read_path(Section& section, model::ChildSaParams& sa) {
  const auto local = read_address(section, "local_address", "this host");
  const auto peer = read_address(section, "peer", "the other host");
  if (const auto encapsulation = section.choice("encapsulation", kEncapsulations)) {
    sa.encapsulation = *encapsulation;
    if (sa.protocol == model::ProtocolId::ah && *encapsulation == model::Encapsulation::udp) {
      section.error(section.position_of("encapsulation"), "encapsulation",
                    "AH does not go in UDP (RFC 3948 is for ESP)",
                    "write encapsulation = \"none\", or take the setting out");
    }
  } else if (sa.protocol == model::ProtocolId::ah) {
    sa.encapsulation = model::Encapsulation::none;
  }
  const bool udp = sa.encapsulation == model::Encapsulation::udp;
  for (const std::string_view key : {"local_port", "peer_port"}) {
    if (!udp && section.has(key))
      section.error(section.position_of(key), key, "there are no ports without UDP encapsulation",
                    "take the setting out, or write encapsulation = \"udp\"");
  }
  if (const auto port = section.integer("local_port", 1, 0xffff); port && udp)
    sa.path.local.port = static_cast<std::uint16_t>(*port);
  const auto peer_port = section.integer("peer_port", 1, 0xffff);
  if (udp) sa.path.remote.port = static_cast<std::uint16_t>(peer_port.value_or(kNatPort));
  if (!local || !peer) return false;
  if (local->family() != peer->family()) {
    section.error(section.position_of("peer"), "peer",
                  fmt::format("{} is {}, but local_address {} is {}", peer->to_string(), family_name(peer->family()),
                              local->to_string(), family_name(local->family())),
                  "use two addresses of one family");
    return false;
  }
  if (*local == *peer) {
    section.error(section.position_of("peer"), "peer", fmt::format("{} is local_address too", peer->to_string()),
                  "write the other host's address here");
    return false;
  }
  sa.path.local.address = *local;
  sa.path.remote.address = *peer;
  return true;
}

model::Spi read_spi(Section& section, std::string_view key) {
  if (!section.has(key)) {
    section.missing(key, fmt::format("write a number that is {} of the other host: {} = 0x1001",
                                     key == "spi_in" ? "spi_out" : "spi_in", key));
    return {};
  }
  const auto* number = section.node(key)->as_integer();
  if (number != nullptr && number->get() >= 0 && number->get() < kFirstSpi) {
    section.error(section.position_of(key), key,
                  fmt::format("{} is reserved: SPIs from 0 to 255 name no SA (RFC 4303 2.1)", number->get()),
                  "write a number from 256 (0x100) to 4294967295 (0xffffffff)");
    return {};
  }
  const auto spi = section.integer(key, kFirstSpi, kLastSpi);
  return model::Spi(spi ? static_cast<std::uint32_t>(*spi) : 0);
}

struct KeyPair {
  std::string_view in;
  std::string_view out;
};

/// "20 octets: 16 of key, then 4 of salt".
std::string wanted_length(std::size_t size, std::size_t salt) {
  if (salt == 0) return fmt::format("{} octets", size);
  return fmt::format("{} octets: {} of key, then {} of salt", size, size - salt, salt);
}

SecretBytes read_one_key(Section& section, std::string_view key, std::string_view suite, std::size_t size,
                         std::size_t salt, bool& in_file) {
  if (size == 0) {
    if (section.has(key)) {
      section.error(section.position_of(key), key, fmt::format("{} takes no such key", suite),
                    "take the setting out; combined-mode ciphers have one key for both, AH and NULL have no encryption "
                    "key");
    }
    return {};
  }
  if (!section.has(key)) {
    section.missing(key, fmt::format("{} wants {} here: 0x and {} hexadecimal digits, \"file:PATH\" or \"env:NAME\"",
                                     suite, wanted_length(size, salt), 2 * size));
    return {};
  }
  SecretBytes secret = read_key(section, key, in_file);
  if (secret.empty() || secret.size() == size) return secret;
  section.error(section.position_of(key), key, fmt::format("the key has {} octets", secret.size()),
                fmt::format("{} wants {}", suite, wanted_length(size, salt)));
  return {};
}

void read_keys(Section& section, DraftManual& draft) {
  model::ChildSaParams& sa = draft.config.sa;
  const auto sizes = key_sizes(sa.suite);
  if (!sizes) return;
  const std::string suite = model::to_string(sa.suite);
  const bool counts = counts_nonces(sa.suite);
  const std::size_t integrity_salt = counts && sizes->salt == 0 ? 4 : 0;  // AES-GMAC for AH, RFC 4543 5.3
  const auto both = [&](const KeyPair& names, std::size_t size, std::size_t salt, SecretBytes& in, SecretBytes& out) {
    in = read_one_key(section, names.in, suite, size, salt, draft.key_in_file);
    out = read_one_key(section, names.out, suite, size, salt, draft.key_in_file);
    if (size != 0) draft.key = section.position_of(names.out);
    if (in.empty() || !constant_time_equal(in.view(), out.view())) return;
    const std::string message = fmt::format("{} and {} are the same key", names.in, names.out);
    if (salt != 0) {
      // RFC 4106 2, RFC 3686 7: with one key for both directions the two hosts use each number twice.
      section.error(draft.key, names.out, message + ": both hosts would use the same nonces, which breaks the cipher",
                    "write two independent keys; `openssl rand -hex` makes them");
    } else {
      section.warning(draft.key, names.out, message + ": the peer's packets can be sent back to it as ours",
                      "write two independent keys");
    }
  };
  both({"integrity_key_in", "integrity_key_out"}, sizes->integrity_key, integrity_salt, sa.inbound.integrity,
       sa.outbound.integrity);
  both({"encryption_key_in", "encryption_key_out"}, sizes->encryption_key, sizes->salt, sa.inbound.encryption,
       sa.outbound.encryption);
}

bool is_host(const model::TrafficSelector& selector) {
  return selector.addresses == net::AddressRange{selector.addresses.first, selector.addresses.first};
}

/// RFC 4301 5.1.2, RFC 4303 3.1.1: in transport mode the packet's own header is the outer one.
void check_transport(Section& section, std::string_view key, const LocatedSelectors& side,
                     const net::IpAddress& outer) {
  for (std::size_t i = 0; i < side.selectors.size(); ++i) {
    const auto& range = side.selectors[i].addresses;
    if (range.first == outer && range.last == outer) continue;
    section.error(side.positions[i], key,
                  fmt::format("{} is not {}: in transport mode packets go between the outer addresses only",
                              side.selectors[i].to_string(), outer.to_string()),
                  fmt::format("write \"{0}\" (also with ports: \"{0}[tcp/80]\"), take the setting out, or use mode = "
                              "\"tunnel\"",
                              outer.to_string()));
  }
}

void read_sides(Section& section, model::ChildSaParams& sa, bool path_known) {
  const bool transport = sa.mode == model::Mode::transport;
  LocatedSelectors local = read_selectors(section, "local");
  LocatedSelectors remote = read_selectors(section, "remote");
  const auto side = [&](std::string_view key, LocatedSelectors& read, const net::IpAddress& outer) {
    if (!section.has(key)) {
      if (!transport)
        return section.missing(key, key == "local" ? "write local = [\"10.1.0.0/16\"]: what is protected on this side"
                                                   : "write remote = [\"10.2.0.0/16\"]: what is behind the peer");
      if (path_known) read.selectors = {model::TrafficSelector::of(net::AddressRange{outer, outer})};
    } else if (transport && path_known) {
      check_transport(section, key, read, outer);
    }
    // BEET: each side is one inner address, which no packet carries.
    if (sa.mode == model::Mode::beet && !read.selectors.empty() &&
        (read.selectors.size() != 1 || !is_host(read.selectors.front()))) {
      section.error(section.position_of(key), key, "BEET mode has one inner address on each side",
                    "write one address, such as \"10.1.0.1\"");
    }
  };
  side("local", local, sa.path.local.address);
  side("remote", remote, sa.path.remote.address);
  check_families(section, local, remote);
  sa.local = local.selectors;
  sa.remote = remote.selectors;
}

void read_lifetime(Section& section, std::string_view key, model::Lifetime& lifetime, Problems& problems) {
  constexpr auto kLeast = std::chrono::seconds(1);
  const toml::node* node = section.node(key);
  const toml::table* table = node == nullptr ? nullptr : node->as_table();
  if (table == nullptr) {
    if (const auto time = section.duration(key, kLeast, kYear)) lifetime.time = *time;
    return;
  }
  Section inner(*table, fmt::format("{}.{}", section.name(), key), section.file(), problems);
  inner.refuse_unknown(kManualLifetimeFields);
  if (const auto time = inner.duration("time", kLeast, kYear)) lifetime.time = *time;
  if (const auto bytes = inner.size("bytes", 1)) lifetime.bytes = *bytes;
  if (const auto packets = inner.integer("packets", 1, std::int64_t{1} << 62))
    lifetime.packets = static_cast<std::uint64_t>(*packets);
}

void read_ipcomp(Section& section, model::ChildSaParams& sa) {
  const auto in = section.integer("cpi_in", 1, 0xffff);
  const auto out = section.integer("cpi_out", 1, 0xffff);
  if (section.has("cpi_in") != section.has("cpi_out")) {
    const std::string_view given = section.has("cpi_in") ? "cpi_in" : "cpi_out";
    section.error(section.position_of(given), given, "cpi_in and cpi_out belong together",
                  "write both (2 on both sides is DEFLATE without negotiation), or none");
  }
  if (in && out) sa.ipcomp = model::IpCompParams{static_cast<std::uint16_t>(*in), static_cast<std::uint16_t>(*out)};
  if (sa.treatment.compress && !section.has("cpi_in")) {
    section.error(section.position_of("compress"), "compress", "compression needs the CPIs of both sides",
                  "write cpi_in = 2 and cpi_out = 2 here and at the peer");
  }
}

}  // namespace

DraftManual read_manual(Section section, std::string name, Problems& problems) {
  DraftManual draft;
  draft.header = section.position();
  draft.spi = section.position_of("spi_in");
  draft.key = section.position();
  ManualConfig& entry = draft.config;
  model::ChildSaParams& sa = entry.sa;
  entry.name = std::move(name);
  entry.place = {section.file(), section.position().line};

  section.refuse_unknown(kManualFields, kTreatmentFields);
  if (const auto protocol = section.choice("protocol", kProtocols)) sa.protocol = *protocol;
  if (const auto mode = section.choice("mode", kModes)) sa.mode = *mode;
  const bool path_known = read_path(section, sa);
  sa.spi_inbound = read_spi(section, "spi_in");
  sa.spi_outbound = read_spi(section, "spi_out");
  if (const auto suite = read_suite(section, sa.protocol)) {
    sa.suite = *suite;
    read_keys(section, draft);
  } else {
    // Complaints about the keys' kind all the same.
    for (const std::string_view key :
         {"encryption_key_in", "encryption_key_out", "integrity_key_in", "integrity_key_out"})
      (void)read_key(section, key, draft.key_in_file);
  }
  read_sides(section, sa, path_known);
  if (const auto own = section.boolean("policy")) entry.policy = *own;
  entry.addresses = read_inner_addresses(section, sa.local);
  entry.inner_mtu = read_mtu(section, sa.local, sa.remote);
  read_replay_window(section, sa.replay_window);
  read_lifetime(section, "soft_lifetime", sa.soft, problems);
  read_lifetime(section, "hard_lifetime", sa.hard, problems);
  if (const auto also = section.boolean("non_first_fragments")) sa.non_first_fragments = *also;
  read_treatment(section, sa.treatment, problems);
  read_ipcomp(section, sa);
  return draft;
}

}  // namespace culvert::config
