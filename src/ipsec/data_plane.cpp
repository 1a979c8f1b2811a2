#include "ipsec/data_plane.hpp"

namespace culvert::ipsec {

const char* to_string(DataPlaneError error) {
  switch (error) {
    case DataPlaneError::unsupported_suite: return "no cipher library here has the algorithms";
    case DataPlaneError::unsupported_mode:
      return "protocol, mode, encapsulation and selectors do not go together: AH has no UDP, BEET one address on each "
             "side";
    case DataPlaneError::no_free_spi: return "no free SPI: all SA slots are in use";
    case DataPlaneError::unknown_sa: return "no such SA";
    case DataPlaneError::overloaded: return "the packet workers do not keep up with commands";
  }
  return "unknown data plane error";
}

}  // namespace culvert::ipsec
