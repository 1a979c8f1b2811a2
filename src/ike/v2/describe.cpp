#include "ike/v2/describe.hpp"

#include <fmt/format.h>

#include "model/iana/key_exchange_method.hpp"

namespace culvert::ike::v2 {

std::string describe(const std::vector<model::Proposal>& proposals) {
  constexpr std::size_t kMost = 4;
  std::string text;
  for (std::size_t n = 0; n < proposals.size(); ++n) {
    if (n > 0) text += ", ";
    if (n == kMost) return text + "...";
    text += model::to_string(proposals[n]);
  }
  return text.empty() ? "nothing" : text;
}

std::string describe(model::NotifyType type) {
  if (model::is_known(model::kNotifyTypeNames, type)) return std::string(name_of(type));
  return fmt::format("notification {}", static_cast<unsigned>(type));
}

std::string describe(model::KeyExchangeMethod method) {
  if (model::is_known(model::kKeyExchangeMethodNames, method)) return std::string(name_of(method));
  return fmt::format("key exchange method {}", static_cast<unsigned>(method));
}

std::string describe(const model::TrafficSelectors& local, const model::TrafficSelectors& remote) {
  return fmt::format("{} === {}", model::to_string(local), model::to_string(remote));
}

std::string describe_refused(model::NotifyType error, const std::vector<model::Proposal>& proposals,
                             const std::string& asked) {
  if (error == model::NotifyType::ts_unacceptable) return asked;
  return fmt::format("{} for {}", describe(proposals), asked);
}

std::string describe(const net::PacketInfo& packet) {
  const auto side = [&](const net::IpAddress& address, std::uint16_t port) {
    model::TrafficSelector one{net::AddressRange::of(address), packet.protocol};
    if (packet.ports_visible) one.start_port = one.end_port = port;
    return one.to_string();
  };
  return fmt::format("{} -> {}", side(packet.source, packet.source_port),
                     side(packet.destination, packet.destination_port));
}

FailureKind failure_kind(model::NotifyType type) {
  switch (type) {
    case model::NotifyType::no_proposal_chosen:
    case model::NotifyType::invalid_ke_payload: return FailureKind::no_proposal_chosen;
    case model::NotifyType::authentication_failed: return FailureKind::authentication_failed;
    case model::NotifyType::ts_unacceptable:
    case model::NotifyType::single_pair_required: return FailureKind::traffic_selectors;
    case model::NotifyType::invalid_syntax:
    case model::NotifyType::unsupported_critical_payload:
    case model::NotifyType::invalid_major_version: return FailureKind::protocol_error;
    default: return FailureKind::peer_refused;
  }
}

}  // namespace culvert::ike::v2
