// Manual SAs beside a data plane that records: what is asked of the ledger, when an SA stands, and what it says when it
// does not.
#include "control/manual_sas.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/clone.hpp"
#include "config/load.hpp"
#include "control/testing/data_plane_stub.hpp"

namespace culvert::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class ManualDataPlane final : public testing::DataPlaneStub {
 public:
  Result<void, ipsec::DataPlaneError> reserve_spi(model::Spi spi) override {
    if (taken) return err(ipsec::DataPlaneError::no_free_spi);
    reserved.push_back(spi);
    return {};
  }
  void release_spi(model::Spi spi) override { released.push_back(spi); }
  Result<void, ipsec::DataPlaneError> install(model::ChildSaParams params) override {
    if (refuse) return err(ipsec::DataPlaneError::unsupported_mode);
    installed.push_back(std::move(params));
    return {};
  }
  void remove(model::ChildSaId child, Duration linger) override {
    EXPECT_EQ(linger, Duration::zero());
    removed.push_back(child);
  }
  void grant_sequence(model::ChildSaId, std::uint64_t granted) override { grants.push_back(granted); }
  std::optional<ipsec::SaCounters> counters(model::ChildSaId) const override { return count; }

  bool taken = false;
  bool refuse = false;
  std::vector<model::Spi> reserved, released;
  std::vector<model::ChildSaParams> installed;
  std::vector<model::ChildSaId> removed;
  std::vector<std::uint64_t> grants;
  ipsec::SaCounters count;
};

struct Wish {
  std::string name = "lab";
  int spi_in = 0x1001;
  std::string suite = "aes128gcm16-esn";
  std::string in = "0x0102030405060708090a0b0c0d0e0f1011121314";
  std::string out = "0x2122232425262728292a2b2c2d2e2f3031323334";
  std::string more;
};

config::ManualConfig entry(const Wish& wish) {
  std::string text = "[manual." + wish.name +
                     "]\nlocal_address = \"192.0.2.1\"\npeer = \"192.0.2.2\"\nspi_in = " + std::to_string(wish.spi_in) +
                     "\nspi_out = 0x2001\nsuite = \"" + wish.suite + "\"\nencryption_key_in = \"" + wish.in +
                     "\"\nencryption_key_out = \"" + wish.out +
                     "\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n" + wish.more;
  const auto loaded = config::load_texts({{"a.toml", text}});
  if (!loaded) ADD_FAILURE() << loaded.error().front().to_string();
  return config::clone(loaded->manual.at(0));
}

/// AES-CBC: no nonce depends on the number.
Wish uncounted() {
  Wish wish;
  wish.suite = "aes128-sha256-noesn";
  wish.in = "0x0102030405060708090a0b0c0d0e0f10";
  wish.out = "0x2122232425262728292a2b2c2d2e2f30";
  const std::string key(64, 'a');
  wish.more = "integrity_key_in = \"0x" + key + "\"\nintegrity_key_out = \"0x" + key + "\"\n";
  return wish;
}

class Manual : public ::testing::Test {
 protected:
  Result<void, std::string> add(const Wish& wish, std::uint32_t connection = 1) {
    return sas.add(entry(wish), true, model::ConnectionId(connection), now);
  }
  std::optional<ReserveSequence> asked() {
    while (!requests.empty()) {
      Request request = std::move(requests.front());
      requests.pop_front();
      if (auto* const one = std::get_if<ReserveSequence>(&request)) return std::move(*one);
    }
    return std::nullopt;
  }
  void answer(std::uint64_t used, std::uint64_t granted) {
    sas.handle_reservation(view().child.id, SequenceReservation{used, granted}, now);
  }
  void deny(const std::string& why) { sas.handle_reservation(view().child.id, err(why), now); }
  void bring_up(const Wish& wish = {}) {
    ASSERT_TRUE(add(wish));
    ASSERT_TRUE(asked());
    answer(0, 1000);
    ASSERT_EQ(view().state, ManualState::up);
  }
  ManualView view(std::string_view name = "lab") {
    for (ManualView& one : sas.views()) {
      if (one.name == name) return one;
    }
    ADD_FAILURE() << "no view of " << name;
    return {};
  }
  std::size_t said(std::string_view what, Notice::Level level) {
    return static_cast<std::size_t>(std::ranges::count_if(
        notices, [&](const Notice& one) { return one.level == level && one.text.find(what) != std::string::npos; }));
  }
  void wait(Duration time) {
    now += time;
    sas.handle_time(now);
  }

