#include "tests/sim/sim_data_plane.hpp"

#include <algorithm>

namespace culvert::sim {
namespace {

// Small tables: a run has a handful of SAs, and thousands of engines are made.
ipsec::EngineOptions engine_options() {
  ipsec::EngineOptions options;
  options.spi_layout.slot_bits = 7;
  options.flow_cache_entries = 64;
  return options;
}

}  // namespace

SimDataPlane::SimDataPlane(Side side, const EventQueue& queue, WireMonitor& monitor, RandomSource& random,
                           DataPlaneOutputs outputs)
    : side_(side),
      queue_(queue),
      monitor_(monitor),
      spis_(engine_options().spi_layout, random),
      engine_(engine_options(), random),
      outputs_(std::move(outputs)),
      region_(ipsec::kMinWireRegion) {}

Result<void, ipsec::DataPlaneError> SimDataPlane::install(model::ChildSaParams params) {
  monitor_.installed(side_, params);
  const model::ChildSaId id = params.id;
  const model::Spi spi = params.spi_inbound;
  auto result = engine_.install(std::move(params), queue_.now());
  if (!result) {
    monitor_.removed(side_, id);
    spis_.release(spi);
  }
  return result;
}

void SimDataPlane::use_outbound(model::ChildSaId child) { engine_.use_outbound(child); }

void SimDataPlane::remove(model::ChildSaId child, Duration linger) {
  engine_.remove(child, linger, queue_.now());
  monitor_.removed(side_, child);
}

void SimDataPlane::update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation) {
  engine_.update_path(child, path, encapsulation);
}

void SimDataPlane::set_policies(std::vector<ipsec::Policy> policies) { engine_.set_policies(std::move(policies)); }

std::optional<model::Spi> SimDataPlane::allocate() {
  const auto spi = spis_.allocate();
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
