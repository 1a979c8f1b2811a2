// Where the third-party vectors are, and how test files read them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.hpp"

namespace culvert::vectors {

/// The file or folder below $CULVERT_VECTORS, by default ../shared/vectors from the working directory; nothing when it
/// is absent.
[[nodiscard]] std::optional<std::filesystem::path> find(std::string_view relative);

/// All regular files in a folder below the root, sorted by name; empty when the folder is absent.
[[nodiscard]] std::vector<std::filesystem::path> files_in(std::string_view relative_folder);

[[nodiscard]] Bytes read_file(const std::filesystem::path& path);
[[nodiscard]] std::string read_text(const std::filesystem::path& path);
[[nodiscard]] nlohmann::json read_json(const std::filesystem::path& path);
/// A JSON file that was compressed by gzip; needs the command of that name.
[[nodiscard]] nlohmann::json read_gzip_json(const std::filesystem::path& path);

/// The octets of hexadecimal text; fails the running test and answers nothing on any other text.
[[nodiscard]] Bytes hex(std::string_view text);

}  // namespace culvert::vectors

/// Declares `name`, the path of a file below the root of the vectors, or skips the running test and says what is
/// missing.
#define REQUIRE_VECTORS(name, relative)                                \
  const auto name##_found = ::culvert::vectors::find(relative);        \
  if (!name##_found)                                                   \
    GTEST_SKIP() << "the test vectors are not here: no " << (relative) \
                 << " below the folder that CULVERT_VECTORS names";    \
  [[maybe_unused]] const std::filesystem::path& name = *name##_found
