#include "model/transforms.hpp"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr ProtocolId kProtocols[] = {ProtocolId::ike, ProtocolId::esp, ProtocolId::ah};

std::vector<std::string_view> weak_words(ProtocolId protocol, std::string_view text) {
  const Proposal proposal = parse_proposal(protocol, text).value();
  std::vector<std::string_view> words;
  for (const TransformInfo* weak : weak_transforms(proposal)) words.push_back(weak->word);
  return words;
}

TEST(Transforms, WordsAreUniqueWithinAProtocolAndLeadBackToTheirRow) {
  for (const ProtocolId protocol : kProtocols) {
    std::set<std::string_view> words;
    for (const TransformInfo& info : transforms()) {
      if (!info.served || !info.serves(protocol)) continue;
      EXPECT_TRUE(words.insert(info.word).second) << info.word;
      EXPECT_EQ(find_transform(protocol, info.word), &info);
      EXPECT_EQ(find_transform(info.transform), &info) << info.word;
      EXPECT_EQ(word_of(info.transform), info.word);
      if (info.alias.empty()) continue;
      EXPECT_TRUE(words.insert(info.alias).second) << info.alias;
      EXPECT_EQ(find_transform(protocol, info.alias), &info);
    }
    EXPECT_EQ(find_transform(protocol, ""), nullptr);
  }
}

TEST(Transforms, EveryServedOneHasABackend) {
  for (const TransformInfo& info : transforms()) {
    const bool computed = info.served && info.transform.type != TransformType::esn && info.word != "nopfs";
    EXPECT_EQ(!backend_of(info).empty(), computed) << info.word;
    EXPECT_FALSE(info.remark.empty()) << info.word;
  }
}

TEST(Transforms, EveryNumberOfTheIanaHeadersIsThere) {
  const auto there = [](TransformType type, auto id) {
    return std::ranges::any_of(transforms(), [&](const TransformInfo& info) {
      return info.transform.type == type && info.transform.id == static_cast<std::uint16_t>(id);
    });
  };
  for (const auto& [id, name] : kEncryptionIdNames) EXPECT_TRUE(there(TransformType::encryption, id)) << name;
  for (const auto& [id, name] : kIntegrityIdNames) {
    if (id == IntegrityId::none) continue;
    EXPECT_TRUE(there(TransformType::integrity, id)) << name;
  }
}

// RFC 8247 2.1 to 2.4, RFC 8221 5 and 6.
TEST(Transforms, WhatMustNotOrShouldNotBeUsedNeedsCompatOrIsRefused) {
  for (const TransformInfo& info : transforms()) {
    const auto bad = [](Requirement requirement) {
      return requirement == Requirement::must_not || requirement == Requirement::should_not;
    };
    const bool weak = (bad(info.ike_status) && info.ike) || (bad(info.packet_status) && (info.esp || info.ah));
    EXPECT_TRUE(!weak || !info.compat.empty()) << info.word;
    EXPECT_TRUE(info.served || !(info.ike || info.esp || info.ah)) << info.word;
  }
  EXPECT_THAT(compat_words(), UnorderedElementsAre("3des", "des", "sha1", "md5", "modp1536", "modp1024"));
}

TEST(Transforms, DefaultsHaveNothingWeak) {  // RFC 8247 2.1
  for (const auto& proposals : {default_ike_proposals(), default_esp_proposals()}) {
    for (const Proposal& proposal : proposals) {
      EXPECT_THAT(weak_transforms(proposal), IsEmpty());
      for (const Transform& transform : proposal.transforms) {
        const bool additional = is_additional_key_exchange(transform.type);
        const TransformInfo* info = find_transform(
            {additional ? TransformType::key_exchange : transform.type, transform.id, transform.key_bits});
        ASSERT_NE(info, nullptr);
        EXPECT_TRUE(info->serves(proposal.protocol)) << info->word;
      }
    }
  }
}

TEST(Transforms, WeakOnesAreTold) {
  EXPECT_THAT(weak_words(ProtocolId::esp, "aes128gcm16"), IsEmpty());
  EXPECT_THAT(weak_words(ProtocolId::esp, "aes128-3des-sha256-sha1"), ElementsAre("3des", "sha1"));
  EXPECT_THAT(weak_words(ProtocolId::ike, "aes128-sha1-modp2048"), ElementsAre("sha1", "prfsha1"));
  EXPECT_THAT(weak_words(ProtocolId::ike, "aes128-sha256-modp1024-modp1536"), ElementsAre("modp1024", "modp1536"));
  EXPECT_THAT(weak_words(ProtocolId::ike, "aes128-sha256-modp4096-modp6144-modp8192"), IsEmpty());
  EXPECT_THAT(weak_words(ProtocolId::ah, "md5"), ElementsAre("md5"));
  for (const ProtocolId protocol : kProtocols) {
    const std::string words = ' ' + allowed_words(protocol, TransformType::integrity) + ' ';
    EXPECT_EQ(words.find(" md5 "), std::string::npos) << "no error text advertises a weak word";
  }
}

