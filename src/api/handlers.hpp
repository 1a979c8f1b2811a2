// Handlers: what a daemon must be able to do for the control protocol. Server calls it, the daemon implements it.
#pragma once

#include <optional>
#include <string>

#include "api/schema.hpp"
#include "base/result.hpp"

namespace culvert::api {

/// So many entries has one answer; the next begins where it ended.
inline constexpr std::size_t kMostAtOnce = 500;

/// What GET /v1/status and GET /v1/tunnels ask for.
struct StatusWish {
  std::optional<std::string> tunnel;  // only the one of this name
  StatusPlace from;
  std::size_t limit = kMostAtOnce;  // of tunnels and their IKE SAs together
};

/// All calls come from the thread that runs the server's io_context, one at a time, and answer without waiting: `up`
/// begins, and whoever wants to know how it went asks `tunnel` again. Names are what the client sent: any text of 1 to
/// 255 octets without control characters.
class Handlers {
 public:
  virtual ~Handlers() = default;

  /// no_such_tunnel where one is wished that is not there.
  [[nodiscard]] virtual Result<Status, Error> status(const StatusWish& wish) = 0;
  /// With IKE SAs behind the one of id `from_sa`. no_such_tunnel where there is none of that name; so for all that
  /// follow.
  [[nodiscard]] virtual Result<TunnelStatus, Error> tunnel(const std::string& name, std::uint64_t from_sa) = 0;
  [[nodiscard]] virtual Result<TunnelList, Error> list(const StatusWish& wish) = 0;
  /// Begins an attempt; when the tunnel is up or connecting already, nothing happens. Answers with the state after
  /// that.
  [[nodiscard]] virtual Result<TunnelStatus, Error> up(const std::string& name) = 0;
  /// Ends the tunnel, or the attempt that is under way. An automatic tunnel stays down until `up` or a restart.
  [[nodiscard]] virtual Result<TunnelStatus, Error> down(const std::string& name) = 0;
  /// conflict when the tunnel is not up.
  [[nodiscard]] virtual Result<RekeyResult, Error> rekey(const std::string& name, const RekeyRequest& request) = 0;
  /// bad_request when that can be no gateway.
  [[nodiscard]] virtual Result<RedirectResult, Error> redirect(const std::string& name,
                                                               const RedirectRequest& request) = 0;
  /// Reads the configuration again; config_invalid with the problems when it is not whole, and then nothing changed.
  [[nodiscard]] virtual Result<ApplyResult, Error> apply(const ApplyRequest& request) = 0;

  /// By address, without the first `from`.
  [[nodiscard]] virtual Result<LeaseList, Error> leases(std::uint64_t from) = 0;
  /// The latest first.
  [[nodiscard]] virtual Result<FailureList, Error> failures() = 0;
  [[nodiscard]] virtual Result<ManualSaList, Error> manual_sas() = 0;
  /// config_invalid with the problems when the settings are wrong, conflict when a name, SPI or key is taken; answers
  /// with the new SA.
  [[nodiscard]] virtual Result<ManualSa, Error> add_sa(const AddRequest& request) = 0;
  /// not_found where there is none of that name, conflict where it stands in a file.
  [[nodiscard]] virtual Result<Removed, Error> remove_sa(const std::string& name) = 0;
  /// In the order in which they decide.
  [[nodiscard]] virtual Result<PolicyList, Error> policies() = 0;
  [[nodiscard]] virtual Result<PolicyList, Error> add_policy(const AddRequest& request) = 0;
  [[nodiscard]] virtual Result<Removed, Error> remove_policy(const std::string& name) = 0;
};

/// The usual error of the calls above.
[[nodiscard]] Error no_such_tunnel(const std::string& name);

}  // namespace culvert::api
