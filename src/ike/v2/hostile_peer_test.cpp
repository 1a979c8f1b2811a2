// A peer that knows the keys of an IKE SA and keeps to no rule: before it has authenticated itself (anybody can come
// that far, RFC 7296 5), and afterwards.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "crypto/key_exchange.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

codec::NotifyPayload notification(NotifyType type, model::ProtocolId protocol = model::ProtocolId::none,
                                  Bytes spi = {}) {
  return {.protocol = protocol, .spi = std::move(spi), .type = type, .data = {}};
}

Bytes octets_of(std::uint32_t spi) {
  ByteWriter writer;
  writer.u32(spi);
  return writer.take();
}

/// A request for a Child SA of config_of()'s networks, rekeying `old` (the SPI that b expects) if that is given.
std::vector<codec::Payload> child_request(std::uint32_t spi, std::optional<std::uint32_t> old = std::nullopt) {
  model::Proposal offer = *model::parse_proposal(model::ProtocolId::esp, "aes256gcm16");
  offer.number = 1;
  offer.spi = octets_of(spi);
  std::vector<codec::Payload> payloads;
  if (old) payloads.emplace_back(notification(NotifyType::rekey_sa, model::ProtocolId::esp, octets_of(*old)));
  payloads.emplace_back(codec::SaPayload{{offer}});
  payloads.emplace_back(codec::NoncePayload{Bytes(32, static_cast<std::uint8_t>(spi))});
  payloads.emplace_back(
      codec::TsPayload{.side = model::Role::initiator, .selectors = subnet("10.1.0.0/16"), .unknown = {}});
  payloads.emplace_back(
      codec::TsPayload{.side = model::Role::responder, .selectors = subnet("10.2.0.0/16"), .unknown = {}});
  return payloads;
}

/// Up, begun by a, whose part a Forger takes over; without key exchange for Child SAs.
struct Takeover {
  explicit Takeover(EndpointSettings settings = exporting()) : pair(1, settings) {
    auto a = config_of(true);
    auto b = config_of(false);
    a.esp_proposals = b.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes256gcm16")};
    configure(pair, a, b);
    initiate(pair);
    pair.settle();
    CHECK(in_step(pair));
    pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
    taken.emplace(pair.b.exported.at(0), 2);
  }
  /// A request of the peer that b answers at once.
  codec::Message ask(ExchangeType exchange, std::vector<codec::Payload> payloads) {
    return taken->ask(pair, exchange, std::move(payloads));
  }
  Pair pair;
  std::optional<Forger> taken;
};

// RFC 7296 2.20: an empty version says no more than that the question was understood.
TEST(HostilePeer, ToldNoMoreOfOurVersionThanThatThereIsOne) {
  Takeover run;
  codec::ConfigurationPayload question{model::ConfigurationType::request, {}};
  for (const auto type : {model::ConfigurationAttributeType::application_version,
                          model::ConfigurationAttributeType::internal_ip4_address})
    question.attributes.push_back({static_cast<std::uint16_t>(type), {}});
  const codec::Message answer = run.ask(ExchangeType::informational, {question});
  const auto* reply = answer.first<codec::ConfigurationPayload>();
  ASSERT_NE(reply, nullptr);
  EXPECT_EQ(reply->type, model::ConfigurationType::reply);
  ASSERT_EQ(reply->attributes.size(), 1U) << "it has no address of us";
  EXPECT_TRUE(reply->attributes.front().value.empty());
  EXPECT_EQ(run.ask(ExchangeType::informational, {}).first<codec::ConfigurationPayload>(), nullptr);
}

TEST(HostilePeer, WhoFailedToAuthenticateIsNotListenedToAnyMore) {  // RFC 7296 2.21.2
  Pair pair(1, exporting());
  configure(pair);
  pair.a.secrets[kConnection] = to_bytes(as_bytes("another secret"));
  initiate(pair);
  pair.settle();
  ASSERT_EQ(pair.b.failures.size(), 1u);
  ASSERT_EQ(pair.b.endpoint().counters().half_open, 1u) << "it has cost a key exchange and counts for a while";
  Forger peer(pair.b.exported.at(0), 2);
  pair.wire.clear();
  Duration held_for{};
  // Whatever it goes on to say neither makes events, nor gets an answer, nor keeps its place among the half-open ones.
  for (int n = 0; n < 20; ++n) {
    pair.inject(
        pair.b, path_from(false, 4500),
        peer.request(ExchangeType::informational, {codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}},
                                                   notification(NotifyType::authentication_failed)}));
    for (int tick = 0; tick < 10; ++tick) {
      if (pair.b.endpoint().counters().half_open != 0) held_for += seconds(1);
      pair.advance(seconds(1));
    }
  }
  EXPECT_EQ(pair.b.failures.size(), 1u);
  EXPECT_EQ(held_for, pair.b.settings.half_open_timeout) << "no longer than who is never heard of again";
  // At the end it is told in the clear that there is no such IKE SA (RFC 7296 2.21.4).
  EXPECT_TRUE(std::ranges::none_of(
      pair.wire, [](const Datagram& d) { return codec::parse_message(d.message)->sealed.has_value(); }));
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0u);
}

