// IkeSaTable: all IKE SAs of the endpoint, found by id, by the SPI we chose, by the IKE_SA_INIT request that began
// them, by connection or by the peer's address, whatever their number; and the queue of their timers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

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
  void index_spi(const IkeSa& sa);
  /// For an IKE SA that the peer may have before us: to messages for it nobody may say that there is none.
  [[nodiscard]] PromisedSpi promise(model::IkeSpi local) { return {promised_, local}; }
  [[nodiscard]] bool knows_spi(model::IkeSpi local) const {
    return by_spi_.contains(local) || promised_.contains(local);
  }
  /// Remembers which request the half-open IKE SA answered (RFC 7296 2.1), by `init_digest`.
  void index_init(const IkeSa& sa);

  [[nodiscard]] IkeSa* find(model::IkeSaId id);
  [[nodiscard]] IkeSa* find_by_spi(model::IkeSpi local);
  [[nodiscard]] IkeSa* find_by_init(const InitDigest& digest);
  [[nodiscard]] IkeSa* find_by_child(model::ChildSaId child);
  void index_child(model::ChildSaId child, model::IkeSaId id) { by_child_.insert_or_assign(child, id); }
  void forget_child(model::ChildSaId child) { by_child_.erase(child); }

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
  [[nodiscard]] std::optional<model::IkeSaId> due(Instant now) const;

  /// Drops one whose phase is `gone`.
  void erase(model::IkeSaId id);

 private:
  /// Any eight octets of a digest are a hash.
  struct DigestHash {
    std::size_t operator()(const InitDigest& digest) const;
  };
  using Ids =
      std::set<model::IkeSaId>;  // one tunnel may have all the peers: coming and going must not cost their number
  [[nodiscard]] std::vector<IkeSa*> living(const Ids& ids);
  void forget_connection(const IkeSa& sa);
  void forget_peer(const IkeSa& sa);
  void note_identity(IkeSa& sa, bool present);

  std::unordered_map<model::IkeSaId, std::unique_ptr<IkeSa>> sas_;
  std::unordered_map<model::IkeSpi, model::IkeSaId> by_spi_;
  std::unordered_set<model::IkeSpi> promised_;
  std::unordered_map<InitDigest, model::IkeSaId, DigestHash> by_init_;
  std::unordered_map<model::ChildSaId, model::IkeSaId> by_child_;
  // As they were noted last.
  std::unordered_map<model::ConnectionId, Ids> by_connection_;
  std::unordered_map<model::ConnectionId, Ids> by_guest_;
  std::map<net::IpAddress, Ids> by_peer_;
  std::map<std::pair<model::ConnectionId, model::Identity>, Ids> by_identity_;
  HalfOpenCounts half_open_;
  std::set<std::pair<Instant, model::IkeSaId>> timers_;
};

}  // namespace culvert::ike::v2
