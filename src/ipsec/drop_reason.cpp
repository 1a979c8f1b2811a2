#include "ipsec/drop_reason.hpp"

#include <fmt/format.h>

namespace culvert::ipsec {

std::string drop_reasons_markdown() {
  std::string text =
      "# Why packets are dropped\n\n"
      "One line per reason, in the order of the packet's path. The name is the word in logs and the label of the "
      "counters in\n"
      "`culvert status`. This page is made from `src/ipsec/drop_reason.hpp`; a test holds both together. What is lost "
      "before the\n"
      "engine and behind it is in [drop-reasons-io.md](drop-reasons-io.md).\n";
  for (const DropDirection direction : {DropDirection::outbound, DropDirection::inbound}) {
    text += direction == DropDirection::outbound ? "\n## Outbound\n\n" : "\n## Inbound\n\n";
    text += "| name | what happened |\n|---|---|\n";
    for (const DropReasonEntry& entry : kDropReasons) {
      if (entry.direction == direction) text += fmt::format("| `{}` | {} |\n", entry.name, entry.text);
    }
  }
  return text;
}

}  // namespace culvert::ipsec
