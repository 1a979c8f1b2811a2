#include "ipsec/suite_support.hpp"

#include <algorithm>

namespace culvert::ipsec {

const std::string* SuiteSupport::library(const crypto::PacketSuite& suite) {
  auto known = std::ranges::find(known_, suite, [](const auto& entry) { return entry.first; });
  if (known == known_.end()) {
    const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
    const auto cipher =
        crypto::make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key), backend_);
    known = known_.insert(known_.end(), {suite, {}});
    if (cipher) known->second = (*cipher)->backend();
  }
  return known->second ? &*known->second : nullptr;
}

}  // namespace culvert::ipsec
