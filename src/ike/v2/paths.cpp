#include "ike/v2/paths.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/nat.hpp"

namespace culvert::ike::v2 {
namespace {

// However many addresses both sides have.
constexpr std::size_t kMostWays = 16;
// Sends of one request after which the path is in doubt, and so is a trial of another.
constexpr unsigned kSendsOnOnePath = 3;
// Other ways that are tried with one retransmission, and at once when they are found.
constexpr unsigned kWaysAtATime = 2;
constexpr unsigned kWaysAtOnce = 4;
// RFC 4555 3.11: a responder shall give the initiator the time to find a way; about seven minutes with the usual waits.
constexpr unsigned kFurtherTries = 3;

bool same_addresses(const net::Path& a, const net::Path& b) {
  return a.local.address == b.local.address && a.remote.address == b.remote.address;
}

// Those that it goes over UDP with, once IKE_SA_INIT is done.
net::Path with_nat_ports(const Core& core, const IkeSa& sa, net::Path path) {
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  const bool usual = config == nullptr || config->peer_port == core.settings.ike_port;
  path.local = {path.local.address, core.settings.nat_port};
  path.remote = {path.remote.address, usual ? core.settings.nat_port : config->peer_port};
  return path;
}

net::Path with_ports(const Core& core, const IkeSa& sa, net::Path path) {
  if (sa.path.over_tcp()) return with_nat_ports(core, sa, path);
  path.local.port = sa.path.local.port;
  path.remote.port = sa.path.remote.port;
  // The port that a NAT gave the peer is that NAT's.
  const bool other = path.remote.address != sa.path.remote.address;
  if (other && !chooses_paths(sa) && path.local.port == core.settings.nat_port)
    path.remote.port = core.settings.nat_port;
  return path;
}

std::string in_words(const net::Path& path) {
  return fmt::format("{} -> {}{}", path.local.to_string(), path.remote.to_string(), path.over_tcp() ? " (TCP)" : "");
}

std::optional<model::MessageId> outstanding(const IkeSa& sa) {
  const auto awaited = sa.window.awaited();
  return awaited.empty() ? std::nullopt : std::optional(awaited.front());
}

void resend_there(Core& core, IkeSa& sa, const net::Path& path, model::MessageId id) {
  Mobility& known = mobility_of(sa);
  const bool only_there = known.trying == id && known.trial == path && !known.spread.contains(id);
  core.transmit(path, *sa.window.request(id));
  if (!only_there) known.spread.insert(id);
}

// RFC 4555 3.5: what the peer has not answered yet goes on over the new path. RFC 4555 3.7, RFC 7296 2.23: as long as
// nobody has answered there, it may be the address of someone who has nothing to do with us. Then the oldest request
// goes there alone, without whose answer no other can be sent.
void resend_there(Core& core, IkeSa& sa, const net::Path& path, bool proved) {
  for (const model::MessageId id : sa.window.awaited()) {
    resend_there(core, sa, path, id);
    if (!proved) return;
  }
}

// On a path whose other end is not proved only the oldest request is sent again, and the one that is to prove it.
bool may_go_there(const IkeSa& sa, model::MessageId id) {
  if (!sa.mobility || !sa.mobility->children_wait) return true;
  return outstanding(sa) == id || sa.mobility->trying == id;
}

void try_ways(Core& core, IkeSa& sa, model::MessageId id, unsigned count) {
  Mobility& known = *sa.mobility;
  for (std::size_t looked = 0; looked < known.ways.size() && count > 0; ++looked) {
    const net::Path& way = known.ways[known.next_way++ % known.ways.size()];
    if (way == sa.path) continue;
    core.transmit(way, *sa.window.request(id));
    known.spread.insert(id);
    --count;
  }
}

void ask_for_ways(Core& core, const IkeSa& sa, bool silent) {
  PathInDoubt event{.ike_sa = sa.id, .peers = {sa.path.remote.address}, .silent = silent};
  if (sa.mobility) {
    for (const net::IpAddress& one : sa.mobility->peers) {
      if (one != sa.path.remote.address) event.peers.push_back(one);
    }
  }
  core.emit(std::move(event));
}

void doubt(Core& core, IkeSa& sa) {
  mobility_of(sa).in_doubt = true;
  core.progress(sa, fmt::format("no answer over {}; looking for other ways", in_words(sa.path)));
  ask_for_ways(core, sa, true);
}

}  // namespace

bool chooses_paths(const IkeSa& sa) { return sa.mobike && sa.origin_role == model::Role::initiator; }

Mobility& mobility_of(IkeSa& sa) {
  if (!sa.mobility) sa.mobility = Mobility{};
  return *sa.mobility;
}

void announce_path(Core& core, IkeSa& sa, std::string why) {
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  PathChanged event{.ike_sa = sa.id,
                    .path = sa.path,
                    .encapsulation = std::nullopt,
                    .local_behind_nat = sa.local_behind_nat,
                    .remote_behind_nat = sa.remote_behind_nat,
                    .why = std::move(why)};
  // RFC 4555 3.5: NAT traversal comes and goes with the paths.
  if (sa.mobike && config != nullptr) event.encapsulation = encapsulation_of(core, sa, config->encapsulation);
  core.emit(std::move(event));
}

void review_path(Core& core, const IkeSa& sa) {
  if (sa.mobike && sa.phase == Phase::established) ask_for_ways(core, sa, false);
}

void use_paths(Core& core, IkeSa& sa, const std::vector<net::Path>& paths) {
  if (!sa.mobike || sa.phase != Phase::established) return;
  if (paths.empty()) return core.progress(sa, "there is no way to the peer now");
  // RFC 9329 6.1: who was called over TCP is called again.
  if (sa.path.over_tcp() && !chooses_paths(sa)) return;
  Mobility& known = mobility_of(sa);
  known.ways.clear();
  known.next_way = 0;
  for (std::size_t i = 0; i < std::min(paths.size(), kMostWays); ++i)
    known.ways.push_back(with_ports(core, sa, paths[i]));
  const net::Path best = known.ways.front();
  const bool stands =
      std::ranges::any_of(known.ways, [&](const net::Path& way) { return same_addresses(way, sa.path); });
  if (!stands) {
    const bool ours = best.local.address != sa.path.local.address && best.remote.address == sa.path.remote.address;
    return move_to(core, sa, best,
                   ours ? fmt::format("{} leads to the peer no more", sa.path.local.address.to_string())
                        : fmt::format("the peer cannot be reached at {} any more", sa.path.remote.address.to_string()));
  }
  if (known.in_doubt) {
    if (const auto id = outstanding(sa)) try_ways(core, sa, *id, kWaysAtOnce);
    return;
  }
  known.ways.clear();
  // When to leave TCP is not for the routes to say.
  if (sa.path.over_tcp()) return;
  const bool better = chooses_paths(sa) && best.remote.address == sa.path.remote.address && best != sa.path;
  // RFC 4555 3.10: what works is not left for what may not.
  if (better)
    put_first(core, sa,
              ProbePathTask{.path = best,
                            .why = fmt::format("the way over {} is the better one", best.local.address.to_string())});
}

void try_transport(Core& core, IkeSa& sa, const net::Path& path) {
  if (!chooses_paths(sa) || sa.phase != Phase::established) return;
  if (path.over_tcp()) {
    if (path == sa.path) return;
    // RFC 9329 7.1: the request that waits for its answer goes over the other transport, too.
    return move_to(core, sa, path,
                   sa.path.over_tcp() ? fmt::format("{} leads to the peer no more", sa.path.local.address.to_string())
                                      : "no answer over UDP");
  }
  if (!sa.path.over_tcp()) return;
  put_first(core, sa, ProbePathTask{.path = with_nat_ports(core, sa, path), .why = "UDP leads to the peer again"});
}

void move_to(Core& core, IkeSa& sa, const net::Path& path, const std::string& why) {
  Mobility& known = mobility_of(sa);
  const bool proven = path.remote == sa.path.remote || known.answered_on == path;
  core.progress(sa, fmt::format("moving from {} to {}: {}", in_words(sa.path), in_words(path), why));
  sa.path = path;
  known.ways.clear();
  known.in_doubt = false;
  known.trying.reset();
  if (chooses_paths(sa)) known.children_wait = !proven;
  resend_there(core, sa, path, !known.children_wait);
  for (const model::MessageId id : sa.window.awaited()) sa.window.restart(id, core.now, core.random);
  if (chooses_paths(sa)) {
    put_first(core, sa, UpdateAddressesTask{});
  } else {
    // RFC 4555 3.5, 3.6: the one exception to the initiator's choice, and it hears of it.
    put_first(core, sa, TellAddressesTask{});
  }
  if (!known.children_wait) announce_path(core, sa, why);
  core.touch(sa);
}

void follow_update(Core& core, IkeSa& sa, const net::Path& path) {
  Mobility& known = mobility_of(sa);
  core.progress(sa, fmt::format("the peer moves the path from {} to {}{}", in_words(sa.path), in_words(path),
                                path.over_tcp() ? "" : "; asking it there"));
  sa.path = path;
  known.ways.clear();
  known.in_doubt = false;
  // RFC 9329 7.1: that there is a connection proves the peer's address.
  known.children_wait = !path.over_tcp();
  // One that says so again and again is asked there when the next retransmission is due.
  if (!known.children_wait || known.asked_elsewhere.allow(core.now)) resend_there(core, sa, path, !known.children_wait);
  for (const model::MessageId id : sa.window.awaited()) sa.window.restart(id, core.now, core.random);
  if (path.over_tcp()) return announce_path(core, sa, "the peer moved it");
  put_first(core, sa, ProbePathTask{.path = path, .why = "the peer moved it"});
}

void follow_peer(Core& core, IkeSa& sa, const net::Path& path, bool by_esp) {
  if (path == sa.path || sa.phase != Phase::established) return;
  // RFC 9329 5, 6.1: over TCP we answer on the connection that the peer's last authentic message came by; between TCP
  // and UDP an IKE SA does not move without MOBIKE.
  if (path.over_tcp() != sa.path.over_tcp()) return;
  if (path.over_tcp()) {
    core.progress(sa, fmt::format("the peer goes on over the TCP connection from {}", path.remote.to_string()));
    sa.path = path;
    return announce_path(core, sa, "the peer opened another TCP connection");
  }
  // ESP without UDP has passed no NAT, and says no port.
  if (path.local.port == core.settings.ike_port || path.remote.port == 0) return;
  // RFC 7296 2.23: a host that is not behind a NAT itself follows the peer's new mapping; one that is must not, for
  // then a single stray packet could break the connection.
  if (!sa.remote_behind_nat || sa.local_behind_nat) return;
  // RFC 4555 3.8: with MOBIKE an IKE message moves nothing by where it comes from.
  if (sa.mobike && !by_esp) return;
  // Whoever sees a packet of the peer's can send it on from where he likes, and before it arrives by itself: so the
  // peer must answer there first.
  Mobility& known = mobility_of(sa);
  const bool under_way = known.trying && known.trial == path && sa.window.awaits(*known.trying);
  const bool planned = std::ranges::any_of(sa.tasks, [&](const QueuedTask& queued) {
    const auto* probe = std::get_if<ProbePathTask>(&queued.task);
    return probe != nullptr && (probe->path == path || probe->path == sa.path);
  });
  if (!under_way && !planned) {
    core.progress(sa, fmt::format("the peer seems to be at {}, not at {} any more; asking it there",
                                  path.remote.to_string(), sa.path.remote.to_string()));
    put_first(core, sa, ProbePathTask{.path = path, .why = "the peer's address at its NAT changed"});
  }
  // The answer that we wait for may not come over the old path any more. Nor does the probe's where it was lost, or
  // came when the peer could not take it yet; and a probe that waits for other requests waits for these. Whoever sends
  // on what it has seen of the peer chooses where this goes, with each packet anew.
  if (known.asked_elsewhere.allow(core.now)) resend_there(core, sa, path, false);
}

void note_proved(Core& core, IkeSa& sa) {
  Mobility& known = mobility_of(sa);
  if (!std::exchange(known.children_wait, false)) return;
  for (const model::MessageId id : sa.window.awaited()) {
    // It is there already, or has been.
    if (known.spread.contains(id)) continue;
    core.transmit(sa.path, *sa.window.request(id));
    known.spread.insert(id);
    sa.window.restart(id, core.now, core.random);
  }
}

void retransmit(Core& core, IkeSa& sa, model::MessageId id) {
  const Outgoing& request = *sa.window.request(id);
  const bool in_place = sa.phase == Phase::established;
  const unsigned sends = sa.window.sends(id);
  if (in_place && sa.mobility && sa.mobility->trying == id && sends <= kSendsOnOnePath)
    return core.transmit(sa.mobility->trial, request);
  if (in_place && !may_go_there(sa, id)) return;
  core.transmit(sa.path, request);
  if (!in_place) return;
  if (sa.mobility && sa.mobility->trying == id && sa.mobility->trial != sa.path) sa.mobility->spread.insert(id);
  if (chooses_paths(sa) && sends >= kSendsOnOnePath && !(sa.mobility && sa.mobility->in_doubt)) return doubt(core, sa);
  if (sa.mobility && sa.mobility->in_doubt) try_ways(core, sa, id, kWaysAtATime);
}

void note_answer(Core& core, IkeSa& sa, const net::Path& path, model::MessageId id) {
  if (!sa.mobility) return;
  Mobility& known = *sa.mobility;
  known.answered_on = path;
  std::erase_if(known.spread, [&](model::MessageId one) { return one != id && !sa.window.awaits(one); });
  const bool may_move =
      chooses_paths(sa) && known.spread.contains(id) && path != sa.path && sa.phase == Phase::established;
  const bool is_way = std::ranges::find(known.ways, path) != known.ways.end();
  if (may_move && is_way) return move_to(core, sa, path, "the peer answers there, and over the path before it did not");
  // What else has gone several ways may yet be answered over one that is better.
  const bool more = std::ranges::any_of(known.spread, [&](model::MessageId one) { return one != id; });
  if (more && path != sa.path) return;
  known.in_doubt = false;
  known.ways.clear();
}

RetransmitPolicy patience_with(const Core& core, const IkeSa& sa) {
  RetransmitPolicy policy = core.retransmission();
  if (!sa.mobike || chooses_paths(sa) || sa.phase != Phase::established) return policy;
  // One whose address we know we reach ourselves, and shall not wait for so long.
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  if (config != nullptr && !config->peer) policy.tries += kFurtherTries;
  return policy;
}

void hand_over_mobility(IkeSa& old, IkeSa& next) {
  if (old.mobility) {
    next.mobility = std::move(old.mobility);
    Mobility& known = *next.mobility;
    // What has to do with message ids is the old one's.
    known.trying.reset();
    known.spread.clear();
    known.newest_update.reset();
    known.in_doubt = false;
    known.ways.clear();
  }
  for (QueuedTask& queued : old.tasks) {
    const bool moves = std::holds_alternative<UpdateAddressesTask>(queued.task) ||
                       std::holds_alternative<TellAddressesTask>(queued.task) ||
                       std::holds_alternative<ProbePathTask>(queued.task);
    if (moves) next.tasks.push_back(queued);
  }
}

}  // namespace culvert::ike::v2
