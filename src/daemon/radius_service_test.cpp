// The RADIUS service on a real loop and real sockets of the loopback interface, with servers that the test plays:
// honest, silent and lying ones.
#include "daemon/radius_service.hpp"

#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/random.hpp"
#include "ike/eap/packet.hpp"
#include "radius/packet.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;
using ike::EapRequest;
using ike::EapResult;
using model::EapCode;
using model::EapType;
using radius::AttributeType;
using radius::Code;
using radius::Packet;
using radius::PacketBuilder;
using ::testing::HasSubstr;
using udp = asio::ip::udp;

const ByteView kSecret = as_bytes("what both ends know of each other");

/// A server whose answers a function makes; without one it is silent.
class FakeServer {
 public:
  using Answer = std::function<std::vector<Bytes>(const Packet&)>;
  FakeServer(asio::io_context& io, Answer answer)
      : socket_(io, udp::endpoint(asio::ip::make_address_v4("127.0.0.1"), 0)), answer_(std::move(answer)) {
    receive();
  }
  [[nodiscard]] net::Endpoint endpoint() const {
    return {net::IpAddress::v4({127, 0, 0, 1}), socket_.local_endpoint().port()};
  }
  std::vector<Bytes> received;

 private:
  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_), from_,
                               [this](const boost::system::error_code& error, std::size_t size) {
                                 if (error) return;
                                 received.push_back(to_bytes(ByteView(buffer_).first(size)));
                                 if (answer_) {
                                   for (const Bytes& octets : answer_(*radius::parse(received.back())))
                                     socket_.send_to(asio::buffer(octets), from_);
                                 }
                                 receive();
                               });
  }
  udp::socket socket_;
  Answer answer_;
  udp::endpoint from_;
  std::array<std::uint8_t, 5000> buffer_{};
};

Bytes accept(const Packet& request, ByteView secret = kSecret, bool with_proof = true) {
  PacketBuilder builder(Code::access_accept);
  builder.add_split(AttributeType::eap_message, ike::eap::make_end(EapCode::success, 7));
  return builder.as_answer(request.identifier, request.authenticator, secret, with_proof);
}

Bytes acknowledge(const Packet& request) {
  return PacketBuilder(Code::accounting_response).as_answer(request.identifier, request.authenticator, kSecret, false);
}

std::uint16_t free_port() {
  asio::io_context io;
  return udp::socket(io, udp::endpoint(udp::v4(), 0)).local_endpoint().port();
}

class RadiusServiceTest : public ::testing::Test {
 protected:
  static config::RadiusConfig section(std::string name, const FakeServer& server) {
    config::RadiusConfig config;
    config.name = std::move(name);
    config.servers = {{.endpoint = server.endpoint()}};
    config.secret = SecretBytes::copy_of(kSecret);
    config.nas_identifier = "gw";
    // Longer than any test: what is silent stays so.
    config.timeout = std::chrono::seconds(30);
    return config;
  }
  void configure(std::vector<config::RadiusConfig> sections) { service_.configure(sections); }
  template <typename... Sections>
  void configure_each(Sections&&... sections) {
    std::vector<config::RadiusConfig> all;
    (all.push_back(std::forward<Sections>(sections)), ...);
    service_.configure(all);
  }
  /// Until it is true, or for ten seconds.
  ::testing::AssertionResult run_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      io_.restart();
      if (io_.run_one_until(end) == 0) return ::testing::AssertionFailure() << "it did not come to that";
    }
    return ::testing::AssertionSuccess();
  }
  ike::RequestToken step(std::uint64_t sa, const std::string& section, EapRequest::Step what, Bytes packet = {}) {
    const ike::RequestToken token(++last_token_);
    service_.carry_out({.token = token,
                        .connection = model::ConnectionId(1),
                        .ike_sa = model::IkeSaId(sa),
                        .step = what,
                        .settings = {.client = false, .methods = {}, .radius = section, .identity = {}},
                        .packet = std::move(packet),
                        .path = {*net::Endpoint::parse("192.0.2.1:4500"), *net::Endpoint::parse("198.51.100.7:4500")}},
                       "workers");
    return token;
  }
  [[nodiscard]] bool has(ike::RequestToken token) const { return answers_.contains(token); }
  /// Up to the point at which the server is asked; the token of that step.
  ike::RequestToken ask(std::uint64_t sa, const std::string& section) {
    const auto begun = step(sa, section, EapRequest::Step::begin);
    EXPECT_TRUE(run_until([&] { return has(begun); }));
    const Bytes question = answers_.at(begun).packet;
    if (question.size() < 2) return begun;
    return step(sa, section, EapRequest::Step::packet,
                ike::eap::make_packet(EapCode::response, question[1], EapType::identity, as_bytes("carol")));
  }
  static model::SessionRecord record(std::string section) {
    model::Authorization allowed;
    allowed.radius = std::move(section);
    allowed.session_id = "5e55";
    allowed.user = "carol";
    allowed.accounting = true;
    model::SessionRecord made;
    made.authorization = std::make_shared<const model::Authorization>(allowed);
    return made;
  }

  asio::io_context io_;
  crypto::SystemRandom random_;
  std::map<ike::RequestToken, EapResult> answers_;
  std::vector<model::SessionQuery> ended_;
  std::string log_;
  std::uint64_t last_token_ = 0;
  RadiusService service_{io_,
                         random_,
                         {.answer = [this](auto token, auto result) { answers_.emplace(token, std::move(result)); },
                          .end_sessions =
                              [this](const model::SessionQuery& query) {
                                ended_.push_back(query);
                                return std::size_t{query.user == "carol" ? 1U : 0U};
                              },
                          .change_sessions = [](const auto&, const auto&) { return std::size_t{0}; },
                          .log = [this](auto, const std::string& text) { log_ += text + "\n"; }}};
};

