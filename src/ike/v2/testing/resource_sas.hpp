// Several Child SAs with the same selectors between two endpoints (RFC 9611): what their tests have in common. Header
// only; never part of the product.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "ike/codec/seal.hpp"
#include "ike/v2/resource_sas.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

inline constexpr std::uint32_t kResources = 4;

inline EndpointSettings with_resources() {
  EndpointSettings settings;
  settings.resources = kResources;
  settings.export_keys = true;
  return settings;
}

inline model::ConnectionConfig limited(bool first, std::uint32_t limit) {
  model::ConnectionConfig config = config_of(first);
  config.resource_sas = limit;
  // No more in number than in the IKE SA's first pair, so that rekeys by time do not come in between.
  config.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes256gcm16-esn")};
  return config;
}

/// What a worker of the host wishes whose packet goes over the fallback.
inline ChildWish for_resource(Host& host, bool first, std::uint32_t resource) {
  net::PacketInfo packet;
  packet.source = *net::IpAddress::parse(first ? "10.1.0.9" : "10.2.0.9");
  packet.destination = *net::IpAddress::parse(first ? "10.2.0.9" : "10.1.0.9");
  packet.protocol = 6;
  packet.ports_visible = true;
  packet.source_port = static_cast<std::uint16_t>(40000 + resource);
  packet.destination_port = 80;
  for (const auto& [id, child] : host.children) {
    if (!child.params.resource) return {child.params.local, child.params.remote, packet, resource};
  }
  return {limited(first, 0).local, limited(first, 0).remote, packet, resource};
}

/// The pairs of both sides, each with its like on the other.
inline bool all_mirrored(Pair& pair) {
  if (pair.a.children.size() != pair.b.children.size()) return false;
  return std::ranges::all_of(pair.a.children, [&](const auto& one) {
    return std::ranges::any_of(pair.b.children,
                               [&](const auto& other) { return mirrored(one.second.params, other.second.params); });
  });
}

inline std::vector<std::uint32_t> resources_of(const Host& host) {
  std::vector<std::uint32_t> resources;
  for (const auto& [id, child] : host.children) {
    if (child.params.resource) resources.push_back(*child.params.resource);
  }
  std::ranges::sort(resources);
  return resources;
}
using Resources = std::vector<std::uint32_t>;

inline const model::ChildSaParams* fallback_of(const Host& host) {
  for (const auto& [id, child] : host.children) {
    if (!child.params.resource) return &child.params;
  }
  return nullptr;
}

inline const model::ChildSaParams* pair_for(const Host& host, std::uint32_t resource) {
  for (const auto& [id, child] : host.children) {
    if (child.params.resource == resource) return &child.params;
  }
  return nullptr;
}

inline std::size_t held(const Host& host) {
  return static_cast<std::size_t>(
      std::ranges::count_if(host.children, [](const auto& entry) { return entry.second.held; }));
}

/// Reads and writes on the first IKE SA of a pair, with the keys that a exported.
class Wiretap {
 public:
  explicit Wiretap(Pair& pair)
      : keys_(pair.a.exported.at(0)),
        suite_(*model::packet_suite(keys_.suite.encryption, keys_.suite.key_bits, keys_.suite.integrity)),
        from_i_(*codec::MessageOpener::make(suite_, keys_.sk_ei.view(), keys_.sk_ai.view())),
        from_r_(*codec::MessageOpener::make(suite_, keys_.sk_er.view(), keys_.sk_ar.view())),
        sealer_(*codec::MessageSealer::make(suite_, keys_.sk_er.view(), keys_.sk_ar.view(), random_)) {}

  codec::Message open(const Datagram& datagram) {
    const auto parsed = codec::parse_message(datagram.message);
    CHECK(parsed);
    auto opened = (parsed->header.initiator ? from_i_ : from_r_).open(datagram.message, *parsed);
    CHECK(opened);
    return std::move(*opened);
  }
  /// All messages of that exchange since the `first`-th datagram that can be read, in order.
  std::vector<codec::Message> all(Pair& pair, model::ExchangeType exchange, std::size_t first = 0) {
    std::vector<codec::Message> messages;
    for (std::size_t at = first; at < pair.wire.size(); ++at) {
      if (pair.wire[at].header().exchange == exchange) messages.push_back(open(pair.wire[at]));
    }
    return messages;
  }
  /// Answers a's request in b's place.
  Bytes answer(const codec::Message& request, std::vector<codec::Payload> payloads) {
    codec::Message message{.header = request.header, .payloads = std::move(payloads)};
    message.header.initiator = false;
    message.header.response = true;
    return sealer_.seal(message);
  }

 private:
  const KeysExported& keys_;
  SeededRandom random_{77};
  crypto::PacketSuite suite_;
  codec::MessageOpener from_i_;
  codec::MessageOpener from_r_;
  codec::MessageSealer sealer_;
};

class ResourceSas : public ::testing::TestWithParam<bool> {
 protected:
  ResourceSas() : pair(1, with_resources()) {}
  void up(std::uint32_t ours = 8, std::uint32_t theirs = 8) {
    configure(pair, limited(true, actor() ? ours : theirs), limited(false, actor() ? theirs : ours));
    initiate(pair);
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
  void limit(Host& host, std::uint32_t most) {
    pair.command(host, ConfigureConnection{limited(&host == &pair.a, most)});
  }
  void wish(std::uint32_t resource) { wish(us(), resource); }
  void wish(Host& host, std::uint32_t resource) {
    pair.command(host, CreateChildSa{kConnection, for_resource(host, &host == &pair.a, resource)});
  }
  void wish_all(Host& host) {
    for (std::uint32_t resource = 0; resource < kResources; ++resource) wish(host, resource);
  }
  bool actor() const { return GetParam(); }
  Host& us() { return pair.host(actor()); }
  Host& them() { return pair.host(!actor()); }
  Pair pair;
};

}  // namespace culvert::ike::v2::testing
