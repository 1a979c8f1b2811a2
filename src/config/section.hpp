// Section: one table of a configuration file, read setting by setting; what does not fit becomes a Problem with its
// place.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "base/time.hpp"
#include "config/fields.hpp"
#include "config/problem.hpp"
#include "config/words.hpp"

namespace culvert::config {

/// A value and where it was written.
template <typename T>
struct Located {
  T value;
  Position position;
};

/// "the number 7", "text", "a list" ...: how a message names what it found. Never shows text, which may be a secret.
[[nodiscard]] std::string describe(const toml::node& node);

class Section {
 public:
  /// `name` is how messages call it ("tunnel.office"); `file` and `problems` outlive the section.
  Section(const toml::table& table, std::string name, const std::string& file, Problems& problems);

  [[nodiscard]] const Position& position() const { return position_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
  [[nodiscard]] const toml::node* node(std::string_view key) const { return table_.get(key); }
  [[nodiscard]] Position position_of(const toml::node& node) const;
  /// Of the value, or of the section when there is none.
  [[nodiscard]] Position position_of(std::string_view key) const;

  // Each answers nothing when the setting is absent, or is wrong and was complained about.

  [[nodiscard]] std::optional<Located<std::string>> text(std::string_view key);
  /// May hold control characters, and is never shown.
  [[nodiscard]] std::optional<Located<std::string>> secret_text(std::string_view key);
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most);
  [[nodiscard]] std::optional<bool> boolean(std::string_view key);
  /// A number within the bounds, or one of a few words: then the word stands in `word`.
  struct NumberOrWord {
    std::int64_t number = 0;
    std::string_view word;
  };
  [[nodiscard]] std::optional<NumberOrWord> number_or_word(std::string_view key, std::int64_t least, std::int64_t most,
                                                           std::span<const std::string_view> words);
  /// Within the bounds, or zero where `zero_means` says what that switches off.
  [[nodiscard]] std::optional<Duration> duration(std::string_view key, Duration least, Duration most,
                                                 std::string_view zero_means = {});
  /// Octets: a number, or text as parse_size reads it.
  [[nodiscard]] std::optional<std::uint64_t> size(std::string_view key, std::uint64_t least);
  /// A list of texts; a single text counts as a list of one.
  [[nodiscard]] std::vector<Located<std::string>> texts(std::string_view key, std::size_t limit);
  /// The same of a node within the setting.
  [[nodiscard]] std::vector<Located<std::string>> texts_of(std::string_view key, const toml::node& found,
                                                           std::size_t limit);
  /// One of a few words.
  template <typename E, std::size_t N>
  [[nodiscard]] std::optional<E> choice(std::string_view key, const std::pair<std::string_view, E> (&words)[N]) {
    std::vector<std::string_view> names;
    for (const auto& [word, value] : words) names.push_back(word);
    const std::optional<std::size_t> index = choice_index(key, names);
    if (!index) return std::nullopt;
    return words[*index].second;
  }

  void error(const Position& at, std::string_view key, std::string message, std::string hint);
  void warning(const Position& at, std::string_view key, std::string message, std::string hint);
  /// A setting that must be there is not.
  void missing(std::string_view key, std::string hint);
  /// Complains about every setting that is neither among `fields` nor among `more`.
  void refuse_unknown(std::span<const FieldInfo> fields, std::span<const FieldInfo> more = {});

 private:
  void wrong_type(const toml::node& node, std::string_view key, std::string_view wanted, std::string hint);
  [[nodiscard]] std::optional<std::size_t> choice_index(std::string_view key, std::span<const std::string_view> names);
  [[nodiscard]] bool printable(const toml::node& node, std::string_view key, const std::string& text);

  const toml::table& table_;
  std::string name_;
  const std::string& file_;
  Problems& problems_;
  Position position_;
};

}  // namespace culvert::config
