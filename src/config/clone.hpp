// Copies of what holds secrets, made where they are meant.
#pragma once

#include "config/config.hpp"

namespace culvert::config {

[[nodiscard]] ManualConfig clone(const ManualConfig& entry);
/// All that an SA with manual keys has, without its keys.
void copy_but_keys(const model::ChildSaParams& from, model::ChildSaParams& to);

}  // namespace culvert::config
