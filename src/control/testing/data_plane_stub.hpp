// DataPlaneStub: a data plane that takes everything and carries nothing, for tests to record what matters to them.
// Header only; never part of the product.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipsec/data_plane.hpp"

namespace culvert::control::testing {

class DataPlaneStub : public ipsec::DataPlane {
 public:
  Result<model::Spi, ipsec::DataPlaneError> allocate_spi(std::optional<std::uint32_t> /*resource*/) override {
    return model::Spi(1000);
  }
  Result<void, ipsec::DataPlaneError> reserve_spi(model::Spi) override { return {}; }
  void release_spi(model::Spi) override {}
  Result<void, ipsec::DataPlaneError> install(model::ChildSaParams) override { return {}; }
  void use_outbound(model::ChildSaId) override {}
  void remove(model::ChildSaId, Duration) override {}
  void update_path(model::ChildSaId, const net::Path&, model::Encapsulation) override {}
  void grant_sequence(model::ChildSaId, std::uint64_t) override {}
  void skip_sequence(model::ChildSaId, std::uint64_t) override {}
  void set_policies(std::vector<ipsec::Policy> wanted) override { policies = std::move(wanted); }
  std::optional<ipsec::SaCounters> counters(model::ChildSaId) const override { return ipsec::SaCounters{}; }
  std::vector<std::pair<std::string, std::uint64_t>> drop_counters() const override { return {}; }
  std::optional<ipsec::DataPlaneEvent> poll_event() override {
    if (events.empty()) return std::nullopt;
    auto event = events.front();
    events.erase(events.begin());
    return event;
  }

  std::vector<ipsec::Policy> policies;
  std::vector<ipsec::DataPlaneEvent> events;
};

}  // namespace culvert::control::testing
