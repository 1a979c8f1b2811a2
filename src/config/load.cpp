#include "config/load.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>

#include <fmt/format.h>

#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/guard.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kFileCountLimit = 10'000;
/// Of which there are many, each with a name.
constexpr std::array<std::string_view, 6> kNamedSections = {"tunnel", "user", "manual", "pool", "group", "radius"};
constexpr std::array<std::string_view, 8> kSections = {"daemon", "tunnel", "user",  "manual",
                                                       "policy", "pool",   "group", "radius"};

/// Reads one file's table into a draft, section by section.
class FileReader {
 public:
  FileReader(const std::string& file, Draft& draft) : file_(file), draft_(draft) {}

  void read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (key.str() == "daemon") {
        daemon(node);
      } else if (std::ranges::find(kNamedSections, key.str()) != kNamedSections.end()) {
        named_sections(std::string(key.str()), node);
      } else if (key.str() == "policy") {
        policies(node);
      } else {
        unknown(key);
      }
    }
  }

 private:
  [[nodiscard]] Position at(const toml::source_region& source) const {
    return {file_, static_cast<unsigned>(source.begin.line), static_cast<unsigned>(source.begin.column)};
  }

  void complain(const Position& position, std::string field, std::string message, std::string hint) {
    draft_.problems.push_back({Severity::error, position, std::move(field), std::move(message), std::move(hint)});
  }

  void unknown(const toml::key& key) {
    const auto near = nearest(key.str(), kSections);
    std::string hint =
        "allowed here: [daemon], [tunnel.NAME], [user.NAME], [manual.NAME], [pool.NAME], [group.NAME], [radius.NAME] "
        "and [[policy]]";
    if (near) hint = fmt::format("did you mean \"{}\"? {}", *near, hint);
    for (const FieldInfo& field : kTunnelFields) {
      if (field.name == key.str())
        hint = fmt::format("put a line [tunnel.NAME] above it: {} is a setting of a tunnel", field.name);
    }
    complain(at(key.source()), escaped(key.str(), 60), "there is no such section or setting", std::move(hint));
  }

  void daemon(const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return complain(at(node.source()), "daemon", fmt::format("a section is needed, {} was found", describe(node)),
                      "write a line [daemon]");
    }
    if (draft_.daemon_position) {
      return complain(at(node.source()), "daemon",
                      fmt::format("there is a [daemon] at {} already", draft_.daemon_position->to_string()),
                      "put all its settings into one file");
    }
    draft_.daemon_position = at(node.source());
    draft_.daemon = read_daemon(Section(*table, "daemon", file_, draft_.problems));
  }

  /// What stands in sections with names of their own: [tunnel.NAME], [pool.NAME], ...
  void named_sections(const std::string& kind, const toml::node& node) {
    const toml::table* table = node.as_table();
    const std::string wanted =
        fmt::format("write a line [{0}.NAME] above each {1}'s settings", kind, kind == "manual" ? "SA" : kind);
    if (table == nullptr) {
      return complain(at(node.source()), kind, fmt::format("sections are needed, {} was found", describe(node)),
                      wanted);
    }
    // A table's own order is that of the names; the file's is that of the lines.
    std::vector<std::pair<const toml::key*, const toml::node*>> sorted;
    for (const auto& [key, value] : *table) sorted.emplace_back(&key, &value);
    std::ranges::sort(sorted, {}, [](const auto& entry) {
      const auto& begin = entry.second->source().begin;
      return std::pair(begin.line, begin.column);
    });
    for (const auto& [key, value] : sorted) named_section(kind, *key, *value, wanted);
  }

  void named_section(const std::string& kind, const toml::key& key, const toml::node& node, const std::string& wanted) {
    const std::string name(key.str());
    const std::string shown = fmt::format("{}.{}", kind, escaped(name, 60));
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return complain(at(key.source()), shown, fmt::format("a section is needed, {} was found", describe(node)),
                      wanted);
    }
    if (kind == "user") return user(name, Section(*table, shown, file_, draft_.problems));
    if (!can_be_name(name)) {
      const std::string what = kind == "manual" ? "a manual entry" : kind == "radius" ? "RADIUS servers" : "a " + kind;
      return complain(at(key.source()), shown, "this cannot name " + what, std::string(kNameHint));
    }
    Section section(*table, shown, file_, draft_.problems);
    if (kind == "tunnel") {
      draft_.tunnels.push_back(read_tunnel(std::move(section), name, draft_.problems, draft_.files));
    } else if (kind == "pool") {
      draft_.pools.push_back(read_pool(std::move(section), name, draft_.problems));
    } else if (kind == "group") {
      draft_.groups.push_back(read_group(std::move(section), name));
    } else if (kind == "radius") {
      draft_.radius.push_back(read_radius(std::move(section), name));
    } else {
      draft_.manual.push_back(read_manual(std::move(section), name, draft_.problems));
    }
  }

  /// The name is what the peer says it is: any text.
  void user(const std::string& name, Section section) {
    constexpr std::size_t kMostName = 253;
    if (name.empty() || name.size() > kMostName)
      return complain(section.position(), section.name(), "this cannot name a user",
                      fmt::format("use 1 to {} octets, in quotes where there are others than letters and digits "
                                  "([user.\"carol@example.net\"])",
                                  kMostName));
    for (const DraftUser& other : draft_.users) {
      if (other.config.name == name)
        return complain(section.position(), section.name(),
                        fmt::format("the name is taken by the user at {}", other.header.to_string()),
                        "keep one of the two");
    }
    draft_.users.push_back(read_user(std::move(section), name));
  }

  void policies(const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr) {
      return complain(at(node.source()), "policy",
                      fmt::format("a list of sections is needed, {} was found", describe(node)),
                      "write [[policy]] with two brackets");
    }
    std::size_t index = 0;
    for (const toml::node& entry : *list) {
      ++index;
      if (const toml::table* table = entry.as_table()) {
        draft_.policies.push_back(
            read_policy(Section(*table, fmt::format("policy[{}]", index), file_, draft_.problems)));
      } else {
        complain(at(entry.source()), fmt::format("policy[{}]", index),
                 fmt::format("a section is needed, {} was found", describe(entry)),
                 "write [[policy]] with two brackets");
      }
    }
  }

  const std::string& file_;
  Draft& draft_;
};

