#include "datapath/tcp_streams.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "io/tcp_socket.hpp"

namespace culvert::datapath {

namespace {

constexpr std::size_t kReadBuffer = std::size_t{256} * 1024;
constexpr int kReadsPerTurn = 2;
constexpr int kAcceptsPerTurn = 64;
constexpr std::size_t kEventsPerTurn = 32;
// The first numbers that epoll gives back; the streams have those behind them.
constexpr std::uint64_t kTimerId = 0;
constexpr std::uint64_t kFirstListenerId = 1;
constexpr std::uint64_t kFirstStreamId = 1024;
// After a loss at once, then more slowly.
constexpr Duration kFirstReopening = std::chrono::milliseconds(50);
constexpr Duration kLongestReopening = std::chrono::seconds(5);

Duration reopening_delay(unsigned failures) {
  Duration delay = kFirstReopening;
  for (unsigned i = 0; i < failures && delay < kLongestReopening; ++i) delay *= 3;
  return std::min(delay, kLongestReopening);
}

}  // namespace

// ---------------------------------------------------------------- making

TcpStreams::TcpStreams(TcpStreamOptions options)
    : options_(std::move(options)),
      last_id_(kFirstStreamId),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kReadBuffer)) {}

Result<std::unique_ptr<TcpStreams>, io::IoError> TcpStreams::open(TcpStreamOptions options) {
  auto streams = std::unique_ptr<TcpStreams>(new TcpStreams(std::move(options)));
  if (auto opened = streams->open_descriptors(); !opened) return err(std::move(opened.error()));
  return streams;
}

Result<void, io::IoError> TcpStreams::open_descriptors() {
  epoll_ = io::FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return err(io::system_error("cannot make an epoll descriptor", errno));
  timer_ = io::FileDescriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer_.valid()) return err(io::system_error("cannot make a timer", errno));
  for (const std::uint16_t port : options_.listen) {
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
      auto listener = io::listen_tcp({net::IpAddress::any(family), port, net::Transport::tcp}, options_.mark);
      if (!listener) {
        const int number = listener.error().system_error;
        if (family == net::Family::v6 && (number == EAFNOSUPPORT || number == EADDRNOTAVAIL)) continue;
        return err(std::move(listener.error()));
      }
      listeners_.push_back(std::move(*listener));
    }
  }
  const auto add = [this](int fd, std::uint64_t id) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  };
  bool added = add(timer_.get(), kTimerId);
  for (std::size_t i = 0; added && i < listeners_.size(); ++i) added = add(listeners_[i].get(), kFirstListenerId + i);
  if (!added) return err(io::system_error("cannot wait for TCP connections", errno));
  return {};
}

// ---------------------------------------------------------------- any thread

std::shared_ptr<TcpStream> TcpStreams::find(const net::Path& path) const {
  const std::shared_lock lock(mutex_);
  const auto found = streams_.find(path);
  return found == streams_.end() ? nullptr : found->second;
}

std::shared_ptr<TcpStream> TcpStreams::find(std::uint64_t id) const {
  const std::shared_lock lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second->second;
}

std::size_t TcpStreams::count() const {
  const std::shared_lock lock(mutex_);
  return streams_.size();
}

Result<net::Path, io::IoError> TcpStreams::open_stream(const net::IpAddress& local, const net::Endpoint& remote,
                                                       Instant now) {
  auto bound = io::bind_tcp(local, options_.mark);
  if (!bound) return err(std::move(bound.error()));
  const net::Path path{bound->local, {remote.address, remote.port, net::Transport::tcp}};
  const std::unique_lock lock(mutex_);
  // A stream that was named after this port uses another one by now, and has not been given up yet.
  if (streams_.contains(path))
    return err(io::IoError{io::IoErrorCode::address_in_use, EADDRINUSE, "a TCP stream has that port already"});
  const auto stream = std::make_shared<TcpStream>(epoll_.get(), ++last_id_, path, true);
  add(stream);
  stream->closes_at = now + options_.unheld_time_ours;
  connect(*stream, std::move(bound->fd), now);
  wake_at(now + options_.unheld_time_ours);
  return path;
}

