#include "datapath/placement.hpp"

#include "io/steering.hpp"

namespace culvert::datapath {

Result<Placement::Place, ipsec::DataPlaneError> Placement::place(const model::ChildSaParams& params) {
  if (workers_ == 1) return Place{};
  const auto home = homes_.find(params.connection);
  const auto slot = slots_.find(layout_.slot_of(params.spi_inbound));
  const bool at_home = !params.resource;
  std::uint32_t worker = 0;
  if (!at_home) {
    worker = *params.resource % workers_;
  } else if (home != homes_.end()) {
    worker = home->second.where.worker;
  } else if (slot != slots_.end()) {
    worker = slot->second.worker;
  } else {
    worker = io::share_of(params.path.remote.address, workers_);
  }
  if (slot != slots_.end() && slot->second.worker != worker) return err(ipsec::DataPlaneError::no_free_spi);
  pairs_[params.spi_inbound] = {params.id, params.connection, worker, at_home};
  workers_of_children_[params.id] = worker;
  ++slots_.try_emplace(layout_.slot_of(params.spi_inbound), Slot{worker, 0}).first->second.pairs;
  if (!at_home) return Place{worker, false};
  Home& at = homes_[params.connection];
  const ipsec::SaHome now{worker, params.per_resource};
  const bool changed = at.pairs++ == 0 || at.where != now;
  at.where = now;
  return Place{worker, changed};
}

std::optional<std::uint32_t> Placement::worker_of(model::ChildSaId child) const {
  if (workers_ == 1) return 0;
  const auto found = workers_of_children_.find(child);
  return found == workers_of_children_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<model::ConnectionId> Placement::gone(model::Spi spi) {
  const auto pair = pairs_.find(spi);
  if (pair == pairs_.end()) return std::nullopt;
  const Pair was = pair->second;
  pairs_.erase(pair);
  workers_of_children_.erase(was.child);
  if (const auto slot = slots_.find(layout_.slot_of(spi)); --slot->second.pairs == 0) slots_.erase(slot);
  if (!was.at_home) return std::nullopt;
  const auto home = homes_.find(was.connection);
  if (--home->second.pairs != 0) return std::nullopt;
  homes_.erase(home);
  return was.connection;
}

std::optional<ipsec::SaHome> Placement::home_of(model::ConnectionId connection) const {
  const auto found = homes_.find(connection);
  return found == homes_.end() ? std::nullopt : std::optional(found->second.where);
}

}  // namespace culvert::datapath
