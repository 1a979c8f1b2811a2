// Pair: two IKE endpoints in one process, joined by a network of virtual time whose faults the test decides. For
// scenarios written like the arrows of the RFC, and as the base of larger simulations. Header only; never part of the
// product.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/random.hpp"
#include "base/time.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/codec/parse.hpp"
#include "ike/face.hpp"
#include "ike/key_exchange.hpp"
#include "ike/puzzle.hpp"
#include "ike/v2/credentials.hpp"
#include "ike/v2/eap_sessions.hpp"
#include "ike/v2/ike_endpoint.hpp"
#include "ike/v2/ppk.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2::testing {

/// Hands out ESP SPIs and remembers which are in use, so that a test sees what leaks.
class TestSpiAllocator final : public SpiAllocator {
 public:
  explicit TestSpiAllocator(std::uint32_t first) : next_(first) {}
  std::optional<model::Spi> allocate(std::optional<std::uint32_t> resource) override {
    if (exhausted) return std::nullopt;
    const model::Spi spi(next_++);
    in_use.insert(spi);
    if (resource) for_resource[spi] = *resource;
    return spi;
  }
  void release(model::Spi spi) override { CHECK(in_use.erase(spi) == 1); }
  std::optional<std::uint32_t> resource_of(model::ChildSaId /*child*/) const override { return for_all; }

  std::set<model::Spi> in_use;
  std::map<model::Spi, std::uint32_t> for_resource;  // every SPI that was ever asked for one
  std::optional<std::uint32_t> for_all;              // has the pairs that are for all
  bool exhausted = false;

 private:
  std::uint32_t next_;
};

/// What a data plane knows of a pair; built from events alone.
struct InstalledChild {
  model::ChildSaParams params;
  bool held = false;
};

/// One endpoint with everything that control and the keys process would be to it.
class Host {
 public:
  Host(std::string host_name, std::uint64_t seed, const EndpointSettings& endpoint_settings)
      : name(std::move(host_name)),
        settings(endpoint_settings),
        random_(seed),
        spis(static_cast<std::uint32_t>(0x1000 * (seed % 7 + 1))) {
    restart();
  }

  std::string name;
  EndpointSettings settings;
  std::map<model::ConnectionId, Bytes> secrets;
  std::map<model::ConnectionId, Bytes> ppks;
  std::map<model::ConnectionId, Credentials> credentials;
  crypto::CalendarTime calendar = 0;                // for the dates of certificates
  std::map<std::string, Bytes, std::less<>> users;  // whom it knows by EAP, as server; and itself, as client

  std::shared_ptr<const crypto::TlsContext> eap_tls;  // likewise, for methods that are built on TLS
  SeededRandom eap_random{99};
  EapSessions eap_sessions{eap_random};

  // What the events have said so far.
  std::map<model::IkeSaId, IkeSaEstablished> ike_sas;
  std::map<model::ChildSaId, InstalledChild> children;
  std::vector<NegotiationFailed> failures;
  std::vector<ConfigurationReceived> configurations;
  std::vector<AddressRequest> address_requests;
  std::vector<IkeSaClosed> closed;
  std::vector<ChildSaRemoved> removed;
  std::vector<PathChanged> moves;
  std::vector<PathInDoubt> doubts;
  std::size_t overdue = 0;
  std::vector<KeysExported> exported;
  std::vector<Redirected> redirects;
  std::vector<std::string> log;
  std::size_t children_made = 0;

  /// The process ends without a word and starts again: no state, no configuration.
  void restart() {
    endpoint_ = std::make_unique<IkeEndpoint>(settings, random_, spis);
    ike_sas.clear();
    children.clear();
  }
  [[nodiscard]] IkeEndpoint& endpoint() { return *endpoint_; }
  [[nodiscard]] TestSpiAllocator& allocator() { return spis; }

  [[nodiscard]] const IkeSaEstablished& ike_sa() const {
    CHECK(ike_sas.size() == 1);
    return ike_sas.begin()->second;
  }
  [[nodiscard]] const model::ChildSaParams& child() const {
    CHECK(children.size() == 1);
    return children.begin()->second.params;
  }
  /// The pair that outbound traffic takes: the newest that is not held.
  [[nodiscard]] const model::ChildSaParams* outbound() const {
    for (auto one = children.rbegin(); one != children.rend(); ++one) {
      if (!one->second.held) return &one->second.params;
    }
    return nullptr;
  }
  [[nodiscard]] bool logged(std::string_view words) const {
    for (const std::string& line : log) {
      if (line.find(words) != std::string::npos) return true;
    }
    return false;
  }

