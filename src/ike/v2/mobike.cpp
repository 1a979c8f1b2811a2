#include "ike/v2/mobike.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/closing.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/paths.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

// Of ours that are told, of the peer's that are kept.
constexpr std::size_t kMostTold = 8;
constexpr std::size_t kMostKept = 16;
// RFC 4555 4.2.5.
constexpr std::size_t kLeastCookie = 8;
constexpr std::size_t kMostCookie = 64;

// All but that of the path. What the tunnel itself protects is no way to it.
std::vector<net::IpAddress> additional_addresses(const Core& core, const IkeSa& sa,
                                                 const model::ConnectionConfig& config) {
  std::vector<net::IpAddress> addresses;
  // The user has decided on one.
  if (config.local_address) return addresses;
  for (const net::IpAddress& one : core.own_addresses) {
    if (addresses.size() == kMostTold) break;
    if (one != sa.path.local.address && !model::protects(config.local, one)) addresses.push_back(one);
  }
  return addresses;
}

void add_addresses(codec::Message& message, const std::vector<net::IpAddress>& addresses) {
  for (const net::IpAddress& one : addresses) {
    message.add_notify(one.is_v4() ? NotifyType::additional_ip4_address : NotifyType::additional_ip6_address,
                       one.bytes());
  }
}

// RFC 4555 4.2.6: source, destination, source port, destination port.
Bytes path_octets(const net::Path& sent) {
  ByteWriter writer;
  writer.bytes(sent.local.address.bytes());
  writer.bytes(sent.remote.address.bytes());
  writer.u16(sent.local.port);
  writer.u16(sent.remote.port);
  return writer.take();
}

// RFC 4555 3.9: addresses are protected where NATs are not expected. RFC 9329 7.1: but TCP has no problems with them.
void forbid_nats(codec::Message& message, const IkeSa& sa, const net::Path& path) {
  if (!sa.nat_traversal && !path.over_tcp()) message.add_notify(NotifyType::no_nats_allowed, path_octets(path));
}

bool is_usable(const net::IpAddress& address) {
  return !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
}

std::vector<net::IpAddress> listed_addresses(const codec::Message& message) {
  std::vector<net::IpAddress> addresses;
  for (const auto* notify : message.all<codec::NotifyPayload>()) {
    const bool v4 = notify->type == NotifyType::additional_ip4_address;
    if (!v4 && notify->type != NotifyType::additional_ip6_address) continue;
    const auto address = net::IpAddress::from_bytes(notify->data);
    if (!address || address->is_v4() != v4 || !is_usable(*address) || addresses.size() == kMostKept) continue;
    if (std::ranges::find(addresses, *address) == addresses.end()) addresses.push_back(*address);
  }
  return addresses;
}

bool lists_addresses(const codec::Message& message) {
  return message.notify(NotifyType::additional_ip4_address) != nullptr ||
         message.notify(NotifyType::additional_ip6_address) != nullptr ||
         message.notify(NotifyType::no_additional_addresses) != nullptr;
}

bool detects_nats(const codec::Message& message) {
  return message.notify(NotifyType::nat_detection_source_ip) != nullptr &&
         message.notify(NotifyType::nat_detection_destination_ip) != nullptr;
}

void add_detection(codec::Message& message, const Core& core, const IkeSa& sa, const net::Path& path) {
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  // The digests are over both SPIs; the rest of the header comes when the message is sent.
  message.header.spi_i = sa.spi_i;
  message.header.spi_r = sa.spi_r;
  add_nat_detection(message, path, config != nullptr ? config->encapsulation : model::EncapsulationPolicy::udp);
}

// RFC 4555 3.6: the whole list each time, and the address that it came from.
void take_addresses(Core& core, IkeSa& sa, const net::Path& path, const codec::Message& request) {
  Mobility& known = mobility_of(sa);
  known.peers = listed_addresses(request);
  std::erase(known.peers, path.remote.address);
  std::vector<net::IpAddress> all{path.remote.address};
  all.insert(all.end(), known.peers.begin(), known.peers.end());
  core.progress(sa, fmt::format("the peer has {} addresses now", all.size()));
  if (!chooses_paths(sa) || std::ranges::find(all, sa.path.remote.address) != all.end()) return;
  // RFC 4555 3.5: it is not any more where we send to.
  core.emit(PathInDoubt{.ike_sa = sa.id, .peers = std::move(all), .silent = false});
}

bool is_acceptable(const Core& core, const IkeSa& sa, const net::Path& path) {
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  return config != nullptr && may_use_mobike(*config) && path.remote.port != 0 &&
         !path.remote.address.is_unspecified() && !path.remote.address.is_multicast() &&
         path.remote.address != path.local.address &&
         (!config->local_address || *config->local_address == path.local.address);
}

