// For tests of remote access: a of a Pair is a client that asks for an address, b a gateway that gives it of a pool.
#pragma once

#include <chrono>
#include <string_view>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

inline net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

inline model::ConnectionConfig remote_client(std::string_view who = "amy@example.org") {
  model::ConnectionConfig config = config_of(true);
  config.local_id = model::Identity::parse(who);
  config.request_addresses = {net::Family::v4};
  config.local = {model::TrafficSelector::of(net::AddressRange::all(net::Family::v4))};
  return config;
}

/// For all whose identity matches `who`.
inline model::ConnectionConfig remote_gateway(std::string_view who = "*@example.org") {
  model::ConnectionConfig config = config_of(false);
  config.name = "road";
  config.peer.reset();
  config.remote_id.reset();
  config.remote_pattern = model::IdentityPattern::parse(who);
  config.remote = subnet("10.9.0.0/24");
  config.pools = {"staff"};
  return config;
}

/// Either side, a first, rekeys the Child SA, the IKE SA, and the Child SA again; `look` is called after each side's.
template <typename Look>
void rekey_all(Pair& pair, Look look) {
  for (const bool first : {true, false}) {
    Host& who = pair.host(first);
    pair.command(who, RekeyChildSa{who.children.begin()->first});
    pair.settle();
    pair.command(who, RekeyIkeSa{who.ike_sas.begin()->first});
    pair.settle();
    pair.advance(std::chrono::seconds(2));
    pair.command(who, RekeyChildSa{who.children.begin()->first});
    pair.settle();
    pair.advance(std::chrono::seconds(120));
    look(first ? "rekeyed by a" : "rekeyed by b");
  }
}

}  // namespace culvert::ike::v2::testing
