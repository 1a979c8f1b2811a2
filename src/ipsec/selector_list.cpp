#include "ipsec/selector_list.hpp"

#include <cstring>

#include "base/check.hpp"

namespace culvert::ipsec {
namespace {

bool contains(const std::uint8_t* range, net::Family family, const std::uint8_t* octets) {
  if (family == net::Family::v4) {
    const std::uint32_t number = load_be32(octets);
    return load_be32(range) <= number && number <= load_be32(range + 4);
  }
  return std::memcmp(range, octets, 16) <= 0 && std::memcmp(octets, range + 16, 16) <= 0;
}

}  // namespace

SelectorList::SelectorList(const model::TrafficSelectors& selectors) {
  if (selectors.empty()) return;
  CHECK(selectors.size() <= 0xffff);
  std::size_t size = sizeof(std::uint16_t);
  for (const model::TrafficSelector& one : selectors) size += sizeof(Head) + 2 * one.addresses.first.size();
  block_ = std::make_unique_for_overwrite<std::uint8_t[]>(size);
  std::uint8_t* at = block_.get();
  const auto put = [&at](const void* from, std::size_t octets) {
    std::memcpy(at, from, octets);
    at += octets;
  };
  const auto count = static_cast<std::uint16_t>(selectors.size());
  put(&count, sizeof count);
  for (const model::TrafficSelector& one : selectors) {
    const Head head{one.addresses.family(), one.protocol, one.start_port, one.end_port};
    put(&head, sizeof head);
    put(one.addresses.first.bytes().data(), head.address_size());
    put(one.addresses.last.bytes().data(), head.address_size());
  }
}

SelectorList::Cursor SelectorList::begin() const {
  Cursor cursor;
  if (block_ == nullptr) return cursor;
  std::memcpy(&cursor.left, block_.get(), sizeof cursor.left);
  cursor.at = block_.get() + sizeof cursor.left;
  return cursor;
}

model::TrafficSelector SelectorList::take(Cursor& cursor) {
  Head head;
  std::memcpy(&head, cursor.at, sizeof head);
  const std::uint8_t* const range = cursor.at + sizeof head;
  cursor.at = range + 2 * head.address_size();
  --cursor.left;
  return {{net::IpAddress::load(head.family, range), net::IpAddress::load(head.family, range + head.address_size())},
          head.protocol,
          head.start_port,
          head.end_port};
}

model::TrafficSelector SelectorList::front() const {
  CHECK(!empty());
  Cursor cursor = begin();
  return take(cursor);
}

model::TrafficSelectors SelectorList::all() const {
  model::TrafficSelectors list;
  for (Cursor cursor = begin(); cursor.left != 0;) list.push_back(take(cursor));
  return list;
}

std::optional<RangeV4> SelectorList::range_v4() const {
  std::optional<RangeV4> range;
  for (Cursor cursor = begin(); cursor.left != 0;) {
    const model::TrafficSelector one = take(cursor);
    if (one.addresses.family() != net::Family::v4) continue;
    if (range || one.protocol != 0 || !one.any_port()) return std::nullopt;
    const std::uint32_t first = load_be32(one.addresses.first.bytes().data());
    range = {first, load_be32(one.addresses.last.bytes().data()) - first};
  }
  return range;
}

// True when `above` says so of one that has the address.
template <typename Above>
bool SelectorList::any(net::Family family, const std::uint8_t* address, Above above) const {
  for (Cursor cursor = begin(); cursor.left != 0; --cursor.left) {
    Head head;
    std::memcpy(&head, cursor.at, sizeof head);
    const std::uint8_t* const range = cursor.at + sizeof head;
    if (head.family == family && contains(range, head.family, address) &&
        above(model::TrafficSelector{{}, head.protocol, head.start_port, head.end_port})) {
      return true;
    }
    cursor.at = range + 2 * head.address_size();
  }
  return false;
}

bool SelectorList::matches_source(const net::PacketInfo& packet) const {
  return any(packet.source.family(), packet.source.bytes().data(), [&packet](const model::TrafficSelector& selector) {
    return selector.matches_above(packet.protocol, packet.ports_visible, packet.source_port);
  });
}

bool SelectorList::matches_destination(const net::PacketInfo& packet) const {
  return any(packet.destination.family(), packet.destination.bytes().data(),
             [&packet](const model::TrafficSelector& selector) {
               return selector.matches_destination_above(packet.protocol, packet.ports_visible,
                                                         packet.destination_port);
             });
}

bool SelectorList::matches_source(const net::PlainPacket& plain, const std::uint8_t* packet) const {
  const std::uint16_t port = load_be16(packet + plain.header_length());
  return any(plain.family(), packet + (plain.family() == net::Family::v4 ? 12 : 8),
             [&plain, port](const model::TrafficSelector& selector) {
               return selector.matches_above(plain.protocol, true, port);
             });
}

bool SelectorList::matches_destination(const net::PlainPacket& plain, const std::uint8_t* packet) const {
  const std::uint16_t port = load_be16(packet + plain.header_length() + 2);
  return any(plain.family(), packet + (plain.family() == net::Family::v4 ? 16 : 24),
             [&plain, port](const model::TrafficSelector& selector) {
               return selector.matches_destination_above(plain.protocol, true, port);
             });
}

}  // namespace culvert::ipsec
