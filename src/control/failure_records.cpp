#include "control/failure_records.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace culvert::control {
namespace {

std::string_view check_of(const FailureRecord& record) {
  return record.refusal ? std::string_view(record.refusal->check) : std::string_view();
}

bool alike(const FailureRecord& a, const FailureRecord& b) {
  return a.tunnel == b.tunnel && a.peer == b.peer && a.identity == b.identity && a.kind == b.kind &&
         a.we_began == b.we_began && a.child_only == b.child_only && check_of(a) == check_of(b);
}

}  // namespace

void FailureRecords::note(FailureRecord record) {
  const bool stranger = record.tunnel.empty();
  auto& records = stranger ? of_strangers_ : of_tunnels_;
  const auto known = std::ranges::find_if(records, [&](const FailureRecord& one) { return alike(one, record); });
  if (known != records.end()) {
    record.first = known->first;
    record.times += known->times;
    records.erase(known);
  }
  records.push_front(std::move(record));
  if (records.size() > (stranger ? kMostOfStrangers : kMostOfTunnels)) records.pop_back();
}

std::vector<FailureRecord> FailureRecords::views() const {
  std::vector<FailureRecord> all;
  all.reserve(of_tunnels_.size() + of_strangers_.size());
  std::ranges::merge(of_tunnels_, of_strangers_, std::back_inserter(all), std::ranges::greater{}, &FailureRecord::last,
                     &FailureRecord::last);
  return all;
}

}  // namespace culvert::control
