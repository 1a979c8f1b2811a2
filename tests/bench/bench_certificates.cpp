// Certificates for ike_load.py: an authority, a hub, and as many sites as are asked for, all with RSA keys of 2048
// bits.
//
//   bench_certificates FOLDER SITES
//
// Makes ca.pem, hub.pem, hub.key, site.key (of all sites) and site0.pem, site1.pem and so on, whose certificates are
// for site0.example, site1.example and so on.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include <sys/stat.h>

#include <fmt/format.h>

#include "crypto/testing/issuer.hpp"

namespace {

using namespace culvert::crypto::testing;

void write(const std::string& path, const std::string& text, unsigned mode = 0644) {
  std::ofstream(path, std::ios::binary) << text;
  ::chmod(path.c_str(), mode);
}

Wish today(Wish wish, long serial) {
  wish.from = std::time(nullptr) - kDay;
  wish.until = wish.from + 30 * kDay;
  wish.serial = serial;
  return wish;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    fmt::print(stderr, "usage: bench_certificates FOLDER SITES\n");
    return 2;
  }
  const std::string folder = words[1];
  const long sites = std::strtol(words[2], nullptr, 10);
  const auto root = TestCertificate::make(TestKey::make("RSA:2048"), today(authority("root"), 1));
  write(folder + "/ca.pem", root.pem());
  const TestKey hub_key = TestKey::make("RSA:2048");
  write(folder + "/hub.key", hub_key.pem(), 0600);
  write(folder + "/hub.pem", TestCertificate::make(hub_key, today(peer("hub", "DNS:hub.example"), 2), &root).pem());
  const TestKey site_key = TestKey::make("RSA:2048");
  write(folder + "/site.key", site_key.pem(), 0600);
  for (long n = 0; n < sites; ++n) {
    const auto wish = today(peer(fmt::format("site{}", n), fmt::format("DNS:site{}.example", n)), 3 + n);
    write(fmt::format("{}/site{}.pem", folder, n), TestCertificate::make(site_key, wish, &root).pem());
  }
  return 0;
}
