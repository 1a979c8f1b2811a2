#include "radius/conversation.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/eap/packet.hpp"
#include "radius/mppe.hpp"

namespace culvert::radius {
namespace {

using ike::eap::Outcome;
using model::EapCode;
using model::EapType;

/// For methods that send in pieces (RFC 3579 2.4): what of EAP fits into an IKE message that no path of 1280 octets
/// cuts.
constexpr std::uint32_t kFramedMtu = 1100;
constexpr Duration kLeastInterim = std::chrono::seconds(60);  // RFC 2869 5.16
constexpr std::size_t kMostClasses = 16;
constexpr std::size_t kMostPools = 16;
constexpr std::size_t kSessionIdOctets = 12;

std::string random_name(RandomSource& random) {
  std::array<std::uint8_t, kSessionIdOctets> octets{};
  random.fill(octets);
  return to_hex(octets);
}

std::string text_of(ByteView octets) { return {octets.begin(), octets.end()}; }

std::optional<Duration> seconds_of(const Packet& packet, AttributeType type) {
  const auto number = packet.number(type);
  return number ? std::optional<Duration>(std::chrono::seconds(*number)) : std::nullopt;
}

/// RFC 2865 5.8: 255.255.255.255 and .254 leave it to the client, or to us.
std::optional<net::IpAddress> address_of(const Packet& packet, AttributeType type, std::size_t size) {
  const auto value = packet.first(type);
  if (!value || value->size() != size) return std::nullopt;
  const auto address = net::IpAddress::from_bytes(*value);
  const bool left_open = size == 4 && load_be32(value->data()) >= 0xfffffffeU;
  if (!address || left_open || address->is_unspecified() || address->is_multicast()) return std::nullopt;
  return address;
}

std::string replies_of(const Packet& answer) {
  std::string text;
  for (const ByteView reply : answer.all(AttributeType::reply_message)) {
    if (text.size() > ike::eap::kMostIdentity) break;
    text += (text.empty() ? "" : " ") + escaped(text_of(reply));
  }
  return text;
}

}  // namespace

void add_nas(PacketBuilder& request, const Nas& nas, const std::string& tunnel, const net::Path& path) {
  request.add_text(AttributeType::nas_identifier, nas.identifier);
  request.add_address(AttributeType::nas_ip_address, AttributeType::nas_ipv6_address, path.local.address);
  request.add_number(AttributeType::nas_port_type, kPortVirtual);
  if (!tunnel.empty()) request.add_text(AttributeType::nas_port_id, tunnel);
  request.add_text(AttributeType::called_station_id, path.local.address.to_string());
  request.add_text(AttributeType::calling_station_id, path.remote.address.to_string());
}

model::Authorization authorization_of(const Packet& accept, const Nas& nas, std::string session_id,
                                      std::string identity) {
  model::Authorization allowed;
  allowed.radius = nas.radius;
  allowed.session_id = std::move(session_id);
  allowed.accounting = nas.accounting;
  // RFC 2865 5.1: the name that the server returns is the one for accounting.
  const auto user = accept.first(AttributeType::user_name);
  allowed.user = user && !user->empty() ? text_of(*user) : std::move(identity);
  for (const auto& [type, size] :
       {std::pair(AttributeType::framed_ip_address, 4U), std::pair(AttributeType::framed_ipv6_address, 16U)}) {
    if (const auto address = address_of(accept, type, size)) allowed.addresses.push_back(*address);
  }
  for (const ByteView pool : accept.all(AttributeType::framed_pool)) {
    if (allowed.pools.size() < kMostPools) allowed.pools.push_back(text_of(pool));
  }
  for (const ByteView one : accept.all(AttributeType::class_)) {
    if (allowed.classes.size() < kMostClasses) allowed.classes.push_back(to_bytes(one));
  }
  allowed.session_timeout = seconds_of(accept, AttributeType::session_timeout);
  allowed.idle_timeout = seconds_of(accept, AttributeType::idle_timeout);
  if (allowed.idle_timeout == Duration::zero()) allowed.idle_timeout.reset();
  allowed.interim_interval = nas.interim_interval;
  if (const auto wish = seconds_of(accept, AttributeType::acct_interim_interval))
    allowed.interim_interval = std::max(*wish, kLeastInterim);
  return allowed;
}

std::string group_named_by(const model::Authorization& allowed) {
  constexpr std::size_t kMostName = 63;
  constexpr std::string_view kUnit = "OU=";
  for (const Bytes& one : allowed.classes) {
    std::string name = text_of(one);
    if (name.starts_with(kUnit)) name.erase(0, kUnit.size());
    if (name.ends_with(';')) name.pop_back();
    const auto allowed_here = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
             c == '.';
    };
    if (!name.empty() && name.size() <= kMostName && std::ranges::all_of(name, allowed_here)) return name;
  }
  return {};
}

Conversation::Conversation(const Nas& nas, std::string tunnel, const net::Path& path, RandomSource& random)
    : nas_(nas),
      tunnel_(std::move(tunnel)),
      path_(path),
      session_id_(random_name(random)),
      identifier_(static_cast<std::uint8_t>(random.u32())) {}

Outcome Conversation::begin() {
  return going(ike::eap::make_packet(EapCode::request, identifier_, EapType::identity, {}));
}