void TcpStreams::hold(const net::Path& path, bool held, Instant now) {
  const std::unique_lock lock(mutex_);
  const auto found = streams_.find(path);
  if (found == streams_.end()) return;
  TcpStream& stream = *found->second;
  if (!stream.ours && stream.held != held) unheld_ += held ? -1 : 1;
  stream.held = held;
  stream.closes_at = held ? OptionalInstant() : OptionalInstant(now + options_.farewell);
  if (stream.closes_at) wake_at(*stream.closes_at);
}

int TcpStreams::send_ike(const net::Path& path, ByteView message) {
  const auto stream = find(path);
  if (!stream) return ENOTCONN;
  switch (stream->send_ike(message)) {
    case TcpStream::Sent::all:
    case TcpStream::Sent::waiting: return 0;
    case TcpStream::Sent::full: return ENOBUFS;
    case TcpStream::Sent::closed: break;
  }
  return ENOTCONN;
}

void TcpStreams::send_esp(const net::Path& path, ByteView packets, std::size_t segment_size, IoCounters& counters) {
  const auto stream = find(path);
  std::size_t lost = 0;
  if (!stream) {
    const std::size_t step = segment_size == 0 ? packets.size() : segment_size;
    return counters.count(IoDrop::stream_closed, step == 0 ? 0 : (packets.size() + step - 1) / step);
  }
  const TcpStream::Sent sent = stream->send_esp(packets, segment_size, lost);
  counters.count(sent == TcpStream::Sent::closed ? IoDrop::stream_closed : IoDrop::stream_full, lost);
}

void TcpStreams::wake_at(Instant at) {
  if (wakes_at_ && *wakes_at_ <= at) return;
  wakes_at_ = at;
  const auto since = at.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  itimerspec when{};
  when.it_value.tv_sec = seconds.count();
  when.it_value.tv_nsec = std::max<long>((since - seconds).count(), 1);
  (void)::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

// ---------------------------------------------------------------- the owner

bool TcpStreams::turn(Instant now, TcpStreamSink& sink, IoCounters& counters) {
  std::array<epoll_event, kEventsPerTurn> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    const std::uint64_t id = event.data.u64;
    if (id == kTimerId) {
      do_due(now);
    } else if (id < kFirstStreamId) {
      accept_all(listeners_[id - kFirstListenerId], now, counters);
    } else if (const auto stream = find(id)) {
      serve(*stream, event.events, now, sink, counters);
    }
  }
  return news_.exchange(false);
}

bool TcpStreams::has_room_for(const net::IpAddress& remote) const {
  const auto found = by_address_.find(remote);
  const std::size_t of_address = found == by_address_.end() ? 0 : found->second;
  return accepted_ < options_.most && unheld_ < options_.most_unheld && of_address < options_.most_per_address;
}

void TcpStreams::add(const std::shared_ptr<TcpStream>& stream) {
  by_id_.emplace(stream->id, streams_.emplace(stream->path, stream).first);
  if (stream->ours) return;
  ++accepted_;
  ++unheld_;
  ++by_address_[stream->path.remote.address];
}

TcpStreams::Streams::iterator TcpStreams::remove(Streams::iterator place) {
  const TcpStream& stream = *place->second;
  by_id_.erase(stream.id);
  if (!stream.ours) {
    --accepted_;
    if (!stream.held) --unheld_;
    const auto address = by_address_.find(stream.path.remote.address);
    if (--address->second == 0) by_address_.erase(address);
  }
  return streams_.erase(place);
}

void TcpStreams::accept_all(const io::FileDescriptor& listener, Instant now, IoCounters& counters) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    auto connection = io::accept_tcp(listener, options_.mark);
    if (!connection) return;
    const std::unique_lock lock(mutex_);
    if (!has_room_for(connection->path.remote.address)) {
      counters.count(IoDrop::stream_refused);
      continue;
    }
    // Of a connection with the same ends we have not heard yet that it is broken.
    if (const auto old = streams_.find(connection->path); old != streams_.end()) {
      old->second->end();
      remove(old);
    }
    const auto stream = std::make_shared<TcpStream>(epoll_.get(), ++last_id_, connection->path, false);
    add(stream);
    stream->begin(std::move(connection->fd), TcpStream::State::open);
    stream->closes_at = now + options_.unheld_time;
    wake_at(*stream->closes_at);
  }
}

