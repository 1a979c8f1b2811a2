// IKE_FOLLOWUP_KE as initiator (RFC 9370 2.2.4): the additional key exchanges behind one CREATE_CHILD_SA of ours, one
// after the other. Part of the exchange that sent it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

/// Why the series has ended: by an error of the peer's, if there is a notification.
struct FollowUpFault {
  FailureKind kind = FailureKind::protocol_error;
  std::optional<model::NotifyType> notify;
  std::string detail;
};

class FollowUpSeries {
 public:
  enum class Step : std::uint8_t { waiting, done, failed };

  /// `methods` are those that were agreed on, at least one.
  FollowUpSeries(Core& core, IkeSa& sa, std::vector<model::KeyExchangeMethod> methods)
      : core_(core), sa_(sa), methods_(std::move(methods)) {}

  /// With the response of CREATE_CHILD_SA.
  [[nodiscard]] Step begin(const codec::Message& response);
  /// The response of IKE_FOLLOWUP_KE, its payload set checked.
  [[nodiscard]] Step take(const codec::Message& response);
  [[nodiscard]] Step take(RequestToken token, Completion result);

  /// After `failed`.
  [[nodiscard]] const FollowUpFault& fault() const { return fault_; }
  /// After `done`: SK(1) | ... | SK(n).
  [[nodiscard]] ByteView secrets() const { return secrets_.view(); }
  /// The last request is under way or answered: the peer may have made the SA.
  [[nodiscard]] bool is_last() const { return done_ + 1 == methods_.size() && sent_; }

  [[nodiscard]] bool awaits(RequestToken token) const { return token == token_; }

 private:
  [[nodiscard]] Step begin_next();
  [[nodiscard]] Step fail(FailureKind kind, std::optional<model::NotifyType> notify, std::string detail);
  /// What the response says of the next request.
  [[nodiscard]] bool take_link(const codec::Message& response);

  Core& core_;
  IkeSa& sa_;
  const std::vector<model::KeyExchangeMethod> methods_;
  std::size_t done_ = 0;
  bool sent_ = false;  // the request of the current one
  bool answered_ = false;
  Bytes link_;
  std::unique_ptr<crypto::KeyExchange> own_;
  RequestToken token_;
  SecretBytes secrets_;
  FollowUpFault fault_;
};

/// Puts a secret behind others.
[[nodiscard]] SecretBytes appended(const SecretBytes& secrets, ByteView one);

}  // namespace culvert::ike::v2
