// How a tunnel's IKE SAs begin, are shared, are proved anew and move: `share_ike_sa`, `ike_window`, `childless` (RFC
// 6023), `crash_detection` (RFC 6290), `reauthentication` (RFC 4478), `resumption` (RFC 5723), `follow_redirect` and
// `redirect_to` (RFC 5685).
#include <fmt/format.h>

#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/words.hpp"

namespace culvert::config {
namespace {

using model::Childless;
using std::chrono::hours;
using std::chrono::seconds;

constexpr std::pair<std::string_view, Childless> kChildless[] = {{"allow", Childless::allow},
                                                                 {"prefer", Childless::prefer},
                                                                 {"force", Childless::force},
                                                                 {"never", Childless::never}};
constexpr std::int64_t kMostIkeSas = 10'000'000;
void read_redirect_to(Section& section, model::SaLife& life) {
  const auto gateway = section.text("redirect_to");
  if (!gateway) {
    // A time to leave is for `culvert redirect`, too; a number of IKE SAs is not.
    if (life.redirect_above > 0)
      section.error(section.position_of("redirect_above"), "redirect_above", "nobody is sent anywhere",
                    "write redirect_to = \"ADDRESS\" beside it, or take it out");
    return;
  }
  if (!is_gateway(gateway->value)) {
    return section.error(gateway->position, "redirect_to",
                         fmt::format("{} is neither an address nor a DNS name", in_quotes(gateway->value)),
                         "write where the other gateway is: \"192.0.2.9\", \"2001:db8::9\" or \"gw2.example.net\"");
  }
  life.redirect_to = gateway->value;
}

}  // namespace

void read_life(Section& section, DraftTunnel& draft) {
  model::ConnectionConfig& connection = draft.config.connection;
  model::SaLife& life = connection.life;
  if (const auto share = section.boolean("share_ike_sa")) connection.share_ike_sa = *share;
  constexpr std::int64_t kUsualWindow = 4;
  connection.ike_window = static_cast<std::uint32_t>(section.integer("ike_window", 1, 64).value_or(kUsualWindow));
  if (const auto childless = section.choice("childless", kChildless)) life.childless = *childless;
  if (const auto detect = section.boolean("crash_detection")) life.crash_detection = *detect;
  if (const auto time = section.duration("reauthentication", seconds(10), hours(24 * 365), "never asks for it"))
    life.reauthentication = *time;
  if (const auto time =
          section.duration("resumption", std::chrono::minutes(1), hours(24), "gives and takes no tickets"))
    life.resumption = *time;
  if (const auto follow = section.boolean("follow_redirect")) life.follow_redirect = *follow;
  if (const auto above = section.integer("redirect_above", 0, kMostIkeSas))
    life.redirect_above = static_cast<std::size_t>(*above);
  read_redirect_to(section, life);
  if (const auto grace = section.duration("redirect_grace", seconds(1), hours(24))) life.redirect_grace = *grace;
  // RFC 5685 3: whoever the new gateway is, it must be whom we expect; its address will not be the one written here.
  if (life.follow_redirect && !connection.remote_id) {
    section.error(section.position_of("follow_redirect"), "follow_redirect",
                  "a gateway elsewhere could not prove that it is the right one",
                  "write remote_id, the identity that all of the gateways have");
  }
  if (life.follow_redirect && draft.config.peer_kind == PeerKind::any) {
    section.error(section.position_of("follow_redirect"), "follow_redirect",
                  "with peer = \"any\" the peers begin, and nobody sends us anywhere", "take it out");
  }
}

}  // namespace culvert::config
