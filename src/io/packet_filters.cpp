#include "io/packet_filters.hpp"

#include <algorithm>
#include <fstream>

#include <errno.h>

#include <fmt/format.h>

#include "io/nftables_session.hpp"
#include "io/process_rights.hpp"

namespace culvert::io {

Result<std::string, IoError> packet_filter_text() {
  if (!process_rights().net_admin) {
    return err(IoError{IoErrorCode::not_permitted, EPERM, "reading the packet filters needs root or CAP_NET_ADMIN"});
  }
  NftablesSession session;
  session.numeric();
  if (!session.run("list ruleset")) {
    return err(IoError{IoErrorCode::not_supported, EOPNOTSUPP,
                       fmt::format("cannot read the packet filters: {}", session.reason())});
  }
  return session.output();
}

std::vector<std::string> legacy_filter_tables() {
  std::vector<std::string> tables;
  for (const char* const file : {"ip_tables_names", "ip6_tables_names"}) {
    std::ifstream in(std::string("/proc/thread-self/net/") + file);
    for (std::string name; std::getline(in, name);) {
      if (std::ranges::find(tables, name) == tables.end()) tables.push_back(name);
    }
  }
  return tables;
}

}  // namespace culvert::io
