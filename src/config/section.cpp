#include "config/section.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kTextLimit = 8192;

/// The value as a text setting would have to be written, where that is harmless to show.
std::string as_text_hint(const toml::node& node) {
  if (const auto* number = node.as_integer()) return fmt::format("write it in quotes: \"{}\"", number->get());
  return "write text in double quotes";
}

}  // namespace

std::string describe(const toml::node& node) {
  if (const auto* number = node.as_integer()) return fmt::format("the number {}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("the number {}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  switch (node.type()) {
    case toml::node_type::string: return "text";
    case toml::node_type::array: return "a list";
    case toml::node_type::table: return "a table";
    default: return "a date or time";
  }
}

Section::Section(const toml::table& table, std::string name, const std::string& file, Problems& problems)
    : table_(table), name_(std::move(name)), file_(file), problems_(problems), position_(position_of(table)) {}

Position Section::position_of(const toml::node& node) const {
  const auto& begin = node.source().begin;
  return {file_, static_cast<unsigned>(begin.line), static_cast<unsigned>(begin.column)};
}

Position Section::position_of(std::string_view key) const {
  const toml::node* found = node(key);
  return found == nullptr ? position_ : position_of(*found);
}

std::optional<Located<std::string>> Section::secret_text(std::string_view key) {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  const auto* value = found->as_string();
  if (value == nullptr) {
    wrong_type(*found, key, "text", as_text_hint(*found));
    return std::nullopt;
  }
  return Located<std::string>{value->get(), position_of(*found)};
}

std::optional<Located<std::string>> Section::text(std::string_view key) {
  auto found = secret_text(key);
  if (!found || !printable(*node(key), key, found->value)) return std::nullopt;
  return found;
}

bool Section::printable(const toml::node& node, std::string_view key, const std::string& text) {
  if (text.empty()) {
    error(position_of(node), key, "the text is empty", "write a value, or take the setting out for its default");
    return false;
  }
  if (text.size() > kTextLimit) {
    error(position_of(node), key, fmt::format("the text has {} octets; {} are allowed", text.size(), kTextLimit),
          "shorten it");
    return false;
  }
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    error(position_of(node), key, fmt::format("{} has control characters in it", in_quotes(text)), "take them out");
    return false;
  }
  return true;
}

std::optional<std::int64_t> Section::integer(std::string_view key, std::int64_t least, std::int64_t most) {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  const std::string allowed = fmt::format("write a whole number from {} to {}", least, most);
  const auto* value = found->as_integer();
  if (value == nullptr) {
    wrong_type(*found, key, "a whole number", allowed + " without quotes");
    return std::nullopt;
  }
  if (value->get() < least || value->get() > most) {
    error(position_of(*found), key, fmt::format("{} is out of range", value->get()), allowed);
    return std::nullopt;
  }
  return value->get();
}

std::optional<bool> Section::boolean(std::string_view key) {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  const auto* value = found->as_boolean();
  if (value == nullptr) {
    wrong_type(*found, key, "true or false", "write it without quotes");
    return std::nullopt;
  }
  return value->get();
}

std::optional<Section::NumberOrWord> Section::number_or_word(std::string_view key, std::int64_t least,
                                                             std::int64_t most,
                                                             std::span<const std::string_view> words) {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* written = found->as_string()) {
    const auto match = std::ranges::find(words, std::string_view(written->get()));
    if (match != words.end()) return NumberOrWord{0, *match};
    if (!printable(*found, key, written->get())) return std::nullopt;
    error(position_of(*found), key, fmt::format("{} is not known here", in_quotes(written->get())),
          fmt::format("write \"{}\", or a whole number from {} to {}", one_of(words), least, most));
    return std::nullopt;
  }
  const auto number = integer(key, least, most);
  if (!number) return std::nullopt;
  return NumberOrWord{*number, {}};
}