// RFC 4555 3.5, as responder.
void take_update(Core& core, IkeSa& sa, const net::Path& path, const codec::Message& request, codec::Message& answer) {
  if (!is_acceptable(core, sa, path)) {
    core.progress(sa, fmt::format("the peer wants to move to {} -> {}, which is not acceptable here",
                                  path.local.to_string(), path.remote.to_string()));
    return answer.add_notify(NotifyType::unacceptable_addresses);
  }
  const bool behind = sa.remote_behind_nat;
  if (sa.nat_traversal && !path.over_tcp() && detects_nats(request)) judge_nat_detection(sa, request, path);
  if (path != sa.path) return follow_update(core, sa, path);
  if (behind != sa.remote_behind_nat && !mobility_of(sa).children_wait) announce_path(core, sa, "the peer says so");
}

class PathExchange : public InitiatorExchange {
 public:
  PathExchange(Core& core, IkeSa& sa) : core_(core), sa_(sa) {}
  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::informational; }
  [[nodiscard]] Activity activity() const override { return Activity::inform; }
  void handle_bad_response(const std::string&) override {}
  [[nodiscard]] bool awaits(RequestToken /*token*/) const override { return false; }

 protected:
  void add_cookie(codec::Message& message) {
    cookie_.resize(16);
    core_.random.fill(cookie_);
    message.add_notify(NotifyType::cookie2, cookie_);
  }
  enum class CookieVerdict : std::uint8_t { returned, missing, wrong };
  /// RFC 4555 3.7: with another cookie the IKE SA must be closed, and is.
  CookieVerdict judge_cookie(const codec::Message& response) {
    const auto* returned = response.notify(NotifyType::cookie2);
    if (returned == nullptr) return CookieVerdict::missing;
    if (equal(returned->data, cookie_)) return CookieVerdict::returned;
    core_.progress(sa_, "the peer returned another COOKIE2 than we sent");
    close_with_delete(core_, sa_, CloseReason::protocol_error);
    return CookieVerdict::wrong;
  }
  /// The IKE SA that goes on, if this one was rekeyed meanwhile: the same is to be done there.
  [[nodiscard]] IkeSa* successor() const { return sa_.successor ? core_.sas.find(*sa_.successor) : nullptr; }
  [[nodiscard]] bool went_several_ways(const codec::Message& response) const {
    return sa_.mobility && sa_.mobility->spread.contains(response.header.message_id);
  }

  Core& core_;
  IkeSa& sa_;
  Bytes cookie_;
};

class UpdateAddressesInitiator final : public PathExchange {
 public:
  UpdateAddressesInitiator(Core& core, IkeSa& sa, const UpdateAddressesTask& task)
      : PathExchange(core, sa), path_(sa.path), refused_(task.refused) {}
  [[nodiscard]] std::optional<Task> anew() const override { return UpdateAddressesTask{.refused = refused_}; }

  Progression start() override {
    codec::Message message;
    message.add_notify(NotifyType::update_sa_addresses);
    if (sa_.nat_traversal) add_detection(message, core_, sa_, path_);
    forbid_nats(message, sa_, path_);
    add_cookie(message);
    send_request(core_, sa_, type(), std::move(message));
    return Progression::waiting;
  }

  Progression handle_response(const codec::Message& response) override {
    const CookieVerdict cookie = judge_cookie(response);
    if (cookie == CookieVerdict::wrong) return Progression::done;
    if (IkeSa* next = successor()) {
      put_first(core_, *next, UpdateAddressesTask{});
      return Progression::done;
    }
    // RFC 4555 3.5: after a further change only the answer to a further request counts. Which of several paths the peer
    // has taken over from this one is not certain either.
    if (sa_.path != path_ || went_several_ways(response)) {
      put_first(core_, sa_, UpdateAddressesTask{});
      return Progression::done;
    }
    if (response.notify(NotifyType::unexpected_nat_detected) != nullptr) return retry();
    if (response.notify(NotifyType::unacceptable_addresses) != nullptr) {
      core_.progress(
          sa_, fmt::format("the peer does not accept {} -> {}", path_.local.to_string(), path_.remote.to_string()));
      return Progression::done;
    }
    take_agreement(response, cookie);
    return Progression::done;
  }

 private:
  // RFC 4555 3.9: somebody may have changed a single packet.
  Progression retry() {
    constexpr unsigned kMostTries = 5;
    core_.progress(sa_, "the peer sees other addresses than we send from and to: there is a NAT where none may be");
    if (refused_ + 1 < kMostTries) put_first(core_, sa_, UpdateAddressesTask{.refused = refused_ + 1});
    return Progression::done;
  }

