#include "tests/sim/sim_data_plane.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "net/packet.hpp"

namespace culvert::sim {
namespace {

// Small tables: a run has a handful of SAs, and thousands of engines are made.
ipsec::EngineOptions engine_options(ipsec::EarlyPackets* early = nullptr) {
  ipsec::EngineOptions options;
  options.early_packets = early;
  options.spi_layout.slot_bits = 7;
  options.flow_cache_entries = 64;
  return options;
}

}  // namespace

SimDataPlane::SimDataPlane(Side side, const EventQueue& queue, WireMonitor& monitor, RandomSource& random,
                           std::uint32_t workers, DataPlaneOutputs outputs)
    : side_(side),
      queue_(queue),
      monitor_(monitor),
      spis_(engine_options().spi_layout, random),
      early_(engine_options().spi_layout),
      engine_(engine_options(&early_), random),
      outputs_(std::move(outputs)),
      region_(ipsec::kMinWireRegion),
      asked_(workers) {}

Result<model::Spi, ipsec::DataPlaneError> SimDataPlane::allocate_spi(std::optional<std::uint32_t> resource) {
  auto spi = spis_.allocate();
  if (!spi) return spi;
  early_.expect(*spi);
  spi_workers_.erase(*spi);
  if (resource) {
    CHECK(*resource < asked_.size());
    spi_workers_[*spi] = *resource;
  }
  return spi;
}

Result<void, ipsec::DataPlaneError> SimDataPlane::install(model::ChildSaParams params) {
  monitor_.installed(side_, params);
  const model::ChildSaId id = params.id;
  const model::Spi spi = params.spi_inbound;
  // The SPI leads the packets to the worker that has the pair.
  const auto worker = spi_workers_.find(spi);
  CHECK((worker == spi_workers_.end() ? std::nullopt : std::optional(worker->second)) == params.resource);
  Standing standing{params.connection, params.resource, params.per_resource, params.local, params.remote};
  auto result = engine_.install(std::move(params), queue_.now());
  if (!result) {
    monitor_.removed(side_, id);
    release(spi);
  } else {
    standing_.insert_or_assign(id, std::move(standing));
  }
  return result;
}

void SimDataPlane::use_outbound(model::ChildSaId child) { engine_.use_outbound(child); }

void SimDataPlane::remove(model::ChildSaId child, Duration linger) {
  standing_.erase(child);
  engine_.remove(child, linger, queue_.now());
  monitor_.removed(side_, child);
}

void SimDataPlane::update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation) {
  engine_.update_path(child, path, encapsulation);
}

void SimDataPlane::set_policies(std::vector<ipsec::Policy> policies) {
  policies_ = policies;
  engine_.set_policies(std::move(policies));
}

std::optional<ipsec::DataPlaneEvent> SimDataPlane::poll_event() {
  if (auto event = engine_.poll_event()) return event;
  if (events_.empty()) return std::nullopt;
  std::optional<ipsec::DataPlaneEvent> event(std::move(events_.front()));
  events_.pop_front();
  return event;
}

// RFC 9611 6: at most once a second for each worker.
void SimDataPlane::ask_for_worker(ByteView packet) {
  const auto worker = static_cast<std::uint32_t>(packets_++ % asked_.size());
  const auto parsed = net::parse_packet(packet);
  if (asked_.size() < 2 || !parsed) return;
  const net::PacketInfo& info = *parsed;
  const auto carries = [&](const Standing& one) {
    return std::ranges::any_of(one.local, [&](const auto& s) { return s.addresses.contains(info.source); }) &&
           std::ranges::any_of(one.remote, [&](const auto& s) { return s.addresses.contains(info.destination); });
  };
  const Standing* open = nullptr;
  for (const auto& [id, one] : standing_) {
    if (!carries(one)) continue;
    if (one.resource == worker) return;
    if (one.per_resource) open = &one;
  }
  if (open == nullptr || (asked_[worker] && queue_.now() - *asked_[worker] < std::chrono::seconds(1))) return;
  const auto policy = std::ranges::find(policies_, open->connection, &ipsec::Policy::connection);
  if (policy == policies_.end()) return;
  asked_[worker] = queue_.now();
  events_.emplace_back(ipsec::Acquire{policy->id, open->connection, info, policy->local, policy->remote, worker});
}

std::optional<model::Spi> SimDataPlane::allocate(std::optional<std::uint32_t> resource) {
  const auto spi = allocate_spi(resource);
  if (!spi) return std::nullopt;
  return *spi;
}

void SimDataPlane::send_inner(ByteView packet, std::optional<InnerId> id) {
  Bytes buffer(ipsec::kInnerHeadroom + packet.size() + ipsec::kInnerTailroom);
  std::ranges::copy(packet, buffer.begin() + static_cast<std::ptrdiff_t>(ipsec::kInnerHeadroom));
  const ipsec::InnerPacket inner{MutableByteView(buffer).subspan(ipsec::kInnerHeadroom, packet.size()), {}};
  sending_ = id;
  engine_.outbound({&inner, 1}, queue_.now(), *this);
  sending_.reset();
  ask_for_worker(packet);
}

void SimDataPlane::receive(const net::Path& path, model::Encapsulation encapsulation, Bytes bytes) {
  const ipsec::WireInput input{
      .path = path, .encapsulation = encapsulation, .tos = 0, .segment_size = 0, .bytes = bytes};
  engine_.inbound({&input, 1}, queue_.now(), *this);
  for (const auto& [from, message] : std::exchange(ike_messages_, {})) outputs_.ike(from, message);
}

void SimDataPlane::handle_time() {
  engine_.handle_time(queue_.now(), *this);
  engine_.release(queue_.now(), *this);
  for (const model::Spi spi : engine_.take_released_spis()) spis_.release(spi);
}

void SimDataPlane::send(std::span<const ipsec::WireTrain> trains) {
  for (const ipsec::WireTrain& train : trains) {
    for (std::size_t at = 0; at < train.bytes.size(); at += train.segment_size) {
      const std::size_t size = std::min<std::size_t>(train.segment_size, train.bytes.size() - at);
      outputs_.esp(train.path, train.encapsulation, train.bytes.subspan(at, size), sending_);
    }
  }
}

void SimDataPlane::deliver(std::span<const ipsec::InnerPacket> packets) {
  for (const ipsec::InnerPacket& packet : packets) outputs_.inner(packet.bytes);
}

void SimDataPlane::ike_message(const net::Path& path, ByteView message) {
  ike_messages_.emplace_back(path, to_bytes(message));
}

}  // namespace culvert::sim
