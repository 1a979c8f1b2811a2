// load: configuration files to a Config, or to everything that is wrong with them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace culvert::config {

/// A file's name as shown in messages (and that secret_file is relative to) and its text.
struct SourceText {
  std::string file;
  std::string text;
};

/// Reads one file, or all *.toml of a folder in sorted order. All files are read to the end and all errors come back
/// together; on failure the list has at least one error, and the warnings too. Nothing is changed anywhere.
[[nodiscard]] Result<Config, Problems> load(const std::filesystem::path& path);

/// The same for texts already read. Does not look at file permissions except those of secret files.
[[nodiscard]] Result<Config, Problems> load_texts(const std::vector<SourceText>& sources);

}  // namespace culvert::config
