#include "ike/v2/security_labels.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace culvert::ike::v2 {
namespace {

using model::Role;
using model::SecurityLabel;

constexpr auto kLabelType = static_cast<std::uint8_t>(model::TrafficSelectorType::secured_label);

bool is_label(const codec::UnknownSelector& selector) { return selector.type == kLabelType; }

bool asks_for_label(const codec::TsPayload* ts) { return ts != nullptr && std::ranges::any_of(ts->unknown, is_label); }

// RFC 9478 2.2: one without octets is no label, and no wildcard.
bool has(const codec::TsPayload* ts, const SecurityLabel& label) {
  return ts != nullptr && std::ranges::any_of(ts->unknown, [&](const codec::UnknownSelector& selector) {
           return is_label(selector) && !selector.body.empty() && selector.body == label.octets;
         });
}

// The first few, as they may be printed.
std::string shown(const std::vector<SecurityLabel>& labels) {
  constexpr std::size_t kShown = 4;
  constexpr std::size_t kLength = 200;
  std::string text;
  for (std::size_t i = 0; i < std::min(labels.size(), kShown); ++i) {
    std::string one = labels[i].to_string();
    if (one.size() > kLength) one = one.substr(0, kLength) + "...";
    text += fmt::format("{}'{}'", i == 0 ? "" : ", ", one);
  }
  return labels.size() > kShown ? text + ", others" : text;
}

std::string heard(const codec::TsPayload* ts) {
  std::vector<SecurityLabel> labels;
  for (const codec::UnknownSelector& selector : ts->unknown) {
    if (is_label(selector) && !selector.body.empty()) labels.push_back({selector.body});
  }
  return labels.empty() ? "one without octets" : shown(labels);
}

}  // namespace

std::vector<SecurityLabel> labels_for(const model::ConnectionConfig& config, const ChildSa* like) {
  if (like == nullptr) return config.security_labels;
  return like->label ? std::vector<SecurityLabel>{*like->label} : std::vector<SecurityLabel>{};
}

codec::TsPayload ts_payload(Role side, const model::TrafficSelectors& selectors,
                            const std::vector<SecurityLabel>& labels) {
  codec::TsPayload ts{.side = side, .selectors = selectors, .unknown = {}};
  for (const SecurityLabel& label : labels)
    ts.unknown.push_back({.type = kLabelType, .protocol = 0, .body = label.octets});
  return ts;
}

codec::TsPayload ts_payload(Role side, const model::TrafficSelectors& selectors,
                            const std::optional<SecurityLabel>& label) {
  return ts_payload(side, selectors, label ? std::vector<SecurityLabel>{*label} : std::vector<SecurityLabel>{});
}

Result<std::optional<SecurityLabel>, std::string> agree_on_label(const codec::Message& request,
                                                                 const std::vector<SecurityLabel>& ours) {
  const auto* i = request.ts(Role::initiator);
  const auto* r = request.ts(Role::responder);
  const bool asked = asks_for_label(i) || asks_for_label(r);
  if (!asked && ours.empty()) return std::optional<SecurityLabel>();
  if (!asked)
    return err(fmt::format("the peer asks for no security label, ours is {} (\"security_label\")", shown(ours)));
  for (const SecurityLabel& label : ours) {
    if (has(i, label) && has(r, label)) return std::optional(label);
  }
  // RFC 9478 3: exactly one of those that the initiator has named, or TS_UNACCEPTABLE.
  return err(fmt::format("the peer asks for the security label {}, ours is {} (\"security_label\")",
                         heard(asks_for_label(i) ? i : r), ours.empty() ? "none" : shown(ours)));
}

Result<std::optional<SecurityLabel>, std::string> label_in_answer(const codec::Message& answer,
                                                                  const std::vector<SecurityLabel>& offered) {
  const auto* i = answer.ts(Role::initiator);
  const auto* r = answer.ts(Role::responder);
  const auto count = [](const codec::TsPayload* ts) { return std::ranges::count_if(ts->unknown, is_label); };
  if (offered.empty()) {
    if (count(i) + count(r) == 0) return std::optional<SecurityLabel>();
    return err(std::string("the peer answered with a security label that we did not offer"));
  }
  // RFC 9478 3: who wants a label does without the Child SA otherwise.
  if (count(i) == 0 && count(r) == 0)
    return err(fmt::format("the peer takes no security labels, ours is {} (\"security_label\")", shown(offered)));
  if (count(i) == 1 && count(r) == 1) {
    for (const SecurityLabel& label : offered) {
      if (has(i, label) && has(r, label)) return std::optional(label);
    }
  }
  return err(fmt::format("the peer answered with other security labels than exactly one of {}", shown(offered)));
}

}  // namespace culvert::ike::v2
