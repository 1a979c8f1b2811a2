// FetchPool: the threads that wait for servers of others: OCSP responders, revocation lists, certificates by URL. Apart
// from WorkPool, whose threads never wait; each fetch has bounds in time and size, so a slow server holds one thread
// for seconds at the most.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "ike/v2/revocation_check.hpp"
#include "io/event_fd.hpp"

namespace culvert::daemon {

inline constexpr std::size_t kFetchedListLimit = std::size_t{8} * 1024 * 1024;  // octets

/// What a fetch is known by: equal ones need be made only once.
[[nodiscard]] std::string name_of(const ike::v2::FetchWish& wish);

/// All calls are for one thread, the loop's. The destructor gives up what is under way.
class FetchPool {
 public:
  struct Answer {
    std::string name;
    ike::v2::FetchWish wish;
    std::shared_ptr<const ike::v2::Fetched> fetched;
  };
  /// `folder`: where lists are kept from one start to the next; it is made when it is needed.
  [[nodiscard]] static Result<std::unique_ptr<FetchPool>, std::string> open(std::filesystem::path folder);
  ~FetchPool();
  FetchPool(const FetchPool&) = delete;
  FetchPool& operator=(const FetchPool&) = delete;

  void submit(ike::v2::FetchWish wish);

  /// Readable when there may be answers: call handle_wakeup, then poll_answer until it has none.
  [[nodiscard]] int wakeup_fd() const { return ready_.fd(); }
  void handle_wakeup() const { ready_.drain(); }
  [[nodiscard]] std::optional<Answer> poll_answer();

 private:
  FetchPool(std::filesystem::path folder, io::EventFd ready) : folder_(std::move(folder)), ready_(std::move(ready)) {}
  void begin_thread();
  void run(const std::stop_token& stop);
  [[nodiscard]] ike::v2::Fetched carry_out(const ike::v2::FetchWish& wish, const std::stop_token& stop) const;
  [[nodiscard]] ike::v2::Fetched fetch_list(const ike::v2::FetchWish& wish, const std::stop_token& stop) const;

  const std::filesystem::path folder_;
  io::EventFd ready_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  // Under the mutex.
  std::deque<ike::v2::FetchWish> wishes_;
  std::deque<Answer> answers_;
  std::size_t waiting_threads_ = 0;

  std::vector<std::jthread> threads_;
};

}  // namespace culvert::daemon
