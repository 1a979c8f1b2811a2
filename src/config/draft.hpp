// Draft: what was read so far, with the places that checks across sections and files must name.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/credential_files.hpp"
#include "config/problem.hpp"
#include "config/section.hpp"

namespace culvert::config {

/// Selectors and, at the same index, where each was written.
struct LocatedSelectors {
  model::TrafficSelectors selectors;
  std::vector<Position> positions;
};

/// How each side proves who it is.
struct ProofMethods {
  model::Authentication own = model::Authentication::shared_key;
  model::Authentication peer = model::Authentication::shared_key;
  [[nodiscard]] bool uses(model::Authentication one) const { return own == one || peer == one; }
  /// Written as lists: the two above are those of the first rounds.
  bool rounds = false;
  bool own_certificate = false;  // in one of the rounds
  bool peer_certificate = false;
  bool begins_by_certificate = false;  // our first round
  /// `ca` of single rounds of the peer's, by their number from 0.
  std::map<std::size_t, std::vector<Located<std::string>>> round_authorities;
};

struct DraftTunnel {
  TunnelConfig config;
  ProofMethods methods;
  Position header;
  Position peer;
  bool secret_in_file = false;  // the configuration file itself holds the secret
  LocatedSelectors local;
  LocatedSelectors remote;
  Position pool;    // of `pool`
  Position radius;  // of `radius`
  std::vector<Located<std::string>> groups;
};

struct DraftGroup {
  model::GroupPolicy config;
  Position header;
  Position pool;
};

struct DraftPool {
  PoolConfig config;
  Position header;
};

struct DraftManual {
  ManualConfig config;
  Position header;
  Position spi;              // of spi_in
  Position key;              // of the outbound key that is used
  bool key_in_file = false;  // the configuration file itself holds a key
};

struct DraftUser {
  UserConfig config;
  Position header;
  bool secret_in_file = false;
};

struct DraftRadius {
  RadiusConfig config;
  Position header;
  bool secret_in_file = false;
};

struct DraftPolicy {
  PolicyRule rule;
  Position header;
  Position name;
  Position sa;
  Position anchor;  // of `before` or `after`
};

struct Draft {
  DaemonConfig daemon;
  std::optional<Position> daemon_position;
  std::vector<DraftTunnel> tunnels;
  std::vector<DraftManual> manual;
  std::vector<DraftPolicy> policies;
  std::vector<DraftUser> users;
  std::vector<DraftPool> pools;
  std::vector<DraftGroup> groups;
  std::vector<DraftRadius> radius;
  Problems problems;
  CredentialFiles files{0};
};

/// The settings of [daemon].
[[nodiscard]] DaemonConfig read_daemon(Section section);
/// One [tunnel.NAME].
[[nodiscard]] DraftTunnel read_tunnel(Section section, std::string name, Problems& problems, CredentialFiles& files);
/// One [pool.NAME].
[[nodiscard]] DraftPool read_pool(Section section, std::string name, Problems& problems);
/// `pool` and `sessions` of a tunnel.
void read_pool_use(Section& section, DraftTunnel& draft);
/// Gives each tunnel with a pool its `remote`; complains about pools that are not there, or in each other's way.
void check_pools(Draft& draft);
/// One [group.NAME].
[[nodiscard]] DraftGroup read_group(Section section, std::string name);
/// `groups` of a tunnel.
void read_group_use(Section& section, DraftTunnel& draft);
/// Gives each tunnel its groups; before `check_pools`. Complains about groups that are not there, or want too much.
void check_groups(Draft& draft);
/// One [manual.NAME].
[[nodiscard]] DraftManual read_manual(Section section, std::string name, Problems& problems);
/// One [user.NAME].
[[nodiscard]] DraftUser read_user(Section section, std::string name);
/// One [radius.NAME].
[[nodiscard]] DraftRadius read_radius(Section section, std::string name);
/// `eap = "radius"` of a tunnel and what goes with it; false when its clients are not passed on.
[[nodiscard]] bool read_radius_use(Section& section, DraftTunnel& draft, model::EapSettings& settings);
/// Complains about sections that are not there, or in each other's way.
void check_radius(Draft& draft);
/// One [[policy]].
[[nodiscard]] DraftPolicy read_policy(Section section);

/// The settings of model::PacketTreatment, of a tunnel or a manual entry.
void read_treatment(Section& section, model::PacketTreatment& treatment, Problems& problems);
/// `address` and `mtu`, of a tunnel or a manual entry with these local and remote selectors.
[[nodiscard]] std::vector<model::InnerAddress> read_inner_addresses(Section& section,
                                                                    const model::TrafficSelectors& local);
[[nodiscard]] std::optional<std::uint16_t> read_mtu(Section& section, const model::TrafficSelectors& local,
                                                    const model::TrafficSelectors& remote);
/// The name of a host, by its form: "gw.example.net".
[[nodiscard]] bool is_dns_name(std::string_view text);
/// An address that one host can have; complains otherwise.
[[nodiscard]] bool is_host_address(Section& section, const Position& at, std::string_view key,
                                   const net::IpAddress& address);
/// `local` or `remote` has a family that the other side lacks: complains.
void check_families(Section& section, const LocatedSelectors& local, const LocatedSelectors& remote);
/// A number of packets as ReplayWindow takes it, into `window`.
void read_replay_window(Section& section, std::uint32_t& window);
[[nodiscard]] std::string_view family_name(net::Family family);
/// 1 to 63 letters, digits, '-', '_' and '.', a letter or digit first.
[[nodiscard]] bool can_be_name(std::string_view name);
inline constexpr std::string_view kNameHint =
    "use 1 to 63 letters, digits, '-', '_' and '.', with a letter or digit first";

/// The selectors of a list setting; complaints name the entry at fault.
[[nodiscard]] LocatedSelectors read_selectors(Section& section, std::string_view key);
/// A setting with a secret in it, the one with its file, and what to say where neither is there.
struct SecretSetting {
  std::string_view key;
  std::string_view file_key;
  std::string_view missing_hint;
  /// What it is good for can be tried by strangers: a short one brings a warning.
  bool exposed = false;
};
/// The secret of that; empty after a complaint.
[[nodiscard]] SecretBytes read_secret(Section& section, const SecretSetting& setting);
/// `secret` or `secret_file` of a tunnel.
[[nodiscard]] SecretBytes read_shared_key(Section& section);
/// `eap` and what goes with it, into the tunnel, whose identities were read before.
void read_eap(Section& section, DraftTunnel& draft);
/// The tunnel has certificates, of either side.
[[nodiscard]] bool has_certificates(const Section& section);
/// A weak algorithm that `compat` allows.
struct CompatWord {
  std::string word;
  Position position;
  bool used = false;  // by a suite read so far
};
[[nodiscard]] std::vector<CompatWord> read_compat(Section& section);
/// `ppk`, `ppk_id`, `ppk_required` and `ppk_exchange`.
void read_ppk(Section& section, DraftTunnel& draft);
/// `childless`, `crash_detection`, `reauthentication`, `follow_redirect` and `redirect_*`.
void read_life(Section& section, DraftTunnel& draft);
/// True with `certificate`, `peer_key`, or what goes with them: no secret then.
[[nodiscard]] bool wants_credentials(const Section& section);
/// `auth` and `peer_auth`, and the secret where one is needed, into the tunnel, whose identities were read before.
void read_proof_methods(Section& section, DraftTunnel& draft);
/// The same where they are lists, as they are if `wants_rounds`.
[[nodiscard]] bool wants_rounds(const Section& section);
void read_rounds(Section& section, DraftTunnel& draft);
/// Our certificate is for a later round with an identity of its own, which must stand in it; else this is false, and
/// nothing is done. `whose`: the identity, where there are several rounds by certificate.
[[nodiscard]] bool settle_round_certificate(Section& section, DraftTunnel& draft, const crypto::Certificate& own,
                                            std::optional<model::Identity>& whose);
/// Each round by certificate has one, where there are several such.
void check_round_certificates(Section& section, const DraftTunnel& draft, const std::vector<OwnChain>& own);
/// Who we are in rounds by EAP, once all else is read.
void settle_rounds(DraftTunnel& draft);
/// All that a tunnel proves itself and judges the peer by, into the tunnel, whose identities were read before.
void read_credentials(Section& section, DraftTunnel& draft, CredentialFiles& files, std::span<CompatWord> compat);
/// `revocation`, `ocsp_url` and `crl_url`; nothing where revocation is not looked up. And `fetch_certificates`.
[[nodiscard]] std::optional<Revocation> read_revocation(Section& section);
[[nodiscard]] std::vector<std::string> read_fetch_prefixes(Section& section);
/// A key of a manual entry: "0x" and hexadecimal digits, "0s" and base64, "file:PATH" or "env:VARIABLE". Empty after a
/// complaint or when the setting is absent. `in_file` becomes true where the setting itself is the key.
[[nodiscard]] SecretBytes read_key(Section& section, std::string_view key, bool& in_file);
/// The one suite of a manual entry; nothing after a complaint.
[[nodiscard]] std::optional<model::EspSuite> read_suite(Section& section, model::ProtocolId protocol);
/// The suites of `ike` or `esp`, or the defaults.
[[nodiscard]] std::vector<model::Proposal> read_proposals(Section& section, std::string_view key,
                                                          model::ProtocolId protocol, std::span<CompatWord> compat);
/// Warns of words that no suite needed, once all are read.
void check_compat_used(Section& section, std::span<const CompatWord> compat);

/// A file's text without the line end it closes with. Too long a file comes back cut, and is refused by its length.
[[nodiscard]] std::optional<std::string> read_secret_file(const std::string& path);
/// Who may read or write a file with a secret in it, judged by mode and owner; nothing when all is well. No error when
/// the file cannot be looked at.
struct FileVerdict {
  Severity severity;
  std::string message;
  std::string hint;
};
[[nodiscard]] std::optional<FileVerdict> judge_secret_file(const std::string& path);

/// Duplicate names, overlapping subnets, peers that cannot be told apart; adds to `draft.problems`.
void check_across(Draft& draft);
/// The same for manual entries and rules: SPIs, keys, what rules refer to.
void check_manual(Draft& draft);

}  // namespace culvert::config
