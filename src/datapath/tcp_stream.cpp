#include "datapath/tcp_stream.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace culvert::datapath {

namespace {

constexpr std::size_t kMostAtRest = std::size_t{64} * 1024;
constexpr std::array<std::uint8_t, 4> kNonEspMarker{};

}  // namespace

void TcpStream::add_frame(ByteView marker, ByteView message) {
  const auto length = ipsec::stream_length(marker.size() + message.size());
  waiting_.insert(waiting_.end(), length.begin(), length.end());
  waiting_.insert(waiting_.end(), marker.begin(), marker.end());
  waiting_.insert(waiting_.end(), message.begin(), message.end());
}

void TcpStream::watch(int operation, bool for_room) {
  watched_for_room_ = for_room;
  epoll_event event{};
  event.events = for_room ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = id;
  (void)::epoll_ctl(epoll_, operation, fd_.get(), &event);
}

TcpStream::Sent TcpStream::flush_locked() {
  while (gone_ < waiting_.size()) {
    const ssize_t sent =
        ::send(fd_.get(), waiting_.data() + gone_, waiting_.size() - gone_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      // Of a broken connection the owner hears by itself.
      if (errno != EAGAIN && errno != EWOULDBLOCK) return Sent::closed;
      // So that the memory stays bounded, whatever the pace.
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(std::exchange(gone_, 0)));
      if (!watched_for_room_) watch(EPOLL_CTL_MOD, true);
      return Sent::waiting;
    }
    gone_ += static_cast<std::size_t>(sent);
  }
  if (watched_for_room_) watch(EPOLL_CTL_MOD, false);
  waiting_.clear();
  gone_ = 0;
  // There may be thousands of them, most at rest.
  if (waiting_.capacity() > kMostAtRest) Bytes().swap(waiting_);
  return Sent::all;
}

TcpStream::Sent TcpStream::send_esp(ByteView packets, std::size_t segment_size, std::size_t& lost) {
  const std::lock_guard lock(mutex_);
  const std::size_t step = segment_size == 0 ? packets.size() : segment_size;
  const auto count_from = [&](std::size_t at) { return (packets.size() - at + step - 1) / step; };
  if (state_ != State::open) {
    lost = count_from(0);
    return Sent::closed;
  }
  for (std::size_t at = 0; at < packets.size(); at += step) {
    const ByteView packet = packets.subspan(at, std::min(step, packets.size() - at));
    if (waiting_.size() - gone_ + packet.size() > kMostWaitingEsp) {
      // What is full now may be a full batch of ours only.
      if (flush_locked() == Sent::waiting && waiting_.size() + packet.size() > kMostWaitingEsp) {
        lost = count_from(at);
        return Sent::full;
      }
    }
    add_frame({}, packet);
  }
  return flush_locked();
}

TcpStream::Sent TcpStream::send_ike(ByteView message) {
  const std::lock_guard lock(mutex_);
  if (message.size() + kNonEspMarker.size() > ipsec::kMaxStreamMessage) return Sent::full;
  if (state_ != State::open) {
    if (!ours) return Sent::closed;
    const auto same = [&](const Bytes& one) { return std::ranges::equal(one, message); };
    if (std::ranges::any_of(early_, same)) return Sent::waiting;
    if (early_.size() >= kMostEarly) early_.pop_front();
    early_.push_back(to_bytes(message));
    return Sent::waiting;
  }
  if (waiting_.size() - gone_ + message.size() > kMostWaiting) return Sent::full;
  add_frame(kNonEspMarker, message);
  return flush_locked();
}

void TcpStream::begin(io::FileDescriptor fd, State state) {
  const std::lock_guard lock(mutex_);
  fd_ = std::move(fd);
  state_ = state;
  waiting_.clear();
  gone_ = 0;
  reader = ipsec::StreamReader(!ours);
  // A connection under way is there when there is room.
  watch(EPOLL_CTL_ADD, state == State::connecting);
}

void TcpStream::opened() {
  const std::lock_guard lock(mutex_);
  state_ = State::open;
  // RFC 9329 6.1: the prefix first, on each connection.
  if (ours) waiting_.assign(ipsec::kStreamPrefix.begin(), ipsec::kStreamPrefix.end());
  for (const Bytes& message : early_) add_frame(kNonEspMarker, message);
  early_.clear();
  (void)flush_locked();
}

void TcpStream::flush() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::open) (void)flush_locked();
}

void TcpStream::end() {
  const std::lock_guard lock(mutex_);
  state_ = State::closed;
  // RFC 9329 6.1: a message that went in part is no message; the next connection begins anew.
  Bytes().swap(waiting_);
  gone_ = 0;
  fd_.reset();
}

}  // namespace culvert::datapath