  void take_agreement(const codec::Message& response, CookieVerdict cookie) {
    Mobility& known = mobility_of(sa_);
    const bool ours = sa_.local_behind_nat;
    const bool theirs = sa_.remote_behind_nat;
    // RFC 9329 7.1: over TCP the ports are not those that either side knows the connection by; and a NAT changes
    // nothing.
    if (sa_.nat_traversal && !path_.over_tcp() && detects_nats(response)) {
      judge_nat_detection(sa_, response, path_);
      known.seen_as = response.notify(NotifyType::nat_detection_destination_ip)->data;
    }
    if (known.children_wait && cookie == CookieVerdict::missing) {
      core_.refuse(Refusal::invalid_answer);
      return core_.progress(sa_, "the peer has not returned COOKIE2: its address is not proved");
    }
    const bool waited = known.children_wait;
    note_proved(core_, sa_);
    if (waited) return announce_path(core_, sa_, "the peer has answered there");
    if (ours != sa_.local_behind_nat || theirs != sa_.remote_behind_nat)
      announce_path(core_, sa_, sa_.local_behind_nat ? "there is a NAT on the new path" : "NAT detection");
  }

  net::Path path_;
  unsigned refused_;
};

class TellAddressesInitiator final : public PathExchange {
 public:
  using PathExchange::PathExchange;
  [[nodiscard]] std::optional<Task> anew() const override { return TellAddressesTask{}; }

  Progression start() override {
    const model::ConnectionConfig* config = core_.connections.find(sa_.connection);
    if (config == nullptr) return Progression::done;
    Mobility& known = mobility_of(sa_);
    known.told = additional_addresses(core_, sa_, *config);
    codec::Message message;
    if (known.told.empty()) message.add_notify(NotifyType::no_additional_addresses);
    add_addresses(message, known.told);
    forbid_nats(message, sa_, sa_.path);
    send_request(core_, sa_, type(), std::move(message));
    return Progression::waiting;
  }

  Progression handle_response(const codec::Message& response) override {
    IkeSa* next = successor();
    // RFC 4555 3.6: the list belongs to the address that it comes from.
    if (next == nullptr && !went_several_ways(response)) return Progression::done;
    put_first(core_, next != nullptr ? *next : sa_, TellAddressesTask{});
    return Progression::done;
  }
};

class ProbePathInitiator final : public PathExchange {
 public:
  ProbePathInitiator(Core& core, IkeSa& sa, ProbePathTask task) : PathExchange(core, sa), task_(std::move(task)) {}
  [[nodiscard]] std::optional<Task> anew() const override { return task_; }

  Progression start() override {
    Mobility& known = mobility_of(sa_);
    // The peer, or we, moved on meanwhile: then that is the path which is to be proved.
    if (known.children_wait) task_.path = sa_.path;
    codec::Message message;
    if (sa_.mobike) add_cookie(message);
    known.trying = sa_.window.next_id();
    known.trial = task_.path;
    send_request(core_, sa_, type(), std::move(message), std::nullopt, &task_.path);
    return Progression::waiting;
  }

  Progression handle_response(const codec::Message& response) override {
    if (sa_.mobike) {
      const CookieVerdict cookie = judge_cookie(response);
      if (cookie == CookieVerdict::wrong) return Progression::done;
      if (cookie == CookieVerdict::missing) {
        core_.refuse(Refusal::invalid_answer);
        core_.progress(sa_, "the peer has not returned COOKIE2: its address is not proved");
        return Progression::done;
      }
    }
    if (IkeSa* next = successor()) {
      put_first(core_, *next, task_);
      return Progression::done;
    }
    Mobility& known = mobility_of(sa_);
    if (known.children_wait && task_.path != sa_.path) return again();
    if (known.answered_on != task_.path) return Progression::done;
    // RFC 4555 3.7: one that went to several addresses proves none of them.
    if (went_several_ways(response)) return again();
    take_path();
    return Progression::done;
  }

 private:
  Progression again() {
    constexpr unsigned kMostTimes = 4;
    if (++task_.repeated < kMostTimes) put_first(core_, sa_, task_);
    return Progression::done;
  }

  void take_path() {
    const bool other_transport = task_.path.over_tcp() != sa_.path.over_tcp();
    if (chooses_paths(sa_) && (other_transport || task_.path.local.address != sa_.path.local.address))
      return move_to(core_, sa_, task_.path, task_.why);
    sa_.path = task_.path;
    note_proved(core_, sa_);
    announce_path(core_, sa_, task_.why);
  }

  ProbePathTask task_;
};

}  // namespace

