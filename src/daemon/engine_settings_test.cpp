#include "daemon/engine_settings.hpp"

#include <gtest/gtest.h>

#include "config/load.hpp"

namespace culvert::daemon {
namespace {

using std::chrono::seconds;

// The defaults of the manual are those of the engine.
TEST(EngineSettings, DefaultsAreTheEngines) {
  const ipsec::EngineOptions made = engine_options({});
  const ipsec::EngineOptions plain;
  EXPECT_EQ(made.flow_cache_entries, plain.flow_cache_entries);
  EXPECT_EQ(made.expanded_keys, plain.expanded_keys);
  EXPECT_EQ(made.path_mtu.believe_errors, plain.path_mtu.believe_errors);
  EXPECT_EQ(made.path_mtu.floor_v4, plain.path_mtu.floor_v4);
  EXPECT_EQ(made.path_mtu.floor_v6, plain.path_mtu.floor_v6);
  EXPECT_EQ(made.path_mtu.age, plain.path_mtu.age);
  EXPECT_EQ(made.fragments.packets, plain.fragments.packets);
  EXPECT_EQ(made.fragments.age, plain.fragments.age);
  EXPECT_EQ(made.fragments.early_fragments, plain.fragments.early_fragments);
  EXPECT_EQ(made.fragments.early_bytes, plain.fragments.early_bytes);
  EXPECT_EQ(made.fragments.early_age, plain.fragments.early_age);
  EXPECT_EQ(made.reassembly.packets, plain.reassembly.packets);
  EXPECT_EQ(made.reassembly.fragments, plain.reassembly.fragments);
  EXPECT_EQ(made.reassembly.bytes, plain.reassembly.bytes);
  EXPECT_EQ(made.reassembly.age, plain.reassembly.age);
}

TEST(EngineSettings, EverySettingArrives) {
  const auto loaded = config::load_texts({{"a.toml", R"([daemon]
flow_cache_entries = 9000
expanded_keys = 100
icmp_path_mtu = false
min_pmtu = 600
min_pmtu_ipv6 = 1300
mtu_expires = "2m"
fragment_packets = 11
fragment_time = "12s"
early_fragments = 13
early_fragment_bytes = "70KB"
early_fragment_time = "14s"
reassembly_packets = 15
reassembly_fragments = 16
reassembly_bytes = "2MB"
reassembly_time = "17s"
)"}});
  ASSERT_TRUE(loaded) << loaded.error().front().to_string();
  const ipsec::EngineOptions made = engine_options(loaded->daemon.packets);
  EXPECT_EQ(made.flow_cache_entries, 9000U);
  EXPECT_EQ(made.expanded_keys, 100U);
  EXPECT_FALSE(made.path_mtu.believe_errors);
  EXPECT_EQ(made.path_mtu.floor_v4, 600);
  EXPECT_EQ(made.path_mtu.floor_v6, 1300);
  EXPECT_EQ(made.path_mtu.age, seconds(120));
  EXPECT_EQ(made.fragments.packets, 11U);
  EXPECT_EQ(made.fragments.age, seconds(12));
  EXPECT_EQ(made.fragments.early_fragments, 13U);
  EXPECT_EQ(made.fragments.early_bytes, 70'000U);
  EXPECT_EQ(made.fragments.early_age, seconds(14));
  EXPECT_EQ(made.reassembly.packets, 15U);
  EXPECT_EQ(made.reassembly.fragments, 16U);
  EXPECT_EQ(made.reassembly.bytes, 2'000'000U);
  EXPECT_EQ(made.reassembly.age, seconds(17));
}

}  // namespace
}  // namespace culvert::daemon
