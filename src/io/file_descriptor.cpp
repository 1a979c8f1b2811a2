#include "io/file_descriptor.hpp"

#include <unistd.h>

namespace culvert::io {

void FileDescriptor::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace culvert::io
