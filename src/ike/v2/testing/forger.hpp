// Forger: the initiator of an IKE SA that keeps to no rule, for tests of what a peer with the keys may try. Header
// only; never part of the product.
#pragma once

#include <utility>
#include <vector>

#include "ike/codec/seal.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

inline EndpointSettings exporting() {
  EndpointSettings settings;
  settings.export_keys = true;
  return settings;
}

/// The initiator of an IKE SA without a state machine: seals what the test says, with the keys that the host exported.
class Forger {
 public:
  Forger(const KeysExported& keys, std::uint32_t next_id)
      : suite_(*model::packet_suite(keys.suite.encryption, keys.suite.key_bits, keys.suite.integrity)),
        sealer_(*codec::MessageSealer::make(suite_, keys.sk_ei.view(), keys.sk_ai.view(), random_)),
        opener_(*codec::MessageOpener::make(suite_, keys.sk_er.view(), keys.sk_ar.view())),
        next_id_(next_id) {
    header_.spi_i = keys.spi_i;
    header_.spi_r = keys.spi_r;
    header_.initiator = true;
  }

  Bytes request(model::ExchangeType exchange, std::vector<codec::Payload> payloads) {
    codec::Message message{.header = header_, .payloads = std::move(payloads)};
    message.header.exchange = exchange;
    message.header.message_id = model::MessageId(next_id_++);
    return sealer_.seal(message);
  }
  codec::Message open(const Bytes& answer) {
    const auto parsed = codec::parse_message(answer);
    CHECK(parsed);
    auto opened = opener_.open(answer, *parsed);
    CHECK(opened);
    return std::move(*opened);
  }
  /// Sends a request to b and returns its answer, which must come at once.
  codec::Message ask(Pair& pair, model::ExchangeType exchange, std::vector<codec::Payload> payloads) {
    const std::size_t before = pair.wire.size();
    pair.inject(pair.b, path_from(false, 4500), request(exchange, std::move(payloads)));
    CHECK(pair.wire.size() > before);
    return open(pair.wire[before].message);
  }

 private:
  SeededRandom random_{99};
  crypto::PacketSuite suite_;
  codec::MessageSealer sealer_;
  codec::MessageOpener opener_;
  codec::Header header_;
  std::uint32_t next_id_;
};

}  // namespace culvert::ike::v2::testing
