// EAP-TLS, TTLS and PEAP: our two halves against each other, ends that are not what they should be, and packets that
// nobody should send.
#include <functional>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "ike/eap/attributes.hpp"
#include "ike/eap/client.hpp"
#include "ike/eap/server.hpp"
#include "ike/eap/testing/tls_ends.hpp"
#include "ike/eap/tls_fragments.hpp"
#include "ike/eap/tunnelled.hpp"

namespace culvert::ike::eap {
namespace {

using namespace testing;
using model::EapCode;
using model::EapInner;
using model::EapType;
using State = Outcome::State;

constexpr std::string_view kPassword = "a pass phrase";

class OneUser final : public Users {
 public:
  const SecretBytes* secret_of(std::string_view identity) const override {
    return identity == "carol@example.net" ? &secret_ : nullptr;
  }

 private:
  SecretBytes secret_ = SecretBytes::copy_of(as_bytes(kPassword));
};

class TlsTest : public ::testing::Test {
 protected:
  void run(EapType type) {
    const bool own_certificate = type == EapType::tls;
    TlsEnd ours = client_end;
    if (!own_certificate) ours.certificates.clear();
    server.emplace(std::vector{type}, random, users,
                   TlsTerms{.context = server_end.context(true), .inner = server_inner, .server = {}, .now = now});
    client.emplace(
        std::vector{type}, identity, SecretBytes::copy_of(as_bytes(password)), random,
        TlsTerms{.context = ours.context(false), .inner = client_inner, .server = expected_server, .now = now}, outer);
    at_server = server->begin();
    at_client = {};
    told.reset();
    for (rounds = 0; rounds < 300; ++rounds) {
      at_client = client->handle(to_client ? to_client(at_server.packet) : at_server.packet);
      if (at_server.state != State::going || at_client.state != State::going) return;
      at_server = server->handle(to_server ? to_server(at_client.packet) : at_client.packet);
      if (at_server.refusal && !told) {
        told = at_server.refusal;
        told_of = at_server.identity;
      }
    }
  }
  void expect_success(std::string_view who = "carol@example.net") {
    ASSERT_EQ(at_server.state, State::success) << text(at_server) << text(at_client);
    ASSERT_EQ(at_client.state, State::success) << text(at_client);
    EXPECT_EQ(at_server.identity, who);
    ASSERT_EQ(at_server.msk.size(), kMskSize);
    EXPECT_TRUE(equal(at_server.msk.view(), at_client.msk.view()));
  }
  void expect_client_refuses(std::string_view check) {
    EXPECT_EQ(at_server.state, State::failure);
    ASSERT_EQ(at_client.state, State::failure);
    EXPECT_EQ(at_client.refusal->check, check) << at_client.refusal->to_string();
    EXPECT_TRUE(at_client.msk.empty() && at_server.msk.empty());
  }
  void expect_server_refuses(std::string_view check) {
    EXPECT_EQ(at_client.state, State::failure);
    ASSERT_EQ(at_server.state, State::failure);
    EXPECT_EQ(at_server.refusal->check, check) << at_server.refusal->to_string();
    EXPECT_TRUE(at_client.msk.empty() && at_server.msk.empty());
  }
  static std::string text(const Outcome& outcome) { return outcome.refusal ? outcome.refusal->to_string() + "\n" : ""; }

