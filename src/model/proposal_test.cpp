#include "model/proposal.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace culvert::model {
namespace {

Proposal ike(std::string_view text) { return parse_proposal(ProtocolId::ike, text).value(); }
Proposal esp(std::string_view text) { return parse_proposal(ProtocolId::esp, text).value(); }

TEST(ParseProposal, WordsBecomeTransforms) {
  EXPECT_EQ(to_string(ike("aes256gcm16-prfsha384-x25519")), "aes256gcm16-prfsha384-x25519");
  EXPECT_EQ(to_string(ike("aes256-sha256-modp2048")), "aes256-sha256-modp2048-prfsha256")
      << "the PRF follows the integrity algorithm";
  EXPECT_EQ(to_string(esp("aes128gcm16")), "aes128gcm16-esn-noesn");
  EXPECT_EQ(to_string(esp("null-sha256-noesn")), "null-sha256-noesn");
  EXPECT_EQ(to_string(EspSuite{EncryptionId::null, 0, IntegrityId::hmac_sha2_256_128}, ProtocolId::ah), "sha256-esn");
}

TEST(ParseProposal, ErrorsNameTheWordAndTheWayOut) {
  const auto error = [](ProtocolId protocol, std::string_view text) {
    const auto result = parse_proposal(protocol, text);
    EXPECT_FALSE(result) << text;
    return result ? std::string() : result.error();
  };
  EXPECT_NE(error(ProtocolId::ike, "aes256gcm16-prfsha256-x2551").find("\"x2551\""), std::string::npos);
  EXPECT_NE(error(ProtocolId::ike, "aes256gcm16-x25519").find("names no PRF"), std::string::npos);
  EXPECT_NE(error(ProtocolId::esp, "aes256").find("names no integrity"), std::string::npos);
  EXPECT_NE(error(ProtocolId::esp, "aes256gcm16-sha256").find("remove it"), std::string::npos);
  EXPECT_NE(error(ProtocolId::esp, "aes256gcm16-aes256-sha256").find("two suites"), std::string::npos);
  EXPECT_NE(error(ProtocolId::ike, "null-sha256-x25519").find("\"null\""), std::string::npos) << "IKE must encrypt";
  EXPECT_NE(error(ProtocolId::esp, "aes256gcm16-aes256gcm16").find("twice"), std::string::npos);
  error(ProtocolId::esp, "");
  error(ProtocolId::esp, "aes256gcm16-");
}

TEST(SelectProposal, OursDecideTheOrderTheirsTheSet) {
  const auto chosen =
      select_proposal({ike("aes128-sha256-x25519"), ike("aes128gcm16-aes256gcm16-prfsha256-ecp256-x25519")},
                      {ike("aes256gcm16-aes128gcm16-prfsha256-x25519-ecp256"), ike("aes128-sha256-x25519")});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(to_string(chosen->ike), "aes256gcm16-prfsha256-x25519");
}

TEST(SelectProposal, TheKeyExchangeAlreadySentIsPreferred) {
  const auto chosen =
      select_proposal({ike("aes256gcm16-prfsha256-ecp256-x25519")}, {ike("aes256gcm16-prfsha256-x25519-ecp256")},
                      {.prefer_method = KeyExchangeMethod::ecp_256});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->ike.key_exchange, KeyExchangeMethod::ecp_256);
}

TEST(ParseProposal, AdditionalKeyExchanges) {  // RFC 9370
  const std::string text = "aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none-ke7_ecp256";
  const Proposal parsed = ike(text);
  EXPECT_EQ(to_string(parsed), text);
  EXPECT_EQ(parsed.transforms[3], (Transform{TransformType::additional_key_exchange_1, 36}));
  EXPECT_EQ(parsed.transforms[4], (Transform{TransformType::additional_key_exchange_1, 0}));
  EXPECT_EQ(parsed.transforms[5], (Transform{TransformType::additional_key_exchange_7, 19}));
  EXPECT_TRUE(has_additional_key_exchanges({parsed}));
  EXPECT_FALSE(has_additional_key_exchanges({ike("aes256gcm16-prfsha256-x25519-ke1_none")}));
  for (const char* wrong : {"ke0_mlkem768", "ke8_mlkem768", "ke1_nopfs", "ke1_aes128", "ke1_", "ke1mlkem768", "ke"}) {
    EXPECT_FALSE(parse_proposal(ProtocolId::ike, std::string("aes256gcm16-prfsha256-x25519-") + wrong)) << wrong;
  }
  for (const ProtocolId protocol : {ProtocolId::esp, ProtocolId::ah}) {
    const std::string cipher = protocol == ProtocolId::esp ? "aes256gcm16" : "sha256";
    const auto parse = [&](const char* rest) { return parse_proposal(protocol, cipher + rest); };
    EXPECT_EQ(to_string(parse("-x25519-ke1_mlkem768-esn").value()), cipher + "-x25519-ke1_mlkem768-esn");
    // RFC 9370 2.2.4: they follow a key exchange.
    EXPECT_FALSE(parse("-ke1_mlkem768"));
    EXPECT_FALSE(parse("-nopfs-ke1_mlkem768"));
    EXPECT_FALSE(parse("-x25519-ke1_nopfs"));
    EXPECT_TRUE(parse("-x25519-nopfs-ke1_mlkem768-ke1_none"));
  }
}

