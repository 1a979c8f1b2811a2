// Accounting (RFC 2866): what is told of sessions, and the queue of what the servers have not acknowledged yet. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "model/aaa.hpp"
#include "radius/client.hpp"
#include "radius/conversation.hpp"

namespace culvert::radius {

/// `wall_clock` in seconds since 1970, when it happened; `delay` since then (RFC 2866 5.2).
[[nodiscard]] PacketBuilder accounting_request(const model::SessionRecord& record, const Nas& nas,
                                               std::int64_t wall_clock, Duration delay);
/// That all sessions of before are gone: we have just begun (RFC 2866 5.1).
[[nodiscard]] PacketBuilder accounting_on(const Nas& nas, std::int64_t wall_clock);

class Accounting {
 public:
  /// Records that wait; of more the oldest are lost, interim ones first.
  static constexpr std::size_t kMost = 4096;
  static constexpr std::size_t kMostUnderWay = 64;
  static constexpr Duration kRetry = std::chrono::seconds(30);
  /// Attempts, each through all servers, until a record is given up.
  static constexpr unsigned kAttempts = 20;

  /// Both must outlive it.
  Accounting(const Nas& nas, Client& client) : nas_(nas), client_(client) {}

  void add(model::SessionRecord record, std::int64_t wall_clock, Instant now);
  /// Takes an outcome of the client's. A sentence for the log where one is due.
  [[nodiscard]] std::optional<std::string> handle(const Client::Outcome& outcome, Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> poll_timeout() const;
  /// Everything that waits goes out now, whatever becomes of it: the daemon ends.
  void flush(Instant now);
  [[nodiscard]] std::size_t waiting() const { return waiting_.size() + under_way_.size(); }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  struct Entry {
    model::SessionRecord record;
    std::int64_t wall_clock = 0;
    Instant happened;
    Instant due;
    unsigned attempts = 0;
  };
  void send(Instant now, std::size_t most);
  [[nodiscard]] static std::string describe(const model::SessionRecord& record);

  const Nas& nas_;
  Client& client_;
  std::deque<Entry> waiting_;
  std::map<ExchangeId, Entry> under_way_;
  bool failing_ = false;
  std::uint64_t lost_ = 0;
};

}  // namespace culvert::radius
