#include "tests/sim/seed_profile.hpp"

#include <fmt/format.h>

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array kIkeSuites{"aes128gcm16-prfsha256-x25519",
                                "aes256gcm16-prfsha384-x25519",
                                "chacha20poly1305-prfsha256-x25519",
                                "aes256-sha256-prfsha256-x25519",
                                "aes128-sha512-prfsha512-x25519",
                                "aes256gcm16-prfsha256-x25519-ke1_mlkem768",
                                "aes128-sha256-x25519-ke1_mlkem512-ke2_ecp256"};
constexpr std::array kEspSuites{"aes128gcm16-esn",
                                "aes256gcm16-noesn",
                                "chacha20poly1305-esn",
                                "aes128gcm16-x25519-esn",
                                "aes256-sha256-esn",
                                "aes128-sha512-noesn",
                                "aes256gcm16-x25519-noesn",
                                "aes256-sha256-x25519-esn",
                                "aes128gcm16-x25519-ke1_mlkem512-esn",
                                "aes256-sha256-x25519-ke1_mlkem768-ke2_ecp256-noesn"};

template <typename T, std::size_t N>
const T& pick(const std::array<T, N>& list, SeededRandom& random) {
  return list[random.below(N)];
}

bool one_in(unsigned n, SeededRandom& random) { return random.below(n) == 0; }

Duration between(Duration low, Duration high, SeededRandom& random) {
  return low + Duration(random.below(static_cast<std::uint64_t>((high - low).count()) + 1));
}

