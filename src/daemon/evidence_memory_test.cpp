// CVE-2021-41991: a memory of what peers' certificates brought about, and peers who bring ever new ones.
#include "daemon/evidence_memory.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

using ike::v2::Evidence;
using ike::v2::Fetched;
using ike::v2::FetchWish;

void file(Evidence& evidence, FetchWish::Kind kind, unsigned number, crypto::CalendarTime at) {
  const std::string url = fmt::format("http://{}.example/", number);
  const Bytes key = {static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
                     static_cast<std::uint8_t>(number)};
  keep(evidence, {.kind = kind, .url = url, .question = {}, .key = key, .nonce = {}},
       std::make_shared<const Fetched>(
           Fetched{.at = at, .url = url, .fault = {}, .octets = {}, .nonce = {}, .list = {}}));
}

TEST(EvidenceMemory, EverNewCertificatesFindABound) {
  Evidence evidence;
  for (const auto& [kind, most] :
       {std::pair(FetchWish::Kind::ocsp, kMostOcsp), std::pair(FetchWish::Kind::list, kMostLists),
        std::pair(FetchWish::Kind::certificate, kMostCertificates)}) {
    const auto size = [&, which = kind] {
      return which == FetchWish::Kind::ocsp   ? evidence.ocsp.size()
             : which == FetchWish::Kind::list ? evidence.lists.size()
                                              : evidence.certificates.size();
    };
    const auto all = static_cast<unsigned>(most + 100);
    for (unsigned number = 0; number < all; ++number) {
      file(evidence, kind, number, 1000 + number);
      ASSERT_EQ(size(), std::min<std::size_t>(number + 1, most));
    }
  }
  // The newest stayed, whatever their keys are.
  EXPECT_TRUE(evidence.lists.contains(fmt::format("http://{}.example/", kMostLists + 99)));
  EXPECT_FALSE(evidence.lists.contains("http://99.example/"));
  EXPECT_TRUE(evidence.lists.contains("http://100.example/"));
  EXPECT_TRUE(evidence.ocsp.contains(Bytes{0, 0, 100}));
  EXPECT_FALSE(evidence.ocsp.contains(Bytes{0, 0, 99}));
}

TEST(EvidenceMemory, TheSameCertificateAgainTakesNoOthersPlace) {
  Evidence evidence;
  for (unsigned number = 0; number < kMostLists; ++number) file(evidence, FetchWish::Kind::list, number, 1000);
  for (unsigned again = 0; again < 10; ++again) file(evidence, FetchWish::Kind::list, 5, 2000 + again);
  EXPECT_EQ(evidence.lists.size(), kMostLists);
  EXPECT_EQ(evidence.lists.at("http://5.example/")->at, 2009);
  // A clock that goes back, or stands: one goes, and only one.
  file(evidence, FetchWish::Kind::list, 1'000'000, 1);
  EXPECT_EQ(evidence.lists.size(), kMostLists);
}

}  // namespace
}  // namespace culvert::daemon
