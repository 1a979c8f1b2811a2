// libFuzzer: revocation lists (RFC 5280 5). The first octet chooses what the rest is:
//
//   0   a file of lists, in PEM or DER
//   1   a TBSCertList, which an authority signs: what one gone bad can say
//   2   what a TBSCertList has behind its dates: entries and extensions
//
// Whatever is read is bounded and printable, and settles nothing for an authority that did not sign it.
#include <cstdint>

#include "crypto/revocation.hpp"
#include "tests/fuzz/proof_world.hpp"

namespace {

using namespace culvert;
using namespace culvert::fuzz;
using State = crypto::RevocationStatus::State;
using crypto::testing::kDay;
using crypto::testing::kToday;

void judge(ByteView octets, bool of_root) {
  const auto lists = crypto::RevocationList::from_file_content(octets);
  if (!lists) return printable(lists.error());
  for (const crypto::RevocationList& list : *lists) {
    printable(list.issuer());
    CHECK(list.fingerprint().size() == 32);
    const auto by_stranger = crypto::judge_list(list, world().end_certificate, world().stranger_certificate, kToday);
    CHECK(by_stranger.state == State::unknown && !by_stranger.found.empty());
    printable(by_stranger.found);
    if (!of_root) continue;
    for (const crypto::CalendarTime now : {kToday, kToday + 3 * kDay}) {
      const auto status = crypto::judge_list(list, world().end_certificate, world().root_certificate, now);
      printable(status.found);
      CHECK((status.state == State::good) == status.found.empty());
      // RFC 5280 6.3.3: none of yesterday settles anything.
      CHECK(status.state == State::unknown || !status.until || *status.until >= now);
    }
  }
}

/// Version 2, Ed25519, the authority's name, from yesterday until tomorrow.
Bytes list_with(ByteView behind) {
  const auto time = [](std::string_view text) { return der_element(0x17, as_bytes(text)); };
  const Bytes algorithm = der_element(der::kSequence, Bytes{0x06, 0x03, 0x2b, 0x65, 0x70});
  return der_element(der::kSequence, concat({Bytes{0x02, 0x01, 0x01}, algorithm, world().root_certificate.subject_der(),
                                             time("270114080000Z"), time("270116080000Z"), behind}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView octets(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0: judge(octets, false); break;
    case 1: judge(signed_by(world().root, octets), true); break;
    default: judge(signed_by(world().root, list_with(octets)), true); break;
  }
  return 0;
}