TEST_F(RadiusServiceTest, ConversationGoesThroughTheServer) {
  FakeServer server(io_, [](const Packet& request) { return std::vector<Bytes>{accept(request)}; });
  configure_each(section("office", server));
  const auto token = ask(1, "office");
  ASSERT_TRUE(run_until([&] { return has(token); }));
  const EapResult& result = answers_.at(token);
  EXPECT_EQ(result.state, EapResult::State::success);
  EXPECT_EQ(result.identity, "carol");
  ASSERT_TRUE(result.authorization);
  EXPECT_EQ(result.authorization->radius, "office");
  ASSERT_EQ(server.received.size(), 1U);
  const auto request = radius::parse(server.received[0]);
  EXPECT_EQ(radius::message_proof(*request, request->authenticator, kSecret), radius::MessageProof::right);
}

// A server with a name: looked up, and asked where it is; also where the first of its addresses is silent.
TEST_F(RadiusServiceTest, AServerWithAName) {
  FakeServer server(io_, [](const Packet& request) { return std::vector<Bytes>{accept(request)}; });
  FakeServer books(io_, [](const Packet& request) { return std::vector<Bytes>{acknowledge(request)}; });
  config::RadiusConfig named = section("office", server);
  const auto by_name = [](const FakeServer& one) {
    return config::RadiusServer{.endpoint = {{}, one.endpoint().port}, .name = "localhost"};
  };
  named.servers = {by_name(server)};
  named.accounting = {by_name(books)};
  named.timeout = std::chrono::milliseconds(100);
  named.tries = 1;
  configure_each(std::move(named));
  std::uint64_t sa = 0;
  ::testing::AssertionResult went_well = ::testing::AssertionFailure();
  for (; !went_well && sa < 100; ++sa) {
    const auto token = ask(sa + 1, "office");
    ASSERT_TRUE(run_until([&] { return has(token); }));
    if (answers_.at(token).state == EapResult::State::success) went_well = ::testing::AssertionSuccess();
    io_.restart();
    io_.run_for(std::chrono::milliseconds(20));  // the resolver is on a thread of its own
  }
  EXPECT_TRUE(went_well) << answers_.rbegin()->second.refusal->found;
  // That we begin is told once there is somebody to be told (RFC 2866 5.1).
  EXPECT_TRUE(run_until([&] { return !books.received.empty(); }));
  ASSERT_FALSE(books.received.empty());
  EXPECT_EQ(radius::parse(books.received[0])->code, Code::accounting_request);
}

TEST_F(RadiusServiceTest, ANameWithoutAnAddressIsSaidOnceAndRefusesAtOnce) {
  FakeServer unused(io_, nullptr);
  config::RadiusConfig named = section("office", unused);
  named.servers = {{.endpoint = {{}, 1812}, .name = "no-such-server.invalid"}};
  configure_each(std::move(named));
  ASSERT_TRUE(run_until([&] { return !log_.empty(); }));
  EXPECT_THAT(log_, HasSubstr("the name of the RADIUS server no-such-server.invalid cannot be resolved: "));
  const std::string said = log_;
  const auto token = ask(1, "office");
  ASSERT_TRUE(run_until([&] { return has(token); }));
  ASSERT_TRUE(answers_.at(token).refusal);
  EXPECT_THAT(answers_.at(token).refusal->found, HasSubstr("no-such-server.invalid:1812, which has no address"));
  EXPECT_EQ(log_, said);
}

