// ManualSas: SA pairs whose keys somebody wrote down (RFC 4301 4.4.2; RFC 9061's IKE-less case), beside those of IKE.
// Before an SA may send, its sequence numbers are reserved in a ledger that outlives the daemon: the AEADs' nonces are
// these numbers, and a key that is written down meets them again after every restart.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "config/config.hpp"
#include "control/outputs.hpp"
#include "control/spd_list.hpp"
#include "control/view.hpp"
#include "ipsec/data_plane.hpp"

namespace culvert::control {

class ManualSas {
 public:
  /// All three must outlive it. `block` is how many sequence numbers are reserved at a time.
  ManualSas(ipsec::DataPlane& data_plane, std::deque<Request>& requests, std::deque<Notice>& notices,
            std::uint64_t block, bool export_keys = false);

  /// Takes an entry in and begins to set it up. `from_file` entries are replaced by `apply` only. The error is a
  /// sentence: a name, an SPI or a key that another entry has.
  [[nodiscard]] Result<void, std::string> add(config::ManualConfig entry, bool from_file,
                                              model::ConnectionId connection, Instant now);
  /// Ends the SAs of the entry at once.
  void remove(std::string_view name);

  void handle_reservation(model::ChildSaId child, const Result<SequenceReservation, std::string>& reservation,
                          Instant now);
  void grant_wanted(model::ChildSaId child, Instant now);
  /// The data plane's limit of bytes, packets or sequence numbers.
  void expired(model::ChildSaId child, bool hard);
  /// The data plane could not set up what it had taken.
  void refused(model::ChildSaId child, ipsec::DataPlaneError error);
  void handle_time(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  [[nodiscard]] bool owns(model::ChildSaId child) const { return by_child(child) != nullptr; }
  [[nodiscard]] bool has(std::string_view name) const { return entries_.contains(name); }
  /// True when the entry stands in a file; false for a command's.
  [[nodiscard]] bool from_file(std::string_view name) const;
  [[nodiscard]] std::vector<Guarded> guards() const;
  [[nodiscard]] std::vector<ManualView> views() const;

 private:
  struct Entry {
    config::ManualConfig config;  // without its keys once the SAs are installed
    bool from_file = false;
    std::uint64_t order = 0;
    model::ConnectionId connection;
    model::ChildSaId child;
    Bytes out_print;  // fingerprints of the keys
    Bytes in_print;
    bool counts = false;  // its nonces must not repeat
    ManualState state = ManualState::waiting;
    std::string reason;
    bool spi_reserved = false;
    bool asked = false;  // a reservation is under way
    bool warned = false;
    std::uint64_t granted = 0;
    Instant established;
    std::optional<Instant> retry_at;
    Duration retry_delay = Duration::zero();
    std::optional<Instant> soft_at;
    std::optional<Instant> hard_at;
  };

  void begin(Entry& entry, Instant now);
  void ask(Entry& entry);
  void install(Entry& entry, const SequenceReservation& reservation, Instant now);
  void take_down(Entry& entry);
  void end(Entry& entry, std::string reason);
  void retry_later(Entry& entry, Instant now, std::string reason);
  void notice(Notice::Level level, const Entry& entry, std::string text);
  [[nodiscard]] std::optional<std::string> clash(const config::ManualConfig& wanted, const Bytes& out_print,
                                                 const Bytes& in_print, bool counts) const;
  [[nodiscard]] const Entry* by_child(model::ChildSaId child) const;
  [[nodiscard]] Entry* by_child(model::ChildSaId child);

  ipsec::DataPlane& data_plane_;
  std::deque<Request>& requests_;
  std::deque<Notice>& notices_;
  std::uint64_t block_;
  bool export_keys_;
  std::uint64_t last_ = 0;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace culvert::control
