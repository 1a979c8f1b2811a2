// The settings of model::PacketTreatment: one reader for tunnels and for manual entries.
#include "config/draft.hpp"

namespace culvert::config {
namespace {

using model::DontFragment;
using model::Fragmentation;
using model::IcmpErrors;

constexpr std::pair<std::string_view, DontFragment> kDontFragment[] = {
    {"copy", DontFragment::copy}, {"clear", DontFragment::clear}, {"set", DontFragment::set}};
constexpr std::pair<std::string_view, Fragmentation> kFragmentation[] = {{"before", Fragmentation::before},
                                                                         {"after", Fragmentation::after}};
constexpr std::pair<std::string_view, IcmpErrors> kIcmpErrors[] = {
    {"selectors", IcmpErrors::selectors}, {"quoted", IcmpErrors::quoted}, {"checked", IcmpErrors::checked}};

constexpr std::int64_t kMostDscp = 63;
constexpr std::int64_t kLeastMss = 88;  // RFC 791's least MTU of 68 is no use; this fits any path with IPv4
constexpr std::int64_t kLeastAggfrag = 256;
constexpr std::int64_t kMostPadding = 65534;

void read_aggfrag(Section& section, model::PacketTreatment& treatment, Problems& problems) {
  const toml::node* node = section.node("aggfrag");
  if (node == nullptr) return;
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    section.error(section.position_of("aggfrag"), "aggfrag", "a table is needed, " + describe(*node) + " was found",
                  "write aggfrag = { } for its defaults, or aggfrag = { packet_size = 1400, rate = \"1MB\" }");
    return;
  }
  Section inner(*table, section.name() + ".aggfrag", section.file(), problems);
  inner.refuse_unknown(kAggfragFields);
  model::Aggfrag out;
  if (const auto size = inner.integer("packet_size", 0, 65535)) {
    if (*size != 0 && *size < kLeastAggfrag) {
      inner.error(inner.position_of("packet_size"), "packet_size", "packets of so few octets carry nothing",
                  "write 256 to 65535, or 0 for the longest that the path takes");
    }
    out.packet_size = static_cast<std::uint16_t>(*size);
  }
  if (const auto rate = inner.size("rate", 0)) out.rate = *rate;
  if (const auto hold = inner.duration("hold", std::chrono::milliseconds(1), std::chrono::seconds(1),
                                       "sends at the end of each batch")) {
    out.hold = *hold;
  }
  if (const auto set = inner.boolean("dont_fragment")) out.dont_fragment = *set;
  if (const auto set = inner.boolean("congestion_control")) out.congestion_control = *set;
  if (const auto window = inner.integer("reorder_window", 0, 1024))
    out.reorder_window = static_cast<std::uint16_t>(*window);
  treatment.aggfrag = out;
}

void read_outer(Section& section, model::OuterHeader& outer) {
  static constexpr std::string_view kCopy[] = {"copy"};
  if (const auto df = section.choice("df", kDontFragment)) outer.dont_fragment = *df;
  if (const auto cut = section.choice("fragmentation", kFragmentation)) outer.fragmentation = *cut;
  if (const auto dscp = section.number_or_word("dscp", 0, kMostDscp, kCopy)) {
    outer.dscp.reset();
    if (dscp->word.empty()) outer.dscp = static_cast<std::uint8_t>(dscp->number);
  }
  if (const auto set = section.boolean("dscp_inward")) outer.dscp_inward = *set;
  if (const auto set = section.boolean("ecn")) outer.ecn = *set;
  if (const auto limit = section.integer("hop_limit", 1, 255)) outer.hop_limit = static_cast<std::uint8_t>(*limit);
}

}  // namespace

void read_treatment(Section& section, model::PacketTreatment& treatment, Problems& problems) {
  static constexpr std::string_view kPath[] = {"path"};
  static constexpr std::string_view kMssWords[] = {"path", "off"};
  read_outer(section, treatment.outer);
  if (const auto pad = section.number_or_word("tfc_pad_to", 0, kMostPadding, kPath)) {
    treatment.confidentiality.pad_to =
        pad->word.empty() ? static_cast<std::uint16_t>(pad->number) : model::TrafficFlowConfidentiality::kPadToPath;
  }
  if (const auto after =
          section.duration("dummy_after", std::chrono::milliseconds(1), std::chrono::hours(24), "sends none")) {
    treatment.confidentiality.dummy_after.reset();
    if (after->count() != 0) treatment.confidentiality.dummy_after = *after;
  }
  if (const auto set = section.boolean("compress")) treatment.compress = *set;
  if (const auto mss = section.number_or_word("mss_clamp", kLeastMss, 65535, kMssWords)) {
    treatment.mss_clamp = static_cast<std::uint16_t>(mss->number);
    if (mss->word == "off") treatment.mss_clamp.reset();
  }
  if (const auto errors = section.choice("icmp_errors", kIcmpErrors)) treatment.icmp_errors = *errors;
  read_aggfrag(section, treatment, problems);
}

}  // namespace culvert::config