  Instant now{seconds(1000)};
  ManualDataPlane plane;
  std::deque<Request> requests;
  std::deque<Notice> notices;
  ManualSas sas{plane, requests, notices, 1000};
};

TEST_F(Manual, NumbersAreReservedBeforeTheSaStands) {
  ASSERT_TRUE(add({}));
  EXPECT_EQ(plane.reserved, std::vector<model::Spi>{model::Spi(0x1001)});
  EXPECT_EQ(view().state, ManualState::waiting);
  const auto request = asked();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->block, 1000U);
  EXPECT_EQ(request->last, ~std::uint64_t{0});
  EXPECT_FALSE(request->follows);
  EXPECT_EQ(request->fingerprint.size(), 32U);
  EXPECT_TRUE(plane.installed.empty());
  answer(5000, 6000);
  ASSERT_EQ(plane.installed.size(), 1U);
  const model::ChildSaParams& sa = plane.installed[0];
  EXPECT_EQ(sa.sequence_used, 5000U);
  EXPECT_EQ(sa.sequence_granted, 6000U);
  EXPECT_EQ(sa.connection, model::ConnectionId(1));
  EXPECT_FALSE(sa.outbound.encryption.empty());
  EXPECT_EQ(view().state, ManualState::up);
  EXPECT_EQ(view().sequence_granted, 6000U);
  EXPECT_EQ(said("sequence numbers from 5001", Notice::Level::info), 1U);
}

TEST_F(Manual, GrantsFollowEachOtherAndStopAtTheLastNumber) {
  bring_up();
  sas.grant_wanted(view().child.id, now);
  sas.grant_wanted(view().child.id, now);
  const auto request = asked();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->follows, 1000U);
  EXPECT_FALSE(asked()) << "one question at a time";
  answer(1000, 2000);
  EXPECT_EQ(plane.grants, std::vector<std::uint64_t>{2000});
  // What the ledger refuses is asked for again; the SA stays.
  sas.grant_wanted(view().child.id, now);
  ASSERT_TRUE(asked());
  deny("the disk is full");
  EXPECT_EQ(view().state, ManualState::up);
  EXPECT_EQ(view().reason, "the disk is full");
  wait(seconds(1));
  ASSERT_TRUE(asked());
  answer(2000, 3000);
  EXPECT_EQ(view().reason, "");
  EXPECT_EQ(plane.grants.back(), 3000U);
}

// RFC 4303 3.3.3: 32-bit numbers do not cycle, not by a restart either.
TEST_F(Manual, UsedUpNumbersEndAnEntryBeforeItBegins) {
  ASSERT_TRUE(add(uncounted()));
  const auto request = asked();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->last, 0xffff'ffffU);
  answer(0xffff'ffff, 0xffff'ffff);
  EXPECT_TRUE(plane.installed.empty());
  EXPECT_EQ(view().state, ManualState::ended);
  EXPECT_THAT(view().reason, HasSubstr("used up"));
  EXPECT_EQ(plane.released, std::vector<model::Spi>{model::Spi(0x1001)});
}

TEST_F(Manual, WithoutTheLedgerOnlyWhatHasNoCountedNoncesSends) {
  ASSERT_TRUE(add({}));
  ASSERT_TRUE(asked());
  deny("no disk");
  EXPECT_EQ(view().state, ManualState::refused);
  EXPECT_TRUE(plane.installed.empty());
  wait(seconds(20));
  ASSERT_TRUE(asked()) << "it tries again";
  answer(0, 1000);
  EXPECT_EQ(view().state, ManualState::up);

  Wish other = uncounted();
  other.name = "other";
  other.spi_in = 0x1002;
  ASSERT_TRUE(add(other, 2));
  ASSERT_TRUE(asked());
  sas.handle_reservation(view("other").child.id, err(std::string("no disk")), now);
  EXPECT_EQ(view("other").state, ManualState::up);
  EXPECT_EQ(said("no disk; sequence numbers begin at 1", Notice::Level::warning), 1U);
}

