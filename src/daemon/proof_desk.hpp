// ProofDesk: requests about proofs for which something may have to be fetched first: revocation of the peer's
// certificates, certificates by URL, an OCSP response about our own. They are examined on the work pool, what is
// missing is fetched on threads of its own, and they are examined again; other requests never wait for them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/fetch_pool.hpp"
#include "daemon/work_pool.hpp"
#include "ike/face.hpp"
#include "ike/v2/credentials.hpp"

namespace culvert::daemon {

class ProofDesk {
 public:
  using SharedCredentials = std::shared_ptr<const ike::v2::Credentials>;
  /// Has the work computed, and its answer given to `taken`.
  using Compute = std::function<void(ike::RequestToken, WorkPool::Work)>;
  /// A sentence worth a line in the log.
  using Tell = std::function<void(std::string)>;

  ProofDesk(boost::asio::io_context& io, std::filesystem::path folder, Compute compute, Tell tell);
  ~ProofDesk();
  ProofDesk(const ProofDesk&) = delete;
  ProofDesk& operator=(const ProofDesk&) = delete;

  /// True when the request is one for the desk; others may be computed at once.
  [[nodiscard]] static bool concerns(const ike::VerifyRequest& request, const SharedCredentials& credentials);
  [[nodiscard]] static bool concerns(const ike::SignRequest& request, const SharedCredentials& credentials);
  void begin(ike::VerifyRequest request, SharedCredentials credentials);
  void begin(ike::SignRequest request, SharedCredentials credentials);

  /// An answer has come of `compute`: true when the desk keeps it, for there is something to be fetched.
  [[nodiscard]] bool keeps(const WorkPool::Answer& answer);

 private:
  /// Shared with the work under way, which alone writes `wishes` and `notes` then.
  struct Check {
    std::variant<ike::VerifyRequest, ike::SignRequest> request;
    SharedCredentials credentials;
    bool last = false;
    std::vector<ike::v2::FetchWish> wishes;
    std::vector<std::string> notes;
  };
  struct Waiting {
    std::shared_ptr<Check> check;
    std::size_t outstanding = 0;  // fetches
    std::unique_ptr<boost::asio::steady_timer> deadline;
    bool late = false;
    bool computing = false;
  };
  void begin(ike::RequestToken token, std::shared_ptr<Check> check, std::chrono::milliseconds patience);
  void examine(ike::RequestToken token, Waiting& waiting);
  void fetch(ike::RequestToken token, Waiting& waiting);
  [[nodiscard]] bool open_pool();
  void wait_for_fetches();
  void take(const FetchPool::Answer& answer);

  boost::asio::io_context& io_;
  std::filesystem::path folder_;
  Compute compute_;
  Tell tell_;
  std::shared_ptr<const ike::v2::Evidence> evidence_;
  std::map<ike::RequestToken, Waiting> waiting_;
  std::map<std::string, std::vector<ike::RequestToken>> under_way_;  // by the name of the fetch
  std::unique_ptr<FetchPool> pool_;                                  // once there is something to be fetched
  boost::asio::posix::stream_descriptor ready_;
};

}  // namespace culvert::daemon
