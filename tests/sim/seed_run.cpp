#include "tests/sim/seed_run.hpp"

#include <fmt/format.h>

#include "base/random.hpp"
#include "tests/sim/seed_profile.hpp"
#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// An attempt that finds nobody gives up after about a minute, and the next begins at most a minute later; then a third
// of that again.
constexpr Duration kCalmAtMost = seconds(300);
constexpr Duration kWatched = seconds(30);
constexpr Duration kLinger = seconds(8);  // longer than any packet is under way or any SA lingers

class SeedRun {
 public:
  SeedRun(std::uint64_t seed, bool log)
      : random_(seed), moves_(seed ^ 0x4555), profile_(make_profile(seed, random_, log)), world_(profile_.world) {
    world_.log().line("seed {}: {}", seed, profile_.text);
  }

  SeedResult run() {
    const bool ok = disturbance() && calm() && watch() && farewell();
    SeedResult result;
    result.ok = ok;
    if (!ok) result.report = failure_.empty() ? world_.report() : failure_ + "\n" + world_.report();
    for (const std::string& line : world_.log().lines()) result.log += line + "\n";
    result.digest = world_.monitor().run_digest();
    for (const Side side : {Side::alice, Side::bob}) {
      const Ledger::Totals totals = world_.ledger().totals(side);
      result.digest = result.digest * 31 + totals.delivered * 7 + totals.lost_by_network;
    }
    result.packets = world_.monitor().packets();
    result.child_rekeys = world_.monitor().requests()[2];
    return result;
  }

 private:
  bool fail(std::string text) {
    if (failure_.empty()) failure_ = fmt::format("{} ({})", text, profile_.text);
    return false;
  }
  Side any_side() { return static_cast<Side>(random_.below(2)); }
  Duration up_to(Duration bound) { return Duration(random_.below(static_cast<std::uint64_t>(bound.count()))); }

  // ---------------------------------------------------------------- what happens

  bool disturbance() {
    // Now and then both boot in the same instant: simultaneous set-up.
    const Side first = any_side();
    world_.start(first);
    const Duration second_boots = random_.below(3) == 0 ? Duration{} : up_to(seconds(5));
    world_.queue().after(second_boots, [this, second = other(first)] {
      if (!world_.host(second).running()) world_.start(second);
    });
    for (const Side side : {Side::alice, Side::bob}) world_.set_traffic(side, profile_.traffic[index_of(side)]);
    for (unsigned i = 0; i < profile_.actions; ++i) {
      world_.queue().after(seconds(2) + up_to(profile_.duration), [this] { act(); });
    }
    for (unsigned i = 0; i < profile_.moves; ++i)
      world_.queue().after(seconds(2) + up_to(profile_.duration), [this] { move(); });
    return world_.run_for(profile_.duration + seconds(2));
  }

  void act() {
    const Side side = any_side();
    SimHost& host = world_.host(side);
    switch (random_.below(15)) {
      case 0: return host.up();
      case 1: return host.down();
      case 2: return host.rekey(false, true);
      case 3: return host.rekey(true, false);
      case 4: return host.rekey(true, true);
      case 5: return both_rekey(false, true);
      case 6: return both_rekey(true, false);
      case 7: return both_rekey(true, true);
      case 8: return delete_children(side);
      case 9: return delete_children_of_both();
      case 10: return restart_tunnel(host);
      case 11: return reboot(side);
      case 12: return rebind();
      case 13: return cut();
      case 14: return silence();
    }
  }

  // Both ends within a moment of each other, so that requests cross on the way.
  void both_rekey(bool ike_sas, bool child_sas) {
    const bool swapped = random_.below(4) == 0;  // one end rekeys the IKE SA, the other its child
    world_.host(Side::alice).rekey(ike_sas, child_sas);
    world_.queue().after(up_to(milliseconds(150)), [this, ike_sas, child_sas, swapped] {
      world_.host(Side::bob).rekey(swapped ? child_sas : ike_sas, swapped ? ike_sas : child_sas);
    });
  }

  void delete_children(Side side) {
    if (!world_.host(side).running()) return;
    for (const control::IkeSaView& sa : world_.host(side).view().ike_sas) {
      for (const control::ChildSaView& child : sa.children) world_.host(side).ike_command(ike::DeleteChildSa{child.id});
    }
  }
  void delete_children_of_both() {
    delete_children(Side::alice);
    world_.queue().after(up_to(milliseconds(100)), [this] { delete_children(Side::bob); });
  }

  void restart_tunnel(SimHost& host) {
    host.down();
    host.up();
  }

  void reboot(Side side) {
    if (random_.below(3) == 0) {
      world_.host(side).shut_down();
    } else {
      world_.host(side).crash();
    }
    world_.queue().after(up_to(seconds(8)), [this, side] {
      if (!world_.host(side).running()) world_.start(side);
    });
  }

  void rebind() {
    if (!profile_.world.nat) return;
    Nat* nat = world_.network().nat(*profile_.world.nat);
    world_.log().line("the NAT forgets its mappings");
    if (profile_.nat_may_change_address && random_.below(2) == 0) {
      nat->rebind(*net::IpAddress::v4({203, 0, 113, static_cast<std::uint8_t>(1 + random_.below(200))}).next());
    } else {
      nat->rebind();
    }
  }

  void cut() {
    const Side side = any_side();
    const bool both = random_.below(2) == 0;
    world_.log().line("link cut from {}{}", name_of(side), both ? " and back" : "");
    world_.network().set_cut(side, true);
    if (both) world_.network().set_cut(other(side), true);
    world_.queue().after(up_to(random_.below(4) == 0 ? seconds(60) : seconds(8)), [this] {
      for (const Side each : {Side::alice, Side::bob}) world_.network().set_cut(each, false);
      world_.log().line("link whole again");
    });
  }