// RFC 4106 2, RFC 3686 7: no number twice under one key, so no key twice.
TEST_F(Manual, WhatAnotherEntryHasIsRefused) {
  const Wish first;
  ASSERT_TRUE(add(first));
  Wish second{.name = "second", .spi_in = 0x1002};
  const auto refusal = [&](const Wish& wish) {
    const auto added = add(wish, 2);
    return added ? std::string() : added.error();
  };
  second.out = first.out;
  second.in = "0x4142434445464748494a4b4c4d4e4f5051525354";
  EXPECT_THAT(refusal(second), HasSubstr("the same outbound key"));
  second.out = first.in;
  EXPECT_THAT(refusal(second), HasSubstr("the same key in the other direction"));
  second.out = "0x6162636465666768696a6b6c6d6e6f7071727374";
  second.spi_in = first.spi_in;
  EXPECT_THAT(refusal(second), HasSubstr("the inbound SPI 0x1001 is that of the manual SA lab"));
  second.spi_in = 0x1002;
  EXPECT_EQ(refusal(second), "");
  EXPECT_THAT(refusal(second), HasSubstr("a manual SA second already"));
}

TEST_F(Manual, WaitsForItsSpi) {
  plane.taken = true;
  ASSERT_TRUE(add({}));
  EXPECT_FALSE(asked());
  EXPECT_EQ(view().state, ManualState::waiting);
  EXPECT_THAT(view().reason, HasSubstr("in use by another SA"));
  for (int i = 0; i < 10; ++i) wait(milliseconds(300));
  EXPECT_FALSE(asked());
  EXPECT_GE(said("in use by another SA", Notice::Level::error), 1U) << "it is no moment's wait any more";
  plane.taken = false;
  wait(seconds(10));
  EXPECT_TRUE(asked());
}

TEST_F(Manual, RemovalEndsTheSaOrGivesTheSpiBack) {
  ASSERT_TRUE(add({}));
  sas.remove("lab");
  EXPECT_EQ(plane.released, std::vector<model::Spi>{model::Spi(0x1001)});
  EXPECT_FALSE(sas.has("lab"));
  bring_up();
  const model::ChildSaId child = view().child.id;
  sas.remove("lab");
  EXPECT_EQ(plane.removed, std::vector<model::ChildSaId>{child});
  EXPECT_EQ(plane.released.size(), 1U) << "the data plane gives it back itself";
  sas.handle_reservation(child, SequenceReservation{0, 1000}, now);
  EXPECT_EQ(plane.installed.size(), 1U) << "an answer to nobody";
}

TEST_F(Manual, LifetimesInTime) {
  bring_up({.more = "soft_lifetime = \"50m\"\nhard_lifetime = \"1h\"\n"});
  EXPECT_EQ(sas.next_timeout(), now + std::chrono::minutes(50));
  wait(std::chrono::minutes(50));
  EXPECT_EQ(said("nears the end of its time", Notice::Level::warning), 1U);
  EXPECT_EQ(view().state, ManualState::up);
  wait(std::chrono::minutes(10));
  EXPECT_EQ(view().state, ManualState::ended);
  EXPECT_EQ(view().reason, "its time is over: new keys are needed");
  EXPECT_EQ(plane.removed.size(), 1U);
  EXPECT_FALSE(sas.next_timeout());
}

TEST_F(Manual, TheDataPlanesLimitsEndIt) {
  bring_up();
  sas.expired(view().child.id, false);
  EXPECT_EQ(said("nears its limit of bytes or packets", Notice::Level::warning), 1U);
  sas.expired(view().child.id, true);
  EXPECT_EQ(view().state, ManualState::ended);
  EXPECT_THAT(view().reason, HasSubstr("limit of bytes or packets"));
}

TEST_F(Manual, NumbersThatRunOutAreToldApartFromLimits) {
  bring_up(uncounted());
  plane.count.outbound_sequence = 0xffff'fff0;
  sas.expired(view().child.id, true);
  EXPECT_THAT(view().reason, HasSubstr("sequence numbers are used up"));
}

