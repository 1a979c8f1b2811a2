#include "cli/doctor/firewall.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

namespace culvert::cli::doctor {
namespace {

using Tokens = std::vector<std::string>;

struct Chain {
  std::string name;
  std::string hook;  // empty: reached by jumps only
  std::string type;
  int priority = 0;
  bool policy_drop = false;
  std::vector<Tokens> rules;
  std::vector<std::string> texts;  // of the rules
};

struct Table {
  std::string family;
  std::string name;
  std::vector<Chain> chains;
};

/// Words, quoted texts as one word without their quotes, braces and commas as words of their own.
Tokens split(std::string_view line) {
  Tokens tokens;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) tokens.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '#') break;  // a remark of nftables' own
    if (c == '"') {
      flush();
      const std::size_t end = std::min(line.find('"', i + 1), line.size());
      tokens.emplace_back(line.substr(i + 1, end - i - 1));
      i = end;
    } else if (c == ' ' || c == '\t' || c == ';') {
      flush();
    } else if (c == '{' || c == '}' || c == ',') {
      flush();
      tokens.emplace_back(1, c);
    } else {
      word += c;
    }
  }
  flush();
  return tokens;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string after(const Tokens& tokens, std::string_view word) {
  const auto found = std::ranges::find(tokens, word);
  return found == tokens.end() || found + 1 == tokens.end() ? std::string() : *(found + 1);
}

/// "type filter hook input priority 0; policy drop;"
void read_base(const Tokens& tokens, Chain& chain) {
  chain.type = after(tokens, "type");
  chain.hook = after(tokens, "hook");
  chain.policy_drop = after(tokens, "policy") == "drop";
  const std::string priority = after(tokens, "priority");
  (void)std::from_chars(priority.data(), priority.data() + priority.size(), chain.priority);
}

std::vector<Table> parse(std::string_view text) {
  std::vector<Table> tables;
  Chain* chain = nullptr;
  int skipped = 0;  // depth inside a set, a map or what else is no chain
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const Tokens tokens = split(line);
    if (tokens.empty()) continue;
    const bool opens = tokens.back() == "{";
    if (skipped > 0) {
      skipped += static_cast<int>(std::ranges::count(tokens, "{")) - static_cast<int>(std::ranges::count(tokens, "}"));
    } else if (chain != nullptr) {
      if (line == "}") {
        chain = nullptr;
      } else if (tokens[0] == "type" && std::ranges::find(tokens, "hook") != tokens.end()) {
        read_base(tokens, *chain);
      } else {
        chain->rules.push_back(tokens);
        chain->texts.emplace_back(line);
      }
    } else if (tokens[0] == "table" && opens && tokens.size() >= 4) {
      tables.push_back({tokens[1], tokens[2], {}});
    } else if (tokens[0] == "chain" && opens && tokens.size() >= 3 && !tables.empty()) {
      tables.back().chains.push_back({});
      chain = &tables.back().chains.back();
      chain->name = tokens[1];
    } else if (opens) {
      skipped = 1;
    }
  }
  return tables;
}

// ---------------------------------------------------------------- matching

enum class Match : std::uint8_t { no, maybe, yes };

Match negated(Match match, bool negate) {
  if (!negate || match == Match::maybe) return match;
  return match == Match::yes ? Match::no : Match::yes;
}

/// What can become of a packet: a set of these.
constexpr unsigned kAccept = 1;
constexpr unsigned kDrop = 2;
constexpr unsigned kOn = 4;      // the next rule
constexpr unsigned kReturn = 8;  // the calling chain

Match number_matches(const std::string& word, const std::optional<std::uint16_t>& value) {
  if (!value) return Match::maybe;
  unsigned first = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), first);
  if (read.ec != std::errc()) return Match::maybe;
  unsigned last = first;
  if (read.ptr != word.data() + word.size() &&
      (*read.ptr != '-' || std::from_chars(read.ptr + 1, word.data() + word.size(), last).ec != std::errc())) {
    return Match::maybe;
  }
  return *value >= first && *value <= last ? Match::yes : Match::no;
}

/// One rule at work: its words from left to right.
class Rule {
 public:
  Rule(const Tokens& tokens, const ProbePacket& packet) : tokens_(tokens), packet_(packet) {}

  struct Outcome {
    Match match = Match::yes;
    std::string verdict;  // "accept", "drop", "jump", ...; empty: none
    std::string target;
  };

  Outcome run() {
    while (at_ < tokens_.size() && outcome_.match != Match::no && outcome_.verdict.empty()) step();
    return outcome_;
  }

