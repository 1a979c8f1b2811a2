// ConnectionKinds: which connections an IKE_SA_INIT can tell apart. It brings addresses and algorithms, no identities:
// of the thousands that a hub may have for one address, all that agree in those words are answered alike. So that what
// a stranger can make us look at grows with the kinds, not with the connections.
#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "model/connection.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

class ConnectionKinds {
 public:
  /// Where peers of the connection may call from; none: anywhere.
  using Addresses = std::set<net::IpAddress>;
  /// It must not be there.
  void put(const model::ConnectionConfig& config, const Addresses& peers);
  /// With the words of its put; it must be there.
  void remove(const model::ConnectionConfig& config, const Addresses& peers);
  /// Of each kind the connection with the least id, of those whose addresses allow the path: first those that name the
  /// peer's address, then the others, each by id.
  [[nodiscard]] std::vector<model::ConnectionId> firsts(const net::Path& path) const;

 private:
  /// All of a connection that the answer to an IKE_SA_INIT depends on.
  struct Words {
    std::vector<model::Proposal> proposals;
    bool fragmentation_required = false;
    std::optional<std::pair<model::PpkExchange, bool>> ppk;  // and whether it is required
    friend auto operator<=>(const Words&, const Words&) = default;
  };
  [[nodiscard]] static Words words_of(const model::ConnectionConfig& config);
  using Kinds = std::map<Words, std::size_t>;  // with the number of places of connections that are of it
  // The peer's address and ours, each where it is named.
  using Place = std::pair<std::optional<net::IpAddress>, std::optional<net::IpAddress>>;
  using Ids = std::set<model::ConnectionId>;
  [[nodiscard]] static std::vector<Place> places_of(const model::ConnectionConfig& config, const Addresses& peers);

  Kinds kinds_;
  // By the kind's node, which stays where it is: a few words at each of 100,000 places, not all of them.
  std::map<Place, std::map<const Kinds::value_type*, Ids>> places_;
};

}  // namespace culvert::ike::v2
