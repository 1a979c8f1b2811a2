// Offers with several transforms and with several proposals, in set-ups and in rekeys of either kind, where the peer
// takes what stands last in them (RFC 7296 2.7, 3.3); and what changes with the prf that an IKE SA is rekeyed to.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using crypto::HashId;
using model::ExchangeType;
using model::ProtocolId;

std::vector<model::Proposal> proposals(ProtocolId protocol, const std::vector<std::string>& texts) {
  std::vector<model::Proposal> all;
  for (const std::string_view text : texts) {
    all.push_back(*model::parse_proposal(protocol, text));
    all.back().number = static_cast<std::uint8_t>(all.size());
  }
  return all;
}

/// What is offered, and what of it the peer wants at first and at last.
struct Offer {
  const char* name;
  std::vector<model::Proposal> ike, ike_first, ike_last;
  std::vector<model::Proposal> esp, esp_first, esp_last;
};

Offer transforms() {
  return {.name = "Transforms",
          .ike = proposals(ProtocolId::ike, {"aes256gcm16-aes128gcm16-prfsha384-prfsha256-x25519-ecp256"}),
          .ike_first = proposals(ProtocolId::ike, {"aes256gcm16-prfsha384-x25519"}),
          .ike_last = proposals(ProtocolId::ike, {"aes128gcm16-prfsha256-ecp256"}),
          .esp = proposals(ProtocolId::esp, {"aes256gcm16-aes128gcm16-x25519-ecp256-esn-noesn"}),
          .esp_first = proposals(ProtocolId::esp, {"aes256gcm16-x25519-esn"}),
          .esp_last = proposals(ProtocolId::esp, {"aes128gcm16-ecp256-noesn"})};
}

Offer whole_proposals() {
  return {.name = "Proposals",
          .ike = proposals(ProtocolId::ike, {"aes256gcm16-prfsha384-x25519", "chacha20poly1305-prfsha256-x25519",
                                             "aes128-sha256-prfsha512-x25519"}),
          .ike_first = proposals(ProtocolId::ike, {"aes256gcm16-prfsha384-x25519"}),
          .ike_last = proposals(ProtocolId::ike, {"aes128-sha256-prfsha512-x25519"}),
          .esp = proposals(ProtocolId::esp,
                           {"aes256gcm16-x25519-esn", "chacha20poly1305-x25519-esn", "aes128-sha512-x25519-noesn"}),
          .esp_first = proposals(ProtocolId::esp, {"aes256gcm16-x25519-esn"}),
          .esp_last = proposals(ProtocolId::esp, {"aes128-sha512-x25519-noesn"})};
}

/// Offers are made by a or by b.
class Offers : public ::testing::TestWithParam<std::tuple<bool, Offer>> {
 protected:
  bool by_a() const { return std::get<0>(GetParam()); }
  const Offer& offer() const { return std::get<1>(GetParam()); }
  Host& one() { return pair.host(by_a()); }
  Host& other() { return pair.host(!by_a()); }
  void accept(const std::vector<model::Proposal>& ike, const std::vector<model::Proposal>& esp) {
    auto config = config_of(!by_a());
    config.ike_proposals = ike;
    config.esp_proposals = esp;
    pair.command(other(), ConfigureConnection{config});
  }
  void bring_up_accepting(const std::vector<model::Proposal>& ike, const std::vector<model::Proposal>& esp) {
    auto config = config_of(by_a());
    config.ike_proposals = offer().ike;
    config.esp_proposals = offer().esp;
    configure(pair, by_a() ? config : config_of(true), by_a() ? config_of(false) : config);
    accept(ike, esp);
    initiate(pair, by_a());
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
  void expect_ike(const std::vector<model::Proposal>& wanted) {
    for (const Host* host : {&pair.a, &pair.b}) {
      EXPECT_TRUE(model::accepts(wanted, host->ike_sa().suite)) << model::to_string(host->ike_sa().suite);
      EXPECT_TRUE(host->failures.empty());
    }
  }
  /// In IKE_AUTH no key exchange of their own is agreed on for Child SAs.
  void expect_esp(const std::vector<model::Proposal>& wanted, bool in_ike_auth) {
    for (const Host* host : {&pair.a, &pair.b}) {
      const model::EspSuite& suite = host->child().suite;
      model::Proposal chosen;
      chosen.transforms = {
          {model::TransformType::encryption, static_cast<std::uint16_t>(suite.encryption), suite.key_bits}};
      if (suite.integrity != model::IntegrityId::none)
        chosen.transforms.push_back({model::TransformType::integrity, static_cast<std::uint16_t>(suite.integrity)});
      if (!in_ike_auth)
        chosen.transforms.push_back(
            {model::TransformType::key_exchange, static_cast<std::uint16_t>(suite.key_exchange)});
      chosen.transforms.push_back({model::TransformType::esn, static_cast<std::uint16_t>(suite.esn)});
      for (const model::Transform& wish : wanted.front().transforms) {
        if (in_ike_auth && wish.type == model::TransformType::key_exchange) continue;
        EXPECT_NE(std::ranges::find(chosen.transforms, wish), chosen.transforms.end())
            << model::to_string(chosen) << " for " << model::to_string(wanted.front());
      }
    }
  }
  Pair pair;
};
INSTANTIATE_TEST_SUITE_P(Several, Offers,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(transforms(), whole_proposals())),
                         [](const auto& one) {
                           return std::string(std::get<1>(one.param).name) + (std::get<0>(one.param) ? "ByA" : "ByB");
                         });

