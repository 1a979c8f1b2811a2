#include "ipsec/cipher_pool.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/event_queue.hpp"
#include "ipsec/inbound_path.hpp"
#include "ipsec/job_batch.hpp"
#include "ipsec/outbound_path.hpp"
#include "ipsec/sa_lengths.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

constexpr crypto::PacketSuite kCbc{crypto::CipherId::aes_cbc, 128, crypto::IntegrityId::hmac_sha2_256_128};

model::SaKeys keys_of(const crypto::PacketSuite& suite, std::uint8_t number) {
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  return {SecretBytes::copy_of(Bytes(sizes.encryption_key, number)),
          SecretBytes::copy_of(Bytes(sizes.integrity_key, static_cast<std::uint8_t>(number + 100)))};
}

// A pool with SAs that are told apart by the first octet of their keys.
class Pool : public testing::Test {
 protected:
  // Alternately the outbound and the inbound half of a pair, so that both are used; the other has another number.
  SaCipher& add(std::uint8_t number) {
    const bool outbound = number % 2 == 0;
    const auto other = static_cast<std::uint8_t>(number + 200);
    const SaKeyPair& keys = keys_.emplace_back(pool_, kCbc, keys_of(kCbc, outbound ? number : other),
                                               keys_of(kCbc, outbound ? other : number));
    return ciphers_.emplace_back(keys, outbound ? KeyDirection::outbound : KeyDirection::inbound);
  }
  std::string expanded() const {
    std::string text;
    for (const SaCipher& cipher : ciphers_) text += cipher.is_expanded() ? '1' : '0';
    return text;
  }

  bool fails_ = false;
  CipherPool::Maker make_ = CipherPool::maker_of(crypto::Backend::automatic);
  CipherPool pool_{3, [this](const crypto::PacketSuite& suite, ByteView encryption, ByteView integrity) {
                     return fails_ ? nullptr : make_(suite, encryption, integrity);
                   }};
  std::deque<SaKeyPair> keys_;
  std::deque<SaCipher> ciphers_;
};

TEST_F(Pool, AKeyIsExpandedAtItsFirstUseAndKept) {
  SaCipher& cipher = add(1);
  EXPECT_EQ(pool_.size(), 0U);
  crypto::PacketCipher* const first = cipher.get();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(cipher.get(), first);
  EXPECT_EQ(pool_.expansions(), 1U);
}

TEST_F(Pool, TheOneThatWasNotUsedSinceTheHandCameByGoes) {
  for (std::uint8_t i = 1; i <= 5; ++i) add(i);
  for (const std::size_t i : {0, 1, 2}) (void)ciphers_[i].get();
  EXPECT_EQ(expanded(), "11100");
  (void)ciphers_[3].get();  // all were used: the hand goes round once and takes the first
  EXPECT_EQ(expanded(), "01110");
  (void)ciphers_[1].get();
  (void)ciphers_[4].get();  // 1 was used meanwhile, 2 was not
  EXPECT_EQ(expanded(), "01011");
  EXPECT_EQ(pool_.size(), pool_.capacity());
}

TEST_F(Pool, WhoGoesLeavesRoom) {
  for (std::uint8_t i = 1; i <= 4; ++i) add(i);
  for (const std::size_t i : {0, 1, 3}) (void)ciphers_[i].get();
  ciphers_.pop_back();
  EXPECT_EQ(pool_.size(), 2U);
  (void)ciphers_[2].get();
  EXPECT_EQ(expanded(), "111");
}

TEST_F(Pool, AFailureIsToldAndDisturbsNobody) {
  for (std::uint8_t i = 1; i <= 4; ++i) add(i);
  for (const std::size_t i : {0, 1, 2}) (void)ciphers_[i].get();
  fails_ = true;
  EXPECT_EQ(ciphers_[3].get(), nullptr);
  EXPECT_EQ(expanded(), "1110");
  fails_ = false;
  EXPECT_NE(ciphers_[3].get(), nullptr);
}

