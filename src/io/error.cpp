#include "io/error.hpp"

#include <system_error>

#include <errno.h>

namespace culvert::io {

namespace {

IoErrorCode code_of(int number) {
  switch (number) {
    case EPERM:
    case EACCES: return IoErrorCode::not_permitted;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOPROTOOPT:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT: return IoErrorCode::not_supported;
    case EADDRINUSE: return IoErrorCode::address_in_use;
    case EADDRNOTAVAIL: return IoErrorCode::address_unavailable;
    case ENETUNREACH:
    case EHOSTUNREACH: return IoErrorCode::unreachable;
    case EINVAL: return IoErrorCode::invalid;
    default: return IoErrorCode::system;
  }
}

}  // namespace

std::string errno_text(int system_error) { return std::generic_category().message(system_error); }

IoError system_error(const std::string& what, int system_error) {
  IoError error{code_of(system_error), system_error, what + ": " + errno_text(system_error)};
  if (error.code == IoErrorCode::not_permitted)
    error.text += " (it needs CAP_NET_ADMIN: run as root or by the systemd unit)";
  return error;
}

}  // namespace culvert::io
