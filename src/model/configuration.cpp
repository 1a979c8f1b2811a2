#include "model/configuration.hpp"

namespace culvert::model {

bool is_domain_name(std::string_view text) {
  constexpr std::size_t kMostOctets = 253;
  constexpr std::size_t kMostOfLabel = 63;
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kMostOctets) return false;
  std::size_t label = 0;
  char before = '.';
  for (const char c : text) {
    if (c == '.') {
      if (label == 0 || before == '-') return false;
      label = 0;
    } else {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      // A hyphen in front would make an option of it where it becomes a word of a command.
      if (!letter && (c != '-' || label == 0)) return false;
      if (++label > kMostOfLabel) return false;
    }
    before = c;
  }
  return label > 0 && before != '-';
}

}  // namespace culvert::model
