// What an AAA server allows a client comes with the last step of EAP, and stays with the peer's IKE SA and those that
// replace it; and one IKE SA can be ended by itself.
#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"
#include "model/aaa.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::EapType;

class Authorized : public ::testing::Test {
 protected:
  void run() {
    model::ConnectionConfig a = config_of(true);
    model::ConnectionConfig b = config_of(false);
    a.eap = model::EapSettings{.client = true, .methods = {EapType::mschapv2}, .identity = "carol"};
    b.eap = model::EapSettings{.client = false, .methods = {EapType::mschapv2}, .identity = {}};
    pair_.a.users["carol"] = to_bytes(as_bytes("a pass phrase"));
    pair_.b.postpones = [](const Request& request) {
      const auto* eap = std::get_if<EapRequest>(&request);
      return eap != nullptr && eap->step != EapRequest::Step::end;
    };
    configure(pair_, std::move(a), std::move(b));
    initiate(pair_);
    pair_.settle();
    while (!pair_.b.postponed.empty()) take_step();
  }
  void take_step() {
    const EapRequest request = std::get<EapRequest>(std::move(pair_.b.postponed.front()));
    pair_.b.postponed.pop_front();
    // Who asks a server says where the client is.
    EXPECT_FALSE(request.path.remote.address.is_unspecified());
    EapParties parties;
    parties.users.emplace("carol", SecretBytes::copy_of(as_bytes("a pass phrase")));
    EapResult result =
        pair_.b.eap_sessions.carry_out(request, std::make_shared<EapParties>(std::move(parties)), pair_.b.calendar);
    if (result.state == EapResult::State::success) result.authorization = allowed_;
    pair_.b.endpoint().handle_completion(request.token, std::move(result), pair_.now);
    pair_.command(pair_.b, PeerAlive{});  // so that what was made is sent
    pair_.settle();
  }
  Pair pair_;
  std::shared_ptr<const model::Authorization> allowed_ = std::make_shared<const model::Authorization>();
};

TEST_F(Authorized, StaysThroughRekeys) {
  run();
  ASSERT_TRUE(in_step(pair_));
  EXPECT_EQ(pair_.b.ike_sa().admission.authorization(), allowed_);
  EXPECT_EQ(pair_.a.ike_sa().admission.authorization(), nullptr);
  for (const bool first : {true, false}) {
    Host& host = pair_.host(first);
    pair_.command(host, RekeyIkeSa{host.ike_sa().ike_sa});
    pair_.advance(std::chrono::seconds(5));
    ASSERT_TRUE(in_step(pair_));
    EXPECT_EQ(pair_.b.ike_sa().admission.authorization(), allowed_);
  }
}

TEST_F(Authorized, OneIkeSaIsEndedByItself) {
  run();
  ASSERT_TRUE(in_step(pair_));
  pair_.command(pair_.b, TerminateIkeSa{model::IkeSaId(4711)});
  pair_.settle();
  ASSERT_TRUE(in_step(pair_)) << "there is no such IKE SA";
  pair_.command(pair_.b, TerminateIkeSa{pair_.b.ike_sa().ike_sa});
  pair_.settle();
  EXPECT_TRUE(pair_.a.ike_sas.empty() && pair_.b.ike_sas.empty());
  ASSERT_FALSE(pair_.a.closed.empty() || pair_.b.closed.empty());
  EXPECT_EQ(pair_.a.closed.back().reason, CloseReason::peer_deleted);
  EXPECT_EQ(pair_.b.closed.back().reason, CloseReason::local_request);
}

}  // namespace
}  // namespace culvert::ike::v2
