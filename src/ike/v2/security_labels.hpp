// Security labels in the negotiation of Child SAs (RFC 9478): TS_SECLABEL selectors beside those of addresses. No
// narrowing and no wildcards: the initiator offers some, the responder takes one of them for both directions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"
#include "model/security_label.hpp"

namespace culvert::ike::v2 {

/// What a new pair is for: the label of the one that it replaces or stands beside, else those of the connection.
[[nodiscard]] std::vector<model::SecurityLabel> labels_for(const model::ConnectionConfig& config, const ChildSa* like);

/// A TS payload with these labels beside the selectors.
[[nodiscard]] codec::TsPayload ts_payload(model::Role side, const model::TrafficSelectors& selectors,
                                          const std::vector<model::SecurityLabel>& labels);
/// The same with one label, or none.
[[nodiscard]] codec::TsPayload ts_payload(model::Role side, const model::TrafficSelectors& selectors,
                                          const std::optional<model::SecurityLabel>& label);

/// Of `ours` the first one that TSi and TSr of the message both have; nothing where neither side wants any. The error
/// is a sentence: one side wants a label that the other does not have.
[[nodiscard]] Result<std::optional<model::SecurityLabel>, std::string> agree_on_label(
    const codec::Message& request, const std::vector<model::SecurityLabel>& ours);

/// As initiator: what the answer chose of `offered`. The error is a sentence.
[[nodiscard]] Result<std::optional<model::SecurityLabel>, std::string> label_in_answer(
    const codec::Message& answer, const std::vector<model::SecurityLabel>& offered);

}  // namespace culvert::ike::v2
