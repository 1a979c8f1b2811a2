#include "tests/liar/fault.hpp"

namespace culvert::liar {

const std::vector<Fault>& faults() {
  static const std::vector<Fault> all = [] {
    std::vector<Fault> rows;
    for (auto&& some : {header_faults(), init_faults(), init_answer_faults(), auth_faults(), auth_answer_faults(),
                        fragment_faults(), child_faults(), child_answer_faults(), informational_faults(),
                        key_exchange_faults(), reserved_faults(), resume_faults()})
      rows.insert(rows.end(), some.begin(), some.end());
    return rows;
  }();
  return all;
}

}  // namespace culvert::liar
