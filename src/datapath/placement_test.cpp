#include "datapath/placement.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/steering.hpp"

namespace culvert::datapath {
namespace {

constexpr std::uint32_t kWorkers = 4;
const ipsec::SpiLayout kLayout;

model::ChildSaParams pair_of(std::uint32_t child, std::uint32_t connection, std::uint32_t spi,
                             const char* peer = "192.0.2.7") {
  model::ChildSaParams params;
  params.id = model::ChildSaId(child);
  params.connection = model::ConnectionId(connection);
  params.spi_inbound = model::Spi(spi);
  params.path.remote.address = *net::IpAddress::parse(peer);
  return params;
}

TEST(Placement, AConnectionHasOneHomeWhereItsPeerIsReceived) {
  Placement placement(kWorkers, kLayout);
  const std::uint32_t home = io::share_of(*net::IpAddress::parse("192.0.2.7"), kWorkers);
  const auto first = placement.place(pair_of(1, 1, 0x1000'0001));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->worker, home);
  EXPECT_TRUE(first->home_changed);
  // The peer has moved; the connection stays.
  const auto second = placement.place(pair_of(2, 1, 0x1000'0002, "198.51.100.200"));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->worker, home);
  EXPECT_FALSE(second->home_changed);
  EXPECT_EQ(placement.worker_of(model::ChildSaId(2)), home);
  EXPECT_EQ(placement.home_of(model::ConnectionId(1)), (ipsec::SaHome{home, false}));

  EXPECT_FALSE(placement.gone(model::Spi(0x1000'0001)));
  EXPECT_FALSE(placement.worker_of(model::ChildSaId(1)));
  EXPECT_EQ(placement.gone(model::Spi(0x1000'0002)), model::ConnectionId(1)) << "its last pair";
  EXPECT_FALSE(placement.home_of(model::ConnectionId(1)));
  EXPECT_FALSE(placement.gone(model::Spi(0x1000'0002))) << "a second time";
}

TEST(Placement, PeersSpreadOverAllWorkers) {
  Placement placement(kWorkers, kLayout);
  std::vector<int> pairs(kWorkers);
  for (std::uint32_t i = 0; i < 400; ++i) {
    const auto place = placement.place(
        pair_of(i + 1, i + 1, 0x1000'0000 + i, fmt::format("10.0.{}.{}", i / 200, 1 + i % 200).c_str()));
    ASSERT_TRUE(place);
    ++pairs[place->worker];
  }
  for (const int count : pairs) EXPECT_NEAR(count, 100, 50);
}

// RFC 9611: a pair for one worker is that worker's, and makes no home.
TEST(Placement, APairForOneResourceIsThatWorkers) {
  Placement placement(kWorkers, kLayout);
  auto fallback = pair_of(1, 1, 0x1000'0001);
  fallback.per_resource = true;
  const auto first = placement.place(fallback);
  ASSERT_TRUE(first);
  EXPECT_EQ(placement.home_of(model::ConnectionId(1)), (ipsec::SaHome{first->worker, true}));
  for (std::uint32_t resource = 0; resource < kWorkers + 1; ++resource) {
    auto own = pair_of(10 + resource, 1, 0x1000'0010 + resource);
    own.resource = resource;
    const auto place = placement.place(own);
    ASSERT_TRUE(place);
    EXPECT_EQ(place->worker, resource % kWorkers);
    EXPECT_FALSE(place->home_changed);
    EXPECT_EQ(placement.worker_of(own.id), resource % kWorkers);
  }
  EXPECT_EQ(placement.gone(model::Spi(0x1000'0001)), model::ConnectionId(1));
  EXPECT_FALSE(placement.gone(model::Spi(0x1000'0011)));
  // The peer no longer wants any: the others hear of it.
  ASSERT_TRUE(placement.place(fallback));
  auto rekeyed = pair_of(2, 1, 0x1000'0002);
  EXPECT_TRUE(placement.place(rekeyed)->home_changed);
}

// The worker is found by the SPI's slot, so what shares a slot shares the worker.
TEST(Placement, AGivenSpiFollowsTheOneWhoseSlotItShares) {
  Placement placement(kWorkers, kLayout);
  const auto here = placement.place(pair_of(1, 1, 0x0100'0005, "192.0.2.1"));
  ASSERT_TRUE(here);
  std::string other = "192.0.2.2";
  for (int i = 2; io::share_of(*net::IpAddress::parse(other), kWorkers) == here->worker; ++i) {
    other = "192.0.2." + std::to_string(i);
  }
  const auto beside = placement.place(pair_of(2, 2, 0x7700'0005, other.c_str()));
  ASSERT_TRUE(beside);
  EXPECT_EQ(beside->worker, here->worker);
  const auto elsewhere = placement.place(pair_of(3, 3, 0x0100'0006, other.c_str()));
  ASSERT_TRUE(elsewhere);
  ASSERT_NE(elsewhere->worker, here->worker);
  const auto impossible = placement.place(pair_of(4, 3, 0x7800'0005, other.c_str()));
  ASSERT_FALSE(impossible);
  EXPECT_EQ(impossible.error(), ipsec::DataPlaneError::no_free_spi);
}

TEST(Placement, OneWorkerHasEverythingAndKeepsNoBooks) {
  Placement placement(1, kLayout);
  const auto place = placement.place(pair_of(1, 1, 0x1000'0001));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->worker, 0U);
  EXPECT_FALSE(place->home_changed);
  EXPECT_EQ(placement.worker_of(model::ChildSaId(77)), 0U);
}

}  // namespace
}  // namespace culvert::datapath
