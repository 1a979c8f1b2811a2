#include "cli/options.hpp"

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/exit_code.hpp"
#include "config/config.hpp"
#include "config/words.hpp"

namespace culvert::cli {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done; 1 failed, the message says why; 2 wrong command line;\n"
    "3 culvertd is not reachable; 4 the configuration has errors; 5 there is no such\n"
    "tunnel; 6 not up in time, culvertd goes on trying.\n"
    "See also: culvert(1), culvertd(8), culvert.toml(5).";

constexpr auto kCommands = std::to_array<std::pair<std::string_view, Command>>({
    {"up", Command::up},
    {"down", Command::down},
    {"rekey", Command::rekey},
    {"redirect", Command::redirect},
    {"status", Command::status},
    {"list", Command::list},
    {"leases", Command::leases},
    {"why", Command::why},
    {"apply", Command::apply},
    {"check", Command::check},
    {"log", Command::log},
    {"keygen", Command::keygen},
    {"transforms", Command::transforms},
    {"version", Command::version},
    {"sa", Command::sa},
    {"policy", Command::policy},
    {"bench", Command::bench},
    {"doctor", Command::doctor},
});

/// CLI11's view of the command line; the members are what it fills in.
class Parser {
 public:
  Parser() : app_("culvert: steers culvertd, the Culvert IPsec daemon.", "culvert") {
    options_.socket = config::kDefaultSocket;
    options_.path = config::kDefaultPath;
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(kFooter);
    app_.get_formatter()->column_width(26);
    app_.add_option("-s,--socket", options_.socket, "culvertd's control socket")
        ->envname("CULVERT_SOCKET")
        ->capture_default_str();
    app_.add_flag("--json", options_.json, "print JSON");
    add_tunnel_commands();
    add_status_commands();
    add_other_commands();
    add_bench();
    add_listed(
        "sa", "Show, add and remove SAs with manual keys", "the SA",
        "SETTING=VALUE as in [manual.NAME] of culvert.toml(5); keys as SETTING=@FILE or SETTING=- (standard input)");
    add_listed("policy", "Show all rules, add and remove some", "the rule",
               "SETTING=VALUE as in [[policy]] of culvert.toml(5): action=bypass remote=10.9.0.0/16 before=office");
  }

  ParsedOptions parse(std::vector<std::string> arguments) {
    const std::string first = first_word(arguments);
    std::ranges::reverse(arguments);  // as CLI11 takes a vector
    try {
      app_.parse(arguments);
    } catch (const CLI::ParseError& error) {
      std::ostringstream out, unused;
      const int code = app_.exit(error, out, unused);
      if (code == 0) return {std::nullopt, 0, out.str()};
      return {std::nullopt, static_cast<int>(ExitCode::usage), "culvert: " + complaint(error, first)};
    }
    for (const auto& [name, command] : kCommands) {
      if (app_.got_subcommand(std::string(name))) options_.command = command;
    }
    options_.wait = std::chrono::seconds(wait_);
    if (rekey_ike_) options_.rekey = rekey_child_ ? api::RekeyWhat::all : api::RekeyWhat::ike;
    return {options_, 0, {}};
  }

 private:
  CLI::App* add(const std::string& name, const std::string& description) {
    CLI::App* command = app_.add_subcommand(name, description);
    command->fallthrough();
    command->footer(kFooter);
    return command;
  }

  void add_tunnel_commands() {
    CLI::App* up = add("up", "Bring a tunnel up, and wait until it is or why it is not");
    up->add_option("NAME", options_.tunnel, "the tunnel")->required();
    up->add_option("-w,--wait", wait_, "seconds to wait; 0: do not")
        ->check(CLI::Range(0, 86400))
        ->capture_default_str();
    CLI::App* down = add("down", "Take a tunnel down");
    down->add_option("NAME", options_.tunnel, "the tunnel")->required();
    CLI::App* rekey = add("rekey", "Replace the keys of a tunnel now");
    rekey->add_option("NAME", options_.tunnel, "the tunnel")->required();
    rekey->add_flag("--ike", rekey_ike_, "those of the IKE SA");
    rekey->add_flag("--child", rekey_child_, "those of the Child SAs (the default)");
    CLI::App* redirect = add("redirect", "Send a tunnel's peers that can follow to another gateway");
    redirect->add_option("NAME", options_.tunnel, "the tunnel")->required();
    redirect->add_option("GATEWAY", options_.gateway, "its address or DNS name")->required();
  }

