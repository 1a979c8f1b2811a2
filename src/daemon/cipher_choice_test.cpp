#include "daemon/cipher_choice.hpp"

#include <gtest/gtest.h>

#include "config/load.hpp"

namespace culvert::daemon {
namespace {

using crypto::CipherId;
using crypto::IntegrityId;
using crypto::PacketSuite;

TEST(CipherChoice, AllCombinationsEachOnce) {
  const auto loaded = config::load_texts({{"a.toml", R"(
[tunnel.one]
peer = "192.0.2.2"
secret = "0123456789abcdef0123456789abcdef"
local = ["10.1.0.0/16"]
remote = ["10.2.0.0/16"]
esp = ["aes128gcm16", "aes256-aes128-sha256-sha512"]

[tunnel.two]
peer = "192.0.2.3"
secret = "0123456789abcdef0123456789abcdef"
local = ["10.1.0.0/16"]
remote = ["10.3.0.0/16"]
esp = ["chacha20poly1305", "aes128gcm16"]
)"}});
  ASSERT_TRUE(loaded) << loaded.error().front().to_string();
  EXPECT_EQ(packet_suites(*loaded), (std::vector<PacketSuite>{
                                        {CipherId::aes_gcm_16, 128, IntegrityId::none},
                                        {CipherId::aes_cbc, 256, IntegrityId::hmac_sha2_256_128},
                                        {CipherId::aes_cbc, 256, IntegrityId::hmac_sha2_512_256},
                                        {CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128},
                                        {CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_512_256},
                                        {CipherId::chacha20_poly1305, 256, IntegrityId::none},
                                    }));
  EXPECT_TRUE(packet_suites({}).empty());
}

}  // namespace
}  // namespace culvert::daemon
