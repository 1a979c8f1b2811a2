// What the responder of an IKE SA with MOBIKE makes of single requests (RFC 4555 3.5 to 3.9), bad ones among them.
#include <gtest/gtest.h>

#include "ike/secrets.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/paths.hpp"
#include "ike/v2/testing/pair.hpp"
#include "ike/v2/testing/standing_sa.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;
using testing::address_of;
using testing::config_of;

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

const net::IpAddress kElsewhere = ip("198.51.100.7");  // where the initiator goes
const net::IpAddress kFarther = ip("198.51.100.8");

// An IKE SA with MOBIKE as responder, without the rest of the world.
class MobikeRequests : public ::testing::Test {
 protected:
  MobikeRequests() {
    testing::stand_as_responder(core, sa);
    sa.mobike = true;
    request.header.message_id = model::MessageId(5);
  }
  static net::Path path(const net::IpAddress& peer) { return {{address_of(false), 4500}, {peer, 4500}}; }
  codec::Message handle(const net::Path& on) {
    codec::Message answer;
    handle_mobike(core, sa, on, request, answer);
    return answer;
  }

  SeededRandom random{1};
  testing::TestSpiAllocator spis{0x1000};
  Core core{EndpointSettings{}, random, spis};
  IkeSa& sa = core.sas.add(core.next_ike_sa_id());
  codec::Message request;
};

TEST_F(MobikeRequests, AnUpdateMovesTheIkeSaAndAsksThere) {
  request.add_notify(NotifyType::update_sa_addresses);
  const codec::Message answer = handle(path(kElsewhere));
  EXPECT_TRUE(answer.payloads.empty());
  EXPECT_EQ(sa.path, path(kElsewhere));
  ASSERT_EQ(sa.tasks.size(), 1u);
  EXPECT_EQ(std::get<ProbePathTask>(sa.tasks[0].task).path, path(kElsewhere));
}

TEST_F(MobikeRequests, AnOlderUpdateChangesNothing) {  // RFC 4555 3.5
  request.add_notify(NotifyType::update_sa_addresses);
  (void)handle(path(kElsewhere));
  request.header.message_id = model::MessageId(4);
  (void)handle(path(kFarther));
  EXPECT_EQ(sa.path, path(kElsewhere));
}

TEST_F(MobikeRequests, TheResponderOfTheFirstIkeSaCannotMoveIt) {
  sa.origin_role = model::Role::initiator;
  request.add_notify(NotifyType::update_sa_addresses);
  (void)handle(path(kElsewhere));
  EXPECT_EQ(sa.path, path(address_of(true)));
  EXPECT_TRUE(sa.tasks.empty());
}

TEST_F(MobikeRequests, WithoutMobikeNothingOfItMeansAnything) {
  sa.mobike = false;
  request.add_notify(NotifyType::update_sa_addresses);
  request.add_notify(NotifyType::cookie2, Bytes(16, 1));
  EXPECT_TRUE(handle(path(kElsewhere)).payloads.empty());
  EXPECT_EQ(sa.path, path(address_of(true)));
}

TEST_F(MobikeRequests, ACookieComesBackAsItWas) {  // RFC 4555 3.7, RFC 4555 4.2.5
  for (const std::size_t size : {7U, 8U, 64U, 65U}) {
    request.payloads.clear();
    request.add_notify(NotifyType::cookie2, Bytes(size, 0x5a));
    const codec::Message answer = handle(sa.path);
    const auto* cookie = answer.notify(NotifyType::cookie2);
    const bool allowed = size >= 8 && size <= 64;
    ASSERT_EQ(cookie != nullptr, allowed) << size;
    if (allowed) {
      EXPECT_EQ(cookie->data, Bytes(size, 0x5a));
    }
  }
}

