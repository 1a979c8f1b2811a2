// Placement: which worker has which SA pair. The control thread's.
//
// All pairs of a connection have one home, so that its packets have one place to go; pairs for one worker's packets
// only (RFC 9611) are that worker's. The home of a new connection is the worker that receives what its peer sends.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/result.hpp"
#include "ipsec/data_plane.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/spi_allocator.hpp"
#include "model/child_sa.hpp"

namespace culvert::datapath {

class Placement {
 public:
  Placement(std::uint32_t workers, const ipsec::SpiLayout& layout) : workers_(workers), layout_(layout) {}

  struct Place {
    std::uint32_t worker = 0;
    bool home_changed = false;  // what `home_of` the connection says
  };
  /// For a pair that is about to be installed. `no_free_spi` when its SPI, chosen by someone else, shares a slot with
  /// another worker's.
  [[nodiscard]] Result<Place, ipsec::DataPlaneError> place(const model::ChildSaParams& params);
  /// The worker that has the pair; nothing when there is none.
  [[nodiscard]] std::optional<std::uint32_t> worker_of(model::ChildSaId child) const;
  /// The pair with this inbound SPI is gone for good. Answers its connection if it has no home any more.
  [[nodiscard]] std::optional<model::ConnectionId> gone(model::Spi spi);
  [[nodiscard]] std::optional<ipsec::SaHome> home_of(model::ConnectionId connection) const;

 private:
  struct Pair {
    model::ChildSaId child;
    model::ConnectionId connection;
    std::uint32_t worker = 0;
    bool at_home = true;
  };
  struct Home {
    ipsec::SaHome where;
    std::uint32_t pairs = 0;
  };
  struct Slot {
    std::uint32_t worker = 0;
    std::uint32_t pairs = 0;
  };
  std::uint32_t workers_;
  ipsec::SpiLayout layout_;
  std::unordered_map<model::Spi, Pair> pairs_;
  std::unordered_map<model::ChildSaId, std::uint32_t> workers_of_children_;
  std::unordered_map<model::ConnectionId, Home> homes_;
  std::unordered_map<std::uint32_t, Slot> slots_;
};

}  // namespace culvert::datapath
