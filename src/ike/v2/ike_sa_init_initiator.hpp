// IKE_SA_INIT as initiator (RFC 7296 1.2, 2.6, 2.21.1). Nothing that comes back is authenticated: cookies and other key
// exchange methods are followed within bounds, other errors are remembered while the genuine answer may still come.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/key_exchange.hpp"
#include "ike/codec/parse.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/set_up_exchange.hpp"
#include "model/connection.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

class IkeSaInitInitiator final : public SetUpExchange {
 public:
  IkeSaInitInitiator(Core& core, IkeSa& sa, const model::ConnectionConfig& config);
  ~IkeSaInitInitiator() override;
  IkeSaInitInitiator(const IkeSaInitInitiator&) = delete;
  IkeSaInitInitiator& operator=(const IkeSaInitInitiator&) = delete;

  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::ike_sa_init; }
  Progression start() override;
  Progression handle_completion(RequestToken token, Completion result) override;
  void handle_init_response(const net::Path& path, ByteView datagram, const codec::ParsedMessage& parsed) override;
  void give_up() override;

 private:
  // What was computed last is not waited for any more when it has come.
  struct Wait {
    model::KeyExchangeMethod method;
    RequestToken token;
  };
  // The answer that is taken if the key exchange with it is right.
  struct Agreement {
    codec::Message message;
    Bytes datagram;
    net::Path path;
    model::IkeSuite suite;
    Wait secret;
  };
  // One request as sent. Several, when the peer (or a forger) asked for another method: the genuine answer may be to
  // any of them.
  struct Attempt {
    model::KeyExchangeMethod method;
    std::unique_ptr<crypto::KeyExchange> key_exchange;
    Bytes request;
  };
  void begin_attempt(model::KeyExchangeMethod method);
  [[nodiscard]] Progression take_key_pair(model::KeyExchangeMethod method, KeyExchangeResult made);
  [[nodiscard]] Attempt* find_attempt(model::KeyExchangeMethod method);
  void send_current();
  void handle_cookie(const codec::Message& message, const codec::NotifyPayload& notify);
  [[nodiscard]] Progression take_solution(const PuzzleResult& result);
  void handle_invalid_ke(const codec::NotifyPayload& notify);
  void handle_error(const codec::NotifyPayload& notify);
  void handle_redirect(const codec::NotifyPayload& notify);
  void handle_agreement(const codec::Message& message, ByteView datagram, const net::Path& path);
  [[nodiscard]] Progression finish(const Agreement& agreement, KeyExchangeResult computed);
  [[nodiscard]] Progression establish_keys(const Agreement& agreement, ByteView shared_secret, const Attempt& attempt);
  void doubt(FailureKind kind, std::optional<model::NotifyType> notify, std::string detail);

  Core& core_;
  IkeSa& sa_;
  const model::ConnectionConfig config_;  // as it was when the attempt began
  std::vector<model::Proposal> offered_;
  Bytes nonce_;
  Bytes cookie_;
  unsigned cookies_taken_ = 0;
  Bytes solution_;                      // of the puzzle that came with the cookie (RFC 8019)
  std::optional<RequestToken> puzzle_;  // is being solved; the cookie that it came with waits
  Bytes puzzle_cookie_;
  unsigned puzzles_taken_ = 0;
  std::shared_ptr<std::atomic<bool>> puzzle_unwanted_;  // who solves it hears so when this attempt ends
  std::vector<Attempt> attempts_;                       // the current one last
  std::optional<Wait> key_pair_;                        // of the next attempt
  std::optional<Agreement> agreement_;
  struct Doubt {
    FailureKind kind;
    std::optional<model::NotifyType> notify;
    std::string detail;
  };
  std::optional<Doubt> doubt_;
};

struct Beginning {
  net::Path path;
  bool beside_doubtful = false;                        // as Initiate::despite_doubtful
  std::optional<ChildWish> wish;                       // of the first Child SA
  std::optional<net::IpAddress> redirected_from = {};  // as Initiate
  std::optional<model::IkeSaId> replaces = {};         // likewise
  std::optional<Duration> patience = {};               // likewise
};
/// Of one that was begun beside one on which the peer owes an answer, at the answer to its first exchange, which came
/// on `path`: whether the peer lives, and the attempt ends here.
[[nodiscard]] bool give_way_to_living(Core& core, IkeSa& sa, const net::Path& path);
/// Begins a new IKE SA for the connection; by a ticket, if there is one (RFC 5723).
void begin_ike_sa(Core& core, const model::ConnectionConfig& config, Beginning beginning);

}  // namespace culvert::ike::v2