TEST_P(Offers, WhatStandsLastIsAgreedOnInTheSetUp) {  // RFC 7296 2.7
  bring_up_accepting(offer().ike_last, offer().esp_last);
  expect_ike(offer().ike_last);
  expect_esp(offer().esp_last, true);
}

TEST_P(Offers, WhatStandsLastIsAgreedOnInARekeyOfTheChildSa) {  // RFC 7296 1.3.3, 2.7
  bring_up_accepting(offer().ike_first, offer().esp_first);
  expect_esp(offer().esp_first, true);
  accept(offer().ike_first, offer().esp_last);
  pair.command(one(), RekeyChildSa{one().child().id});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(one().children_made, 2u);
  expect_esp(offer().esp_last, false);
}

TEST_P(Offers, WhatStandsLastIsAgreedOnInARekeyOfTheIkeSa) {  // RFC 7296 1.3.2, 2.7
  bring_up_accepting(offer().ike_first, offer().esp_first);
  expect_ike(offer().ike_first);
  const auto before = one().ike_sa().ike_sa;
  accept(offer().ike_last, offer().esp_first);
  pair.command(one(), RekeyIkeSa{before});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(one().ike_sa().replaces, before);
  expect_ike(offer().ike_last);
  // What was agreed on is in use: the successor carries exchanges from both sides.
  pair.command(other(), RekeyChildSa{other().child().id});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  pair.command(one(), RekeyChildSa{one().child().id});
  pair.settle();
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(one().children_made, 3u);
}

// ---- CVE-2016-3071, CVE-2018-10811: algorithms that are configured, and that cannot be done

model::Proposal with_prf(std::uint16_t number) {
  model::Proposal proposal = *model::parse_proposal(ProtocolId::ike, "aes256gcm16-prfsha256-x25519");
  for (model::Transform& one : proposal.transforms) {
    if (one.type == model::TransformType::prf) one.id = number;
  }
  return proposal;
}
constexpr std::uint16_t kTiger = 3;  // PRF_HMAC_TIGER, which no library has

TEST(OffersOfTheImpossible, APrfThatCannotBeComputedIsNotOffered) {
  Pair pair;
  auto a = config_of(true);
  a.ike_proposals = {with_prf(kTiger), with_prf(static_cast<std::uint16_t>(model::PrfId::hmac_sha2_512))};
  a.ike_proposals[1].transforms.push_back({model::TransformType::prf, kTiger});
  auto b = config_of(false);
  b.ike_proposals = a.ike_proposals;
  configure(pair, a, b);
  initiate(pair);
  ASSERT_FALSE(pair.wire.empty());
  const auto parsed = codec::parse_message(pair.wire.front().message);
  ASSERT_TRUE(parsed);
  const auto& offered = codec::first_of<codec::SaPayload>(parsed->payloads)->proposals;
  ASSERT_EQ(offered.size(), 1u);
  for (const model::Transform& one : offered.front().transforms)
    EXPECT_FALSE(one.type == model::TransformType::prf && one.id == kTiger);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.ike_sa().suite.prf, model::PrfId::hmac_sha2_512);
  const auto before = pair.a.ike_sa().ike_sa;
  pair.command(pair.a, RekeyIkeSa{before});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.ike_sa().replaces, before);
}

