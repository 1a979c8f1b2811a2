#include "radius/accounting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::radius {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using Kind = model::SessionRecord::Kind;

const ByteView kSecret = as_bytes("what both ends know of each other");

class RadiusAccounting : public ::testing::Test {
 protected:
  RadiusAccounting() : client(settings(), random), accounting(nas, client) {}
  static ClientSettings settings() {
    ClientSettings out;
    out.servers = {*net::Endpoint::parse("192.0.2.9:1813")};
    out.secret = SecretBytes::copy_of(kSecret);
    return out;
  }
  static model::SessionRecord record(Kind kind, std::string session = "5e55") {
    model::Authorization allowed;
    allowed.radius = "office";
    allowed.session_id = std::move(session);
    allowed.user = "carol";
    allowed.classes = {Bytes{1, 2, 3}};
    allowed.accounting = true;
    return {.kind = kind,
            .authorization = std::make_shared<const model::Authorization>(allowed),
            .tunnel = "workers",
            .path = {*net::Endpoint::parse("192.0.2.1:4500"), *net::Endpoint::parse("198.51.100.7:4500")},
            .addresses = {*net::IpAddress::parse("10.9.0.7"), *net::IpAddress::parse("fd09::7")},
            .lasted = seconds(90),
            .traffic = {.input_octets = (std::uint64_t{3} << 32) + 5,
                        .output_octets = 7,
                        .input_packets = 11,
                        .output_packets = 13},
            .cause = kind == Kind::stop ? model::TerminateCause::user_request : model::TerminateCause::none};
  }
  Bytes sent() {
    const auto transmit = client.poll_transmit();
    EXPECT_TRUE(transmit);
    line = transmit->line;
    return transmit->octets;
  }
  void acknowledge(ByteView octets) {
    client.handle_datagram(
        line, PacketBuilder(Code::accounting_response).as_answer(octets[1], authenticator_of(octets), kSecret, false));
  }
  std::string settle() {
    std::string said;
    while (const auto outcome = client.poll_outcome()) said += accounting.handle(*outcome, now).value_or("");
    return said;
  }
  std::string fall_silent() {
    for (int i = 0; i < 3; ++i) {
      now += seconds(2);
      client.handle_timeout(now);
    }
    while (client.poll_transmit()) {
    }
    return settle();
  }

  SeededRandom random{3};
  Nas nas{.radius = "office", .identifier = "gw", .accounting = true, .interim_interval = {}};
  Client client;
  Accounting accounting;
  Instant now{seconds(100)};
  Line line;
};

TEST_F(RadiusAccounting, StopSaysEverything) {
  const Bytes octets = accounting_request(record(Kind::stop), nas, 1700000000, seconds(4)).with_proof(1, kSecret);
  const Packet packet = *parse(octets);
  EXPECT_TRUE(is_request_by(packet, kSecret));
  const auto number = [&](AttributeType type) { return packet.number(type).value_or(999999); };
  EXPECT_EQ(number(AttributeType::acct_status_type), 2U);
  EXPECT_EQ(number(AttributeType::event_timestamp), 1700000000U);
  EXPECT_EQ(number(AttributeType::acct_delay_time), 4U);
  EXPECT_EQ(number(AttributeType::acct_session_time), 90U);
  // RFC 2869 5.1.
  EXPECT_EQ(number(AttributeType::acct_input_octets), 5U);
  EXPECT_EQ(number(AttributeType::acct_input_gigawords), 3U);
  EXPECT_EQ(number(AttributeType::acct_output_octets), 7U);
  EXPECT_EQ(number(AttributeType::acct_output_gigawords), 0U);
  EXPECT_EQ(number(AttributeType::acct_input_packets), 11U);
  EXPECT_EQ(number(AttributeType::acct_output_packets), 13U);
  EXPECT_EQ(number(AttributeType::acct_terminate_cause), 1U);
  EXPECT_EQ(to_hex(*packet.first(AttributeType::framed_ip_address)), "0a090007");
  EXPECT_EQ(packet.first(AttributeType::framed_ipv6_address)->size(), 16U);
  EXPECT_EQ(to_hex(*packet.first(AttributeType::class_)), "010203");
  EXPECT_EQ(to_hex(*packet.first(AttributeType::user_name)), to_hex(as_bytes("carol")));
  EXPECT_EQ(to_hex(*packet.first(AttributeType::acct_session_id)), to_hex(as_bytes("5e55")));
}

