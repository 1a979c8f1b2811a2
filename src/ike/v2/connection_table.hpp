// ConnectionTable: the configured connections, and which of them a peer can mean (RFC 4301 4.4.3, the PAD, as far as
// IKE needs it).
#pragma once

#include <array>
#include <compare>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "ike/v2/connection_kinds.hpp"
#include "model/connection.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

/// The identity that we show on this connection: the configured one, or the local address of the path.
[[nodiscard]] model::Identity local_identity(const model::ConnectionConfig& config, const net::Path& path);
/// The identity that the peer must prove: the configured one, or the configured address, or the address it came from.
[[nodiscard]] model::Identity remote_identity(const model::ConnectionConfig& config, const net::Path& path);
/// Whether the peer may be the one that says it is `presented`, as Identity::comparable() has it.
[[nodiscard]] bool expects(const model::ConnectionConfig& config, const net::Path& path,
                           const model::Identity& presented);

/// As responder: whatever identity the peer has in IKE, because EAP tells who it is.
[[nodiscard]] bool takes_any_identity(const model::ConnectionConfig& config);

/// It may be in one IKE SA with others at all: both ends are one each, and prove themselves once, by what others can be
/// compared with.
[[nodiscard]] bool is_shareable(const model::ConnectionConfig& config);
/// Both are for the same ends with the same credentials.
[[nodiscard]] bool same_share_key(const model::ConnectionConfig& a, const model::ConnectionConfig& b);

class ConnectionTable {
 public:
  /// Adds the connection or replaces the one with its id.
  void put(model::ConnectionConfig config);
  void remove(model::ConnectionId id);
  /// Null when there is none. The pointer is good until the next put or remove.
  [[nodiscard]] const model::ConnectionConfig* find(model::ConnectionId id) const;
  /// Of what has none yet: null.
  [[nodiscard]] const model::ConnectionConfig* find(const std::optional<model::ConnectionId>& id) const {
    return id ? find(*id) : nullptr;
  }
  /// The same by the name that the user gave it.
  [[nodiscard]] const model::ConnectionConfig* find(const std::string& name) const;
  [[nodiscard]] bool empty() const { return connections_.empty(); }

  /// As responder: calls `visit` with the connections whose addresses allow the path, those that name the peer's
  /// address first, then by id, until it answers true. Answers the connection at which it did, else null.
  template <typename Visit>
  const model::ConnectionConfig* find_candidate(const net::Path& path, Visit visit) const {
    const net::IpAddress& local = path.local.address;
    return visit_first({in(by_peer_, path.remote.address, local), in(open_, Anywhere{}, local)}, visit);
  }
  /// The same, but of connections that an IKE_SA_INIT cannot tell apart the first alone (ConnectionKinds): what `visit`
  /// answers may depend on nothing else of them.
  template <typename Visit>
  const model::ConnectionConfig* find_kind(const net::Path& path, Visit visit) const {
    for (const model::ConnectionId id : kinds_.firsts(path)) {
      if (const model::ConnectionConfig* config = find(id); visit(*config)) return config;
    }
    return nullptr;
  }
  /// As find_candidate above for those among them that expect the identity `peer`, and behind them those that take any.
  template <typename Visit>
  const model::ConnectionConfig* find_candidate(const net::Path& path, const model::Identity& peer, Visit visit) const {
    const model::Identity wanted = peer.comparable();
    // One that names the identity goes before one with a pattern, and both before one that takes any.
    const net::IpAddress& address = path.remote.address;
    const net::IpAddress& local = path.local.address;
    const Found others = in(by_peer_identity_, PeerIdentity{address, std::nullopt}, local);
    const Found without_identity = in(open_without_identity_, Anywhere{}, local);
    const auto* expecting = visit_first(
        {in(by_peer_identity_, PeerIdentity{address, wanted}, local), others, in(open_by_identity_, wanted, local),
         without_identity, in(open_by_pattern_, Anywhere{}, local)},
        [&](const model::ConnectionConfig& config) { return expects(config, path, wanted) && visit(config); });
    if (expecting != nullptr) return expecting;
    return visit_first({others, without_identity}, [&](const model::ConnectionConfig& config) {
      return takes_any_identity(config) && visit(config);
    });
  }

