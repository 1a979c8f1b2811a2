// Puzzles (RFC 8019): what is a solution and what is none.
#include "ike/puzzle.hpp"

#include <gtest/gtest.h>

#include "crypto/prf.hpp"

namespace culvert::ike {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

const Bytes kCookie = hex("739ae7492d8a810cf5e8dc0f9626c9dda773c5a3");

// What another implementation of HMAC says for the cookie of RFC 8019 4.4: the end of the prf and its zero bits. The
// rows that stand in the RFC itself do not follow from its cookie: no order of key and text, nor any writing of them,
// gives them.
TEST(Puzzle, TheBitsOfAKey) {
  struct Row {
    std::string_view key, end;
    unsigned bits;
  };
  for (const Row& row :
       {Row{"00499b", "ff518ba7baf8084d640c989d03644000", 14}, Row{"00cd8a", "d9020c806e0a90859e962de0a8840000", 18},
        Row{"01b4dc", "454b91eccb2aa1c9ed85175351f68000", 15}, Row{"01c244", "113c8b0a6ec6c7193ad7bb4259cf0000", 16}}) {
    const SecretBytes found = crypto::hmac(crypto::HashId::sha2_256, hex(row.key), {kCookie});
    EXPECT_EQ(to_hex(found.view().last(16)), row.end);
    EXPECT_EQ(trailing_zero_bits(found.view()), row.bits);
  }
  EXPECT_EQ(solved_bits(model::PrfId::hmac_sha2_256, kCookie, hex("00499b00cd8a01b4dc01c244")), 14u);
}

TEST(Puzzle, WhatIsNoSolution) {
  const auto bits = [](std::string_view keys) { return solved_bits(model::PrfId::hmac_sha2_256, kCookie, hex(keys)); };
  EXPECT_FALSE(bits(""));                          // RFC 8019 8.2: not empty
  EXPECT_FALSE(bits("0618400733240c8a2a0d94"));    // four of one length
  EXPECT_FALSE(bits("0618400618400c8a2a0d94c8"));  // and all different
  EXPECT_FALSE(solved_bits(model::PrfId::hmac_sha2_256, kCookie, Bytes(4 * 33)));
  EXPECT_FALSE(solved_bits(static_cast<model::PrfId>(999), kCookie, hex("01020304")));
  // RFC 8019 7.1.4: the least counts.
  EXPECT_LT(*bits("00499b00cd8a01b4dc000001"), 14u);
  EXPECT_EQ(trailing_zero_bits(Bytes(32)), 256u);
  EXPECT_EQ(trailing_zero_bits({}), 0u);
}

TEST(Puzzle, IsSolvedWithEveryPrf) {
  for (const model::PrfId prf : {model::PrfId::hmac_sha2_256, model::PrfId::hmac_sha2_384, model::PrfId::hmac_sha2_512,
                                 model::PrfId::aes128_xcbc, model::PrfId::aes128_cmac}) {
    const PuzzleResult found = carry_out(PuzzleRequest{.token = {}, .prf = prf, .text = kCookie, .zero_bits = 8});
    ASSERT_FALSE(found.solution.empty());
    EXPECT_GE(solved_bits(prf, kCookie, found.solution), 8u);
  }
  // RFC 8019 7.1.1.1: as much as can be had.
  const PuzzleResult free = carry_out(PuzzleRequest{.token = {}, .text = kCookie, .zero_bits = 0});
  EXPECT_GE(solved_bits(model::PrfId::hmac_sha2_256, kCookie, free.solution), 10u);
}

TEST(Puzzle, TheEffortHasABound) {
  EXPECT_TRUE(carry_out(PuzzleRequest{.token = {}, .text = kCookie, .zero_bits = 255}).solution.empty());
  EXPECT_TRUE(
      carry_out(PuzzleRequest{.token = {}, .prf = static_cast<model::PrfId>(999), .text = kCookie, .zero_bits = 8})
          .solution.empty());
}

TEST(Puzzle, TheNotification) {
  const Puzzle puzzle{.prf = model::PrfId::hmac_sha2_512, .zero_bits = 18};
  EXPECT_EQ(to_hex(encode(puzzle)), "000712");
  EXPECT_EQ(decode_puzzle(encode(puzzle)), puzzle);
  EXPECT_FALSE(decode_puzzle(hex("0007")));
  EXPECT_FALSE(decode_puzzle(hex("00071200")));
}

}  // namespace
}  // namespace culvert::ike