// RFC 4555 1.2: transport mode is out of its scope, and so is BEET, whose inner addresses stand in the SA.
bool may_use_mobike(const model::ConnectionConfig& config) {
  return config.mobike && config.mode == model::Mode::tunnel;
}

void add_mobike(codec::Message& message, const Core& core, IkeSa& sa, const model::ConnectionConfig& config) {
  if (!may_use_mobike(config)) return;
  message.add_notify(NotifyType::mobike_supported);
  auto addresses = additional_addresses(core, sa, config);
  add_addresses(message, addresses);
  if (!addresses.empty()) mobility_of(sa).told = std::move(addresses);
  // The answer changes no addresses (RFC 4555 3.9).
  if (sa.role == model::Role::initiator) forbid_nats(message, sa, sa.path);
}

void agree_on_mobike(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config) {
  sa.mobike = may_use_mobike(config) && peer.notify(NotifyType::mobike_supported) != nullptr;
  if (!sa.mobike) return sa.mobility.reset();
  auto addresses = listed_addresses(peer);
  if (!addresses.empty()) mobility_of(sa).peers = std::move(addresses);
}

bool was_translated(const codec::Message& request, const net::Path& path) {
  if (path.over_tcp()) return false;  // RFC 9329 7.1
  const auto* sent = request.notify(NotifyType::no_nats_allowed);
  return sent != nullptr && !equal(sent->data, path_octets({path.remote, path.local}));
}

void handle_mobike(Core& core, IkeSa& sa, const net::Path& path, const codec::Message& request,
                   codec::Message& answer) {
  if (!sa.mobike) return;
  const auto* cookie = request.notify(NotifyType::cookie2);
  const bool copies = cookie != nullptr && cookie->data.size() >= kLeastCookie && cookie->data.size() <= kMostCookie;
  if (copies) answer.add_notify(NotifyType::cookie2, cookie->data);
  // RFC 4555 3.8: they are answered wherever they stand.
  if (sa.nat_traversal && detects_nats(request)) add_detection(answer, core, sa, path);
  const bool update = request.notify(NotifyType::update_sa_addresses) != nullptr && !chooses_paths(sa);
  if ((!update && !lists_addresses(request)) || sa.phase != Phase::established) return;
  Mobility& known = mobility_of(sa);
  // RFC 4555 3.5, 3.6: an older one that was overtaken is answered, and no more.
  if (known.newest_update && request.header.message_id < *known.newest_update) return;
  known.newest_update = request.header.message_id;
  if (was_translated(request, path)) {
    core.progress(
        sa, fmt::format("the peer's addresses were changed on the way, it came from {}", path.remote.to_string()));
    return answer.add_notify(NotifyType::unexpected_nat_detected);
  }
  if (lists_addresses(request)) take_addresses(core, sa, path, request);
  if (update) take_update(core, sa, path, request, answer);
}

void add_path_questions(codec::Message& request, const Core& core, IkeSa& sa) {
  if (chooses_paths(sa) && sa.nat_traversal && sa.local_behind_nat) add_detection(request, core, sa, sa.path);
}

void judge_path_answers(Core& core, IkeSa& sa, const codec::Message& response) {
  if (!chooses_paths(sa) || !sa.local_behind_nat || sa.phase != Phase::established) return;
  const auto* seen = response.notify(NotifyType::nat_detection_destination_ip);
  if (seen == nullptr) return;
  Mobility& known = mobility_of(sa);
  const bool first = known.seen_as.empty();
  const bool changed = first || !equal(known.seen_as, seen->data);
  known.seen_as = seen->data;
  if (!changed) return;
  // At first there is nothing to compare it with, and the mapping may be another than that of IKE_AUTH: a peer that
  // follows our word alone would send its ESP to the old one for ever.
  core.progress(sa, first ? "telling the peer to send where it sees us now" : "our address at the NAT changed");
  put_first(core, sa, UpdateAddressesTask{});
}

void tell_addresses(Core& core, IkeSa& sa) {
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  if (!sa.mobike || sa.phase != Phase::established || config == nullptr) return;
  const auto now = additional_addresses(core, sa, *config);
  const bool known = sa.mobility ? sa.mobility->told == now : now.empty();
  if (!known) put_first(core, sa, TellAddressesTask{});
}

std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const UpdateAddressesTask& task) {
  return std::make_unique<UpdateAddressesInitiator>(core, sa, task);
}
std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const TellAddressesTask&) {
  return std::make_unique<TellAddressesInitiator>(core, sa);
}
std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const ProbePathTask& task) {
  return std::make_unique<ProbePathInitiator>(core, sa, task);
}

}  // namespace culvert::ike::v2
