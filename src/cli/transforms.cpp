#include "cli/transforms.hpp"

#include <algorithm>
#include <array>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/transforms.hpp"

namespace culvert::cli {
namespace {

using model::TransformInfo;
using model::TransformType;

constexpr std::pair<TransformType, std::string_view> kTypes[] = {{TransformType::encryption, "encryption"},
                                                                 {TransformType::integrity, "integrity"},
                                                                 {TransformType::prf, "PRF"},
                                                                 {TransformType::key_exchange, "key exchange"},
                                                                 {TransformType::esn, "sequence numbers"}};

/// What one packet and one key cost, in octets; key in bits, without salt.
struct Sizes {
  std::size_t key_bits = 0;
  std::size_t salt = 0;
  std::size_t iv = 0;
  std::size_t icv = 0;
};

Sizes sizes_of(const TransformInfo& info) {
  const auto suite = model::trial_suite(info);
  if (!suite) return {};
  const crypto::SuiteSizes sizes = crypto::sizes_of(*suite);
  if (info.transform.type == TransformType::encryption) {
    return {suite->key_bits, sizes.salt, sizes.iv, suite->is_aead() ? sizes.icv : 0};
  }
  // AES-GMAC alone has an IV here, and with it a salt behind the key.
  const std::size_t salt = sizes.iv == 0 ? 0 : 4;
  return {8 * (sizes.integrity_key - salt), salt, sizes.iv, sizes.icv};
}

std::string places(const TransformInfo& info) {
  std::string text;
  for (const auto& [there, name] : {std::pair{info.ike, "IKE"}, {info.esp, "ESP"}, {info.ah, "AH"}}) {
    if (there) text += text.empty() ? name : std::string(" ") + name;
  }
  return text;
}

nlohmann::ordered_json to_json(const TransformInfo& info, std::string_view type) {
  const Sizes sizes = sizes_of(info);
  nlohmann::ordered_json json{{"type", type}, {"word", info.word}};
  if (!info.alias.empty()) json["alias"] = info.alias;
  json["number"] = info.transform.id;
  if (sizes.key_bits != 0) {
    json.update({{"key_bits", sizes.key_bits}, {"salt", sizes.salt}, {"iv", sizes.iv}, {"icv", sizes.icv}});
  }
  json.update({{"ike", info.ike}, {"esp", info.esp}, {"ah", info.ah}});
  json["rfc8247"] = model::to_string(info.ike_status);
  json["rfc8221"] = model::to_string(info.packet_status);
  json["remark"] = info.remark;
  if (!info.compat.empty()) json["compat"] = info.compat;
  json["refused"] = !info.served;
  if (const std::string backend = model::backend_of(info); !backend.empty()) json["backend"] = backend;
  return json;
}

using Row = std::vector<std::string>;

Row to_row(const TransformInfo& info) {
  const Sizes sizes = sizes_of(info);
  const auto number = [](std::size_t value) { return value == 0 ? std::string("-") : std::to_string(value); };
  std::string remark(info.remark);
  if (!info.served) remark = "refused: " + remark;
  if (!info.compat.empty()) remark = fmt::format("needs compat \"{}\": {}", info.compat, info.remark);
  const std::string backend = model::backend_of(info);
  return {std::string(info.word),
          std::to_string(info.transform.id),
          sizes.salt == 0 ? number(sizes.key_bits) : fmt::format("{}+{}", sizes.key_bits, 8 * sizes.salt),
          number(sizes.iv),
          number(sizes.icv),
          places(info),
          std::string(model::to_string(info.ike_status)),
          std::string(model::to_string(info.packet_status)),
          backend.empty() ? "-" : backend,
          std::move(remark)};
}

void print_table(std::ostream& out, std::span<const Row> rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i + 1 < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    out << line << row.back() << '\n';
  }
}

}  // namespace

ExitCode list_transforms(const Options& options, const World& world) {
  if (options.json) {
    auto all = nlohmann::ordered_json::array();
    for (const auto& [type, name] : kTypes) {
      for (const TransformInfo& info : model::transforms()) {
        if (info.transform.type == type) all.push_back(to_json(info, name));
      }
    }
    world.out << nlohmann::ordered_json{{"transforms", all}}.dump(2) << '\n';
    return ExitCode::ok;
  }
  for (const auto& [type, name] : kTypes) {
    std::vector<Row> rows{
        {std::string(name), "number", "key", "IV", "ICV", "in", "RFC 8247", "RFC 8221", "served by", ""}};
    for (const TransformInfo& info : model::transforms()) {
      if (info.transform.type == type) rows.push_back(to_row(info));
    }
    if (type != kTypes[0].first) world.out << '\n';
    print_table(world.out, rows);
  }
  world.out << "\nKey in bits, with + the salt beside it; IV and ICV in octets of each packet. RFC 8247 says how "
               "strongly an\n"
               "algorithm is asked for in IKE, RFC 8221 in ESP and AH; - where they do not name it.\n";
  return ExitCode::ok;
}

}  // namespace culvert::cli
