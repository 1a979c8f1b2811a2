#include "ike/v2/key_exchange_work.hpp"

#include <utility>

#include "base/check.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {
namespace {

RequestToken ask(Core& core, const IkeSa& sa, Asker asker, model::KeyExchangeMethod method,
                 std::unique_ptr<crypto::KeyExchange> own, std::optional<Bytes> peer_value) {
  const auto id = model::key_exchange_id(method);
  CHECK(id);
  const RequestToken token = core.expect_completion(sa, asker);
  core.requests.emplace_back(
      KeyExchangeRequest{.token = token, .method = *id, .own = std::move(own), .peer_value = std::move(peer_value)});
  return token;
}

}  // namespace

RequestToken ask_for_key_pair(Core& core, const IkeSa& sa, model::KeyExchangeMethod method, Asker asker) {
  return ask(core, sa, asker, method, nullptr, std::nullopt);
}

RequestToken ask_for_shared_secret(Core& core, const IkeSa& sa, model::KeyExchangeMethod method,
                                   std::unique_ptr<crypto::KeyExchange> own, ByteView peer_value, Asker asker) {
  CHECK(own != nullptr);
  return ask(core, sa, asker, method, std::move(own), to_bytes(peer_value));
}

RequestToken ask_for_answer(Core& core, const IkeSa& sa, model::KeyExchangeMethod method, ByteView peer_value) {
  return ask(core, sa, Asker::responder, method, nullptr, to_bytes(peer_value));
}

const char* fault_of(const KeyExchangeResult& result) {
  CHECK(result.fault);
  return crypto::to_string(*result.fault);
}

KeyExchangeResult key_exchange_result(Completion&& completion) {
  auto* result = std::get_if<KeyExchangeResult>(&completion);
  CHECK(result != nullptr);
  return std::move(*result);
}

}  // namespace culvert::ike::v2
