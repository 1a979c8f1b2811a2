#include "load/ike_load.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "crypto/random.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/key_exchange.hpp"
#include "ike/puzzle.hpp"
#include "ike/v2/ike_endpoint.hpp"
#include "io/clock.hpp"
#include "io/datagram_socket.hpp"
#include "io/poller.hpp"

namespace culvert::load {
namespace {

using ike::v2::IkeEndpoint;

constexpr std::size_t kReceiveBuffers = 64;
constexpr std::array<std::uint8_t, 4> kNonEspMarker{};  // RFC 3948 2.2

/// ESP SPIs of SAs that carry nothing: any will do.
class CountedSpis final : public ike::SpiAllocator {
 public:
  std::optional<model::Spi> allocate(std::optional<std::uint32_t> /*resource*/) override { return model::Spi(next_++); }
  void release(model::Spi /*spi*/) override {}
  std::optional<std::uint32_t> resource_of(model::ChildSaId /*child*/) const override { return std::nullopt; }

 private:
  std::uint32_t next_ = 256;  // RFC 4303 2.1: those below are reserved
};

/// The n-th address of a prefix.
net::IpAddress nth(const net::Prefix& prefix, std::size_t n) {
  auto octets = to_bytes(prefix.first().bytes());
  for (std::size_t at = octets.size(); at-- > 0 && n > 0;) {
    const std::size_t sum = octets[at] + (n & 0xff);
    octets[at] = static_cast<std::uint8_t>(sum);
    n = (n >> 8) + (sum >> 8);
  }
  return net::IpAddress::load(prefix.first().family(), octets.data());
}

class Run {
 public:
  Run(const IkeLoadOptions& options, io::DatagramSocket ike, io::DatagramSocket nat, io::Poller poller)
      : options_(options),
        ike_(std::move(ike)),
        nat_(std::move(nat)),
        poller_(std::move(poller)),
        buffers_(kReceiveBuffers),
        endpoint_(settings(options), random_, spis_),
        initiators_(options.initiators) {}

  IkeLoadResult all(const std::function<void(std::string_view)>& between) {
    IkeLoadResult result;
    configure();
    between("set-up");
    phase(result.set_up, [&](std::size_t n) {
      endpoint_.handle_command(
          ike::Initiate{.connection = id_of(n),
                        .path = {{options_.local, options_.ike_port}, {options_.peer, options_.ike_port}}},
          now_);
      return true;
    });
    if (options_.rekey) {
      between("rekey of the IKE SA");
      phase(result.rekey_ike, [&](std::size_t n) {
        if (!initiators_[n].ike_sa) return false;
        endpoint_.handle_command(ike::RekeyIkeSa{*initiators_[n].ike_sa}, now_);
        return true;
      });
      between("rekey of the Child SA");
      phase(result.rekey_child, [&](std::size_t n) {
        if (!initiators_[n].child) return false;
        endpoint_.handle_command(ike::RekeyChildSa{*initiators_[n].child}, now_);
        return true;
      });
    }
    if (options_.hold > Duration::zero()) {
      between("hold");
      hold(result.hold);
    }
    between("");
    result.retransmissions = endpoint_.counters().retransmissions;
    endpoint_.handle_command(ike::Shutdown{}, now_);
    drain();
    return result;
  }

 private:
  struct Initiator {
    std::optional<model::IkeSaId> ike_sa;
    std::optional<model::ChildSaId> child;
    Instant begun;
    bool under_way = false;
  };

  static ike::EndpointSettings settings(const IkeLoadOptions& options) {
    ike::EndpointSettings made;
    made.ike_port = options.ike_port;
    made.nat_port = options.nat_port;
    return made;
  }
  static model::ConnectionId id_of(std::size_t n) { return model::ConnectionId(static_cast<std::uint32_t>(n + 1)); }

