#include "ipsec/sa_profile.hpp"

namespace culvert::ipsec {

std::shared_ptr<const SaProfile> ProfileTable::share(const SaProfile& profile) {
  auto entry = profiles_.find(profile);
  if (entry == profiles_.end()) {
    SaProfile numbered = profile;
    numbered.number = take_number();
    entry = profiles_.try_emplace(numbered).first;
  }
  if (auto known = entry->second.lock()) return known;
  // The last one who has it takes it out of the table.
  std::shared_ptr<const SaProfile> shared(&entry->first, [this, entry](const SaProfile*) { forget(entry); });
  entry->second = shared;
  return shared;
}

std::uint16_t ProfileTable::take_number() {
  if (vacant_.empty()) return numbers_ == kMostNumbers ? 0 : ++numbers_;
  const std::uint16_t number = vacant_.back();
  vacant_.pop_back();
  return number;
}

void ProfileTable::forget(Profiles::iterator entry) {
  if (entry->first.number != 0) vacant_.push_back(entry->first.number);
  profiles_.erase(entry);
}

}  // namespace culvert::ipsec
