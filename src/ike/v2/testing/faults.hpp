// What two ends found wrong, in words. Header only; never part of the product.
#pragma once

#include <string>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

/// A line for each failure: who saw it, and what it was.
inline std::string faults_of(const Host& a, const Host& b) {
  std::string all;
  for (const Host* one : {&a, &b}) {
    for (const NegotiationFailed& failure : one->failures) all += one->name + ": " + failure.detail + "\n";
  }
  return all;
}

}  // namespace culvert::ike::v2::testing
