// Ledger: every inner packet of a run, from its making to its end, and the account of who lost it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "net/address.hpp"
#include "tests/sim/packet.hpp"
#include "tests/sim/run_log.hpp"
#include "tests/sim/sim_network.hpp"

namespace culvert::sim {

/// Begins the payload of every inner packet; what of it is seen on the wire was not encrypted.
inline constexpr std::array<std::uint8_t, 8> kInnerMagic{0xc7, 0x1e, 0x42, 0x9a, 0x5d, 0x0b, 0xf3, 0x68};

/// The UDP packet of an id: its payload, and so the whole packet, follows from id, addresses and size.
[[nodiscard]] Bytes make_inner(InnerId id, const net::IpAddress& source, const net::IpAddress& destination,
                               std::size_t payload);
/// The id of a packet made by make_inner, whole and unchanged; nothing for any other bytes.
[[nodiscard]] std::optional<InnerId> read_inner(ByteView packet);

class Ledger {
 public:
  struct Totals {
    std::uint64_t made = 0;
    std::uint64_t delivered = 0;
    std::uint64_t lost_by_network = 0;  // every ESP packet that carried it was dropped on the way
    std::uint64_t lost_by_us = 0;       // a copy arrived, but nothing came out
    std::uint64_t never_sent = 0;       // no ESP packet was made for it
  };

  explicit Ledger(RunLog& log) : log_(log) {}

  [[nodiscard]] InnerId next(Side from);
  [[nodiscard]] static Side side_of(InnerId id) { return static_cast<Side>(id >> 63); }
  void sent_as_esp(InnerId id) { ++entry(id).copies; }
  void duplicated(InnerId id) { ++entry(id).copies; }
  void dropped(InnerId id) { ++entry(id).drops; }
  /// What came out of a host's tunnel: fails the run for a packet that was never sent, that is not for this side, or
  /// that came before.
  void delivered(Side at, ByteView packet);
  [[nodiscard]] bool was_delivered(InnerId id) const { return entry(id).delivered; }

  [[nodiscard]] Totals totals(Side from) const { return totals(from, 0); }
  /// Of the packets from the one with this number on.
  [[nodiscard]] Totals totals(Side from, std::size_t first) const;
  [[nodiscard]] std::size_t count(Side from) const {
    return forgotten_[index_of(from)] + entries_[index_of(from)].size();
  }
  /// Ids of packets that a host lost, or never sent.
  [[nodiscard]] std::vector<InnerId> lost_by_us(Side from, std::size_t first) const;
  /// For runs of days: drops all entries and their memory. Nothing may be under way; from here on the accounts begin
  /// with the next packet.
  void forget();

 private:
  struct Entry {
    std::uint8_t copies = 0;
    std::uint8_t drops = 0;
    bool delivered = false;
  };
  [[nodiscard]] static std::size_t number(InnerId id) { return id & ~(InnerId{1} << 63); }
  [[nodiscard]] Entry& entry(InnerId id) { return entries_[id >> 63][number(id) - forgotten_[id >> 63]]; }
  [[nodiscard]] const Entry& entry(InnerId id) const { return entries_[id >> 63][number(id) - forgotten_[id >> 63]]; }
  [[nodiscard]] bool known(InnerId id) const {
    return number(id) >= forgotten_[id >> 63] && number(id) - forgotten_[id >> 63] < entries_[id >> 63].size();
  }

  RunLog& log_;
  std::array<std::vector<Entry>, 2> entries_;  // from the number that `forgotten_` says on
  std::array<std::size_t, 2> forgotten_{};
};

}  // namespace culvert::sim
