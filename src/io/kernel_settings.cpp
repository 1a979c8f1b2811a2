#include "io/kernel_settings.hpp"

#include <charconv>
#include <fstream>

namespace culvert::io {

std::optional<std::string> kernel_setting(const std::string& name) {
  std::ifstream in("/proc/sys/" + name);
  std::string line;
  if (!std::getline(in, line)) return {};
  return line;
}

std::optional<std::int64_t> kernel_number(const std::string& name) {
  const auto text = kernel_setting(name);
  if (!text) return {};
  std::int64_t value = 0;
  if (std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc()) return {};
  return value;
}

}  // namespace culvert::io
