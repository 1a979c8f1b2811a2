#include "io/netlink_socket.hpp"

#include <errno.h>
#include <linux/netlink.h>

#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "base/check.hpp"

namespace culvert::io {

namespace {

// libnl folds errno into numbers of its own; the ones that matter to us go back.
int errno_of(int libnl_error) {
  switch (libnl_error < 0 ? -libnl_error : libnl_error) {
    case NLE_PERM:
    case NLE_NOACCESS: return EPERM;
    case NLE_EXIST: return EEXIST;
    case NLE_OBJ_NOTFOUND: return ENOENT;
    case NLE_NODEV: return ENODEV;
    case NLE_INVAL: return EINVAL;
    case NLE_AF_NOSUPPORT: return EAFNOSUPPORT;
    case NLE_PROTO_MISMATCH: return EPROTONOSUPPORT;
    case NLE_OPNOTSUPP: return EOPNOTSUPP;
    case NLE_NOADDR: return EADDRNOTAVAIL;
    case NLE_BUSY: return EBUSY;
    case NLE_NOMEM: return ENOMEM;
    default: return EIO;
  }
}

IoError netlink_error(const std::string& what, int libnl_error) {
  IoError error = system_error(what, errno_of(libnl_error));
  if (error.system_error == EIO) error.text = what + ": " + nl_geterror(libnl_error);
  return error;
}

int deliver(nl_msg* message, void* argument) {
  (*static_cast<const std::function<void(const nlmsghdr*)>*>(argument))(nlmsg_hdr(message));
  return NL_OK;
}

}  // namespace

const nlattr* find_attribute(const nlmsghdr* message, std::size_t header_size, int type) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): libnl only reads it, and does not say so
  return nlmsg_find_attr(const_cast<nlmsghdr*>(message), static_cast<int>(header_size), type);
}

NetlinkRequest::NetlinkRequest(int type, int flags) : message_(nlmsg_alloc_simple(type, NLM_F_REQUEST | flags)) {
  CHECK(message_ != nullptr);
}
NetlinkRequest::~NetlinkRequest() { nlmsg_free(message_); }

NetlinkRequest& NetlinkRequest::append(const void* data, std::size_t size) {
  CHECK(nlmsg_append(message_, const_cast<void*>(data), size, NLMSG_ALIGNTO) == 0);  // NOLINT: libnl copies
  return *this;
}
NetlinkRequest& NetlinkRequest::u8(int attribute, std::uint8_t value) {
  CHECK(nla_put_u8(message_, attribute, value) == 0);
  return *this;
}
NetlinkRequest& NetlinkRequest::u32(int attribute, std::uint32_t value) {
  CHECK(nla_put_u32(message_, attribute, value) == 0);
  return *this;
}
NetlinkRequest& NetlinkRequest::address(int attribute, const net::IpAddress& value) {
  CHECK(nla_put(message_, attribute, static_cast<int>(value.size()), value.bytes().data()) == 0);
  return *this;
}
NetlinkRequest& NetlinkRequest::begin_nested(int attribute) {
  open_.push_back(nla_nest_start(message_, attribute));
  CHECK(open_.back() != nullptr);
  return *this;
}
NetlinkRequest& NetlinkRequest::end_nested() {
  CHECK(!open_.empty() && nla_nest_end(message_, open_.back()) == 0);
  open_.pop_back();
  return *this;
}

void NetlinkSocket::Closer::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<NetlinkSocket, IoError> NetlinkSocket::open(int protocol) {
  std::unique_ptr<nl_sock, Closer> socket(nl_socket_alloc());
  if (!socket) return err(system_error("cannot make a netlink socket", ENOMEM));
  if (const int failed = nl_connect(socket.get(), protocol); failed < 0) {
    return err(netlink_error("cannot open netlink", failed));
  }
  return NetlinkSocket(std::move(socket));
}

Result<void, IoError> NetlinkSocket::request(NetlinkRequest& request, const std::string& what) {
  if (const int failed = nl_send_auto(socket_.get(), request.message_); failed < 0)
    return err(netlink_error(what, failed));
  if (const int failed = nl_wait_for_ack(socket_.get()); failed < 0) return err(netlink_error(what, failed));
  return {};
}

Result<void, IoError> NetlinkSocket::query(NetlinkRequest& request, const std::string& what,
                                           const std::function<void(const nlmsghdr*)>& each) {
  std::function<void(const nlmsghdr*)> copy = each;
  nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_CUSTOM, &deliver, &copy);
  int failed = nl_send_auto(socket_.get(), request.message_);
  if (failed >= 0) failed = nl_recvmsgs_default(socket_.get());
  // A single answer is followed by the acknowledgement that nl_send_auto asks for; a dump ends by itself.
  if (failed >= 0 && (nlmsg_hdr(request.message_)->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
    failed = nl_wait_for_ack(socket_.get());
  nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_DEFAULT, nullptr, nullptr);
  if (failed < 0) return err(netlink_error(what, failed));
  return {};
}

}  // namespace culvert::io