TEST(OffersOfTheImpossible, APrfThatCannotBeComputedIsNotBegunWith) {
  Pair pair;
  auto a = config_of(true);
  a.ike_proposals = {with_prf(kTiger)};
  configure(pair, a);
  initiate(pair);
  pair.settle();
  EXPECT_TRUE(pair.wire.empty());
  ASSERT_EQ(pair.a.failures.size(), 1u);
  EXPECT_EQ(pair.a.failures[0].kind, FailureKind::local_error);
  EXPECT_NE(pair.a.failures[0].detail.find("prf"), std::string::npos) << pair.a.failures[0].detail;
  EXPECT_FALSE(pair.a.endpoint().poll_timeout()) << "nothing is left";
}

// The peer offers what our configuration names, and what we cannot do.
TEST(OffersOfTheImpossible, APrfThatCannotBeComputedIsRefused) {
  Pair pair;
  auto b = config_of(false);
  b.ike_proposals = {with_prf(kTiger)};
  auto a = config_of(true);
  a.ike_proposals = {with_prf(static_cast<std::uint16_t>(model::PrfId::hmac_sha2_256))};
  configure(pair, a, b);
  initiate(pair);
  ASSERT_EQ(pair.wire.size(), 1u);
  // On its way the offer becomes one of that prf.
  auto parsed = codec::parse_message(pair.wire.front().message);
  ASSERT_TRUE(parsed);
  codec::Message request{.header = parsed->header, .payloads = std::move(parsed->payloads)};
  for (codec::Payload& payload : request.payloads) {
    auto* sa = std::get_if<codec::SaPayload>(&payload);
    if (sa == nullptr) continue;
    for (model::Transform& one : sa->proposals.front().transforms) {
      if (one.type == model::TransformType::prf) one.id = kTiger;
    }
  }
  pair.wire.clear();
  pair.inject(pair.b, path_from(false), codec::serialize(request));
  ASSERT_FALSE(pair.b.failures.empty());
  EXPECT_EQ(pair.b.failures[0].kind, FailureKind::no_proposal_chosen);
  ASSERT_EQ(pair.wire.size(), 1u);
  const auto answer = codec::parse_message(pair.wire.front().message);
  ASSERT_TRUE(answer);
  const auto* notify = codec::first_of<codec::NotifyPayload>(answer->payloads);
  ASSERT_NE(notify, nullptr);
  EXPECT_EQ(notify->type, model::NotifyType::no_proposal_chosen);
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0u);
}

// ---- RFC 7296 2.18: the prf of the old IKE SA makes SKEYSEED, that of the new one the keys

HashId hash_of(model::PrfId prf) {
  switch (prf) {
    case model::PrfId::hmac_sha2_256: return HashId::sha2_256;
    case model::PrfId::hmac_sha2_384: return HashId::sha2_384;
    default: return HashId::sha2_512;
  }
}

/// prf+ and what the RFC cuts from it, written down once more: SK_d, SK_ei and SK_er of an AEAD with keys of 36 octets.
struct ByHand {
  Bytes sk_d, sk_ei, sk_er;
  ByHand(HashId hash, ByteView skeyseed, ByteView nonce_i, ByteView nonce_r, const KeysExported& keys) {
    ByteWriter spis;
    spis.u64(keys.spi_i.value());
    spis.u64(keys.spi_r.value());
    Bytes stream, last;
    for (std::uint8_t n = 1; n < 10; ++n) {
      const SecretBytes next = crypto::hmac(hash, skeyseed, {last, nonce_i, nonce_r, spis.view(), ByteView(&n, 1)});
      last = to_bytes(next.view());
      stream.insert(stream.end(), last.begin(), last.end());
    }
    const std::size_t size = crypto::hash_size(hash);
    const ByteView all(stream);
    sk_d = to_bytes(all.first(size));
    sk_ei = to_bytes(all.subspan(size, 36));
    sk_er = to_bytes(all.subspan(size + 36, 36));
  }
};

