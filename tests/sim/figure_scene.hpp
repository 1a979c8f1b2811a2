// Scene: two endpoints, what the figures of the RFCs are about them, and what happens between them. Row: one figure and
// how it comes about.
#pragma once

#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ike/v2/testing/pair.hpp"
#include "tests/sim/figure.hpp"

namespace culvert::sim {

/// Who stands on the left of the figure, and who has begun the IKE SA where it stands before.
struct Roles {
  bool a_is_left = true;
  bool left_began = true;
  bool lossy = false;
};

class Scene {
 public:
  using Config = model::ConnectionConfig;
  using Host = ike::v2::testing::Host;

  Scene(const Roles& roles, const ike::EndpointSettings& settings, std::uint64_t seed);

  [[nodiscard]] ike::v2::testing::Pair& pair() { return pair_; }
  [[nodiscard]] Host& left() { return pair_.host(roles_.a_is_left); }
  [[nodiscard]] Host& right() { return pair_.host(!roles_.a_is_left); }
  [[nodiscard]] Config& left_config() { return configs_[roles_.a_is_left ? 0 : 1]; }
  [[nodiscard]] Config& right_config() { return configs_[roles_.a_is_left ? 1 : 0]; }
  void each(const std::function<void(Config&)>& change) {
    for (Config& config : configs_) change(config);
  }
  void suites(std::string_view ike, std::string_view esp = "aes256gcm16-esn");
  /// Both prove themselves by certificates.
  void give_certificates();
  /// Who stands on the left proves itself by EAP, by a method of passwords or one built on TLS.
  void give_eap(model::EapType method);
  /// Who stands on the left asks for an address of IPv4, the other has addresses of these families.
  void give_addresses(std::initializer_list<net::Family> families);
  /// Both ends want transport mode between their addresses.
  void transport();
  /// What outlives a process: for tokens and tickets.
  void give_secrets();

  /// What is drawn begins here.
  void record() { from_ = pair_.wire.size(); }
  void configure();
  void command(Host& who, ike::Command command) { pair_.command(who, std::move(command)); }
  void initiate();
  /// Until nothing is under way, also of what was lost at first.
  void pass();
  /// The set-up, drawn, by who stands on the left.
  void set_up();
  /// An IKE SA with a Child SA, which stands before; not drawn, and on a network that loses nothing.
  void stand();
  /// The process of the host ends without a word and begins again.
  void crash(Host& who);
  /// Says what is wrong unless both ends have one and the same IKE SA and Child SA.
  void expect_up();

  [[nodiscard]] std::string compare_with(const std::string& figure, bool rounds_of_eap);

 private:
  void give_secrets(Host& who);

  Roles roles_;
  SeededRandom random_;
  ike::v2::testing::Pair pair_;
  std::array<Config, 2> configs_;
  std::size_t from_ = 0;
  std::string faults_;
};

struct Row {
  const char* name;
  const char* section;
  std::string figure;
  std::function<void(Scene&)> play;
  std::function<void(ike::EndpointSettings&)> settings = [](ike::EndpointSettings&) {};
  /// It is the initiator of the IKE SA who stands on the left.
  bool by_initiator = false;
  /// A method of EAP takes as many rounds as it does; one is drawn.
  bool rounds_of_eap = false;
  /// Messages of both ends cross on a network that is the same both ways; on another the order would be another.
  bool crossing = false;
};
inline void PrintTo(const Row& row, std::ostream* out) { *out << row.name << ", " << row.section; }

[[nodiscard]] std::vector<Row> set_up_rows();
[[nodiscard]] std::vector<Row> set_up_extension_rows();
[[nodiscard]] std::vector<Row> child_rows();
[[nodiscard]] std::vector<Row> informational_rows();

}  // namespace culvert::sim
