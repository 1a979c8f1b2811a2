// TcpStreams: all streams that carry IKE and ESP (RFC 9329): those that peers opened, with what bounds them, and those
// of ours, which are opened again for as long as they are wanted.
//
// One worker owns the connections: it waits at `fd`, reads, connects and closes in `turn`, and hands packets to the
// workers that have their SAs as it does with datagrams. Any thread sends, straight into the socket. Only who sends
// over TCP ever comes here.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "datapath/io_counters.hpp"
#include "datapath/tcp_stream.hpp"
#include "io/error.hpp"
#include "io/file_descriptor.hpp"
#include "net/address.hpp"

namespace culvert::datapath {

struct TcpStreamOptions {
  std::vector<std::uint16_t> listen;  // ports, for both families; none: peers open no streams
  std::uint32_t mark = 0;             // as SocketOptions::mark
  /// Streams that peers may have open: in all, from one address, and in all without an IKE SA.
  std::size_t most = 8192;
  std::size_t most_per_address = 256;
  std::size_t most_unheld = 256;
  /// How long one may be without an IKE SA: a peer's, ours, and after its last one has gone.
  Duration unheld_time = std::chrono::seconds(30);
  Duration unheld_time_ours = std::chrono::seconds(60);
  Duration farewell = std::chrono::seconds(5);
};

/// What happened to a stream of ours.
struct TcpStreamEvent {
  enum class Kind : std::uint8_t { opened_again, failed };
  net::Path path;
  Kind kind = Kind::failed;
  std::string text = {};  // why it failed
};

/// Gets what came. The messages are the streams' memory, good until the call returns, and may be changed.
class TcpStreamSink {
 public:
  virtual ~TcpStreamSink() = default;
  virtual void stream_messages(const net::Path& path, std::span<const MutableByteView> messages) = 0;
};

class TcpStreams {
 public:
  /// Opens the ports, or nothing. A kernel without IPv6 is no error.
  [[nodiscard]] static Result<std::unique_ptr<TcpStreams>, io::IoError> open(TcpStreamOptions options);

  // Any thread.

  /// A new stream to `remote`, from now on; its path. It is opened again when it is lost, until nobody wants it.
  [[nodiscard]] Result<net::Path, io::IoError> open_stream(const net::IpAddress& local, const net::Endpoint& remote,
                                                           Instant now);
  /// An IKE SA is on the stream, or the last one has gone; then it closes, a moment later.
  void hold(const net::Path& path, bool held, Instant now);
  /// 0 or an errno: ENOTCONN where there is no such stream, ENOBUFS where it is full.
  [[nodiscard]] int send_ike(const net::Path& path, ByteView message);
  /// ESP packets back to back, cut every `segment_size` octets. What finds no room is lost, and counted.
  void send_esp(const net::Path& path, ByteView packets, std::size_t segment_size, IoCounters& counters);
  [[nodiscard]] std::vector<TcpStreamEvent> take_events() { return events_.take_all(); }
  [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return options_.listen; }
  [[nodiscard]] std::size_t count() const;

  // The owner's thread.

  /// Readable when `turn` has something to do.
  [[nodiscard]] int fd() const { return epoll_.get(); }
  /// Does what is to be done, up to a bound. True when there is news for `take_events`.
  bool turn(Instant now, TcpStreamSink& sink, IoCounters& counters);

 private:
  using Streams = std::map<net::Path, std::shared_ptr<TcpStream>>;
  explicit TcpStreams(TcpStreamOptions options);
  [[nodiscard]] Result<void, io::IoError> open_descriptors();

  [[nodiscard]] std::shared_ptr<TcpStream> find(const net::Path& path) const;
  [[nodiscard]] std::shared_ptr<TcpStream> find(std::uint64_t id) const;
  void wake_at(Instant at);
  void add(const std::shared_ptr<TcpStream>& stream);
  Streams::iterator remove(Streams::iterator place);

  void accept_all(const io::FileDescriptor& listener, Instant now, IoCounters& counters);
  [[nodiscard]] bool has_room_for(const net::IpAddress& remote) const;
  void serve(TcpStream& stream, std::uint32_t events, Instant now, TcpStreamSink& sink, IoCounters& counters);
  void finish_connecting(TcpStream& stream, Instant now);
  /// False when the connection is at its end.
  [[nodiscard]] bool read(TcpStream& stream, TcpStreamSink& sink, IoCounters& counters);
  void lost(TcpStream& stream, int error, Instant now);
  void connect(TcpStream& stream, io::FileDescriptor fd, Instant now);
  void reopen(TcpStream& stream, Instant now);
  void do_due(Instant now);
  void tell(TcpStreamEvent event);

  const TcpStreamOptions options_;
  io::FileDescriptor epoll_;
  io::FileDescriptor timer_;
  std::vector<io::FileDescriptor> listeners_;

  mutable std::shared_mutex mutex_;  // of the table, and what TcpStream says
  Streams streams_;
  std::map<std::uint64_t, Streams::iterator> by_id_;
  std::uint64_t last_id_;
  OptionalInstant wakes_at_;
  /// Of those that peers opened: all, those without an IKE SA, and by address.
  std::size_t accepted_ = 0;
  std::size_t unheld_ = 0;
  std::map<net::IpAddress, std::size_t> by_address_;

  BoundedQueue<TcpStreamEvent> events_{256};
  std::atomic<bool> news_{false};
  // Of the owner.
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::vector<MutableByteView> messages_;
};

}  // namespace culvert::datapath
