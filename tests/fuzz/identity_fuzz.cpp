// libFuzzer: who somebody says it is. The octets are the body of an ID payload (RFC 7296 3.5), and a text as users
// write identities and patterns of them. What is shown of it is printable and bounded; nobody passes for somebody else;
// what is written means the same when it is read again.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "ike/codec/parse.hpp"
#include "model/distinguished_name.hpp"
#include "model/identity.hpp"

namespace {

using namespace culvert;
using model::IdentificationType;
using model::Identity;
using model::IdentityPattern;

void printable(const std::string& text) {
  for (const char c : text) CHECK(c >= ' ' && c < 0x7f);
}

struct Expected {
  std::vector<Identity> identities;
  std::vector<IdentityPattern> patterns;
  Expected() {
    for (const char* text : {"gw.example", "192.0.2.1", "2001:db8::1", "carol@example.org", "keyid:0x0102",
                             "keyid:office", "C=CH, O=Example, CN=gw"})
      identities.push_back(Identity::parse(text));
    identities.push_back(Identity::none());
    for (const char* text : {"*", "*.example.org", "*@example.org"}) patterns.push_back(*IdentityPattern::parse(text));
  }
};

const Expected& expected() {
  static const Expected made;
  return made;
}

void show(const Identity& identity) {
  const std::string text = identity.to_string();
  printable(text);
  CHECK(!text.empty() || identity.data.empty());
  const Identity comparable = identity.comparable();
  printable(comparable.to_string());
  CHECK(comparable.comparable() == comparable);
  CHECK(comparable.type == identity.type);
  // But names, which are the same by what they say, nothing is another one's.
  CHECK(identity.type == IdentificationType::der_asn1_dn || comparable == identity);
}

void compare(const Identity& presented) {
  for (const Identity& one : expected().identities) {
    if (one.comparable() != presented.comparable()) continue;
    CHECK(one.type == presented.type);
    CHECK(one.type == IdentificationType::der_asn1_dn || one.data == presented.data);
  }
  for (const IdentityPattern& pattern : expected().patterns) {
    if (!pattern.matches(presented) || pattern.to_string() == "*") continue;
    const bool mail = pattern.to_string()[1] == '@';
    CHECK(presented.type == (mail ? IdentificationType::rfc822_addr : IdentificationType::fqdn));
    const std::string suffix = pattern.to_string().substr(1);
    CHECK(presented.data.size() > suffix.size());
    CHECK(equal(ByteView(presented.data).last(suffix.size()), as_bytes(suffix)));
  }
}

void read_payload(ByteView body) {
  for (const auto type : {model::PayloadType::id_i, model::PayloadType::id_r}) {
    const auto parsed = ike::codec::parse_payload_body(type, false, body);
    if (!parsed) continue;
    const auto& payload = std::get<ike::codec::IdPayload>(*parsed);
    const Identity& identity = payload.identity;
    show(identity);
    compare(identity);
    // RFC 7296 2.15: AUTH covers it as it came.
    CHECK(equal(payload.body(), body));
  }
}

/// What is shown of such an identity is what a user would write.
bool plain(const Identity& identity) {
  const auto simple = [](std::uint8_t octet) { return octet > ' ' && octet < 0x7f && octet != '\\'; };
  switch (identity.type) {
    case IdentificationType::ipv4_addr:
    case IdentificationType::ipv6_addr: return true;
    case IdentificationType::rfc822_addr:
      return std::ranges::all_of(identity.data, simple) && std::ranges::find(identity.data, '=') == identity.data.end();
    case IdentificationType::der_asn1_dn: {
      // Shown in full: none of its values is cut or escaped.
      const std::string text = identity.to_string();
      return !identity.data.empty() && text.find('\\') == std::string::npos && identity.data.size() < 128;
    }
    default: return false;
  }
}

void read_text(std::string_view text) {
  const Identity identity = Identity::parse(text);
  show(identity);
  compare(identity);
  if (plain(identity) && !text.starts_with("keyid:"))
    CHECK(Identity::parse(identity.to_string()).comparable() == identity.comparable());
  if (const auto pattern = IdentityPattern::parse(text)) {
    printable(pattern->to_string());
    const auto again = IdentityPattern::parse(pattern->to_string());
    CHECK(!again || again->to_string().find('\\') != std::string::npos || *again == *pattern);
    CHECK(text == "*" || !pattern->matches(Identity::none()));
  }
  const auto name = model::parse_distinguished_name(text);
  if (!name) return;
  CHECK(!model::distinguished_name_text(*name).starts_with("malformed"));
  CHECK(!model::comparable_name(*name).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView octets(data, size);
  read_payload(octets);
  read_text({reinterpret_cast<const char*>(data), size});
  printable(model::distinguished_name_text(octets));
  const Bytes comparable = model::comparable_name(octets);
  CHECK(model::comparable_name(comparable) == comparable);
  return 0;
}
