// libFuzzer: OCSP responses (RFC 6960), from a server over HTTP or from the peer itself (RFC 4806). The first octet
// chooses what the rest is:
//
//   0   a response
//   1   ResponseData that the authority signs: what one gone bad can say
//   2   the same, signed by a responder that it certified
//   3   a list of SingleResponses and what is behind it, signed by the authority
//   4   a certificate, whose places to ask are looked for
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

constexpr std::uint8_t kEnumerated = 0x0a;
constexpr std::uint8_t kOctetString = 0x04;
constexpr std::uint8_t kGeneralizedTime = 0x18;
constexpr std::uint8_t kExplicit0 = 0xa0;

void judge(ByteView octets, bool of_root) {
  const Bytes nonce(16, 7);
  const auto by_stranger =
      crypto::judge_ocsp(octets, world().end_certificate, world().stranger_certificate, kToday, nonce);
  CHECK(by_stranger.state == State::unknown && !by_stranger.found.empty() && !by_stranger.responder);
  printable(by_stranger.found);
  if (!of_root) return;
  for (const crypto::CalendarTime now : {kToday, kToday + 3 * kDay}) {
    for (const ByteView asked : {ByteView(), ByteView(nonce)}) {
      const auto status = crypto::judge_ocsp(octets, world().end_certificate, world().root_certificate, now, asked);
      printable(status.found);
      CHECK((status.state == State::good) == status.found.empty());
      // RFC 6960 4.2.2.1: none of yesterday settles anything, a difference of clocks apart.
      CHECK(status.state == State::unknown || (status.until && *status.until + 300 >= now));
    }
  }
}

Bytes response_of(ByteView data, const TestCertificate& signer) {
  const Bytes shown = der_element(kExplicit0, der_element(der::kSequence, signer.der()));
  const Bytes basic = signed_by(signer, data, shown);
  const Bytes kind{0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};  // id-pkix-ocsp-basic
  const Bytes body = der_element(der::kSequence, concat({kind, der_element(kOctetString, basic)}));
  return der_element(der::kSequence, concat({der_element(kEnumerated, Bytes{0}), der_element(kExplicit0, body)}));
}

/// ResponseData by the authority's name, of today.
Bytes data_with(ByteView behind) {
  return der_element(der::kSequence, concat({der_element(0xa1, world().root_certificate.subject_der()),
                                             der_element(kGeneralizedTime, as_bytes("20270115075900Z")), behind}));
}

void look_for_places(ByteView octets) {
  const auto certificate = crypto::Certificate::from_der(octets);
  if (!certificate) return;
  const auto places = crypto::revocation_places(*certificate);
  for (const auto* urls : {&places.ocsp, &places.lists, &places.other}) {
    CHECK(urls->size() <= crypto::kRevocationPlaces);
    for (const std::string& url : *urls) {
      CHECK(url.size() <= crypto::kRevocationUrl);
      CHECK(urls == &places.other || url.starts_with("http://"));
      printable(url);
    }
  }
  const auto question = crypto::ocsp_question(*certificate, world().root_certificate, Bytes(16, 7));
  CHECK(!question || !question->request.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView octets(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0: judge(octets, false); break;
    case 1: judge(response_of(octets, world().root), true); break;
    case 2: judge(response_of(octets, world().responder), true); break;
    case 3: judge(response_of(data_with(octets), world().root), true); break;
    default: look_for_places(octets); break;
  }
  return 0;
}
