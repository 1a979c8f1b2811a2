// A client's conversation, passed on to a server that the test plays.
#include "radius/conversation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/eap/packet.hpp"
#include "radius/mppe.hpp"

namespace culvert::radius {
namespace {

using ike::eap::make_end;
using ike::eap::make_packet;
using model::EapCode;
using model::EapType;
using ::testing::HasSubstr;
using State = ike::eap::Outcome::State;

const ByteView kSecret = as_bytes("what both ends know of each other");

class RadiusConversation : public ::testing::Test {
 protected:
  static constexpr std::uint8_t kTheirs = 77;  // the server's identifier in EAP

  Bytes identity(std::string_view name = "carol") {
    const std::uint8_t identifier = conversation.begin().packet[1];
    return make_packet(EapCode::response, identifier, EapType::identity, as_bytes(name));
  }
  /// Sends what the client said, and remembers it as the server got it.
  void ask(ByteView from_client) {
    auto builder = conversation.take_client(from_client);
    ASSERT_TRUE(builder) << builder.error().refusal->to_string();
    Authenticator random_octets;
    random.fill(random_octets);
    sent = builder->with_random(1, random_octets, kSecret);
    request = *parse(sent);
  }
  Conversation::Step answer(const PacketBuilder& builder) {
    answered = builder.as_answer(1, request.authenticator, kSecret, true);
    return conversation.take_server(*parse(answered), request.authenticator, kSecret, 1);
  }
  static PacketBuilder with_eap(Code code, ByteView message) {
    PacketBuilder builder(code);
    builder.add_split(AttributeType::eap_message, message);
    return builder;
  }
  static PacketBuilder challenge(ByteView data = as_bytes("guess")) {
    auto builder = with_eap(Code::access_challenge, make_packet(EapCode::request, kTheirs, EapType::mschapv2, data));
    builder.add_text(AttributeType::state, "where we were");
    return builder;
  }
  Bytes response(std::size_t size = 5) {
    return make_packet(EapCode::response, kTheirs, EapType::mschapv2, Bytes(size, 9));
  }
  PacketBuilder accept() const {
    auto builder = with_eap(Code::access_accept, make_end(EapCode::success, kTheirs));
    for (const auto& [type, fill] :
         {std::pair(kMppeRecvKey, std::uint8_t{1}), std::pair(kMppeSendKey, std::uint8_t{2})}) {
      const Bytes hidden =
          hide_key(Bytes(32, fill), static_cast<std::uint16_t>(0x8000 + fill), request.authenticator, kSecret);
      ByteWriter writer;
      writer.u32(kMicrosoft);
      writer.u8(type);
      writer.u8(static_cast<std::uint8_t>(hidden.size() + 2));
      writer.bytes(hidden);
      builder.add(AttributeType::vendor_specific, writer.view());
    }
    return builder;
  }
  std::string text(AttributeType type) {
    const auto value = request.first(type);
    return value ? std::string(value->begin(), value->end()) : "none";
  }
  void expect_refused(const Conversation::Step& step, std::string_view check, std::string_view found) {
    EXPECT_EQ(step.outcome.state, State::failure);
    ASSERT_TRUE(step.outcome.refusal);
    EXPECT_EQ(step.outcome.refusal->check, check);
    EXPECT_THAT(step.outcome.refusal->found, HasSubstr(std::string(found)));
    EXPECT_TRUE(step.outcome.msk.empty());
    EXPECT_FALSE(step.authorization);
  }

