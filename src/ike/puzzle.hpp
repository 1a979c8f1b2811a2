// Puzzles (RFC 8019 7.1.3): whoever wants to be let in while a responder is under attack shows that it has spent time
// on it: four keys with which the prf of a text that it was given ends with zero bits.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "ike/face.hpp"
#include "model/iana/prf_id.hpp"

namespace culvert::ike {

/// The type of the Puzzle Solution payload (RFC 8019 8.2).
inline constexpr std::uint8_t kPuzzleSolutionPayload = 54;
/// The most zero bits that we work for: some millions of computations.
inline constexpr std::uint8_t kMostZeroBits = 20;

/// The data of the PUZZLE notification (RFC 8019 8.1).
struct Puzzle {
  model::PrfId prf = model::PrfId::hmac_sha2_256;
  std::uint8_t zero_bits = 0;
  friend bool operator==(const Puzzle&, const Puzzle&) = default;
};
[[nodiscard]] Bytes encode(const Puzzle& puzzle);
/// Nothing when it is malformed.
[[nodiscard]] std::optional<Puzzle> decode_puzzle(ByteView data);

[[nodiscard]] unsigned trailing_zero_bits(ByteView octets);
/// The least number of zero bits that the four keys of the solution reach; nothing where these are not four different
/// keys of one allowed length (RFC 8019 8.2), or the prf is none of ours.
[[nodiscard]] std::optional<unsigned> solved_bits(model::PrfId prf, ByteView text, ByteView solution);
/// Any thread; takes seconds at the worst. Ends without a solution soon after `unwanted` is set.
[[nodiscard]] PuzzleResult carry_out(const PuzzleRequest& request);

}  // namespace culvert::ike
