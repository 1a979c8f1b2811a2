#pragma once

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

/// Joins two ciphers of one suite and key: `few` serves what is left of a batch when `burst` jobs at a time were taken
/// from it and fewer than `enough_for_many` remain, `many` serves all else.
[[nodiscard]] std::unique_ptr<PacketCipher> by_batch_size(std::unique_ptr<PacketCipher> few,
                                                          std::unique_ptr<PacketCipher> many, std::size_t burst,
                                                          std::size_t enough_for_many);

}  // namespace culvert::crypto