TEST_F(RadiusAccounting, StartSaysNothingOfTraffic) {
  const Bytes octets = accounting_request(record(Kind::start), nas, 0, {}).with_proof(1, kSecret);
  const Packet packet = *parse(octets);
  EXPECT_EQ(packet.number(AttributeType::acct_status_type), 1U);
  EXPECT_FALSE(packet.first(AttributeType::acct_input_octets));
  EXPECT_FALSE(packet.first(AttributeType::acct_terminate_cause));
}

// RFC 2866 2.1: until it is acknowledged; 5.2: each time with the delay that it has by then.
TEST_F(RadiusAccounting, RepeatedUntilAcknowledged) {
  accounting.add(record(Kind::start), 1700000000, now);
  const Bytes first = sent();
  EXPECT_THAT(fall_silent(), HasSubstr("no RADIUS server answers"));
  EXPECT_EQ(accounting.waiting(), 1U);
  EXPECT_EQ(accounting.poll_timeout(), now + Accounting::kRetry);
  accounting.handle_timeout(now);
  EXPECT_FALSE(client.poll_transmit());
  now += Accounting::kRetry;
  accounting.handle_timeout(now);
  const Bytes second = sent();
  EXPECT_EQ(parse(second)->number(AttributeType::acct_delay_time), 36U);
  EXPECT_NE(first[1], second[1]);
  // One sentence for all the silence, and one when it is over.
  EXPECT_EQ(fall_silent(), "");
  now += Accounting::kRetry;
  accounting.handle_timeout(now);
  acknowledge(sent());
  EXPECT_EQ(settle(), "accounting is heard again");
  EXPECT_EQ(accounting.waiting(), 0U);
  EXPECT_FALSE(accounting.poll_timeout());
}

TEST_F(RadiusAccounting, IsGivenUpInTheEnd) {
  accounting.add(record(Kind::stop), 0, now);
  std::string said;
  for (unsigned i = 0; i < Accounting::kAttempts; ++i) {
    said += fall_silent();
    now += Accounting::kRetry;
    accounting.handle_timeout(now);
  }
  EXPECT_THAT(said, HasSubstr("the end of session 5e55 of 'carol' is given up"));
  EXPECT_EQ(accounting.waiting(), 0U);
  EXPECT_EQ(accounting.lost(), 1U);
}

TEST_F(RadiusAccounting, QueueIsBoundedAndInterimGoesFirst) {
  for (std::size_t i = 0; i < Accounting::kMostUnderWay + Accounting::kMost; ++i)
    accounting.add(record(i == Accounting::kMostUnderWay + 7 ? Kind::interim : Kind::start), 0, now);
  EXPECT_EQ(accounting.lost(), 0U);
  accounting.add(record(Kind::stop), 0, now);
  EXPECT_EQ(accounting.lost(), 1U);
  EXPECT_EQ(accounting.waiting(), Accounting::kMostUnderWay + Accounting::kMost);
}

TEST_F(RadiusAccounting, FewAreUnderWayAtATimeAndAllAtTheEnd) {
  for (int i = 0; i < 200; ++i) accounting.add(record(Kind::stop), 0, now);
  EXPECT_EQ(client.under_way(), Accounting::kMostUnderWay);
  acknowledge(sent());
  EXPECT_EQ(settle(), "");
  EXPECT_EQ(client.under_way(), Accounting::kMostUnderWay);
  EXPECT_EQ(accounting.waiting(), 199U);
  accounting.flush(now);
  EXPECT_EQ(client.under_way(), 199U);
}

}  // namespace
}  // namespace culvert::radius