  void configure() {
    now_ = io::MonotonicClock::now();
    for (std::size_t n = 0; n < options_.initiators; ++n) {
      model::ConnectionConfig config;
      config.id = id_of(n);
      config.peer = options_.peer;
      config.local_id = model::Identity::parse(fmt::format(fmt::runtime(options_.local_id), n));
      if (!options_.remote_id.empty()) config.remote_id = model::Identity::parse(options_.remote_id);
      config.ike_proposals = options_.ike_proposals;
      config.esp_proposals = options_.esp_proposals;
      config.local = {model::TrafficSelector::of(net::AddressRange::of(nth(options_.inner, n)))};
      if (options_.request_address) {
        config.request_addresses = {options_.inner.address.family()};
        config.local = {model::TrafficSelector::of(net::AddressRange::all(options_.inner.address.family()))};
      }
      config.remote = {model::TrafficSelector::of(options_.remote)};
      config.encapsulation = model::EncapsulationPolicy::esp;  // no NAT is pretended, so the ports stay
      config.liveness_interval = Duration::zero();
      if (!options_.credentials.empty()) {
        config.authentication = model::Authentication::certificate;
        config.authorities = options_.authorities;
      }
      endpoint_.handle_command(ike::ConfigureConnection{std::move(config)}, now_);
    }
  }

  /// Begins one initiator after the other, never more than `at_once` under way, until each is done or has failed.
  template <typename Begin>
  void phase(IkeLoadPhase& phase, Begin begin) {
    phase_ = &phase;
    under_way_ = 0;
    std::size_t next = 0;
    const Instant start = now_ = last_ = io::MonotonicClock::now();
    while (next < initiators_.size() || under_way_ > 0) {
      while (next < initiators_.size() && under_way_ < options_.at_once) {
        const std::size_t n = next++;
        initiators_[n].begun = io::MonotonicClock::now();
        if (!begin(n)) continue;
        initiators_[n].under_way = true;
        ++under_way_;
        drain();
      }
      wait_and_receive();
      if (now_ - last_ > options_.patience) {
        phase.failures["no answer in time"] += under_way_ + (initiators_.size() - next);
        break;
      }
    }
    phase.seconds = std::chrono::duration<double>(last_ - start).count();
    std::ranges::sort(phase.milliseconds);
  }

  /// Nothing is begun any more; all that stand go on.
  void hold(IkeLoadPhase& phase) {
    const Instant start = now_ = io::MonotonicClock::now();
    while (now_ - start < options_.hold) wait_and_receive();
    phase.seconds = std::chrono::duration<double>(now_ - start).count();
    for (const Initiator& one : initiators_) {
      if (one.ike_sa) {
        ++phase.done;
      } else {
        ++phase.failures["ended"];
      }
    }
  }

  void finished(model::ConnectionId connection, const std::string& failure) {
    Initiator& one = initiators_[connection.value() - 1];
    if (!std::exchange(one.under_way, false)) return;
    --under_way_;
    last_ = io::MonotonicClock::now();
    if (!failure.empty()) {
      ++phase_->failures[failure];
      return;
    }
    ++phase_->done;
    phase_->milliseconds.push_back(std::chrono::duration<double, std::milli>(last_ - one.begun).count());
  }

  void wait_and_receive() {
    const auto due = endpoint_.poll_timeout();
    constexpr Duration kLongest = std::chrono::milliseconds(100);
    const Duration wait = due ? std::clamp(*due - now_, Duration::zero(), kLongest) : kLongest;
    (void)poller_.wait(wait);
    now_ = io::MonotonicClock::now();
    for (const io::DatagramSocket* socket : {&ike_, &nat_}) {
      for (const io::ReceivedMessage& message : socket->receive(buffers_).messages) take(message, socket == &nat_);
    }
    if (const auto timeout = endpoint_.poll_timeout(); timeout && *timeout <= now_) endpoint_.handle_timeout(now_);
    drain();
  }

  void take(const io::ReceivedMessage& message, bool marked) {
    ByteView bytes = message.bytes;
    if (marked) {
      if (bytes.size() < kNonEspMarker.size() || !equal(bytes.first(kNonEspMarker.size()), kNonEspMarker)) return;
      bytes = bytes.subspan(kNonEspMarker.size());
    }
    endpoint_.handle_datagram(message.path, bytes, now_);
    drain();
  }

