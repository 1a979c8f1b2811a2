// Preloaded into user-mode Linux, so that it runs on CPUs with AMX tiles.
//
// User-mode Linux keeps its processes' extended register state in 2,696 octets, enough up to AVX-512. Where the CPU has
// more, Linux refuses to set part of that state (EFAULT), and the guest ends at its first process. Here such a part is
// laid over the whole, which is read first; what lies behind it belongs to features that the guest never switches on.
#include <cerrno>
#include <cstdarg>
#include <cstring>

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr long kXstate = 0x202;  // NT_X86_XSTATE of elf.h

long set_part(long pid, const iovec& part) {
  alignas(64) static unsigned char whole[64 * 1024];  // user-mode Linux has one thread that traces
  iovec all{whole, sizeof whole};
  if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, kXstate, &all) != 0 || all.iov_len < part.iov_len) {
    errno = EFAULT;
    return -1;
  }
  std::memcpy(whole, part.iov_base, part.iov_len);
  return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, kXstate, &all);
}

}  // namespace

extern "C" long ptrace(__ptrace_request request, ...) noexcept {
  va_list rest;
  va_start(rest, request);
  const long pid = va_arg(rest, long);
  void* const address = va_arg(rest, void*);
  void* const data = va_arg(rest, void*);
  va_end(rest);

  // The system call stores a peeked word where the C function returns it.
  const bool peeks = request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER;
  long word = 0;
  const long result = syscall(SYS_ptrace, request, pid, address, peeks ? static_cast<void*>(&word) : data);
  if (result == -1 && errno == EFAULT && request == PTRACE_SETREGSET && reinterpret_cast<long>(address) == kXstate) {
    return set_part(pid, *static_cast<const iovec*>(data));
  }
  return peeks && result == 0 ? word : result;
}