TEST(SelectProposal, AdditionalKeyExchangesOfChildSas) {  // RFC 9370 2.2.4
  const auto esp = [](const char* text) { return parse_proposal(ProtocolId::esp, text).value(); };
  const SelectionOptions create{.additional_key_exchanges = true};
  const SelectionOptions auth{.ignore_key_exchange = true};
  const Proposal hybrid = esp("aes256gcm16-x25519-ke1_mlkem768-esn");
  const Proposal optional = esp("aes256gcm16-x25519-nopfs-ke1_mlkem768-ke1_none-esn");
  const auto chosen = select_proposal({hybrid}, {optional}, create);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(to_string(chosen->esp), "aes256gcm16-esn-x25519-ke1_mlkem768");
  EXPECT_EQ(methods_of(chosen->esp.additional), std::vector{KeyExchangeMethod::ml_kem_768});
  EXPECT_TRUE(accept_answer({chosen->proposal}, {hybrid}, create));
  // Without a first one there are no further ones.
  const auto plain = select_proposal({esp("aes256gcm16-nopfs-esn")}, {optional}, create);
  ASSERT_TRUE(plain);
  EXPECT_EQ(to_string(plain->esp), "aes256gcm16-esn");
  Proposal headless = hybrid;
  std::erase_if(headless.transforms, [](const Transform& t) { return t.type == TransformType::key_exchange; });
  EXPECT_FALSE(select_proposal({headless}, {optional}, create)) << "what no user can write a peer can";
  // In IKE_AUTH there are none at all.
  const auto first = select_proposal({hybrid}, {hybrid}, auth);
  ASSERT_TRUE(first);
  EXPECT_EQ(to_string(first->esp), "aes256gcm16-esn");
  EXPECT_TRUE(methods_of(first->esp.additional).empty());
  EXPECT_FALSE(has_additional_key_exchanges({first->proposal}));
}

TEST(SelectProposal, AdditionalKeyExchanges) {  // RFC 9370 2.2.1
  const SelectionOptions both{.additional_key_exchanges = true};
  const Proposal hybrid = ike("aes256gcm16-prfsha256-x25519-ke1_mlkem768");
  const Proposal optional = ike("aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none");
  const Proposal plain = ike("aes256gcm16-prfsha256-x25519");
  const auto first = [](const std::optional<ChosenProposal>& chosen) { return chosen->ike.additional[0]; };
  ASSERT_TRUE(select_proposal({optional}, {hybrid}, both));
  EXPECT_EQ(first(select_proposal({optional}, {hybrid}, both)), KeyExchangeMethod::ml_kem_768);
  EXPECT_EQ(first(select_proposal({plain}, {optional}, both)), KeyExchangeMethod::none);
  EXPECT_EQ(first(select_proposal({optional}, {plain}, both)), KeyExchangeMethod::none);
  EXPECT_FALSE(select_proposal({plain}, {hybrid}, both)) << "what we insist on the peer cannot leave out";
  EXPECT_FALSE(select_proposal({hybrid}, {plain}, both));
  // Without IKE_INTERMEDIATE they are types that nobody knows.
  EXPECT_FALSE(select_proposal({hybrid}, {hybrid}));
  EXPECT_FALSE(select_proposal({optional}, {optional}));
  EXPECT_TRUE(select_proposal({optional, plain}, {optional}));
  // No method twice.
  const Proposal twice = ike("aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem768");
  EXPECT_FALSE(select_proposal({twice}, {twice}, both));
  const Proposal wide = ike("aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem768-ke2_mlkem1024");
  const auto chosen = select_proposal({wide}, {wide}, both);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(to_string(chosen->ike), "aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem1024");
  EXPECT_TRUE(accepts({wide}, chosen->ike));
  EXPECT_FALSE(accepts({plain}, chosen->ike));
  EXPECT_TRUE(accepts({optional}, IkeSuite(select_proposal({plain}, {optional}, both)->ike)));
  const auto answered = accept_answer({chosen->proposal}, {wide}, both);
  ASSERT_TRUE(answered);
  EXPECT_EQ(answered->ike, chosen->ike);
}

