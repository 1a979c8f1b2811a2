// The SETTING=VALUE words of `culvert sa add` and `culvert policy add`.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "api/schema.hpp"
#include "base/result.hpp"

namespace culvert::cli {

/// What is to be sent. Keys come from a file ("@FILE") or, a line each, from `in` ("-"), or stand there themselves:
/// then `warning` gets a sentence, because whoever lists the processes sees them. The error is a sentence.
[[nodiscard]] Result<api::AddRequest, std::string> add_request(const std::string& name,
                                                               const std::vector<std::string>& words, std::istream* in,
                                                               std::string& warning);
/// Overwrites the keys in the request.
void wipe_keys(api::AddRequest& request);

}  // namespace culvert::cli
