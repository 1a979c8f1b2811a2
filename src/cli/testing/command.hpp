// Command: `culvert` against a daemon with canned answers. Header only; never part of the product.
#pragma once

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "api/fake_daemon.hpp"
#include "cli/run.hpp"

namespace culvert::cli::testing {

class Command : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
  int run(std::vector<std::string> arguments, bool color = false) {
    out_.str({});
    err_.str({});
    arguments.insert(arguments.begin(), {"--socket", daemon_.socket().string()});
    World world{.out = out_, .err = err_, .color_out = color, .color_err = color, .now = [] {
                  return std::int64_t{1'000'060'000};
                }};
    world.poll = std::chrono::milliseconds(1);
    world.in = &in_;
    world.follow_on = [this] {
      daemon_.log.append(3'000, api::LogLevel::info, "office", "later");
      return follow_rounds_-- > 0;
    };
    return static_cast<int>(cli::run(std::move(arguments), world));
  }
  [[nodiscard]] std::string out() const { return out_.str(); }
  [[nodiscard]] std::string err() const { return err_.str(); }

  void office_is_up() {
    api::TunnelStatus& office = daemon_.handlers.office;
    office.state = api::TunnelState::up;
    api::IkeSa sa{.id = 1,
                  .role = "initiator",
                  .spi_i = "0x0123456789abcdef",
                  .spi_r = "0xfedcba9876543210",
                  .local = "192.0.2.1:4500",
                  .remote = "192.0.2.2:4500",
                  .local_id = "192.0.2.1",
                  .remote_id = "gw.example.net",
                  .suite = "aes256gcm16-prfsha256-x25519"};
    sa.remote_behind_nat = true;
    sa.age = 125;
    sa.rekey_in = 12600;
    api::ChildSa child{.id = 2,
                       .spi_inbound = "0xc0000001",
                       .spi_outbound = "0xc0000002",
                       .suite = "aes128gcm16-esn",
                       .mode = "tunnel",
                       .encapsulation = "udp",
                       .backend = "ipsec-mb 1.3.0",
                       .local = {"10.1.0.0/16"},
                       .remote = {"10.2.0.0/16"}};
    child.age = 65;
    child.rekey_in = 3000;
    child.counters = {.inbound_packets = 1234567,
                      .inbound_bytes = 1500000000,
                      .outbound_packets = 9,
                      .outbound_bytes = 756,
                      .replay_drops = 3};
    sa.children.push_back(child);
    office.ike_sas.push_back(sa);
  }

  api::testing::FakeDaemon daemon_;
  std::istringstream in_;
  int follow_rounds_ = 0;

 private:
  std::ostringstream out_, err_;
};

}  // namespace culvert::cli::testing
