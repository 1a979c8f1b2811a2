#include "ipsec/ipcomp.hpp"

#include <algorithm>

#include <zlib.h>

#include "base/check.hpp"

namespace culvert::ipsec {
namespace {

// Raw DEFLATE, no zlib header. Matches reach back 2 KiB only: every receiver can follow that far, and a compressor with
// a small window and hash table is made ready for the next packet quickly.
constexpr int kCompressWindow = -11;
constexpr int kCompressMemory = 5;
constexpr int kDecompressWindow = -15;  // the largest that a peer may use

}  // namespace

struct IpComp::Streams {
  Streams() {
    CHECK(deflateInit2(&deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kCompressWindow, kCompressMemory,
                       Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(inflateInit2(&inflater, kDecompressWindow) == Z_OK);
  }
  ~Streams() {
    deflateEnd(&deflater);
    inflateEnd(&inflater);
  }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  z_stream deflater{};
  z_stream inflater{};
};

IpComp::IpComp() = default;
IpComp::~IpComp() = default;

std::optional<std::size_t> IpComp::compress(ByteView payload, std::uint8_t next_header, std::uint16_t cpi,
                                            std::uint8_t* out) {
  // RFC 3173 2.2: header and compressed payload together have to be smaller than the payload.
  if (payload.size() <= kIpCompHeaderSize + 1) return std::nullopt;
  if (!streams_) streams_ = std::make_unique<Streams>();
  z_stream& stream = streams_->deflater;
  // RFC 2394 2: history is cleared between packets.
  CHECK(deflateReset(&stream) == Z_OK);
  // zlib never writes through next_in; its type says so only when built with ZLIB_CONST.
  stream.next_in = const_cast<Bytef*>(payload.data());
  stream.avail_in = static_cast<uInt>(payload.size());
  stream.next_out = out + kIpCompHeaderSize;
  const std::size_t room = payload.size() - kIpCompHeaderSize - 1;
  stream.avail_out = static_cast<uInt>(room);
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return std::nullopt;
  // RFC 3173 3.3: next header, flags of zero, CPI.
  out[0] = next_header;
  out[1] = 0;
  store_be16(out + 2, cpi);
  return kIpCompHeaderSize + room - stream.avail_out;
}

Result<IpComp::Decompressed, DropReason> IpComp::decompress(ByteView datagram, std::uint16_t cpi, MutableByteView out) {
  // RFC 3173 3.3: flags are ignored; the CPI is the one that we chose.
  if (datagram.size() <= kIpCompHeaderSize || load_be16(datagram.data() + 2) != cpi) {
    return err(DropReason::ipcomp_malformed);
  }
  if (!streams_) streams_ = std::make_unique<Streams>();
  z_stream& stream = streams_->inflater;
  CHECK(inflateReset(&stream) == Z_OK);
  const ByteView compressed = datagram.subspan(kIpCompHeaderSize);
  stream.next_in = const_cast<Bytef*>(compressed.data());
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  if (status == Z_STREAM_END) return Decompressed{datagram[0], out.size() - stream.avail_out};
  // A bomb ends where the room does.
  if (status == Z_BUF_ERROR && stream.avail_out == 0) return err(DropReason::ipcomp_too_long);
  return err(DropReason::ipcomp_malformed);
}

void CompressionBackoff::tell(std::uint64_t flow_hash, bool shrank) {
  Slot& slot = slot_of(flow_hash);
  if (shrank) {
    slot = {};
    return;
  }
  if (++slot.failures < kFailures) return;
  slot.failures = kFailures - 1;  // from now on every failure makes the pause longer
  slot.pause = slot.pause == 0 ? kFirstPause : static_cast<std::uint16_t>(std::min<int>(slot.pause * 2, kLongestPause));
  slot.skip = slot.pause;
}

}  // namespace culvert::ipsec
