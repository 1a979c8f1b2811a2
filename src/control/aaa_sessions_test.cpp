#include "control/aaa_sessions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::control {
namespace {

using model::TerminateCause;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = model::SessionRecord::Kind;

constexpr model::IkeSaId kFirst{1};
constexpr model::IkeSaId kSecond{2};

class Session : public ::testing::Test {
 protected:
  static model::Authorization carol() {
    model::Authorization allowed;
    allowed.radius = "office";
    allowed.session_id = "5e55";
    allowed.user = "carol";
    allowed.accounting = true;
    return allowed;
  }
  void begin(const model::Authorization& allowed = carol(), model::IkeSaId sa = kFirst) {
    sessions_.begin(sa, std::make_shared<const model::Authorization>(allowed), "workers",
                    {*net::Endpoint::parse("192.0.2.1:4500"), *net::Endpoint::parse("198.51.100.7:4500")},
                    {*net::IpAddress::parse("10.9.0.7")}, now_);
  }
  std::vector<model::IkeSaId> pass(Duration time) {
    now_ += time;
    return sessions_.handle_time([this](model::IkeSaId) { return live_; }, now_);
  }
  model::SessionRecord only_record() {
    auto records = sessions_.take_records();
    EXPECT_EQ(records.size(), 1U);
    return records.empty() ? model::SessionRecord{} : records.front();
  }
  static ipsec::SaCounters carried(std::uint64_t in, std::uint64_t out) {
    return {.inbound_packets = in, .inbound_bytes = 100 * in, .outbound_packets = out, .outbound_bytes = 100 * out};
  }
  model::SessionQuery query() { return {.radius = "office"}; }

