#include "cli/settings.hpp"

#include <fstream>

#include <fmt/format.h>

#include "base/secret.hpp"
#include "config/commands.hpp"
#include "config/words.hpp"

namespace culvert::cli {
namespace {

constexpr std::size_t kKeyTextLimit = 1024;

/// The first line, or nothing.
std::optional<std::string> line_of(std::istream& in) {
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

/// The key's text in place of where it comes from.
Result<void, std::string> fetch_key(api::Setting& setting, std::istream* in, std::string& warning) {
  std::optional<std::string> text;
  if (setting.value == "-") {
    if (in != nullptr) text = line_of(*in);
    if (!text) return err(fmt::format("{}: standard input has no line for it", setting.name));
  } else if (setting.value.starts_with('@')) {
    std::ifstream file(setting.value.substr(1));
    if (file) text = line_of(file);
    if (!text) return err(fmt::format("{}: cannot read {}", setting.name, config::in_quotes(setting.value.substr(1))));
  } else if (setting.value.starts_with("0x") || setting.value.starts_with("0s")) {
    warning =
        "a key on the command line is seen by everybody who lists the processes, and stays in the shell's history; "
        "write SETTING=@FILE, or SETTING=- for standard input";
    return {};
  } else {
    return err(fmt::format("{}: write @FILE, - for standard input, or 0x and hexadecimal digits", setting.name));
  }
  if (text->size() > kKeyTextLimit || (!text->starts_with("0x") && !text->starts_with("0s"))) {
    return err(fmt::format("{}: what was read is no key; a key is written 0x and hexadecimal digits, or 0s and base64",
                           setting.name));
  }
  setting.value = std::move(*text);
  return {};
}

}  // namespace

Result<api::AddRequest, std::string> add_request(const std::string& name, const std::vector<std::string>& words,
                                                 std::istream* in, std::string& warning) {
  api::AddRequest request{name, {}};
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return err(fmt::format("{} is no SETTING=VALUE", config::in_quotes(word)));
    api::Setting setting{word.substr(0, equals), word.substr(equals + 1)};
    if (config::is_key_setting(setting.name)) {
      if (auto fetched = fetch_key(setting, in, warning); !fetched) return err(std::move(fetched.error()));
    }
    request.settings.push_back(std::move(setting));
  }
  return request;
}

void wipe_keys(api::AddRequest& request) {
  for (api::Setting& setting : request.settings) {
    if (config::is_key_setting(setting.name))
      wipe({reinterpret_cast<std::uint8_t*>(setting.value.data()), setting.value.size()});
  }
}

}  // namespace culvert::cli