  /// Calls `visit` with the connections that have the share key of `config`, itself among them, by id, until it answers
  /// true.
  template <typename Visit>
  void find_sharing(const model::ConnectionConfig& config, Visit visit) const {
    if (!is_shareable(config)) return;
    if (const auto found = sharing_.find(share_key(config)); found != sharing_.end())
      visit_first({Found{&found->second, nullptr}}, visit);
  }

  /// Some connection authenticates by certificate.
  [[nodiscard]] bool uses_certificates() const { return certificates_ > 0; }
  /// As responder: digests of authorities that connections for this path believe, each once. Not all when there are
  /// many: the request for certificates is a hint (RFC 7296 3.7).
  [[nodiscard]] Bytes authorities_for(const net::Path& path) const;

 private:
  using Ids = std::set<model::ConnectionId>;
  using ShareKey = std::tuple<std::uint32_t, std::optional<net::IpAddress>, std::optional<model::Identity>,
                              std::optional<model::Identity>>;
  // An address, and who is expected there, as Identity::comparable() has it; nobody: any of many.
  using PeerIdentity = std::pair<net::IpAddress, std::optional<model::Identity>>;
  [[nodiscard]] static std::set<PeerIdentity> peer_identities(const model::ConnectionConfig& config);
  [[nodiscard]] static ShareKey share_key(const model::ConnectionConfig& config);
  friend bool same_share_key(const model::ConnectionConfig& a, const model::ConnectionConfig& b);

  struct Anywhere {
    friend auto operator<=>(const Anywhere&, const Anywhere&) = default;
  };
  // Each connection stands there where its own address is, or at none: behind one address of a peer there may be as
  // many connections as we have addresses.
  template <typename Key>
  using Index = std::map<std::pair<Key, std::optional<net::IpAddress>>, Ids>;
  /// What an index has for a key and one of our addresses: those that name this address, and those that name none.
  using Found = std::array<const Ids*, 2>;

  template <typename Key>
  [[nodiscard]] static Found in(const Index<Key>& index, const Key& key, const net::IpAddress& local) {
    const auto ids = [&](std::optional<net::IpAddress> at) {
      const auto found = index.find({key, at});
      return found == index.end() ? nullptr : &found->second;
    };
    return {ids(local), ids(std::nullopt)};
  }
  /// List by list; what was found for one key is one list, by id.
  template <typename Visit>
  const model::ConnectionConfig* visit_first(std::initializer_list<Found> lists, Visit visit) const {
    static const Ids kNone;
    for (const auto& [first, second] : lists) {
      const Ids& a = first != nullptr ? *first : kNone;
      const Ids& b = second != nullptr ? *second : kNone;
      for (auto left = a.begin(), right = b.begin(); left != a.end() || right != b.end();) {
        const bool from_left = right == b.end() || (left != a.end() && *left < *right);
        const model::ConnectionId id = from_left ? *left++ : *right++;
        if (const model::ConnectionConfig* config = find(id); visit(*config)) return config;
      }
    }
    return nullptr;
  }
  /// Calls `place` with each index that the connection stands in for its peers, and the key there.
  template <typename Table, typename Place>
  static void places_of(Table& table, const model::ConnectionConfig& config, Place place);

  std::unordered_map<model::ConnectionId, model::ConnectionConfig> connections_;
  Index<net::IpAddress> by_peer_;
  // The same ones: behind one address there may be as many as behind all others.
  Index<PeerIdentity> by_peer_identity_;
  ConnectionKinds kinds_;
  std::unordered_map<std::string, model::ConnectionId> by_name_;
  std::map<ShareKey, Ids> sharing_;
  std::size_t certificates_ = 0;             // connections that use them
  Index<Anywhere> open_;                     // for any address; each is in one of the next three as well
  Index<model::Identity> open_by_identity_;  // as Identity::comparable() has them
  Index<Anywhere> open_by_pattern_;
  Index<Anywhere> open_without_identity_;  // they expect whatever address the peer comes from
};

}  // namespace culvert::ike::v2
