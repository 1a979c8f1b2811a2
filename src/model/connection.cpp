#include "model/connection.hpp"

#include <fmt/format.h>

namespace culvert::model {

std::string SourcePlace::to_string() const { return line == 0 ? file : fmt::format("{}:{}", file, line); }

}  // namespace culvert::model