TEST(HostilePeer, TheNumberOfChildSasIsBounded) {  // RFC 7296 1.3
  Takeover run;
  bool refused = false;
  for (std::uint32_t n = 0; n < 500; ++n) {
    const auto answer = run.ask(ExchangeType::create_child_sa, child_request(0x5000 + n));
    refused = refused || answer.notify(NotifyType::no_additional_sas) != nullptr;
    run.pair.advance(seconds(1));
  }
  EXPECT_TRUE(refused);
  EXPECT_LE(run.pair.b.children.size(), run.pair.b.settings.children_limit);
  EXPECT_EQ(run.pair.b.allocator().in_use.size(), run.pair.b.children.size());
}

TEST(HostilePeer, RekeysWithoutDeletesDoNotPileUp) {  // RFC 7296 2.8
  Takeover run;
  std::uint32_t old = run.pair.b.child().spi_outbound.value();
  for (std::uint32_t n = 0; n < 500; ++n) {
    const auto answer = run.ask(ExchangeType::create_child_sa, child_request(0x5000 + n, old));
    if (answer.first<codec::SaPayload>() != nullptr) old = 0x5000 + n;
    run.pair.advance(seconds(1));
  }
  EXPECT_LE(run.pair.b.children.size(), 2 * run.pair.b.settings.children_limit);
}

// RFC 7296 1.4.1, 3.11: one payload with the SPIs of several, in no order; the answer has the other half of each.
TEST(HostilePeer, OneDeletePayloadEndsSeveralChildSas) {
  Takeover run;
  for (std::uint32_t n = 0; n < 3; ++n)
    ASSERT_NE(run.ask(ExchangeType::create_child_sa, child_request(0x5000 + n)).first<codec::SaPayload>(), nullptr);
  ASSERT_EQ(run.pair.b.children.size(), 4u);
  std::vector<model::Spi> ours;
  for (const auto& [id, child] : run.pair.b.children) {
    if (child.params.spi_outbound != model::Spi(0x5001)) ours.push_back(child.params.spi_inbound);
  }
  std::vector<model::Spi> theirs{model::Spi(0x5002), model::Spi(0x5000)};
  for (const auto& [id, child] : run.pair.b.children) {
    if (child.params.spi_outbound.value() < 0x5000 || child.params.spi_outbound.value() > 0x5002)
      theirs.insert(theirs.begin() + 1, child.params.spi_outbound);
  }
  ASSERT_EQ(theirs.size(), 3u);
  const codec::Message answer =
      run.ask(ExchangeType::informational, {codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = theirs}});
  std::vector<model::Spi> told;
  for (const auto* one : answer.all<codec::DeletePayload>()) {
    EXPECT_EQ(one->protocol, model::ProtocolId::esp);
    told.insert(told.end(), one->spis.begin(), one->spis.end());
  }
  std::ranges::sort(told);
  std::ranges::sort(ours);
  EXPECT_EQ(told, ours);
  ASSERT_EQ(run.pair.b.children.size(), 1u);
  EXPECT_EQ(run.pair.b.child().spi_outbound, model::Spi(0x5001)) << "the one that was not named stays";
  EXPECT_EQ(run.pair.b.ike_sas.size(), 1u);
  EXPECT_EQ(run.pair.b.allocator().in_use.size(), 1u);
}

// RFC 7296 1.3.3: what says which SA is rekeyed may stand behind any others.
TEST(HostilePeer, ARekeyBehindOtherNotificationsIsARekey) {
  Takeover run;
  const model::ChildSaId old = run.pair.b.child().id;
  auto payloads = child_request(0x5000, run.pair.b.child().spi_outbound.value());
  for (const std::uint16_t type : std::initializer_list<std::uint16_t>{40000, 41000})
    payloads.insert(payloads.begin(), notification(static_cast<NotifyType>(type)));
  ASSERT_NE(run.ask(ExchangeType::create_child_sa, std::move(payloads)).first<codec::SaPayload>(), nullptr);
  ASSERT_EQ(run.pair.b.children.size(), 2u);
  EXPECT_EQ(run.pair.b.children.rbegin()->second.params.replaces, old);
}

