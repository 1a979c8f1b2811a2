// Figure: what the RFCs draw of an exchange, as text, and what two endpoints put on the wire, opened with the keys that
// they exported, compared with it.
//
//   HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
//                        <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [CERTREQ], [N+]
//   HDR(IKE_AUTH), SK {IDi, AUTH, SAi2, TSi, TSr} -->
//
// as in RFC 7296 1.2: payloads stand in this order (RFC 7296 2.5), those in brackets may be missing, `+` is one or
// more. N(NAME) is that notification, N any status notification; where status notifications stand no RFC says, but for
// those with an exclamation mark behind them, which are held to their place: N(COOKIE)! (RFC 7296 2.6). Errors keep
// their place. Numbers and letters behind SA, KE and N of nonces are for the reader.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ike/events.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::sim {

/// A payload as a figure names it.
struct Piece {
  std::string name;
  bool optional = false;
  bool many = false;
  bool anywhere = false;  // in the message
};

/// A message of a figure.
struct Arrow {
  bool from_left = true;
  std::string exchange;
  std::vector<Piece> clear;   // outside of an Encrypted payload
  bool sealed = false;        // there is one
  std::vector<Piece> inside;  // of it
  std::string text;           // as it was written, without line breaks
};
/// Fails a CHECK for a text that is no figure.
[[nodiscard]] std::vector<Arrow> parse_figure(std::string_view text);

/// A message that was sent.
struct SeenMessage {
  bool from_a = true;
  std::string exchange;
  bool response = false;
  std::vector<std::string> clear;  // names of payloads
  bool sealed = false;
  std::vector<std::string> inside;
  [[nodiscard]] std::string text() const;
};
/// What was sent, each message once however often it was repeated, whole when it was in fragments. A message that no
/// key opens has a payload of the name "?" inside.
[[nodiscard]] std::vector<SeenMessage> read_wire(const std::vector<ike::v2::testing::Datagram>& wire, std::size_t from,
                                                 const std::vector<const ike::KeysExported*>& keys);

/// Empty when the messages are those of the figure, else what is not as it is drawn.
[[nodiscard]] std::string compare(const std::vector<Arrow>& figure, const std::vector<SeenMessage>& seen,
                                  bool a_is_left);

}  // namespace culvert::sim
