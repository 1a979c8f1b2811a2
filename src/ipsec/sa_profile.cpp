#include "ipsec/sa_profile.hpp"

namespace culvert::ipsec {

std::shared_ptr<const SaProfile> ProfileTable::share(const SaProfile& profile) {
  const auto entry = profiles_.try_emplace(profile).first;
  if (auto known = entry->second.lock()) return known;
  // The last one who has it takes it out of the table.
  std::shared_ptr<const SaProfile> shared(&entry->first, [this, entry](const SaProfile*) { profiles_.erase(entry); });
  entry->second = shared;
  return shared;
}

}  // namespace culvert::ipsec