  // A host gets another address, or a second one, or comes home; perhaps again at once (RFC 4555).
  void move() {
    if (home_) return;
    const Side side = moves_.below(4) == 0 ? Side::bob : Side::alice;
    std::vector<net::IpAddress> addresses{world_.outer_address(side, static_cast<unsigned>(moves_.below(3)))};
    if (moves_.below(3) == 0) {
      const auto second = world_.outer_address(side, static_cast<unsigned>(moves_.below(3)));
      if (second != addresses[0]) addresses.push_back(second);
    }
    world_.host(side).set_addresses(std::move(addresses));
    if (moves_.below(4) == 0) world_.queue().after(Duration(moves_.below(200'000'000)), [this] { move(); });
  }

  // No traffic for a while: only liveness checks and keepalives.
  void silence() {
    for (const Side side : {Side::alice, Side::bob}) world_.set_traffic(side, std::nullopt);
    world_.queue().after(up_to(seconds(20)), [this] {
      for (const Side side : {Side::alice, Side::bob}) world_.set_traffic(side, profile_.traffic[index_of(side)]);
    });
  }

  // ---------------------------------------------------------------- what must be true

  // Of two that move at once neither can know where the other is: what stood between them has to be given up first.
  bool come_home() {
    world_.log().line("everybody comes home");
    home_ = true;
    for (const Side side : {Side::alice, Side::bob}) {
      world_.network().set_cut(side, false);
      world_.host(side).set_addresses({world_.outer_address(side)});
      if (!world_.host(side).running()) world_.start(side);
    }
    return world_.run_for(2 * profile_.patience);
  }

  // The network is good and everybody wants the tunnel: it must come up, once.
  bool calm() {
    if (profile_.moves > 0 && !come_home()) return false;
    world_.log().line("calm begins");
    for (const Side side : {Side::alice, Side::bob}) {
      LinkConditions& link = world_.network().conditions(side);
      link.loss_ppm = link.duplicate_ppm = link.late_ppm = 0;
      world_.network().set_cut(side, false);
      if (!world_.host(side).running()) world_.start(side);
      world_.host(side).up();
      world_.set_traffic(side, profile_.traffic[index_of(side)]);
    }
    if (!comes_up()) return false;
    // A request that was sent in bad times holds others up until it is repeated or given up.
    return world_.run_for(profile_.patience) && comes_up();
  }
  bool comes_up() {
    if (world_.run_until([this] { return world_.settled(); }, kCalmAtMost)) return true;
    return world_.log().failed() ? false : fail("the tunnel did not come up again: " + world_.amiss().value_or(""));
  }

  // From here on nothing may be lost, whatever is rekeyed meanwhile.
  bool watch() {
    world_.log().line("watch begins");
    const std::array<std::size_t, 2> first{world_.ledger().count(Side::alice), world_.ledger().count(Side::bob)};
    if (!world_.run_for(kWatched)) return false;
    for (const Side side : {Side::alice, Side::bob}) world_.set_traffic(side, std::nullopt);
    if (!world_.run_for(kLinger)) return false;
    for (const Side side : {Side::alice, Side::bob}) {
      const Ledger::Totals totals = world_.ledger().totals(side, first[index_of(side)]);
      if (totals.delivered == totals.made && totals.made > 0) continue;
      const auto lost = world_.ledger().lost_by_us(side, first[index_of(side)]);
      return fail(
          fmt::format("of {} packets from {}, sent while the network lost none, {} were delivered, {} dropped by the "
                      "network, {} never "
                      "sent; the first lost one is {:x}",
                      totals.made, name_of(side), totals.delivered, totals.lost_by_network, totals.never_sent,
                      lost.empty() ? 0 : lost.front()));
    }
    if (world_.run_until([this] { return world_.settled(); }, seconds(60))) return true;
    return world_.log().failed() ? false : fail("the tunnel did not stay as it should: " + world_.amiss().value_or(""));
  }

  // When both take it down nothing is left.
  bool farewell() {
    world_.log().line("farewell begins");
    for (const Side side : {Side::alice, Side::bob}) world_.host(side).down();
    if (world_.run_until([this] { return empty(); }, seconds(60))) return true;
    if (world_.log().failed()) return false;
    std::string text = "something is left after the tunnel was taken down:";
    for (const Side side : {Side::alice, Side::bob}) {
      const SimHost& host = world_.host(side);
      text += fmt::format(" {} has {} IKE SAs, {} Child SA pairs, {} SPIs;", name_of(side), host.view().ike_sas.size(),
                          host.data_plane().sa_count(), host.data_plane().spis_in_use());
    }
    return fail(std::move(text));
  }
  [[nodiscard]] bool empty() const {
    for (const Side side : {Side::alice, Side::bob}) {
      const SimHost& host = world_.host(side);
      if (!host.view().ike_sas.empty() || host.data_plane().sa_count() != 0 || host.data_plane().spis_in_use() != 0)
        return false;
      if (host.ike_counters().half_open != 0) return false;
    }
    return true;
  }

  SeededRandom random_;
  SeededRandom moves_;
  SeedProfile profile_;
  World world_;
  std::string failure_;
  bool home_ = false;
};

}  // namespace

SeedResult run_seed(std::uint64_t seed, bool log) { return SeedRun(seed, log).run(); }

}  // namespace culvert::sim
