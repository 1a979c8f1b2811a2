// IkeSaTable: all IKE SAs of the endpoint, found by id, by the SPI we chose, by the IKE_SA_INIT request that began
// them, by connection or by the peer's address, whatever their number; and the queue of their timers.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/chunked_set.hpp"
#include "base/flat_table.hpp"
#include "ike/v2/half_open.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// An SPI of ours that a peer was told of and that no IKE SA has yet; it is taken as long as this lives.
class PromisedSpi {
 public:
  PromisedSpi() = default;
  PromisedSpi(std::unordered_set<model::IkeSpi>& all, model::IkeSpi spi) : all_(&all), spi_(spi) { all.insert(spi); }
  PromisedSpi(PromisedSpi&& other) noexcept : all_(std::exchange(other.all_, nullptr)), spi_(other.spi_) {}
  PromisedSpi& operator=(PromisedSpi&& other) noexcept {
    std::swap(all_, other.all_);
    std::swap(spi_, other.spi_);
    return *this;
  }
  ~PromisedSpi() {
    if (all_ != nullptr) all_->erase(spi_);
  }

 private:
  std::unordered_set<model::IkeSpi>* all_ = nullptr;
  model::IkeSpi spi_;
};

class IkeSaTable {
 public:
  /// A new IKE SA in its initial state; the reference is good until it is swept.
  IkeSa& add(model::IkeSaId id);
  /// Makes it reachable by the SPI that we chose for it; call after role and SPI are set.
  void index_spi(IkeSa& sa);
  /// For an IKE SA that the peer may have before us: to messages for it nobody may say that there is none.
  [[nodiscard]] PromisedSpi promise(model::IkeSpi local) { return {promised_, local}; }
  [[nodiscard]] bool knows_spi(model::IkeSpi local) const {
    return by_spi_.find(local.value()) != nullptr || promised_.contains(local);
  }
  /// Remembers which request the half-open IKE SA answered (RFC 7296 2.1), by `init_digest`.
  void index_init(IkeSa& sa);

  [[nodiscard]] IkeSa* find(model::IkeSaId id);
  [[nodiscard]] IkeSa* find_by_spi(model::IkeSpi local);
  [[nodiscard]] IkeSa* find_by_init(const InitDigest& digest);
  [[nodiscard]] IkeSa* find_by_child(model::ChildSaId child);
  void index_child(model::ChildSaId child, model::IkeSaId id) { put(by_child_, child.value(), find(id)); }
  void forget_child(model::ChildSaId child);

  /// In order of their ids, which is the order of their making.
  [[nodiscard]] std::vector<IkeSa*> all();
  [[nodiscard]] std::vector<IkeSa*> of_connection(model::ConnectionId connection);
  /// In which it has Child SAs beside those of another connection, or had.
  [[nodiscard]] std::vector<IkeSa*> of_guest(model::ConnectionId connection);
  void index_guest(model::ConnectionId connection, model::IkeSaId id) { by_guest_[connection].insert(id); }
  void forget_guest(model::ConnectionId connection, model::IkeSaId id);
  /// How many of it there are, without half-open ones.
  [[nodiscard]] std::size_t established_of(model::ConnectionId connection) const;
  [[nodiscard]] std::vector<IkeSa*> of_peer(const net::IpAddress& address);
  /// Of a connection that serves many peers, those of one identity that are established.
  [[nodiscard]] std::vector<IkeSa*> of_peer(model::ConnectionId connection, const model::Identity& identity);
  /// IKE SAs as responder whose peer has proved nothing yet.
  [[nodiscard]] const HalfOpenCounts& half_open() const { return half_open_; }
  /// Its phase, connection and peer's address: to be told at the end of each turn in which the IKE SA took part.
  void note(IkeSa& sa);

  /// Puts the IKE SA in the timer queue, or takes it out.
  void schedule(IkeSa& sa, std::optional<Instant> at);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  /// The first whose instant is `now` or before; it stays in the queue.
  [[nodiscard]] std::optional<model::IkeSaId> due(Instant now) const;

  /// Drops one whose phase is `gone`.
  void erase(model::IkeSaId id);

