// XdpFilter: takes ESP that is for this host off an interface, before the kernel's IP layer sees it, and hands it to
// AF_XDP sockets. Everything else, fragments, packets with IP options and extension headers included, goes on as
// before. It is gone with the process, however that ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/file_descriptor.hpp"
#include "net/address.hpp"

namespace culvert::io {

class XdpFilter {
 public:
  /// ESP to further addresses goes by the kernel.
  static constexpr std::size_t kMostAddresses = 8;  // of each family

  /// Attaches to the interface, with room for sockets at its first `queues` receive queues. Nothing is taken before
  /// addresses and sockets are there. Needs CAP_NET_ADMIN and CAP_BPF; Linux 5.9 or later.
  [[nodiscard]] static Result<XdpFilter, IoError> attach(unsigned interface_index, const std::string& name,
                                                         std::uint32_t queues);
  ~XdpFilter();
  XdpFilter(XdpFilter&& other) noexcept;
  XdpFilter& operator=(XdpFilter&&) = delete;

  /// Whose ESP is taken. Any thread, while packets come.
  void set_addresses(const std::vector<net::IpAddress>& addresses);
  /// What comes in at the queue goes to the AF_XDP socket, which is bound to it.
  [[nodiscard]] Result<void, IoError> add_socket(std::uint32_t queue, int socket);

 private:
  XdpFilter() = default;
  [[nodiscard]] Result<void, IoError> make_maps(std::uint32_t queues);
  [[nodiscard]] Result<void, IoError> load();
  [[nodiscard]] Result<void, IoError> link(unsigned interface_index, const std::string& name);

  FileDescriptor addresses_;
  FileDescriptor sockets_;
  FileDescriptor program_;
  FileDescriptor link_;
  void* own_ = nullptr;  // the map of addresses, as memory
};

}  // namespace culvert::io
