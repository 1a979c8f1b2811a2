#include "daemon/radius_service.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "daemon/radius_lines.hpp"
#include "daemon/radius_listener.hpp"
#include "daemon/radius_names.hpp"
#include "ike/v2/eap_result.hpp"
#include "radius/accounting.hpp"
#include "radius/conversation.hpp"
#include "radius/dynamic_authorization.hpp"

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;

/// As many as ike::v2::EapSessions keeps: more half-open IKE SAs there never are.
constexpr std::size_t kMostConversations = 4096;

/// That wait for servers at a time, of all sections. They are not counted with the work that IKE lets wait
/// (ike::EndpointSettings::work_limit): clients of silent servers never keep out peers who need none.
constexpr std::size_t kMostWaiting = 1024;

ike::EapResult to_result(ike::eap::Outcome&& outcome, std::shared_ptr<const model::Authorization> authorization = {}) {
  ike::EapResult result = ike::v2::to_result(std::move(outcome));
  if (authorization) result.group = radius::group_named_by(*authorization);
  result.authorization = std::move(authorization);
  return result;
}

radius::ClientSettings client_settings(const config::RadiusConfig& config,
                                       const std::vector<config::RadiusServer>& servers) {
  radius::ClientSettings settings{
      .servers = {}, .secret = config.secret.clone(), .timeout = config.timeout, .tries = config.tries, .names = {}};
  for (const config::RadiusServer& server : servers) {
    settings.servers.push_back(server.endpoint);
    settings.names.push_back(server.name.empty() ? std::string() : server.to_string());
  }
  return settings;
}

}  // namespace

/// One [radius.NAME] and what is under way with its servers.
class RadiusService::Servers {
 public:
  Servers(RadiusService& service, config::RadiusConfig settings)
      : config(std::move(settings)),
        nas{.radius = config.name,
            .identifier = config.nas_identifier,
            .accounting = !config.accounting.empty(),
            .interim_interval = config.interim},
        retry(service.io_) {
    const auto complain = [&service](std::string text) { service.hooks_.log(Level::warning, std::move(text)); };
    authentication = std::make_shared<RadiusLines>(
        service.io_, client_settings(config, config.servers), service.random_,
        RadiusLines::Hooks{.outcome = [&service, this](auto outcome) { service.take_outcome(*this, outcome); },
                           .complaint = complain,
                           .missing = [this](std::size_t server) { names->look_again(server); }});
    names = find_names(service.io_, config.servers, *authentication, complain);
    if (!config.accounting.empty()) {
      accounting_lines = std::make_shared<RadiusLines>(
          service.io_, client_settings(config, config.accounting), service.random_,
          RadiusLines::Hooks{.outcome = [this, complain](auto outcome) { take_acknowledgement(outcome, complain); },
                             .complaint = complain,
                             .missing = [this](std::size_t server) { accounting_names->look_again(server); }});
      accounting_names = find_names(service.io_, config.accounting, *accounting_lines, complain);
      accounting.emplace(nas, accounting_lines->client());
    }
    if (!config.dynamic_clients.empty()) dynamic.emplace(nas, config.secret.clone());
  }

  void account(model::SessionRecord record) {
    if (!accounting) return;
    accounting->add(std::move(record), io::wall_clock().seconds, clock.now());
    pump_accounting();
  }

  void announce_start() {
    if (!accounting) return;
    // Where none of them has an address yet, when the first has one.
    announces_ =
        std::ranges::all_of(config.accounting, [](const auto& one) { return one.endpoint.address.is_unspecified(); });
    if (!announces_) announce();
  }

  void announce() {
    // Nobody waits for the answer: it only tidies up after a crash.
    (void)accounting_lines->client().begin(radius::accounting_on(nas, io::wall_clock().seconds), {}, clock.now());
    accounting_lines->pump();
  }

  void flush() {
    if (!accounting) return;
    accounting->flush(clock.now());
    accounting_lines->pump();
  }