 private:
  [[nodiscard]] const std::string& peek(std::size_t ahead = 0) const {
    static const std::string kNone;
    return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead] : kNone;
  }
  std::string take() { return at_ < tokens_.size() ? tokens_[at_++] : std::string(); }
  void also(Match match) { outcome_.match = std::min(outcome_.match, match); }

  /// "!= 5", "5-9", "{ 5, 6 }", "@set", or "vmap { 5 : accept }", compared by `compare`.
  template <typename Compare>
  void value(Compare compare) {
    bool negate = false;
    if (peek() == "!=" || peek() == "==") negate = take() == "!=";
    if (peek() == "vmap") {
      take();
      return verdicts(compare);
    }
    if (peek() != "{") {
      Match match = compare(take());
      while (peek() == ",") {  // "established,related"
        take();
        match = std::max(match, compare(take()));
      }
      return also(negated(match, negate));
    }
    take();
    Match any = Match::no;
    while (at_ < tokens_.size() && peek() != "}") {
      if (const std::string word = take(); word != ",") any = std::max(any, compare(word));
    }
    take();
    also(negated(any, negate));
  }

  /// "{ established : accept, invalid : drop }": the verdict of the element that matches.
  template <typename Compare>
  void verdicts(Compare compare) {
    if (take() != "{") return also(Match::maybe);
    Match any = Match::no;
    while (at_ < tokens_.size() && peek() != "}") {
      const std::string element = take();
      if (element == ",") continue;
      Tokens verdict;
      if (peek() == ":") take();
      while (at_ < tokens_.size() && peek() != "}" && peek() != ",") verdict.push_back(take());
      const Match match = compare(element);
      if (match <= any || verdict.empty()) continue;
      any = match;
      outcome_.verdict = verdict[0];
      outcome_.target = verdict.size() > 1 ? verdict[1] : "";
    }
    take();
    also(any);
    if (any == Match::no) outcome_.verdict.clear();
  }

  [[nodiscard]] Match protocol_is(std::uint8_t number) const {
    if (!packet_.protocol) return Match::maybe;
    return *packet_.protocol == number ? Match::yes : Match::no;
  }

  void protocol_value() {
    value([&](const std::string& word) {
      return number_matches(word, packet_.protocol ? std::optional<std::uint16_t>(*packet_.protocol) : std::nullopt);
    });
  }

  void interface(const std::string& name) {
    value([&](const std::string& word) {
      // What comes from or goes to other hosts never takes loopback.
      if (word == "lo") return Match::no;
      if (name.empty()) return Match::maybe;
      if (!word.empty() && word.back() == '*') {
        return name.starts_with(word.substr(0, word.size() - 1)) ? Match::yes : Match::no;
      }
      return word == name ? Match::yes : Match::no;
    });
  }

  void ports(std::uint8_t protocol, bool any_transport) {
    if (!any_transport) also(protocol_is(protocol));
    const std::string field = take();
    if (field == "dport" || field == "sport") {
      const auto& port = field == "dport" ? packet_.destination_port : packet_.source_port;
      return value([&](const std::string& word) { return number_matches(word, port); });
    }
    unknown();
  }

  void unknown() { also(Match::maybe); }

  void meta() {
    const std::string key = take();
    if (peek() == "set") {
      at_ += 2;  // a statement, no condition
    } else if (key == "l4proto") {
      protocol_value();
    } else if (key == "nfproto") {
      value([](const std::string& word) { return word == "ipv4" || word == "2" ? Match::yes : Match::no; });
    } else if (key == "iifname" || key == "iif") {
      interface(packet_.input_interface);
    } else if (key == "oifname" || key == "oif") {
      interface(packet_.output_interface);
    } else {
      unknown();
    }
  }

  void connection() {
    const std::string key = take();
    if (peek() == "set") {
      at_ += 2;
    } else if (key == "state") {
      const std::string_view state = packet_.answer ? "established" : "new";
      value([&](const std::string& word) { return word == state ? Match::yes : Match::no; });
    } else {
      unknown();
    }
  }

  void log() {
    constexpr std::string_view kOptions[] = {"prefix", "level", "flags", "group", "snaplen", "queue-threshold"};
    while (std::ranges::find(kOptions, peek()) != std::end(kOptions)) at_ += 2;
  }

  void step() {
    const std::string word = take();
    constexpr std::string_view kVerdicts[] = {"accept", "drop", "reject", "return", "continue", "queue"};
    if (std::ranges::find(kVerdicts, word) != std::end(kVerdicts)) {
      outcome_.verdict = word;
    } else if (word == "jump" || word == "goto") {
      outcome_.verdict = word;
      outcome_.target = take();
    } else if (word == "xt" && peek() == "target" && peek(1) == "REJECT") {
      at_ += 2;  // iptables' own module
      outcome_.verdict = "reject";
    } else if (word == "counter") {
      if (peek() == "packets") at_ += 4;
    } else if (word == "log") {
      log();
    } else if (word == "comment") {
      take();
    } else if (word == "meta") {
      meta();
    } else if (word == "ct") {
      connection();
    } else if (word == "iifname" || word == "iif") {
      interface(packet_.input_interface);
    } else if (word == "oifname" || word == "oif") {
      interface(packet_.output_interface);
    } else if (word == "udp" || word == "tcp") {
      ports(word == "udp" ? 17 : 6, false);
    } else if (word == "th") {
      ports(0, true);
    } else if (word == "ip" && peek() == "protocol") {
      take();
      protocol_value();
    } else if (word == "ip6" || word == "icmpv6") {
      also(Match::no);
    } else if (word == "icmp") {
      also(packet_.protocol ? protocol_is(1) : Match::maybe);
      unknown();
    } else {
      // Addresses, sets, limits, marks, iptables' modules: it may match or not. The words up to the verdict are passed
      // over by the next steps, which find them unknown, too.
      unknown();
    }
  }

  const Tokens& tokens_;
  const ProbePacket& packet_;
  std::size_t at_ = 0;
  Outcome outcome_;
};

