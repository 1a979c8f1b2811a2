// What the configuration says of the packet engine, in its own words.
#pragma once

#include "config/config.hpp"
#include "ipsec/engine.hpp"

namespace culvert::daemon {

/// All that [daemon] does not name is left as the engine has it.
[[nodiscard]] ipsec::EngineOptions engine_options(const config::PacketBounds& bounds);

}  // namespace culvert::daemon
