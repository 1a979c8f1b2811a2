// SaProfile: what very many SAs have in common, and so share. SaShared: all that the SAs of one engine share.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "crypto/packet_cipher.hpp"
#include "ipsec/cipher_pool.hpp"
#include "ipsec/suite_support.hpp"
#include "ipsec/use_meter.hpp"
#include "model/packet_treatment.hpp"

namespace culvert::ipsec {

struct SaProfile {
  crypto::PacketSuite suite;
  UseBounds bounds;
  model::PacketTreatment treatment;
  /// Which one it is of those that its table keeps; 0: of none, or they are too many.
  std::uint16_t number = 0;

  [[nodiscard]] auto content() const { return std::tie(suite, bounds, treatment); }
  friend auto operator<=>(const SaProfile& a, const SaProfile& b) { return a.content() <=> b.content(); }
  friend bool operator==(const SaProfile& a, const SaProfile& b) { return a.content() == b.content(); }
};

/// Keeps each profile once, for as long as somebody has it.
class ProfileTable {
 public:
  /// So many of them have a number.
  static constexpr std::uint16_t kMostNumbers = 16383;

  /// The table must outlive what it gives out.
  [[nodiscard]] std::shared_ptr<const SaProfile> share(const SaProfile& profile);
  [[nodiscard]] std::size_t size() const { return profiles_.size(); }

 private:
  using Profiles = std::map<SaProfile, std::weak_ptr<const SaProfile>>;
  [[nodiscard]] std::uint16_t take_number();
  void forget(Profiles::iterator entry);

  Profiles profiles_;
  std::uint16_t numbers_ = 0;          // given out so far
  std::vector<std::uint16_t> vacant_;  // and given back
};

/// Outlives the SAs.
struct SaShared {
  SaShared(crypto::Backend backend, std::size_t expanded_keys)
      : suites(backend), ciphers(expanded_keys, CipherPool::maker_of(backend)) {}
  /// With ciphers from elsewhere, for tests.
  explicit SaShared(CipherPool::Maker maker, std::size_t expanded_keys)
      : suites(crypto::Backend::automatic), ciphers(expanded_keys, std::move(maker)) {}

  SuiteSupport suites;
  ProfileTable profiles;
  CipherPool ciphers;
};

}  // namespace culvert::ipsec
