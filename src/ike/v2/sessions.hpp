// The IKE SAs of one peer where a connection serves many peers: by its identity, whatever their number.
#pragma once

#include <vector>

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

[[nodiscard]] bool same_peers(const IkeSa& a, const IkeSa& b);
/// All others that may be of the same peer: those of its identity, or of the whole connection where that has one peer.
[[nodiscard]] std::vector<IkeSa*> siblings(Core& core, const IkeSa& sa);
/// Those that are established, oldest first.
[[nodiscard]] std::vector<IkeSa*> sessions_of(Core& core, const IkeSa& sa);
/// Those that end when `sa` is established: all when the peer says that it has no other (`alone`, RFC 7296 2.4), else
/// what is beyond the bounds.
[[nodiscard]] std::vector<IkeSa*> sessions_that_end(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                                    bool alone);

}  // namespace culvert::ike::v2
