// What AH's ICV covers of the headers in front of it (RFC 4302 3.3.3.1, Appendix A): fields that change on the way are
// zero, fields that change predictably are as the receiver will see them.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.hpp"

namespace culvert::ipsec {

/// Rewrites a copy of the headers, IPv4 with options or IPv6 with extension headers as net::chain_end takes them, to
/// what the ICV covers, and answers how many octets of it that is: an IPv6 fragment header goes (RFC 4302 A2). Sender
/// and receiver call it alike, on the headers as they leave and as they come. Nothing when the options are malformed,
/// or when a routing header changes in a way that cannot be foretold.
[[nodiscard]] std::optional<std::size_t> zero_mutable_fields(MutableByteView headers);

}  // namespace culvert::ipsec
