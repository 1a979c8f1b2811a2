#include "ike/eap/attributes.hpp"

#include <fmt/format.h>

namespace culvert::ike::eap {
namespace {

constexpr std::uint8_t kVendor = 0x80;
constexpr std::uint8_t kMandatory = 0x40;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kVendorHeader = 12;
constexpr std::size_t kMost = 64;

constexpr std::size_t padding(std::size_t length) { return (4 - length % 4) % 4; }

void add(ByteWriter& out, std::uint32_t vendor, std::uint32_t code, ByteView data) {
  const std::size_t length = (vendor == 0 ? kHeader : kVendorHeader) + data.size();
  out.u32(code);
  const std::uint32_t flags = vendor == 0 ? kMandatory : kMandatory | kVendor;
  out.u32(flags << 24 | static_cast<std::uint32_t>(length));
  if (vendor != 0) out.u32(vendor);
  out.bytes(data);
  out.zeros(padding(length));
}

}  // namespace

Result<std::vector<Attribute>, std::string> parse_attributes(ByteView octets) {
  std::vector<Attribute> all;
  ByteReader reader(octets);
  while (!reader.at_end()) {
    if (all.size() == kMost) return err(fmt::format("more than {} attributes", kMost));
    Attribute one;
    one.code = reader.u32();
    const std::uint32_t word = reader.u32();
    const auto flags = static_cast<std::uint8_t>(word >> 24);
    const std::size_t length = word & 0xffffff;
    const bool vendor = (flags & kVendor) != 0;
    if (vendor) one.vendor = reader.u32();
    if (!reader.ok()) return err(std::string("the header of an attribute is cut off"));
    const std::size_t header = vendor ? kVendorHeader : kHeader;
    // CVE-2026-25075: shorter than its own header, or longer than what is there.
    if (length < header || length - header > reader.remaining())
      return err(fmt::format("attribute {} says it has {} octets, and {} are there", one.code, length,
                             header + reader.remaining()));
    one.mandatory = (flags & kMandatory) != 0;
    one.data = reader.bytes(length - header);
    // RFC 5281 10.2: padded to four octets; the last one of some senders is not.
    reader.skip(std::min(padding(length), reader.remaining()));
    all.push_back(one);
  }
  return all;
}

void add_attribute(ByteWriter& out, AttributeCode code, ByteView data) {
  add(out, 0, static_cast<std::uint32_t>(code), data);
}

void add_attribute(ByteWriter& out, MicrosoftCode code, ByteView data) {
  add(out, kMicrosoft, static_cast<std::uint32_t>(code), data);
}

}  // namespace culvert::ike::eap
