// Leases: which client has which inner address (RFC 7296 2.19, 3.15.4). An identity gets the address again that it had,
// as long as nobody else needed it; addresses that never were anybody's are given first, then those that were out of
// use the longest. Pure: what must outlive the process goes out as changes and comes back by `restore`.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/boxed.hpp"
#include "base/chunked_set.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "model/configuration.hpp"
#include "model/identity.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::control {

/// What is written down of a lease. `order` grows with each use: the lower, the longer it is out of use.
struct LeaseRecord {
  net::IpAddress address;
  model::Identity identity;  // as Identity::comparable() has it
  std::uint64_t order = 0;
  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};

/// A lease as it is shown; without sessions it waits for its identity to come back.
struct LeaseView {
  std::string pool;
  LeaseRecord record;
  std::vector<model::IkeSaId> sessions;
};

class Leases {
 public:
  /// So many leases that nobody uses are kept in one pool.
  static constexpr std::size_t kMostIdle = std::size_t{1} << 16;

  /// The pools from now on. Leases outside of them are forgotten when their last session ends.
  void configure(const std::vector<config::PoolConfig>& pools);
  [[nodiscard]] bool empty() const { return pools_.empty(); }
  /// Before the first grant: what was written down. Records outside the pools, and second ones for an address, are
  /// dropped.
  void restore(std::span<const LeaseRecord> records);

  struct Wanted {
    std::span<const std::string> pools;  // in the order of preference
    const model::Identity& identity;
    std::span<const model::AddressWish> wishes;  // families without a pool are passed over (RFC 7296 3.15.4)
    model::IkeSaId session;
    /// Sessions of the same identity that end for this one: their addresses may be taken over.
    std::span<const model::IkeSaId> ending;
    /// Addresses that the identity must get and no other, of their families: an AAA server has chosen them.
    std::span<const net::IpAddress> assigned = {};
  };
  /// The addresses that could be given, which may be fewer than were asked for. With none, a sentence why.
  [[nodiscard]] Result<std::vector<net::IpAddress>, std::string> grant(const Wanted& wanted);
  /// The session goes on under another IKE SA: it was rekeyed.
  void move(model::IkeSaId from, model::IkeSaId to);
  /// The session ended; its leases wait.
  void release(model::IkeSaId session);

  [[nodiscard]] std::vector<net::IpAddress> of_session(model::IkeSaId session) const;
  /// By address, without the first `from`, and not more than `most`.
  [[nodiscard]] std::vector<LeaseView> views(std::uint64_t from = 0,
                                             std::size_t most = std::numeric_limits<std::size_t>::max()) const;
  /// Records to be written down since the last call, the newest of each address.
  [[nodiscard]] std::vector<LeaseRecord> take_changes();

 private:
  /// Hardly ever more than one.
  class Sessions {
   public:
    [[nodiscard]] bool empty() const { return first_ == kNone; }
    [[nodiscard]] std::vector<model::IkeSaId> list() const;
    void add(model::IkeSaId session);
    void remove(model::IkeSaId session);
    void replace(model::IkeSaId from, model::IkeSaId to);

   private:
    static constexpr model::IkeSaId kNone{~std::uint64_t{0}};
    void set(const std::vector<model::IkeSaId>& all);
    model::IkeSaId first_ = kNone;
    Boxed<std::vector<model::IkeSaId>> rest_;
  };
  struct Lease {
    model::Identity identity;
    std::uint64_t order = 0;
    Sessions sessions;
  };
  using Entry = std::pair<const net::IpAddress, Lease>;  // of `leases_`, where it stays
  /// By identity, then by address.
  struct ByIdentity {
    bool operator()(const Entry* a, const Entry* b) const {
      const auto order = a->second.identity <=> b->second.identity;
      return order != 0 ? order < 0 : a->first < b->first;
    }
    bool operator()(const Entry* a, const model::Identity& b) const { return a->second.identity < b; }
    bool operator()(const model::Identity& a, const Entry* b) const { return a < b->second.identity; }
  };
  struct Stands {
    model::IkeSaId session;
    std::uint64_t taken = 0;  // numbers count up
    const Entry* entry = nullptr;
  };
  /// By session, then as they were taken.
  struct BySession {
    bool operator()(const Stands& a, const Stands& b) const {
      return a.session != b.session ? a.session < b.session : a.taken < b.taken;
    }
    bool operator()(const Stands& a, model::IkeSaId b) const { return a.session < b; }
    bool operator()(model::IkeSaId a, const Stands& b) const { return a < b.session; }
  };
  struct Pool {
    config::PoolConfig config;
    std::map<net::IpAddress, model::Identity> fixed;  // whose they are
    /// Where the search for addresses that are nobody's goes on: for each range, the next one.
    std::vector<std::optional<net::IpAddress>> fresh;
    std::set<std::pair<std::uint64_t, net::IpAddress>> idle[2];  // by family: order, address
  };

  [[nodiscard]] Pool* pool_of(const net::IpAddress& address);
  [[nodiscard]] const Pool* pool_of(const net::IpAddress& address) const;
  [[nodiscard]] std::optional<net::IpAddress> choose(const Wanted& wanted, const model::AddressWish& wish);
  /// That address, if it is in a pool and nobody else's now: then it changes hands.
  [[nodiscard]] std::optional<net::IpAddress> assign(const Wanted& wanted, const net::IpAddress& address);
  [[nodiscard]] std::optional<net::IpAddress> own_of(const Wanted& wanted, net::Family family) const;
  [[nodiscard]] std::optional<net::IpAddress> fresh_of(Pool& pool, net::Family family) const;
  /// Free for the identity: nobody's, or its own and in no session that stays.
  [[nodiscard]] bool is_free_for(const Wanted& wanted, const net::IpAddress& address) const;
  void take(const Wanted& wanted, const net::IpAddress& address);
  void forget(const net::IpAddress& address);
  void leave(model::IkeSaId session, const net::IpAddress& address);
  void stands_no_more(model::IkeSaId session, const Entry& entry);
  /// Whose the lease is now.
  void give(Entry& entry, model::Identity identity);
  void note(const net::IpAddress& address) { changed_.insert(address); }

  std::vector<Pool> pools_;
  std::map<net::IpAddress, Lease> leases_;
  ChunkedSet<const Entry*, ByIdentity> by_identity_;
  ChunkedSet<Stands, BySession> by_session_;
  std::set<net::IpAddress> changed_;
  std::uint64_t last_order_ = 0;
};

}  // namespace culvert::control
