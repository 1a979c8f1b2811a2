#include "ike/v2/reassembly.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace culvert::ike::v2 {

Reassembly::Verdict Reassembly::judge(codec::FragmentPlace place) const {
  if (place.total < total_) return Verdict::outdated;
  return place.total == total_ && parts_.contains(place.number) ? Verdict::repeated : Verdict::wanted;
}

void Reassembly::clear() { *this = Reassembly(); }

Reassembly::State Reassembly::add(const codec::SealedPayload& sealed, SecretBytes part, std::size_t datagram) {
  CHECK(sealed.fragment);
  const codec::FragmentPlace place = *sealed.fragment;
  // RFC 7383 2.6: a larger total is the same message cut anew; the parts of the two do not mix.
  if (place.total > total_) {
    clear();
    total_ = place.total;
  }
  if (place.total > kMostFragments || part.size() > kMostReassembled - octets_) {
    clear();
    return State::too_much;
  }
  octets_ += part.size();
  largest_ = std::max(largest_, datagram);
  if (place.number == 1) {
    first_ = sealed.first_inner;
    flags_ = sealed.flags;
  }
  parts_.insert_or_assign(place.number, std::move(part));
  return parts_.size() == total_ ? State::complete : State::incomplete;
}

OpenedContent Reassembly::content() const {
  SecretBytes whole(octets_);
  std::uint8_t* at = whole.mutable_view().data();
  for (const auto& [number, part] : parts_) at = std::ranges::copy(part.view(), at).out;
  return {.first = first_, .flags = flags_, .chain = std::move(whole)};
}

}  // namespace culvert::ike::v2