  AaaSessions sessions_;
  model::SessionTraffic live_;
  Instant now_{seconds(1000)};
};

TEST_F(Session, StartAndStopWithWhatWasCarried) {
  begin();
  auto record = only_record();
  EXPECT_EQ(record.kind, Kind::start);
  EXPECT_EQ(record.tunnel, "workers");
  EXPECT_EQ(record.addresses.size(), 1U);
  EXPECT_FALSE(sessions_.next_timeout());
  sessions_.add(kFirst, carried(3, 5));
  // Rekeyed: the same session.
  sessions_.move(kFirst, kSecond);
  sessions_.end(kFirst, ike::CloseReason::rekeyed, now_);
  EXPECT_THAT(sessions_.take_records(), IsEmpty());
  sessions_.add(kSecond, carried(10, 20));
  now_ += minutes(5);
  sessions_.end(kSecond, ike::CloseReason::peer_deleted, now_);
  record = only_record();
  EXPECT_EQ(record.kind, Kind::stop);
  EXPECT_EQ(record.cause, TerminateCause::user_request);
  EXPECT_EQ(record.lasted, minutes(5));
  EXPECT_EQ(
      record.traffic,
      (model::SessionTraffic{.input_octets = 1300, .output_octets = 2500, .input_packets = 13, .output_packets = 25}));
  EXPECT_TRUE(sessions_.empty());
}

// RFC 2866 5.10.
TEST_F(Session, CausesOfItsEnd) {
  const auto cause = [&](ike::CloseReason reason) {
    begin();
    sessions_.end(kFirst, reason, now_);
    return sessions_.take_records().back().cause;
  };
  EXPECT_EQ(cause(ike::CloseReason::local_request), TerminateCause::admin_reset);
  EXPECT_EQ(cause(ike::CloseReason::peer_dead), TerminateCause::lost_service);
  EXPECT_EQ(cause(ike::CloseReason::superseded), TerminateCause::port_preempted);
  EXPECT_EQ(cause(ike::CloseReason::protocol_error), TerminateCause::nas_error);
  sessions_.shut_down();
  EXPECT_EQ(cause(ike::CloseReason::local_request), TerminateCause::nas_reboot);
}

TEST_F(Session, WithoutAccountingNothingIsTold) {
  auto allowed = carol();
  allowed.accounting = false;
  allowed.interim_interval = minutes(1);
  allowed.session_timeout = hours(1);
  begin(allowed);
  EXPECT_THAT(pass(minutes(30)), IsEmpty());
  EXPECT_THAT(pass(minutes(30)), ElementsAre(kFirst));
  sessions_.end(kFirst, ike::CloseReason::local_request, now_);
  EXPECT_THAT(sessions_.take_records(), IsEmpty());
  sessions_.begin(kSecond, nullptr, "workers", {}, {}, now_);
  EXPECT_TRUE(sessions_.empty());
}

TEST_F(Session, ItsTimeIsUp) {
  auto allowed = carol();
  allowed.session_timeout = hours(1);
  begin(allowed);
  EXPECT_EQ(sessions_.next_timeout(), now_ + hours(1));
  sessions_.move(kFirst, kSecond);
  EXPECT_THAT(pass(hours(1) - seconds(1)), IsEmpty());
  EXPECT_THAT(pass(seconds(1)), ElementsAre(kSecond));
  // Told once.
  EXPECT_THAT(pass(hours(1)), IsEmpty());
  (void)sessions_.take_records();
  sessions_.end(kSecond, ike::CloseReason::local_request, now_);
  EXPECT_EQ(only_record().cause, TerminateCause::session_timeout);
}

TEST_F(Session, IdleMeansNoPacketInAWholeSpan) {
  auto allowed = carol();
  allowed.idle_timeout = minutes(10);
  begin(allowed);
  for (int i = 0; i < 5; ++i) {
    ++live_.output_packets;
    EXPECT_THAT(pass(minutes(10)), IsEmpty());
  }
  // What a Child SA took with it when it was rekeyed still counts.
  live_ = {};
  sessions_.add(kFirst, carried(0, 6));
  EXPECT_THAT(pass(minutes(10)), IsEmpty());
  EXPECT_THAT(pass(minutes(10)), ElementsAre(kFirst));
  (void)sessions_.take_records();
  sessions_.end(kFirst, ike::CloseReason::local_request, now_);
  EXPECT_EQ(only_record().cause, TerminateCause::idle_timeout);
}

// RFC 2869 2.1.
TEST_F(Session, InterimReports) {
  auto allowed = carol();
  allowed.interim_interval = minutes(5);
  begin(allowed);
  (void)sessions_.take_records();
  live_ = {.input_octets = 50, .output_octets = 60, .input_packets = 5, .output_packets = 6};
  for (int i = 1; i <= 3; ++i) {
    EXPECT_THAT(pass(minutes(5)), IsEmpty());
    const auto record = only_record();
    EXPECT_EQ(record.kind, Kind::interim);
    EXPECT_EQ(record.lasted, i * minutes(5));
    EXPECT_EQ(record.traffic, live_);
  }
}

TEST_F(Session, QueriesMeanWhoFitsAll) {
  begin();
  auto dave = carol();
  dave.user = "dave";
  dave.session_id = "5e56";
  begin(dave, kSecond);
  auto wanted = query();
  EXPECT_THAT(sessions_.find(wanted), IsEmpty()) << "all of them are nobody's";
  wanted.tunnel = "workers";
  EXPECT_THAT(sessions_.find(wanted), IsEmpty());
  wanted.calling_station = "198.51.100.7";
  EXPECT_THAT(sessions_.find(wanted), ElementsAre(kFirst, kSecond));
  wanted.user = "dave";
  EXPECT_THAT(sessions_.find(wanted), ElementsAre(kSecond));
  wanted.session_id = "5e55";
  EXPECT_THAT(sessions_.find(wanted), IsEmpty());
  wanted.user = "carol";
  wanted.addresses = {*net::IpAddress::parse("10.9.0.7")};
  wanted.gateway = *net::IpAddress::parse("192.0.2.1");
  wanted.called_station = "192.0.2.1";
  EXPECT_THAT(sessions_.find(wanted), ElementsAre(kFirst));
  wanted.radius = "another";
  EXPECT_THAT(sessions_.find(wanted), IsEmpty());
}

TEST_F(Session, ChangesCountFromNow) {
  auto allowed = carol();
  allowed.session_timeout = hours(1);
  begin(allowed);
  now_ += minutes(30);
  sessions_.change(
      kFirst, {.session_timeout = minutes(10), .classes = {Bytes{7}}}, [this](model::IkeSaId) { return live_; }, now_);
  EXPECT_EQ(sessions_.next_timeout(), now_ + minutes(10));
  (void)sessions_.take_records();
  sessions_.end(kFirst, ike::CloseReason::peer_deleted, now_);
  EXPECT_EQ(only_record().authorization->classes, std::vector<Bytes>{Bytes{7}});
}

TEST_F(Session, ZeroIsNoEndlessLoop) {
  auto allowed = carol();
  allowed.idle_timeout = Duration::zero();
  allowed.interim_interval = Duration::zero();
  begin(allowed);
  EXPECT_FALSE(sessions_.next_timeout());
  sessions_.change(
      kFirst, {.idle_timeout = Duration::zero(), .interim_interval = Duration::zero()},
      [this](model::IkeSaId) { return live_; }, now_);
  EXPECT_THAT(pass(hours(1)), IsEmpty());
}

}  // namespace
}  // namespace culvert::control
