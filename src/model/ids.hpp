// The numbers by which SAs and messages are named. Host order inside; only codecs turn them into octets.
#pragma once

#include <cstdint>

#include "base/strong_id.hpp"

namespace culvert::model {

/// Security Parameters Index of an ESP or AH SA (RFC 4301 4.1). 0 never names an SA; 1 to 255 are reserved (RFC
/// 4303 2.1).
using Spi = StrongId<struct SpiTag, std::uint32_t>;
/// IKE SA SPI (RFC 7296 2.6). 0 stands for "not yet known".
using IkeSpi = StrongId<struct IkeSpiTag, std::uint64_t>;
/// IKE Message ID (RFC 7296 2.2).
using MessageId = StrongId<struct MessageIdTag, std::uint32_t>;

/// Which configured connection; a local handle, never on the wire. Stable while the connection keeps its name.
using ConnectionId = StrongId<struct ConnectionIdTag, std::uint32_t>;
/// One IKE SA for its whole life; a local handle, never reused in one run of the daemon.
using IkeSaId = StrongId<struct IkeSaIdTag, std::uint64_t>;
/// One Child SA pair for its whole life; a local handle, never reused in one run of the daemon.
using ChildSaId = StrongId<struct ChildSaIdTag, std::uint64_t>;

/// Who began: the original initiator of an IKE SA, or the side that sent an exchange's request.
enum class Role : std::uint8_t { initiator, responder };

}  // namespace culvert::model
