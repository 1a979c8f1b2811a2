#include "ike/v2/redirect.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "ike/v2/life_core.hpp"
#include "ike/v2/life_state.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

enum class GatewayKind : std::uint8_t { ipv4 = 1, ipv6 = 2, fqdn = 3 };

constexpr std::size_t kLongestName = 253;
// RFC 5685 7.
constexpr unsigned kMostRedirects = 5;
constexpr Duration kRedirectPeriod = std::chrono::seconds(300);

// It is looked up and shown: nothing but what host names are made of.
bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName || name.front() == '.' || name.front() == '-') return false;
  return std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
  });
}

bool is_gateway(const net::IpAddress& address) { return !address.is_unspecified() && !address.is_multicast(); }

}  // namespace

Bytes encode_gateway(std::string_view gateway, ByteView nonce) {
  const auto address = net::IpAddress::parse(gateway);
  ByteWriter out;
  if (address) {
    const auto kind = address->family() == net::Family::v4 ? GatewayKind::ipv4 : GatewayKind::ipv6;
    out.u8(static_cast<std::uint8_t>(kind));
    out.u8(static_cast<std::uint8_t>(address->bytes().size()));
    out.bytes(address->bytes());
  } else {
    out.u8(static_cast<std::uint8_t>(GatewayKind::fqdn));
    out.u8(static_cast<std::uint8_t>(std::min<std::size_t>(gateway.size(), kLongestName)));
    out.bytes(as_bytes(gateway.substr(0, kLongestName)));
  }
  out.bytes(nonce);
  return out.take();
}

std::optional<GatewayNote> decode_gateway(ByteView data) {
  if (data.size() < 2 || data.size() - 2 < data[1]) return std::nullopt;
  const ByteView name = data.subspan(2, data[1]);
  GatewayNote note{.gateway = {}, .nonce = to_bytes(data.subspan(2 + name.size()))};
  switch (static_cast<GatewayKind>(data[0])) {
    case GatewayKind::ipv4:
    case GatewayKind::ipv6: {
      const std::size_t size = data[0] == static_cast<std::uint8_t>(GatewayKind::ipv4) ? 4 : 16;
      if (name.size() != size) return std::nullopt;
      const auto address = net::IpAddress::from_bytes(name);
      if (!address || !is_gateway(*address)) return std::nullopt;
      note.gateway = address->to_string();
      return note;
    }
    case GatewayKind::fqdn: {
      const std::string text(name.begin(), name.end());
      if (!is_host_name(text)) return std::nullopt;
      // What looks like an address is one, and has a kind of its own.
      if (net::IpAddress::parse(text)) return std::nullopt;
      note.gateway = text;
      return note;
    }
  }
  return std::nullopt;
}

// ---------------------------------------------------------------- client

void offer_redirect(codec::Message& message, const IkeSa& sa, const model::ConnectionConfig& config) {
  if (!config.life.follow_redirect) return;
  if (const auto from = sa.life ? sa.life->redirected_from : std::nullopt) {
    // RFC 5685 3, 9.3: it also says that we would follow again.
    message.add_notify(NotifyType::redirected_from, encode_gateway(from->to_string()));
  } else {
    message.add_notify(NotifyType::redirect_supported);
  }
}

std::optional<std::string> follow(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                  const GatewayNote& note, std::optional<model::IkeSaId> standing) {
  if (net::IpAddress::parse(note.gateway) == sa.path.remote.address)
    return fmt::format("{} redirects us to itself", note.gateway);
  LifeCore::Followed& followed = core.life->followed[config.id];
  if (followed.count == 0 || core.now - followed.since > kRedirectPeriod) followed = {.since = core.now, .count = 0};
  // RFC 5685 7: gateways that send us round and round.
  if (followed.count >= kMostRedirects) {
    return fmt::format("{} redirects us to {}, but we were redirected {} times within {} s",
                       sa.path.remote.address.to_string(), note.gateway, followed.count,
                       std::chrono::duration_cast<std::chrono::seconds>(kRedirectPeriod).count());
  }
  ++followed.count;
  core.progress(sa, fmt::format("{} redirects us to {}", sa.path.remote.address.to_string(), note.gateway));
  core.emit(
      Redirected{.connection = config.id, .gateway = note.gateway, .from = sa.path.remote.address, .ike_sa = standing});
  return std::nullopt;
}

std::optional<GatewayNote> redirect_in(Core& core, const IkeSa& sa, const codec::Message& message,
                                       const model::ConnectionConfig* config) {
  const auto* notify = message.notify(NotifyType::redirect);
  if (notify == nullptr) return std::nullopt;
  auto note = decode_gateway(notify->data);
  // RFC 5685 10: only the responder sends anybody away. 9.2: the nonce is for IKE_SA_INIT alone.
  const bool valid = note && note->nonce.empty() && sa.origin_role == model::Role::initiator && config != nullptr &&
                     config->life.follow_redirect;
  if (valid) return note;
  core.drop(DatagramDrop::bad_redirect);
  return std::nullopt;
}

// ---------------------------------------------------------------- gateway

bool follows_redirects(const codec::Message& request) {
  return request.notify(NotifyType::redirect_supported) != nullptr ||
         request.notify(NotifyType::redirected_from) != nullptr;
}

void note_redirects(IkeSa& sa, const codec::Message& request) {
  if (!follows_redirects(request)) return;
  LifeState& life = life_of(sa);
  life.peer_follows = true;
  const auto* from = request.notify(NotifyType::redirected_from);
  const auto note = from == nullptr ? std::nullopt : decode_gateway(from->data);
  if (note) life.redirected_from = net::IpAddress::parse(note->gateway);
}

namespace {

std::optional<std::string> redirect_for(const Core& core, const model::ConnectionConfig& config,
                                        const net::IpAddress& ours, const std::optional<net::IpAddress>& from) {
  if (config.life.redirect_to.empty()) return std::nullopt;
  const auto there = net::IpAddress::parse(config.life.redirect_to);
  // RFC 5685 7: not back to where it comes from, nor to us, who are asked already.
  if (there && (there == from || *there == ours)) return std::nullopt;
  if (core.sas.established_of(config.id) < config.life.redirect_above) return std::nullopt;
  return config.life.redirect_to;
}

}  // namespace

std::optional<std::string> redirect_for(const Core& core, const model::ConnectionConfig& config, const net::Path& path,
                                        const codec::Message& request) {
  if (!follows_redirects(request)) return std::nullopt;
  const auto* notify = request.notify(NotifyType::redirected_from);
  const auto note = notify == nullptr ? std::nullopt : decode_gateway(notify->data);
  return redirect_for(core, config, path.local.address, note ? net::IpAddress::parse(note->gateway) : std::nullopt);
}

std::optional<std::string> redirect_for(const Core& core, const model::ConnectionConfig& config, const IkeSa& sa) {
  if (!sa.life || !sa.life->peer_follows) return std::nullopt;
  return redirect_for(core, config, sa.path.local.address, sa.life->redirected_from);
}

}  // namespace culvert::ike::v2
