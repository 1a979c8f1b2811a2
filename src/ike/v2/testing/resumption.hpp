// Two endpoints of which b gives tickets and may crash (RFC 5723). Header only; never part of the product.
#pragma once

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

inline TicketKey key_of(std::uint8_t id) {
  TicketKey key{.id = {id}, .made = 0, .key = SecretBytes(32)};
  key.key.mutable_view()[0] = id;
  return key;
}

class ResumptionTest : public ::testing::Test {
 protected:
  static model::ConnectionConfig resuming(bool first) {
    auto config = config_of(first);
    config.life.resumption = std::chrono::hours(1);
    return config;
  }
  /// The time of day is that of the pair's clock, as long as nobody sets it.
  void give_secrets(Host& who, std::uint8_t key = 1) {
    auto secrets = std::make_shared<EndpointSecrets>();
    secrets->ticket_keys.push_back(key_of(key));
    pair->command(who, UseSecrets{.secrets = std::move(secrets), .calendar = calendar()});
  }
  [[nodiscard]] std::int64_t calendar() const {
    return std::chrono::duration_cast<std::chrono::seconds>(pair->now.time_since_epoch()).count();
  }
  void start(model::ConnectionConfig a = resuming(true), model::ConnectionConfig b = resuming(false)) {
    config_a = a;
    config_b = b;
    give_secrets(pair->b);
    configure(*pair, std::move(a), std::move(b));
    initiate(*pair);
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
  }
  /// Ends without a word and is there again, with what the state folder has.
  void crash(Host& who, std::uint8_t key = 1) {
    const bool first = &who == &pair->a;
    who.restart();
    for (const model::Spi spi : std::set(who.allocator().in_use)) who.allocator().release(spi);
    give_secrets(who, key);
    pair->command(who, ConfigureConnection{first ? config_a : config_b});
  }
  /// a notices that b is silent, and closes its IKE SA.
  void wait_until_lost(Host& who) {
    cut = true;
    pair->command(who, CheckLiveness{who.ike_sa().ike_sa});
    ASSERT_TRUE(pair->run_until([&] { return who.ike_sas.empty(); }));
    cut = false;
  }
  ResumptionTest() { renew(); }
  void renew(const EndpointSettings& settings = {}) {
    pair = std::make_unique<Pair>(3, settings);
    pair->fate = [this](const Datagram& one) {
      const bool held = hold && one.from_a && one.header().exchange == model::ExchangeType::ike_auth;
      return cut || held ? std::vector<Duration>() : std::vector<Duration>{Pair::kLatency};
    };
  }
  [[nodiscard]] std::vector<Datagram> sent(model::ExchangeType exchange, bool from_a) const {
    std::vector<Datagram> found;
    for (const Datagram& one : pair->wire)
      if (one.from_a == from_a && one.header().exchange == exchange) found.push_back(one);
    return found;
  }
  [[nodiscard]] std::uint64_t refused() {
    return pair->b.endpoint().counters().dropped[static_cast<std::size_t>(DatagramDrop::bad_ticket)];
  }
  /// a, which has lost its IKE SA, shows its ticket to nobody; the answer is the test's, in the clear.
  void begin_and_answer(model::NotifyType type, ByteView data = {}) {
    wait_until_lost(pair->a);
    pair->wire.clear();
    cut = true;
    initiate(*pair);
    const auto request = codec::parse_header(pair->wire.back().message);
    cut = false;
    codec::Message answer;
    answer.header = *request;
    answer.header.initiator = false;
    answer.header.response = true;
    answer.add_notify(type, data);
    pair->inject(pair->a, path_from(true), codec::serialize(answer));
    pair->settle();
  }
  void resume() {
    pair->wire.clear();
    initiate(*pair);
    pair->settle();
  }

  std::unique_ptr<Pair> pair;
  model::ConnectionConfig config_a, config_b;
  bool cut = false;
  bool hold = false;  // IKE_AUTH of a
};

}  // namespace culvert::ike::v2::testing