class ChangedPrf : public ::testing::TestWithParam<std::tuple<bool, const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(From, ChangedPrf,
                         ::testing::Values(std::tuple(true, "prfsha256", "prfsha512"),
                                           std::tuple(true, "prfsha512", "prfsha256"),
                                           std::tuple(false, "prfsha384", "prfsha256"),
                                           std::tuple(false, "prfsha256", "prfsha384")),
                         [](const auto& one) {
                           return std::string(std::get<1>(one.param)) + "To" + std::get<2>(one.param) +
                                  (std::get<0>(one.param) ? "ByA" : "ByB");
                         });

/// The nonce of a message in the clear.
Bytes nonce_in(const Datagram& datagram) {
  const auto parsed = codec::parse_message(datagram.message);
  return codec::first_of<codec::NoncePayload>(parsed->payloads)->data;
}

TEST_P(ChangedPrf, TheOldOneMakesSkeyseedAndTheNewOneTheKeys) {
  const auto& [by_a, before, after] = GetParam();
  Pair pair(1, exporting());
  const auto suite = [](const char* prf) {
    return proposals(ProtocolId::ike, {std::string("aes256gcm16-") + prf + "-x25519"});
  };
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = b.ike_proposals = suite(before);
  configure(pair, a, b);
  // What both ends have in common: each shared secret, as the initiator of the exchange computes it.
  std::vector<Bytes> secrets;
  Host& one = pair.host(by_a);
  one.postpones = [&](const Request& request) {
    const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
    if (exchange != nullptr && exchange->own && exchange->peer_value)
      secrets.push_back(to_bytes(exchange->own->derive(*exchange->peer_value)->view()));
    return false;
  };
  for (Host* host : {&pair.a, &pair.b}) host->exported.reserve(2);  // what is referred to stays where it is
  initiate(pair, by_a);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  ASSERT_EQ(secrets.size(), 1u);
  const Bytes first_nonce_i = nonce_in(pair.wire.at(0));
  const Bytes first_nonce_r = nonce_in(pair.wire.at(1));
  const KeysExported& old = one.exported.at(0);
  const SecretBytes seed =
      crypto::hmac(hash_of(old.suite.prf), concat({first_nonce_i, first_nonce_r}), {secrets.at(0)});
  const ByHand old_keys(hash_of(old.suite.prf), seed.view(), first_nonce_i, first_nonce_r, old);
  ASSERT_EQ(to_hex(old_keys.sk_ei), to_hex(old.sk_ei.view()));
  ASSERT_EQ(to_hex(old_keys.sk_er), to_hex(old.sk_er.view()));

  a.ike_proposals = b.ike_proposals = suite(after);
  pair.command(pair.a, ConfigureConnection{a});
  pair.command(pair.b, ConfigureConnection{b});
  pair.wire.clear();
  pair.command(one, RekeyIkeSa{one.ike_sa().ike_sa});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  ASSERT_EQ(secrets.size(), 2u);
  ASSERT_EQ(one.exported.size(), 2u);
  const KeysExported& fresh = one.exported.at(1);
  ASSERT_NE(fresh.suite.prf, old.suite.prf);

  std::map<bool, Bytes> nonces;  // by whether it is a response
  const auto packet = *model::packet_suite(old.suite.encryption, old.suite.key_bits, old.suite.integrity);
  for (const Datagram& datagram : pair.wire) {
    if (datagram.header().exchange != ExchangeType::create_child_sa) continue;
    const bool response = datagram.header().response;
    auto opener = *codec::MessageOpener::make(packet, (response ? old.sk_er : old.sk_ei).view(), {});
    const auto message = opener.open(datagram.message, *codec::parse_message(datagram.message));
    ASSERT_TRUE(message);
    nonces[response] = message->first<codec::NoncePayload>()->data;
  }
  ASSERT_EQ(nonces.size(), 2u);
  const SecretBytes skeyseed =
      crypto::hmac(hash_of(old.suite.prf), old_keys.sk_d, {secrets.at(1), nonces[false], nonces[true]});
  const ByHand keys(hash_of(fresh.suite.prf), skeyseed.view(), nonces[false], nonces[true], fresh);
  for (const Host* host : {&pair.a, &pair.b}) {
    EXPECT_EQ(to_hex(host->exported.at(1).sk_ei.view()), to_hex(keys.sk_ei));
    EXPECT_EQ(to_hex(host->exported.at(1).sk_er.view()), to_hex(keys.sk_er));
  }
}

}  // namespace
}  // namespace culvert::ike::v2
