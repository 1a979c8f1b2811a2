// WireMonitor: an onlooker with perfect sight who fails the run when anything that IPsec promises of the wire does not
// hold.
//
// Watched: no inner packet in plaintext; no AEAD nonce used twice under one key, for ESP and for IKE; no ESP key used
// for two SAs; sequence numbers that only grow; no more outstanding requests in an IKE SA than its window has; requests
// and responses that are repeated octet by octet, or in more and smaller fragments (RFC 7383).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "model/child_sa.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/packet.hpp"
#include "tests/sim/run_log.hpp"
#include "tests/sim/sim_network.hpp"

namespace culvert::sim {

class WireMonitor final : public NetworkObserver {
 public:
  WireMonitor(RunLog& log, Ledger& ledger) : log_(log), ledger_(ledger) {}

  // What the hosts' data planes do.
  void installed(Side at, const model::ChildSaParams& params);
  void removed(Side at, model::ChildSaId child);
  void crashed(Side at);
  /// Shutting down, a host sends its DELETEs without waiting for what is outstanding (ike::Shutdown).
  void shutting_down(Side at, bool now) { shutting_down_[index_of(at)] = now; }

  /// Members of a cluster take over from each other: numbers of IKE messages and ESP packets skip forward (RFC 6311).
  void allow_failovers() { failovers_ = true; }
  /// So many requests of a host may be outstanding in an IKE SA.
  void allow_window(std::uint32_t window) { window_ = window; }

  /// For runs of days: what concerns SAs that no longer stand is dropped, with its memory. Of IKE SAs those with the
  /// SPIs (initiator's, responder's) are kept.
  void forget_all_but(std::uint64_t spi_i, std::uint64_t spi_r);

  // What the network sees.
  void sent(Side from, const Packet& packet) override;
  void duplicated(Side from, const Packet& packet) override;
  void dropped(Side from, const Packet& packet, DropCause cause) override;
  void arrived(Side at, const Packet& packet) override;

  /// Stands for every octet that was sent, in order.
  [[nodiscard]] std::uint64_t run_digest() const { return run_digest_; }
  [[nodiscard]] std::uint64_t packets() const { return packets_; }
  /// IKE messages in part (RFC 7383), repetitions counted.
  [[nodiscard]] std::uint64_t fragments() const { return fragments_; }
  /// Messages with the solution of a puzzle in front of what is sealed (RFC 8019 7.2.2), repetitions counted.
  [[nodiscard]] std::uint64_t solutions() const { return solutions_; }
  /// The host has pairs, and all of them are in AGGFRAG mode (RFC 9347).
  [[nodiscard]] bool all_aggfrag(Side at) const;
  /// Requests of each exchange that were sent, repetitions not counted; index 0 is IKE_SA_INIT (34).
  [[nodiscard]] const std::array<std::uint64_t, 4>& requests() const { return requests_; }

 private:
  struct OutboundSa {
    model::ChildSaId child;
    std::size_t iv_size = 0;
    bool encrypted = true;
    bool aggfrag = false;
    std::uint32_t last_sequence = 0;
    std::unordered_set<std::uint64_t> ivs;
  };
  using SpiPair = std::pair<std::uint64_t, std::uint64_t>;
  /// Part of a message, or all of it: number 1 of 1 when it is not in fragments.
  struct Part {
    std::uint16_t number = 1;
    std::uint16_t total = 1;
  };
  /// One message in the form that it was sent in last.
  struct Sent {
    std::uint16_t total = 0;
    std::map<std::uint16_t, std::uint64_t> digests;  // of its parts
  };
  struct RequestStream {
    std::uint32_t last_id = 0;
    std::map<std::uint32_t, Sent> sent;  // the last ones
    std::set<std::uint32_t> open;        // without an answer
  };

  void check_esp(Side from, ByteView packet);
  void check_ike(Side from, ByteView message);
  void check_request(Side from, const IkeHeader& header, Part part, std::uint64_t message_digest);
  void check_response(Side from, const IkeHeader& header, Part part, std::uint64_t message_digest);
  /// False when the message was sent before, and otherwise.
  [[nodiscard]] static bool repeats(Sent& sent, Part part, std::uint64_t message_digest);
  void check_plaintext(Side from, ByteView bytes);

  RunLog& log_;
  Ledger& ledger_;
  std::array<std::unordered_map<std::uint32_t, OutboundSa>, 2> outbound_;  // by the SPI that the peer chose
  std::array<std::map<model::ChildSaId, std::uint32_t>, 2> spi_of_;
  std::unordered_set<std::uint64_t> esp_keys_;
  std::map<std::tuple<SpiPair, Side>, RequestStream> requests_by_sa_;
  std::map<std::tuple<SpiPair, Side, std::uint32_t>, Sent> responses_;
  // By IKE SA, who set it up, the generation of its keys (RFC 9370 2.2.2) and IV: to the digest of the message.
  std::map<std::tuple<SpiPair, bool, std::uint32_t, std::uint64_t>, std::uint64_t> ike_ivs_;
  std::array<std::uint64_t, 4> requests_{};
  std::uint64_t fragments_ = 0;
  std::uint64_t solutions_ = 0;
  std::uint64_t run_digest_ = 0;
  std::uint64_t packets_ = 0;
  std::uint32_t window_ = 1;
  std::array<bool, 2> shutting_down_{};
  bool failovers_ = false;
  bool may_be_plain_ = false;  // a NULL-encrypted SA stood
};

}  // namespace culvert::sim
