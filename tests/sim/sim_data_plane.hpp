// SimDataPlane: the real ESP engine behind the DataPlane interface, in the caller's turn instead of a worker's. Where
// there are to be several workers it makes their events (RFC 9611): packets come to them in turn, and one without a
// pair of its own asks for it. What carries a packet is the engine's choice all the same.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/random.hpp"
#include "ike/face.hpp"
#include "ipsec/data_plane.hpp"
#include "ipsec/early_packets.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/spi_allocator.hpp"
#include "tests/sim/event_queue.hpp"
#include "tests/sim/packet.hpp"
#include "tests/sim/wire_monitor.hpp"

namespace culvert::sim {

/// Where the data plane's packets go. `esp` may not call back into the data plane; `ike` is called outside of the
/// engine.
struct DataPlaneOutputs {
  std::function<void(const net::Path&, model::Encapsulation, ByteView esp, std::optional<InnerId>)> esp;
  std::function<void(ByteView inner)> inner;
  std::function<void(const net::Path&, ByteView message)> ike;
};

class SimDataPlane final : public ipsec::DataPlane,
                           public ike::SpiAllocator,
                           private ipsec::OutboundSink,
                           private ipsec::InboundSink {
 public:
  SimDataPlane(Side side, const EventQueue& queue, WireMonitor& monitor, RandomSource& random, std::uint32_t workers,
               DataPlaneOutputs outputs);

  // ipsec::DataPlane
  [[nodiscard]] Result<model::Spi, ipsec::DataPlaneError> allocate_spi(std::optional<std::uint32_t> resource) override;
  [[nodiscard]] Result<void, ipsec::DataPlaneError> reserve_spi(model::Spi spi) override { return spis_.reserve(spi); }
  void release_spi(model::Spi spi) override { release(spi); }
  [[nodiscard]] Result<void, ipsec::DataPlaneError> install(model::ChildSaParams params) override;
  void use_outbound(model::ChildSaId child) override;
  void remove(model::ChildSaId child, Duration linger) override;
  void update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation) override;
  void grant_sequence(model::ChildSaId child, std::uint64_t granted) override {
    engine_.grant_sequence(child, granted);
  }
  void skip_sequence(model::ChildSaId child, std::uint64_t count) override { engine_.skip_sequence(child, count); }
  void set_policies(std::vector<ipsec::Policy> policies) override;
  [[nodiscard]] std::optional<ipsec::SaCounters> counters(model::ChildSaId child) const override {
    return engine_.counters(child);
  }
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> drop_counters() const override {
    return engine_.drop_counters();
  }
  [[nodiscard]] std::optional<ipsec::DataPlaneEvent> poll_event() override;

  // ike::SpiAllocator
  [[nodiscard]] std::optional<model::Spi> allocate(std::optional<std::uint32_t> resource) override;
  void release(model::Spi spi) override {
    early_.forget(spi);
    spis_.release(spi);
  }
  /// One engine carries them all.
  [[nodiscard]] std::optional<std::uint32_t> resource_of(model::ChildSaId /*child*/) const override { return {}; }

  /// Protects one inner packet. The ESP packets that leave during the call, if one, are noted under its id.
  void send_inner(ByteView packet, std::optional<InnerId> id);
  /// Takes one packet from the wire apart; what comes out goes to the outputs.
  void receive(const net::Path& path, model::Encapsulation encapsulation, Bytes bytes);
  /// Does what is due in the engine and takes back the SPIs of SAs that are gone.
  void handle_time();
  [[nodiscard]] std::optional<Instant> next_deadline() const { return engine_.next_deadline(); }

  /// SA pairs that stand in the engine, lingering ones included, and SPIs that are not free.
  [[nodiscard]] std::size_t sa_count() const { return engine_.all_counters().size(); }
  [[nodiscard]] std::uint32_t spis_in_use() const { return spis_.in_use(); }

 private:
  MutableByteView region() override { return region_; }
  void send(std::span<const ipsec::WireTrain> trains) override;
  [[nodiscard]] bool bypass(const ipsec::InnerPacket&) override { return false; }
  void elsewhere(const ipsec::InnerPacket&, std::uint32_t) override { CHECK(false); }  // there is one engine
  void answer(ByteView packet) override { outputs_.inner(packet); }
  void deliver(std::span<const ipsec::InnerPacket> packets) override;
  void ike_message(const net::Path& path, ByteView message) override;
  void ask_for_worker(ByteView packet);

  /// What stands for a worker, or for all of them.
  struct Standing {
    model::ConnectionId connection;
    std::optional<std::uint32_t> resource;
    bool per_resource = false;
    model::TrafficSelectors local;
    model::TrafficSelectors remote;
  };
  Side side_;
  const EventQueue& queue_;
  WireMonitor& monitor_;
  ipsec::SpiAllocator spis_;
  ipsec::EarlyPackets early_;
  ipsec::Engine engine_;
  DataPlaneOutputs outputs_;
  Bytes region_;
  std::optional<InnerId> sending_;
  std::vector<std::pair<net::Path, Bytes>> ike_messages_;
  std::vector<ipsec::Policy> policies_;
  std::map<model::Spi, std::uint32_t> spi_workers_;
  std::map<model::ChildSaId, Standing> standing_;
  std::vector<std::optional<Instant>> asked_;  // by worker
  std::uint64_t packets_ = 0;
  std::deque<ipsec::DataPlaneEvent> events_;
};

}  // namespace culvert::sim
