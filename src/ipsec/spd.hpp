// Spd: the ordered Security Policy Database of RFC 4301 4.4.1, and the selector test shared with the SAD.
//
// The list is what RFC 4301 says: ordered, the first rule that matches decides. Looking it up rule by rule would cost
// in proportion to its length, so a PolicyTable has a Classifier for each direction and family beside it, which answers
// what the list would. (RFC 4301 4.4.1 asks for decorrelation only where entries are cached: a decorrelated list of
// rules that overlap much grows without bound, the classifier does not. ipsec/decorrelation.hpp has it for who wants
// to see it.)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ipsec/classifier.hpp"
#include "ipsec/data_plane.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// True when a packet from a `source` selector to a `destination` selector is what the two lists describe: one of each,
/// and both for the packet's protocol.
[[nodiscard]] bool selectors_match(const model::TrafficSelectors& source, const model::TrafficSelectors& destination,
                                   const net::PacketInfo& packet);

/// The selectors of a new SA.
struct SaSelectors {
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  friend auto operator<=>(const SaSelectors&, const SaSelectors&) = default;
};

/// RFC 4301 4.4.1.2: what a new SA for `packet`, which goes out and matches the rule, shall carry: the rule's
/// selectors, with the packet's own values where `populate` says so. Nothing when the packet lacks such a value (a
/// later fragment has no ports): then it has to be discarded.
[[nodiscard]] std::optional<SaSelectors> selectors_for(const Policy& policy, const net::PacketInfo& packet);

/// A list of rules made ready for lookups. Never changes; costs tens of milliseconds to make for 100,000 rules, so make
/// it on a thread that has the time.
class PolicyTable {
 public:
  explicit PolicyTable(std::vector<Policy> policies);
  PolicyTable(const PolicyTable&) = delete;
  PolicyTable& operator=(const PolicyTable&) = delete;

  static constexpr std::uint32_t kNone = Classifier<std::uint32_t>::kNone;
  /// The place in `policies` of the first rule for a packet that leaves the protected side (SPD-S and SPD-O), or kNone.
  [[nodiscard]] std::uint32_t find_outbound(const net::PacketInfo& packet) const { return find(outbound_, packet); }
  /// Likewise for a packet that comes in unprotected (SPD-S and SPD-I): from a rule's `remote` to its `local`. Where it
  /// says protect, the packet had to come by an SA, and is to be discarded (RFC 4301 5.2).
  [[nodiscard]] std::uint32_t find_inbound(const net::PacketInfo& packet) const { return find(inbound_, packet); }
  /// Asks for the memory where find_outbound begins.
  void prefetch_outbound(const net::PacketInfo& packet) const {
    packet.family == net::Family::v4 ? outbound_.v4.prefetch(packet) : outbound_.v6.prefetch(packet);
  }
  /// What the packet path needs of the rule at this place; so that it need not go to the rule itself.
  struct Verdict {
    model::ConnectionId connection;
    PolicyAction action = PolicyAction::discard;
    bool populates = false;
  };
  [[nodiscard]] const Verdict& verdict(std::uint32_t place) const { return verdicts_[place]; }
  [[nodiscard]] const std::vector<Policy>& policies() const { return policies_; }
  using Shape = ClassifierShape;
  [[nodiscard]] Shape outbound_shape(net::Family family) const {
    return family == net::Family::v4 ? outbound_.v4.shape() : outbound_.v6.shape();
  }
  /// True when later fragments do not show all that some rule asks for, and so need looking after.
  [[nodiscard]] bool later_fragments_hide() const { return later_fragments_hide_; }
  /// Octets of all classifiers together.
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Direction final : Confirm {
    bool confirm(std::uint32_t order, const net::PacketInfo& packet) const override;

    const PolicyTable* table = nullptr;
    bool inbound = false;
    Classifier<std::uint32_t> v4;
    Classifier<Uint128> v6;
  };
  void build(Direction& direction);
  [[nodiscard]] static std::uint32_t find(const Direction& direction, const net::PacketInfo& packet) {
    return packet.family == net::Family::v4 ? direction.v4.find(packet, direction)
                                            : direction.v6.find(packet, direction);
  }

  std::vector<Policy> policies_;
  std::vector<Verdict> verdicts_;
  Direction outbound_;
  Direction inbound_;
  bool later_fragments_hide_ = false;
};

/// The whole list is replaced at once. No match means discard (RFC 4301 5.1, 5.2).
class Spd {
 public:
  void replace(std::vector<Policy> policies) { table_ = std::make_shared<PolicyTable>(std::move(policies)); }
  void replace(std::shared_ptr<const PolicyTable> table) { table_ = std::move(table); }

  /// The rule for a packet that leaves the protected side, or null. The pointer holds until `replace`.
  [[nodiscard]] const Policy* find_outbound(const net::PacketInfo& packet) const {
    return at(table_->find_outbound(packet));
  }
  /// The rule for a packet that came in unprotected, or null; see PolicyTable::find_inbound.
  [[nodiscard]] const Policy* find_inbound(const net::PacketInfo& packet) const {
    return at(table_->find_inbound(packet));
  }
  [[nodiscard]] const PolicyTable& table() const { return *table_; }
  [[nodiscard]] const std::vector<Policy>& policies() const { return table_->policies(); }

 private:
  [[nodiscard]] const Policy* at(std::uint32_t place) const {
    return place == PolicyTable::kNone ? nullptr : &table_->policies()[place];
  }
  std::shared_ptr<const PolicyTable> table_ = std::make_shared<PolicyTable>(std::vector<Policy>{});
};

}  // namespace culvert::ipsec