  const config::RadiusConfig config;
  const radius::Nas nas;
  io::MonotonicClock clock;
  std::shared_ptr<RadiusLines> authentication;
  std::shared_ptr<RadiusLines> accounting_lines;
  std::optional<radius::Accounting> accounting;
  std::optional<radius::DynamicAuthorization> dynamic;
  asio::steady_timer retry;  // of accounting
  std::shared_ptr<RadiusNames> names;
  std::shared_ptr<RadiusNames> accounting_names;
  std::map<radius::ExchangeId, model::IkeSaId> asked;

 private:
  /// `lines` are ours, and nothing is called behind our end.
  std::shared_ptr<RadiusNames> find_names(asio::io_context& io, const std::vector<config::RadiusServer>& servers,
                                          RadiusLines& lines, std::function<void(std::string)> complain) {
    auto made = std::make_shared<RadiusNames>(
        io, servers,
        RadiusNames::Hooks{.found =
                               [this, &lines](std::size_t server, const net::Endpoint& endpoint) {
                                 lines.move(server, endpoint);
                                 if (&lines == accounting_lines.get() && std::exchange(announces_, false)) announce();
                               },
                           .complaint = std::move(complain)});
    made->begin();
    return made;
  }

  template <typename Complain>
  void take_acknowledgement(const radius::Client::Outcome& outcome, const Complain& complain) {
    if (auto said = accounting->handle(outcome, clock.now())) complain(std::move(*said));
    pump_accounting();
  }

  void pump_accounting() {
    accounting_lines->pump();
    const auto next = accounting->poll_timeout();
    if (!next) {
      retry.cancel();
      return;
    }
    retry.expires_after(std::max(Duration::zero(), *next - clock.now()));
    retry.async_wait([this, weak = std::weak_ptr(accounting_lines)](const boost::system::error_code& error) {
      const auto held = weak.lock();  // we live as long
      if (!held || error) return;
      accounting->handle_timeout(clock.now());
      pump_accounting();
    });
  }

  bool announces_ = false;  // that we begin, still to come
};

struct RadiusService::Conversation {
  Conversation(std::shared_ptr<Servers> with, std::string tunnel, const net::Path& path, RandomSource& random)
      : servers(std::move(with)), eap(servers->nas, std::move(tunnel), path, random) {}
  std::shared_ptr<Servers> servers;
  radius::Conversation eap;
  ike::RequestToken token;  // that waits for an answer
  std::optional<radius::ExchangeId> exchange;
};

RadiusService::RadiusService(asio::io_context& io, RandomSource& random, Hooks hooks)
    : io_(io), random_(random), hooks_(std::move(hooks)) {}

RadiusService::~RadiusService() = default;

// ---------------------------------------------------------------- configuration

void RadiusService::configure(const std::vector<config::RadiusConfig>& sections) {
  std::vector<std::shared_ptr<Servers>> kept;
  for (const config::RadiusConfig& section : sections) {
    const auto same = std::ranges::find_if(servers_, [&](const auto& one) { return one->config == section; });
    if (same != servers_.end()) {
      kept.push_back(*same);
      continue;
    }
    config::RadiusConfig copy{.name = section.name,
                              .place = section.place,
                              .servers = section.servers,
                              .accounting = section.accounting,
                              .secret = section.secret.clone(),
                              .nas_identifier = section.nas_identifier,
                              .timeout = section.timeout,
                              .tries = section.tries,
                              .interim = section.interim,
                              .dynamic_clients = section.dynamic_clients,
                              .dynamic_port = section.dynamic_port};
    kept.push_back(std::make_shared<Servers>(*this, std::move(copy)));
    // RFC 2866 5.1: once, when the daemon begins; later sections come to sessions that stand.
    if (starting_) kept.back()->announce_start();
  }
  starting_ = false;
  for (const auto& old : std::exchange(servers_, std::move(kept))) {
    if (std::ranges::find(servers_, old) != servers_.end()) continue;
    old->flush();
    abandon(*old);
  }
  listen();
}

