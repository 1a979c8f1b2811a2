#include "support.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace culvert::vectors {

namespace {

std::filesystem::path root() {
  const char* given = std::getenv("CULVERT_VECTORS");
  return given != nullptr && *given != '\0' ? given : "../shared/vectors";
}

}  // namespace

std::optional<std::filesystem::path> find(std::string_view relative) {
  std::filesystem::path path = root() / relative;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return path;
}

std::vector<std::filesystem::path> files_in(std::string_view relative_folder) {
  std::vector<std::filesystem::path> files;
  const auto folder = find(relative_folder);
  if (!folder) return files;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.is_open()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

Bytes read_file(const std::filesystem::path& path) { return to_bytes(as_bytes(read_text(path))); }

nlohmann::json read_json(const std::filesystem::path& path) { return nlohmann::json::parse(read_text(path)); }

nlohmann::json read_gzip_json(const std::filesystem::path& path) {
  const std::string command = "gzip -dc '" + path.string() + "'";
  std::FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr) << command;
  if (pipe == nullptr) return {};
  std::string text;
  std::array<char, 65536> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), got);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return nlohmann::json::parse(text);
}

Bytes hex(std::string_view text) {
  auto octets = from_hex(text);
  EXPECT_TRUE(octets.has_value()) << "not hexadecimal: " << text;
  return octets ? std::move(*octets) : Bytes{};
}

}  // namespace culvert::vectors
