// A small file of the state folder that nobody else may read: whole or not there at all, whatever happens.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::daemon {

/// What is in it, at most `most` octets and one; nothing where there is no file. The errors are sentences; `danger`
/// says what others could do who can read it, `price` what it costs that it cannot be used.
[[nodiscard]] Result<std::optional<SecretBytes>, std::string> read_secret_file(const std::filesystem::path& path,
                                                                               std::size_t most,
                                                                               std::string_view danger,
                                                                               std::string_view price);
/// On success it is on stable storage. Makes the folder where it is missing.
[[nodiscard]] Result<void, std::string> write_secret_file(const std::filesystem::path& path, ByteView secret,
                                                          std::string_view price);

}  // namespace culvert::daemon