void TcpStreams::serve(TcpStream& stream, std::uint32_t events, Instant now, TcpStreamSink& sink,
                       IoCounters& counters) {
  if (stream.state() == TcpStream::State::connecting) return finish_connecting(stream, now);
  if (stream.state() != TcpStream::State::open) return;
  if ((events & EPOLLOUT) != 0) stream.flush();
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0 || read(stream, sink, counters)) return;
  lost(stream, io::tcp_error(stream.fd()), now);
}

void TcpStreams::finish_connecting(TcpStream& stream, Instant now) {
  if (const int error = io::tcp_error(stream.fd()); error != 0) return lost(stream, error, now);
  stream.opened();
  stream.heard = false;
  if (std::exchange(stream.was_open, true)) tell({stream.path, TcpStreamEvent::Kind::opened_again, {}});
}

bool TcpStreams::read(TcpStream& stream, TcpStreamSink& sink, IoCounters& counters) {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t count = ::recv(stream.fd().get(), buffer_.get(), kReadBuffer, 0);
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    if (count == 0) return false;
    const auto taken = stream.reader.take({buffer_.get(), static_cast<std::size_t>(count)}, messages_);
    if (!messages_.empty()) {
      stream.heard = true;
      stream.failures = 0;
      sink.stream_messages(stream.path, messages_);
    }
    if (!taken) {
      counters.count(IoDrop::stream_corrupt);
      return false;
    }
    if (static_cast<std::size_t>(count) < kReadBuffer) return true;
  }
  return true;
}

// RFC 9329 6.1: the SAs outlive the connection; who opened it opens it again, the other side waits for that. A peer
// that takes every connection and closes it without a word (a proxy, another service) is no better than one that takes
// none.
void TcpStreams::lost(TcpStream& stream, int error, Instant now) {
  const bool stood = stream.state() == TcpStream::State::open;
  stream.end();
  const std::unique_lock lock(mutex_);
  if (!stream.ours) {
    if (const auto place = by_id_.find(stream.id); place != by_id_.end()) remove(place->second);
    return;
  }
  if (!stood) {
    if (stream.failures++ == 0) tell({stream.path, TcpStreamEvent::Kind::failed, io::errno_text(error)});
  } else if (!stream.heard) {
    ++stream.failures;
  }
  stream.opens_at = now + reopening_delay(stream.failures);
  wake_at(*stream.opens_at);
}

void TcpStreams::connect(TcpStream& stream, io::FileDescriptor fd, Instant now) {
  const int error = io::connect_tcp(fd, stream.path.remote);
  stream.begin(std::move(fd), TcpStream::State::connecting);
  if (error == 0 || error == EINPROGRESS) return;
  // No route, say: as if it had been refused by the network a moment later.
  stream.end();
  if (stream.failures++ == 0) tell({stream.path, TcpStreamEvent::Kind::failed, io::errno_text(error)});
  stream.opens_at = now + reopening_delay(stream.failures);
  wake_at(*stream.opens_at);
}

void TcpStreams::reopen(TcpStream& stream, Instant now) {
  auto bound = io::bind_tcp(stream.path.local.address, options_.mark);
  if (bound) return connect(stream, std::move(bound->fd), now);
  if (stream.failures++ == 0) tell({stream.path, TcpStreamEvent::Kind::failed, bound.error().text});
  stream.opens_at = now + reopening_delay(stream.failures);
  wake_at(*stream.opens_at);
}

void TcpStreams::do_due(Instant now) {
  std::uint64_t times = 0;
  (void)!::read(timer_.get(), &times, sizeof times);
  const std::unique_lock lock(mutex_);
  wakes_at_.reset();
  for (auto place = streams_.begin(); place != streams_.end();) {
    TcpStream& stream = *place->second;
    if (stream.closes_at && *stream.closes_at <= now) {
      stream.end();
      place = remove(place);
      continue;
    }
    if (stream.opens_at && *stream.opens_at <= now) {
      stream.opens_at.reset();
      reopen(stream, now);
    }
    if (stream.closes_at) wake_at(*stream.closes_at);
    if (stream.opens_at) wake_at(*stream.opens_at);
    ++place;
  }
}

void TcpStreams::tell(TcpStreamEvent event) {
  // Nobody reads them for a while: IKE's own timers do without.
  (void)events_.push(std::move(event));
  news_ = true;
}

}  // namespace culvert::datapath
