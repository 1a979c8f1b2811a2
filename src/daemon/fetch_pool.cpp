#include "daemon/fetch_pool.hpp"

#include <csignal>
#include <fstream>
#include <utility>

#include <pthread.h>

#include <fmt/format.h>

#include "crypto/prf.hpp"
#include "io/clock.hpp"
#include "io/http_fetch.hpp"

namespace culvert::daemon {
namespace {

using ike::v2::Fetched;
using ike::v2::FetchWish;
using namespace std::chrono_literals;

// Each waits for one server. Ten that never answer leave some for the others.
constexpr std::size_t kMostThreads = 24;
constexpr auto kPatience = 4s;
constexpr auto kPatienceForLists = 6s;

std::filesystem::path file_of(const std::filesystem::path& folder, const std::string& url) {
  return folder / (to_hex(crypto::hash(crypto::HashId::sha2_256, {as_bytes(url)})) + ".crl");
}

std::optional<crypto::RevocationList> parse_list(ByteView content) {
  auto lists = crypto::RevocationList::from_file_content(content);
  if (!lists || lists->size() != 1) return std::nullopt;
  return std::move(lists->front());
}

/// One that was kept and is still good by its date. Who signed it is judged where it is used, like that of a new one.
std::optional<crypto::RevocationList> kept_list(const std::filesystem::path& path, crypto::CalendarTime now) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size == 0 || size > kFetchedListLimit) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  Bytes content(size);
  in.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(size));
  if (in.gcount() != static_cast<std::streamsize>(size)) return std::nullopt;
  auto list = parse_list(content);
  const auto next = list ? list->next_update() : std::nullopt;
  return next && *next > now ? std::move(list) : std::nullopt;
}

/// Keeps it for the next start; that it may fail costs a fetch then.
void keep_list(const std::filesystem::path& folder, const std::filesystem::path& path, const Bytes& content) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::filesystem::path fresh = path.string() + ".new";
  {
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    if (!out.flush()) return;
  }
  std::filesystem::rename(fresh, path, error);
}

}  // namespace

std::string name_of(const FetchWish& wish) {
  return wish.kind == FetchWish::Kind::ocsp   ? "ocsp " + wish.url + " " + to_hex(wish.key)
         : wish.kind == FetchWish::Kind::list ? (wish.anew ? "new list " : "list ") + wish.url
                                              : "certificate " + wish.url;
}

Result<std::unique_ptr<FetchPool>, std::string> FetchPool::open(std::filesystem::path folder) {
  auto ready = io::EventFd::open();
  if (!ready) return err(std::move(ready.error().text));
  return std::unique_ptr<FetchPool>(new FetchPool(std::move(folder), std::move(*ready)));
}

FetchPool::~FetchPool() {
  for (std::jthread& thread : threads_) thread.request_stop();
  changed_.notify_all();
  threads_.clear();  // joins them
}

void FetchPool::submit(FetchWish wish) {
  bool all_busy = false;
  {
    const std::lock_guard lock(mutex_);
    wishes_.push_back(std::move(wish));
    all_busy = wishes_.size() > waiting_threads_;
  }
  if (all_busy && threads_.size() < kMostThreads) begin_thread();
  changed_.notify_one();
}

void FetchPool::begin_thread() {
  // Signals are for the loop.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  const bool masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
  if (masked) (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
  (void)pthread_setname_np(threads_.back().native_handle(), "culvert-fetch");
}

void FetchPool::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++waiting_threads_;
    const bool more = changed_.wait(lock, stop, [this] { return !wishes_.empty(); });
    --waiting_threads_;
    if (!more || stop.stop_requested()) return;
    FetchWish wish = std::move(wishes_.front());
    wishes_.pop_front();
    lock.unlock();
    auto fetched = std::make_shared<const Fetched>(carry_out(wish, stop));
    std::string name = name_of(wish);
    lock.lock();
    const bool first = answers_.empty();
    answers_.push_back({.name = std::move(name), .wish = std::move(wish), .fetched = std::move(fetched)});
    if (first) ready_.signal();
  }
}

Fetched FetchPool::carry_out(const FetchWish& wish, const std::stop_token& stop) const {
  if (wish.kind == FetchWish::Kind::list) return fetch_list(wish, stop);
  const bool ocsp = wish.kind == FetchWish::Kind::ocsp;
  auto content = io::fetch({.url = wish.url,
                            .body = wish.question,
                            .content_type = ocsp ? "application/ocsp-request" : "",
                            .limit = ocsp ? crypto::kOcspLimit : crypto::kCertificateLimit,
                            .within = wish.within,
                            .may_be_near = wish.may_be_near},
                           kPatience, stop);
  Fetched made{
      .at = io::wall_clock().seconds, .url = wish.url, .fault = {}, .octets = {}, .nonce = wish.nonce, .list = {}};
  if (content) {
    made.octets = std::move(*content);
  } else {
    made.fault = std::move(content.error());
  }
  return made;
}

Fetched FetchPool::fetch_list(const FetchWish& wish, const std::stop_token& stop) const {
  const std::filesystem::path path = file_of(folder_, wish.url);
  Fetched made{.at = io::wall_clock().seconds, .url = wish.url, .fault = {}, .octets = {}, .nonce = {}, .list = {}};
  if (!wish.anew) made.list = kept_list(path, made.at);
  made.kept = made.list.has_value();
  if (made.kept) return made;
  auto content = io::fetch({.url = wish.url, .limit = kFetchedListLimit, .may_be_near = wish.may_be_near},
                           kPatienceForLists, stop);
  made.at = io::wall_clock().seconds;
  if (!content) {
    made.fault = std::move(content.error());
    return made;
  }
  made.list = parse_list(*content);
  if (made.list) {
    keep_list(folder_, path, *content);
  } else {
    made.fault = "what is there is no revocation list";
  }
  return made;
}

std::optional<FetchPool::Answer> FetchPool::poll_answer() {
  const std::lock_guard lock(mutex_);
  if (answers_.empty()) return std::nullopt;
  std::optional<Answer> answer(std::move(answers_.front()));
  answers_.pop_front();
  return answer;
}

}  // namespace culvert::daemon