Outcome Conversation::going(Bytes packet) const {
  Outcome outcome;
  outcome.packet = std::move(packet);
  outcome.identity = identity_;
  outcome.method = method_;
  return outcome;
}

Outcome Conversation::fail(std::string check, std::string found, Bytes packet) const {
  Outcome outcome = going(std::move(packet));
  outcome.state = Outcome::State::failure;
  outcome.refusal =
      ike::eap::Refusal{.subject = {}, .serial = {}, .check = std::move(check), .found = std::move(found)};
  return outcome;
}

// ---------------------------------------------------------------- the client

Result<PacketBuilder, Outcome> Conversation::take_client(ByteView octets) {
  const auto refuse = [&](std::string found) {
    return err(fail("protocol", std::move(found), ike::eap::make_end(EapCode::failure, identifier_)));
  };
  if (++rounds_ > ike::eap::kMostRounds)
    return refuse(fmt::format("more than {} packets of the peer", ike::eap::kMostRounds));
  const auto packet = ike::eap::parse_packet(octets);
  if (!packet) return refuse(packet.error());
  if (packet->code != EapCode::response)
    return refuse(fmt::format("EAP code {} came instead of a response", static_cast<unsigned>(packet->code)));
  if (packet->identifier != identifier_)
    return refuse(fmt::format("the response is to request {}, we asked {}", packet->identifier, identifier_));
  if (!server_) {
    if (packet->type != EapType::identity)
      return refuse(
          fmt::format("the first response is of type {}, not an identity", static_cast<unsigned>(packet->type)));
    if (packet->data.empty() || packet->data.size() > ike::eap::kMostIdentity)
      return refuse(
          fmt::format("an identity of {} octets; 1 to {} are taken", packet->data.size(), ike::eap::kMostIdentity));
    identity_ = text_of(packet->data);
  }
  // RFC 3579 2.1: User-Name is the identity of EAP, in each request.
  PacketBuilder request(Code::access_request);
  request.add_text(AttributeType::user_name, identity_);
  add_nas(request, nas_, tunnel_, path_);
  request.add_number(AttributeType::service_type, kServiceFramed);
  request.add_number(AttributeType::framed_mtu, kFramedMtu);
  request.add_text(AttributeType::acct_session_id, session_id_);
  // RFC 2865 5.24: as it came.
  if (state_) request.add(AttributeType::state, *state_);
  // Without padding behind the packet.
  const ByteView message = octets.first(load_be16(octets.data() + 2));
  if (request.size() + message.size() + 2 * (message.size() / kMostValue + 1) > kMostPacket)
    return refuse(fmt::format("an EAP packet of {} octets does not fit into a RADIUS packet", message.size()));
  request.add_split(AttributeType::eap_message, message);
  return request;
}

// ---------------------------------------------------------------- the server

// RFC 3579 2.6.3: the code of the RADIUS packet decides; and what it says and what the client hears from us must be the
// same. We make no EAP packets up that the server has not sent.
Conversation::Step Conversation::take_server(const Packet& answer, const Authenticator& request, ByteView secret,
                                             std::size_t server) {
  server_ = server;
  Bytes message = answer.joined(AttributeType::eap_message);
  switch (answer.code) {
    case Code::access_challenge: return take_challenge(answer, std::move(message));
    case Code::access_accept: return take_accept(answer, std::move(message), request, secret);
    default: break;
  }
  const auto packet = ike::eap::parse_packet(message);
  if (!packet || packet->code != EapCode::failure) message.clear();
  const std::string said = replies_of(answer);
  return {fail("reject", said.empty() ? "the RADIUS server refuses it" : "the RADIUS server refuses it: " + said,
               std::move(message)),
          nullptr};
}

Conversation::Step Conversation::take_challenge(const Packet& answer, Bytes message) {
  const auto packet = ike::eap::parse_packet(message);
  if (!packet)
    return {fail("radius", "an Access-Challenge without a whole EAP packet: " + packet.error(), {}), nullptr};
  if (packet->code != EapCode::request)
    return {fail("radius", "an Access-Challenge without a request of EAP", {}), nullptr};
  const auto state = answer.first(AttributeType::state);
  state_ = state ? std::optional(to_bytes(*state)) : std::nullopt;
  identifier_ = packet->identifier;
  const bool is_method =
      packet->type != EapType::identity && packet->type != EapType::notification && packet->type != EapType::nak;
  if (is_method) method_ = packet->type;
  return {going(std::move(message)), nullptr};
}

Conversation::Step Conversation::take_accept(const Packet& answer, Bytes message, const Authenticator& request,
                                             ByteView secret) {
  const auto packet = ike::eap::parse_packet(message);
  if (!packet || packet->code != EapCode::success)
    return {fail("radius", "an Access-Accept without EAP-Success", {}), nullptr};
  auto msk = msk_of(answer, request, secret);
  if (!msk) return {fail("radius", "the MS-MPPE keys of the Access-Accept are no keys", {}), nullptr};
  auto allowed = std::make_shared<const model::Authorization>(authorization_of(answer, nas_, session_id_, identity_));
  Outcome outcome = going(std::move(message));
  outcome.state = Outcome::State::success;
  outcome.msk = std::move(*msk);
  // Behind methods with a tunnel the client's first word may be "anonymous", or anybody: the server knows better.
  outcome.identity = allowed->user;
  return {std::move(outcome), std::move(allowed)};
}

}  // namespace culvert::radius