TEST(HostilePeer, TheRateOfRekeysIsBounded) {  // RFC 7296 2.25: TEMPORARY_FAILURE
  Takeover run;
  std::uint32_t old = run.pair.b.child().spi_outbound.value();
  unsigned made = 0;
  bool refused = false;
  for (std::uint32_t n = 0; n < 5000; ++n) {
    const auto answer = run.ask(ExchangeType::create_child_sa, child_request(0x5000 + n, old));
    if (answer.first<codec::SaPayload>() == nullptr) {
      refused = refused || answer.notify(NotifyType::temporary_failure) != nullptr;
      continue;
    }
    ++made;
    run.ask(ExchangeType::informational,
            {codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {model::Spi(old)}}});
    old = 0x5000 + n;
    run.pair.now += milliseconds(1);
  }
  EXPECT_TRUE(refused);
  EXPECT_LT(made, 1000u) << "in five seconds";
  // Whoever waits is served again.
  run.pair.now += seconds(2);
  EXPECT_NE(run.ask(ExchangeType::create_child_sa, child_request(0x9000, old)).first<codec::SaPayload>(), nullptr);
}

TEST(HostilePeer, RekeyedIkeSasDoNotPileUp) {  // RFC 7296 2.18
  Takeover run;
  SeededRandom random{5};
  auto own = crypto::make_key_exchange(*model::key_exchange_id(model::KeyExchangeMethod::curve25519), random);
  ASSERT_TRUE(own);
  unsigned made = 0;
  for (std::uint32_t n = 0; n < 2000; ++n) {
    model::Proposal offer = *model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519");
    offer.number = 1;
    offer.spi = Bytes(8, 1);
    store_be32(offer.spi.data() + 4, n + 1);
    const auto answer =
        run.ask(ExchangeType::create_child_sa, {codec::SaPayload{{offer}}, codec::NoncePayload{Bytes(32, 7)},
                                                codec::KePayload{.method = model::KeyExchangeMethod::curve25519,
                                                                 .public_value = to_bytes((*own)->public_value())}});
    if (answer.first<codec::SaPayload>() == nullptr) continue;
    ++made;
    run.taken.emplace(run.pair.b.exported.back(), 0);
  }
  EXPECT_GT(made, 0u);
  EXPECT_LE(run.pair.b.ike_sas.size(), 500u);
}

TEST(HostilePeer, TheNumberOfIkeSasOfOnePeerIsBounded) {
  Pair pair;
  configure(pair);
  // All begun before the first is up: INITIAL_CONTACT (RFC 7296 2.4) then means none of the others.
  constexpr unsigned kMany = 50;
  for (unsigned n = 0; n < kMany; ++n) {
    auto again = config_of(true);
    again.id = model::ConnectionId(100 + n);
    pair.a.secrets[again.id] = pair.a.secrets[kConnection];
    pair.command(pair.a, ConfigureConnection{again});
    pair.command(pair.a, Initiate{.connection = again.id, .path = path_from(true)});
  }
  pair.settle();
  EXPECT_GT(pair.b.ike_sas.size(), 1u);
  EXPECT_LE(pair.b.ike_sas.size(), pair.b.settings.ike_sas_per_peer);
  pair.advance(seconds(20));
  EXPECT_EQ(pair.a.ike_sas.size(), pair.b.ike_sas.size()) << "a is told";
  EXPECT_TRUE(no_leaks(pair));
}

TEST(HostilePeer, OneAddressDoesNotTakeAllHalfOpenPlaces) {  // RFC 7296 2.6
  EndpointSettings settings;
  settings.cookie_threshold = 2;
  settings.half_open_per_address = 8;
  Pair pair(1, settings);
  auto b = config_of(false);
  b.peer.reset();
  configure(pair, config_of(true), b);
  // It follows cookies, for the address is its own, and never goes on to IKE_AUTH.
  pair.fate = [](const Datagram& d) {
    return d.header().exchange == ExchangeType::ike_auth ? std::vector<Duration>{}
                                                         : std::vector<Duration>{Pair::kLatency};
  };
  for (unsigned n = 0; n < 30; ++n) {
    auto again = config_of(true);
    again.id = model::ConnectionId(100 + n);
    pair.command(pair.a, ConfigureConnection{again});
    pair.command(pair.a, Initiate{.connection = again.id, .path = path_from(true)});
  }
  pair.settle();
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 8u);
  // Another address is served.
  pair.translation = [](const Datagram& d) {
    const auto outside = *net::IpAddress::parse("203.0.113.9");
    if (d.from_a) return net::Path{d.path.remote, {outside, d.path.local.port}};
    return net::Path{{address_of(true), d.path.remote.port}, d.path.local};
  };
  initiate(pair);
  pair.settle();
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 9u);
}