std::optional<Duration> Section::duration(std::string_view key, Duration least, Duration most,
                                          std::string_view zero_means) {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  std::string allowed = fmt::format("write a time from {} to {}, such as \"30s\", \"4h\", \"1h30m\", or plain seconds",
                                    duration_text(least), duration_text(most));
  if (!zero_means.empty()) allowed += fmt::format("; 0 {}", zero_means);
  std::optional<Duration> value;
  std::string shown;
  if (const auto* number = found->as_integer()) {
    shown = std::to_string(number->get());
    value = parse_duration(shown);
  } else if (const auto* written = found->as_string()) {
    shown = in_quotes(written->get());
    value = parse_duration(written->get());
  } else {
    wrong_type(*found, key, "a time", allowed);
    return std::nullopt;
  }
  if (!value) {
    error(position_of(*found), key, shown + " is not a time", allowed);
    return std::nullopt;
  }
  if (value->count() == 0 && !zero_means.empty()) return value;
  if (*value < least || *value > most) {
    error(position_of(*found), key, shown + " is out of range", allowed);
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> Section::size(std::string_view key, std::uint64_t least) {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  const std::string allowed =
      fmt::format("write a number of octets of at least {}, such as 1000000000, \"10GB\" or \"10GiB\"", least);
  std::optional<std::uint64_t> value;
  std::string shown;
  if (const auto* number = found->as_integer()) {
    shown = std::to_string(number->get());
    value = parse_size(shown);
  } else if (const auto* written = found->as_string()) {
    shown = in_quotes(written->get());
    value = parse_size(written->get());
  } else {
    wrong_type(*found, key, "an amount of data", allowed);
    return std::nullopt;
  }
  if (!value || *value < least) {
    error(position_of(*found), key, shown + (value ? " is too small" : " is not an amount of data"), allowed);
    return std::nullopt;
  }
  return value;
}

std::vector<Located<std::string>> Section::texts(std::string_view key, std::size_t limit) {
  const toml::node* found = node(key);
  return found == nullptr ? std::vector<Located<std::string>>() : texts_of(key, *found, limit);
}

std::vector<Located<std::string>> Section::texts_of(std::string_view key, const toml::node& found, std::size_t limit) {
  std::vector<Located<std::string>> out;
  if (const auto* single = found.as_string()) {
    if (printable(found, key, single->get())) out.push_back({single->get(), position_of(found)});
    return out;
  }
  const auto* list = found.as_array();
  if (list == nullptr) {
    wrong_type(found, key, "a list of texts", R"(write ["...", "..."])");
    return out;
  }
  if (list->empty())
    error(position_of(found), key, "the list is empty", "write at least one entry, or take the setting out");
  if (list->size() > limit) {
    error(position_of(found), key, fmt::format("the list has {} entries; {} are allowed", list->size(), limit),
          "shorten it");
    return out;
  }
  for (const toml::node& entry : *list) {
    const auto* value = entry.as_string();
    if (value == nullptr) {
      wrong_type(entry, key, "text in the list", as_text_hint(entry));
    } else if (printable(entry, key, value->get())) {
      out.push_back({value->get(), position_of(entry)});
    }
  }
  return out;
}

std::optional<std::size_t> Section::choice_index(std::string_view key, std::span<const std::string_view> names) {
  const auto found = text(key);
  if (!found) return std::nullopt;
  const auto match = std::ranges::find(names, std::string_view(found->value));
  if (match != names.end()) return static_cast<std::size_t>(match - names.begin());
  std::string hint = fmt::format("write {}", one_of(names));
  if (const auto near = nearest(found->value, names)) hint = fmt::format("did you mean \"{}\"? {}", *near, hint);
  error(found->position, key, fmt::format("{} is not known here", in_quotes(found->value)), std::move(hint));
  return std::nullopt;
}

void Section::error(const Position& at, std::string_view key, std::string message, std::string hint) {
  problems_.push_back({Severity::error, at, fmt::format("{}.{}", name_, key), std::move(message), std::move(hint)});
}

void Section::warning(const Position& at, std::string_view key, std::string message, std::string hint) {
  problems_.push_back({Severity::warning, at, fmt::format("{}.{}", name_, key), std::move(message), std::move(hint)});
}

void Section::missing(std::string_view key, std::string hint) {
  error(position_, key, "the setting is missing", std::move(hint));
}

void Section::wrong_type(const toml::node& node, std::string_view key, std::string_view wanted, std::string hint) {
  error(position_of(node), key, fmt::format("{} is needed, {} was found", wanted, describe(node)), std::move(hint));
}

void Section::refuse_unknown(std::span<const FieldInfo> fields, std::span<const FieldInfo> more) {
  std::vector<std::string_view> names;
  for (const FieldInfo& field : fields) names.push_back(field.name);
  for (const FieldInfo& field : more) names.push_back(field.name);
  for (const auto& [key, value] : table_) {
    if (std::ranges::find(names, key.str()) != names.end()) continue;
    const auto near = nearest(key.str(), names);
    const auto& begin = key.source().begin;
    const Position at{file_, static_cast<unsigned>(begin.line), static_cast<unsigned>(begin.column)};
    error(at, escaped(key.str(), 60), "there is no such setting",
          near ? fmt::format("did you mean \"{}\"?", *near) : fmt::format("allowed here: {}", one_of(names)));
  }
}

}  // namespace culvert::config
