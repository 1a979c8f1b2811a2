// XdpLane: one worker's share of the interfaces whose ESP goes around the kernel's IP layer, by AF_XDP. A lane beside
// the raw sockets, never instead of them: what it does not take goes by those, as do AH, fragments, packets too long
// for the interface, and the first packets to a neighbour that the kernel has yet to find.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "io/link_resolver.hpp"
#include "io/xdp_filter.hpp"
#include "io/xdp_socket.hpp"
#include "ipsec/packet_io.hpp"

namespace culvert::datapath {

/// Reads what stands in an Ethernet frame that io::XdpFilter took. Nothing where lengths or checksum are wrong, or the
/// sender is none.
[[nodiscard]] std::optional<ipsec::WireInput> read_esp_frame(MutableByteView frame);

class XdpLane {
 public:
  XdpLane(io::LinkResolver resolver, std::uint32_t mark) : resolver_(std::move(resolver)), mark_(mark) {}

  void add(unsigned interface_index, io::XdpSocket socket);
  [[nodiscard]] std::size_t ports() const { return ports_.size(); }
  [[nodiscard]] int fd(std::size_t port) const { return ports_[port].socket.fd(); }

  /// As XdpSocket.
  [[nodiscard]] std::span<const MutableByteView> receive(std::size_t port) { return ports_[port].socket.receive(); }
  void give_back(std::size_t port) { ports_[port].socket.give_back(); }

  /// Frames for any port that the kernel dropped, with no room for them.
  [[nodiscard]] std::uint64_t receive_drops() const;

  struct Sent {
    bool taken = false;             // false: it is for the raw sockets
    std::uint32_t buffer_full = 0;  // packets of it that found no room
  };
  /// Packets for one of the ports' interfaces; they leave with `flush`, unless they fill the queue before: then
  /// `make_way` is called, for what must leave in front of them by other ways.
  template <typename MakeWay>
  [[nodiscard]] Sent send(const ipsec::WireTrain& train, Instant now, MakeWay make_way) {
    Port* const port = port_for(train, now);
    if (port == nullptr) return {};
    if (!port->socket.has_room(train.segments())) make_way();
    return fill(*port, train);
  }
  /// False when something is left that must be tried again soon.
  bool flush();
  /// Frames wait for `flush`, or for the kernel.
  [[nodiscard]] bool pending() const { return pending_; }
  /// How far the frames of a port are that `flush` has shown to the kernel, and whether all up to there have left it,
  /// or never will. Any thread.
  [[nodiscard]] std::uint32_t submitted(std::size_t port) const { return ports_[port].socket.submitted(); }
  [[nodiscard]] bool has_left(std::size_t port, std::uint32_t submitted) const {
    return ports_[port].socket.has_left(submitted);
  }
  /// The interface is gone: nothing is sent there any more.
  void close(std::size_t port);

 private:
  struct Port {
    unsigned interface_index;
    io::XdpSocket socket;
    bool open = true;
  };
  // What is known of a peer's way; asked for anew when it is old.
  struct Way {
    std::optional<io::LinkTarget> target;  // nothing: by the raw sockets
    Port* port = nullptr;
    Instant expires;
  };
  using Ends = std::pair<net::IpAddress, net::IpAddress>;
  /// Null: the train is for the raw sockets.
  [[nodiscard]] Port* port_for(const ipsec::WireTrain& train, Instant now);
  /// By the way found last.
  [[nodiscard]] Sent fill(Port& port, const ipsec::WireTrain& train);
  [[nodiscard]] const Way& way_of(const net::Path& path, Instant now);
  [[nodiscard]] Way ask(const net::Path& path, Instant now);

  io::LinkResolver resolver_;
  std::uint32_t mark_;
  std::vector<Port> ports_;
  std::map<Ends, Way> ways_;
  const Ends* last_ends_ = nullptr;  // the way used last
  const Way* last_way_ = nullptr;
  std::uint16_t identification_ = 0;
  bool pending_ = false;  // frames were submitted and have not all left
};

/// AF_XDP at the interfaces that the user named: the filters, and what became of each.
class XdpPorts {
 public:
  /// `lanes` has one place for each worker; those that got a queue are filled. An interface that cannot be used is none
  /// the worse for it; `facts` says why.
  [[nodiscard]] static XdpPorts open(const std::vector<std::string>& names, std::uint32_t mark,
                                     std::vector<std::unique_ptr<XdpLane>>& lanes);

  struct Fact {
    std::string interface;
    std::string text;  // "zero copy", "copied by the kernel", or why not
    bool in_use = false;
  };
  [[nodiscard]] const std::vector<Fact>& facts() const { return facts_; }
  /// The host's addresses changed.
  void read_addresses();

 private:
  [[nodiscard]] Result<std::string, io::IoError> open_one(const std::string& name, std::uint32_t mark,
                                                          std::vector<std::unique_ptr<XdpLane>>& lanes);
  std::vector<io::XdpFilter> filters_;
  std::vector<Fact> facts_;
};

}  // namespace culvert::datapath
