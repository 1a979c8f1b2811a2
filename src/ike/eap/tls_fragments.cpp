#include "ike/eap/tls_fragments.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace culvert::ike::eap {
namespace {

constexpr std::uint8_t kLengthIncluded = 0x80;
constexpr std::uint8_t kMoreFragments = 0x40;
constexpr std::uint8_t kStart = 0x20;
constexpr std::uint8_t kVersionBits = 0x07;

}  // namespace

Result<TlsFragments::Received, std::string> TlsFragments::receive(ByteView data) {
  ByteReader reader(data);
  const std::uint8_t flags = reader.u8();
  if (!reader.ok()) return err(std::string("the packet has no flags"));
  Received received;
  received.start = (flags & kStart) != 0;
  // RFC 5281 9.2.1: who begins says what it can at most, the answer what is done.
  if (!received.start && (flags & kVersionBits) != kVersion)
    return err(fmt::format("version {}, where {} was agreed on", flags & kVersionBits, kVersion));
  if ((flags & kLengthIncluded) != 0) {
    const std::size_t length = reader.u32();
    if (!reader.ok()) return err(std::string("the length is cut off"));
    if (length > kMostTlsMessage) return err(fmt::format("{} octets of TLS; {} are taken", length, kMostTlsMessage));
    // RFC 5216 3.1: the length of the whole; those that repeat it must mean the same.
    if (announced_ && *announced_ != length) return err(std::string("the length changes from fragment to fragment"));
    if (!announced_ && !partial_.empty()) return err(std::string("the length comes only behind the first fragment"));
    announced_ = length;
  }
  const ByteView part = reader.rest();
  const bool more = (flags & kMoreFragments) != 0;
  // Else it could go on for ever.
  if (more && part.empty()) return err(std::string("a fragment without anything in it"));
  const std::size_t bound = announced_.value_or(kMostTlsMessage);
  if (partial_.size() + part.size() > bound)
    return err(fmt::format("more than the {} octets that were to come", bound));
  partial_.insert(partial_.end(), part.begin(), part.end());
  if (more) return received;
  if (announced_ && partial_.size() != *announced_)
    return err(fmt::format("{} octets of TLS came of {}", partial_.size(), *announced_));
  received.complete = true;
  received.message = std::exchange(partial_, {});
  announced_.reset();
  return received;
}

void TlsFragments::say(Bytes message) {
  message_ = std::move(message);
  sent_ = 0;
}

Bytes TlsFragments::next() {
  const std::size_t size = std::min(kTlsFragment, message_.size() - sent_);
  const bool first = sent_ == 0 && size < message_.size();
  const bool more = sent_ + size < message_.size();
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(kVersion | (first ? kLengthIncluded : 0) | (more ? kMoreFragments : 0)));
  if (first) out.u32(static_cast<std::uint32_t>(message_.size()));
  out.bytes(ByteView(message_).subspan(sent_, size));
  sent_ += size;
  return out.take();
}

Bytes TlsFragments::start() { return {static_cast<std::uint8_t>(kVersion | kStart)}; }

}  // namespace culvert::ike::eap