LinkConditions make_link(SeededRandom& random) {
  LinkConditions link;
  if (!one_in(4, random)) link.loss_ppm = static_cast<std::uint32_t>(random.below(200'001));
  if (one_in(2, random)) link.duplicate_ppm = static_cast<std::uint32_t>(random.below(100'001));
  link.latency = between(milliseconds(1), milliseconds(120), random);
  if (one_in(2, random)) link.jitter = between(milliseconds(1), milliseconds(80), random);
  if (one_in(3, random)) {
    link.late_ppm = static_cast<std::uint32_t>(random.below(50'001));
    link.late_by = between(milliseconds(100), milliseconds(2000), random);
  }
  link.mtu = one_in(4, random) ? 1280 : 1500;
  return link;
}

// Lifetimes from very short to none that matters within the run.
void make_lifetimes(model::ConnectionConfig& connection, SeededRandom& random) {
  connection.ike_lifetime = one_in(2, random) ? between(seconds(25), seconds(120), random) : Duration(seconds(3600));
  connection.child_lifetime.time =
      one_in(2, random) ? between(seconds(15), seconds(80), random) : Duration(seconds(3600));
  // Not so short that the last pairs, which linger for some seconds, never go.
  if (one_in(4, random)) connection.child_lifetime.packets = 200 + random.below(300);
  if (one_in(6, random)) connection.child_lifetime.bytes = 200'000 + random.below(200'000);
  connection.rekey_margin = one_in(2, random) ? 0.3 : 0.15;
  connection.liveness_interval = between(seconds(2), seconds(15), random);
  connection.nat_keepalive_interval = seconds(15);
  connection.replay_window = one_in(2, random) ? 64 : 1024;
}

// Who may begin: at least one side that can reach the other must.
void make_starts(WorldOptions& world, SeededRandom& random) {
  constexpr std::array kModes{model::StartMode::automatic, model::StartMode::on_demand, model::StartMode::manual};
  for (model::ConnectionConfig& connection : world.connections) connection.start = pick(kModes, random);
  if (world.nat) {
    const Side behind = *world.nat;
    if (world.connections[index_of(behind)].start == model::StartMode::manual) {
      world.connections[index_of(behind)].start = model::StartMode::automatic;
    }
    if (one_in(2, random)) world.peer_kinds[index_of(other(behind))] = config::PeerKind::any;
  }
}

// Several workers in every third run, with as many Child SAs for single ones as each side will have (RFC 9611). Drawn
// apart, so that the other runs stay what they are.
void make_workers(WorldOptions& world, std::uint64_t seed) {
  SeededRandom random(seed ^ 0x9611);
  if (!one_in(3, random)) return;
  for (const Side side : {Side::alice, Side::bob}) {
    const auto workers = static_cast<std::uint32_t>(1 + random.below(4));
    world.ike[index_of(side)].resources = workers;
    world.connections[index_of(side)].resource_sas =
        one_in(3, random) ? static_cast<std::uint32_t>(random.below(5)) : 2 * workers;
  }
}

// IKE messages in fragments in every third run, of sizes that even small messages are above (RFC 7383). Drawn apart.
void make_fragments(WorldOptions& world, std::uint64_t seed) {
  SeededRandom random(seed ^ 0x7383);
  if (!one_in(3, random)) return;
  for (model::ConnectionConfig& connection : world.connections) {
    connection.ike_fragment_size = static_cast<std::uint16_t>(model::kLeastIkeFragmentSize + random.below(300));
    if (one_in(8, random)) connection.ike_fragmentation = model::IkeFragmentation::off;
  }
  if (!one_in(2, random)) return;
  // So much that no path takes it whole.
  model::Identity large{model::IdentificationType::key_id, Bytes(1500 + random.below(2000), 'x')};
  world.connections[0].local_id = world.connections[1].remote_id = std::move(large);
}

// Tickets in every third run (RFC 5723), on one side or both. Drawn apart.
void make_tickets(WorldOptions& world, std::uint64_t seed) {
  SeededRandom random(seed ^ 0x5723);
  if (!one_in(3, random)) return;
  for (model::ConnectionConfig& connection : world.connections)
    if (!one_in(5, random)) connection.life.resumption = between(minutes(1), minutes(10), random);
}

// Puzzles for everybody in some runs, light ones (RFC 8019). Drawn apart.
void make_puzzles(WorldOptions& world, std::uint64_t seed) {
  SeededRandom random(seed ^ 0x8019);
  for (ike::EndpointSettings& settings : world.ike) {
    if (!one_in(20, random)) continue;
    settings.cookie_threshold = 0;
    settings.puzzle_threshold = 0;
    settings.puzzle_bits = 8;
  }
}

// Windows of several IKE requests in every third run, each side its own (RFC 7296 2.3). Drawn apart.
void make_windows(WorldOptions& world, std::uint64_t seed) {
  SeededRandom random(seed ^ 0x23);
  if (!one_in(3, random)) return;
  for (model::ConnectionConfig& connection : world.connections)
    connection.ike_window = 1 + static_cast<std::uint32_t>(random.below(8));
}

// Several authentications one behind the other in every fourth run, each under a name of its own (RFC 4739). Drawn
// apart.
void make_rounds(WorldOptions& world, std::uint64_t seed) {
  SeededRandom random(seed ^ 0x4739);
  if (!one_in(4, random)) return;
  for (const Side side : {Side::alice, Side::bob}) {
    for (std::uint64_t round = random.below(3); round > 0; --round) {
      const model::AuthRound made{.by = model::Authentication::shared_key,
                                  .id = model::Identity::parse(fmt::format("round{}.example", round))};
      world.connections[index_of(side)].own_rounds.push_back(made);
      world.connections[index_of(other(side))].peer_rounds.push_back(made);
    }
  }
}

// Hosts that move in every second run without a NAT, most of them with MOBIKE at both ends (RFC 4555). Drawn apart.
void make_moves(SeedProfile& profile, std::uint64_t seed) {
  SeededRandom random(seed ^ 0x4555);
  for (model::ConnectionConfig& connection : profile.world.connections) connection.mobike = !one_in(8, random);
  if (profile.world.nat || one_in(2, random)) return;
  profile.moves = static_cast<unsigned>(1 + random.below(6));
}

// A PPK in every third run, in IKE_INTERMEDIATE (RFC 9867) or in IKE_AUTH (RFC 8784): insisted on, or left out where
// one side has none or another. Drawn apart.
void make_ppks(WorldOptions& world, std::uint64_t seed) {
  using enum model::PpkExchange;
  SeededRandom random(seed ^ 0x9867);
  if (!one_in(3, random)) return;
  const bool rounds = !world.connections[0].own_rounds.empty() || !world.connections[1].own_rounds.empty();
  const bool common = !one_in(4, random);
  // Several rounds have it in IKE_INTERMEDIATE alone, as the configuration demands.
  constexpr std::array kEarly{either, intermediate, draft};
  constexpr std::array kLate{either, ike_auth, draft};
  const bool early = one_in(2, random);
  for (const Side side : {Side::alice, Side::bob}) {
    model::Ppk ppk{.id = common ? "sim" : std::string(name_of(side)),
                   .required = common && one_in(2, random),
                   .exchange = pick(early ? kEarly : kLate, random)};
    if (rounds) ppk.exchange = intermediate;
    if (common || !one_in(3, random)) world.connections[index_of(side)].ppk = std::move(ppk);
  }
}

}  // namespace

SeedProfile make_profile(std::uint64_t seed, SeededRandom& random, bool log) {
  SeedProfile profile;
  WorldOptions& world = profile.world;
  world = two_hosts();
  world.seed = seed;
  world.log = log;
  world.outer = one_in(4, random) ? net::Family::v6 : net::Family::v4;
  world.inner = one_in(4, random) ? net::Family::v6 : net::Family::v4;
  const char* ike = pick(kIkeSuites, random);
  const char* esp = pick(kEspSuites, random);
  set_suites(world, ike, esp);
  for (LinkConditions& link : world.links) link = make_link(random);
  if (world.outer == net::Family::v4 && one_in(3, random)) world.nat = one_in(2, random) ? Side::alice : Side::bob;
  make_starts(world, random);
  profile.nat_may_change_address = world.nat && world.peer_kinds[index_of(other(*world.nat))] == config::PeerKind::any;
  const bool same_lifetimes = one_in(2, random);  // makes simultaneous rekeys likely
  make_lifetimes(world.connections[0], random);
  if (same_lifetimes) {
    model::ConnectionConfig bob = world.connections[1];
    world.connections[1] = world.connections[0];
    world.connections[1].start = bob.start;
    world.connections[1].local = bob.local;
    world.connections[1].remote = bob.remote;
    world.connections[1].local_id = bob.local_id;
    world.connections[1].remote_id = bob.remote_id;
  } else {
    make_lifetimes(world.connections[1], random);
  }
  // Each rekey of a pair takes several exchanges then, one after the other: there must be time for those of all pairs.
  if (std::string_view(esp).find("-ke1") != std::string_view::npos) {
    for (model::ConnectionConfig& connection : world.connections) {
      Duration& lifetime = *connection.child_lifetime.time;
      lifetime = std::max<Duration>(lifetime, seconds(60));
    }
  }
  const auto encapsulation = one_in(4, random) ? model::EncapsulationPolicy::esp : model::EncapsulationPolicy::udp;
  for (model::ConnectionConfig& connection : world.connections) connection.encapsulation = encapsulation;
  for (Duration& delay : world.answer_delays)
    delay = one_in(2, random) ? Duration{} : between(milliseconds(0), milliseconds(60), random);
  for (Duration& spread : world.answer_spreads)
    spread = one_in(2, random) ? Duration{} : between(milliseconds(1), milliseconds(400), random);
  profile.patience = seconds(75);
  const bool impatient = !one_in(4, random);  // other than the defaults: 15 s in all, which makes for shorter runs
  if (impatient) profile.patience = seconds(20);
  for (ike::EndpointSettings& settings : world.ike) {
    if (one_in(10, random)) settings.cookie_threshold = 0;  // cookies for everybody
    if (!impatient) continue;
    settings.retransmit_first = milliseconds(300);
    settings.retransmit_factor = 1.4;
    settings.retransmit_tries = 9;
  }
  for (Traffic& traffic : profile.traffic) {
    traffic.mean_distance = between(milliseconds(80), milliseconds(800), random);
    traffic.largest_payload = one_in(4, random) ? 1300 : 120;
  }
  profile.duration = between(seconds(20), seconds(90), random);
  profile.actions = static_cast<unsigned>(random.below(10));
  make_workers(world, seed);
  make_fragments(world, seed);
  make_tickets(world, seed);
  make_puzzles(world, seed);
  make_windows(world, seed);
  make_rounds(world, seed);
  make_moves(profile, seed);
  make_ppks(world, seed);
  profile.text = fmt::format(
      "ike {}, esp {}, outer {}, inner {}, NAT {}, loss {} and {} ppm, duplicates {} and {}, child lifetime {} and {} "
      "s, ike lifetime {} and "
      "{} s, start {} and {}, {} and {} workers, {} and {} rounds, {} actions in {} s",
      ike, esp, world.outer == net::Family::v4 ? "IPv4" : "IPv6", world.inner == net::Family::v4 ? "IPv4" : "IPv6",
      world.nat ? name_of(*world.nat) : "none", world.links[0].loss_ppm, world.links[1].loss_ppm,
      world.links[0].duplicate_ppm, world.links[1].duplicate_ppm,
      world.connections[0].child_lifetime.time->count() / 1'000'000'000,
      world.connections[1].child_lifetime.time->count() / 1'000'000'000,
      world.connections[0].ike_lifetime.count() / 1'000'000'000,
      world.connections[1].ike_lifetime.count() / 1'000'000'000, static_cast<int>(world.connections[0].start),
      static_cast<int>(world.connections[1].start), world.ike[0].resources, world.ike[1].resources,
      world.connections[0].own_rounds.size() + 1, world.connections[1].own_rounds.size() + 1, profile.actions,
      profile.duration.count() / 1'000'000'000);
  return profile;
}

}  // namespace culvert::sim
