#include "cli/status_printer.hpp"

#include <algorithm>
#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/json.hpp"
#include "base/check.hpp"

namespace culvert::cli {

StatusPrinter::StatusPrinter(std::ostream& out, const Look& look, std::optional<int> indent)
    : out_(out), look_(look), indent_(indent) {}

void StatusPrinter::begin(api::Status part) {
  first_ = std::move(part);
  first_->tunnels.clear();
  first_->next.reset();
  if (!indent_) {
    out_ << render_head(*first_, look_);
    return;
  }
  // Nothing that is printed as text holds a quotation mark that is not escaped, so that the first such place is it.
  const std::string whole = api::to_json_text(*first_, *indent_);
  constexpr std::string_view kEmpty = "\"tunnels\": []";
  const std::size_t place = whole.find(kEmpty);
  CHECK(place != std::string::npos);
  const std::size_t inside = place + kEmpty.size() - 1;
  out_ << std::string_view(whole).substr(0, inside);
  tail_ = whole.substr(inside);
}

void StatusPrinter::take(api::Status part) {
  std::vector<api::TunnelStatus> tunnels = std::move(part.tunnels);
  if (!first_) begin(std::move(part));
  for (api::TunnelStatus& tunnel : tunnels) {
    if (held_ && held_->name == tunnel.name) {
      std::ranges::move(tunnel.ike_sas, std::back_inserter(held_->ike_sas));
    } else {
      print_held();
      held_ = std::move(tunnel);
    }
  }
}

void StatusPrinter::print_held() {
  if (!held_) return;
  if (indent_) {
    const std::string line = '\n' + std::string(2 * static_cast<std::size_t>(*indent_), ' ');
    out_ << (printed_ == 0 ? "" : ",") << line;
    // A line break within a text would be escaped.
    for (const char c : api::to_json_text(*held_, *indent_)) {
      if (c == '\n') {
        out_ << line;
      } else {
        out_ << c;
      }
    }
  } else {
    out_ << '\n' << render(*held_, look_);
  }
  ++printed_;
  held_.reset();
}

void StatusPrinter::finish() {
  print_held();
  if (!first_) return;
  if (indent_) {
    if (printed_ != 0) out_ << '\n' << std::string(static_cast<std::size_t>(*indent_), ' ');
    out_ << tail_ << '\n';
  } else {
    out_ << render_rest(*first_, printed_ != 0, look_);
  }
}

}  // namespace culvert::cli