void RadiusService::abandon(const Servers& servers) {
  for (auto one = conversations_.begin(); one != conversations_.end();) {
    Conversation& conversation = *one->second;
    const auto next = std::next(one);
    if (conversation.servers.get() == &servers) {
      if (conversation.exchange)
        answer_later(conversation.token, ike::v2::local_failure("the RADIUS servers are configured anew: try again"));
      conversations_.erase(one);
    }
    one = next;
  }
}

void RadiusService::listen() {
  std::vector<std::shared_ptr<RadiusListener>> wanted;
  for (const auto& servers : servers_) {
    if (!servers->dynamic) continue;
    const std::uint16_t port = servers->config.dynamic_port;
    const auto of_port = [port](const auto& one) { return one->port() == port; };
    if (std::ranges::any_of(wanted, of_port)) continue;
    if (const auto same = std::ranges::find_if(listeners_, of_port); same != listeners_.end()) {
      wanted.push_back(*same);
      continue;
    }
    auto opened = RadiusListener::open(io_, port, [this, port](const net::Endpoint& from, ByteView octets) {
      return take_dynamic(port, from, octets);
    });
    if (opened) {
      wanted.push_back(std::move(*opened));
    } else {
      hooks_.log(Level::error, opened.error());
    }
  }
  listeners_ = std::move(wanted);
}

std::shared_ptr<RadiusService::Servers> RadiusService::find(const std::string& name) const {
  const auto found = std::ranges::find_if(servers_, [&](const auto& one) { return one->config.name == name; });
  return found == servers_.end() ? nullptr : *found;
}

// ---------------------------------------------------------------- conversations

void RadiusService::answer_later(ike::RequestToken token, ike::EapResult result) {
  asio::post(io_,
             [this, weak = std::weak_ptr(alive_), token, held = std::make_shared<ike::EapResult>(std::move(result))] {
               if (!weak.expired()) hooks_.answer(token, std::move(*held));
             });
}

void RadiusService::carry_out(ike::EapRequest request, const std::string& tunnel) {
  switch (request.step) {
    case ike::EapRequest::Step::begin: return begin(request, tunnel);
    case ike::EapRequest::Step::packet: return go_on(request);
    case ike::EapRequest::Step::end: return forget(request.ike_sa);
  }
}

void RadiusService::begin(const ike::EapRequest& request, const std::string& tunnel) {
  auto servers = find(request.settings.radius);
  if (!servers)
    return answer_later(request.token, ike::v2::local_failure("its RADIUS servers are not configured any more"));
  if (conversations_.size() >= kMostConversations) forget(conversations_.begin()->first);  // the oldest
  auto conversation = std::make_unique<Conversation>(std::move(servers), tunnel, request.path, random_);
  answer_later(request.token, to_result(conversation->eap.begin()));
  conversations_.insert_or_assign(request.ike_sa, std::move(conversation));
}

void RadiusService::go_on(const ike::EapRequest& request) {
  const auto found = conversations_.find(request.ike_sa);
  if (found == conversations_.end())
    return answer_later(request.token, ike::v2::local_failure("the conversation is not known here any more"));
  Conversation& conversation = *found->second;
  auto packet = conversation.eap.take_client(request.packet);
  if (!packet) {
    answer_later(request.token, to_result(std::move(packet.error())));
    conversations_.erase(found);
    return;
  }
  RadiusLines& lines = *conversation.servers->authentication;
  std::size_t waiting = 0;
  for (const auto& servers : servers_) waiting += servers->asked.size();
  const auto exchange = waiting >= kMostWaiting
                            ? std::nullopt
                            : lines.client().begin(std::move(*packet), conversation.eap.server(), clock_.now());
  if (!exchange) {
    answer_later(request.token, to_result(conversation.eap.no_answer("too much is asked of the RADIUS servers")));
    conversations_.erase(found);
    return;
  }
  conversation.exchange = exchange;
  conversation.token = request.token;
  conversation.servers->asked.emplace(*exchange, request.ike_sa);
  lines.pump();
}

