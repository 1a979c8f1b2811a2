// What comes before a session: the plan that its first octet makes, and the set-up by it: IKE_SA_INIT, perhaps with
// puzzles (RFC 8019), one IKE_INTERMEDIATE for each additional key exchange (RFC 9370), one IKE_AUTH for each round
// (RFC 4739). Before each message octets choose what else is said; a difference from what is due aborts.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "tests/liar/choices.hpp"
#include "tests/liar/scene.hpp"

namespace culvert::liar {

/// Octet 0: one key exchange, one round, and nothing that disturbs.
class Plan {
 public:
  explicit Plan(std::uint8_t octet) : octet_(octet) {}
  [[nodiscard]] bool plain() const { return octet_ == 0; }
  [[nodiscard]] bool disturbed() const { return (octet_ & 0x20U) != 0; }
  [[nodiscard]] Setting setting() const;

 private:
  std::uint8_t octet_;
};

/// False: something was said that ended it, or it took too long. `told` are the requests that may come again.
[[nodiscard]] bool set_up_by_choice(const Plan& plan, Choices& choices, Scene& scene, std::vector<Bytes>& told);

}  // namespace culvert::liar
