// Between the virtio-net header of TUN and the engine's Offload.
#pragma once

#include <optional>

#include "io/virtio_net.hpp"
#include "ipsec/packet_io.hpp"

namespace culvert::datapath {

/// Nothing for a kind of super-packet that we never asked the kernel for.
[[nodiscard]] std::optional<ipsec::Offload> decode_offload(const io::VirtioNetHeader& header);
[[nodiscard]] io::VirtioNetHeader encode_offload(const ipsec::Offload& offload);

}  // namespace culvert::datapath
