#include "daemon/work_pool.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include <pthread.h>

namespace culvert::daemon {

unsigned usual_work_threads() { return std::clamp(std::thread::hardware_concurrency(), 1U, 4U); }

Result<std::unique_ptr<WorkPool>, std::string> WorkPool::open(unsigned threads) {
  auto ready = io::EventFd::open();
  if (!ready) return err(std::move(ready.error().text));
  return std::unique_ptr<WorkPool>(new WorkPool(std::max(threads, 1U), std::move(*ready)));
}

WorkPool::~WorkPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    tasks_.clear();
  }
  changed_.notify_all();
  threads_.clear();  // joins them
}

void WorkPool::submit(ike::RequestToken token, Work work) {
  ++outstanding_;
  bool all_busy = false;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({.token = token, .work = std::move(work)});
    all_busy = tasks_.size() > waiting_threads_;
  }
  if (all_busy && threads_.size() < most_threads_) begin_thread();
  changed_.notify_one();
}

void WorkPool::begin_thread() {
  // Signals are for the loop.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  const bool masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  threads_.emplace_back([this] { run(); });
  if (masked) (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
  (void)pthread_setname_np(threads_.back().native_handle(), "culvert-work");
}

void WorkPool::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++waiting_threads_;
    changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
    --waiting_threads_;
    if (ending_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    Answer answer{.token = task.token, .completion = task.work()};
    task.work = nullptr;  // what it owned goes here, not under the lock
    lock.lock();
    const bool first = answers_.empty();
    answers_.push_back(std::move(answer));
    if (!first) continue;
    // Not under the lock, which the loop wants as soon as it wakes.
    lock.unlock();
    ready_.signal();
    lock.lock();
  }
}

std::optional<WorkPool::Answer> WorkPool::poll_answer() {
  if (taken_.empty()) {
    const std::lock_guard lock(mutex_);
    taken_.swap(answers_);
  }
  if (taken_.empty()) return std::nullopt;
  --outstanding_;
  std::optional<Answer> answer(std::move(taken_.front()));
  taken_.pop_front();
  return answer;
}

}  // namespace culvert::daemon
