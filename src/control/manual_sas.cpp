#include "control/manual_sas.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/clone.hpp"
#include "config/manual_keys.hpp"
#include "crypto/prf.hpp"

namespace culvert::control {
namespace {

using Level = Notice::Level;

/// IKE counts its Child SAs from 1.
constexpr std::uint64_t kFirstChild = std::uint64_t{1} << 62;
constexpr Duration kFirstRetry = std::chrono::milliseconds(20);
constexpr Duration kLongestRetry = std::chrono::seconds(10);

/// One-way, and of no use for anything but to know the key again.
Bytes fingerprint(const model::EspSuite& suite, const model::SaKeys& keys) {
  const config::LedgerKey key = config::ledger_key(suite, keys);
  const std::uint8_t length = static_cast<std::uint8_t>(key.first.size());
  const SecretBytes print = crypto::hmac(crypto::HashId::sha2_256, as_bytes("culvert sequence ledger 1"),
                                         {ByteView(&length, 1), key.first, key.second});
  return {print.view().begin(), print.view().end()};
}

std::uint64_t last_number(const model::EspSuite& suite) {
  return suite.esn == model::EsnId::esn ? ~std::uint64_t{0} : 0xffff'ffffU;
}

std::string spi_text(model::Spi spi) { return fmt::format("0x{:x}", spi.value()); }

}  // namespace

ManualSas::ManualSas(ipsec::DataPlane& data_plane, std::deque<Request>& requests, std::deque<Notice>& notices,
                     std::uint64_t block, bool export_keys)
    : data_plane_(data_plane), requests_(requests), notices_(notices), block_(block), export_keys_(export_keys) {}

// ---------------------------------------------------------------- coming and going

std::optional<std::string> ManualSas::clash(const config::ManualConfig& wanted, const Bytes& out_print,
                                            const Bytes& in_print, bool counts) const {
  if (entries_.contains(wanted.name)) return fmt::format("there is a manual SA {} already", wanted.name);
  for (const auto& [name, entry] : entries_) {
    if (entry.config.sa.spi_inbound == wanted.sa.spi_inbound) {
      return fmt::format("the inbound SPI {} is that of the manual SA {}", spi_text(wanted.sa.spi_inbound), name);
    }
    if (!counts && !entry.counts) continue;
    // RFC 4106 2, RFC 3686 7: the same number twice under one key and salt gives the cipher away.
    if (entry.out_print == out_print) return fmt::format("the manual SA {} has the same outbound key", name);
    if (entry.out_print == in_print || entry.in_print == out_print)
      return fmt::format("the manual SA {} has the same key in the other direction", name);
  }
  return std::nullopt;
}

Result<void, std::string> ManualSas::add(config::ManualConfig wanted, bool from_file, model::ConnectionId connection,
                                         Instant now) {
  Bytes out_print = fingerprint(wanted.sa.suite, wanted.sa.outbound);
  Bytes in_print = fingerprint(wanted.sa.suite, wanted.sa.inbound);
  const bool counts = config::counts_nonces(wanted.sa.suite);
  if (auto problem = clash(wanted, out_print, in_print, counts)) return err(std::move(*problem));
  std::string name = wanted.name;
  Entry entry;
  entry.config = std::move(wanted);
  entry.from_file = from_file;
  entry.order = ++last_;
  entry.connection = connection;
  entry.child = model::ChildSaId(kFirstChild + last_);
  entry.out_print = std::move(out_print);
  entry.in_print = std::move(in_print);
  entry.counts = counts;
  const auto [added, fresh] = entries_.emplace(std::move(name), std::move(entry));
  begin(added->second, now);
  return {};
}

void ManualSas::remove(std::string_view name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  take_down(found->second);
  entries_.erase(found);
}

void ManualSas::take_down(Entry& entry) {
  if (entry.state == ManualState::up) {
    data_plane_.remove(entry.child, Duration::zero());
    notice(Level::info, entry, "manual SA removed");
  } else if (entry.spi_reserved) {
    data_plane_.release_spi(entry.config.sa.spi_inbound);
  }
  entry.spi_reserved = false;
}

void ManualSas::begin(Entry& entry, Instant now) {
  entry.retry_at.reset();
  if (!entry.spi_reserved) {
    // An SA that has just gone gives its SPI back a moment later.
    if (!data_plane_.reserve_spi(entry.config.sa.spi_inbound)) {
      return retry_later(entry, now,
                         fmt::format("the inbound SPI {} is in use by another SA; if it stays so, choose another",
                                     spi_text(entry.config.sa.spi_inbound)));
    }
    entry.spi_reserved = true;
  }
  entry.reason = "its sequence numbers are being reserved";
  ask(entry);
}

void ManualSas::ask(Entry& entry) {
  if (entry.asked) return;
  entry.asked = true;
  ReserveSequence request{.child = entry.child, .fingerprint = entry.out_print, .block = block_, .follows = {}};
  if (entry.state == ManualState::up) request.follows = entry.granted;
  request.last = last_number(entry.config.sa.suite);
  requests_.emplace_back(std::move(request));
}

void ManualSas::handle_reservation(model::ChildSaId child, const Result<SequenceReservation, std::string>& reservation,
                                   Instant now) {
  Entry* const entry = by_child(child);
  if (entry == nullptr || !std::exchange(entry->asked, false)) return;
  // It ended while the answer was on its way; why, it has said already.
  if (entry->state == ManualState::ended) return;
  if (entry->state == ManualState::up) {
    if (!reservation) return retry_later(*entry, now, reservation.error());
    entry->retry_delay = Duration::zero();
    entry->reason.clear();
    entry->granted = reservation->granted;
    return data_plane_.grant_sequence(child, reservation->granted);
  }
  if (reservation) return install(*entry, *reservation, now);
  if (entry->counts) {
    entry->state = ManualState::refused;
    return retry_later(*entry, now, reservation.error() + "; without it this suite must not send");
  }
  // No nonce depends on the number; all that suffers is the peer's replay protection.
  if (!std::exchange(entry->warned, true)) {
    notice(
        Level::warning, *entry,
        reservation.error() + "; sequence numbers begin at 1 with each start, and the peer may take them for replays");
  }
  install(*entry, {}, now);
}

void ManualSas::install(Entry& entry, const SequenceReservation& reservation, Instant now) {
  if (reservation.used >= last_number(entry.config.sa.suite)) {
    return end(entry,
               "all 32-bit sequence numbers of its key are used up: new keys are needed, or esn instead of noesn");
  }
  model::ChildSaParams& sa = entry.config.sa;
  sa.id = entry.child;
  sa.connection = entry.connection;
  sa.sequence_used = reservation.used;
  sa.sequence_granted = reservation.granted;
  model::ChildSaParams given;
  std::swap(given, sa);
  // What is shown stays, without the keys.
  config::copy_but_keys(given, sa);
  std::optional<ExportEspKeys> exported;
  // What AH protects can be read as it is.
  if (export_keys_ && given.protocol == model::ProtocolId::esp) exported = esp_keys_of(given);
  const auto installed = data_plane_.install(std::move(given));
  if (!installed) {
    entry.spi_reserved = false;
    return end(entry, fmt::format("the data plane refuses it: {}", ipsec::to_string(installed.error())));
  }
  if (exported) requests_.emplace_back(std::move(*exported));
  entry.state = ManualState::up;
  entry.reason.clear();
  entry.retry_delay = Duration::zero();
  entry.granted = reservation.granted;
  entry.established = now;
  if (sa.soft.time) entry.soft_at = now + *sa.soft.time;
  if (sa.hard.time) entry.hard_at = now + *sa.hard.time;
  notice(Level::info, entry,
         fmt::format("manual SA up: {} === {}, {}, SPI {} in, {} out, sequence numbers from {}",
                     model::to_string(sa.local), model::to_string(sa.remote), model::to_string(sa.suite, sa.protocol),
                     spi_text(sa.spi_inbound), spi_text(sa.spi_outbound), reservation.used + 1));
}

// ---------------------------------------------------------------- life

void ManualSas::grant_wanted(model::ChildSaId child, Instant now) {
  Entry* const entry = by_child(child);
  if (entry == nullptr || entry->state != ManualState::up) return;
  // RFC 4303 3.3.3: 32-bit numbers do not cycle; there is no more to grant.
  if (entry->granted >= last_number(entry->config.sa.suite)) return;
  if (!entry->retry_at || *entry->retry_at <= now) ask(*entry);
}

void ManualSas::expired(model::ChildSaId child, bool hard) {
  Entry* const entry = by_child(child);
  if (entry == nullptr || entry->state != ManualState::up) return;
  const auto counters = data_plane_.counters(child);
  const std::uint64_t last = last_number(entry->config.sa.suite);
  const bool numbers = counters && counters->outbound_sequence > last - last / 16;
  if (!hard) {
    return notice(Level::warning, *entry,
                  numbers ? "its sequence numbers run out: new keys are needed soon"
                          : "it nears its limit of bytes or packets: new keys are needed soon");
  }
  end(*entry, numbers ? "its sequence numbers are used up and never begin again: new keys are needed"
                      : "it reached its limit of bytes or packets: new keys are needed");
}

void ManualSas::refused(model::ChildSaId child, ipsec::DataPlaneError error) {
  Entry* const entry = by_child(child);
  if (entry == nullptr || entry->state != ManualState::up) return;
  end(*entry, fmt::format("the data plane could not set it up: {}", ipsec::to_string(error)));
}

void ManualSas::end(Entry& entry, std::string reason) {
  notice(Level::error, entry, "manual SA ended: " + reason);
  take_down(entry);
  entry.state = ManualState::ended;
  entry.reason = std::move(reason);
  entry.retry_at = entry.soft_at = entry.hard_at = std::nullopt;
  entry.config.sa.inbound = {};
  entry.config.sa.outbound = {};
}

void ManualSas::retry_later(Entry& entry, Instant now, std::string reason) {
  const bool said = entry.reason == reason;
  entry.retry_delay = std::clamp(entry.retry_delay * 2, kFirstRetry, kLongestRetry);
  entry.retry_at = now + entry.retry_delay;
  entry.reason = std::move(reason);
  // A moment's wait is no news.
  const bool passing = entry.retry_delay < std::chrono::seconds(1) && entry.state == ManualState::waiting;
  if (!passing && !std::exchange(entry.warned, said || entry.state != ManualState::waiting))
    notice(Level::error, entry, entry.reason);
}

void ManualSas::handle_time(Instant now) {
  for (auto& [name, entry] : entries_) {
    if (entry.retry_at && *entry.retry_at <= now) {
      entry.retry_at.reset();
      entry.state == ManualState::up ? ask(entry) : begin(entry, now);
    }
    if (entry.soft_at && *entry.soft_at <= now) {
      entry.soft_at.reset();
      notice(Level::warning, entry, "it nears the end of its time: new keys are needed soon");
    }
    if (entry.hard_at && *entry.hard_at <= now) end(entry, "its time is over: new keys are needed");
  }
}

std::optional<Instant> ManualSas::next_timeout() const {
  std::optional<Instant> next;
  for (const auto& [name, entry] : entries_)
    next = earliest(earliest(next, entry.retry_at), earliest(entry.soft_at, entry.hard_at));
  return next;
}

// ---------------------------------------------------------------- views

bool ManualSas::from_file(std::string_view name) const {
  const auto found = entries_.find(name);
  return found != entries_.end() && found->second.from_file;
}

std::vector<Guarded> ManualSas::guards() const {
  std::vector<const Entry*> sorted;
  for (const auto& [name, entry] : entries_) sorted.push_back(&entry);
  std::ranges::sort(sorted, {}, [](const Entry* entry) { return std::pair(!entry->from_file, entry->order); });
  std::vector<Guarded> guards;
  for (const Entry* entry : sorted) {
    guards.push_back({.connection = entry->connection,
                      .name = entry->config.name,
                      .place = entry->config.place.to_string(),
                      .origin = RuleOrigin::manual,
                      .own_rule = entry->config.policy,
                      .local = entry->config.sa.local,
                      .remote = entry->config.sa.remote,
                      .addresses = entry->config.addresses,
                      .inner_mtu = entry->config.inner_mtu,
                      .host_to_host = entry->config.sa.mode == model::Mode::transport ||
                                      between_outer_addresses(entry->config.sa.local, entry->config.sa.remote,
                                                              entry->config.sa.path.local.address,
                                                              entry->config.sa.path.remote.address)});
  }
  return guards;
}

std::vector<ManualView> ManualSas::views() const {
  std::vector<ManualView> views;
  for (const Guarded& guard : guards()) {
    const Entry& entry = entries_.find(guard.name)->second;
    const model::ChildSaParams& sa = entry.config.sa;
    ManualView& view = views.emplace_back();
    view.name = guard.name;
    view.place = guard.place;
    view.from_file = entry.from_file;
    view.state = entry.state;
    view.reason = entry.reason;
    view.protocol = sa.protocol;
    view.path = sa.path;
    view.own_rule = entry.config.policy;
    view.replay_window = sa.replay_window;
    view.ipcomp = sa.ipcomp;
    view.sequence_granted = entry.granted;
    view.child = ChildSaView{{.id = entry.child,
                              .spi_inbound = sa.spi_inbound,
                              .spi_outbound = sa.spi_outbound,
                              .suite = sa.suite,
                              .mode = sa.mode,
                              .encapsulation = sa.encapsulation,
                              .local = sa.local,
                              .remote = sa.remote,
                              .established = entry.established,
                              .rekey_at = entry.soft_at,
                              .expires_at = entry.hard_at},
                             {}};
    if (entry.state == ManualState::up)
      view.child.counters = data_plane_.counters(entry.child).value_or(ipsec::SaCounters{});
  }
  return views;
}

void ManualSas::notice(Notice::Level level, const Entry& entry, std::string text) {
  notices_.push_back({level, entry.config.name, std::move(text)});
}

const ManualSas::Entry* ManualSas::by_child(model::ChildSaId child) const {
  for (const auto& [name, entry] : entries_) {
    if (entry.child == child) return &entry;
  }
  return nullptr;
}

ManualSas::Entry* ManualSas::by_child(model::ChildSaId child) {
  return const_cast<Entry*>(std::as_const(*this).by_child(child));
}

}  // namespace culvert::control