  void add_status_commands() {
    CLI::App* status = add("status", "Show the daemon, the tunnels and their SAs");
    status->add_option("NAME", options_.tunnel, "only this tunnel");
    add("list", "List the tunnels");
    add("leases", "List who has which address of a pool, and who had one last");
    CLI::App* why = add("why", "Show what went wrong with peers lately, and the way out");
    why->add_option("WHO", options_.who,
                    "only of this tunnel, of this address, or of identities that have this in them");
    CLI::App* log = add("log", "Show what happened");
    log->add_option("NAME", options_.tunnel, "only this tunnel");
    log->add_flag("-f,--follow", options_.follow, "go on with what happens next");
    log->add_option("-n,--lines", options_.lines, "how many of the newest entries")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
  }

  void add_other_commands() {
    CLI::App* apply = add("apply", "Make the daemon read its configuration again");
    apply->add_flag("--dry-run", options_.dry_run, "only show what would change");
    CLI::App* check = add("check", "Check a configuration; needs no daemon");
    check->add_option("PATH", options_.path, "a file, or a folder of *.toml")->capture_default_str();
    CLI::App* doctor = add("doctor", "Look for what stands in the way of tunnels, and say the way out");
    doctor->add_option(
        "PATH", options_.doctor_path,
        "the configuration (default: that of the running culvertd, else " + std::string(config::kDefaultPath) + ")");
    CLI::App* keygen = add("keygen", "Make a pre-shared key of 32 random octets, or a pair of keys");
    keygen->add_option("-o,--output", options_.output, "write it to a new file of mode 600 instead");
    keygen->add_flag("--key", options_.key,
                     "a private key (Ed25519) into that file instead, for private_key; shows the public key, for the "
                     "peer's peer_key");
    add("transforms", "List the algorithms, and what is known of each; needs no daemon");
    add("version", "Show the version");
  }

  /// `sa` and `policy`: what a command adds stands until culvertd ends.
  void add_listed(const std::string& name, const std::string& description, const std::string& what,
                  const std::string& settings) {
    CLI::App* command = add(name, description);
    command->require_subcommand(1);
    const auto verb = [&](const std::string& word, const std::string& help, Verb value) {
      CLI::App* one = command->add_subcommand(word, help);
      one->fallthrough();
      one->footer(kFooter);
      one->callback([this, value] { options_.verb = value; });
      return one;
    };
    CLI::App* list = verb("list", "Show them, in the order in which they decide", Verb::list);
    if (name == "sa") list->add_option("NAME", options_.tunnel, "only this one");
    CLI::App* more = verb("add", "Add one; it is gone when culvertd ends", Verb::add);
    more->add_option("NAME", options_.tunnel, what)->required();
    more->add_option("SETTING", options_.settings, settings);
    verb("del", "Remove one that was added so", Verb::del)->add_option("NAME", options_.tunnel, what)->required();
  }