/// The parser's sentence, which is printable but for what it quotes from the file; its own backslashes stay.
std::string parser_text(std::string_view description) {
  std::string text = escaped(description, 300);
  for (std::size_t at = 0; (at = text.find("\\x5c", at)) != std::string::npos; ++at) text.replace(at, 4, "\\");
  return text;
}

void read_source(const SourceText& source, Draft& draft) {
  if (auto problem = guard(source.text)) {
    problem->position.file = source.file;
    draft.problems.push_back(std::move(*problem));
    return;
  }
  try {
    const toml::table root = toml::parse(std::string_view(source.text), std::string_view(source.file));
    FileReader(source.file, draft).read(root);
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    draft.problems.push_back({Severity::error,
                              {source.file, static_cast<unsigned>(begin.line), static_cast<unsigned>(begin.column)},
                              {},
                              fmt::format("this is no TOML: {}", parser_text(error.description())),
                              "settings are NAME = VALUE, text stands in double quotes, lists in [ ], and each name "
                              "stands once in a section"});
  }
}

void sort_problems(Problems& problems, const std::vector<SourceText>& sources) {
  const auto rank = [&](const Problem& problem) {
    const auto found = std::ranges::find(sources, problem.position.file, &SourceText::file);
    return std::tuple(found - sources.begin(), problem.position.line, problem.position.column);
  };
  std::ranges::stable_sort(problems, {}, rank);
}

Result<Config, Problems> finish(Draft draft, const std::vector<SourceText>& sources) {
  check_groups(draft);
  check_pools(draft);
  check_radius(draft);
  check_across(draft);
  check_manual(draft);
  sort_problems(draft.problems, sources);
  if (std::ranges::any_of(draft.problems, [](const Problem& p) { return p.severity == Severity::error; }))
    return err(std::move(draft.problems));
  Config config;
  config.daemon = std::move(draft.daemon);
  for (DraftTunnel& tunnel : draft.tunnels) config.tunnels.push_back(std::move(tunnel.config));
  for (DraftManual& entry : draft.manual) config.manual.push_back(std::move(entry.config));
  for (DraftUser& user : draft.users) config.users.push_back(std::move(user.config));
  for (DraftRadius& radius : draft.radius) config.radius.push_back(std::move(radius.config));
  for (DraftPool& pool : draft.pools) config.pools.push_back(std::move(pool.config));
  for (DraftPolicy& policy : draft.policies) config.policies.push_back(std::move(policy.rule));
  config.warnings = std::move(draft.problems);
  for (const SourceText& source : sources) config.files.push_back(source.file);
  return config;
}

