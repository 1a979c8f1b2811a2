#include "config/manual_keys.hpp"

#include "base/secret.hpp"
#include "model/proposal.hpp"

namespace culvert::config {
namespace {

bool is_gmac(model::IntegrityId integrity) {
  return integrity == model::IntegrityId::aes_128_gmac || integrity == model::IntegrityId::aes_192_gmac ||
         integrity == model::IntegrityId::aes_256_gmac;
}

}  // namespace

std::optional<crypto::SuiteSizes> key_sizes(const model::EspSuite& suite) {
  const auto packet = model::packet_suite(suite.encryption, suite.key_bits, suite.integrity);
  if (!packet) return std::nullopt;
  return crypto::sizes_of(*packet);
}

bool counts_nonces(const model::EspSuite& suite) {
  const auto packet = model::packet_suite(suite.encryption, suite.key_bits, suite.integrity);
  return (packet && packet->counter_iv()) || is_gmac(suite.integrity);
}

LedgerKey ledger_key(const model::EspSuite& suite, const model::SaKeys& keys) {
  if (is_gmac(suite.integrity)) return {keys.integrity.view(), {}};
  if (counts_nonces(suite)) return {keys.encryption.view(), {}};
  return {keys.encryption.view(), keys.integrity.view()};
}

bool same_ledger_key(const LedgerKey& a, const LedgerKey& b) {
  return constant_time_equal(a.first, b.first) && constant_time_equal(a.second, b.second);
}

}  // namespace culvert::config
