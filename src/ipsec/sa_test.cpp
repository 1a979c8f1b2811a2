#include "ipsec/sa.hpp"

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

TEST(EspLayout, SealedSizes) {
  const EspLayout gcm{.iv = 8, .icv = 16, .alignment = 4};
  // 8 ESP header, 8 IV, 64 packet, 2 trailer, 2 padding, 16 ICV
  EXPECT_EQ(gcm.sealed(64), 100U);
  EXPECT_EQ(gcm.sealed(66), 100U);
  EXPECT_EQ(gcm.sealed(67), 104U);
  const EspLayout cbc{.iv = 16, .icv = 16, .alignment = 16, .aead = false, .random_iv = true};
  EXPECT_EQ(cbc.sealed(64), 8U + 16 + 80 + 16);
  EXPECT_EQ(cbc.sealed(62), 8U + 16 + 64 + 16);
}

// What an SA is made of.
struct Parts {
  crypto::PacketSuite suite{.cipher = crypto::CipherId::aes_gcm_16, .key_bits = 128};
  CipherPool pool{1, CipherPool::maker_of(crypto::Backend::automatic)};
  SaKeyPair keys{pool, suite, {}, {}};
  SaProfile profile{.suite = suite};
};

// A usual packet that is sealed needs one cache line of its SA, or one of the pair as well. outbound_turns.cpp takes
// them as eight words each.
TEST(OutboundSa, UsualPacketsNeedOneLineOfKnownWords) {
  const Parts parts;
  const OutboundSa out(parts.keys, parts.profile, model::ChildSaParams{});
  const auto place_of = [](const auto& member, const auto& whole) {
    return reinterpret_cast<std::uintptr_t>(&member) - reinterpret_cast<std::uintptr_t>(&whole);
  };
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&out) % kCacheLine, 0U);
  EXPECT_EQ(place_of(out.cipher, out), 0U);  // the cipher's address, then its state
  EXPECT_EQ(place_of(out.longest_usual, out), 30U);
  EXPECT_EQ(place_of(out.unwatched, out), 32U);
  EXPECT_EQ(place_of(out.addresses, out), 40U);
  EXPECT_EQ(place_of(out.spi, out), 48U);
  EXPECT_EQ(place_of(out.ports, out), 52U);
  EXPECT_EQ(place_of(out.sequence, out), 56U);  // the last number
  const SaParams params(model::ChildSaParams{}, std::make_shared<const SaProfile>(parts.profile));
  EXPECT_EQ(place_of(params.path, params), 16U);
  EXPECT_EQ(place_of(params.encapsulation, params), 56U);
}

// What decides whether packets of two SAs may share a train, and differ in addresses and ports at most.
TEST(OutboundSa, OuterKindSaysAllButThePath) {
  Parts parts;
  parts.profile.number = 7;
  const auto kind = [&](const char* local, const char* remote, model::Encapsulation encapsulation,
                        net::Transport transport = net::Transport::udp) {
    OutboundSa out(parts.keys, parts.profile, model::ChildSaParams{});
    out.set_outer(parts.profile,
                  {{net::IpAddress::parse(local).value(), 4500, transport},
                   {net::IpAddress::parse(remote).value(), 4501, transport}},
                  encapsulation);
    return out.outer_kind();
  };
  using enum model::Encapsulation;
  const std::uint16_t usual = kind("192.0.2.1", "192.0.2.2", udp);
  EXPECT_NE(usual, 0U);
  EXPECT_EQ(kind("192.0.2.3", "192.0.2.4", udp), usual);
  EXPECT_EQ(kind("2001:db8::1", "2001:db8::2", udp), 0U);
  parts.profile.number = 0;
  EXPECT_EQ(kind("192.0.2.1", "192.0.2.2", udp), 0U);
  std::set<std::uint16_t> kinds;
  for (const std::uint16_t number : {std::uint16_t{1}, std::uint16_t{7}, ProfileTable::kMostNumbers}) {
    parts.profile.number = number;
    kinds.insert(kind("192.0.2.1", "192.0.2.2", udp));
    kinds.insert(kind("192.0.2.1", "192.0.2.2", none));
    kinds.insert(kind("192.0.2.1", "192.0.2.2", udp, net::Transport::tcp));
  }
  EXPECT_EQ(kinds.size(), 9U);
}

