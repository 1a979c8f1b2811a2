// `ppk`, `ppk_id` and `ppk_required` of a tunnel: a secret that goes into the keys beside the key exchange (RFC 8784).
#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kLongestId = 256;
// RFC 8784 6: 256 bits, for a quantum computer halves them.
constexpr std::size_t kShort = 32;

}  // namespace

void read_ppk(Section& section, DraftTunnel& draft) {
  constexpr std::string_view kKey = "ppk";
  const auto id = section.text("ppk_id");
  const auto required = section.boolean("ppk_required");
  if (!section.has(kKey)) {
    // What says that one is required, where there is none, may stand anywhere: it is the default.
    for (const std::string_view key : {"ppk_id", "ppk_required"}) {
      if (key == "ppk_id" ? id.has_value() : required == false)
        section.error(section.position_of(key), key, "there is no ppk that it could be about",
                      "write ppk = \"file:PATH\" beside it, or take it out");
    }
    return;
  }
  const Position at = section.position_of(kKey);
  draft.config.ppk = read_key(section, kKey, draft.secret_in_file);
  if (!section.has("ppk_id"))
    section.error(at, kKey, "the peer must be told by ppk_id which PPK is meant",
                  "write ppk_id = \"NAME\", the same name at both ends");
  if (id && id->value.size() > kLongestId)
    section.error(id->position, "ppk_id", fmt::format("at most {} characters are taken", kLongestId),
                  "write the name that the peer has for the same secret");
  if (!draft.config.ppk.empty() && draft.config.ppk.size() < kShort)
    section.warning(at, kKey, fmt::format("{} octets do not stand against a quantum computer", draft.config.ppk.size()),
                    fmt::format("use {} random octets: openssl rand -hex {}", kShort, kShort));
  draft.config.connection.ppk = model::Ppk{.id = id ? id->value : std::string(), .required = required.value_or(true)};
}

}  // namespace culvert::config
