#include "ike/v2/ike_sa.hpp"

#include <algorithm>

#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/parallel.hpp"
#include "ike/v2/resumption.hpp"

namespace culvert::ike::v2 {

IkeSa::IkeSa() = default;
IkeSa::~IkeSa() = default;

std::optional<Activity> IkeSa::activity() const {
  if (!exchange || exchange->not_begun()) return std::nullopt;
  return exchange->activity();
}

std::optional<Activity> IkeSa::intent() const {
  if (!exchange) return std::nullopt;
  return exchange->activity();
}

InitiatorExchange* IkeSa::exchange_about(model::ChildSaId child) const {
  for (InitiatorExchange* one : exchanges()) {
    if (one->child() == child) return one;
  }
  return nullptr;
}

std::vector<InitiatorExchange*> IkeSa::exchanges() const {
  std::vector<InitiatorExchange*> all;
  if (exchange) all.push_back(exchange.get());
  for (const auto& one : beside) all.push_back(one.get());
  return all;
}

ChildSa* IkeSa::find_child(model::ChildSaId child) {
  const auto found = children.find(child);
  return found == children.end() ? nullptr : &found->second;
}

ChildSa* IkeSa::find_child_by_peer_spi(model::Spi spi) {
  for (auto& [child_id, child] : children) {
    if (child.spi_outbound == spi) return &child;
  }
  return nullptr;
}

bool IkeSa::has_task(std::size_t variant_index) const {
  return std::ranges::any_of(tasks, [&](const QueuedTask& queued) { return queued.task.index() == variant_index; });
}

std::string named_peer(const IkeSa& sa) {
  const model::Identity named = peer_identity(sa);
  return named.data.empty() && named.type != model::IdentificationType::null ? std::string() : named.to_string();
}

model::Identity peer_identity(const IkeSa& sa) {
  using enum model::IdentificationType;
  const std::string& user = sa.admission.eap_identity();
  if (user.empty()) return sa.remote_id;
  model::Identity name = model::Identity::parse(user);
  const bool plain =
      (name.type == fqdn || name.type == rfc822_addr) && equal(name.data, as_bytes(user)) && name.comparable() == name;
  return plain ? name : model::Identity{key_id, to_bytes(as_bytes(user))};
}

}  // namespace culvert::ike::v2
