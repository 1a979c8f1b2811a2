#include "datapath/io_counters.hpp"

namespace culvert::datapath {

std::string_view name_of(IoDrop drop) {
  switch (drop) {
    case IoDrop::receive_truncated: return "receive_truncated";
    case IoDrop::ike_queue_full: return "ike_queue_full";
    case IoDrop::outer_no_socket: return "outer_no_socket";
    case IoDrop::outer_buffer_full: return "outer_buffer_full";
    case IoDrop::outer_refused: return "outer_refused";
    case IoDrop::bypass_refused: return "bypass_refused";
    case IoDrop::tun_read_invalid: return "tun_read_invalid";
    case IoDrop::tun_write_refused: return "tun_write_refused";
    case IoDrop::install_refused: return "install_refused";
    case IoDrop::handover_full: return "handover_full";
    case IoDrop::handover_lost: return "handover_lost";
    case IoDrop::stream_full: return "stream_full";
    case IoDrop::stream_closed: return "stream_closed";
    case IoDrop::stream_refused: return "stream_refused";
    case IoDrop::stream_corrupt: return "stream_corrupt";
    case IoDrop::count_: break;
  }
  return "?";
}

void IoCounters::append_to(std::vector<std::pair<std::string, std::uint64_t>>& out) const {
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const auto drop = static_cast<IoDrop>(i);
    if (const std::uint64_t packets = of(drop); packets != 0) out.emplace_back(name_of(drop), packets);
  }
}

}  // namespace culvert::datapath
