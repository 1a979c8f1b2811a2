// The two halves of a tunnel's credentials, each read by a file of its own, and what both need.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "config/draft.hpp"
#include "crypto/certificate.hpp"
#include "crypto/trust.hpp"

namespace culvert::config {

inline constexpr std::size_t kCredentialFilesLimit = 64;  // of one setting

/// Where a path leads that stands in the file of the section.
[[nodiscard]] std::string path_of(const Section& section, const std::string& written);
/// As complaints name it.
[[nodiscard]] std::string name_of(const crypto::Certificate& certificate);
/// Of a certificate that is ours or that we believe: what its dates will make the peers, or us, do; a warning.
void check_dates(Section& section, const Position& at, std::string_view key, const crypto::Certificate& certificate,
                 crypto::CalendarTime now, std::string_view who);
[[nodiscard]] Bytes appended(Bytes to, const Bytes& more);

/// `certificate`, `private_key` and its password: what we prove ourselves with; nothing after a complaint. Without
/// certificates a raw key; without a key nothing, where something else proves us.
[[nodiscard]] std::optional<std::vector<OwnChain>> read_own(Section& section, DraftTunnel& draft,
                                                            CredentialFiles& files);
/// `certificate_url`: where peers find our certificates, the first certificate's first (RFC 7296 3.6).
void read_own_urls(Section& section, const std::vector<Located<std::string>>& written, std::vector<OwnChain>& own);
/// A chain is asked for by whoever stands above it, in its file or among what we believe ourselves (those files).
void add_authorities(std::vector<OwnChain>& own, CredentialFiles& files, const std::vector<std::string>& believed);

struct PeerTrust {
  std::variant<crypto::TrustStore, crypto::PublicKey> peer;
  Bytes fingerprint;
  std::vector<std::string> authorities;  // files
  std::optional<Revocation> revocation = {};
  std::map<std::size_t, crypto::TrustStore> rounds = {};  // of those with a `ca` of their own
};
/// The files of authorities that stand there, all of them good; empty after a complaint about `setting`.
[[nodiscard]] std::vector<std::string> read_authorities(Section& section, std::string_view setting,
                                                        const std::vector<Located<std::string>>& written,
                                                        CredentialFiles& files);
/// Adds `ca` of single rounds of the peer's; false after a complaint.
[[nodiscard]] bool add_round_trust(Section& section, DraftTunnel& draft, CredentialFiles& files,
                                   const std::vector<std::string>& lists, PeerTrust& trust);
/// `ca`, `crl` and what looks revocation up, or `peer_key`; nothing after a complaint. `own`: ours, where it was good.
[[nodiscard]] std::optional<PeerTrust> read_peer_trust(Section& section, DraftTunnel& draft, CredentialFiles& files,
                                                       const std::vector<OwnChain>* own);

}  // namespace culvert::config
