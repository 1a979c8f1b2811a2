// ClearPacketFilter: drops what arrives in clear although it should have come protected (RFC 4301 5.2), in the kernel,
// since packets that do not come out of TUN never pass this process.
//
// One nftables table of our own, "culvert", replaced in one transaction. It looks at packets before routing, so at
// those for this host and those to be forwarded. What TUN delivers, loopback, neighbour discovery, and what our own
// outer sockets receive passes. The table is removed at an orderly end and stays when the process is killed, as the
// routes' guards do.
//
// Where an interface has a strict reverse path filter, what passes to this host gets our firewall mark, and
// `src_valid_mark` is switched on there (see reverse_path.hpp). The table's set "marked_sources" names the interfaces
// where it was off, so that a later run knows what to take back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "net/address.hpp"

namespace culvert::io {

class NftablesSession;

/// One rule; the first that matches decides. Source and destination are of one family.
struct ClearPacketRule {
  /// Ports, or for ICMP and ICMPv6 type << 8 | code.
  struct Ports {
    std::uint16_t first = 0;
    std::uint16_t last = 0xffff;
    [[nodiscard]] bool any() const { return first == 0 && last == 0xffff; }
    friend auto operator<=>(const Ports&, const Ports&) = default;
  };
  bool accept = false;
  net::AddressRange source;
  net::AddressRange destination;
  std::uint8_t protocol = 0;  // 0: any
  Ports source_ports;
  Ports destination_ports;
  bool later_fragments_only = false;
  friend auto operator<=>(const ClearPacketRule&, const ClearPacketRule&) = default;
};

struct ClearPacketOptions {
  std::string tun_name;
  /// Of the same interface, 0: not known. To compare with a number is quicker than with a name, for each packet that
  /// came out of a tunnel.
  unsigned tun_index = 0;
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  /// TCP ports on which peers may bring IKE and ESP (RFC 9329).
  std::vector<std::uint16_t> listen_tcp = {};
  /// What belongs to TCP sockets with our mark is ours, too: streams that we opened. Takes the kernel's nft_socket.
  bool own_streams = false;
  /// UdpOptions::mark; 0: reverse path filters are left alone.
  std::uint32_t mark = 0;
};

/// What the reverse path filters of the host ask of the table.
struct ReversePathNeeds {
  bool strict = false;                // some interface has a strict one
  std::set<std::string> switched_on;  // interfaces whose src_valid_mark we have set
  friend bool operator==(const ReversePathNeeds&, const ReversePathNeeds&) = default;
};

class ClearPacketFilter {
 public:
  /// The table's text in nftables' language. `rules` empty: an order to remove the table.
  [[nodiscard]] static std::string text(const ClearPacketOptions& options, const std::vector<ClearPacketRule>& rules,
                                        const ReversePathNeeds& needs = {});

  /// In the network namespace of the calling thread.
  explicit ClearPacketFilter(ClearPacketOptions options);
  ClearPacketFilter(ClearPacketFilter&&) noexcept;
  ClearPacketFilter& operator=(ClearPacketFilter&&) = delete;
  /// Removes the table if this object has set one.
  ~ClearPacketFilter();

  /// As ClearPacketOptions::own_streams; counts from the next `apply` on.
  void set_own_streams(bool there) { options_.own_streams = there; }
  /// Makes the table hold exactly `rules`, or leaves it as it was and says why (a kernel without nf_tables, say).
  [[nodiscard]] Result<void, IoError> apply(const std::vector<ClearPacketRule>& rules);
  /// Interfaces came or went, or their reverse path filters may be others.
  [[nodiscard]] Result<void, IoError> links_changed();
  /// How many packets were dropped since the rules last changed; nothing while no table stands.
  [[nodiscard]] std::optional<std::uint64_t> dropped() const;

 private:
  [[nodiscard]] ReversePathNeeds look_at_reverse_paths() const;
  [[nodiscard]] std::set<std::string> left_switched_on() const;
  [[nodiscard]] Result<void, IoError> serve_strict(const ReversePathNeeds& needs);

  ClearPacketOptions options_;
  std::unique_ptr<NftablesSession> session_;
  std::vector<ClearPacketRule> rules_;
  ReversePathNeeds needs_;
  bool adopted_ = false;  // what an earlier run left is known
  bool stands_ = false;
};

}  // namespace culvert::io