// Each profile that is in use has a number of its own, and gives it back.
TEST(ProfileTable, NumbersThoseInUse) {
  ProfileTable table;
  const auto share = [&](std::uint64_t bound) { return table.share({.suite = {}, .bounds = {.hard_packets = bound}}); };
  auto first = share(1);
  const auto second = share(2);
  EXPECT_NE(first->number, 0U);
  EXPECT_NE(first->number, second->number);
  EXPECT_EQ(share(1)->number, first->number);
  const std::uint16_t number = first->number;
  first.reset();
  EXPECT_EQ(share(3)->number, number);
  std::vector<std::shared_ptr<const SaProfile>> all;
  all.reserve(ProfileTable::kMostNumbers);
  for (std::uint64_t i = 0; i < ProfileTable::kMostNumbers; ++i) all.push_back(share(100 + i));
  EXPECT_EQ(all.back()->number, 0U) << "there are not so many";
}

// A usual packet that is opened needs one cache line of its SA, and where there are very many SAs waits for no other.
TEST(InboundSa, UsualPacketsNeedOneLine) {
  const Parts parts;
  const InboundSa in(parts.keys, parts.profile, model::ChildSaParams{});
  const auto* const line = static_cast<const std::uint8_t*>(in.usual_line());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(line) % kCacheLine, 0U);
  const auto lies_there = [line](const auto& member, std::size_t from, std::size_t size) {
    const auto* const at = reinterpret_cast<const std::uint8_t*>(&member) + from;
    return at >= line && at + size <= line + kCacheLine;
  };
  // The window's highest number is its last word.
  EXPECT_TRUE(lies_there(in.window, sizeof in.window - sizeof(std::uint64_t), sizeof(std::uint64_t)));
  EXPECT_TRUE(lies_there(in.unwatched, 0, sizeof in.unwatched));
  EXPECT_TRUE(lies_there(in.peer, 0, sizeof in.peer));
  EXPECT_TRUE(lies_there(in.remote, 0, sizeof in.remote));
  EXPECT_TRUE(lies_there(in.local, 0, sizeof in.local));
  EXPECT_TRUE(lies_there(in.resync, 0, 5));
  EXPECT_TRUE(lies_there(in.straight, 0, sizeof in.straight));
  EXPECT_TRUE(lies_there(in.cipher, 0, SaCipher::kUsualPart));
}

// What tells that a packet comes from where the SA's peer is (RFC 7296 2.23), whatever else was received with it.
TEST(PeerWord, TellsSendersOfIPv4Apart) {
  std::set<std::uint64_t> words;
  for (const char* const address : {"0.0.0.0", "192.0.2.1", "192.0.2.2", "2001:db8::1", "::"}) {
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{0, 500, 4500, 0xffff}) {
      for (const auto encapsulation : {model::Encapsulation::udp, model::Encapsulation::none}) {
        WireInput input;
        input.path.remote = {net::IpAddress::parse(address).value(), port};
        input.encapsulation = encapsulation;
        const std::uint64_t word = PeerWord::of_sender(input);
        EXPECT_EQ(word, PeerWord::raw(input.path.remote, encapsulation));
        EXPECT_NE(word, PeerWord::kNone);
        if (!input.path.remote.address.is_v4()) {
          EXPECT_EQ(PeerWord::of(input.path.remote, encapsulation), PeerWord::kNone);
          EXPECT_FALSE(words.contains(word));
          continue;
        }
        EXPECT_EQ(PeerWord::of(input.path.remote, encapsulation), word);
        EXPECT_TRUE(words.insert(word).second);
        input.tos = 0xff;
        input.hop_limit = 64;
        input.protocol = 51;
        EXPECT_EQ(PeerWord::of_sender(input), word);
      }
    }
  }
}

}  // namespace
}  // namespace culvert::ipsec