  /// Takes everything out after a turn; requests are answered at once. Events first, as the face demands.
  [[nodiscard]] std::vector<Transmit> drain(Instant now) {
    std::vector<Transmit> sent;
    for (bool more = true; more;) {
      more = false;
      while (auto event = endpoint_->poll_event())
        std::visit([this](auto&& one) { note(std::forward<decltype(one)>(one)); }, std::move(*event));
      while (auto request = endpoint_->poll_request()) {
        more = true;
        if (postpones && postpones(*request)) {
          postponed.push_back(std::move(*request));
          continue;
        }
        complete(std::move(*request), now);
      }
    }
    while (auto transmit = endpoint_->poll_transmit()) sent.push_back(std::move(*transmit));
    return sent;
  }

  /// Carries the request out, and gives the core the answer.
  void complete(Request request, Instant now) {
    const RequestToken token = token_of(request);
    endpoint_->handle_completion(
        token, std::visit([this](auto&& one) { return answer(std::forward<decltype(one)>(one)); }, std::move(request)),
        now);
  }

  /// Requests that it chooses are put into `postponed` instead of being answered at once.
  std::function<bool(const Request&)> postpones;
  std::deque<Request> postponed;

  /// Called for each event before it is taken in, for tests that look closer or attach a data plane.
  std::function<void(const Event&)> on_event;
  /// What control would do of pools.
  std::function<AddressResult(const AddressRequest&)> addresses;

 private:
  Completion answer(KeyExchangeRequest request) { return carry_out(std::move(request), random_); }
  Completion answer(const PuzzleRequest& request) const { return carry_out(request); }
  Completion answer(const SharedKeyMacRequest& request) const {
    const auto secret = secrets.find(request.connection);
    if (secret == secrets.end()) return SharedKeyMacResult{};
    return SharedKeyMacResult{auth::shared_key_mac(*model::prf_function(request.prf), secret->second, request.octets)};
  }
  Completion answer(const PpkRequest& request) const {
    const auto ppk = ppks.find(request.connection);
    if (ppk == ppks.end()) return PpkResult{};
    return carry_out(*model::prf_function(request.prf), ppk->second, request);
  }
  Completion answer(const SignRequest& request) const {
    const auto held = credentials.find(request.connection);
    if (held == credentials.end()) return SignResult{err(std::string("there is no key"))};
    return carry_out(request, held->second);
  }
  Completion answer(const VerifyRequest& request) const {
    return carry_out(request, credentials.at(request.connection), calendar);
  }
  Completion answer(const EapRequest& request) {
    EapParties parties;
    for (const auto& [user, secret] : users) parties.users.emplace(user, SecretBytes::copy_of(secret));
    const SecretBytes* own = parties.secret_of(request.settings.identity);
    if (own != nullptr) parties.own_secret = own->clone();
    parties.tls = eap_tls;
    return eap_sessions.carry_out(request, std::make_shared<EapParties>(std::move(parties)), calendar);
  }
  Completion answer(const AddressRequest& request) {
    address_requests.push_back(request);
    return addresses ? addresses(request) : AddressResult{err(std::string("there is no pool"))};
  }
  void tell(const Event& event) {
    if (on_event) on_event(event);
  }
  void note(IkeSaEstablished event) {
    tell(event);
    CHECK(ike_sas.emplace(event.ike_sa, event).second);
  }
  void note(const IkeSaPassedOn& event) {
    tell(event);
    CHECK(ike_sas.at(event.ike_sa).connection == event.from);
    ike_sas.at(event.ike_sa).connection = event.to;
  }
  void note(ConfigurationReceived event) {
    tell(event);
    CHECK(ike_sas.contains(event.ike_sa));
    configurations.push_back(std::move(event));
  }
  void note(IkeSaClosed event) {
    tell(event);
    CHECK(ike_sas.erase(event.ike_sa) == 1);
    for (const auto& [id, child] : children) CHECK(child.params.ike_sa != event.ike_sa);
    closed.push_back(event);
  }
  void note(NegotiationFailed event) {
    tell(event);
    failures.push_back(std::move(event));
  }
  void note(ChildSaEstablished event) {
    CHECK(ike_sas.contains(event.params.ike_sa));
    ++children_made;
    const model::ChildSaId id = event.params.id;
    const bool held = event.params.hold_outbound;
    Event whole(std::move(event));
    tell(whole);
    CHECK(children.emplace(id, InstalledChild{std::move(std::get<ChildSaEstablished>(whole).params), held}).second);
  }
  void note(const ChildSaSkipSequence& event) {
    tell(event);
    CHECK(children.contains(event.child));
  }
  void note(ChildSaUseOutbound event) {
    tell(event);
    children.at(event.child).held = false;
  }
  void note(ChildSaRemoved event) {
    tell(event);
    const auto found = children.find(event.child);
    CHECK(found != children.end());
    spis.release(found->second.params.spi_inbound);
    children.erase(found);
    removed.push_back(event);
  }
  void note(PathChanged event) {
    tell(event);
    moves.push_back(event);
  }
  void note(PathInDoubt event) {
    tell(event);
    doubts.push_back(std::move(event));
  }
  void note(const AnswerOverdue& event) {
    tell(event);
    CHECK(ike_sas.contains(event.ike_sa));
    ++overdue;
  }
  void note(ChildSaMoved event) {
    tell(event);
    CHECK(ike_sas.contains(event.ike_sa));
    children.at(event.child).params.ike_sa = event.ike_sa;
  }
  void note(Redirected event) {
    tell(event);
    redirects.push_back(std::move(event));
  }
  void note(Progress event) {
    tell(event);
    log.push_back(std::move(event.text));
  }
  void note(KeysExported event) { exported.push_back(std::move(event)); }

