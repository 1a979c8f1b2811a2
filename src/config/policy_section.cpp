// [[policy]]: one rule of the SPD (RFC 4301 4.4.1).
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::pair<std::string_view, RuleAction> kActions[] = {
    {"bypass", RuleAction::bypass}, {"discard", RuleAction::discard}, {"protect", RuleAction::protect}};
constexpr std::pair<std::string_view, RuleDirection> kDirections[] = {
    {"both", RuleDirection::both}, {"out", RuleDirection::outbound}, {"in", RuleDirection::inbound}};
constexpr std::pair<std::string_view, RulePlace::Kind> kPositions[] = {{"first", RulePlace::Kind::first},
                                                                       {"last", RulePlace::Kind::last}};
constexpr std::pair<std::string_view, bool RulePopulate::*> kPopulate[] = {
    {"local_address", &RulePopulate::local_address},
    {"remote_address", &RulePopulate::remote_address},
    {"protocol", &RulePopulate::protocol},
    {"local_port", &RulePopulate::local_port},
    {"remote_port", &RulePopulate::remote_port}};

void read_action(Section& section, DraftPolicy& draft) {
  PolicyRule& rule = draft.rule;
  const auto action = section.choice("action", kActions);
  if (action) {
    rule.action = *action;
  } else if (!section.has("action")) {
    section.missing("action", R"(write action = "bypass" (let pass in the clear), "discard" or "protect")");
  }
  if (const auto sa = section.text("sa")) {
    rule.sa = sa->value;
    draft.sa = sa->position;
    if (action && rule.action != RuleAction::protect)
      section.error(sa->position, "sa", "only a rule with action = \"protect\" has an SA", "take one of the two out");
  } else if (rule.action == RuleAction::protect && !section.has("sa")) {
    section.missing("sa", "write sa = \"NAME\": the tunnel or manual entry that protects the packets");
  }
}

void read_place(Section& section, DraftPolicy& draft) {
  const auto given = std::ranges::count_if(std::array<std::string_view, 3>{"position", "before", "after"},
                                           [&](std::string_view key) { return section.has(key); });
  if (given > 1) {
    section.error(section.position(), section.has("before") ? "before" : "after",
                  "position, before and after exclude each other", "keep one of them");
    return;
  }
  RulePlace& place = draft.rule.position;
  if (const auto kind = section.choice("position", kPositions)) place.kind = *kind;
  for (const std::string_view key : {"before", "after"}) {
    const auto anchor = section.text(key);
    if (!anchor) continue;
    place = {key == "before" ? RulePlace::Kind::before : RulePlace::Kind::after, anchor->value};
    draft.anchor = anchor->position;
  }
}

void read_populate(Section& section, PolicyRule& rule) {
  for (const auto& [word, position] : section.texts("populate", std::size(kPopulate))) {
    const auto found =
        std::ranges::find(kPopulate, std::string_view(word), [](const auto& entry) { return entry.first; });
    if (found == std::end(kPopulate)) {
      section.error(position, "populate", fmt::format("{} is not known here", in_quotes(word)),
                    "write local_address, remote_address, protocol, local_port or remote_port");
    } else {
      rule.populate.*(found->second) = true;
    }
  }
  if (section.has("populate") && rule.action != RuleAction::protect) {
    section.error(section.position_of("populate"), "populate", "only a protect rule makes SAs",
                  "take the setting out, or write action = \"protect\"");
  }
}

}  // namespace

DraftPolicy read_policy(Section section) {
  DraftPolicy draft;
  PolicyRule& rule = draft.rule;
  section.refuse_unknown(kPolicyFields);
  draft.header = draft.name = draft.sa = draft.anchor = section.position();
  rule.place = {section.file(), section.position().line};
  if (const auto name = section.text("name")) {
    draft.name = name->position;
    rule.name = name->value;
    if (!can_be_name(rule.name))
      section.error(name->position, "name", fmt::format("{} cannot name a rule", in_quotes(name->value)),
                    std::string(kNameHint));
  }
  read_action(section, draft);
  const auto side = [&](std::string_view key) {
    if (section.has(key)) return read_selectors(section, key).selectors;
    return model::TrafficSelectors{model::TrafficSelector::all(net::Family::v4),
                                   model::TrafficSelector::all(net::Family::v6)};
  };
  rule.local = side("local");
  rule.remote = side("remote");
  if (const auto direction = section.choice("direction", kDirections)) rule.direction = *direction;
  read_place(section, draft);
  read_populate(section, rule);
  return draft;
}

}  // namespace culvert::config
