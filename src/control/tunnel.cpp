#include "control/tunnel.hpp"

#include <algorithm>
#include <utility>

#include "ike/events.hpp"

namespace culvert::control {
namespace {

// A lost tunnel is tried again almost at once; one that cannot be had ever more rarely, up to a minute apart.
constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
constexpr Duration kSecondRetry = std::chrono::seconds(1);
constexpr Duration kLongestRetry = std::chrono::seconds(60);
// A refused password does not become right by itself, and directories lock accounts against which many are tried.
constexpr Duration kAfterRefusedPassword = std::chrono::seconds(60);
constexpr Duration kAfterFurtherOnes = std::chrono::minutes(5);
// What is lost again before this time has passed is no accident: two hosts with one identity drive each other out, or
// the peer ends what it has just agreed to.
constexpr Duration kBriefLife = std::chrono::seconds(3);

Duration retry_delay(unsigned failures_in_row, RandomSource& random) {
  Duration delay = kSecondRetry;
  for (unsigned i = 1; i < failures_in_row && delay < kLongestRetry; ++i) delay *= 2;
  delay = std::min(delay, kLongestRetry);
  // Up to a quarter less, so that many tunnels of one peer do not come all at once after its restart.
  return delay - Duration(static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(delay.count() / 4))));
}

Duration delay_after(unsigned brief_lives) {
  Duration delay = kFirstRetry;
  for (unsigned i = 1; i < brief_lives && delay < kLongestRetry; ++i) delay *= 2;
  return std::min(delay, kLongestRetry);
}

// The gateway, or who keeps its directory, has seen a try at a password of ours.
bool password_refused(const model::ConnectionConfig& config, const std::string& kind) {
  if (kind != ike::name_of(ike::FailureKind::authentication_failed) || !config.eap || !config.eap->client) return false;
  return std::ranges::any_of(config.eap->methods, [](model::EapType type) { return type != model::EapType::tls; });
}

}  // namespace

Tunnel::Tunnel(model::ConnectionConfig config, std::string peer, bool can_initiate,
               TimerQueue<model::ConnectionId>& attempts)
    : config_(std::move(config)), peer_(std::move(peer)), can_initiate_(can_initiate), queue_(attempts) {}

Tunnel::~Tunnel() { queue_.set(config_.id, std::nullopt); }

TunnelState Tunnel::state() const {
  if (closing_) return TunnelState::closing;
  if (up_) return TunnelState::up;
  if (attempt_running_) return TunnelState::connecting;
  if (retry_at_) return TunnelState::retrying;
  if (wanted_) return TunnelState::waiting;
  return config_.start == model::StartMode::on_demand || !can_initiate_ ? TunnelState::waiting : TunnelState::down;
}

void Tunnel::want(bool up, Instant now) {
  const Change change(*this);
  wanted_ = up;
  was_up_ = false;
  failures_in_row_ = 0;
  brief_lives_ = 0;
  not_before_.reset();
  if (!up) {
    retry_at_.reset();
    attempt_running_ = false;
    progress.clear();
    wishes.clear();
    resources.clear();
    return;
  }
  closing_ = false;
  if (!up_ && !attempt_running_ && can_initiate_) plan(now);
}

void Tunnel::acquire(Instant now) {
  const Change change(*this);
  const bool allowed = wanted_ || config_.start == model::StartMode::on_demand;
  if (!allowed || up_ || attempt_running_ || retry_at_ || !can_initiate_) return;
  plan(not_before_ ? std::max(now, *not_before_) : now);
}

void Tunnel::hurry(Instant now) {
  const Change change(*this);
  if (last_failure_ && password_refused(config_, last_failure_->kind)) return;
  if (retry_at_ && *retry_at_ > now && failures_in_row_ > 0) plan(now);
}

bool Tunnel::take_turn(RandomSource& random) {
  const std::size_t places = 1 + config_.further_peers.size();
  if (places == 1 || !can_initiate_) return false;
  ++peers_in_vain_;
  if (config_.random_peer) {
    // Any but the one that has just failed.
    peer_turn_ = (peer_turn_ + 1 + random.below(places - 1)) % places;
  } else {
    peer_turn_ = (peer_turn_ + 1) % places;
  }
  return peers_in_vain_ % places != 0;
}

std::uint64_t Tunnel::begin_attempt() {
  const Change change(*this);
  retry_at_.reset();
  attempt_running_ = true;
  closing_ = false;
  own_attempt_ = ++attempts_;
  return own_attempt_;
}

void Tunnel::peer_failed(Instant now, std::string kind, std::string message, std::string hint) {
  last_failure_ = Failure{attempts_, now, std::move(kind), std::move(message), std::move(hint)};
}

void Tunnel::failed(Instant now, std::string kind, std::string message, std::string hint, RandomSource& random) {
  const Change change(*this);
  const bool password = password_refused(config_, kind);
  peer_failed(now, std::move(kind), std::move(message), std::move(hint));
  attempt_running_ = false;
  progress.clear();
  // Only when no place of the peer's will do is there something to wait for.
  const bool others = take_turn(random);
  if (!others) ++failures_in_row_;
  const Duration delay = others                 ? kFirstRetry
                         : !password            ? retry_delay(failures_in_row_, random)
                         : failures_in_row_ > 1 ? kAfterFurtherOnes
                                                : kAfterRefusedPassword;
  const Instant next = now + delay;
  not_before_ = next;
  if (up_) return;
  const bool again = wanted_ && (config_.start == model::StartMode::automatic || was_up_ || others);
  if (again && can_initiate_) {
    plan(next);
  } else if (config_.start == model::StartMode::manual) {
    wanted_ = false;  // `culvert up` tries once
  }
}

void Tunnel::child_up(Instant now) {
  const Change change(*this);
  if (!up_) up_since_ = now;
  up_ = true;
  was_up_ = true;
  closing_ = false;
  attempt_running_ = false;
  failures_in_row_ = 0;
  peers_in_vain_ = 0;
  retry_at_.reset();
  not_before_.reset();
  progress.clear();
}

void Tunnel::child_down(Instant now, bool last) {
  const Change change(*this);
  if (!last) return;
  if (std::exchange(up_, false)) brief_lives_ = now - up_since_ < kBriefLife ? brief_lives_ + 1 : 0;
  const bool again = wanted_ && can_initiate_ && !attempt_running_ && config_.start != model::StartMode::on_demand;
  if (again) plan(now + delay_after(brief_lives_));
}

void Tunnel::all_gone(Instant now) {
  const Change change(*this);
  closing_ = false;
  // The attempt may have been for a Child SA of what is gone now, and nobody will tell how it ended. Where it goes on
  // regardless, IKE takes the next one for the same.
  const bool interrupted = std::exchange(attempt_running_, false);
  child_down(now, true);
  if (interrupted) plan(now + kFirstRetry);
}

}  // namespace culvert::control
