#include "capture.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <zlib.h>

#include "support.hpp"

namespace culvert::vectors {

namespace {

constexpr std::uint32_t kLinkNull = 0;
constexpr std::uint32_t kLinkEthernet = 1;
constexpr std::uint8_t kProtocolUdp = 17;

/// A ByteReader for files whose writer's byte order is known only from their first octets.
class FileReader {
 public:
  FileReader(ByteView bytes, bool little) : reader_(bytes), little_(little) {}
  std::uint16_t u16() { return little_ ? __builtin_bswap16(reader_.u16()) : reader_.u16(); }
  std::uint32_t u32() { return little_ ? __builtin_bswap32(reader_.u32()) : reader_.u32(); }
  ByteView bytes(std::size_t count) { return reader_.bytes(count); }
  void skip(std::size_t count) { reader_.skip(count); }
  [[nodiscard]] bool ok() const { return reader_.ok(); }
  [[nodiscard]] std::size_t remaining() const { return reader_.remaining(); }

 private:
  ByteReader reader_;
  bool little_;
};

std::optional<Datagram> parse_udp(ByteView packet) {
  ByteReader reader(packet);
  Datagram datagram;
  datagram.source_port = reader.u16();
  datagram.destination_port = reader.u16();
  const std::size_t length = reader.u16();
  reader.skip(2);
  if (!reader.ok()) return std::nullopt;
  const std::size_t wanted = length >= 8 ? length - 8 : reader.remaining();
  datagram.payload = to_bytes(reader.rest().first(std::min(wanted, reader.remaining())));
  return datagram;
}

std::optional<Datagram> parse_ip(ByteView packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4 && packet.size() >= 20) {
    const std::size_t header = static_cast<std::size_t>(packet[0] & 15) * 4;
    const bool first_fragment = (load_be16(packet.data() + 6) & 0x1fff) == 0;
    if (packet[9] != kProtocolUdp || !first_fragment || header < 20 || header > packet.size()) return std::nullopt;
    return parse_udp(packet.subspan(header));
  }
  if (packet[0] >> 4 == 6 && packet.size() >= 40 && packet[6] == kProtocolUdp) return parse_udp(packet.subspan(40));
  return std::nullopt;
}

void add_frame(ByteView frame, std::uint32_t link, std::vector<Bytes>& out) {
  if (link == kLinkNull && frame.size() > 4) out.push_back(to_bytes(frame.subspan(4)));
  if (link == kLinkEthernet && frame.size() > 14) out.push_back(to_bytes(frame.subspan(14)));
}

void read_pcap(ByteView file, bool little, std::vector<Bytes>& out) {
  FileReader reader(file, little);
  reader.skip(20);
  const std::uint32_t link = reader.u32() & 0xffff;
  while (reader.ok() && reader.remaining() >= 16) {
    reader.skip(8);
    const std::size_t captured = reader.u32();
    reader.skip(4);
    add_frame(reader.bytes(std::min(captured, reader.remaining())), link, out);
  }
}

void read_pcapng(ByteView file, bool little, std::vector<Bytes>& out) {
  constexpr std::uint32_t kInterface = 1;
  constexpr std::uint32_t kEnhancedPacket = 6;
  FileReader reader(file, little);
  std::vector<std::uint32_t> links;
  while (reader.ok() && reader.remaining() >= 12) {
    const std::uint32_t type = reader.u32();
    const std::size_t length = reader.u32();
    if (length < 12) return;
    FileReader block(reader.bytes(std::min(length - 8, reader.remaining())), little);
    if (type == kInterface) links.push_back(block.u16());
    if (type == kEnhancedPacket) {
      const std::size_t interface = block.u32();
      block.skip(8);
      const std::size_t captured = block.u32();
      block.skip(4);
      if (interface < links.size())
        add_frame(block.bytes(std::min(captured, block.remaining())), links[interface], out);
    }
  }
}

/// The file, unpacked where it is gzipped.
Bytes read_capture(const std::filesystem::path& path) {
  Bytes file;
  const gzFile handle = gzopen(path.c_str(), "rb");
  if (handle == nullptr) return file;
  std::array<std::uint8_t, 65536> piece;
  for (int got = 0; (got = gzread(handle, piece.data(), piece.size())) > 0;) {
    file.insert(file.end(), piece.begin(), piece.begin() + got);
  }
  gzclose(handle);
  return file;
}

}  // namespace

std::vector<Bytes> ip_packets(const std::filesystem::path& capture) {
  std::vector<Bytes> out;
  const Bytes file = read_capture(capture);
  if (file.size() < 24) return out;
  switch (load_be32(file.data())) {
    case 0xa1b2c3d4:
    case 0xa1b23c4d: read_pcap(file, false, out); break;
    case 0xd4c3b2a1:
    case 0x4d3cb2a1: read_pcap(file, true, out); break;
    case 0x0a0d0d0a: read_pcapng(file, load_be32(file.data() + 8) == 0x4d3c2b1a, out); break;
    default: break;
  }
  return out;
}

std::vector<Datagram> udp_datagrams(const std::filesystem::path& capture) {
  std::vector<Datagram> out;
  for (const Bytes& packet : ip_packets(capture)) {
    if (auto datagram = parse_ip(packet)) out.push_back(std::move(*datagram));
  }
  return out;
}

std::vector<Bytes> ike_messages(const std::filesystem::path& capture) {
  std::vector<Bytes> messages;
  for (const Datagram& datagram : udp_datagrams(capture)) {
    const auto uses = [&](std::uint16_t port) {
      return datagram.source_port == port || datagram.destination_port == port;
    };
    const ByteView payload = datagram.payload;
    const bool marker = payload.size() >= 4 && load_be32(payload.data()) == 0;
    if (uses(4500) && marker) {
      messages.push_back(to_bytes(payload.subspan(4)));
    } else if (uses(500) && !uses(4500)) {
      messages.push_back(datagram.payload);
    }
  }
  return messages;
}

}  // namespace culvert::vectors
