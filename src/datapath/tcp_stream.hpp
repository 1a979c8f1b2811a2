// TcpStream: one stream that carries IKE and ESP (RFC 9329), through all the connections that it has in its life. Any
// thread sends; one thread, the owner of TcpStreams, connects, reads and closes.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <span>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "io/file_descriptor.hpp"
#include "ipsec/tcp_framing.hpp"
#include "net/address.hpp"

namespace culvert::datapath {

class TcpStream {
 public:
  /// What of the octets that the system did not take yet is kept: ESP up to the first bound, IKE up to the second.
  static constexpr std::size_t kMostWaitingEsp = std::size_t{256} * 1024;
  static constexpr std::size_t kMostWaiting = kMostWaitingEsp + std::size_t{256} * 1024;
  /// IKE messages that wait for a connection.
  static constexpr std::size_t kMostEarly = 16;

  enum class State : std::uint8_t { closed, connecting, open };
  enum class Sent : std::uint8_t {
    all,
    waiting,  // some of it waits for the system, or for a connection
    full,     // there was no room for all of it
    closed    // there is no connection
  };

  /// `epoll` is told the stream's number with each event; it must outlive the stream.
  TcpStream(int epoll, std::uint64_t number, const net::Path& stream_path, bool opened_by_us)
      : id(number), path(stream_path), ours(opened_by_us), reader(!opened_by_us), epoll_(epoll) {}

  const std::uint64_t id;
  const net::Path path;
  const bool ours;

  // Any thread.

  /// Packets back to back, cut every `segment_size` octets; `lost` is how many found no room.
  Sent send_esp(ByteView packets, std::size_t segment_size, std::size_t& lost);
  /// Without a connection the message waits for it, if it is on its way; one that is there already does so once.
  Sent send_ike(ByteView message);

  // The owner's thread.

  /// From now on `epoll` watches it: for octets that come, and as long as it is needed for room to send.
  void begin(io::FileDescriptor fd, State state);
  /// The connection stands: the prefix goes out, and what waited.
  void opened();
  /// The system has room again.
  void flush();
  /// Closes the connection. What waited of IKE is sent by IKE's own timers.
  void end();
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const io::FileDescriptor& fd() const { return fd_; }

  ipsec::StreamReader reader;
  bool was_open = false;
  bool heard = false;     // something came by the connection that stands
  unsigned failures = 0;  // in a row: connections that did not come about, or by which nothing came

  // Under the lock of TcpStreams.
  bool held = false;
  OptionalInstant closes_at;
  OptionalInstant opens_at;

 private:
  void add_frame(ByteView marker, ByteView message);
  Sent flush_locked();
  void watch(int operation, bool for_room);

  const int epoll_;
  std::mutex mutex_;
  bool watched_for_room_ = false;
  io::FileDescriptor fd_;
  State state_ = State::closed;
  Bytes waiting_;         // framed
  std::size_t gone_ = 0;  // of these, that the system has
  std::deque<Bytes> early_;
};

}  // namespace culvert::datapath