// Many clients wait for a silent server; another, and one of another server, do not.
TEST_F(RadiusServiceTest, SilentServersDelayNobodyElse) {
  FakeServer silent(io_, nullptr);
  FakeServer lively(io_, [](const Packet& request) { return std::vector<Bytes>{accept(request)}; });
  configure_each(section("silent", silent), section("lively", lively));
  std::vector<ike::RequestToken> waiting;
  for (std::uint64_t i = 1; i <= 200; ++i) waiting.push_back(ask(i, "silent"));
  ASSERT_TRUE(run_until([&] { return silent.received.size() == 200; }));
  for (std::uint64_t i = 1001; i <= 1020; ++i) {
    const auto token = ask(i, "lively");
    ASSERT_TRUE(run_until([&] { return has(token); }));
    EXPECT_EQ(answers_.at(token).state, EapResult::State::success);
  }
  for (const auto token : waiting) EXPECT_FALSE(has(token));
  // Whose IKE SA is gone is forgotten, and its late answer does nothing.
  for (std::uint64_t i = 1; i <= 200; ++i) (void)step(i, "silent", EapRequest::Step::end);
}

// As many as IKE has half-open peers, and no more.
TEST_F(RadiusServiceTest, NoMoreWaitThanThereMayBe) {
  FakeServer silent(io_, nullptr);
  configure_each(section("silent", silent));
  std::vector<ike::RequestToken> asked;
  for (std::uint64_t i = 1; i <= 1025; ++i) asked.push_back(ask(i, "silent"));
  ASSERT_TRUE(run_until([&] { return has(asked.back()); }));
  EXPECT_EQ(answers_.at(asked.back()).refusal->check, "radius");
  EXPECT_THAT(answers_.at(asked.back()).refusal->found, HasSubstr("too much is asked"));
  asked.pop_back();
  for (const auto token : asked) EXPECT_FALSE(has(token));
  (void)step(1, "silent", EapRequest::Step::end);
  const auto again = ask(3000, "silent");
  EXPECT_FALSE(has(again));
}

TEST_F(RadiusServiceTest, LiarChangesNothing) {
  FakeServer server(io_, [](const Packet& request) {
    Bytes cut = accept(request);
    cut.resize(cut.size() - 1);
    return std::vector<Bytes>{accept(request, as_bytes("another secret")),
                              accept(request, kSecret, false),
                              cut,
                              {},
                              Bytes(4500, 2),
                              accept(request)};
  });
  configure_each(section("office", server));
  const auto token = ask(1, "office");
  ASSERT_TRUE(run_until([&] { return has(token); }));
  EXPECT_EQ(answers_.at(token).state, EapResult::State::success);
  EXPECT_THAT(log_, HasSubstr("is not believed: its authenticator is wrong"));
}

TEST_F(RadiusServiceTest, SilenceEndsInARefusalThatNamesTheServer) {
  FakeServer silent(io_, nullptr);
  auto quick = section("office", silent);
  quick.timeout = std::chrono::milliseconds(20);
  quick.tries = 2;
  configure_each(std::move(quick));
  const auto token = ask(1, "office");
  ASSERT_TRUE(run_until([&] { return has(token); }));
  const EapResult& result = answers_.at(token);
  EXPECT_EQ(result.state, EapResult::State::failure);
  EXPECT_EQ(result.refusal->check, "radius");
  EXPECT_THAT(result.refusal->found, HasSubstr(silent.endpoint().to_string()));
  EXPECT_EQ(silent.received.size(), 2U);
  EXPECT_EQ(silent.received[0], silent.received[1]);
}

TEST_F(RadiusServiceTest, UnknownSectionsAndConversationsAreRefused) {
  const auto begun = step(1, "office", EapRequest::Step::begin);
  const auto later = step(2, "office", EapRequest::Step::packet, Bytes{2, 1, 0, 4});
  ASSERT_TRUE(run_until([&] { return has(begun) && has(later); }));
  for (const auto token : {begun, later}) EXPECT_EQ(answers_.at(token).refusal->check, "local");
}

TEST_F(RadiusServiceTest, NewConfigurationEndsWhatWaits) {
  FakeServer silent(io_, nullptr);
  FakeServer other(io_, nullptr);
  configure_each(section("office", silent), section("other", other));
  const auto changed = ask(1, "office");
  const auto kept = ask(2, "other");
  auto anew = section("office", silent);
  anew.tries = 9;
  configure_each(std::move(anew), section("other", other));
  ASSERT_TRUE(run_until([&] { return has(changed); }));
  EXPECT_EQ(answers_.at(changed).refusal->check, "local");
  EXPECT_FALSE(has(kept));
}

