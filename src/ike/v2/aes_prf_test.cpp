// IKE SAs whose prf is AES-XCBC-PRF-128 (RFC 4434) or AES-CMAC-PRF-128 (RFC 4615): set up, rekeyed, and only where both
// sides name them.
#include <string>

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;

struct Suite {
  const char* ike;
  model::PrfId prf;
};

class AesPrf : public ::testing::TestWithParam<Suite> {};
INSTANTIATE_TEST_SUITE_P(Suites, AesPrf,
                         ::testing::Values(Suite{"aes128-aesxcbc-prfaesxcbc-x25519", model::PrfId::aes128_xcbc},
                                           Suite{"aes128-aescmac-prfaescmac-x25519", model::PrfId::aes128_cmac},
                                           Suite{"aes256gcm16-prfaesxcbc-x25519", model::PrfId::aes128_xcbc}),
                         [](const auto& one) {
                           std::string name = one.param.ike;
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(AesPrf, SetUpAndRekeyed) {
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = b.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, GetParam().ike)};
  configure(pair, a, b);
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.ike_sa().suite.prf, GetParam().prf);
  const auto first = pair.a.ike_sa().spi_i;
  pair.command(pair.a, RekeyIkeSa{pair.a.ike_sa().ike_sa});
  ASSERT_TRUE(pair.run_until([&] { return in_step(pair) && pair.a.ike_sa().spi_i != first; }));
  EXPECT_EQ(pair.b.ike_sa().suite.prf, GetParam().prf);
}

TEST(AesPrfChoice, IsNotOfferedUnlessNamed) {
  for (const model::Proposal& proposal : model::default_ike_proposals()) {
    for (const model::Transform& transform : proposal.transforms) {
      if (transform.type != model::TransformType::prf) continue;
      EXPECT_NE(transform.id, static_cast<std::uint16_t>(model::PrfId::aes128_xcbc));
      EXPECT_NE(transform.id, static_cast<std::uint16_t>(model::PrfId::aes128_cmac));
    }
  }
}

}  // namespace
}  // namespace culvert::ike::v2
