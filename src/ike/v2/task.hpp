// Task: something an IKE SA means to do with a request of its own as soon as its window and its state allow.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ike/face.hpp"
#include "model/iana/key_exchange_method.hpp"
#include "model/iana/notify_type.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

/// What a repeated negotiation takes over from its first attempt (RFC 7296 1.3: INVALID_KE_PAYLOAD names another
/// method).
struct Retry {
  model::KeyExchangeMethod method = model::KeyExchangeMethod::none;
  unsigned attempts = 0;
  /// Since when the peer has been answering it with TEMPORARY_FAILURE (RFC 7296 2.25).
  std::optional<Instant> refused_since;
  /// The peer takes one pair of addresses only (RFC 7296 2.9: SINGLE_PAIR_REQUIRED).
  bool single_pair = false;
  /// How often it has been in vain because the peer had forgotten its beginning (RFC 9370 2.2.4: STATE_NOT_FOUND).
  unsigned forgotten = 0;
};

struct CreateChildTask {
  Retry retry;
  std::optional<ChildWish> wish;  // nothing: all that the connection has
  /// A guest's of the IKE SA (shared_ike_sa.hpp); nothing: for the connection that the IKE SA is of.
  std::optional<model::ConnectionId> guest = {};
  /// Also beside one that stands in another IKE SA, whose place this one takes.
  bool anew = false;
};
struct RekeyChildTask {
  model::ChildSaId child;
  Retry retry;
};
struct RekeyIkeTask {
  Retry retry;
};
struct DeleteChildTask {
  model::ChildSaId child;
  CloseReason reason = CloseReason::local_request;
};
/// A DELETE for a pair that is not on our side, though the peer believes so.
struct DeleteUnknownChildTask {
  model::Spi spi_inbound;
  /// It never came to be here: the SPI is ours to release. Else it went with the pair.
  bool reserved = true;
};
struct DeleteIkeTask {
  CloseReason reason = CloseReason::local_request;
};
/// An empty INFORMATIONAL; `hasty` gives up after not quite two seconds.
struct LivenessTask {
  bool hasty = false;
};
/// A notification in an INFORMATIONAL of its own.
struct NotifyTask {
  model::NotifyType type{};
  Bytes data;
};

/// UPDATE_SA_ADDRESSES for the path of the IKE SA (RFC 4555 3.5).
struct UpdateAddressesTask {
  unsigned refused = 0;  // how often the peer saw other addresses than we sent (RFC 4555 3.9)
};
/// The addresses that we have beside that of the path (RFC 4555 3.6).
struct TellAddressesTask {};
/// An INFORMATIONAL on this path and no other: the peer is there if it answers (RFC 4555 3.7, 3.10).
struct ProbePathTask {
  net::Path path;
  std::string why;  // it is to be the path of the IKE SA
  unsigned repeated = 0;
};

using Task =
    std::variant<CreateChildTask, RekeyChildTask, RekeyIkeTask, DeleteChildTask, DeleteUnknownChildTask, DeleteIkeTask,
                 LivenessTask, NotifyTask, UpdateAddressesTask, TellAddressesTask, ProbePathTask>;

struct QueuedTask {
  Task task;
  Instant not_before{};
};

}  // namespace culvert::ike::v2
