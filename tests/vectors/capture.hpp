// Reads IP packets and UDP datagrams out of capture files: pcap and pcapng, also gzipped, Ethernet and BSD loopback.
// Forgiving: what it cannot read it leaves out, for some captures are broken on purpose.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/bytes.hpp"

namespace culvert::vectors {

struct Datagram {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  Bytes payload;  // as much as was captured
};

/// What stands behind the link layer's header, as much as was captured.
[[nodiscard]] std::vector<Bytes> ip_packets(const std::filesystem::path& capture);

[[nodiscard]] std::vector<Datagram> udp_datagrams(const std::filesystem::path& capture);

/// The IKE messages, of any version: what went over port 500, and over port 4500 behind a non-ESP marker (RFC
/// 3948 2.2).
[[nodiscard]] std::vector<Bytes> ike_messages(const std::filesystem::path& capture);

}  // namespace culvert::vectors
