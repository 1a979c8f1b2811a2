#pragma once

#include <string>

#include "ike/face.hpp"
#include "model/connection.hpp"

namespace culvert::control {

/// The way out of a failed negotiation, one or two sentences for whoever runs this end.
[[nodiscard]] std::string advice(const ike::NegotiationFailed& failure, const model::ConnectionConfig& config);

}  // namespace culvert::control