// ---------------------------------------------------------------- walking

class Walk {
 public:
  Walk(const Table& table, const ProbePacket& packet) : table_(table), packet_(packet) {}

  /// What can become of the packet on a hook: kAccept and kDrop.
  unsigned base(const Chain& chain) {
    unsigned possible = run(chain, 0);
    if ((possible & (kOn | kReturn)) != 0) {
      if (chain.policy_drop && rule.empty()) rule = "policy drop";
      possible |= chain.policy_drop ? kDrop : kAccept;
    }
    return possible & (kAccept | kDrop);
  }

  std::string rule;  // the first that can drop it

 private:
  // The kernel allows 16 jumps one in another; the number of steps keeps a hostile set of rules from taking forever.
  static constexpr unsigned kDeepest = 16;
  static constexpr unsigned kMostSteps = 100'000;

  unsigned outcome_of(const Rule::Outcome& outcome, unsigned depth) {
    if (outcome.verdict == "accept" || outcome.verdict == "queue") return kAccept;
    if (outcome.verdict == "drop" || outcome.verdict == "reject") return kDrop;
    if (outcome.verdict == "return") return kReturn;
    if (outcome.verdict != "jump" && outcome.verdict != "goto") return kOn;
    const auto target = std::ranges::find(table_.chains, outcome.target, &Chain::name);
    if (target == table_.chains.end() || depth >= kDeepest) return kAccept | kDrop | kOn;
    unsigned inner = run(*target, depth + 1);
    // A jump comes back, a goto returns to whoever jumped last.
    if ((inner & (kOn | kReturn)) != 0) {
      inner = (inner & ~(kOn | kReturn)) | (outcome.verdict == "jump" ? kOn : kReturn);
    }
    return inner;
  }

  unsigned run(const Chain& chain, unsigned depth) {
    unsigned possible = 0;
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      if (++steps_ > kMostSteps) return possible | kAccept | kDrop;
      const Rule::Outcome outcome = Rule(chain.rules[i], packet_).run();
      if (outcome.match == Match::no) continue;
      unsigned here = outcome_of(outcome, depth);
      if ((here & kDrop) != 0 && rule.empty()) rule = chain.texts[i];
      if (outcome.match == Match::maybe) here |= kOn;
      possible |= here & ~kOn;
      if ((here & kOn) == 0) return possible;
    }
    return possible | kOn;
  }

  const Table& table_;
  const ProbePacket& packet_;
  unsigned steps_ = 0;
};

bool is_on_the_way(const std::string& hook, Hook wanted) {
  switch (wanted) {
    case Hook::input: return hook == "prerouting" || hook == "input";
    case Hook::output: return hook == "output" || hook == "postrouting";
    case Hook::forward: return hook == "prerouting" || hook == "forward" || hook == "postrouting";
  }
  return false;
}

}  // namespace

FilterAnswer ask_filters(std::string_view ruleset, const ProbePacket& packet) {
  FilterAnswer answer;
  for (const Table& table : parse(ruleset)) {
    if ((table.family != "ip" && table.family != "inet") || table.name == "culvert") continue;
    for (const Chain& chain : table.chains) {
      if (chain.type == "nat" || !is_on_the_way(chain.hook, packet.hook)) continue;
      Walk walk(table, packet);
      const unsigned possible = walk.base(chain);
      if ((possible & kDrop) == 0) continue;
      const auto kind = (possible & kAccept) == 0 ? FilterAnswer::Kind::dropped : FilterAnswer::Kind::may_be_dropped;
      if (kind > answer.kind) answer = {kind, table.family, table.name, chain.name, walk.rule};
    }
  }
  return answer;
}

}  // namespace culvert::cli::doctor
