#include "cli/doctor/firewall.hpp"

#include <gtest/gtest.h>

namespace culvert::cli::doctor {
namespace {

using Kind = FilterAnswer::Kind;

ProbePacket ike(Hook hook = Hook::input) {
  ProbePacket packet;
  packet.hook = hook;
  packet.protocol = 17;
  packet.source_port = packet.destination_port = 500;
  return packet;
}

std::string table(const std::string& rules, const std::string& policy = "drop", const std::string& hook = "input") {
  return "table inet filter {\n\tchain input {\n\t\ttype filter hook " + hook + " priority 0; policy " + policy +
         ";\n" + rules + "\t}\n}\n";
}

Kind kind(const std::string& ruleset, const ProbePacket& packet = ike()) { return ask_filters(ruleset, packet).kind; }

TEST(Firewall, NothingAndUnrelatedTablesPass) {
  EXPECT_EQ(kind(""), Kind::passes);
  EXPECT_EQ(kind(table("", "accept")), Kind::passes);
  EXPECT_EQ(kind(table("", "drop", "output")), Kind::passes);
  EXPECT_EQ(kind("table arp x {\n\tchain c {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n"),
            Kind::passes);
  EXPECT_EQ(kind("table ip6 x {\n\tchain c {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n"),
            Kind::passes);
  EXPECT_EQ(
      kind("table inet culvert {\n\tchain c {\n\t\ttype filter hook prerouting priority 0; policy drop;\n\t}\n}\n"),
      Kind::passes)
      << "our own";
}

TEST(Firewall, PolicyAndTheRulesThatLetThrough) {
  const FilterAnswer answer = ask_filters(table("\t\ttcp dport 22 accept\n\t\tiifname \"lo\" accept\n"), ike());
  EXPECT_EQ(answer, (FilterAnswer{Kind::dropped, "inet", "filter", "input", "policy drop"}));
  for (const char* const rule :
       {"udp dport 500 accept", "udp dport { 500, 4500 } accept", "udp dport 1-1024 counter accept",
        "udp dport { 1-400, 450-4500 } log prefix \"drop this \" level info accept comment \"tcp drop\"",
        "meta l4proto 17 accept", "meta l4proto { 6, 17 } th dport 500 accept", "ip protocol 17 accept",
        "iifname != \"lo\" udp dport 500 accept", "udp dport != 501 accept", "ct state new,untracked accept",
        "ct state { established, new } accept", "udp dport vmap { 22 : drop, 500 : accept }",
        "meta nfproto ipv4 accept", "meta mark set 0x00000001 accept", "counter packets 12 bytes 900 accept"}) {
    EXPECT_EQ(kind(table("\t\t" + std::string(rule) + "\n")), Kind::passes) << rule;
  }
  for (const char* const rule :
       {"udp dport 501 accept", "udp sport { 1, 2 } accept", "tcp dport 500 accept", "meta l4proto 50 accept",
        "ip protocol { 6, 50 } accept", "iifname \"lo\" accept", "iif \"lo\" accept", "udp dport != 500 accept",
        "ct state established,related accept", "ct state vmap { established : accept, invalid : drop }",
        "meta nfproto ipv6 accept", "ip6 saddr ::1 accept", "icmpv6 type echo-request accept",
        "udp dport vmap { 22 : accept }"}) {
    EXPECT_EQ(kind(table("\t\t" + std::string(rule) + "\n")), Kind::dropped) << rule;
  }
}

TEST(Firewall, WhatIsNotKnownMayDrop) {
  for (const char* const rule :
       {"ip saddr 192.0.2.0/24 accept", "ip saddr @friends udp dport 500 accept", "udp dport @ports accept",
        "limit rate 10/second burst 5 packets accept", "meta mark 7 accept", "iifname \"eth0\" udp dport 500 accept",
        "xt match \"multiport\" accept", "ip saddr { 192.0.2.1, 192.0.2.2 } accept", "something new here accept"}) {
    EXPECT_EQ(kind(table("\t\t" + std::string(rule) + "\n")), Kind::may_be_dropped) << rule;
  }
  EXPECT_EQ(kind(table("\t\tip saddr 192.0.2.9 drop\n", "accept")), Kind::may_be_dropped);
  EXPECT_EQ(kind(table("\t\tip saddr 192.0.2.9 tcp dport 500 drop\n", "accept")), Kind::passes) << "never TCP";
  EXPECT_EQ(kind(table("\t\tudp dport 500 xt target \"REJECT\"\n", "accept")), Kind::dropped);
}

TEST(Firewall, InterfacesThatAreKnownDecide) {
  ProbePacket packet = ike();
  packet.input_interface = "eth0";
  EXPECT_EQ(kind(table("\t\tiifname \"eth0\" accept\n"), packet), Kind::passes);
  EXPECT_EQ(kind(table("\t\tiifname \"eth*\" accept\n"), packet), Kind::passes);
  EXPECT_EQ(kind(table("\t\tiifname { \"lan0\", \"eth0\" } accept\n"), packet), Kind::passes);
  EXPECT_EQ(kind(table("\t\tiifname \"wan0\" accept\n"), packet), Kind::dropped);
}

TEST(Firewall, AnswersPassAStatefulFilter) {
  const std::string stateful = table("\t\tct state established,related accept\n\t\tct state invalid drop\n");
  EXPECT_EQ(kind(stateful), Kind::dropped);
  ProbePacket packet = ike();
  packet.answer = true;
  EXPECT_EQ(kind(stateful, packet), Kind::passes);
}

TEST(Firewall, JumpsComeBackAndGotosDoNot) {
  const auto with = [](const std::string& rules, const std::string& other) {
    return "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority 0; policy drop;\n" + rules +
           "\t}\n\n\tchain other {\n" + other + "\t}\n}\n";
  };
  EXPECT_EQ(kind(with("\t\tjump other\n", "\t\tudp dport 500 accept\n")), Kind::passes);
  EXPECT_EQ(kind(with("\t\tjump other\n\t\taccept\n", "\t\ttcp dport 1 drop\n")), Kind::passes);
  EXPECT_EQ(kind(with("\t\tjump other\n\t\taccept\n", "\t\treturn\n\t\tdrop\n")), Kind::passes);
  EXPECT_EQ(kind(with("\t\tgoto other\n\t\taccept\n", "\t\ttcp dport 1 accept\n")), Kind::dropped);
  EXPECT_EQ(kind(with("\t\tip saddr 1.2.3.4 jump other\n\t\taccept\n", "\t\tdrop\n")), Kind::may_be_dropped);
  EXPECT_EQ(kind(with("\t\tudp dport vmap { 500 : jump other }\n", "\t\taccept\n")), Kind::passes);
  EXPECT_EQ(kind(with("\t\tjump missing\n", "")), Kind::may_be_dropped);
  // A circle, which the kernel refuses, comes to an end here too.
  EXPECT_EQ(kind(with("\t\tjump other\n", "\t\tjump other\n\t\tjump other\n\t\taccept\n")), Kind::may_be_dropped);
}

TEST(Firewall, AllChainsOnTheWayCountAndTranslationDoesNot) {
  const std::string accepting = table("\t\taccept\n");
  EXPECT_EQ(kind(accepting + "table ip raw {\n\tchain p {\n\t\ttype filter hook prerouting priority -300; policy "
                             "accept;\n\t\tudp dport 500 drop\n\t}\n}\n"),
            Kind::dropped);
  EXPECT_EQ(kind("table ip nat {\n\tchain p {\n\t\ttype nat hook prerouting priority -100; policy accept;\n\t\tudp "
                 "dport 500 drop\n\t}\n}\n"),
            Kind::passes);
  ProbePacket through;
  through.hook = Hook::forward;
  through.output_interface = "culvert0";
  const std::string docker =
      "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority 0; policy drop;\n"
      "\t\toifname \"docker0\" ct state established,related counter accept\n\t}\n}\n";
  EXPECT_EQ(kind(docker, through), Kind::dropped);
  EXPECT_EQ(kind(docker), Kind::passes) << "not forwarded";
}

// Sets and maps are passed over, whatever stands in them; half a text is no reason to fall.
TEST(Firewall, OddTexts) {
  EXPECT_EQ(kind("table inet filter {\n\tset friends {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1,\n\t\t\t     "
                 "192.0.2.2 }\n\t}\n\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tudp "
                 "dport 500 accept\n\t}\n}\n"),
            Kind::passes);
  const std::string whole = table("\t\tudp dport vmap { 500 : jump x, 501 : drop }\n\t\tct state { new, \n");
  for (std::size_t i = 0; i < whole.size(); ++i) (void)ask_filters(whole.substr(0, i), ike());
  (void)ask_filters("}}}\n{\nchain x {\ntable\ntable inet {\n\"", ike());
}

}  // namespace
}  // namespace culvert::cli::doctor