TEST_F(MobikeRequests, NatDetectionIsAnsweredWithNatDetection) {  // RFC 4555 3.8
  request.add_notify(NotifyType::nat_detection_source_ip, Bytes(20, 1));
  EXPECT_TRUE(handle(sa.path).payloads.empty());
  request.add_notify(NotifyType::nat_detection_destination_ip, Bytes(20, 2));
  const codec::Message answer = handle(sa.path);
  EXPECT_NE(answer.notify(NotifyType::nat_detection_source_ip), nullptr);
  EXPECT_NE(answer.notify(NotifyType::nat_detection_destination_ip), nullptr);
  EXPECT_TRUE(sa.tasks.empty());
}

TEST_F(MobikeRequests, UnacceptableAddressesAreRefused) {  // RFC 4555 3.5
  request.add_notify(NotifyType::update_sa_addresses);
  for (const char* bad : {"224.0.0.1", "0.0.0.0", "192.0.2.2"}) {
    const codec::Message answer = handle(path(ip(bad)));
    EXPECT_NE(answer.notify(NotifyType::unacceptable_addresses), nullptr) << bad;
    EXPECT_EQ(sa.path, path(address_of(true))) << bad;
  }
  // The user does not want it any more.
  auto config = config_of(false);
  config.mobike = false;
  core.connections.put(config);
  EXPECT_NE(handle(path(kElsewhere)).notify(NotifyType::unacceptable_addresses), nullptr);
  EXPECT_EQ(sa.path, path(address_of(true)));
}

TEST_F(MobikeRequests, AddressesThatWereChangedOnTheWayAreNotTakenOver) {  // RFC 4555 3.9, RFC 4555 4.2.6
  const auto sent = [](const net::IpAddress& from, const net::IpAddress& to) {
    ByteWriter octets;
    octets.bytes(from.bytes());
    octets.bytes(to.bytes());
    octets.u16(4500);
    octets.u16(4500);
    return octets.take();
  };
  request.add_notify(NotifyType::update_sa_addresses);
  request.add_notify(NotifyType::no_nats_allowed, sent(kFarther, address_of(false)));
  const codec::Message answer = handle(path(kElsewhere));
  EXPECT_NE(answer.notify(NotifyType::unexpected_nat_detected), nullptr);
  EXPECT_EQ(sa.path, path(address_of(true)));
  request.payloads.pop_back();
  request.add_notify(NotifyType::no_nats_allowed, sent(kElsewhere, address_of(false)));
  EXPECT_TRUE(handle(path(kElsewhere)).payloads.empty());
  EXPECT_EQ(sa.path, path(kElsewhere));
  // Of a wrong length it fits nothing.
  request.payloads.pop_back();
  request.add_notify(NotifyType::no_nats_allowed, Bytes(3));
  EXPECT_TRUE(was_translated(request, path(kElsewhere)));
}

TEST_F(MobikeRequests, AddressesOfThePeerAreKeptInBounds) {
  for (unsigned i = 0; i < 200; ++i) {
    const std::array<std::uint8_t, 4> octets{198, 18, static_cast<std::uint8_t>(i), 1};
    request.add_notify(NotifyType::additional_ip4_address, octets);
  }
  (void)handle(sa.path);
  ASSERT_TRUE(sa.mobility);
  EXPECT_EQ(sa.mobility->peers.size(), 16u);
  request.payloads.clear();
  request.header.message_id = model::MessageId(6);
  request.add_notify(NotifyType::additional_ip4_address, Bytes(16, 1));
  request.add_notify(NotifyType::additional_ip6_address, Bytes(4, 1));
  request.add_notify(NotifyType::additional_ip4_address, ip("127.0.0.1").bytes());
  request.add_notify(NotifyType::additional_ip6_address, ip("ff02::1").bytes());
  request.add_notify(NotifyType::additional_ip6_address, ip("2001:db8::5").bytes());
  request.add_notify(NotifyType::additional_ip6_address, ip("2001:db8::5").bytes());
  (void)handle(sa.path);
  EXPECT_EQ(sa.mobility->peers, (std::vector{ip("2001:db8::5")}));
  request.payloads.clear();
  request.header.message_id = model::MessageId(7);
  request.add_notify(NotifyType::no_additional_addresses);
  (void)handle(sa.path);
  EXPECT_TRUE(sa.mobility->peers.empty());
}

}  // namespace
}  // namespace culvert::ike::v2
