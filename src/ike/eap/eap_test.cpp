// EAP conversations, our two halves against each other and against hand-made packets.
#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "crypto/md4.hpp"
#include "ike/eap/client.hpp"
#include "ike/eap/ms_chap.hpp"
#include "ike/eap/server.hpp"

namespace culvert::ike::eap {
namespace {

using model::EapCode;
using model::EapType;
using State = Outcome::State;

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(as_bytes(text)); }

class TestUsers final : public Users {
 public:
  const SecretBytes* secret_of(std::string_view identity) const override {
    const auto found = held.find(identity);
    return found == held.end() ? nullptr : &found->second;
  }
  std::map<std::string, SecretBytes, std::less<>> held;
};

class EapTest : public ::testing::Test {
 protected:
  EapTest() { users.held.emplace("carol", secret("a pass phrase")); }

  EapServer server(std::vector<EapType> methods) { return {std::move(methods), random, users}; }
  EapClient client(std::vector<EapType> methods, std::string_view password = "a pass phrase",
                   std::string identity = "carol") {
    return {std::move(methods), std::move(identity), secret(password), random};
  }
  /// Until one of them is at its end.
  void run(EapServer& a, EapClient& b) {
    at_server = a.begin();
    for (int i = 0; i < 100 && at_server.state == State::going; ++i) {
      at_client = b.handle(at_server.packet);
      if (at_client.state != State::going) return;
      at_server = a.handle(at_client.packet);
    }
    at_client = b.handle(at_server.packet);
  }

