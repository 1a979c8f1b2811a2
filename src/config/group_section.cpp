// [group.NAME], and `groups` of a tunnel: what those peers of a tunnel get and may reach who belong together.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kMostMembers = 4096;
constexpr std::size_t kMostPools = 16;
constexpr std::size_t kMostGroups = 256;
constexpr std::int64_t kMostSessions = 16;

void read_members(Section& section, model::GroupPolicy& group) {
  const std::string hint = R"(write members = ["amy@example.org", "*@sales.example.org"], or "*" for all)";
  for (const Located<std::string>& written : section.texts("members", kMostMembers)) {
    if (written.value.find('*') != std::string::npos) {
      if (const auto pattern = model::IdentityPattern::parse(written.value)) {
        group.members.emplace_back(*pattern);
      } else {
        section.error(written.position, "members",
                      fmt::format("{} is no pattern of identities", in_quotes(written.value)), hint);
      }
      continue;
    }
    model::Identity identity = model::Identity::parse(written.value).comparable();
    if (identity.data.empty()) {
      section.error(written.position, "members", fmt::format("{} is no identity", in_quotes(written.value)), hint);
    } else {
      group.members.emplace_back(std::move(identity));
    }
  }
}

/// Where the tunnel asks for a group that is not there, or for one that may reach more than the tunnel has.
const DraftGroup* find_group(Draft& draft, const DraftTunnel& tunnel, const Located<std::string>& name) {
  const std::string setting = fmt::format("tunnel.{}.groups", tunnel.config.connection.name);
  const auto complain = [&](std::string what, std::string hint) {
    draft.problems.push_back({Severity::error, name.position, setting, std::move(what), std::move(hint)});
    return nullptr;
  };
  const auto found =
      std::ranges::find_if(draft.groups, [&](const DraftGroup& group) { return group.config.name == name.value; });
  if (found == draft.groups.end())
    return complain(fmt::format("there is no group {}", in_quotes(name.value)),
                    fmt::format("write a section [group.{}]", can_be_name(name.value) ? name.value : "NAME"));
  const model::ConnectionConfig& connection = tunnel.config.connection;
  if (!model::is_subset(found->config.local, connection.local))
    return complain(fmt::format("group {} at {} may reach more than the tunnel has", in_quotes(name.value),
                                found->header.to_string()),
                    "write in the group's local no more than the tunnel's local has");
  if (!found->config.pools.empty() && connection.pools.empty())
    return complain(fmt::format("group {} at {} has a pool, but the tunnel has none for those of no group",
                                in_quotes(name.value), found->header.to_string()),
                    "give the tunnel a pool too");
  return &*found;
}

}  // namespace

DraftGroup read_group(Section section, std::string name) {
  DraftGroup draft;
  draft.header = section.position();
  model::GroupPolicy& group = draft.config;
  group.name = std::move(name);
  section.refuse_unknown(kGroupFields);
  read_members(section, group);
  group.refused = section.boolean("refuse").value_or(false);
  for (const Located<std::string>& written : section.texts("pool", kMostPools)) group.pools.push_back(written.value);
  if (section.has("pool")) draft.pool = section.position_of("pool");
  if (section.has("local")) group.local = read_selectors(section, "local").selectors;
  if (const auto sessions = section.integer("sessions", 0, kMostSessions))
    group.sessions = static_cast<std::size_t>(*sessions);
  if (group.refused && (section.has("pool") || section.has("local") || section.has("sessions")))
    section.error(section.position_of("refuse"), "refuse", "who is refused gets nothing and reaches nothing",
                  "take out refuse, or the other settings");
  return draft;
}

void read_group_use(Section& section, DraftTunnel& draft) {
  if (!section.has("groups")) return;
  draft.groups = section.texts("groups", kMostGroups);
  if (draft.config.peer_kind != PeerKind::any)
    section.error(section.position_of("groups"), "groups", "groups tell apart many peers, and this tunnel has one",
                  "write peer = \"any\" with a pattern as remote_id, or with eap; or take groups out");
}

void check_groups(Draft& draft) {
  for (std::size_t second = 0; second < draft.groups.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      if (draft.groups[first].config.name != draft.groups[second].config.name) continue;
      draft.problems.push_back(
          {Severity::error, draft.groups[second].header, "group." + draft.groups[second].config.name,
           fmt::format("the name is taken by the group at {}", draft.groups[first].header.to_string()),
           "give one of the two another name"});
    }
  }
  for (DraftTunnel& tunnel : draft.tunnels) {
    for (const Located<std::string>& name : tunnel.groups) {
      if (const DraftGroup* group = find_group(draft, tunnel, name))
        tunnel.config.connection.groups.push_back(group->config);
    }
  }
}

}  // namespace culvert::config
