#include "daemon/evidence_memory.hpp"

#include <algorithm>
#include <utility>

namespace culvert::daemon {
namespace {

template <typename Map>
void bound(Map& all, std::size_t most) {
  while (all.size() > most)
    all.erase(std::ranges::min_element(all, {}, [](const auto& one) { return one.second->at; }));
}

}  // namespace

// CVE-2021-41991: by their keys, of which there is no end; never by a place that is counted on.
void keep(ike::v2::Evidence& evidence, const ike::v2::FetchWish& wish,
          std::shared_ptr<const ike::v2::Fetched> fetched) {
  using Kind = ike::v2::FetchWish::Kind;
  switch (wish.kind) {
    case Kind::ocsp:
      evidence.ocsp.insert_or_assign(wish.key, std::move(fetched));
      return bound(evidence.ocsp, kMostOcsp);
    case Kind::list:
      evidence.lists.insert_or_assign(wish.url, std::move(fetched));
      return bound(evidence.lists, kMostLists);
    case Kind::certificate:
      evidence.certificates.insert_or_assign(wish.url, std::move(fetched));
      return bound(evidence.certificates, kMostCertificates);
  }
}

}  // namespace culvert::daemon
