// NIST CAVS: the key derivation of IKEv2 (RFC 7296 2.13 to 2.18) with HMAC of four hashes.
#include <algorithm>
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "ike/v2/keys.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

namespace v2 = ike::v2;
using Case = std::map<std::string, std::string>;

crypto::HashId hash_named(const std::string& name) {
  if (name == "SHA-1") return crypto::HashId::sha1;
  if (name == "SHA-256") return crypto::HashId::sha2_256;
  if (name == "SHA-384") return crypto::HashId::sha2_384;
  EXPECT_EQ(name, "SHA-512");
  return crypto::HashId::sha2_512;
}

void check(crypto::HashId prf, Case& fields) {
  const Bytes nonce_i = hex(fields["Ni"]), nonce_r = hex(fields["Nr"]);
  const Bytes spi_i = hex(fields["SPIi"]), spi_r = hex(fields["SPIr"]);
  const Bytes secret = hex(fields["g^ir"]), new_secret = hex(fields["g^ir (new)"]);
  const auto expect = [&](const char* field, const SecretBytes& value) {
    EXPECT_EQ(to_hex(value.view()), fields[field]) << field << " of case " << fields["COUNT"];
  };

  const SecretBytes skeyseed = v2::skeyseed_initial(prf, nonce_i, nonce_r, secret);
  expect("SKEYSEED", skeyseed);
  const SecretBytes dkm =
      v2::prf_plus(prf, skeyseed.view(), {nonce_i, nonce_r, spi_i, spi_r}, fields["DKM"].size() / 2);
  expect("DKM", dkm);
  const ByteView sk_d = dkm.view().first(crypto::hash_size(prf));
  const std::size_t child_size = fields["DKM(Child SA)"].size() / 2;
  expect("DKM(Child SA)", v2::prf_plus(prf, sk_d, {nonce_i, nonce_r}, child_size));
  expect("DKM(Child SA D-H)", v2::prf_plus(prf, sk_d, {new_secret, nonce_i, nonce_r}, child_size));
  expect("SKEYSEED(Rekey)", v2::skeyseed_rekey(prf, sk_d, new_secret, nonce_i, nonce_r));
}

/// The product's own cuts of the same material: SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr, and the child's.
void check_cuts(crypto::HashId prf, Case& fields) {
  const Bytes nonce_i = hex(fields["Ni"]), nonce_r = hex(fields["Nr"]);
  const model::IkeSpi spi_i(load_be64(hex(fields["SPIi"]).data()));
  const model::IkeSpi spi_r(load_be64(hex(fields["SPIr"]).data()));
  const crypto::PacketSuite suite{crypto::CipherId::aes_cbc, 128, crypto::IntegrityId::hmac_sha2_256_128};
  const v2::SkKeys keys = v2::derive_sk_keys(prf, suite, hex(fields["SKEYSEED"]), nonce_i, nonce_r, spi_i, spi_r);
  std::string all;
  for (const ByteView key :
       {keys.sk_d(), keys.sk_ai(), keys.sk_ar(), keys.sk_ei(), keys.sk_er(), keys.sk_pi(), keys.sk_pr()})
    all += to_hex(key);
  EXPECT_EQ(all.size(), 2 * (3 * crypto::hash_size(prf) + 2 * 32 + 2 * 16));
  const std::size_t common = std::min(all.size(), fields["DKM"].size());
  EXPECT_EQ(all.substr(0, common), fields["DKM"].substr(0, common));

  const v2::ChildKeys child = v2::derive_child_keys(prf, suite, keys.sk_d(), hex(fields["g^ir (new)"]), nonce_i,
                                                    nonce_r, model::Role::responder);
  EXPECT_EQ(to_hex(child.inbound.encryption.view()) + to_hex(child.inbound.integrity.view()) +
                to_hex(child.outbound.encryption.view()) + to_hex(child.outbound.integrity.view()),
            fields["DKM(Child SA D-H)"].substr(0, 192));
}

TEST(NistCavs, Ikev2KeyDerivation) {
  REQUIRE_VECTORS(path, "nist-cavs-ike/ikev2.fax");
  std::istringstream in(read_text(path));
  crypto::HashId prf = crypto::HashId::sha1;
  Case fields;
  std::size_t cases = 0;
  for (std::string line; std::getline(in, line) && !testing::Test::HasFailure();) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.starts_with("[SHA-")) prf = hash_named(line.substr(1, line.size() - 2));
    const std::size_t equals = line.find(" = ");
    if (line.starts_with('[') || equals == std::string::npos) continue;
    fields[line.substr(0, equals)] = line.substr(equals + 3);
    if (!line.starts_with("SKEYSEED(Rekey)")) continue;
    check(prf, fields);
    check_cuts(prf, fields);
    fields.clear();
    ++cases;
  }
  EXPECT_EQ(cases, 900U);
}

}  // namespace
}  // namespace culvert::vectors
