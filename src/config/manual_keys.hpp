// What follows from the suite of an SA with manual keys: which key has nonces that must never repeat.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"
#include "model/child_sa.hpp"

namespace culvert::config {

/// The sizes of the suite's keys; nothing where no backend has the algorithms.
[[nodiscard]] std::optional<crypto::SuiteSizes> key_sizes(const model::EspSuite& suite);

/// True for counter modes: there a number that is used twice under one key gives the plaintext, or the way to forge,
/// away (RFC 4106 3.1, RFC 3686 7, RFC 4543 7). CBC and HMAC have no such nonce.
[[nodiscard]] bool counts_nonces(const model::EspSuite& suite);

/// The octets that name a direction's key for the ledger of sequence numbers: the key with the nonces in counter modes,
/// whatever stands beside it, else all keys. The octets are the keys' own.
struct LedgerKey {
  ByteView first;
  ByteView second;
};
[[nodiscard]] LedgerKey ledger_key(const model::EspSuite& suite, const model::SaKeys& keys);

/// The same keys for the ledger, compared in constant time.
[[nodiscard]] bool same_ledger_key(const LedgerKey& a, const LedgerKey& b);

}  // namespace culvert::config
