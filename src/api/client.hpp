// Client: the control protocol from the other end, one blocking call per request.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "api/schema.hpp"
#include "base/result.hpp"

namespace culvert::api {

/// How a call failed: `unreachable` before an answer (no daemon, no permission, silence), else what the daemon said.
struct CallError {
  bool unreachable = false;
  Error error;
};

template <typename T>
using Answer = Result<T, CallError>;

class Client {
 public:
  explicit Client(std::filesystem::path socket, std::chrono::milliseconds timeout = std::chrono::seconds(10))
      : socket_(std::move(socket)), timeout_(timeout) {}

  /// Calls `visit` with one answer after the other until all tunnels, or all of the one, were in them: the first has
  /// everything else as well. A tunnel with very many IKE SAs may be at the end of one answer and go on in the next.
  /// What it answers is the last answer's error, if any.
  [[nodiscard]] Answer<void> each_status(const std::optional<std::string>& tunnel,
                                         const std::function<void(Status)>& visit) const;
  /// All in one.
  [[nodiscard]] Answer<Status> status() const;
  /// With the first of its IKE SAs, as `up` and `down` answer, too; each_status has them all.
  [[nodiscard]] Answer<TunnelStatus> tunnel(const std::string& name) const;
  [[nodiscard]] Answer<TunnelList> list() const;
  [[nodiscard]] Answer<TunnelStatus> up(const std::string& name) const;
  [[nodiscard]] Answer<TunnelStatus> down(const std::string& name) const;
  [[nodiscard]] Answer<RekeyResult> rekey(const std::string& name, const RekeyRequest& request) const;
  [[nodiscard]] Answer<RedirectResult> redirect(const std::string& name, const RedirectRequest& request) const;
  [[nodiscard]] Answer<ApplyResult> apply(const ApplyRequest& request) const;
  [[nodiscard]] Answer<LeaseList> leases() const;
  [[nodiscard]] Answer<FailureList> failures() const;
  [[nodiscard]] Answer<ManualSaList> manual_sas() const;
  [[nodiscard]] Answer<ManualSa> add_sa(const AddRequest& request) const;
  [[nodiscard]] Answer<Removed> remove_sa(const std::string& name) const;
  [[nodiscard]] Answer<PolicyList> policies() const;
  [[nodiscard]] Answer<PolicyList> add_policy(const AddRequest& request) const;
  [[nodiscard]] Answer<Removed> remove_policy(const std::string& name) const;
  struct LogQuery {
    std::optional<std::uint64_t> after;
    std::size_t limit = 100;
    std::string tunnel;
    std::chrono::seconds wait{0};
  };
  [[nodiscard]] Answer<LogPage> log(const LogQuery& query) const;

  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }

 private:
  /// The body of the answer, as JSON text.
  [[nodiscard]] Answer<std::string> call(const std::string& method, const std::string& target, const std::string& body,
                                         std::chrono::milliseconds extra = {}) const;

  std::filesystem::path socket_;
  std::chrono::milliseconds timeout_;
};

}  // namespace culvert::api