TEST_F(RadiusServiceTest, AccountingIsToldAndLeavesAtTheEnd) {
  FakeServer authentication(io_, nullptr);
  bool answers = true;
  FakeServer accounting(io_, [&](const Packet& request) {
    return answers ? std::vector<Bytes>{acknowledge(request)} : std::vector<Bytes>{};
  });
  auto office = section("office", authentication);
  office.accounting = {{.endpoint = accounting.endpoint()}};
  configure_each(std::move(office));
  // RFC 2866 5.1: Accounting-On.
  ASSERT_TRUE(run_until([&] { return accounting.received.size() == 1; }));
  EXPECT_EQ(radius::parse(accounting.received[0])->number(AttributeType::acct_status_type), 7U);
  service_.carry_out(record("office"));
  ASSERT_TRUE(run_until([&] { return accounting.received.size() == 2; }));
  const auto start = radius::parse(accounting.received[1]);
  EXPECT_TRUE(radius::is_request_by(*start, kSecret));
  EXPECT_EQ(start->number(AttributeType::acct_status_type), 1U);
  answers = false;
  for (int i = 0; i < 100; ++i) service_.carry_out(record("office"));
  service_.shut_down();
  ASSERT_TRUE(run_until([&] { return accounting.received.size() == 102; }));
  service_.carry_out(record("elsewhere"));
  EXPECT_THAT(log_, HasSubstr("[radius.elsewhere] is gone"));
}

TEST_F(RadiusServiceTest, DisconnectIsCarriedOutForThoseWhoMay) {
  FakeServer silent(io_, nullptr);
  auto office = section("office", silent);
  office.dynamic_port = free_port();
  office.dynamic_clients = {net::IpAddress::v4({127, 0, 0, 1})};
  const std::uint16_t port = office.dynamic_port;
  configure_each(std::move(office));
  udp::socket client(io_, udp::endpoint(asio::ip::make_address_v4("127.0.0.1"), 0));
  std::array<std::uint8_t, 4096> buffer{};
  std::optional<std::size_t> got;
  const auto send = [&](const char* from, const PacketBuilder& builder, ByteView secret) {
    udp::socket socket(io_, udp::endpoint(asio::ip::make_address_v4(from), 0));
    client = std::move(socket);
    got.reset();
    client.async_receive(asio::buffer(buffer), [&](const boost::system::error_code& error, std::size_t size) {
      if (!error) got = size;
    });
    const Bytes octets = builder.with_proof(3, secret, true);
    client.send_to(asio::buffer(octets), udp::endpoint(asio::ip::make_address_v4("127.0.0.1"), port));
    return octets;
  };
  PacketBuilder disconnect(Code::disconnect_request);
  disconnect.add_text(AttributeType::user_name, "carol");
  (void)send("127.0.0.1", disconnect, as_bytes("another secret"));
  ASSERT_TRUE(run_until([&] { return log_.find("its authenticator is wrong") != std::string::npos; }));
  EXPECT_TRUE(ended_.empty());
  const Bytes request = send("127.0.0.1", disconnect, kSecret);
  ASSERT_TRUE(run_until([&] { return got.has_value(); }));
  const auto answer = radius::parse(ByteView(buffer).first(*got));
  EXPECT_EQ(answer->code, Code::disconnect_ack);
  EXPECT_TRUE(radius::is_answer_to(*answer, radius::authenticator_of(request), kSecret));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].user, "carol");
  EXPECT_EQ(ended_[0].radius, "office");
  EXPECT_THAT(log_, HasSubstr("the RADIUS server 127.0.0.1 sends a Disconnect-Request: 1 sessions are meant"));
  // Another address, with the right secret, is a stranger.
  (void)send("127.0.0.2", disconnect, kSecret);
  PacketBuilder dave(Code::disconnect_request);
  dave.add_text(AttributeType::user_name, "dave");
  (void)send("127.0.0.1", dave, kSecret);
  ASSERT_TRUE(run_until([&] { return got.has_value(); }));
  EXPECT_EQ(radius::parse(ByteView(buffer).first(*got))->code, Code::disconnect_nak);
  ASSERT_EQ(ended_.size(), 2U);
  EXPECT_EQ(ended_[1].user, "dave");
}

}  // namespace
}  // namespace culvert::daemon