TEST(SelectProposal, NeverMixesTwoProposals) {  // RFC 7296 3.3.6
  EXPECT_FALSE(
      select_proposal({ike("aes128-sha256-x25519"), ike("aes256-sha512-ecp256")}, {ike("aes128-sha512-x25519")}));
}

TEST(SelectProposal, UnknownTransformTypesAndAttributesAreNeverChosen) {  // RFC 7296 3.3.6
  auto offered = ike("aes256gcm16-prfsha256-x25519");
  offered.transforms.push_back({static_cast<TransformType>(77), 1});
  EXPECT_FALSE(select_proposal({offered}, default_ike_proposals()));
  offered = ike("aes256gcm16-prfsha256-x25519");
  offered.transforms[0].unknown_attribute = true;
  EXPECT_FALSE(select_proposal({offered}, default_ike_proposals()));
}

TEST(SelectProposal, KeyLengthMustAgree) { EXPECT_FALSE(select_proposal({esp("aes256gcm16")}, {esp("aes128gcm16")})); }

TEST(SelectProposal, InIkeAuthTheKeyExchangeIsIgnored) {  // RFC 7296 1.2
  const auto chosen =
      select_proposal({esp("aes128gcm16-noesn")}, {esp("aes128gcm16-x25519")}, {.ignore_key_exchange = true});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->esp.key_exchange, KeyExchangeMethod::none);
  EXPECT_FALSE(select_proposal({esp("aes128gcm16-noesn")}, {esp("aes128gcm16-x25519")})) << "a rekey demands it";
  EXPECT_TRUE(select_proposal({esp("aes128gcm16-noesn")}, {esp("aes128gcm16-x25519-nopfs")}));
}

TEST(SelectProposal, AMissingEsnTransformMeansThirtyTwoBits) {
  auto offered = esp("aes128gcm16");
  std::erase_if(offered.transforms, [](const Transform& t) { return t.type == TransformType::esn; });
  const auto chosen = select_proposal({offered}, default_esp_proposals());
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->esp.esn, EsnId::no_esn);
  EXPECT_EQ(chosen->proposal.transforms.size(), 1u) << "only what was offered is answered";
}

TEST(AcceptAnswer, OnlyOneWholeProposalOfOurs) {
  const std::vector<Proposal> offered = {ike("aes256gcm16-aes128gcm16-prfsha256-x25519-ecp256")};
  const auto answer = ike("aes128gcm16-prfsha256-ecp256");
  const auto accepted = accept_answer({answer}, offered);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->ike.key_exchange, KeyExchangeMethod::ecp_256);
  EXPECT_FALSE(accept_answer({answer, answer}, offered)) << "two proposals";
  EXPECT_FALSE(accept_answer({}, offered));
  EXPECT_FALSE(accept_answer({ike("aes192gcm16-prfsha256-ecp256")}, offered)) << "not offered";
  EXPECT_FALSE(accept_answer({ike("aes128gcm16-aes256gcm16-prfsha256-ecp256")}, offered))
      << "two transforms of one type";
  auto other_number = answer;
  other_number.number = 2;
  EXPECT_FALSE(accept_answer({other_number}, offered));
  auto missing = answer;
  std::erase_if(missing.transforms, [](const Transform& t) { return t.type == TransformType::prf; });
  EXPECT_FALSE(accept_answer({missing}, offered));
}

TEST(Defaults, EveryDefaultIsComplete) {
  const SelectionOptions both{.additional_key_exchanges = true};
  for (const Proposal& proposal : default_ike_proposals()) EXPECT_TRUE(select_proposal({proposal}, {proposal}, both));
  for (const Proposal& proposal : default_esp_proposals()) EXPECT_TRUE(select_proposal({proposal}, {proposal}));
  const auto best = select_proposal(default_ike_proposals(), default_ike_proposals(), both);
  ASSERT_TRUE(best);
  EXPECT_EQ(to_string(best->ike), "aes256gcm16-prfsha256-x25519-ke1_mlkem768");
  // With a peer that does not know these types of transforms, as if they had not been offered.
  const auto plain = select_proposal(default_ike_proposals(), default_ike_proposals());
  ASSERT_TRUE(plain);
  EXPECT_EQ(to_string(plain->ike), "aes256gcm16-prfsha256-x25519");
}

TEST(PacketSuite, RefusesNothingAtAll) {  // RFC 4303 3.2
  EXPECT_FALSE(packet_suite(EncryptionId::null, 0, IntegrityId::none));
  EXPECT_FALSE(packet_suite(EncryptionId::aes_cbc, 128, IntegrityId::none));
  EXPECT_FALSE(packet_suite(EncryptionId::aes_gcm_16, 128, IntegrityId::hmac_sha2_256_128));
  EXPECT_TRUE(packet_suite(EncryptionId::null, 0, IntegrityId::hmac_sha2_256_128));
}

}  // namespace
}  // namespace culvert::model
