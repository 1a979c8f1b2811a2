// SaProfile: what very many SAs have in common, and so share. SaShared: all that the SAs of one engine share.
#pragma once

#include <compare>
#include <map>
#include <memory>

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
  friend auto operator<=>(const SaProfile&, const SaProfile&) = default;
};

/// Keeps each profile once, for as long as somebody has it.
class ProfileTable {
 public:
  /// The table must outlive what it gives out.
  [[nodiscard]] std::shared_ptr<const SaProfile> share(const SaProfile& profile);
  [[nodiscard]] std::size_t size() const { return profiles_.size(); }

 private:
  std::map<SaProfile, std::weak_ptr<const SaProfile>> profiles_;
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
