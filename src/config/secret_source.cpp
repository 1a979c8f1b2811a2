// The pre-shared key of a tunnel: in the file or in a file of its own, and who else can read it.
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kSecretLimit = 4096;
constexpr std::size_t kShortSecret = 16;
constexpr std::string_view kMakeOne = "make one with `culvert keygen`";

void wipe_text(std::string& text) { wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }

SecretBytes take(Section& section, const Position& at, std::string_view key, std::string& text, bool exposed) {
  auto secret = parse_secret(text);
  wipe_text(text);
  if (!secret) {
    section.error(at, key, secret.error(),
                  fmt::format("write text, \"0x\" and hexadecimal digits, or \"0s\" and base64; {}", kMakeOne));
    return {};
  }
  if (secret->size() > kSecretLimit) {
    section.error(at, key, fmt::format("the secret has more than {} octets", kSecretLimit), std::string(kMakeOne));
    return {};
  }
  if (exposed && secret->size() < kShortSecret) {
    section.warning(
        at, key,
        fmt::format(
            "the secret has only {} octets: whoever answers in the peer's place once can try all short ones at leisure",
            secret->size()),
        fmt::format("use at least {} random octets; {}", kShortSecret, kMakeOne));
  }
  return std::move(*secret);
}

SecretBytes from_file(Section& section, const SecretSetting& setting) {
  const std::string_view key = setting.file_key;
  const auto written = section.text(key);
  if (!written) return {};
  const std::filesystem::path path = std::filesystem::path(section.file()).parent_path() / written->value;
  std::optional<std::string> text = read_secret_file(path.string());
  if (!text) {
    std::error_code error;
    const bool exists = std::filesystem::exists(path, error);
    section.error(
        written->position, key,
        fmt::format("{} {}", in_quotes(path.string()), exists ? "cannot be read as a file" : "does not exist"),
        exists ? "check that it is a regular file and who may read it"
               : "the path is relative to the configuration file's folder");
    return {};
  }
  if (const auto verdict = judge_secret_file(path.string())) {
    const auto complain = verdict->severity == Severity::error ? &Section::error : &Section::warning;
    (section.*complain)(written->position, key, verdict->message, verdict->hint);
  }
  return take(section, written->position, key, *text, setting.exposed);
}

}  // namespace

std::optional<std::string> read_secret_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || error) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(2 * kSecretLimit + 4, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return std::nullopt;
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

std::optional<FileVerdict> judge_secret_file(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  const std::string type = fmt::format("type: chmod 600 {}", path);
  const unsigned mode = status.st_mode & 0777;
  const auto say = [&](Severity severity, std::string_view who) {
    return FileVerdict{severity, fmt::format("{} holds a secret and has mode {:03o}: {}", in_quotes(path), mode, who),
                       type};
  };
  if ((mode & 0002) != 0) return say(Severity::error, "everybody can change it");
  if ((mode & 0004) != 0) return say(Severity::error, "everybody can read it");
  if ((mode & 0020) != 0 && status.st_gid != 0)
    return say(Severity::error, fmt::format("group {} can change it", status.st_gid));
  if ((mode & 0040) != 0 && status.st_gid != 0)
    return say(Severity::warning, fmt::format("group {} can read it", status.st_gid));
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return FileVerdict{Severity::warning,
                       fmt::format("{} holds a secret and belongs to user {}", in_quotes(path), status.st_uid),
                       fmt::format("type: chown {} {}", ::geteuid(), path)};
  }
  return std::nullopt;
}

SecretBytes read_secret(Section& section, const SecretSetting& setting) {
  if (section.has(setting.key) && section.has(setting.file_key)) {
    section.error(section.position_of(setting.file_key), setting.file_key,
                  fmt::format("both {} and {} are given", setting.key, setting.file_key), "keep one of them");
    return {};
  }
  if (section.has(setting.file_key)) return from_file(section, setting);
  if (!section.has(setting.key)) {
    section.missing(setting.key, std::string(setting.missing_hint));
    return {};
  }
  auto written = section.secret_text(setting.key);
  if (!written) return {};
  return take(section, written->position, setting.key, written->value, setting.exposed);
}

SecretBytes read_shared_key(Section& section) {
  const std::string hint =
      fmt::format("write secret = \"...\" or secret_file = \"PATH\" ({}), or certificate = \"PATH\"", kMakeOne);
  return read_secret(section, {.key = "secret", .file_key = "secret_file", .missing_hint = hint, .exposed = true});
}

}  // namespace culvert::config