TEST(Transforms, RefusedWordsAreKnown) {
  ASSERT_NE(find_refused("modp768"), nullptr);
  EXPECT_THAT(find_refused("modp768")->remark, HasSubstr("2048 bits"));
  EXPECT_EQ(find_refused("3des"), nullptr);
  EXPECT_FALSE(parse_proposal(ProtocolId::ike, "aes256-sha256-modp768"));
}

TEST(AhProposal, IntegrityAndSequenceNumbersOnly) {
  const auto ah = [](std::string_view text) { return parse_proposal(ProtocolId::ah, text); };
  EXPECT_EQ(to_string(ah("sha256-esn").value()), "sha256-esn");
  EXPECT_EQ(to_string(ah("aes128gmac").value()), "aes128gmac-esn-noesn");
  EXPECT_THAT(ah("aes128-sha256").error(), HasSubstr("not an algorithm that AH can use"));
  EXPECT_THAT(ah("esn").error(), HasSubstr("names no integrity algorithm"));
  EXPECT_EQ(ah("aes128gmac").value().transforms[0].type, TransformType::integrity);
  EXPECT_EQ(parse_proposal(ProtocolId::esp, "aes128gmac").value().transforms[0].type, TransformType::encryption);
}

TEST(AhProposal, IsChosenWithNullEncryption) {  // RFC 7296 3.3.3
  const auto ah = [](std::string_view text) { return parse_proposal(ProtocolId::ah, text).value(); };
  const auto chosen = select_proposal({ah("sha512-sha256-noesn")}, {ah("aes256gmac-sha256-esn-noesn")});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->esp.encryption, EncryptionId::null);
  EXPECT_EQ(chosen->esp.key_bits, 0);
  EXPECT_EQ(chosen->esp.integrity, IntegrityId::hmac_sha2_256_128);
  EXPECT_EQ(chosen->esp.esn, EsnId::no_esn);
  EXPECT_EQ(to_string(chosen->proposal), "sha256-noesn");
  EXPECT_TRUE(accept_answer({chosen->proposal}, {ah("sha512-sha256-noesn")}));
  EXPECT_FALSE(select_proposal({ah("sha512")}, {ah("sha256")}));

  Proposal with_cipher = ah("sha256");
  with_cipher.transforms.push_back({TransformType::encryption, static_cast<std::uint16_t>(EncryptionId::aes_cbc), 128});
  EXPECT_FALSE(select_proposal({with_cipher}, {ah("sha256")})) << "AH does not encrypt";
  Proposal nothing = ah("sha256");
  std::erase_if(nothing.transforms, [](const Transform& t) { return t.type == TransformType::integrity; });
  EXPECT_FALSE(select_proposal({nothing}, {ah("sha256")})) << "AH without integrity is nothing";
  EXPECT_FALSE(select_proposal({parse_proposal(ProtocolId::esp, "null-sha256").value()}, {ah("sha256")}));
}

TEST(PacketSuite, ForOneProtocol) {
  const auto suite = [](ProtocolId protocol, EncryptionId encryption, std::uint16_t bits, IntegrityId integrity) {
    return packet_suite(protocol, EspSuite{.encryption = encryption, .key_bits = bits, .integrity = integrity});
  };
  EXPECT_TRUE(suite(ProtocolId::ah, EncryptionId::null, 0, IntegrityId::aes_128_gmac));
  EXPECT_FALSE(suite(ProtocolId::esp, EncryptionId::null, 0, IntegrityId::aes_128_gmac)) << "RFC 4543 4: AH only";
  EXPECT_TRUE(suite(ProtocolId::esp, EncryptionId::null_aes_gmac, 256, IntegrityId::none));
  EXPECT_FALSE(suite(ProtocolId::ah, EncryptionId::null_aes_gmac, 256, IntegrityId::none)) << "ESP only";
  EXPECT_FALSE(suite(ProtocolId::ah, EncryptionId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128));
  EXPECT_FALSE(suite(ProtocolId::ah, EncryptionId::null, 0, IntegrityId::none));
  EXPECT_FALSE(suite(ProtocolId::esp, EncryptionId::aes_ctr, 128, IntegrityId::none)) << "RFC 3686 7";
  EXPECT_FALSE(suite(ProtocolId::esp, EncryptionId::camellia_cbc, 256, IntegrityId::none));
  EXPECT_FALSE(suite(ProtocolId::esp, EncryptionId::aes_gcm_16, 200, IntegrityId::none));
  EXPECT_FALSE(suite(ProtocolId::ike, EncryptionId::aes_gcm_16_iiv, 128, IntegrityId::none)) << "RFC 8750 7";
  EXPECT_TRUE(suite(ProtocolId::esp, EncryptionId::triple_des, 0, IntegrityId::hmac_sha1_96));
  EXPECT_TRUE(suite(ProtocolId::esp, EncryptionId::chacha20_poly1305_iiv, 0, IntegrityId::none));
}

}  // namespace
}  // namespace culvert::model