  void add_bench() {
    BenchOptions& bench = options_.bench;
    add("bench", "Measure an IKE responder")->require_subcommand(1);
    CLI::App* ike = app_.get_subcommand("bench")->add_subcommand("ike", "Many initiators set up against one responder");
    ike->fallthrough();
    ike->footer(
        "Binds UDP 500 and 4500 of the local address, so no IKE daemon may run beside it.\n"
        "The responder needs a connection for each initiator: any address, remote identity\n"
        "site0.example, site1.example and so on, a pre-shared key or who certified them, and as\n"
        "remote network the address of that number in the inner prefix.");
    ike->add_option("PEER", bench.peer, "the responder's address")->required();
    ike->add_option("--local", bench.local, "our address")->required();
    auto* secret = ike->add_option("--secret-file", bench.secret_file, "the pre-shared key of all initiators");
    auto* certificate = ike->add_option("--certificate", bench.certificate,
                                        "or the certificate of each, with those between; {} is the number");
    auto* key = ike->add_option("--private-key", bench.private_key, "its key; may have {} too");
    auto* authority = ike->add_option("--ca", bench.authority, "who may certify the responder");
    certificate->needs(key)->needs(authority)->excludes(secret);
    key->needs(certificate);
    authority->needs(certificate);
    ike->add_option("-n,--initiators", bench.initiators, "how many")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}))
        ->capture_default_str();
    ike->add_option("-c,--at-once", bench.at_once, "exchanges under way at the same time")
        ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}))
        ->capture_default_str();
    ike->add_flag("--pool", bench.pool, "ask for an address, in place of those of --inner");
    ike->add_option("--hold", bench.hold, "at last, for so many seconds, only answer what the responder asks")
        ->check(CLI::Range(0, 86400));
    ike->add_flag("--rekey", bench.rekey, "then rekey every IKE SA and every Child SA once");
    ike->add_option("--local-id", bench.local_id, "their identities; {} is the number")->capture_default_str();
    ike->add_option("--remote-id", bench.remote_id, "the responder's identity; default: its address");
    ike->add_option("--inner", bench.inner, "each protects one address of it")->capture_default_str();
    ike->add_option("--remote", bench.remote, "towards this network")->capture_default_str();
    ike->add_option("--ike", bench.ike, "suite of the IKE SA, as in culvert.toml(5)");
    ike->add_option("--esp", bench.esp, "suite of the Child SA");
    ike->add_option("-p,--responder", bench.responders,
                    "process id of a responder on this host: its CPU time and memory are told, too");
  }

  /// The first word that can be meant as a command.
  static std::string first_word(const std::vector<std::string>& arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i] == "-s" || arguments[i] == "--socket") {
        ++i;  // its value
      } else if (!arguments[i].starts_with('-')) {
        return arguments[i];
      }
    }
    return {};
  }

  /// What is wrong with the command line, where, and the way out.
  std::string complaint(const CLI::ParseError& error, const std::string& word) {
    const std::string all = "  `culvert --help` lists the commands\n";
    const bool known = std::ranges::any_of(kCommands, [&](const auto& one) { return one.first == word; });
    const bool lacks_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
    if (!known && word.empty() && lacks_command) return "say what to do\n" + all;
    if (!known && lacks_command) return "there is no command \"" + word + "\"\n" + suggestion(word) + all;
    if (!known) return std::string(error.what()) + "\n" + all;
    CLI::App* command = app_.get_subcommand(word);
    const std::string more = "  `culvert " + word + " --help` says more\n";
    const auto verbs = command->get_subcommands({});
    if (verbs.empty() || !command->get_subcommands().empty()) return word + ": " + error.what() + "\n" + more;
    std::string names;
    for (const CLI::App* verb : verbs) names += (names.empty() ? "" : ", ") + verb->get_name();
    return word + " wants to be told what to do: " + names + "\n" + more;
  }

  static std::string suggestion(const std::string& word) {
    std::vector<std::string_view> names;
    for (const auto& [name, command] : kCommands) names.push_back(name);
    const auto near = config::nearest(word, names);
    return near ? "  did you mean \"" + std::string(*near) + "\"?\n" : std::string();
  }

  CLI::App app_;
  Options options_;
  int wait_ = 20;
  bool rekey_ike_ = false;
  bool rekey_child_ = false;
};

}  // namespace

ParsedOptions parse_options(std::vector<std::string> arguments) { return Parser().parse(std::move(arguments)); }

}  // namespace culvert::cli
