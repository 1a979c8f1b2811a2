#include "control/tunnel.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::control {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

/// A tunnel that comes up at once and again, with EAP as its client by `methods`, if there are any.
class TunnelRetries : public ::testing::Test {
 protected:
  Tunnel make(std::vector<model::EapType> methods) {
    model::ConnectionConfig config;
    config.id = model::ConnectionId(1);
    config.start = model::StartMode::automatic;
    if (!methods.empty()) config.eap = model::EapSettings{.client = true, .methods = std::move(methods)};
    return Tunnel(std::move(config), "192.0.2.1", true, attempts_);
  }
  /// How long after the failure the next attempt begins.
  Duration wait_after(Tunnel& tunnel, const char* kind) {
    (void)tunnel.begin_attempt();
    tunnel.failed(kStart, kind, "no", "", random_);
    return tunnel.retry_at().value_or(kStart) - kStart;
  }

  TimerQueue<model::ConnectionId> attempts_;
  SeededRandom random_{1};
};

TEST_F(TunnelRetries, ARefusedPasswordIsNotTriedAgainSoon) {
  for (const auto type : {model::EapType::mschapv2, model::EapType::ttls, model::EapType::gtc}) {
    Tunnel tunnel = make({type});
    tunnel.want(true, kStart);
    EXPECT_GE(wait_after(tunnel, "authentication_failed"), 1min);
    tunnel.hurry(kStart);  // another network makes no other password
    EXPECT_GE(*tunnel.retry_at(), kStart + 1min);
    EXPECT_GE(wait_after(tunnel, "authentication_failed"), 5min);
    EXPECT_LE(wait_after(tunnel, "authentication_failed"), 5min);
    EXPECT_TRUE(tunnel.retry_at()) << "nor is it given up";
    tunnel.want(true, kStart);
    EXPECT_EQ(tunnel.retry_at(), kStart) << "culvert up waits for nothing";
  }
}

TEST_F(TunnelRetries, WhatMayBeAnAccidentIsTriedAgainAtOnce) {
  Tunnel silent = make({model::EapType::mschapv2});
  silent.want(true, kStart);
  EXPECT_LE(wait_after(silent, "no_answer"), 1s);
  silent.hurry(kStart);
  EXPECT_EQ(silent.retry_at(), kStart);
  Tunnel by_certificate = make({model::EapType::tls});
  by_certificate.want(true, kStart);
  EXPECT_LE(wait_after(by_certificate, "authentication_failed"), 1s);
  Tunnel by_secret = make({});
  by_secret.want(true, kStart);
  EXPECT_LE(wait_after(by_secret, "authentication_failed"), 1s);
}

}  // namespace
}  // namespace culvert::control