TEST_F(Pool, TheSameKeysComeOutAgain) {
  const auto sealed = [](crypto::PacketCipher& cipher) {
    Bytes packet(8 + 16 + 32 + 16, 0x5a);
    crypto::PacketJob job;
    job.iv = packet.data() + 8;
    job.aad = {packet.data(), 8};
    job.input = job.output = packet.data() + 24;
    job.length = 32;
    job.icv = packet.data() + 56;
    cipher.seal({&job, 1});
    return packet;
  };
  for (std::uint8_t i = 1; i <= 9; ++i) add(i);
  for (int round = 0; round < 3; ++round) {
    for (std::uint8_t i = 1; i <= 9; ++i) {
      const model::SaKeys keys = keys_of(kCbc, i);
      const auto plain = crypto::make_packet_cipher(kCbc, keys.encryption.view(), keys.integrity.view()).value();
      EXPECT_EQ(sealed(*ciphers_[i - 1U].get()), sealed(*plain)) << int{i};
    }
  }
  EXPECT_EQ(pool_.expansions(), 27U);
}

// SAs of two suites, more of them than the pool has room for, in one batch: a cipher that is worked with is not given
// away before its work is done.
TEST(JobBatch, OfManyKeysFromASmallPool) {
  struct Sa {
    Sa(CipherPool& pool, const crypto::PacketSuite& suite, std::uint8_t number)
        : keys(pool, suite, keys_of(suite, number), keys_of(suite, number)) {}
    SaKeyPair keys;
    SaCipher cipher{keys, KeyDirection::outbound};
    EspLayout layout;
    BatchCursor cursor;
  };
  static constexpr crypto::PacketSuite kSuites[] = {
      {crypto::CipherId::aes_gcm_16, 128}, kCbc, {crypto::CipherId::aes_gcm_16, 256}};
  constexpr std::size_t kText = 48;
  CipherPool pool(2, CipherPool::maker_of(crypto::Backend::automatic));
  std::deque<Sa> sas;
  for (std::uint8_t i = 0; i < 7; ++i) sas.emplace_back(pool, kSuites[i % 3], i);
  std::vector<Bytes> packets(JobBatch<Sa>::kCapacity, Bytes(8 + 16 + kText + 16, 0x31));
  JobBatch<Sa> batch;
  const auto add_all = [&] {
    batch.clear();
    for (std::size_t i = 0; i < packets.size(); ++i) {
      Sa& sa = sas[i * i % sas.size()];
      crypto::PacketJob job;
      job.aad = {packets[i].data(), 8};
      job.iv = packets[i].data() + 8;
      job.input = job.output = packets[i].data() + 24;
      job.length = kText;
      job.icv = packets[i].data() + 24 + kText;
      batch.add(sa, job);
    }
  };
  add_all();
  batch.seal();
  for (std::size_t i = 0; i < packets.size(); ++i) {
    ASSERT_TRUE(batch.ok(i));
    const crypto::PacketSuite& suite = sas[i * i % sas.size()].cipher.suite();
    const model::SaKeys keys = keys_of(suite, static_cast<std::uint8_t>(i * i % sas.size()));
    crypto::PacketJob job = batch.job(i);
    Bytes text(kText);
    job.output = text.data();
    crypto::make_packet_cipher(suite, keys.encryption.view(), keys.integrity.view(), crypto::Backend::openssl)
        .value()
        ->open({&job, 1});
    ASSERT_TRUE(job.ok) << i;
    ASSERT_EQ(text, Bytes(kText, 0x31));
  }
  packets[5].back() ^= 1;
  packets[6].back() ^= 1;
  add_all();
  batch.open();
  for (std::size_t i = 0; i < packets.size(); ++i) ASSERT_EQ(batch.ok(i), i != 5 && i != 6) << i;
}

