#include "model/certificate_identity.hpp"

#include <algorithm>

namespace culvert::model {
namespace {

bool same_letters(ByteView a, ByteView b) {
  return std::ranges::equal(a, b, [](std::uint8_t x, std::uint8_t y) {
    const auto small = [](std::uint8_t c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; };
    return small(x) == small(y);
  });
}

// RFC 4945 3.1.3: the part in front of the last "@" is compared as it is, the domain without regard to case.
bool same_mail(ByteView a, ByteView b) {
  const auto at = [](ByteView text) {
    std::size_t place = text.size();
    while (place > 0 && text[place - 1] != '@') --place;
    return place;
  };
  const std::size_t split = at(a);
  return a.size() == b.size() && split == at(b) && equal(a.first(split), b.first(split)) &&
         same_letters(a.subspan(split), b.subspan(split));
}

bool is_empty_name(ByteView der) { return equal(der, Bytes{0x30, 0x00}); }

}  // namespace

std::vector<Identity> identities_of(const crypto::Certificate& certificate) {
  std::vector<Identity> all;
  if (Bytes subject = certificate.subject_der(); !is_empty_name(subject))
    all.push_back({IdentificationType::der_asn1_dn, std::move(subject)});
  for (const crypto::AlternativeName& name : certificate.alternative_names()) {
    switch (name.kind) {
      case crypto::AlternativeNameKind::dns: all.push_back({IdentificationType::fqdn, name.value}); break;
      case crypto::AlternativeNameKind::mail: all.push_back({IdentificationType::rfc822_addr, name.value}); break;
      case crypto::AlternativeNameKind::ip:
        if (name.value.size() == 4) all.push_back({IdentificationType::ipv4_addr, name.value});
        if (name.value.size() == 16) all.push_back({IdentificationType::ipv6_addr, name.value});
        break;
    }
  }
  return all;
}

bool has_identity(const crypto::Certificate& certificate, const Identity& identity) {
  const Identity wanted = identity.comparable();
  return std::ranges::any_of(identities_of(certificate), [&](const Identity& one) {
    if (one.type != identity.type || one.data.empty()) return false;
    switch (one.type) {
      // RFC 4945 3.1.2: without regard to case; a "*" in a certificate is a letter like others.
      case IdentificationType::fqdn: return same_letters(one.data, identity.data);
      case IdentificationType::rfc822_addr: return same_mail(one.data, identity.data);
      default: return one.comparable() == wanted;
    }
  });
}

std::string identities_text(const crypto::Certificate& certificate) {
  constexpr std::size_t kShown = 8;
  std::string text;
  std::size_t shown = 0;
  for (const Identity& one : identities_of(certificate)) {
    if (++shown > kShown) return text + ", ...";
    text += (text.empty() ? "" : "; ") + one.to_string();
  }
  return text.empty() ? "no identity" : text;
}

std::optional<Identity> preferred_identity(const crypto::Certificate& certificate) {
  const std::vector<Identity> all = identities_of(certificate);
  for (const IdentificationType type :
       {IdentificationType::fqdn, IdentificationType::rfc822_addr, IdentificationType::der_asn1_dn,
        IdentificationType::ipv4_addr, IdentificationType::ipv6_addr}) {
    const auto found = std::ranges::find(all, type, &Identity::type);
    if (found != all.end() && !found->data.empty()) return *found;
  }
  return std::nullopt;
}

}  // namespace culvert::model
