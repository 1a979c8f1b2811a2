// What a firewall does with the packets that IPsec lives on, read out of nftables' own text.
//
// A rule whose conditions this does not know may match or not, so the answer has three values. Stateful conditions are
// those of a flow's first packet, or of the answer to it. Address translation is not followed. Culvert's own tables are
// left out: they are made by the same configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace culvert::cli::doctor {

enum class Hook : std::uint8_t { input, output, forward };

/// An IPv4 packet that is asked about.
struct ProbePacket {
  Hook hook = Hook::input;
  std::optional<std::uint8_t> protocol;  // nothing: any
  std::optional<std::uint16_t> source_port;
  std::optional<std::uint16_t> destination_port;
  std::string input_interface;  // empty: unknown
  std::string output_interface;
  bool answer = false;  // of a flow that this host began, else the first packet of one
};

struct FilterAnswer {
  enum class Kind : std::uint8_t { passes, may_be_dropped, dropped };
  Kind kind = Kind::passes;
  std::string family;  // where it is dropped: "inet"
  std::string table;   // "filter"
  std::string chain;   // the chain on the hook
  std::string rule;    // the rule, or "policy drop"
  friend bool operator==(const FilterAnswer&, const FilterAnswer&) = default;
};

/// `ruleset` as io::packet_filter_text gives it.
[[nodiscard]] FilterAnswer ask_filters(std::string_view ruleset, const ProbePacket& packet);

}  // namespace culvert::cli::doctor