void RadiusService::forget(model::IkeSaId sa) {
  const auto found = conversations_.find(sa);
  if (found == conversations_.end()) return;
  const Conversation& conversation = *found->second;
  if (conversation.exchange) {
    conversation.servers->authentication->client().cancel(*conversation.exchange);
    conversation.servers->asked.erase(*conversation.exchange);
  }
  conversations_.erase(found);
}

void RadiusService::take_outcome(Servers& servers, radius::Client::Outcome& outcome) {
  const auto asked = servers.asked.extract(outcome.id);
  const auto found = asked.empty() ? conversations_.end() : conversations_.find(asked.mapped());
  if (found == conversations_.end()) return;
  Conversation& conversation = *found->second;
  conversation.exchange.reset();
  const ike::RequestToken token = conversation.token;
  ike::EapResult result;
  if (!outcome.answer) {
    result = to_result(conversation.eap.no_answer(std::move(outcome.answer.error())));
  } else {
    auto step = conversation.eap.take_server(outcome.answer->packet, outcome.answer->request,
                                             servers.authentication->client().secret().view(), outcome.answer->server);
    result = to_result(std::move(step.outcome), std::move(step.authorization));
  }
  if (result.state != ike::EapResult::State::going) conversations_.erase(found);
  answer_later(token, std::move(result));
}

// ---------------------------------------------------------------- sessions

void RadiusService::carry_out(model::SessionRecord record) {
  const auto servers = find(record.authorization->radius);
  if (servers) return servers->account(std::move(record));
  hooks_.log(Level::warning, fmt::format("accounting does not hear of session {}: [radius.{}] is gone",
                                         record.authorization->session_id, record.authorization->radius));
}

std::optional<Bytes> RadiusService::take_dynamic(std::uint16_t port, const net::Endpoint& from, ByteView octets) {
  const auto found = std::ranges::find_if(servers_, [&](const auto& one) {
    const auto& clients = one->config.dynamic_clients;
    return one->dynamic && one->config.dynamic_port == port &&
           std::ranges::find(clients, from.address) != clients.end();
  });
  const auto complain = [&](std::string_view fault) {
    if (complained_at_ && clock_.now() - *complained_at_ < std::chrono::seconds(10)) return;
    complained_at_ = clock_.now();
    hooks_.log(Level::warning,
               fmt::format("a request of {} to UDP port {} is dropped: {}", from.to_string(), port, fault));
  };
  // RFC 5176 6.1: from nobody else.
  if (found == servers_.end()) {
    complain("it stands in dynamic_clients of no [radius.NAME]");
    return std::nullopt;
  }
  const auto servers = *found;
  auto taken = servers->dynamic->take(from, octets, io::wall_clock().seconds, clock_.now());
  if (!taken) {
    complain(taken.error());
    return std::nullopt;
  }
  if (auto* answer = std::get_if<Bytes>(&*taken)) return std::move(*answer);
  const auto& wanted = std::get<radius::DynamicAuthorization::Wanted>(*taken);
  const std::size_t sessions = wanted.code == radius::Code::disconnect_request
                                   ? hooks_.end_sessions(wanted.query)
                                   : hooks_.change_sessions(wanted.query, wanted.change);
  hooks_.log(Level::info, fmt::format("the RADIUS server {} sends a {}: {} sessions are meant",
                                      from.address.to_string(), radius::name_of(wanted.code), sessions));
  return servers->dynamic->answer(wanted, sessions, clock_.now());
}

bool RadiusService::looks_up_names() const {
  return std::ranges::any_of(servers_, [](const auto& one) {
    return one->names->looks_up_names() || (one->accounting_names && one->accounting_names->looks_up_names());
  });
}

void RadiusService::shut_down() {
  for (const auto& servers : servers_) servers->flush();
}

}  // namespace culvert::daemon
