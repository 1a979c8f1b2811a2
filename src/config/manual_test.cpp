// The manual, the table of fields and the parser agree.
#include <fstream>
#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/fields.hpp"

namespace culvert::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Fields = std::map<std::string, std::string>;  // name -> default

/// The settings under each heading: "- `name`: ... Default: `value`.", which may go on over indented lines.
std::map<std::string, Fields> read_manual() {
  std::ifstream in("docs/man/culvert.toml.5.md");
  EXPECT_TRUE(in) << "the test runs in the root of the checkout";
  std::map<std::string, Fields> out;
  std::string heading, name, line;
  while (std::getline(in, line)) {
    if (line.starts_with("## ")) heading = line.substr(3);
    if (line.starts_with("- `")) {
      name = line.substr(3, line.find('`', 3) - 3);
      out[heading][name];
    } else if (!line.starts_with("  ")) {
      name.clear();
    }
    const std::size_t at = line.find("Default: `");
    if (!name.empty() && at != std::string::npos)
      out[heading][name] = line.substr(at + 10, line.find('`', at + 10) - at - 10);
  }
  return out;
}

template <std::size_t N>
Fields table(const std::array<FieldInfo, N>& fields) {
  Fields out;
  for (const FieldInfo& field : fields) out[std::string(field.name)] = field.default_text;
  return out;
}

TEST(Manual, NamesEveryFieldWithItsDefault) {
  auto manual = read_manual();
  EXPECT_EQ(manual["[daemon]"], table(kDaemonFields));
  EXPECT_EQ(manual["[tunnel.NAME]"], table(kTunnelFields));
  EXPECT_EQ(manual["child_lifetime = { ... }"], table(kLifetimeFields));
  EXPECT_EQ(manual["[user.NAME]"], table(kUserFields));
  EXPECT_EQ(manual["[[policy]]"], table(kPolicyFields));
  EXPECT_EQ(manual["Packet treatment"], table(kTreatmentFields));
  EXPECT_EQ(manual["aggfrag = { ... }"], table(kAggfragFields));
  EXPECT_EQ(manual["[manual.NAME]"], table(kManualFields));
  EXPECT_EQ(manual["[pool.NAME]"], table(kPoolFields));
  EXPECT_EQ(manual["[group.NAME]"], table(kGroupFields));
  EXPECT_EQ(manual["[radius.NAME]"], table(kRadiusFields));
  EXPECT_EQ(manual["soft_lifetime, hard_lifetime = { ... }"], table(kManualLifetimeFields));
}

/// A date is right for no setting: whoever reads the setting complains about it, and not that it is unknown.
TEST(Manual, ParserReadsEveryField) {
  const auto expect_read = [](const std::string& text, std::string_view name) {
    const std::string problems = testing::problems_of(text);
    EXPECT_THAT(problems, HasSubstr("." + std::string(name) + ": ")) << text;
    EXPECT_THAT(problems, HasSubstr("a date or time was found")) << text;
    EXPECT_THAT(problems, Not(HasSubstr("no such setting"))) << text;
  };
  for (const FieldInfo& field : kDaemonFields)
    expect_read("[daemon]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  for (const FieldInfo& field : kTunnelFields)
    expect_read("[tunnel.a]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  for (const FieldInfo& field : kUserFields)
    expect_read("[user.a]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  for (const FieldInfo& field : kPoolFields)
    expect_read("[pool.a]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  for (const FieldInfo& field : kGroupFields)
    expect_read("[group.a]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  for (const FieldInfo& field : kRadiusFields)
    expect_read("[radius.a]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  for (const FieldInfo& field : kPolicyFields)
    expect_read("[[policy]]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  for (const FieldInfo& field : kTreatmentFields) {
    expect_read("[tunnel.a]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
    expect_read("[manual.a]\n" + std::string(field.name) + " = 2026-01-01\n", field.name);
  }
  for (const FieldInfo& field : kAggfragFields)
    expect_read("[manual.a]\naggfrag = { " + std::string(field.name) + " = 2026-01-01 }\n", field.name);
  for (const FieldInfo& field : kManualFields)
    expect_read((field.name == "suite" ? "[manual.a]\n" : "[manual.a]\nsuite = \"aes128-sha256-esn\"\n") +
                    std::string(field.name) + " = 2026-01-01\n",
                field.name);
  for (const FieldInfo& field : kManualLifetimeFields) {
    for (const std::string key : {"soft_lifetime", "hard_lifetime"})
      expect_read("[manual.a]\n" + key + " = { " + std::string(field.name) + " = 2026-01-01 }\n", field.name);
  }
  for (const FieldInfo& field : kLifetimeFields) {
    expect_read("[tunnel.a]\nchild_lifetime = { " + std::string(field.name) + " = 2026-01-01 }\n", field.name);
  }
}

/// Writing each default out changes nothing.
TEST(Manual, DefaultsAreWhatTheParserTakes) {
  std::string daemon = "[daemon]\n", written = testing::tunnel();
  for (const FieldInfo& field : kDaemonFields) {
    if (!field.default_text.empty()) daemon += std::string(field.name) + " = " + std::string(field.default_text) + "\n";
  }
  for (const FieldInfo& field : kTunnelFields) {
    if (!field.default_text.empty())
      written += std::string(field.name) + " = " + std::string(field.default_text) + "\n";
  }
  for (const FieldInfo& field : kTreatmentFields) {
    if (!field.default_text.empty())
      written += std::string(field.name) + " = " + std::string(field.default_text) + "\n";
  }
  const auto plain = testing::load_text(testing::tunnel());
  const auto full = testing::load_text(written + daemon);
  ASSERT_TRUE(plain && full) << testing::lines(full ? Problems{} : full.error());
  EXPECT_EQ(full->daemon, plain->daemon);
  const auto& a = plain->tunnels[0].connection;
  const auto& b = full->tunnels[0].connection;
  EXPECT_EQ(std::tie(a.peer_port, a.start, a.mode, a.encapsulation, a.ike_lifetime, a.child_lifetime, a.rekey_margin,
                     a.liveness_interval, a.nat_keepalive_interval, a.replay_window, a.treatment),
            std::tie(b.peer_port, b.start, b.mode, b.encapsulation, b.ike_lifetime, b.child_lifetime, b.rekey_margin,
                     b.liveness_interval, b.nat_keepalive_interval, b.replay_window, b.treatment));
}

}  // namespace
}  // namespace culvert::config
