#include "config/guard.hpp"

#include <fmt/format.h>

namespace culvert::config {
namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<Problem> run() {
    while (at_ < text_.size() && !problem_) step();
    return problem_;
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == '#') return skip_comment();
    if (c == '"' || c == '\'') return skip_string(c);
    if (c == '[' || c == '{') {
      if (++depth_ > kNestingLimit) complain("brackets");
    } else if (c == ']' || c == '}') {
      if (depth_ > 0) --depth_;
    } else if (c == '.') {
      if (++dots_ > kNestingLimit) complain("dots");
    } else if (c == '\n' || c == '=' || c == ',') {
      dots_ = 0;
    }
    advance(1);
  }

  void skip_comment() {
    while (at_ < text_.size() && text_[at_] != '\n') advance(1);
  }

  void skip_string(char quote) {
    const std::string_view triple = quote == '"' ? "\"\"\"" : "'''";
    const bool multi_line = text_.substr(at_).starts_with(triple);
    const std::string_view closing = multi_line ? triple : triple.substr(0, 1);
    advance(closing.size());
    while (at_ < text_.size()) {
      if (text_.substr(at_).starts_with(closing)) return advance(closing.size());
      if (text_[at_] == '\n' && !multi_line) return;  // unclosed: the parser will say so
      advance(text_[at_] == '\\' && quote == '"' ? 2 : 1);
    }
  }

  void advance(std::size_t count) {
    for (; count > 0 && at_ < text_.size(); --count, ++at_) {
      ++column_;
      if (text_[at_] == '\n') {
        ++line_;
        column_ = 1;
      }
    }
  }

  void complain(std::string_view what) {
    problem_ =
        Problem{.position = {.line = line_, .column = column_},
                .message = fmt::format("more than {} nested {}", kNestingLimit, what),
                .hint = "no setting of Culvert nests that deep: look for a bracket or a quote that is not closed"};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned line_ = 1;
  unsigned column_ = 1;
  std::size_t depth_ = 0;
  std::size_t dots_ = 0;
  std::optional<Problem> problem_;
};

}  // namespace

std::optional<Problem> guard(std::string_view text) {
  if (text.size() > kFileLimit) {
    return Problem{
        .message = fmt::format("the file has {} octets; {} are allowed", text.size(), kFileLimit),
        .hint = "split it into several *.toml files in one folder, or check that the path names a configuration file"};
  }
  return Scanner(text).run();
}

}  // namespace culvert::config
