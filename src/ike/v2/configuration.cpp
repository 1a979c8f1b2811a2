#include "ike/v2/configuration.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ike/v2/describe.hpp"
#include "ike/v2/sessions.hpp"

namespace culvert::ike::v2 {
namespace {

using model::ConfigurationType;
using model::NotifyType;

const codec::ConfigurationPayload* find(const codec::Message& message, ConfigurationType type) {
  for (const auto* payload : message.all<codec::ConfigurationPayload>()) {
    if (payload->type == type) return payload;
  }
  return nullptr;
}

model::TrafficSelectors selectors_of(const std::vector<net::IpAddress>& addresses) {
  model::TrafficSelectors selectors;
  for (const net::IpAddress& address : addresses)
    selectors.push_back(model::TrafficSelector::of(net::AddressRange::of(address)));
  return selectors;
}

void apply_group(model::ConnectionConfig& config, std::string_view name) {
  const auto found = std::ranges::find(config.groups, name, &model::GroupPolicy::name);
  if (found == config.groups.end()) {
    // Gone from the configuration: what it could reach nobody knows any more, so there is nothing new for its peers.
    config.local.clear();
    return;
  }
  const model::GroupPolicy& group = *found;
  if (!group.pools.empty()) config.pools = group.pools;
  if (!group.local.empty()) config.local = group.local;
  if (group.sessions != 0) config.sessions = group.sessions;
}

/// RFC 4478 2: other IKE SAs of the peer that this one takes the place of, though both stand for a while: they are with
/// the same host, which asks for the address that it has, or has none to ask for.
std::vector<const IkeSa*> continued_by(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                       const codec::Message& request) {
  std::vector<const IkeSa*> found;
  const auto* payload = find(request, ConfigurationType::request);
  const auto wishes = payload == nullptr ? std::vector<model::AddressWish>() : codec::read_request(*payload).addresses;
  for (const IkeSa* other : sessions_of(core, sa)) {
    if (other->path.remote.address != sa.path.remote.address || other->origin_role != sa.role) continue;
    const bool asked = std::ranges::any_of(wishes, [&](const model::AddressWish& wish) {
      return wish.address && std::ranges::find(other->inner.addresses, *wish.address) != other->inner.addresses.end();
    });
    const bool without = config.pools.empty() && config.life.reauthentication > Duration::zero();
    if (asked || without) found.push_back(other);
  }
  return found;
}

}  // namespace

std::optional<model::ConnectionConfig> narrowed_to_peer(const model::ConnectionConfig& config, const IkeSa& sa) {
  if (sa.inner.addresses.empty() && sa.admission.group().empty()) return std::nullopt;
  model::ConnectionConfig narrowed = config;
  if (!sa.admission.group().empty()) apply_group(narrowed, sa.admission.group());
  if (!sa.inner.addresses.empty())
    (sa.inner.ours ? narrowed.local : narrowed.remote) = selectors_of(sa.inner.addresses);
  return narrowed;
}

// ---------------------------------------------------------------- initiator

void add_configuration_request(codec::Message& message, const Core& core, const model::ConnectionConfig& config) {
  if (config.request_addresses.empty()) return;
  std::vector<model::AddressWish> wishes;
  const auto before = core.given_addresses.find(config.id);
  for (const net::Family family : config.request_addresses) {
    model::AddressWish wish{family, std::nullopt};
    // RFC 7296 3.15.1: whoever had an address would like to have it again.
    if (before != core.given_addresses.end()) {
      const auto same = std::ranges::find(before->second, family, &net::IpAddress::family);
      if (same != before->second.end()) wish.address = *same;
    }
    wishes.push_back(wish);
  }
  message.add(codec::make_request(wishes));
}

Result<model::Configuration, std::string> accept_configuration(Core& core, IkeSa& sa,
                                                               const model::ConnectionConfig& config,
                                                               const codec::Message& response) {
  const auto* payload = find(response, ConfigurationType::reply);
  if (payload == nullptr) {
    // RFC 7296 3.15.4: without a CFG_REPLY the address that we need is not there.
    const auto* error = response.error_notify();
    // RFC 8983 5: asking it for the other family again would be in vain.
    const bool v4 = response.notify(NotifyType::ip4_allowed) != nullptr;
    const bool v6 = response.notify(NotifyType::ip6_allowed) != nullptr;
    const net::Family only = v4 ? net::Family::v4 : net::Family::v6;
    if (v4 != v6 && std::ranges::find(config.request_addresses, only) == config.request_addresses.end()) {
      return err(
          fmt::format("the peer gave us no address: it has addresses of {} only, and connection '{}' asks for "
                      "others",
                      v4 ? "IPv4" : "IPv6", config.name));
    }
    return err(error != nullptr ? fmt::format("the peer gave us no address: {}", describe(error->type))
                                : "the peer gave us no address: it does not answer the configuration payload");
  }
  codec::ConfigurationReply reply = codec::read_reply(*payload);
  model::Configuration& given = reply.configuration;
  // No more than one address of each family that was asked for.
  std::vector<net::IpAddress> addresses;
  for (const net::Family family : config.request_addresses) {
    const auto first = std::ranges::find(given.addresses, family, &net::IpAddress::family);
    if (first != given.addresses.end()) addresses.push_back(*first);
  }
  if (addresses.empty()) return err(std::string("the peer's CFG_REPLY has no address that we could use"));
  given.addresses = std::move(addresses);
  if (reply.ignored != 0)
    core.progress(sa, fmt::format("{} attributes of the peer's CFG_REPLY are of no use to us", reply.ignored));
  sa.inner = {.ours = true, .addresses = given.addresses};
  core.given_addresses[config.id] = given.addresses;
  return std::move(given);
}

// ---------------------------------------------------------------- responder

std::optional<std::string> admission_refusal(Core& core, IkeSa& sa, model::ConnectionConfig& config,
                                             const codec::Message& request, std::string_view named_group) {
  const model::Identity identity = peer_identity(sa).comparable();
  if (const auto* group = model::group_of(config.groups, identity, named_group)) {
    if (group->refused)
      return fmt::format("{} at {} belongs to group '{}' of connection '{}', which is refused (\"refuse\")",
                         identity.to_string(), sa.path.remote.to_string(), group->name, config.name);
    sa.admission.set_group(group->name);
    apply_group(config, sa.admission.group());
  }
  if (config.sessions == 0 || !config.refuse_more_sessions) return std::nullopt;
  // RFC 7296 2.4: the peer has no other any more.
  if (request.notify(NotifyType::initial_contact) != nullptr) return std::nullopt;
  const std::size_t standing = sessions_of(core, sa).size() - continued_by(core, sa, config, request).size();
  if (standing < config.sessions) return std::nullopt;
  return fmt::format("{} at {} has {} sessions already, and connection '{}' allows {} (\"sessions\")",
                     identity.to_string(), sa.path.remote.to_string(), standing, config.name, config.sessions);
}

std::optional<RequestToken> ask_for_addresses(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                              const codec::Message& request) {
  const auto* payload = find(request, ConfigurationType::request);
  if (config.pools.empty() || payload == nullptr) return std::nullopt;
  AddressRequest asked{.token = core.expect_completion(sa),
                       .connection = config.id,
                       .ike_sa = sa.id,
                       .identity = peer_identity(sa),
                       .wishes = codec::read_request(*payload).addresses,
                       .pools = config.pools,
                       .local = config.local,
                       .ending = {},
                       .authorization = sa.admission.authorization()};
  const bool alone = request.notify(NotifyType::initial_contact) != nullptr;
  for (const IkeSa* other : sessions_that_end(core, sa, config, alone)) asked.ending.push_back(other->id);
  for (const IkeSa* other : continued_by(core, sa, config, request)) {
    if (std::ranges::find(asked.ending, other->id) == asked.ending.end()) asked.ending.push_back(other->id);
  }
  const RequestToken token = asked.token;
  core.requests.emplace_back(std::move(asked));
  return token;
}

// RFC 8983 5, table 1: which families there are addresses of, whatever was asked for and given.
void add_allowed_families(codec::Message& answer, const model::ConnectionConfig& config,
                          const codec::Message& request) {
  if (config.pools.empty() || find(request, ConfigurationType::request) == nullptr) return;
  const auto has = [&](net::Family family) {
    return std::ranges::any_of(config.remote, [&](const auto& one) { return one.addresses.family() == family; });
  };
  if (has(net::Family::v4)) answer.add_notify(NotifyType::ip4_allowed);
  if (has(net::Family::v6)) answer.add_notify(NotifyType::ip6_allowed);
}

AddressAnswer answer_addresses(IkeSa& sa, const model::ConnectionConfig& config, const codec::Message& request,
                               std::optional<AddressResult> given) {
  if (config.pools.empty()) return {};
  const auto refuse = [](NotifyType type, std::string detail) {
    return AddressAnswer{.reply = std::nullopt,
                         .refusal = ChildRefusal{
                             .notify = type, .data = {}, .kind = FailureKind::no_address, .detail = std::move(detail)}};
  };
  if (!given) {
    // RFC 7296 2.19: who needs an address and asks for none hears of it.
    return refuse(NotifyType::failed_cp_required,
                  fmt::format("the peer {} asks for no address, connection '{}' has those of a pool only",
                              sa.remote_id.to_string(), config.name));
  }
  // RFC 7296 3.15.4: the IKE SA stands, without a Child SA.
  if (!given->configuration) {
    return refuse(
        NotifyType::internal_address_failure,
        fmt::format("the peer {} gets no address: {}", sa.remote_id.to_string(), given->configuration.error()));
  }
  sa.inner = {.ours = false, .addresses = given->configuration->addresses};
  const auto asked = codec::read_request(*find(request, ConfigurationType::request));
  return {.reply = codec::make_reply(*given->configuration, asked), .refusal = std::nullopt};
}

// RFC 7296 2.19 has 0.0.0.0-255.255.255.255 there; a selector of no address at all can mean nothing else.
void place_unspecified(codec::Message& request, const std::vector<net::IpAddress>& given) {
  for (codec::Payload& payload : request.payloads) {
    auto* selectors = std::get_if<codec::TsPayload>(&payload);
    if (selectors == nullptr || selectors->side != model::Role::initiator) continue;
    for (model::TrafficSelector& one : selectors->selectors) {
      if (!one.addresses.first.is_unspecified() || one.addresses.first != one.addresses.last) continue;
      const auto address = std::ranges::find(given, one.addresses.family(), &net::IpAddress::family);
      if (address != given.end()) one.addresses = net::AddressRange::of(*address);
    }
  }
}

// ---------------------------------------------------------------- either

std::optional<codec::ConfigurationPayload> answer_question(const IkeSa& sa, const codec::Message& request) {
  const auto* payload = find(request, ConfigurationType::request);
  if (payload == nullptr) return std::nullopt;
  const auto asked = codec::read_request(*payload);
  model::Configuration ours;
  for (const net::IpAddress& address : sa.inner.addresses) {
    const auto is_asked = std::ranges::any_of(
        asked.addresses, [&](const model::AddressWish& wish) { return wish.family == address.family(); });
    if (!sa.inner.ours && is_asked) ours.addresses.push_back(address);
  }
  return codec::make_reply(ours, asked);
}

}  // namespace culvert::ike::v2
