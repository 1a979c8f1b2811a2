// NetlinkSocket and NetlinkRequest: a thin hold on libnl, which only this layer sees.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "io/error.hpp"
#include "net/address.hpp"

// NOLINTBEGIN(readability-identifier-naming): the names of the kernel and of libnl
struct nl_sock;
struct nl_msg;
struct nlattr;
struct nlmsghdr;
// NOLINTEND(readability-identifier-naming)

namespace culvert::io {

/// The first attribute of `type` behind the fixed structure of `header_size` octets; null when there is none.
[[nodiscard]] const nlattr* find_attribute(const nlmsghdr* message, std::size_t header_size, int type);

/// One message to the kernel. Attributes are appended in call order.
class NetlinkRequest {
 public:
  /// `type` is an RTM_ or XFRM_MSG_ number, `flags` NLM_F_ bits besides NLM_F_REQUEST.
  NetlinkRequest(int type, int flags);
  ~NetlinkRequest();
  NetlinkRequest(const NetlinkRequest&) = delete;
  NetlinkRequest& operator=(const NetlinkRequest&) = delete;

  /// The fixed structure that follows the netlink header (rtmsg, ifaddrmsg, ...).
  template <typename T>
  NetlinkRequest& body(const T& value) {
    return append(&value, sizeof value);
  }
  NetlinkRequest& u8(int attribute, std::uint8_t value);
  NetlinkRequest& u32(int attribute, std::uint32_t value);
  NetlinkRequest& address(int attribute, const net::IpAddress& value);
  /// An attribute that holds attributes: all that is appended until the matching `end_nested`.
  NetlinkRequest& begin_nested(int attribute);
  NetlinkRequest& end_nested();

 private:
  friend class NetlinkSocket;
  NetlinkRequest& append(const void* data, std::size_t size);
  nl_msg* message_;
  std::vector<nlattr*> open_;
};

/// Asks the kernel and waits for its answer. One thread.
class NetlinkSocket {
 public:
  /// `protocol` is NETLINK_ROUTE or another.
  [[nodiscard]] static Result<NetlinkSocket, IoError> open(int protocol);

  /// Sends and waits for the acknowledgement. The error's text begins with `what` ("cannot add the route ...").
  [[nodiscard]] Result<void, IoError> request(NetlinkRequest& request, const std::string& what);
  /// Sends a dump or a get and hands every answer to `each`.
  [[nodiscard]] Result<void, IoError> query(NetlinkRequest& request, const std::string& what,
                                            const std::function<void(const nlmsghdr*)>& each);

 private:
  struct Closer {
    void operator()(nl_sock* socket) const;
  };
  explicit NetlinkSocket(std::unique_ptr<nl_sock, Closer> socket) : socket_(std::move(socket)) {}
  std::unique_ptr<nl_sock, Closer> socket_;
};

}  // namespace culvert::io
