// IkeEndpoint: the IKEv2 core behind the face of src/ike/face.hpp. Takes datagrams apart and routes them by SPI, runs
// commands, timers and completions, and ends each turn with the tasks and timers of the IKE SAs that took part.
#pragma once

#include "ike/codec/parse.hpp"
#include "ike/face.hpp"
#include "ike/v2/core.hpp"

namespace culvert::ike::v2 {

class IkeEndpoint final : public Endpoint {
 public:
  /// `random` and `spis` must outlive the endpoint.
  IkeEndpoint(const EndpointSettings& settings, RandomSource& random, SpiAllocator& spis)
      : core_(settings, random, spis) {}

  void handle_datagram(const net::Path& path, ByteView message, Instant now) override;
  void handle_timeout(Instant now) override;
  void handle_command(Command command, Instant now) override;
  void handle_completion(RequestToken token, Completion completion, Instant now) override;
  void handle_wait(RequestToken token) override { core_.awaits_others(token); }

  [[nodiscard]] std::optional<Event> poll_event() override;
  [[nodiscard]] std::optional<Request> poll_request() override;
  [[nodiscard]] std::optional<Transmit> poll_transmit() override;
  [[nodiscard]] std::optional<Instant> poll_timeout() const override { return core_.sas.next_timeout(); }
  [[nodiscard]] EndpointCounters counters() const override;

 private:
  void route(const net::Path& path, ByteView datagram);
  void handle_stray(const net::Path& path, const codec::ParsedMessage& parsed);
  void handle_stray_notify(const net::Path& path, const codec::ParsedMessage& parsed);
  /// `received`: octets of the message that it answers; `token`: of the IKE SA that it is about, if there is one.
  void answer_unprotected(const net::Path& path, const codec::Header& header, std::size_t received,
                          model::NotifyType type, ByteView token = {});
  void complete(RequestToken token, Completion completion);
  void finish_turn();

  Core core_;
};

}  // namespace culvert::ike::v2
