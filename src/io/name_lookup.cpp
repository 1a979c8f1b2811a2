#include "io/name_lookup.hpp"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <netdb.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "io/socket_address.hpp"

namespace culvert::io {
namespace {

NameAnswer ask(const std::string& name) {
  NameAnswer answer;
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (const int failed = ::getaddrinfo(name.c_str(), nullptr, &hints, &list); failed != 0) {
    answer.error = ::gai_strerror(failed);
    return answer;
  }
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    sockaddr_storage storage{};
    __builtin_memcpy(&storage, one->ai_addr, std::min<std::size_t>(one->ai_addrlen, sizeof storage));
    const net::IpAddress address = from_sockaddr(storage).address;
    if (std::ranges::find(answer.addresses, address) == answer.addresses.end()) answer.addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  if (answer.addresses.empty()) answer.error = "it has no address";
  return answer;
}

/// What the threads write to; it lives as long as the last of them.
struct Board {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::optional<NameAnswer>> answers;
};

}  // namespace

std::vector<NameAnswer> look_up(const std::vector<std::string>& names, std::chrono::milliseconds patience) {
  const auto board = std::make_shared<Board>();
  board->answers.resize(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::thread([board, i, name = names[i]] {
      NameAnswer answer = ask(name);
      const std::scoped_lock lock(board->mutex);
      board->answers[i] = std::move(answer);
      board->changed.notify_all();
    }).detach();
  }
  std::unique_lock lock(board->mutex);
  (void)board->changed.wait_for(lock, patience, [&] {
    return std::ranges::all_of(board->answers, [](const auto& answer) { return answer.has_value(); });
  });
  std::vector<NameAnswer> out;
  for (const auto& answer : board->answers) {
    out.push_back(answer.value_or(NameAnswer{
        {}, fmt::format("no answer within {} s", std::chrono::ceil<std::chrono::seconds>(patience).count())}));
  }
  return out;
}

}  // namespace culvert::io
