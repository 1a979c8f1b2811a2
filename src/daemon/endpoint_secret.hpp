// EndpointSecret: the secret behind crash tokens (RFC 6290 5.1), which must be the same after a restart: 32 octets in a
// file of the state folder that nobody else may read.
#pragma once

#include <filesystem>
#include <string>

#include "base/random.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::daemon {

/// The secret in `folder`, made there where it is missing. The error is a sentence with the way out: then there is none
/// that another run would know.
[[nodiscard]] Result<SecretBytes, std::string> load_endpoint_secret(const std::filesystem::path& folder,
                                                                    RandomSource& random);

}  // namespace culvert::daemon
