#include "daemon/cipher_choice.hpp"

#include <algorithm>
#include <optional>

#include "model/proposal.hpp"

namespace culvert::daemon {
namespace {

void add(std::vector<crypto::PacketSuite>& suites, const std::optional<crypto::PacketSuite>& suite) {
  if (suite && std::ranges::find(suites, *suite) == suites.end()) suites.push_back(*suite);
}

void add_all(std::vector<crypto::PacketSuite>& suites, const model::Proposal& proposal) {
  std::vector<model::IntegrityId> integrities;
  for (const model::Transform& transform : proposal.transforms) {
    if (transform.type == model::TransformType::integrity)
      integrities.push_back(static_cast<model::IntegrityId>(transform.id));
  }
  if (integrities.empty()) integrities.push_back(model::IntegrityId::none);
  for (const model::Transform& transform : proposal.transforms) {
    if (transform.type != model::TransformType::encryption) continue;
    for (const model::IntegrityId integrity : integrities)
      add(suites, model::packet_suite(static_cast<model::EncryptionId>(transform.id), transform.key_bits, integrity));
  }
}

}  // namespace

std::vector<crypto::PacketSuite> packet_suites(const config::Config& config) {
  std::vector<crypto::PacketSuite> suites;
  for (const config::TunnelConfig& tunnel : config.tunnels) {
    for (const model::Proposal& proposal : tunnel.connection.esp_proposals) add_all(suites, proposal);
  }
  for (const config::ManualConfig& manual : config.manual)
    add(suites, model::packet_suite(manual.sa.protocol, manual.sa.suite));
  return suites;
}

}  // namespace culvert::daemon
