#include "model/identity.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "model/distinguished_name.hpp"

namespace culvert::model {

Identity Identity::of(const net::IpAddress& address) {
  return {address.is_v4() ? IdentificationType::ipv4_addr : IdentificationType::ipv6_addr, to_bytes(address.bytes())};
}

Identity Identity::parse(std::string_view text) {
  if (const auto address = net::IpAddress::parse(text)) return of(*address);
  constexpr std::string_view kKeyId = "keyid:";
  if (text.starts_with(kKeyId)) {
    const std::string_view value = text.substr(kKeyId.size());
    if (value.starts_with("0x")) {
      if (auto octets = from_hex(value.substr(2))) return {IdentificationType::key_id, std::move(*octets)};
    }
    return {IdentificationType::key_id, to_bytes(as_bytes(value))};
  }
  if (text.find('=') != std::string_view::npos)
    return {IdentificationType::der_asn1_dn, parse_distinguished_name(text).value_or(Bytes())};
  if (text.starts_with('@')) return {IdentificationType::fqdn, to_bytes(as_bytes(text.substr(1)))};
  const bool mail = text.find('@') != std::string_view::npos;
  return {mail ? IdentificationType::rfc822_addr : IdentificationType::fqdn, to_bytes(as_bytes(text))};
}

Identity Identity::comparable() const {
  if (type != IdentificationType::der_asn1_dn) return *this;
  return {type, comparable_name(data)};
}

std::optional<IdentityPattern> IdentityPattern::parse(std::string_view text) {
  if (!text.starts_with('*') || text.find('*', 1) != std::string_view::npos) return std::nullopt;
  IdentityPattern pattern;
  pattern.suffix_ = text.substr(1);
  if (pattern.suffix_.empty()) return pattern;
  const char kind = pattern.suffix_.front();
  const bool more_ats = pattern.suffix_.find('@', 1) != std::string::npos;
  if (pattern.suffix_.size() < 2 || (kind != '@' && kind != '.') || more_ats) return std::nullopt;
  pattern.type_ = kind == '@' ? IdentificationType::rfc822_addr : IdentificationType::fqdn;
  return pattern;
}

bool IdentityPattern::matches(const Identity& identity) const {
  if (!type_) return true;
  if (identity.type != *type_ || identity.data.size() <= suffix_.size()) return false;
  // What stands in front is a mail address's local part, or labels of a name.
  const ByteView data = identity.data;
  return equal(data.last(suffix_.size()), as_bytes(suffix_));
}

std::string IdentityPattern::to_string() const { return escaped("*" + suffix_); }

std::string Identity::to_string() const {
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  switch (type) {
    case IdentificationType::ipv4_addr:
    case IdentificationType::ipv6_addr: {
      const auto address = net::IpAddress::from_bytes(data);
      const bool right_family = address && address->is_v4() == (type == IdentificationType::ipv4_addr);
      return right_family ? address->to_string() : "malformed address 0x" + to_hex(data);
    }
    case IdentificationType::fqdn:
    case IdentificationType::rfc822_addr: return escaped(text);
    case IdentificationType::der_asn1_dn: return distinguished_name_text(data);
    case IdentificationType::key_id: {
      const bool printable = !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
      return printable ? "keyid:" + escaped(text)
                       : "keyid:0x" + to_hex(ByteView(data).first(std::min<std::size_t>(data.size(), 64)));
    }
    case IdentificationType::null: return data.empty() ? "nobody" : "malformed ID_NULL";
    default:
      return std::string(name_of(type)) + ":0x" + to_hex(ByteView(data).first(std::min<std::size_t>(data.size(), 64)));
  }
}

}  // namespace culvert::model
