// Very many SAs over very few expanded keys: batches of random packets over random SAs, lost at random. Whatever the
// pool does, what arrives is what was sent, no (SPI, IV) is used twice, and no plaintext shows.
#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

constexpr std::size_t kSas = 300;
constexpr std::string_view kMarker = "this text must not show on the wire";

struct PoolCase {
  const char* name;
  model::EspSuite suite;
  std::size_t expanded_keys;
};

class FewExpandedKeys : public testing::TestWithParam<PoolCase> {
 protected:
  void SetUp() override {
    EngineOptions options;
    options.expanded_keys = GetParam().expanded_keys;
    options.flow_cache_entries = 64;
    kit_ = std::make_unique<TwoEngines>(options);
    kit_->set_policies();
    for (std::size_t i = 0; i < kSas; ++i) {
      auto [a, b] = kit_->make_pair(i + 1, GetParam().suite);
      a.remote = b.local = {model::TrafficSelector::of(net::AddressRange::of(host(i)))};
      CHECK(kit_->alice.install(std::move(a), kit_->now).has_value());
      CHECK(kit_->bob.install(std::move(b), kit_->now).has_value());
    }
  }
  static net::IpAddress host(std::size_t i) {
    return net::IpAddress::v4({10, 2, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
  }
  Bytes make_packet(bool to_bob) {
    Flow flow = kit_->v4;
    flow.destination = host(random_.below(kSas));
    Bytes text = random_bytes(random_, kMarker.size() + random_.below(400));
    std::ranges::copy(kMarker, text.begin());
    return udp_packet(to_bob ? flow : flow.reversed(), text);
  }
  void exchange(bool to_bob) {
    Engine& from = to_bob ? kit_->alice : kit_->bob;
    Engine& to = to_bob ? kit_->bob : kit_->alice;
    std::vector<Bytes> packets;
    for (std::uint64_t i = 1 + random_.below(200); i > 0; --i) packets.push_back(make_packet(to_bob));
    std::vector<Bytes> sent = kit_->sends(from, packets).packets();
    ASSERT_EQ(sent.size(), packets.size());
    std::vector<Bytes> carried;
    std::multiset<Bytes> expected;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      ASSERT_TRUE(std::ranges::search(sent[i], kMarker).empty());
      const std::size_t iv = GetParam().suite.encryption == model::EncryptionId::aes_cbc ? 16 : 8;
      const Bytes id(sent[i].begin(), sent[i].begin() + static_cast<std::ptrdiff_t>(kEspHeaderSize + iv));
      ASSERT_TRUE(ivs_[to_bob].emplace(load_be32(id.data()), Bytes(id.begin() + kEspHeaderSize, id.end())).second);
      if (random_.below(5) == 0) continue;
      carried.push_back(std::move(sent[i]));
      expected.insert(packets[i]);
    }
    const net::Path path = to_bob ? net::Path{kit_->path.remote, kit_->path.local} : kit_->path;
    const CollectingInner inner = kit_->receives(to, path, carried);
    ASSERT_EQ(std::multiset<Bytes>(inner.packets.begin(), inner.packets.end()), expected);
    EXPECT_TRUE(kit_->receives(to, path, carried).packets.empty()) << "replayed";
  }

  SeededRandom random_{20};
  std::unique_ptr<TwoEngines> kit_;
  std::array<std::set<std::pair<std::uint32_t, Bytes>>, 2> ivs_;  // by direction
};

TEST_P(FewExpandedKeys, EveryPacketArrivesUnderItsOwnKeyAndIv) {
  for (int i = 0; i < 60 && !HasFatalFailure(); ++i) exchange(random_.below(2) == 0);
}

constexpr model::EspSuite kGcm{};
constexpr model::EspSuite kCbc{
    .encryption = model::EncryptionId::aes_cbc, .key_bits = 256, .integrity = model::IntegrityId::hmac_sha2_512_256};
constexpr model::EspSuite kChaCha{.encryption = model::EncryptionId::chacha20_poly1305, .key_bits = 0};

INSTANTIATE_TEST_SUITE_P(Pools, FewExpandedKeys,
                         testing::Values(PoolCase{"gcm_one", kGcm, 1}, PoolCase{"gcm_two", kGcm, 2},
                                         PoolCase{"gcm_100", kGcm, 100}, PoolCase{"gcm_all", kGcm, 2 * kSas},
                                         PoolCase{"cbc_two", kCbc, 2}, PoolCase{"chacha20_two", kChaCha, 2}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace culvert::ipsec