 private:
  /// A number under which an IKE SA is found.
  struct Place {
    std::uint64_t key = 0;
    IkeSa* sa = nullptr;
    explicit operator bool() const { return sa != nullptr; }
  };
  struct KeyOf {
    std::uint64_t operator()(const Place& place) const { return place.key; }
  };
  struct IdOf {
    std::uint64_t operator()(const std::unique_ptr<IkeSa>& sa) const { return sa->id.value(); }
  };
  /// Any eight octets of a digest are a key.
  struct InitOf {
    std::uint64_t operator()(const IkeSa* sa) const { return key_of(sa->init_digest); }
  };
  [[nodiscard]] static std::uint64_t key_of(const InitDigest& digest);
  static void put(FlatTable<Place, KeyOf>& table, std::uint64_t key, IkeSa* sa);

  // What several IKE SAs have in common finds the first of them; the others are linked to it. One tunnel may have all
  // the peers: coming and going must not cost their number.
  struct Chain {
    IkeSa* first = nullptr;
    std::size_t count = 0;
  };
  struct ByPeer {
    static const net::IpAddress& of(const IkeSa* sa) {
      CHECK(sa->noted_peer);
      return *sa->noted_peer;
    }
    // NOLINTNEXTLINE(bugprone-return-const-ref-from-parameter): for the length of a comparison
    static const net::IpAddress& of(const net::IpAddress& address) { return address; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return of(a) < of(b);
    }
  };
  using WhoOfWhat = std::pair<model::ConnectionId, model::Identity>;
  struct ByIdentity {
    bool operator()(const IkeSa* a, const IkeSa* b) const { return order(*a, of(*b)) < 0; }
    bool operator()(const IkeSa* a, const WhoOfWhat& b) const { return order(*a, b) < 0; }
    bool operator()(const WhoOfWhat& a, const IkeSa* b) const { return order(*b, a) > 0; }
    [[nodiscard]] static WhoOfWhat of(const IkeSa& sa);
    [[nodiscard]] static std::strong_ordering order(const IkeSa& a, const WhoOfWhat& b);
  };
  template <Links IkeSa::* kLinks>
  static void push(IkeSa*& first, IkeSa& sa);
  template <Links IkeSa::* kLinks>
  static void take_out(IkeSa*& first, IkeSa& sa);
  template <Links IkeSa::* kLinks, typename Heads>
  static void push(Heads& heads, IkeSa& sa);
  template <Links IkeSa::* kLinks, typename Heads>
  static void take_out(Heads& heads, IkeSa& sa);
  template <Links IkeSa::* kLinks>
  [[nodiscard]] static std::vector<IkeSa*> living(IkeSa* first);

  void forget_connection(IkeSa& sa);
  void forget_peer(IkeSa& sa);
  void note_identity(IkeSa& sa, bool present);

  FlatTable<std::unique_ptr<IkeSa>, IdOf> sas_;
  FlatTable<Place, KeyOf> by_spi_;
  std::unordered_set<model::IkeSpi> promised_;
  FlatTable<IkeSa*, InitOf> by_init_;
  FlatTable<Place, KeyOf> by_child_;
  // As they were noted last.
  std::unordered_map<model::ConnectionId, Chain> by_connection_;
  std::unordered_map<model::ConnectionId, std::set<model::IkeSaId>> by_guest_;
  ChunkedSet<IkeSa*, ByPeer> by_peer_;
  ChunkedSet<IkeSa*, ByIdentity> by_identity_;
  HalfOpenCounts half_open_;

  // A heap, the earliest first. An IKE SA whose instant moves away keeps its entry, which is put right when it has come
  // to the front: of the answer that comes in time nobody sees the retransmission that was planned.
  struct Timer {
    Instant at;
    model::IkeSaId id;
    friend auto operator<=>(const Timer&, const Timer&) = default;
  };
  void enqueue(IkeSa& sa, Instant at);
  void rebuild_timers();
  /// Until the first entry is one that holds, or there is none.
  void settle_timers();
  std::vector<Timer> timers_;
};

}  // namespace culvert::ike::v2
