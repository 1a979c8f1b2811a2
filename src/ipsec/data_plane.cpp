#include "ipsec/data_plane.hpp"

namespace culvert::ipsec {

const char* to_string(DataPlaneError error) {
  switch (error) {
    case DataPlaneError::unsupported_suite:
      return "no cipher library here has the algorithms, or the mode is not supported";
    case DataPlaneError::no_free_spi: return "no free SPI: all SA slots are in use";
    case DataPlaneError::unknown_sa: return "no such SA";
    case DataPlaneError::overloaded: return "the packet workers do not keep up with commands";
  }
  return "unknown data plane error";
}

}  // namespace culvert::ipsec
