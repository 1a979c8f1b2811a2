// `ppk`, `ppk_id`, `ppk_required` and `ppk_exchange` of a tunnel: a secret that goes into the keys beside the key
// exchange (RFC 8784, RFC 9867).
#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kLongestId = 256;
// RFC 8784 6: 256 bits, for a quantum computer halves them.
constexpr std::size_t kShort = 32;
constexpr std::pair<std::string_view, model::PpkExchange> kExchanges[] = {
    {"auto", model::PpkExchange::either},
    {"intermediate", model::PpkExchange::intermediate},
    {"auth", model::PpkExchange::ike_auth},
    {"draft", model::PpkExchange::draft}};

}  // namespace

void read_ppk(Section& section, DraftTunnel& draft) {
  constexpr std::string_view kKey = "ppk";
  const auto id = section.text("ppk_id");
  const auto required = section.boolean("ppk_required");
  const auto exchange = section.choice("ppk_exchange", kExchanges);
  if (!section.has(kKey)) {
    // What says that one is required, where there is none, may stand anywhere: it is the default.
    const auto refuse = [&](std::string_view key) {
      section.error(section.position_of(key), key, "there is no ppk that it could be about",
                    "write ppk = \"file:PATH\" beside it, or take it out");
    };
    if (id) refuse("ppk_id");
    if (required == false) refuse("ppk_required");
    if (exchange.value_or(model::PpkExchange::either) != model::PpkExchange::either) refuse("ppk_exchange");
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
  draft.config.connection.ppk = model::Ppk{.id = id ? id->value : std::string(),
                                           .required = required.value_or(true),
                                           .exchange = exchange.value_or(model::PpkExchange::either)};
}

}  // namespace culvert::config
