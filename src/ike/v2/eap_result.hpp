// The answers to the core's requests about EAP, made of what a conversation says; for all who keep conversations.
#pragma once

#include <string>
#include <utility>

#include "ike/eap/server.hpp"
#include "ike/face.hpp"

namespace culvert::ike::v2 {

/// What comes of one step, without group and authorization.
[[nodiscard]] inline EapResult to_result(eap::Outcome&& outcome) {
  using From = eap::Outcome::State;
  using To = EapResult::State;
  EapResult result;
  result.state = outcome.state == From::going ? To::going : outcome.state == From::success ? To::success : To::failure;
  result.packet = std::move(outcome.packet);
  result.msk = std::move(outcome.msk);
  result.identity = std::move(outcome.identity);
  result.method = outcome.method;
  result.refusal = std::move(outcome.refusal);
  result.good_until = outcome.good_until;
  return result;
}

/// There is no conversation: why, for our own log.
[[nodiscard]] inline EapResult local_failure(std::string found) {
  EapResult result;
  result.refusal =
      model::AuthenticationRefusal{.subject = {}, .serial = {}, .check = "local", .found = std::move(found)};
  return result;
}

}  // namespace culvert::ike::v2
