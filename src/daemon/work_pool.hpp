// WorkPool: the threads on which IKE's requests are computed (signatures, certificates, key exchanges), so that the
// loop goes on meanwhile and set-ups spread over the CPUs.
//
// What it is given computes and never waits for anybody: work that waits, for a server's answer say, would keep a
// thread from all others.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "ike/face.hpp"
#include "io/event_fd.hpp"

namespace culvert::daemon {

/// As many as there are CPUs, four at the most.
[[nodiscard]] unsigned usual_work_threads();

/// All calls are for one thread, the loop's. The destructor drops what has not begun, with the secrets in it, and waits
/// for what has; no answer comes of either.
class WorkPool {
 public:
  using Work = std::move_only_function<ike::Completion()>;
  struct Answer {
    ike::RequestToken token;
    ike::Completion completion;
  };

  /// Of at most `threads` threads, at least one; each is begun when there is work that no other is free for.
  [[nodiscard]] static Result<std::unique_ptr<WorkPool>, std::string> open(unsigned threads);
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  /// Begun in the order of submission, finished in any. Must own, or share, all that it uses.
  void submit(ike::RequestToken token, Work work);
  /// Nothing is queued, running, or finished and not taken.
  [[nodiscard]] bool is_idle() const { return outstanding_ == 0; }

  /// Readable when there may be answers: call handle_wakeup, then poll_answer until it has none.
  [[nodiscard]] int wakeup_fd() const { return ready_.fd(); }
  void handle_wakeup() const { ready_.drain(); }
  [[nodiscard]] std::optional<Answer> poll_answer();

  [[nodiscard]] std::size_t thread_count() const { return threads_.size(); }

 private:
  struct Task {
    ike::RequestToken token;
    Work work;
  };
  WorkPool(unsigned threads, io::EventFd ready) : most_threads_(threads), ready_(std::move(ready)) {}
  void begin_thread();
  void run();

  const unsigned most_threads_;
  io::EventFd ready_;
  // The loop's own.
  std::size_t outstanding_ = 0;
  std::deque<Answer> taken_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Under the mutex.
  std::deque<Task> tasks_;
  std::deque<Answer> answers_;
  std::size_t waiting_threads_ = 0;
  bool ending_ = false;

  std::vector<std::jthread> threads_;
};

}  // namespace culvert::daemon
