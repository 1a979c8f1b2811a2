#include "daemon/proof_desk.hpp"

#include <utility>

#include <fmt/format.h>

#include "crypto/random.hpp"
#include "daemon/evidence_memory.hpp"
#include "io/clock.hpp"

namespace culvert::daemon {
namespace {

using ike::v2::Evidence;
using ike::v2::Fetched;
using ike::v2::FetchWish;
using namespace std::chrono_literals;

// The peer repeats its request meanwhile; it is gone after half a minute at the earliest.
constexpr auto kPatience = 12s;
// Our own proof is good without an OCSP response.
constexpr auto kPatienceForStaple = 3s;
constexpr std::size_t kMostWaiting = 512;  // requests that wait for fetches

/// With a response about our certificate behind it, if there is one.
ike::SignResult sign(const ike::SignRequest& request, const ike::v2::Credentials& credentials, Bytes response) {
  ike::SignResult result = carry_out(request, credentials);
  if (result.proof && !response.empty())
    result.proof->more.push_back({.encoding = model::CertificateEncoding::ocsp_content, .data = std::move(response)});
  return result;
}

}  // namespace

ProofDesk::ProofDesk(boost::asio::io_context& io, std::filesystem::path folder, Compute compute, Tell tell)
    : io_(io),
      folder_(std::move(folder)),
      compute_(std::move(compute)),
      tell_(std::move(tell)),
      evidence_(std::make_shared<const Evidence>()),
      ready_(io) {}

ProofDesk::~ProofDesk() {
  // The descriptor belongs to the pool.
  if (ready_.is_open()) ready_.release();
}

bool ProofDesk::concerns(const ike::VerifyRequest& request, const SharedCredentials& credentials) {
  return credentials && (credentials->revocation || !request.by_url.empty());
}

bool ProofDesk::concerns(const ike::SignRequest& request, const SharedCredentials& credentials) {
  return credentials && credentials->revocation && request.wishes.ocsp;
}

void ProofDesk::begin(ike::VerifyRequest request, SharedCredentials credentials) {
  const ike::RequestToken token = request.token;
  begin(token, std::make_shared<Check>(Check{.request = std::move(request), .credentials = std::move(credentials)}),
        kPatience);
}

void ProofDesk::begin(ike::SignRequest request, SharedCredentials credentials) {
  const ike::RequestToken token = request.token;
  begin(token, std::make_shared<Check>(Check{.request = std::move(request), .credentials = std::move(credentials)}),
        kPatienceForStaple);
}

void ProofDesk::begin(ike::RequestToken token, std::shared_ptr<Check> check, std::chrono::milliseconds patience) {
  check->last = waiting_.size() >= kMostWaiting;
  Waiting& waiting = waiting_[token];
  waiting.check = std::move(check);
  waiting.deadline = std::make_unique<boost::asio::steady_timer>(io_, patience);
  waiting.deadline->async_wait([this, token](const boost::system::error_code& error) {
    const auto found = waiting_.find(token);
    if (error || found == waiting_.end()) return;
    found->second.late = true;
    if (!found->second.computing) examine(token, found->second);
  });
  examine(token, waiting);
}

// On the work pool: paths and signatures are slow, and what is examined comes from the peer.
void ProofDesk::examine(ike::RequestToken token, Waiting& waiting) {
  waiting.computing = true;
  const std::shared_ptr<Check> check = waiting.check;
  check->last = check->last || waiting.late;
  compute_(token, [check, evidence = evidence_]() -> ike::Completion {
    crypto::SystemRandom random;
    const crypto::CalendarTime now = io::wall_clock().seconds;
    if (const auto* verify = std::get_if<ike::VerifyRequest>(&check->request)) {
      auto made = ike::v2::examine(*verify, *check->credentials, now, *evidence, random, check->last);
      check->wishes = std::move(made.wishes);
      check->notes = std::move(made.notes);
      return std::move(made.result);
    }
    const auto& request = std::get<ike::SignRequest>(check->request);
    auto response = ike::v2::staple(request, *check->credentials, now, *evidence, random);
    check->wishes.clear();
    if (response.wish && !check->last) {
      check->wishes.push_back(std::move(*response.wish));
      return ike::SignResult{err(std::string("it waits for an OCSP response"))};
    }
    return sign(request, *check->credentials, std::move(response.response));
  });
}

bool ProofDesk::keeps(const WorkPool::Answer& answer) {
  const auto found = waiting_.find(answer.token);
  if (found == waiting_.end()) return false;
  Waiting& waiting = found->second;
  waiting.computing = false;
  if (!waiting.check->wishes.empty()) {
    fetch(answer.token, waiting);
    return true;
  }
  for (std::string& note : waiting.check->notes) tell_(std::move(note));
  waiting_.erase(found);
  return false;
}

void ProofDesk::fetch(ike::RequestToken token, Waiting& waiting) {
  auto wishes = std::exchange(waiting.check->wishes, {});
  if (waiting.late || !open_pool()) {
    waiting.late = true;
    return examine(token, waiting);
  }
  for (FetchWish& wish : wishes) {
    ++waiting.outstanding;
    auto& askers = under_way_[name_of(wish)];
    askers.push_back(token);
    if (askers.size() == 1) pool_->submit(std::move(wish));
  }
}

bool ProofDesk::open_pool() {
  if (pool_) return true;
  auto opened = FetchPool::open(folder_);
  if (!opened) {
    tell_(fmt::format("nothing can be fetched: {}", opened.error()));
    return false;
  }
  pool_ = std::move(*opened);
  ready_.assign(pool_->wakeup_fd());
  wait_for_fetches();
  return true;
}

void ProofDesk::wait_for_fetches() {
  ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    pool_->handle_wakeup();
    while (const auto answer = pool_->poll_answer()) take(*answer);
    wait_for_fetches();
  });
}

void ProofDesk::take(const FetchPool::Answer& answer) {
  // Work under way reads the evidence as it was.
  auto evidence = std::make_shared<Evidence>(*evidence_);
  keep(*evidence, answer.wish, answer.fetched);
  evidence_ = std::move(evidence);
  const auto under_way = under_way_.find(answer.name);
  if (under_way == under_way_.end()) return;
  const auto askers = std::move(under_way->second);
  under_way_.erase(under_way);
  for (const ike::RequestToken token : askers) {
    const auto found = waiting_.find(token);
    if (found == waiting_.end()) continue;
    Waiting& waiting = found->second;
    if (waiting.outstanding > 0) --waiting.outstanding;
    if (waiting.outstanding == 0 && !waiting.computing) examine(token, waiting);
  }
}

}  // namespace culvert::daemon