// An answer that was on its way when the entry ended changes nothing: neither its state nor what it says of itself.
TEST_F(Manual, AnAnswerToAnEndedEntryIsNoNews) {
  bring_up({.more = "hard_lifetime = \"1h\"\n"});
  const model::ChildSaId child = view().child.id;
  sas.grant_wanted(child, now);
  ASSERT_TRUE(asked());
  wait(std::chrono::hours(1));
  for (const Result<SequenceReservation, std::string>& late :
       {Result<SequenceReservation, std::string>(SequenceReservation{1000, 2000}),
        Result<SequenceReservation, std::string>(err(std::string("no disk")))}) {
    sas.handle_reservation(child, late, now);
    EXPECT_EQ(view().state, ManualState::ended);
    EXPECT_EQ(view().reason, "its time is over: new keys are needed");
    EXPECT_FALSE(sas.next_timeout()) << "and nothing is tried again";
  }
  EXPECT_EQ(plane.installed.size(), 1U);
}

// The grant that is due again and the end of the time in one turn.
TEST_F(Manual, ARetryAndTheEndInOneTurn) {
  bring_up({.more = "hard_lifetime = \"1h\"\n"});
  const model::ChildSaId child = view().child.id;
  now += std::chrono::hours(1) - milliseconds(10);
  sas.grant_wanted(child, now);
  ASSERT_TRUE(asked());
  sas.handle_reservation(child, err(std::string("no disk")), now);
  wait(seconds(1));
  EXPECT_EQ(view().state, ManualState::ended);
  if (asked()) sas.handle_reservation(child, SequenceReservation{1000, 2000}, now);
  EXPECT_EQ(view().reason, "its time is over: new keys are needed");
  EXPECT_EQ(said("manual SA ended", Notice::Level::error), 1U);
}

TEST_F(Manual, ARefusalOfTheDataPlaneSaysWhy) {
  plane.refuse = true;
  ASSERT_TRUE(add({}));
  ASSERT_TRUE(asked());
  answer(0, 1000);
  EXPECT_EQ(view().state, ManualState::ended);
  EXPECT_THAT(view().reason, HasSubstr("the data plane refuses it"));
  EXPECT_TRUE(plane.released.empty()) << "a pair that was refused has given its SPI back already";
  sas.remove("lab");
  EXPECT_TRUE(plane.released.empty());

  plane.refuse = false;
  bring_up();
  sas.refused(view().child.id, ipsec::DataPlaneError::no_free_spi);
  EXPECT_EQ(view().state, ManualState::ended);
  EXPECT_THAT(view().reason, HasSubstr(ipsec::to_string(ipsec::DataPlaneError::no_free_spi)));
  EXPECT_EQ(view().reason.find("limit"), std::string::npos);
}

TEST_F(Manual, KeysAreExportedWhereThatIsWantedAndOnlyThere) {
  bring_up();
  EXPECT_TRUE(requests.empty());
  std::deque<Request> exported;
  ManualSas open{plane, exported, notices, 1000, true};
  ASSERT_TRUE(open.add(entry({}), true, model::ConnectionId(2), now));
  open.handle_reservation(open.views().at(0).child.id, SequenceReservation{0, 1000}, now);
  ASSERT_EQ(exported.size(), 2U);
  const auto* const keys = std::get_if<ExportEspKeys>(&exported.back());
  ASSERT_NE(keys, nullptr);
  EXPECT_EQ(keys->spi_inbound, model::Spi(0x1001));
  EXPECT_EQ(keys->spi_outbound, model::Spi(0x2001));
  EXPECT_EQ(keys->path.remote.address, *net::IpAddress::parse("192.0.2.2"));
  EXPECT_EQ(to_hex(keys->outbound.encryption.view()), "2122232425262728292a2b2c2d2e2f3031323334");
  EXPECT_EQ(to_hex(keys->inbound.encryption.view()), "0102030405060708090a0b0c0d0e0f1011121314");
}

}  // namespace
}  // namespace culvert::control
