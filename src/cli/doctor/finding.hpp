// Finding: what one check of `culvert doctor` came to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::cli::doctor {

/// note: it works, but worse or with a condition; or the check could not be made. problem: something will not work.
enum class State : std::uint8_t { ok, note, problem };
[[nodiscard]] constexpr std::string_view name_of(State state) {
  return state == State::ok ? "ok" : state == State::note ? "note" : "PROBLEM";
}

struct Finding {
  std::string group;  // the heading: "machine", "network", "culvertd", "tunnel office"
  std::string what;   // a few words
  State state = State::ok;
  std::string found;    // one sentence
  std::string way_out;  // a command or a setting; of problems never empty
  friend bool operator==(const Finding&, const Finding&) = default;
};
using Findings = std::vector<Finding>;

}  // namespace culvert::cli::doctor