TEST(HostilePeer, OneNetworkDoesNotTakeAllHalfOpenPlaces) {  // RFC 8019 4.2
  for (const bool v6 : {false, true}) {
    EndpointSettings settings;
    settings.cookie_threshold = 2;
    settings.half_open_per_address = 3;
    settings.half_open_per_network = 8;
    Pair pair(1, settings);
    auto b = config_of(false);
    b.peer.reset();
    configure(pair, config_of(true), b);
    pair.fate = [](const Datagram& d) {
      return d.header().exchange == ExchangeType::ike_auth ? std::vector<Duration>{}
                                                           : std::vector<Duration>{Pair::kLatency};
    };
    // Each set-up from an address of its own: ten of one network, then one of another.
    std::string from;
    pair.translation = [&](const Datagram& d) {
      const auto outside = *net::IpAddress::parse(from);
      const auto ours = *net::IpAddress::parse(v6 ? "2001:db8:ff::2" : "192.0.2.2");
      if (d.from_a) return net::Path{{ours, d.path.remote.port}, {outside, d.path.local.port}};
      return net::Path{{address_of(true), d.path.remote.port}, {address_of(false), d.path.local.port}};
    };
    for (unsigned n = 0; n < 11; ++n) {
      const unsigned network = n < 10 ? 0 : 1;
      from =
          v6 ? fmt::format("2001:db8:0:{:x}{:02x}::1", 0x10 + network, n) : fmt::format("203.0.{}.{}", network, n + 1);
      auto again = config_of(true);
      again.id = model::ConnectionId(100 + n);
      pair.command(pair.a, ConfigureConnection{again});
      pair.command(pair.a, Initiate{.connection = again.id, .path = path_from(true)});
      pair.settle();
    }
    EXPECT_EQ(pair.b.endpoint().counters().half_open, 9u) << v6;
    EXPECT_GE(pair.b.endpoint().counters().dropped[static_cast<std::size_t>(DatagramDrop::half_open_share)], 2u);
    EXPECT_GE(pair.b.endpoint().counters().cookies, 8u);
  }
}

TEST(HostilePeer, KeyExchangesThatFailAreNotFreeEither) {  // RFC 7296 2.6
  Pair pair;
  configure(pair);
  codec::Message init;
  init.header.initiator = true;
  model::Proposal offer = *model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519");
  offer.number = 1;
  init.add(codec::SaPayload{{offer}});
  // The point of order 2, whose result is zero (RFC 8031 5): computed, refused, forgotten.
  init.add(codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32)});
  init.add(codec::NoncePayload{Bytes(32, 1)});
  unsigned cookies = 0;
  for (std::uint64_t n = 1; n <= 500; ++n) {
    init.header.spi_i = model::IkeSpi(n);
    pair.wire.clear();
    pair.inject(pair.b, path_from(false), codec::serialize(init));
    for (const Datagram& d : pair.wire) {
      const auto answer = codec::parse_message(d.message);
      const auto* notify = answer ? codec::first_of<codec::NotifyPayload>(answer->payloads) : nullptr;
      if (notify != nullptr && notify->type == NotifyType::cookie) ++cookies;
    }
  }
  EXPECT_GT(cookies, 300u) << "before it computes, the responder asks for proof of the address";
  pair.advance(minutes(2));
  pair.wire.clear();
  initiate(pair);
  pair.settle();
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(pair.wire.size(), 4u) << "afterwards no cookie is asked for";
}

TEST(HostilePeer, NoUnprotectedAnswerIsLongerThanWhatItAnswers) {  // RFC 7296 2.21.4
  Pair pair;
  configure(pair);
  codec::Header header;
  header.spi_i = model::IkeSpi(1);
  header.initiator = true;
  Bytes other_version = codec::serialize_header(header, model::PayloadType::none, 28);
  other_version[17] = 0x30;
  Bytes critical = codec::serialize_header(header, static_cast<model::PayloadType>(200), 32);
  critical.insert(critical.end(), {0, 0x80, 0, 4});
  for (Bytes* message : {&other_version, &critical}) {
    pair.wire.clear();
    pair.inject(pair.b, path_from(false), *message);
    for (const Datagram& d : pair.wire) EXPECT_LE(d.message.size(), message->size());
    // What is long enough is told.
    pair.wire.clear();
    Bytes longer = *message;
    longer.insert(longer.end(), {0, 0, 0, 20});
    longer.resize(longer.size() + 16);
    if (message == &critical) longer[28] = static_cast<std::uint8_t>(model::PayloadType::vendor_id);
    store_be32(longer.data() + 24, static_cast<std::uint32_t>(longer.size()));
    if (message == &other_version) longer[16] = static_cast<std::uint8_t>(model::PayloadType::vendor_id);
    pair.inject(pair.b, path_from(false), longer);
    EXPECT_EQ(pair.wire.size(), 1u);
  }
}

}  // namespace
}  // namespace culvert::ike::v2
