// Which of several connections that a peer can mean by its identity it does mean: the one whose traffic selectors are
// those that it asks for (RFC 4301 4.4.3.4, RFC 7296 2.9).
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "ike/codec/message.hpp"
#include "ike/v2/connection_table.hpp"
#include "ike/v2/transport_addresses.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// How well the selectors of a connection fit what a request asks for.
enum class SelectorFit : unsigned char {
  none,     // they have nothing in common, or the request asks for nothing
  partly,   // what is asked for would be narrowed
  within,   // all that is asked for
  exactly,  // and no more
};
/// Of the responder's connection with TSi and TSr of the request. A connection for transport mode fits only a request
/// for it; another one takes such a request for what it is worth: the initiator may do without (RFC 7296 1.3.1).
/// Where transport mode is asked for and configured, with the addresses that we see (RFC 7296 2.23.1).
[[nodiscard]] SelectorFit selector_fit(const model::ConnectionConfig& config, const codec::Message& request,
                                       const SeenAddresses& seen = {});

/// Keeps the best of the connections that it is shown in their order; of equally good ones the first.
class ConnectionChoice {
 public:
  /// `request` must outlive it.
  explicit ConnectionChoice(const codec::Message& request, SeenAddresses seen = {})
      : request_(request), addresses_(seen) {}
  /// `config` is for the peer, as far as identity and proof go, and must outlive it. True: none to come can be chosen
  /// instead.
  [[nodiscard]] bool take(const model::ConnectionConfig& config);
  /// Null: none was shown.
  [[nodiscard]] const model::ConnectionConfig* best() const { return best_; }

 private:
  const codec::Message& request_;
  SeenAddresses addresses_;
  const model::ConnectionConfig* best_ = nullptr;
  SelectorFit fit_ = SelectorFit::none;
  std::size_t seen_ = 0;
};

/// The peer asks over an IKE SA of `config` for selectors that only another connection for the same peer has: the end
/// of a sentence that says so, with the way out. Nothing when there is no such.
[[nodiscard]] std::optional<std::string> meant_elsewhere(const ConnectionTable& connections,
                                                         const model::ConnectionConfig& config, const IkeSa& sa,
                                                         const codec::Message& request);

}  // namespace culvert::ike::v2
