// Core: what all parts of the IKEv2 endpoint share: settings, time of the turn, randomness, tables and the queues of
// what goes out.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/time.hpp"
#include "ike/auth/cookie.hpp"
#include "ike/face.hpp"
#include "ike/v2/connection_table.hpp"
#include "ike/v2/exchange_window.hpp"
#include "ike/v2/ike_sa_table.hpp"
#include "ike/v2/rate_limiter.hpp"

namespace culvert::ike::v2 {

struct LifeCore;  // life_core.hpp

/// Whose exchange waits for a completion: ours, or one of the peer's that we answer.
enum class Asker : std::uint8_t { initiator, responder };
struct Awaiting {
  model::IkeSaId ike_sa;
  Asker asker = Asker::initiator;
  bool counts = false;  // against EndpointSettings::work_limit
};

struct Core {
  Core(const EndpointSettings& endpoint_settings, RandomSource& random_source, SpiAllocator& spi_allocator);
  ~Core();

  const EndpointSettings settings;
  RandomSource& random;
  SpiAllocator& esp_spis;
  Instant now{};  // of the turn

  ConnectionTable connections;
  IkeSaTable sas;
  auth::CookieMint cookies;
  Instant cookie_secret_since{};
  /// Cookies are demanded until then, however few IKE SAs are half-open.
  Instant cookies_until{};

  /// Until then who has solved a puzzle gets another one for IKE_AUTH (RFC 8019 7.2).
  Instant auth_puzzles_until{};

  /// Cookies whose puzzles were solved and have let somebody in (RFC 8019 7.1.1.3), of this secret and the last.
  std::set<Bytes> solved_puzzles, solved_before;

  /// As initiator: the addresses that connections were given last, to be asked for again.
  std::map<model::ConnectionId, std::vector<net::IpAddress>> given_addresses;

  /// Of this host, as control said last.
  std::vector<net::IpAddress> own_addresses;
  /// Secrets and redirections.
  std::unique_ptr<LifeCore> life;

  std::deque<Event> events;
  std::deque<Request> requests;
  std::deque<Transmit> transmits;
  /// Requests that the core answers itself, before the turn ends.
  std::deque<std::pair<RequestToken, Completion>> answered;
  EndpointCounters counters;
  /// Connections that waited for a Child SA in an IKE SA of another that is gone: they begin again before the turn
  /// ends.
  struct Homeless {
    model::ConnectionId connection;
    net::Path path;
    std::optional<ChildWish> wish;
  };
  std::deque<Homeless> homeless;
  bool shutting_down = false;
  /// IKE SAs whose tasks and timers must be looked at before the turn ends.
  std::set<model::IkeSaId> touched;
  /// The message that is looked at, or the one that a completion belongs to, has its reason in the counters already; or
  /// there is none, since time or a command brought the turn about.
  bool judged = true;
  /// RFC 9611: whose turn it is among resources with equally many Child SAs.
  std::uint32_t next_resource = 0;
  /// Who waits for which completion.
  std::map<RequestToken, Awaiting> completions;

  RateLimiter unprotected_answers{20, std::chrono::milliseconds(100)};
  RateLimiter failed_key_exchanges{64, std::chrono::milliseconds(500)};
  RateLimiter failed_openings{64, std::chrono::milliseconds(500)};  // of half-open IKE SAs
  RateLimiter unprotected_reports{5, std::chrono::seconds(2)};      // events caused by messages that prove nothing

  void emit(Event event) { events.push_back(std::move(event)); }
  void progress(const IkeSa& sa, std::string text);
  void transmit(const net::Path& path, Bytes message);
  void transmit(const net::Path& path, const Outgoing& message);
  void drop(DatagramDrop reason) {
    judged = true;
    ++counters.dropped[static_cast<std::size_t>(reason)];
  }
  /// What a peer sent is answered with an error, or ends something. Where several places know of it, the first that
  /// says so knows best.
  void refuse(Refusal reason) {
    if (!std::exchange(judged, true)) ++counters.refused[static_cast<std::size_t>(reason)];
  }
  void refuse(std::optional<Refusal> reason) {
    if (reason) refuse(*reason);
  }
  void touch(const IkeSa& sa) { touched.insert(sa.id); }

  [[nodiscard]] model::IkeSaId next_ike_sa_id() { return model::IkeSaId(++last_ike_sa_id_); }
  [[nodiscard]] model::ChildSaId next_child_id() { return model::ChildSaId(++last_child_id_); }
  /// Orders beginnings and establishments among each other; never 0.
  [[nodiscard]] std::uint64_t next_order() { return ++last_order_; }
  [[nodiscard]] RequestToken expect_completion(const IkeSa& sa, Asker asker);
  /// In IKE_SA_INIT and IKE_AUTH, where the roles in the exchange are those in the IKE SA.
  [[nodiscard]] RequestToken expect_completion(const IkeSa& sa);
  /// The same for what takes none of our threads, however long it takes: an answer of another host.
  [[nodiscard]] RequestToken expect_from_others(const IkeSa& sa);
  /// What was asked for as work turns out to be such.
  void awaits_others(RequestToken token);
  /// Whoever waited for the completion; it is waited for no more.
  [[nodiscard]] std::optional<Awaiting> completed(RequestToken token);
  /// More work of peers is not taken now.
  [[nodiscard]] bool is_busy() const { return work_of_peers_ >= settings.work_limit; }

  /// An SPI for an IKE SA of ours that is not in use. Its upper 16 bits are zero, kept for the number of a cluster
  /// node.
  [[nodiscard]] model::IkeSpi new_ike_spi();
  /// 32 octets: enough for every prf that we offer (RFC 7296 2.10).
  [[nodiscard]] Bytes new_nonce();
  /// A duration in [0, `bound`), by chance.
  [[nodiscard]] Duration jitter(Duration bound);

  [[nodiscard]] RetransmitPolicy retransmission() const;
  /// Not quite two seconds in all, for a peer that is suspected to be gone, and for farewells.
  [[nodiscard]] static RetransmitPolicy hasty_retransmission();
  /// How long answers are kept for a peer that may not have received them.
  [[nodiscard]] Duration answer_linger() const { return retransmission().span() + std::chrono::seconds(5); }

 private:
  std::uint64_t last_ike_sa_id_ = 0;
  std::uint64_t last_child_id_ = 0;
  std::uint64_t last_order_ = 0;
  std::uint64_t last_token_ = 0;
  std::size_t work_of_peers_ = 0;  // completions that responders wait, or waited, for, and that count

  [[nodiscard]] RequestToken expect(const IkeSa& sa, Asker asker, bool counts);
};

}  // namespace culvert::ike::v2