  SeededRandom random_;
  TestSpiAllocator spis;
  std::unique_ptr<IkeEndpoint> endpoint_;
};

/// A datagram on the wire. `path` as its sender sees it.
struct Datagram {
  bool from_a = true;
  net::Path path;
  Bytes message;
  [[nodiscard]] codec::Header header() const { return *codec::parse_header(message); }
};

class Pair {
 public:
  /// How long each copy of a datagram is under way; none: it is lost.
  using Fate = std::function<std::vector<Duration>(const Datagram&)>;
  /// The path as the receiver sees it.
  using Translation = std::function<net::Path(const Datagram&)>;

  static constexpr Duration kLatency = std::chrono::milliseconds(10);

  explicit Pair(std::uint64_t seed = 1, const EndpointSettings& settings = {})
      : a("a", 2 * seed + 1, settings), b("b", 2 * seed + 2, settings) {
    fate = [](const Datagram&) { return std::vector<Duration>{kLatency}; };
    translation = [](const Datagram& datagram) { return net::Path{datagram.path.remote, datagram.path.local}; };
  }

  Host a;
  Host b;
  Fate fate;
  Translation translation;
  Instant now{std::chrono::hours(1)};
  /// All that was sent, in order, before any loss.
  std::vector<Datagram> wire;

  [[nodiscard]] Host& host(bool first) { return first ? a : b; }

  void command(Host& who, Command command) {
    who.endpoint().handle_command(std::move(command), now);
    flush(who);
  }
  /// Answers the oldest of the host's postponed requests, or the newest.
  void answer_postponed(Host& who, bool oldest = true) {
    CHECK(!who.postponed.empty());
    Request request = std::move(oldest ? who.postponed.front() : who.postponed.back());
    oldest ? who.postponed.pop_front() : who.postponed.pop_back();
    who.complete(std::move(request), now);
    flush(who);
  }
  void inject(Host& to, const net::Path& path, ByteView message) {
    to.endpoint().handle_datagram(path, message, now);
    flush(to);
  }

  /// Lets `duration` pass.
  void advance(Duration duration) {
    const Instant end = now + duration;
    while (const auto next = next_instant()) {
      if (*next > end) break;
      step(*next);
    }
    now = end;
  }
  /// Runs until nothing is under way any more; timers that fall due meanwhile fire, later ones do not.
  void settle() {
    while (!flying_.empty()) step(*next_instant());
  }
  /// Runs until the condition holds; false when it does not within `limit`.
  template <typename Condition>
  [[nodiscard]] bool run_until(Condition condition, Duration limit = std::chrono::minutes(10)) {
    const Instant end = now + limit;
    while (!condition()) {
      const auto next = next_instant();
      if (!next || *next > end) return false;
      step(*next);
    }
    return true;
  }

 private:
  struct Arrival {
    bool at_a;
    net::Path path;
    Bytes message;
  };

  std::optional<Instant> next_instant() {
    std::optional<Instant> next = earliest(a.endpoint().poll_timeout(), b.endpoint().poll_timeout());
    if (!flying_.empty()) next = earliest(next, flying_.begin()->first);
    return next;
  }

  void step(Instant at) {
    CHECK(at >= now || at + std::chrono::seconds(1) > now);
    now = std::max(now, at);
    if (!flying_.empty() && flying_.begin()->first <= now) {
      Arrival arrival = std::move(flying_.begin()->second);
      flying_.erase(flying_.begin());
      Host& to = host(arrival.at_a);
      to.endpoint().handle_datagram(arrival.path, arrival.message, now);
      return flush(to);
    }
    for (Host* one : {&a, &b}) {
      const auto timeout = one->endpoint().poll_timeout();
      if (!timeout || *timeout > now) continue;
      one->endpoint().handle_timeout(now);
      flush(*one);
      CHECK(!one->endpoint().poll_timeout() || *one->endpoint().poll_timeout() > now);
    }
  }

