// The keys of manual entries: written out, in a file of their own, or in the environment.
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kKeyLimit = 256;
constexpr std::string_view kForms =
    R"(write "0x" and hexadecimal digits, "0s" and base64, "file:PATH" or "env:VARIABLE")";

void wipe_text(std::string& text) { wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }

/// The text that a file or variable holds, or the setting itself.
struct KeyText {
  std::string text;
  std::string where;  // for messages; never the text
};

std::optional<KeyText> from_file(Section& section, const Position& at, std::string_view key, std::string_view name) {
  const std::filesystem::path path = std::filesystem::path(section.file()).parent_path() / std::string(name);
  auto text = read_secret_file(path.string());
  if (!text) {
    std::error_code error;
    const bool exists = std::filesystem::exists(path, error);
    section.error(
        at, key, fmt::format("{} {}", in_quotes(path.string()), exists ? "cannot be read as a file" : "does not exist"),
        exists ? "check that it is a regular file and who may read it"
               : "the path is relative to the configuration file's folder");
    return std::nullopt;
  }
  if (const auto verdict = judge_secret_file(path.string())) {
    const auto complain = verdict->severity == Severity::error ? &Section::error : &Section::warning;
    (section.*complain)(at, key, verdict->message, verdict->hint);
  }
  return KeyText{std::move(*text), fmt::format("the key in {}", in_quotes(path.string()))};
}

std::optional<KeyText> from_environment(Section& section, const Position& at, std::string_view key,
                                        const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) {
    section.error(at, key, fmt::format("the environment has no variable {}", in_quotes(name)),
                  "set it where culvertd is started, or use \"file:PATH\"");
    return std::nullopt;
  }
  return KeyText{value, fmt::format("the key in the variable {}", in_quotes(name))};
}

}  // namespace

SecretBytes read_key(Section& section, std::string_view key, bool& in_file) {
  auto written = section.secret_text(key);
  if (!written) return {};
  const Position at = written->position;
  std::optional<KeyText> found;
  if (written->value.starts_with("file:")) {
    found = from_file(section, at, key, std::string_view(written->value).substr(5));
  } else if (written->value.starts_with("env:")) {
    found = from_environment(section, at, key, written->value.substr(4));
  } else {
    in_file = true;
    found = KeyText{written->value, "the key"};
  }
  wipe_text(written->value);
  if (!found) return {};
  const bool coded = found->text.starts_with("0x") || found->text.starts_with("0s");
  if (!coded || found->text.size() > 4 * kKeyLimit) {
    section.error(at, key, fmt::format("{} is not written as a key", found->where), std::string(kForms));
    wipe_text(found->text);
    return {};
  }
  auto secret = parse_secret(found->text);
  wipe_text(found->text);
  if (!secret) {
    section.error(at, key, fmt::format("{}: {}", found->where, secret.error()), std::string(kForms));
    return {};
  }
  return std::move(*secret);
}

}  // namespace culvert::config
