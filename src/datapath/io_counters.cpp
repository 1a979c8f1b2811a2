#include "datapath/io_counters.hpp"

#include <fmt/format.h>

namespace culvert::datapath {

std::string io_drops_markdown() {
  std::string text =
      "# What is lost beside the engine\n\n"
      "Between the kernel and the engine; the engine's own reasons are in [drop-reasons.md](drop-reasons.md). All are "
      "counted in\n"
      "`culvert status`. This page is made from `src/datapath/io_counters.hpp`; a test holds both together.\n\n"
      "| name | what happened |\n|---|---|\n";
  text += fmt::format(
      "| `{}` | The kernel had packets for the TUN device and dropped them: more came at once than its queue holds, or "
      "the workers do not keep up. |\n",
      kTunQueueFull);
  text += fmt::format(
      "| `{}` | The kernel had packets from outside and dropped them: the workers do not keep up, or the control "
      "thread "
      "with what comes to the IKE port, and the sockets' buffers were full (or a UDP checksum was wrong). |\n",
      kOuterQueueFull);
  for (const IoDropEntry& entry : kIoDrops) text += fmt::format("| `{}` | {} |\n", entry.name, entry.text);
  text +=
      "| `clear_from_wire` | A packet came in clear for addresses that are to be protected (RFC 4301 5.2); the packet "
      "filter dropped it. |\n";
  return text;
}

void IoCounters::append_to(std::vector<std::pair<std::string, std::uint64_t>>& out) const {
  for (const IoDropEntry& entry : kIoDrops) {
    if (const std::uint64_t packets = of(entry.drop); packets != 0) out.emplace_back(entry.name, packets);
  }
}

}  // namespace culvert::datapath