// The paths of an engine whose ciphers can be made to fail, by the first octet of the encryption key.
class Paths : public testing::Test {
 protected:
  Paths() {
    spd_.replace(
        {{TwoEngines::kPolicy, PolicyAction::protect, kit_.alice_side, kit_.bob_side, TwoEngines::kConnection}});
    kit_.bob.set_policies(
        {{TwoEngines::kPolicy, PolicyAction::protect, kit_.bob_side, kit_.alice_side, TwoEngines::kConnection}});
  }
  // For the host 10.2.0.`id`; Bob has the other side.
  void install(std::uint8_t id, std::uint8_t outbound_key, std::uint8_t inbound_key,
               const model::PacketTreatment& treatment = {}, std::uint16_t path_mtu = 0) {
    auto [a, b] = kit_.make_pair(id, {});
    a.remote = b.local = {selector("10.2.0." + std::to_string(id))};
    a.outbound.encryption.mutable_view()[0] = b.inbound.encryption.mutable_view()[0] = outbound_key;
    a.inbound.encryption.mutable_view()[0] = b.outbound.encryption.mutable_view()[0] = inbound_key;
    a.treatment = treatment;
    a.path_mtu = path_mtu;
    auto pair = SaPair::make(a, shared_);
    CHECK(pair.has_value());
    update_lengths(**pair, options_.max_train_bytes);
    CHECK(sad_.install(std::move(*pair)).has_value());
    CHECK(kit_.bob.install(std::move(b), kit_.now).has_value());
  }
  Bytes packet_to(std::uint8_t host, std::size_t size = 60) {
    Flow flow = kit_.v4;
    flow.destination = address("10.2.0." + std::to_string(host));
    Bytes text(size, 'x');
    std::ranges::copy(kMarker, text.begin());
    return udp_packet(flow, text);
  }
  CollectingWire send(const std::vector<Bytes>& packets) {
    std::vector<InnerBuffer> buffers;
    std::vector<InnerPacket> views;
    buffers.reserve(packets.size());
    for (const Bytes& packet : packets) views.push_back(buffers.emplace_back(packet).view());
    CollectingWire wire;
    outbound_.run(views, kit_.now, wire);
    return wire;
  }
  static bool shows_plaintext(const CollectingWire& wire) {
    return std::ranges::any_of(
        wire.trains, [](const SentTrain& train) { return !std::ranges::search(train.bytes, kMarker).empty(); });
  }

  static constexpr std::string_view kMarker = "this must not be seen";
  static constexpr std::uint8_t kBad = 0xbd;
  bool broken_ = true;
  CipherPool::Maker make_ = CipherPool::maker_of(crypto::Backend::automatic);
  TwoEngines kit_;
  EngineOptions options_;
  SaShared shared_{[this](const crypto::PacketSuite& suite, ByteView encryption, ByteView integrity) {
                     return broken_ && encryption[0] == kBad ? nullptr : make_(suite, encryption, integrity);
                   },
                   4};
  Spd spd_;
  EventQueue events_{100};
  NatFlows nat_{events_, kit_.random};
  Sad sad_{options_.spi_layout};
  DropCounters drops_;
  OutboundPath outbound_{options_, spd_, sad_, nat_, events_, drops_, kit_.random};
  InboundPath inbound_{options_, spd_, sad_, nat_, events_, drops_, kit_.random};
};

TEST_F(Paths, WithoutACipherNothingLeavesAndTheRestDoes) {
  install(1, 1, 1);
  install(2, kBad, 1);
  install(3, 2, 1);
  // Among others, in trains of several packets, and alone.
  const CollectingWire mixed =
      send({packet_to(1), packet_to(2), packet_to(2), packet_to(3), packet_to(1), packet_to(2), packet_to(3)});
  EXPECT_FALSE(shows_plaintext(mixed));
  EXPECT_EQ(mixed.packets().size(), 4U);
  EXPECT_EQ(kit_.bob_receives(mixed.packets()).packets.size(), 4U);
  EXPECT_EQ(drops_.of(DropReason::seal_impossible), 3U);
  EXPECT_TRUE(send({packet_to(2)}).trains.empty());
  EXPECT_EQ(drops_.of(DropReason::seal_impossible), 4U);
  // It goes on when the library can again, and no number comes twice.
  broken_ = false;
  const CollectingWire after = send({packet_to(2)});
  ASSERT_EQ(after.packets().size(), 1U);
  EXPECT_EQ(load_be32(after.packets()[0].data() + 4), 5U);
  EXPECT_EQ(kit_.bob_receives(after.packets()).packets, std::vector<Bytes>{packet_to(2)});
}

// A super-packet is sealed piece by piece, while others of the batch still wait for the cipher.
TEST_F(Paths, WithoutACipherNoSuperPacketLeavesEither) {
  install(1, 1, 1);
  install(2, kBad, 1);
  const Offload offload{.segmentation = Offload::Segmentation::udp, .segment_size = 100, .checksum_partial = true};
  InnerBuffer before(packet_to(1));
  InnerBuffer super(packet_to(2, 1000), offload);
  InnerBuffer behind(packet_to(1, 1000), offload);
  const std::array<InnerPacket, 3> packets{before.view(), super.view(), behind.view()};
  CollectingWire wire;
  outbound_.run(packets, kit_.now, wire);
  EXPECT_FALSE(shows_plaintext(wire));
  EXPECT_EQ(wire.packets().size(), 11U);
  EXPECT_EQ(kit_.bob_receives(wire.packets()).packets.size(), 11U);
  EXPECT_EQ(drops_.of(DropReason::seal_impossible), 10U);
}

