#include "daemon/key_export.hpp"

#include <fstream>
#include <sstream>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"

namespace culvert::daemon {
namespace {

control::ExportEspKeys esp_keys() {
  control::ExportEspKeys keys;
  keys.path = {*net::Endpoint::parse("192.0.2.1:4500"), *net::Endpoint::parse("192.0.2.2:4500")};
  keys.spi_inbound = model::Spi(0x01020304);
  keys.spi_outbound = model::Spi(0xa0b0c0d0);
  keys.suite.encryption = model::EncryptionId::aes_cbc;
  keys.suite.integrity = model::IntegrityId::hmac_sha2_256_128;
  keys.inbound = {SecretBytes::copy_of(Bytes{1, 2}), SecretBytes::copy_of(Bytes{3})};
  keys.outbound = {SecretBytes::copy_of(Bytes{4, 5}), SecretBytes::copy_of(Bytes{6})};
  return keys;
}

TEST(KeyExport, LinesHaveWiresharksForm) {
  EXPECT_EQ(esp_table_lines(esp_keys()),
            "\"IPv4\",\"192.0.2.2\",\"192.0.2.1\",\"0x01020304\",\"AES-CBC [RFC3602]\",\"0x0102\",\"HMAC-SHA-256-128 "
            "[RFC4868]\",\"0x03\"\n"
            "\"IPv4\",\"192.0.2.1\",\"192.0.2.2\",\"0xa0b0c0d0\",\"AES-CBC [RFC3602]\",\"0x0405\",\"HMAC-SHA-256-128 "
            "[RFC4868]\",\"0x06\"\n");
  ike::KeysExported ike;
  ike.spi_i = model::IkeSpi(0x0158b8fb90b7623d);
  ike.spi_r = model::IkeSpi(1);
  ike.sk_ei = SecretBytes::copy_of(Bytes{0xaa});
  ike.sk_er = SecretBytes::copy_of(Bytes{0xbb});
  EXPECT_EQ(
      ike_table_line(ike),
      "0158b8fb90b7623d,0000000000000001,aa,bb,\"AES-GCM-256 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n");
}

TEST(KeyExport, WhatWiresharkCannotNameIsLeftOut) {
  control::ExportEspKeys keys = esp_keys();
  keys.suite.encryption = model::EncryptionId::camellia_cbc;
  EXPECT_EQ(esp_table_lines(keys), "");
  keys.suite.encryption = model::EncryptionId::aes_ctr;
  keys.suite.integrity = model::IntegrityId::aes_cmac_96;
  EXPECT_NE(esp_table_lines(keys).find("\"AES-CTR [RFC3686]\",\"0x0102\",\"ANY 96 bit authentication [no checking]\""),
            std::string::npos);
}

TEST(KeyExport, FilesAreForTheOwnerOnly) {
  const TemporaryFolder temporary;
  const auto folder = temporary / "keys";
  const auto exporter = KeyExport::open(folder);
  ASSERT_TRUE(exporter);
  exporter->add(esp_keys());
  struct stat info{};
  ASSERT_EQ(::stat((folder / "esp_sa").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(KeyExport, SaysWhatIsInTheWay) {
  const auto exporter = KeyExport::open("/proc/nowhere");
  ASSERT_FALSE(exporter);
  EXPECT_NE(exporter.error().find("/proc/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace culvert::daemon
