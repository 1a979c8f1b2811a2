#include "model/distinguished_name.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "base/der.hpp"
#include "base/text.hpp"

namespace culvert::model {
namespace {

struct Attribute {
  std::string_view name;
  std::string_view oid;  // content octets, in hexadecimal
  std::uint8_t tag;      // how its value is written; UTF8String as RFC 5280 4.1.2.4 wants where it may be
};
constexpr std::array kAttributes = std::to_array<Attribute>({
    {"CN", "550403", der::kUtf8String},
    {"SN", "550404", der::kUtf8String},
    {"serialNumber", "550405", der::kPrintableString},
    {"C", "550406", der::kPrintableString},
    {"L", "550407", der::kUtf8String},
    {"ST", "550408", der::kUtf8String},
    {"street", "550409", der::kUtf8String},
    {"O", "55040a", der::kUtf8String},
    {"OU", "55040b", der::kUtf8String},
    {"title", "55040c", der::kUtf8String},
    {"GN", "55042a", der::kUtf8String},
    {"initials", "55042b", der::kUtf8String},
    {"UID", "0992268993f22c640101", der::kUtf8String},
    {"DC", "0992268993f22c640119", der::kIa5String},
    {"emailAddress", "2a864886f70d010901", der::kIa5String},
});
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kOtherWords = {
    {{"E", "emailAddress"}, {"S", "ST"}, {"G", "GN"}}};

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

const Attribute* attribute_named(std::string_view word) {
  for (const auto& [other, name] : kOtherWords) {
    if (same_word(word, other)) word = name;
  }
  const auto* found =
      std::ranges::find_if(kAttributes, [&](const Attribute& one) { return same_word(one.name, word); });
  return found == kAttributes.end() ? nullptr : found;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// The parts between commas that no backslash precedes; each as written.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ',') {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string without_escapes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

bool is_string(std::uint8_t tag) {
  return tag == der::kUtf8String || tag == der::kPrintableString || tag == der::kIa5String ||
         tag == der::kNumericString;
}

struct Value {
  ByteView oid;
  der::Element value;
  bool joined = false;  // to the one before, in one part
};

/// Every attribute of a Name in order; nothing when it is none.
std::optional<std::vector<Value>> read(ByteView name) {
  DerReader outer(name);
  const auto parts = outer.next(der::kSequence);
  if (!parts || !outer.at_end()) return std::nullopt;
  std::vector<Value> values;
  for (DerReader all(*parts); !all.at_end();) {
    const auto part = all.next(der::kSet);
    if (!part || part->empty()) return std::nullopt;
    bool joined = false;
    for (DerReader set(*part); !set.at_end(); joined = true) {
      const auto pair = set.next(der::kSequence);
      if (!pair) return std::nullopt;
      DerReader inner(*pair);
      const auto oid = inner.next(der::kObjectIdentifier);
      const auto value = inner.next();
      if (!oid || !value || !inner.at_end()) return std::nullopt;
      values.push_back({*oid, *value, joined});
    }
  }
  return values;
}

/// Small letters, single blanks, none around.
Bytes folded(ByteView text) {
  Bytes out;
  for (const std::uint8_t octet : text) {
    if (octet == ' ' && (out.empty() || out.back() == ' ')) continue;
    out.push_back(octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet + ('a' - 'A')) : octet);
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

void append_value(std::string& text, const Value& value) {
  constexpr std::size_t kLongest = 128;
  const std::string oid = to_hex(value.oid.first(std::min<std::size_t>(value.oid.size(), 32)));
  const auto* known = std::ranges::find(kAttributes, oid, &Attribute::oid);
  text += known == kAttributes.end() ? "oid-" + oid : std::string(known->name);
  text += '=';
  if (!is_string(value.value.tag)) {
    text += "0x" + to_hex(value.value.content.first(std::min<std::size_t>(value.value.content.size(), 64)));
    return;
  }
  const ByteView content = value.value.content.first(std::min(value.value.content.size(), kLongest));
  for (const std::uint8_t octet : content) {
    const char c = static_cast<char>(octet);
    if (c == ',' || c == '\\' || c == '+') text += '\\';
    if (c == '\\') {
      text += c;
    } else {
      text += escaped(std::string_view(&c, 1));
    }
  }
}

}  // namespace

std::optional<Bytes> parse_distinguished_name(std::string_view text) {
  Bytes parts;
  for (const std::string_view part : split(text)) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const Attribute* attribute = attribute_named(trimmed(part.substr(0, equals)));
    const std::string value = without_escapes(trimmed(part.substr(equals + 1)));
    if (attribute == nullptr || value.empty()) return std::nullopt;
    const Bytes pair = concat({der_element(der::kObjectIdentifier, from_hex(attribute->oid).value_or(Bytes())),
                               der_element(attribute->tag, as_bytes(value))});
    const Bytes set = der_element(der::kSet, der_element(der::kSequence, pair));
    parts.insert(parts.end(), set.begin(), set.end());
  }
  return der_element(der::kSequence, parts);
}

std::string distinguished_name_text(ByteView der) {
  constexpr std::size_t kLongest = 400;
  const auto values = read(der);
  if (!values) return "malformed name 0x" + to_hex(der.first(std::min<std::size_t>(der.size(), 64)));
  if (values->empty()) return "empty name";
  std::string text;
  for (const Value& value : *values) {
    if (!text.empty()) text += value.joined ? " + " : ", ";
    if (text.size() > kLongest) return text + "...";
    append_value(text, value);
  }
  return text;
}

Bytes comparable_name(ByteView der) {
  const auto values = read(der);
  if (!values) return to_bytes(der);
  Bytes out;
  for (const Value& value : *values) {
    const bool text = is_string(value.value.tag);
    const Bytes pair = concat({Bytes{static_cast<std::uint8_t>(value.joined ? '+' : ',')},
                               der_element(der::kObjectIdentifier, value.oid),
                               der_element(text ? der::kUtf8String : value.value.tag,
                                           text ? folded(value.value.content) : to_bytes(value.value.content))});
    out.insert(out.end(), pair.begin(), pair.end());
  }
  return der_element(der::kSequence, out);
}

}  // namespace culvert::model