  void drain() {
    for (bool more = true; more;) {
      more = false;
      while (auto event = endpoint_.poll_event()) std::visit([this](const auto& one) { note(one); }, *event);
      while (auto request = endpoint_.poll_request()) {
        more = true;
        const ike::RequestToken token = token_of(*request);
        endpoint_.handle_completion(
            token,
            std::visit([this](auto&& one) { return answer(std::forward<decltype(one)>(one)); }, std::move(*request)),
            now_);
      }
    }
    while (const auto sent = endpoint_.poll_transmit()) {
      const bool marked = sent->path.local.port == options_.nat_port;
      const std::array<ByteView, 2> parts{marked ? ByteView(kNonEspMarker) : ByteView(), sent->message};
      // What the kernel does not take is retransmitted, as if it was lost.
      (void)(marked ? nat_ : ike_).send_one(sent->path, 0, parts);
    }
  }

  ike::Completion answer(ike::KeyExchangeRequest request) { return carry_out(std::move(request), random_); }
  ike::Completion answer(const ike::SharedKeyMacRequest& request) const {
    return ike::SharedKeyMacResult{
        ike::auth::shared_key_mac(*model::prf_function(request.prf), options_.secret.view(), request.octets)};
  }
  ike::Completion answer(const ike::SignRequest& request) const { return carry_out(request, held(request.connection)); }
  ike::Completion answer(const ike::VerifyRequest& request) const {
    return carry_out(request, held(request.connection), io::wall_clock().seconds);
  }
  static ike::Completion answer(const ike::PuzzleRequest& request) { return carry_out(request); }
  static ike::Completion answer(const ike::PpkRequest&) { return ike::PpkResult{}; }  // nor with one of these
  static ike::Completion answer(const ike::EapRequest&) { return ike::EapResult{}; }  // no initiator is made with it
  static ike::Completion answer(const ike::AddressRequest& /*request*/) {
    return ike::AddressResult{err(std::string("there are no pools here"))};
  }
  [[nodiscard]] const ike::v2::Credentials& held(model::ConnectionId connection) const {
    return options_.credentials[connection.value() - 1];
  }

  void note(const ike::IkeSaEstablished& event) {
    initiators_[event.connection.value() - 1].ike_sa = event.ike_sa;
    if (event.replaces) finished(event.connection, {});
  }
  void note(const ike::ChildSaEstablished& event) {
    initiators_[event.params.connection.value() - 1].child = event.params.id;
    finished(event.params.connection, {});
  }
  void note(const ike::NegotiationFailed& event) {
    if (!event.connection) return;
    finished(*event.connection, event.notify ? fmt::format("{} ({})", name_of(event.kind), name_of(*event.notify))
                                             : std::string(name_of(event.kind)));
  }
  void note(const ike::IkeSaClosed& event) {
    Initiator& one = initiators_[event.connection.value() - 1];
    if (one.ike_sa != event.ike_sa) return;
    one.ike_sa.reset();
    one.child.reset();
    finished(event.connection, fmt::format("closed: {}", name_of(event.reason)));
  }
  template <typename Other>
  void note(const Other& /*event*/) {}

  const IkeLoadOptions& options_;
  io::DatagramSocket ike_;
  io::DatagramSocket nat_;
  io::Poller poller_;
  io::ReceiveBuffers buffers_;
  crypto::SystemRandom random_;
  CountedSpis spis_;
  IkeEndpoint endpoint_;
  std::vector<Initiator> initiators_;
  IkeLoadPhase* phase_ = nullptr;
  std::size_t under_way_ = 0;
  Instant now_{};
  Instant last_{};
};

}  // namespace

double IkeLoadPhase::percentile(double part) const {
  if (milliseconds.empty()) return 0;
  const auto last = static_cast<double>(milliseconds.size() - 1);
  return milliseconds[static_cast<std::size_t>(std::lround(std::clamp(part, 0.0, 1.0) * last))];
}

Result<IkeLoadResult, std::string> run_ike_load(const IkeLoadOptions& options,
                                                const std::function<void(std::string_view)>& between) {
  const auto open = [&](std::uint16_t port) { return io::DatagramSocket::open_udp({.local = {options.local, port}}); };
  auto ike = open(options.ike_port);
  if (!ike) return err(ike.error().text);
  auto nat = open(options.nat_port);
  if (!nat) return err(nat.error().text);
  auto poller = io::Poller::open();
  if (!poller) return err(poller.error().text);
  for (const int fd : {ike->fd(), nat->fd()}) {
    if (const auto added = poller->add(fd, 0); !added) return err(added.error().text);
  }
  return Run(options, std::move(*ike), std::move(*nat), std::move(*poller)).all(between);
}

}  // namespace culvert::load
