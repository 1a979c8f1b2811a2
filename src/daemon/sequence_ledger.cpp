#include "daemon/sequence_ledger.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "crypto/prf.hpp"
#include "io/file_descriptor.hpp"

namespace culvert::daemon {
namespace {

// The file: this line, "FINGERPRINT LAST" for each key, and "sum SHA-256" of all lines before.
constexpr std::string_view kTitle = "culvert manual-sequences 1\n";
constexpr std::size_t kFileLimit = std::size_t{16} * 1024 * 1024;
constexpr int kLockTries = 100;
constexpr auto kLockPause = std::chrono::milliseconds(10);

using Used = std::map<std::string, std::uint64_t, std::less<>>;

std::string sum_of(std::string_view text) { return to_hex(crypto::hash(crypto::HashId::sha2_256, {as_bytes(text)})); }

std::string text_of(const Used& used) {
  std::string text(kTitle);
  for (const auto& [print, last] : used) text += fmt::format("{} {}\n", print, last);
  return text + fmt::format("sum {}\n", sum_of(text));
}

std::optional<Used> parse(std::string_view text) {
  const std::size_t last_line = text.rfind("sum ");
  if (!text.starts_with(kTitle) || last_line == std::string_view::npos || !text.ends_with('\n')) return std::nullopt;
  if (text.substr(last_line) != fmt::format("sum {}\n", sum_of(text.substr(0, last_line)))) return std::nullopt;
  Used used;
  std::string_view rest = text.substr(kTitle.size(), last_line - kTitle.size());
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::size_t blank = rest.find(' ');
    if (end == std::string_view::npos || blank >= end) return std::nullopt;
    const auto last = parse_decimal(rest.substr(blank + 1, end - blank - 1));
    if (!last || !used.emplace(rest.substr(0, blank), *last).second) return std::nullopt;
    rest.remove_prefix(end + 1);
  }
  return used;
}

std::string failure(std::string_view what, const std::filesystem::path& path, int error) {
  return fmt::format(
      "cannot {} {}: {}; make the folder writable for culvertd, or name another one with --state or "
      "[daemon] state",
      what, path.string(), std::strerror(error));
}

/// Keeps other daemons out as long as it is open.
Result<io::FileDescriptor, std::string> lock(const std::filesystem::path& path) {
  io::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return err(failure("open", path, errno));
  for (int i = 0; i < kLockTries; ++i) {
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
    std::this_thread::sleep_for(kLockPause);
  }
  return err(fmt::format("{} is held by another process: end it", path.string()));
}

Result<Used, std::string> read(const std::filesystem::path& path) {
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) {
    if (errno == ENOENT) return Used{};
    return err(failure("read", path, errno));
  }
  std::string text(4096, '\0');
  std::size_t length = 0;
  for (;;) {
    const ssize_t got = ::read(file.get(), text.data() + length, text.size() - length);
    if (got < 0) return err(failure("read", path, errno));
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
    if (length > kFileLimit) break;
    if (length == text.size()) text.resize(2 * text.size());
  }
  text.resize(length);
  auto used = parse(text);
  if (!used) {
    return err(
        fmt::format("{} is damaged, so nobody knows which numbers its keys have used; give all manual SAs new "
                    "keys, then remove the file",
                    path.string()));
  }
  return std::move(*used);
}

/// 0, or an errno. On 0 the text is on stable storage, and under its name.
int replace(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path fresh = path.string() + ".new";
  const io::FileDescriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return errno;
  while (!text.empty()) {
    const ssize_t wrote = ::write(file.get(), text.data(), text.size());
    if (wrote <= 0) return wrote < 0 ? errno : EIO;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (::fsync(file.get()) != 0) return errno;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return errno;
  const io::FileDescriptor folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return errno;
  return 0;
}

using Reserved = SequenceLedger::Reserved;

/// The request's block out of what is known, which then knows it too.
Reserved take(const control::ReserveSequence& request, Used& used, const std::filesystem::path& file) {
  std::uint64_t& last = used[to_hex(request.fingerprint)];
  if (request.follows && *request.follows != last) {
    return err(
        fmt::format("its key is in use by somebody else too, who reserved numbers up to {} in {}; give each SA a "
                    "key of its own",
                    last, file.string()));
  }
  if (last >= request.last) return control::SequenceReservation{last, last};
  const control::SequenceReservation reservation{last, last + std::min(request.block, request.last - last)};
  last = reservation.granted;
  return reservation;
}

/// The folder, made where it is missing, and its file under lock.
Result<io::FileDescriptor, std::string> lock_folder(const std::filesystem::path& folder,
                                                    const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) return err(failure("make the folder", folder, error.value()));
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  return lock(file.string() + ".lock");
}

}  // namespace

std::vector<Reserved> SequenceLedger::reserve(std::span<const control::ReserveSequence> requests) const {
  const auto all_fail = [&](const std::string& why) { return std::vector<Reserved>(requests.size(), err(why)); };
  const auto held = lock_folder(folder_, file());
  if (!held) return all_fail(held.error());
  auto used = read(file());
  if (!used) return all_fail(used.error());
  std::vector<Reserved> answers;
  answers.reserve(requests.size());
  bool changed = false;
  for (const control::ReserveSequence& request : requests) {
    answers.push_back(take(request, *used, file()));
    changed = changed || (answers.back() && answers.back()->granted != answers.back()->used);
  }
  if (!changed) return answers;
  if (const int problem = replace(file(), text_of(*used)); problem != 0)
    return all_fail(failure("write", file(), problem));
  return answers;
}

}  // namespace culvert::daemon