Result<Config, Problems> read_all(const std::vector<SourceText>& sources, Problems before, bool judge_files) {
  using std::chrono::system_clock;
  Draft draft{.files = CredentialFiles(system_clock::to_time_t(system_clock::now()))};
  draft.problems = std::move(before);
  for (const SourceText& source : sources) {
    const auto tunnels_before = static_cast<std::ptrdiff_t>(draft.tunnels.size());
    const auto users_before = static_cast<std::ptrdiff_t>(draft.users.size());
    const auto radius_before = static_cast<std::ptrdiff_t>(draft.radius.size());
    const auto manual_before = static_cast<std::ptrdiff_t>(draft.manual.size());
    read_source(source, draft);
    const bool has_secret = std::any_of(draft.tunnels.begin() + tunnels_before, draft.tunnels.end(),
                                        [](const DraftTunnel& tunnel) { return tunnel.secret_in_file; }) ||
                            std::any_of(draft.users.begin() + users_before, draft.users.end(),
                                        [](const DraftUser& user) { return user.secret_in_file; }) ||
                            std::any_of(draft.radius.begin() + radius_before, draft.radius.end(),
                                        [](const DraftRadius& radius) { return radius.secret_in_file; }) ||
                            std::any_of(draft.manual.begin() + manual_before, draft.manual.end(),
                                        [](const DraftManual& entry) { return entry.key_in_file; });
    if (!judge_files || !has_secret) continue;
    if (auto verdict = judge_secret_file(source.file)) {
      draft.problems.push_back(
          {verdict->severity, {source.file}, {}, std::move(verdict->message), std::move(verdict->hint)});
    }
  }
  return finish(std::move(draft), sources);
}

Problem file_problem(const std::filesystem::path& path, std::string message, std::string hint) {
  return {Severity::error, {path.string()}, {}, std::move(message), std::move(hint)};
}

/// The file's text, at most one octet more than the guard lets through.
Result<std::string, Problem> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return err(file_problem(path, fmt::format("the file cannot be opened: {}", std::generic_category().message(errno)),
                            "run as a user who may read it"));
  }
  std::string text(kFileLimit + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return err(file_problem(path, "the file cannot be read", "check the disk and the kind of the file"));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

Result<std::vector<std::filesystem::path>, Problem> list_files(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return err(file_problem(
        path, "there is no such file or folder",
        "write a configuration there, or name another path: `culvert check PATH`, `culvertd --config PATH`"));
  }
  if (!std::filesystem::is_directory(status)) {
    if (std::filesystem::is_regular_file(status)) return std::vector{path};
    return err(file_problem(path, "this is neither a file nor a folder", "name a *.toml file or a folder of them"));
  }
  std::vector<std::filesystem::path> files;
  for (auto entry = std::filesystem::directory_iterator(path, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.ends_with(".toml") && !name.starts_with('.')) files.push_back(entry->path());
    if (files.size() > kFileCountLimit) {
      return err(file_problem(path, fmt::format("the folder has more than {} *.toml files", kFileCountLimit),
                              "name another folder"));
    }
  }
  if (error)
    return err(file_problem(path, fmt::format("the folder cannot be read: {}", error.message()),
                            "run as a user who may read it"));
  std::ranges::sort(files);
  return files;
}

}  // namespace

Result<Config, Problems> load(const std::filesystem::path& path) {
  const auto files = list_files(path);
  if (!files) return err(Problems{files.error()});
  Problems problems;
  if (files->empty()) {
    problems.push_back({Severity::warning,
                        {path.string()},
                        {},
                        "there is no *.toml file in this folder, so there is no tunnel",
                        "put a file such as office.toml there; culvert.toml(5) has an example"});
  }
  std::vector<SourceText> sources;
  for (const auto& file : *files) {
    auto text = read_file(file);
    if (text) {
      sources.push_back({file.string(), std::move(*text)});
    } else {
      problems.push_back(text.error());
    }
  }
  auto result = read_all(sources, std::move(problems), true);
  for (SourceText& source : sources) wipe({reinterpret_cast<std::uint8_t*>(source.text.data()), source.text.size()});
  return result;
}

Result<Config, Problems> load_texts(const std::vector<SourceText>& sources) { return read_all(sources, {}, false); }

}  // namespace culvert::config
