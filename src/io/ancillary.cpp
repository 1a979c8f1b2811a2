#include "io/ancillary.hpp"

#include <cstring>
#include <span>

#include <netinet/in.h>
#include <netinet/udp.h>

#include "base/check.hpp"

namespace culvert::io {

namespace {

template <typename T>
void append(msghdr& message, AncillaryBuffer& buffer, int level, int type, const T& value) {
  CHECK(message.msg_controllen + CMSG_SPACE(sizeof value) <= sizeof buffer.octets);
  cmsghdr header{};
  header.cmsg_level = level;
  header.cmsg_type = type;
  header.cmsg_len = CMSG_LEN(sizeof value);
  std::uint8_t* at = buffer.octets.data() + message.msg_controllen;
  std::memset(at, 0, CMSG_SPACE(sizeof value));
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + CMSG_LEN(0), &value, sizeof value);
  message.msg_controllen += CMSG_SPACE(sizeof value);
}

template <typename T>
bool take(const cmsghdr* header, T& out) {
  if (header->cmsg_len < CMSG_LEN(sizeof out)) return false;
  std::memcpy(&out, CMSG_DATA(header), sizeof out);
  return true;
}

void read_v4(const cmsghdr* header, Ancillary& out) {
  if (header->cmsg_type == IP_PKTINFO) {
    in_pktinfo info;
    if (!take(header, info)) return;
    out.destination = *net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&info.ipi_addr), 4});
    out.has_destination = true;
  } else if (header->cmsg_type == IP_TOS) {
    (void)take(header, out.tos);  // one octet, unlike IPV6_TCLASS
  } else if (header->cmsg_type == IP_TTL) {
    int ttl = 0;
    if (take(header, ttl)) out.hop_limit = static_cast<std::uint8_t>(ttl);
  } else if (header->cmsg_type == IP_RECVERR) {
    (void)take(header, out.error);
  }
}

void read_v6(const cmsghdr* header, Ancillary& out) {
  if (header->cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info;
    if (!take(header, info)) return;
    out.destination = *net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&info.ipi6_addr), 16});
    out.has_destination = true;
  } else if (header->cmsg_type == IPV6_TCLASS) {
    int traffic_class = 0;
    if (take(header, traffic_class)) out.tos = static_cast<std::uint8_t>(traffic_class);
  } else if (header->cmsg_type == IPV6_HOPLIMIT) {
    int hop_limit = 0;
    if (take(header, hop_limit)) out.hop_limit = static_cast<std::uint8_t>(hop_limit);
  } else if (header->cmsg_type == kIpv6FlowInfo) {
    std::uint32_t flow_info = 0;
    if (take(header, flow_info)) out.flow_info = ntohl(flow_info);
  } else if (header->cmsg_type == IPV6_RECVERR) {
    (void)take(header, out.error);
  }
}

}  // namespace

void write_ancillary(msghdr& message, AncillaryBuffer& buffer, const SendAncillary& wanted) {
  const net::IpAddress& source = wanted.source;
  const int tos = wanted.tos;
  const int hop_limit = wanted.hop_limit;
  message.msg_control = buffer.octets.data();
  message.msg_controllen = 0;
  const bool has_source = !source.is_unspecified();
  if (source.is_v4()) {
    if (has_source) {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, source.bytes().data(), 4);
      append(message, buffer, IPPROTO_IP, IP_PKTINFO, info);
    }
    if (tos != 0) append(message, buffer, IPPROTO_IP, IP_TOS, tos);
    if (hop_limit != kDefaultHopLimit) append(message, buffer, IPPROTO_IP, IP_TTL, hop_limit);
  } else {
    if (has_source) {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, source.bytes().data(), 16);
      append(message, buffer, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
    if (tos != 0) append(message, buffer, IPPROTO_IPV6, IPV6_TCLASS, tos);
    if (hop_limit != kDefaultHopLimit) append(message, buffer, IPPROTO_IPV6, IPV6_HOPLIMIT, hop_limit);
  }
  if (wanted.segment_size != 0) append(message, buffer, IPPROTO_UDP, UDP_SEGMENT, wanted.segment_size);
  if (message.msg_controllen == 0) message.msg_control = nullptr;
}

Ancillary read_ancillary(msghdr& message) {
  Ancillary out;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == IPPROTO_IP) {
      read_v4(header, out);
    } else if (header->cmsg_level == IPPROTO_IPV6) {
      read_v6(header, out);
    } else if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
      int size = 0;
      if (take(header, size) && size > 0 && size <= 0xffff) out.segment_size = static_cast<std::uint16_t>(size);
    }
  }
  return out;
}

}  // namespace culvert::io