  void flush(Host& from) {
    for (Transmit& transmit : from.drain(now)) {
      Datagram datagram{.from_a = &from == &a, .path = transmit.path, .message = std::move(transmit.message)};
      wire.push_back(datagram);
      for (const Duration delay : fate(datagram)) {
        flying_.emplace(now + delay,
                        Arrival{.at_a = !datagram.from_a, .path = translation(datagram), .message = datagram.message});
      }
    }
  }

  std::multimap<Instant, Arrival> flying_;
};

// ---------------------------------------------------------------- a usual configuration

inline const model::ConnectionId kConnection{1};

inline net::IpAddress address_of(bool first) { return *net::IpAddress::parse(first ? "192.0.2.1" : "192.0.2.2"); }

/// The path from a to b, or from b to a.
inline net::Path path_from(bool first, std::uint16_t port = 500) {
  return {{address_of(first), port}, {address_of(!first), port}};
}

inline model::TrafficSelectors subnet(std::string_view prefix) {
  return {model::TrafficSelector::of(*net::Prefix::parse(prefix))};
}

inline model::ConnectionConfig config_of(bool first) {
  model::ConnectionConfig config;
  config.id = kConnection;
  config.name = first ? "to-b" : "to-a";
  config.peer = address_of(!first);
  config.local_id = model::Identity::parse(first ? "a.example" : "b.example");
  config.remote_id = model::Identity::parse(first ? "b.example" : "a.example");
  // One key exchange, so that the arrows are those of RFC 7296; with more of them in intermediate_test, follow_up_test.
  config.ike_proposals = model::without_additional_key_exchanges(model::default_ike_proposals());
  config.esp_proposals = model::default_esp_proposals();
  config.local = subnet(first ? "10.1.0.0/16" : "10.2.0.0/16");
  config.remote = subnet(first ? "10.2.0.0/16" : "10.1.0.0/16");
  return config;
}

/// Both hosts with config_of and one secret.
inline void configure(Pair& pair, model::ConnectionConfig a = config_of(true),
                      model::ConnectionConfig b = config_of(false)) {
  pair.a.secrets[a.id] = to_bytes(as_bytes("a shared secret"));
  pair.b.secrets[b.id] = to_bytes(as_bytes("a shared secret"));
  pair.command(pair.a, ConfigureConnection{std::move(a)});
  pair.command(pair.b, ConfigureConnection{std::move(b)});
}

inline void initiate(Pair& pair, bool first = true) {
  pair.command(pair.host(first), Initiate{.connection = kConnection, .path = path_from(first)});
}

/// Configured and up, begun by a (or b).
inline void bring_up(Pair& pair, bool first = true) {
  configure(pair);
  initiate(pair, first);
  pair.settle();
}

/// Both sides have the same pair, keys and selectors mirrored.
inline bool mirrored(const model::ChildSaParams& x, const model::ChildSaParams& y) {
  return x.spi_inbound == y.spi_outbound && x.spi_outbound == y.spi_inbound && x.suite == y.suite && x.mode == y.mode &&
         equal(x.inbound.encryption.view(), y.outbound.encryption.view()) &&
         equal(x.outbound.encryption.view(), y.inbound.encryption.view()) &&
         equal(x.inbound.integrity.view(), y.outbound.integrity.view()) &&
         equal(x.outbound.integrity.view(), y.inbound.integrity.view()) && x.local == y.remote && x.remote == y.local &&
         x.encapsulation == y.encapsulation;
}

/// Both sides have exactly one IKE SA and one pair, the same, in use in both directions.
inline bool in_step(Pair& pair) {
  if (pair.a.ike_sas.size() != 1 || pair.b.ike_sas.size() != 1 || pair.a.children.size() != 1 ||
      pair.b.children.size() != 1)
    return false;
  if (pair.a.ike_sa().spi_i != pair.b.ike_sa().spi_i || pair.a.ike_sa().spi_r != pair.b.ike_sa().spi_r) return false;
  if (pair.a.ike_sa().role == pair.b.ike_sa().role) return false;
  return mirrored(pair.a.child(), pair.b.child()) && pair.a.outbound() != nullptr && pair.b.outbound() != nullptr;
}

/// SPIs in use are those of installed pairs: nothing leaks.
inline bool no_leaks(Pair& pair) {
  return pair.a.allocator().in_use.size() == pair.a.children.size() &&
         pair.b.allocator().in_use.size() == pair.b.children.size();
}

}  // namespace culvert::ike::v2::testing
