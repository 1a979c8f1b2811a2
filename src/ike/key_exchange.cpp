#include "ike/key_exchange.hpp"

#include <utility>

namespace culvert::ike {

KeyExchangeResult carry_out(KeyExchangeRequest request, RandomSource& random) {
  KeyExchangeResult result{.own = std::move(request.own), .shared_secret = {}, .fault = {}};
  if (!result.own) {
    auto made = request.peer_value ? crypto::make_key_exchange_answer(request.method, random)
                                   : crypto::make_key_exchange(request.method, random);
    if (!made) {
      result.fault = made.error();
      return result;
    }
    result.own = std::move(*made);
  }
  if (!request.peer_value) return result;
  if (auto secret = result.own->derive(*request.peer_value)) {
    result.shared_secret = std::move(*secret);
  } else {
    result.fault = secret.error();
  }
  return result;
}

}  // namespace culvert::ike
