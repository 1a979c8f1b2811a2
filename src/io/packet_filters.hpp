// The packet filters of this host, as text: what a firewall holds that may drop our packets. Read, never changed.
#pragma once

#include <string>
#include <vector>

#include "io/error.hpp"

namespace culvert::io {

/// All tables of nftables in its own language, protocols as numbers, without counts (`nft -sy list ruleset`); iptables'
/// rules are among them where iptables works by way of nftables. Needs CAP_NET_ADMIN. `not_supported` where the kernel
/// has no nftables. In the network namespace of the calling thread.
[[nodiscard]] Result<std::string, IoError> packet_filter_text();

/// Tables that the old iptables holds ("filter"), of both families; the text above does not have them. As root.
[[nodiscard]] std::vector<std::string> legacy_filter_tables();

}  // namespace culvert::io
