// Scene: a liar, an endpoint of ours that is honest, and virtual time. Steps bring both as far as the message that is
// to be a lie, tell it, and say what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ike/v2/testing/pair.hpp"
#include "tests/liar/liar.hpp"

namespace culvert::liar {

/// Which message the lie stands in: who sends it, and after what.
enum class Step : std::uint8_t {
  // The liar is the initiator of the IKE SA.
  init_request,
  intermediate_request,
  auth_request,         // after IKE_SA_INIT
  informational_early,  // a request in place of IKE_AUTH
  child_early,          // likewise
  child_request,        // a further Child SA
  child_rekey_request,  // of the one there is
  ike_rekey_request,
  follow_up_request,  // behind CREATE_CHILD_SA with additional key exchanges
  informational,      // an empty one
  // The liar is the responder.
  init_answer,
  intermediate_answer,
  auth_answer,
  child_answer,
  child_rekey_answer,
  ike_rekey_answer,
  informational_answer,  // to our liveness check
  informational_back,    // a request of the liar's, which is the IKE SA's responder
};
[[nodiscard]] std::string_view name_of(Step step);
[[nodiscard]] bool liar_initiates(Step step);

/// What ours holds for its peers; each number goes back when they are gone.
struct Held {
  std::size_t ike_sas = 0;
  std::size_t children = 0;
  std::size_t spis = 0;  // inbound SPIs of ESP in use
  std::size_t half_open = 0;
  friend bool operator==(const Held&, const Held&) = default;
  [[nodiscard]] std::string to_string() const;
};

/// Conditions that a fault needs.
struct Setting {
  std::string ike = "aes256gcm16-prfsha256-x25519";
  std::string esp = "aes256gcm16";
  bool fragmentation = false;
  bool under_load = false;                    // cookies are demanded of all
  std::uint32_t window = 1;                   // of our requests and the liar's, as ours has it
  unsigned liars_rounds = 1, our_rounds = 1;  // of authentication (RFC 4739)
  bool mobike = false;
  bool puzzles = false;  // for everybody (RFC 8019)
};

class Scene {
 public:
  explicit Scene(bool liar_is_initiator, const Setting& setting = {});

  ike::v2::testing::Host ours;
  Liar liar;
  Instant now{std::chrono::hours(1)};

  /// Delivers, and gives what ours sent at once.
  std::vector<Bytes> say(ByteView datagram);
  std::vector<Bytes> command(ike::Command command);
  /// Lets time pass in which the liar is silent; what ours sent meanwhile.
  std::vector<Bytes> wait(Duration duration);

  /// Does all that comes before the step. A failure is one of the test's own.
  void reach(Step step);
  /// The step's message, as it should be. Once per step.
  [[nodiscard]] codec::Message draft(Step step);

  [[nodiscard]] Held held();
  /// What ours has counted: drops and refusals by reason, and how often it was asked again.
  [[nodiscard]] ike::EndpointCounters counters() { return ours.endpoint().counters(); }
  /// A line for each datagram, as far as the liar can open it: exchange, request or response, payloads.
  [[nodiscard]] std::string describe(const std::vector<Bytes>& datagrams);

  net::Path path;  // as ours sees it
  /// All that ours has sent by itself or in answer, in order.
  std::vector<Bytes> sent_before;
  net::Path sent_last_on;

 private:
  void bring_up();
  std::vector<Bytes> drain();
  codec::Message pending();

  std::vector<Bytes> pending_;  // requests of ours that the step answers
};

}  // namespace culvert::liar
