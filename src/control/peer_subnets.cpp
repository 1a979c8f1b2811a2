#include "control/peer_subnets.hpp"

namespace culvert::control {
namespace {

/// As long as `remote` is, or the longest list of a CFG_REPLY; neither is without bound.
constexpr std::size_t kMostSelectors = 256;

}  // namespace

model::TrafficSelectors only_peer_subnets(const model::TrafficSelectors& remote, const model::Configuration& given) {
  model::TrafficSelectors named;
  for (const net::Prefix& subnet : given.subnets) named.push_back(model::TrafficSelector::of(subnet));
  const model::TrafficSelectors within = model::narrow(named, remote, kMostSelectors);
  if (within.empty()) return remote;
  const auto add = [&named](const net::IpAddress& server) {
    named.push_back(model::TrafficSelector::of(net::AddressRange::of(server)));
  };
  for (const net::IpAddress& server : given.dns_servers) add(server);
  for (const model::EncryptedDns& resolver : given.encrypted_dns) {
    for (const net::IpAddress& server : resolver.addresses) add(server);
  }
  return model::narrow(named, remote, kMostSelectors);
}

}  // namespace culvert::control