  SeededRandom random{7};
  OneUser users;
  TlsEnd server_end = TlsEnd::of(server_certificate());
  TlsEnd client_end = TlsEnd::of(client_certificate());
  std::vector<EapInner> server_inner{EapInner::mschapv2};
  std::vector<EapInner> client_inner{EapInner::mschapv2};
  std::optional<model::Identity> expected_server = model::Identity::parse("b.example");
  std::string identity = "carol@example.net";
  std::string outer;
  std::string password{kPassword};
  crypto::CalendarTime now = kToday;
  std::function<Bytes(const Bytes&)> to_client;
  std::function<Bytes(const Bytes&)> to_server;
  std::optional<EapServer> server;
  std::optional<EapClient> client;
  Outcome at_server;
  Outcome at_client;
  std::optional<Refusal> told;  // by the server, at first
  std::string told_of;          // as who the client was known then
  int rounds = 0;
};

constexpr EapType kEach[] = {EapType::tls, EapType::ttls, EapType::peap};

TEST_F(TlsTest, EachMethodInEachVersion) {  // RFC 5216 2.1, RFC 9190 2.1, RFC 5281 9, RFC 9427 2.1
  for (const EapType type : kEach) {
    for (const bool tls13 : {true, false}) {
      SCOPED_TRACE(std::string(name_of(type)) + (tls13 ? " 1.3" : " 1.2"));
      server_end.tls13 = tls13;
      run(type);
      expect_success();
    }
    client_end.tls13 = false;
    run(type);
    expect_success();
    client_end.tls13 = true;
  }
}

TEST_F(TlsTest, EachInnerMethod) {  // RFC 5281 11.2
  for (const bool tls13 : {true, false}) {
    server_end.tls13 = tls13;
    for (const auto& [inner, name] : model::kEapInnerNames) {
      server_inner = client_inner = {inner};
      for (const bool right : {true, false}) {
        SCOPED_TRACE(std::string(name) + (right ? "" : " with a wrong password"));
        password = right ? std::string(kPassword) : "another";
        for (const EapType type : {EapType::ttls, EapType::peap}) {
          if (type == EapType::peap && !model::method_of(inner)) continue;
          run(type);
          if (right) {
            expect_success();
          } else {
            expect_server_refuses("password");
            EXPECT_NE(at_server.refusal->found.find("carol"), std::string::npos);
            EXPECT_EQ(at_server.refusal->found.find("phrase"), std::string::npos);
          }
        }
      }
    }
  }
}

TEST_F(TlsTest, UnknownUserWithin) {
  identity = "eve";
  for (const auto& [inner, name] : model::kEapInnerNames) {
    SCOPED_TRACE(name);
    server_inner = client_inner = {inner};
    run(EapType::ttls);
    expect_server_refuses("identity");
  }
}

TEST_F(TlsTest, InnerMethodThatTheServerDoesNotTake) {
  client_inner = {EapInner::pap};
  run(EapType::ttls);
  expect_server_refuses("method");
  server_inner = {EapInner::pap};
  client_inner = {EapInner::md5};
  run(EapType::ttls);
  expect_server_refuses("method");
}

TEST_F(TlsTest, InnerMethodIsNegotiated) {
  server_inner = {EapInner::gtc, EapInner::mschapv2};
  for (const EapType type : {EapType::ttls, EapType::peap}) {
    run(type);
    expect_success();
  }
}

// Who is proved within is who came; outside, anything may have been said.
TEST_F(TlsTest, TheTunnelledIdentityCounts) {  // RFC 5281 5
  outer = "dave@example.net";
  for (const EapType type : {EapType::ttls, EapType::peap}) {
    std::string seen;
    to_server = [&](const Bytes& packet) {
      seen.append(packet.begin(), packet.end());
      return packet;
    };
    run(type);
    expect_success();
    EXPECT_EQ(seen.find("carol"), std::string::npos) << "our name is for nobody on the way";
  }
}

// Whoever looks for the user that could not come in finds her under her own name, not under that of the tunnel.
TEST_F(TlsTest, ARefusalIsOfTheTunnelledIdentity) {
  outer = "anonymous@example.net";
  for (const bool known : {true, false}) {
    identity = known ? "carol@example.net" : "eve@example.net";
    password = known ? "another" : std::string(kPassword);
    for (const auto& [inner, name] : model::kEapInnerNames) {
      server_inner = client_inner = {inner};
      for (const EapType type : {EapType::ttls, EapType::peap}) {
        if (type == EapType::peap && !model::method_of(inner)) continue;
        SCOPED_TRACE(std::string(name_of(type)) + " with " + std::string(name) + ", " + identity);
        run(type);
        expect_server_refuses(known ? "password" : "identity");
        EXPECT_EQ(told_of, identity);
        EXPECT_EQ(at_server.identity, identity);
      }
    }
  }
}

TEST_F(TlsTest, AnonymousWithACertificate) {  // RFC 9190 2.1.8
  for (const char* anonymous : {"anonymous", "@example.net", "anonymous@example.net"}) {
    outer = anonymous;
    run(EapType::tls);
    expect_success();
  }
}

TEST_F(TlsTest, TheDistinguishedNameAsIdentity) {
  client_end = TlsEnd::of(issue(crypto::testing::peer("carol", "")));
  identity = "C=CH, O=Culvert, CN=carol";
  run(EapType::tls);
  expect_success(identity);
  const Bytes name = issue(crypto::testing::peer("carol", "")).certificate().subject_der();
  identity.assign(name.begin(), name.end());
  run(EapType::tls);
  expect_success(identity);
}

TEST_F(TlsTest, AnotherNameThanInTheCertificate) {  // RFC 5216 5.2
  for (const char* wrong : {"dave@example.net", "carol@example.ne", "CAROL", "carol"}) {
    identity = wrong;
    run(EapType::tls);
    expect_server_refuses("eap_identity");
    EXPECT_NE(at_server.refusal->found.find("carol@example.net"), std::string::npos);
    EXPECT_FALSE(at_server.refusal->subject.empty());
  }
}

TEST_F(TlsTest, AnotherServerThanExpected) {  // RFC 5216 5.2
  for (const bool tls13 : {true, false}) {
    server_end = TlsEnd::of(issue(crypto::testing::peer("server", "DNS:c.example")));
    server_end.tls13 = tls13;
    for (const EapType type : kEach) {
      run(type);
      expect_client_refuses("eap_server");
      EXPECT_NE(at_client.refusal->found.find("c.example"), std::string::npos);
      EXPECT_EQ(at_server.refusal->check, "tls");
    }
  }
}

// Another's client certificate makes nobody a server.
TEST_F(TlsTest, AUserAsServer) {
  server_end = client_end;
  for (const EapType type : kEach) {
    run(type);
    expect_client_refuses("eap_server");
  }
  expected_server.reset();
  run(EapType::ttls);
  expect_client_refuses("eap_server");
}

struct BadCertificate {
  const char* check;
  std::function<TlsEnd(TlsEnd)> make;
};
std::vector<BadCertificate> bad_certificates(const Wish& right) {
  return {{"issuer", [=](TlsEnd) { return TlsEnd::of(issue(right, stranger())); }},
          {"expired",
           [=](TlsEnd) {
             Wish wish = right;
             wish.until = kToday - kDay;
             return TlsEnd::of(issue(wish));
           }},
          {"not_yet_valid",
           [=](TlsEnd) {
             Wish wish = right;
             wish.from = kToday + kDay;
             return TlsEnd::of(issue(wish));
           }},
          {"extended_key_usage", [=](TlsEnd) {
             Wish wish = right;
             wish.extensions.emplace_back("extendedKeyUsage", "codeSigning");
             return TlsEnd::of(issue(wish));
           }}};
}

TEST_F(TlsTest, ServersThatAreNotBelieved) {  // CVE-2023-26463
  const TlsEnd good = server_end;
  for (const auto& [check, make] : bad_certificates(crypto::testing::peer("server", "DNS:b.example"))) {
    SCOPED_TRACE(check);
    for (const EapType type : kEach) {
      for (const bool tls13 : {true, false}) {
        server_end = make(good);
        server_end.tls13 = tls13;
        std::string seen;
        to_server = [&](const Bytes& packet) {
          seen.append(packet.begin(), packet.end());
          return packet;
        };
        outer = "anonymous";
        run(type);
        expect_client_refuses(check);
        EXPECT_FALSE(at_client.refusal->subject.empty());
        EXPECT_EQ(seen.find("carol"), std::string::npos) << "it hears nothing of who we are";
      }
    }
  }
}

TEST_F(TlsTest, ClientsThatAreNotBelieved) {  // CVE-2023-26463
  const TlsEnd good = client_end;
  for (const auto& [check, make] : bad_certificates(crypto::testing::peer("carol", "email:carol@example.net"))) {
    for (const bool tls13 : {true, false}) {
      SCOPED_TRACE(std::string(check) + (tls13 ? " 1.3" : " 1.2"));
      client_end = make(good);
      client_end.tls13 = tls13;
      run(EapType::tls);
      expect_server_refuses(check);
      ASSERT_TRUE(told) << "the reason does not wait for the client";
      EXPECT_EQ(told->check, check);
      EXPECT_NE(told->subject.find("CN=carol"), std::string::npos);
    }
  }
}

TEST_F(TlsTest, Revoked) {
  server_end.lists = root().revocation_list({4660});
  run(EapType::tls);
  expect_server_refuses("revoked");
  server_end.lists = root().revocation_list({4711});
  run(EapType::tls);
  expect_success();
  server_end.lists.clear();
  client_end.lists = root().revocation_list({4660});
  for (const EapType type : kEach) {
    run(type);
    expect_client_refuses("revoked");
  }
}

TEST_F(TlsTest, AClientWithoutACertificate) {
  client_end.certificates.clear();
  for (const bool tls13 : {true, false}) {
    server_end.tls13 = tls13;
    run(EapType::tls);
    expect_server_refuses("tls");
  }
}

// CVE-2021-45079: success before the method is over, at each point.
TEST_F(TlsTest, SuccessBeforeTheEnd) {
  for (const bool tls13 : {true, false}) {
    server_end.tls13 = tls13;
    for (const EapType type : kEach) {
      to_client = {};
      run(type);
      expect_success();
      const int needed = rounds;
      for (int early = 1; early < needed; ++early) {
        int seen = 0;
        to_client = [&](const Bytes& packet) { return ++seen == early ? make_end(EapCode::success, 1) : packet; };
        run(type);
        EXPECT_EQ(at_client.state, State::failure) << name_of(type) << " at " << early;
        EXPECT_TRUE(at_client.msk.empty());
        EXPECT_NE(at_server.state, State::success);
      }
    }
  }
}

// RFC 9190 2.5: with TLS 1.3 the client's part ends before the server has judged it.
TEST_F(TlsTest, NoSuccessWithoutTheCommitment) {
  int after_finished = 0;
  to_client = [&](const Bytes& packet) {
    // What the server says last: the commitment, in one record.
    if (packet.size() > 6 && packet.size() < 40 && packet[4] == 13 && packet[6] == 0x17) {
      ++after_finished;
      return make_end(EapCode::success, packet[1]);
    }
    return packet;
  };
  run(EapType::tls);
  EXPECT_EQ(after_finished, 1);
  EXPECT_EQ(at_client.state, State::failure);
  EXPECT_EQ(at_client.refusal->check, "protocol");
}

TEST_F(TlsTest, LongChainsGoInFragments) {  // RFC 5216 2.1.5
  Wish wide = crypto::testing::peer("carol", "email:carol@example.net");
  for (int n = 0; n < 200; ++n)
    wide.extensions[1].second += ",DNS:a-rather-long-name-" + std::to_string(n) + ".example";
  client_end = TlsEnd::of(issue(wide));
  for (const bool tls13 : {true, false}) {
    server_end.tls13 = tls13;
    std::size_t longest = 0;
    to_server = [&](const Bytes& packet) {
      longest = std::max(longest, packet.size());
      return packet;
    };
    run(EapType::tls);
    expect_success();
    EXPECT_LE(longest, 1020u);
    EXPECT_GT(rounds, 8);
  }
}

TEST_F(TlsTest, EveryBitBentIsRefusedOrHarmless) {
  for (const EapType type : kEach) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      SeededRandom chance(seed);
      const auto bend = [&](Bytes packet) {
        if (chance.below(3) == 0 && packet.size() > 5)
          packet[5 + static_cast<std::size_t>(chance.below(packet.size() - 5))] ^=
              static_cast<std::uint8_t>(1 + chance.below(255));
        return packet;
      };
      to_client = to_server = bend;
      run(type);
      if (at_server.state == State::success && type == EapType::tls) {
        EXPECT_EQ(at_server.identity, "carol@example.net");
      }
      if (at_server.state == State::success && at_client.state == State::success) {
        EXPECT_TRUE(equal(at_server.msk.view(), at_client.msk.view()));
      }
    }
  }
}

TEST_F(TlsTest, AWrongPasswordIsNotBelievedWhateverIsBent) {
  password = "another";
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SeededRandom chance(seed);
    to_server = [&](Bytes packet) {
      if (chance.below(6) == 0) packet.resize(packet.size() - static_cast<std::size_t>(chance.below(packet.size())));
      return packet;
    };
    run(seed % 2 == 0 ? EapType::ttls : EapType::peap);
    EXPECT_NE(at_server.state, State::success);
    EXPECT_NE(at_client.state, State::success);
  }
}

}  // namespace
}  // namespace culvert::ike::eap