// Whole packets that we cut ourselves: their pieces are made after sealing.
TEST_F(Paths, WithoutACipherNoFragmentLeavesEither) {
  kit_.path.local.port = kit_.path.remote.port = 0;
  for (const std::uint8_t id : std::initializer_list<std::uint8_t>{1, 2}) {
    auto [a, b] = kit_.make_pair(id, {});
    a.mode = model::Mode::transport;
    a.encapsulation = model::Encapsulation::none;
    a.path_mtu = 600;
    a.remote = {selector("10.2.0." + std::to_string(id))};
    a.outbound.encryption.mutable_view()[0] = id == 1 ? 1 : kBad;
    kit_.path.local.address = a.path.local.address = kit_.v4.source;
    kit_.path.remote.address = a.path.remote.address = address("10.2.0." + std::to_string(id));
    auto pair = SaPair::make(a, shared_);
    ASSERT_TRUE(pair);
    update_lengths(**pair, options_.max_train_bytes);
    ASSERT_TRUE(sad_.install(std::move(*pair)));
  }
  const CollectingWire wire = send({packet_to(1, 1000), packet_to(2, 1000), packet_to(1, 40)});
  EXPECT_FALSE(shows_plaintext(wire));
  EXPECT_EQ(wire.trains.size(), 3U) << "two pieces and a whole packet";
  EXPECT_EQ(drops_.of(DropReason::seal_impossible), 1U);
  EXPECT_EQ(drops_.of(DropReason::path_too_narrow), 0U);
}

TEST_F(Paths, WhatCannotBeOpenedIsNoForgery) {
  install(1, 1, 1);
  install(2, 1, kBad);
  const auto from = [&](std::uint8_t host) {
    Flow flow = kit_.v4.reversed();
    flow.source = address("10.2.0." + std::to_string(host));
    return kit_.sends(kit_.bob, {udp_packet(flow, as_bytes("answer"))}).packets().at(0);
  };
  const auto receive = [&](std::vector<Bytes> packets) {
    std::vector<WireInput> inputs;
    for (Bytes& packet : packets) inputs.push_back({.path = kit_.path, .bytes = packet});
    CollectingInner inner;
    inbound_.run(inputs, kit_.now, inner);
    return inner.packets.size();
  };
  const Bytes good = from(1);
  const Bytes bad = from(2);
  EXPECT_EQ(receive({bad, good, bad}), 1U);
  EXPECT_EQ(drops_.of(DropReason::open_impossible), 2U);
  EXPECT_EQ(drops_.of(DropReason::bad_icv), 0U);
  EXPECT_EQ(sad_.find(model::ChildSaId{2})->counters().integrity_drops, 0U);
  broken_ = false;
  EXPECT_EQ(receive({bad, bad}), 1U) << "the window had not moved, and moves now";
  EXPECT_EQ(drops_.of(DropReason::replayed), 1U);
}

TEST_F(Paths, SasOfAKindShareTheirProfile) {
  model::PacketTreatment other;
  other.outer.hop_limit = 12;
  for (const std::uint8_t id : std::initializer_list<std::uint8_t>{1, 2, 3}) install(id, 1, 1);
  for (const std::uint8_t id : std::initializer_list<std::uint8_t>{4, 5}) install(id, 1, 1, other);
  EXPECT_EQ(shared_.profiles.size(), 2U);
  const auto profile = [&](std::uint64_t id) { return sad_.find(model::ChildSaId{id})->params.profile; };
  EXPECT_EQ(profile(1), profile(3));
  EXPECT_NE(profile(1), profile(4));
  EXPECT_EQ(profile(5)->treatment.outer.hop_limit, 12);
  std::vector<model::Spi> released;
  for (const std::uint64_t id : {4, 5}) sad_.retire(model::ChildSaId{id}, kit_.now);
  sad_.expire(kit_.now, released);
  EXPECT_EQ(shared_.profiles.size(), 1U);
}

}  // namespace
}  // namespace culvert::ipsec