  SeededRandom random{7};
  TestUsers users;
  Outcome at_server;
  Outcome at_client;
};

// RFC 2759 9.2.
TEST(MsChap, KnownAnswers) {
  ms_chap::Exchange exchange;
  const auto challenge = *from_hex("5b5d7c7d7b3f2f3e3c2c602132262628");
  const auto peer = *from_hex("21402324255e262a28295f2b3a337c7e");
  std::copy(challenge.begin(), challenge.end(), exchange.server_challenge.begin());
  std::copy(peer.begin(), peer.end(), exchange.peer_challenge.begin());
  exchange.name = "User";
  const auto hash = ms_chap::password_hash(as_bytes("clientPass"));
  ASSERT_TRUE(hash);
  EXPECT_EQ(to_hex(hash->view()), "44ebba8d5312b8d611474411f56989ae");
  const ms_chap::Response response = ms_chap::nt_response(exchange, *hash);
  EXPECT_EQ(to_hex(response), "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df");
  EXPECT_EQ(ms_chap::authenticator_response(exchange, *hash, response), "S=407A5589115FD0D6209F510FE9C04566932CDA56");
  // RFC 3079 3.5.3: the server's send key; the other direction stands before it.
  const SecretBytes msk = ms_chap::master_session_key(*hash, response);
  EXPECT_EQ(to_hex(msk.view().subspan(16, 16)), "8b7cdc149b993a1ba118cb153f56dccb");
  EXPECT_NE(to_hex(msk.view().first(16)), to_hex(msk.view().subspan(16, 16)));
  EXPECT_EQ(to_hex(msk.view().subspan(32)), std::string(64, '0'));
  // A domain in front says nothing.
  exchange.name = "DOMAIN\\User";
  EXPECT_EQ(ms_chap::nt_response(exchange, *hash), response);
}

TEST(MsChap, PasswordsAreUtf8) {
  // U+00E9 and U+1F600 as UTF-16, the low octet first.
  const auto hash = ms_chap::password_hash(as_bytes("\xc3\xa9\xf0\x9f\x98\x80"));
  ASSERT_TRUE(hash);
  EXPECT_EQ(to_hex(hash->view()), to_hex(crypto::md4(*from_hex("e9003dd800de"))));
  for (const std::string_view bad : {"\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe9", "\xff"})
    EXPECT_FALSE(ms_chap::password_hash(as_bytes(bad))) << to_hex(as_bytes(bad));
  EXPECT_TRUE(ms_chap::password_hash(as_bytes(std::string(256, 'a'))));
  EXPECT_FALSE(ms_chap::password_hash(as_bytes(std::string(257, 'a'))));
}

TEST_F(EapTest, EachMethodBothWays) {
  for (const EapType type : {EapType::mschapv2, EapType::md5_challenge, EapType::gtc}) {
    SCOPED_TRACE(name_of(type));
    EapServer a = server({type});
    EapClient b = client({type});
    run(a, b);
    EXPECT_EQ(at_server.state, State::success);
    EXPECT_EQ(at_client.state, State::success);
    EXPECT_EQ(at_server.identity, "carol");
    EXPECT_EQ(at_server.method, type);
    EXPECT_EQ(at_server.msk.size(), type == EapType::mschapv2 ? kMskSize : 0);
    EXPECT_TRUE(equal(at_server.msk.view(), at_client.msk.view()));
  }
}

TEST_F(EapTest, WrongPassword) {
  for (const EapType type : {EapType::mschapv2, EapType::md5_challenge, EapType::gtc}) {
    SCOPED_TRACE(name_of(type));
    EapServer a = server({type});
    EapClient b = client({type}, "another pass phrase");
    run(a, b);
    ASSERT_EQ(at_server.state, State::failure);
    EXPECT_EQ(at_server.refusal->check, "password");
    EXPECT_NE(at_server.refusal->found.find("carol"), std::string::npos);
    EXPECT_NE(at_server.refusal->found.find(name_of(type)), std::string::npos);
    EXPECT_EQ(at_server.refusal->found.find("phrase"), std::string::npos);
    ASSERT_EQ(at_client.state, State::failure);
    EXPECT_EQ(at_client.refusal->check, type == EapType::mschapv2 ? "password" : "refused");
    EXPECT_EQ(at_client.refusal->found.find("phrase"), std::string::npos);
    EXPECT_TRUE(at_server.msk.empty());
    EXPECT_TRUE(at_client.msk.empty());
  }
}

// Whoever nobody knows sees the same packets as with a wrong password: as many, as long.
TEST_F(EapTest, UnknownIdentityLooksLikeAWrongPassword) {
  for (const EapType type : {EapType::mschapv2, EapType::md5_challenge, EapType::gtc}) {
    SCOPED_TRACE(name_of(type));
    std::vector<std::size_t> sizes[2];
    for (const bool known : {true, false}) {
      EapServer a = server({type});
      EapClient b = client({type}, "a wrong one", known ? "carol" : "eve00");
      at_server = a.begin();
      while (at_server.state == State::going) {
        sizes[known ? 0 : 1].push_back(at_server.packet.size());
        at_server = a.handle(b.handle(at_server.packet).packet);
      }
      EXPECT_EQ(at_server.refusal->check, known ? "password" : "identity");
    }
    EXPECT_EQ(sizes[0], sizes[1]);
  }
}

TEST_F(EapTest, MethodsAreNegotiated) {
  EapServer a = server({EapType::mschapv2, EapType::md5_challenge, EapType::gtc});
  EapClient b = client({EapType::gtc, EapType::md5_challenge});
  run(a, b);
  EXPECT_EQ(at_server.state, State::success);
  EXPECT_EQ(at_server.method, EapType::md5_challenge);  // the server's order counts
}

TEST_F(EapTest, NoMethodInCommon) {
  EapServer a = server({EapType::mschapv2});
  EapClient b = client({EapType::gtc});
  run(a, b);
  ASSERT_EQ(at_server.state, State::failure);
  EXPECT_EQ(at_server.refusal->check, "method");
  EXPECT_NE(at_server.refusal->found.find("wants GTC, we take MSCHAPV2"), std::string::npos)
      << at_server.refusal->found;
  EXPECT_EQ(at_client.state, State::failure);
}

// A client that says no for ever.
TEST_F(EapTest, OneNakOnly) {
  EapServer a = server({EapType::mschapv2, EapType::md5_challenge});
  at_server = a.begin();
  at_server = a.handle(make_packet(EapCode::response, at_server.packet[1], EapType::identity, as_bytes("carol")));
  at_server = a.handle(make_packet(EapCode::response, at_server.packet[1], EapType::nak, Bytes{4}));
  EXPECT_EQ(at_server.state, State::going);
  at_server = a.handle(make_packet(EapCode::response, at_server.packet[1], EapType::nak, Bytes{26}));
  EXPECT_EQ(at_server.state, State::failure);
}

// CVE-2021-45079: success before the method ran, or in its middle.
TEST_F(EapTest, EarlySuccessIsNotBelieved) {
  for (int rounds = 0; rounds < 3; ++rounds) {
    EapServer a = server({EapType::mschapv2});
    EapClient b = client({EapType::mschapv2});
    at_server = a.begin();
    for (int i = 0; i < rounds; ++i) {
      at_client = b.handle(at_server.packet);
      at_server = a.handle(at_client.packet);
    }
    at_client = b.handle(make_end(EapCode::success, at_server.packet[1]));
    ASSERT_EQ(at_client.state, State::failure) << rounds;
    EXPECT_EQ(at_client.refusal->check, "protocol");
  }
}

// CVE-2015-8023: the client's acknowledgement where no response was right, or was there at all.
TEST_F(EapTest, AcknowledgementAloneProvesNothing) {
  for (const bool after_wrong : {false, true}) {
    EapServer a = server({EapType::mschapv2});
    EapClient b = client({EapType::mschapv2}, "wrong");
    at_server = a.handle(b.handle(a.begin().packet).packet);
    if (after_wrong) at_server = a.handle(b.handle(at_server.packet).packet);
    ASSERT_EQ(at_server.state, State::going);
    at_server = a.handle(make_packet(EapCode::response, at_server.packet[1], EapType::mschapv2, Bytes{3}));
    EXPECT_EQ(at_server.state, State::failure) << after_wrong;
    EXPECT_TRUE(at_server.msk.empty());
  }
}

// A server that does not know the password gets no acknowledgement, whatever it claims.
TEST_F(EapTest, ServerMustProveItself) {
  users.held.at("carol") = secret("something else");
  EapServer a = server({EapType::mschapv2});
  EapClient b = client({EapType::mschapv2});
  const Outcome challenge = a.handle(b.handle(a.begin().packet).packet);
  ASSERT_EQ(b.handle(challenge.packet).state, State::going);
  Bytes data{3, challenge.packet[6], 0, 46};
  const std::string proof = "S=" + std::string(40, '0');
  data.insert(data.end(), proof.begin(), proof.end());
  at_client = b.handle(make_packet(EapCode::request, 9, EapType::mschapv2, data));
  ASSERT_EQ(at_client.state, State::failure);
  EXPECT_EQ(at_client.refusal->check, "password");
  EXPECT_TRUE(at_client.packet.empty());
}

// CVE-2025-62291: failure requests of odd lengths.
TEST_F(EapTest, ShortFailureRequests) {
  for (std::size_t size = 0; size < 60; ++size) {
    EapServer a = server({EapType::mschapv2});
    EapClient b = client({EapType::mschapv2});
    const Outcome challenge = a.handle(b.handle(a.begin().packet).packet);
    ASSERT_EQ(b.handle(challenge.packet).state, State::going);
    Bytes data{4, 1, 0, static_cast<std::uint8_t>(size)};
    data.resize(size, 'E');
    at_client = b.handle(make_packet(EapCode::request, 9, EapType::mschapv2, data));
    // In order from four octets on: then acknowledged; but never a success behind it.
    EXPECT_EQ(at_client.state, size >= 4 ? State::going : State::failure) << size;
    if (at_client.state == State::going) {
      EXPECT_EQ(b.handle(make_end(EapCode::success, 9)).state, State::failure);
    }
  }
}

// Truncated or lengthened anywhere, in each packet of either side: refused, or as good as before, never more.
TEST_F(EapTest, TruncatedPackets) {
  for (const EapType type : {EapType::mschapv2, EapType::md5_challenge, EapType::gtc}) {
    for (int round = 0; round < 3; ++round) {
      for (std::size_t cut = 0; cut < 80; ++cut) {
        EapServer a = server({type});
        EapClient b = client({type});
        at_server = a.begin();
        for (int i = 0; i < round && at_server.state == State::going; ++i)
          at_server = a.handle(b.handle(at_server.packet).packet);
        if (at_server.state != State::going) continue;
        at_client = b.handle(at_server.packet);
        if (cut >= at_client.packet.size()) continue;
        at_server = a.handle(ByteView(at_client.packet).first(cut));
        ASSERT_EQ(at_server.state, State::failure);
        EXPECT_FALSE(at_server.refusal->found.empty());
      }
    }
  }
}

TEST_F(EapTest, IdentifiersMustFit) {
  EapServer a = server({EapType::mschapv2});
  const Bytes request = a.begin().packet;
  const auto wrong = static_cast<std::uint8_t>(request[1] + 1);
  at_server = a.handle(make_packet(EapCode::response, wrong, EapType::identity, as_bytes("carol")));
  EXPECT_EQ(at_server.state, State::failure);
}

TEST_F(EapTest, AServerThatNeverEnds) {
  EapClient b = client({EapType::mschapv2});
  unsigned answers = 0;
  while (b.handle(make_packet(EapCode::request, 1, EapType::notification, as_bytes("patience"))).state == State::going)
    ++answers;
  EXPECT_EQ(answers, kMostRounds);
}

TEST_F(EapTest, OneMethodInOneConversation) {
  EapServer a = server({EapType::mschapv2});
  EapClient b = client({EapType::mschapv2, EapType::gtc});
  ASSERT_EQ(b.handle(a.handle(b.handle(a.begin().packet).packet).packet).state, State::going);
  at_client = b.handle(make_packet(EapCode::request, 5, EapType::gtc, as_bytes("Password?")));
  EXPECT_EQ(at_client.state, State::failure);  // and the password stays here
  EXPECT_TRUE(at_client.packet.empty());
}

TEST_F(EapTest, TheNameInTheResponseIsThePeer) {
  users.held.emplace("dave", secret("a pass phrase"));
  EapServer a = server({EapType::mschapv2});
  EapClient dave = client({EapType::mschapv2}, "a pass phrase", "dave");
  at_server = a.begin();
  at_server = a.handle(make_packet(EapCode::response, at_server.packet[1], EapType::identity, as_bytes("carol")));
  at_server = a.handle(dave.handle(at_server.packet).packet);
  ASSERT_EQ(at_server.state, State::failure);
  EXPECT_EQ(at_server.refusal->check, "identity");
}

// Random octets and random bends of right packets: no fault but a refusal.
TEST_F(EapTest, BentPackets) {
  for (int seed = 0; seed < 3000; ++seed) {
    SeededRandom chance(static_cast<std::uint64_t>(seed));
    EapServer a = server({EapType::mschapv2, EapType::md5_challenge, EapType::gtc});
    EapClient b = client({EapType::mschapv2, EapType::gtc});
    at_server = a.begin();
    const auto bend = [&](Bytes packet) {
      if (chance.below(3) == 0 && !packet.empty())
        packet[static_cast<std::size_t>(chance.below(packet.size()))] ^=
            static_cast<std::uint8_t>(1 + chance.below(255));
      return packet;
    };
    for (int i = 0; i < 10 && at_server.state == State::going; ++i) {
      at_client = b.handle(bend(at_server.packet));
      if (at_client.state != State::going) break;
      at_server = a.handle(bend(at_client.packet));
    }
    EXPECT_FALSE(at_server.state == State::success && at_server.identity != "carol");
  }
}

}  // namespace
}  // namespace culvert::ike::eap