  SeededRandom random{11};
  Nas nas{.radius = "office", .identifier = "gw.example.net", .accounting = true, .interim_interval = {}};
  net::Path path{*net::Endpoint::parse("192.0.2.1:4500"), *net::Endpoint::parse("198.51.100.7:4500")};
  Conversation conversation{nas, "workers", path, random};
  Bytes sent, answered;
  Packet request;
};

TEST_F(RadiusConversation, FromIdentityToKey) {
  const auto first = conversation.begin();
  EXPECT_EQ(first.state, State::going);
  EXPECT_EQ(first.packet, make_packet(EapCode::request, first.packet[1], EapType::identity, {}));
  ask(identity());
  EXPECT_FALSE(conversation.server());
  // RFC 3579 2.1, RFC 2865 5.
  EXPECT_EQ(text(AttributeType::user_name), "carol");
  EXPECT_EQ(text(AttributeType::nas_identifier), "gw.example.net");
  EXPECT_EQ(text(AttributeType::calling_station_id), "198.51.100.7");
  EXPECT_EQ(text(AttributeType::called_station_id), "192.0.2.1");
  EXPECT_EQ(text(AttributeType::nas_port_id), "workers");
  EXPECT_EQ(to_hex(*request.first(AttributeType::nas_ip_address)), "c0000201");
  EXPECT_EQ(request.number(AttributeType::nas_port_type), kPortVirtual);
  EXPECT_EQ(request.joined(AttributeType::eap_message), identity());
  EXPECT_FALSE(request.first(AttributeType::state));
  EXPECT_EQ(message_proof(request, request.authenticator, kSecret), MessageProof::right);

  auto step = answer(challenge(Bytes(600, 3)));
  EXPECT_EQ(step.outcome.state, State::going);
  EXPECT_EQ(step.outcome.packet, make_packet(EapCode::request, kTheirs, EapType::mschapv2, Bytes(600, 3)));
  EXPECT_EQ(conversation.server(), 1U);

  ask(response(700));
  EXPECT_EQ(text(AttributeType::state), "where we were");
  EXPECT_EQ(text(AttributeType::user_name), "carol");
  EXPECT_EQ(request.joined(AttributeType::eap_message), response(700));

  step = answer(accept());
  EXPECT_EQ(step.outcome.state, State::success);
  EXPECT_EQ(step.outcome.identity, "carol");
  EXPECT_EQ(step.outcome.method, EapType::mschapv2);
  EXPECT_EQ(to_hex(step.outcome.msk.view()), to_hex(concat({Bytes(32, 1), Bytes(32, 2)})));
  EXPECT_EQ(step.outcome.packet, make_end(EapCode::success, kTheirs));
  ASSERT_TRUE(step.authorization);
  EXPECT_EQ(step.authorization->radius, "office");
  EXPECT_EQ(step.authorization->user, "carol");
  EXPECT_TRUE(step.authorization->accounting);
  EXPECT_EQ(step.authorization->session_id, text(AttributeType::acct_session_id));
}

TEST_F(RadiusConversation, WhatTheServerAllows) {
  ask(identity("anonymous"));
  auto builder = accept();
  builder.add_text(AttributeType::user_name, "carol");
  builder.add(AttributeType::framed_ip_address, Bytes{10, 9, 0, 7});
  builder.add(AttributeType::framed_ipv6_address, Bytes(16, 0xfd));
  builder.add_text(AttributeType::framed_pool, "staff");
  builder.add(AttributeType::class_, Bytes{0xff, 0, 1});
  builder.add_text(AttributeType::class_, "OU=sales;");
  builder.add_number(AttributeType::session_timeout, 3600);
  builder.add_number(AttributeType::idle_timeout, 600);
  builder.add_number(AttributeType::acct_interim_interval, 5);
  const auto step = answer(builder);
  ASSERT_TRUE(step.authorization);
  const model::Authorization& allowed = *step.authorization;
  // Behind a method with a tunnel, the first word is nobody's.
  EXPECT_EQ(step.outcome.identity, "carol");
  EXPECT_EQ(allowed.user, "carol");
  ASSERT_EQ(allowed.addresses.size(), 2U);
  EXPECT_EQ(allowed.addresses[0].to_string(), "10.9.0.7");
  EXPECT_EQ(allowed.pools, std::vector<std::string>{"staff"});
  EXPECT_EQ(allowed.classes.size(), 2U);
  EXPECT_EQ(group_named_by(allowed), "sales");
  EXPECT_EQ(allowed.session_timeout, std::chrono::hours(1));
  EXPECT_EQ(allowed.idle_timeout, std::chrono::minutes(10));
  // RFC 2869 5.16: a minute at least.
  EXPECT_EQ(allowed.interim_interval, std::chrono::minutes(1));
}

// RFC 2865 5.8: these are no addresses.
TEST_F(RadiusConversation, AddressesThatAreLeftOpen) {
  for (const Bytes& octets :
       {Bytes{255, 255, 255, 254}, Bytes{255, 255, 255, 255}, Bytes{0, 0, 0, 0}, Bytes{10, 9, 0}}) {
    ask(identity());
    auto builder = accept();
    builder.add(AttributeType::framed_ip_address, octets);
    const auto allowed = authorization_of(*parse(answered = builder.as_answer(1, request.authenticator, kSecret, true)),
                                          nas, "id", "carol");
    EXPECT_TRUE(allowed.addresses.empty()) << to_hex(octets);
  }
}

TEST_F(RadiusConversation, RejectCarriesTheServersWords) {
  ask(identity());
  auto builder = with_eap(Code::access_reject, make_end(EapCode::failure, kTheirs));
  builder.add_text(AttributeType::reply_message, "go away\x1b[31m");
  const auto step = answer(builder);
  expect_refused(step, "reject", "go away\\x1b[31m");
  EXPECT_EQ(step.outcome.packet, make_end(EapCode::failure, kTheirs));
}

// RFC 3579 2.6.3: the code decides, and nothing is made up.
TEST_F(RadiusConversation, ContradictionsAreRefused) {
  ask(identity());
  auto step = answer(with_eap(Code::access_reject, make_end(EapCode::success, kTheirs)));
  expect_refused(step, "reject", "refuses it");
  EXPECT_TRUE(step.outcome.packet.empty());
  expect_refused(answer(PacketBuilder(Code::access_reject)), "reject", "refuses it");
  expect_refused(answer(with_eap(Code::access_accept, make_end(EapCode::failure, kTheirs))), "radius",
                 "Access-Accept without EAP-Success");
  expect_refused(answer(PacketBuilder(Code::access_accept)), "radius", "Access-Accept without EAP-Success");
  expect_refused(answer(PacketBuilder(Code::access_challenge)), "radius", "without a whole EAP packet");
  expect_refused(answer(with_eap(Code::access_challenge, make_end(EapCode::success, kTheirs))), "radius",
                 "without a request");
  expect_refused(answer(with_eap(Code::access_challenge, Bytes{1, 2, 0, 90, 4})), "radius", "whole EAP packet");
}

TEST_F(RadiusConversation, KeysThatAreNoneAreRefused) {
  ask(identity());
  auto builder = with_eap(Code::access_accept, make_end(EapCode::success, kTheirs));
  builder.add(AttributeType::vendor_specific, Bytes{0, 0, 1, 55, kMppeRecvKey, 4, 0x80, 0});
  expect_refused(answer(builder), "radius", "are no keys");
}

TEST_F(RadiusConversation, ClientThatBreaksTheProtocol) {
  const auto refused = [&](ByteView octets, std::string_view found) {
    Conversation fresh(nas, "workers", path, random);
    (void)fresh.begin();
    const auto taken = fresh.take_client(octets);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().state, State::failure);
    EXPECT_EQ(taken.error().packet.size(), 4U);
    EXPECT_EQ(taken.error().refusal->check, "protocol");
    EXPECT_THAT(taken.error().refusal->found, HasSubstr(std::string(found)));
  };
  refused({}, "no EAP packet");
  refused(make_packet(EapCode::request, 1, EapType::identity, as_bytes("carol")), "EAP code 1");
  for (unsigned identifier = 0; identifier < 256; ++identifier) {
    Conversation fresh(nas, "workers", path, random);
    const std::uint8_t right = fresh.begin().packet[1];
    const auto number = static_cast<std::uint8_t>(identifier);
    EXPECT_EQ(
        fresh.take_client(make_packet(EapCode::response, number, EapType::identity, as_bytes("carol"))).has_value(),
        number == right);
  }
  const auto wrong = [&](EapType type, std::size_t size) {
    Conversation fresh(nas, "workers", path, random);
    return fresh.take_client(make_packet(EapCode::response, fresh.begin().packet[1], type, Bytes(size, 'x')))
        .has_value();
  };
  EXPECT_TRUE(wrong(EapType::identity, 253));
  EXPECT_FALSE(wrong(EapType::identity, 254));
  EXPECT_FALSE(wrong(EapType::identity, 0));
  EXPECT_FALSE(wrong(EapType::md5_challenge, 5));
}

TEST_F(RadiusConversation, PacketsThatDoNotFitAreRefused) {
  ask(identity());
  (void)answer(challenge());
  std::size_t most = 0;
  for (std::size_t size = 3000; size < 4200; ++size) {
    Conversation copy(nas, "workers", path, random);
    const auto builder = conversation.take_client(response(size));
    if (!builder) break;
    EXPECT_LE(builder->size(), kMostPacket);
    most = size;
    if (size > 3040 && size < 3600) size = 3600;
  }
  EXPECT_GT(most, 3000U);
  EXPECT_LT(most, 4050U);
}

TEST_F(RadiusConversation, RoundsAreBounded) {
  ask(identity());
  unsigned rounds = 1;
  for (;; ++rounds) {
    ASSERT_LE(rounds, ike::eap::kMostRounds);
    EXPECT_EQ(answer(challenge()).outcome.state, State::going);
    const auto next = conversation.take_client(response());
    if (!next) break;
  }
  EXPECT_EQ(rounds, ike::eap::kMostRounds);
}

}  // namespace
}  // namespace culvert::radius
