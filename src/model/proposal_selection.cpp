// Choosing among proposals (RFC 7296 2.7, 3.3.1, 3.3.6): the responder's selection and the initiator's check of the
// answer.
#include <algorithm>
#include <array>

#include "model/proposal.hpp"

namespace culvert::model {
namespace {

constexpr std::array kTypes = {TransformType::encryption, TransformType::prf, TransformType::integrity,
                               TransformType::key_exchange, TransformType::esn};

bool is_ours(TransformType type) { return std::ranges::find(kTypes, type) != kTypes.end(); }

std::vector<Transform> of_type(const Proposal& proposal, TransformType type) {
  std::vector<Transform> found;
  for (const Transform& transform : proposal.transforms) {
    if (transform.type == type && !transform.unknown_attribute) found.push_back(transform);
  }
  return found;
}

bool holds(const std::vector<Transform>& list, const Transform& wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

// RFC 7296 3.3.3: integrity and key exchange may be left out, which means NONE, as may a listed NONE. ESN is mandatory
// for ESP, yet some peers leave it out and mean 32-bit numbers. The others are never optional. All these defaults have
// the number 0.
bool optional_type(ProtocolId protocol, TransformType type) {
  switch (type) {
    case TransformType::integrity: return protocol != ProtocolId::ah;
    case TransformType::key_exchange:
    case TransformType::esn: return protocol != ProtocolId::ike;
    default: return is_additional_key_exchange(type);
  }
}

bool needs_type(ProtocolId protocol, TransformType type) {
  if (type == TransformType::prf) return protocol == ProtocolId::ike;
  if (type == TransformType::encryption) return protocol != ProtocolId::ah;
  if (type == TransformType::esn) return protocol != ProtocolId::ike;
  return true;
}

bool is_aead(const Transform& encryption) {
  const auto suite = packet_suite(static_cast<EncryptionId>(encryption.id), encryption.key_bits, IntegrityId::none);
  return suite.has_value();
}

// The alternatives of a type, with the implied default where the type is left out.
std::vector<Transform> alternatives(const Proposal& proposal, TransformType type) {
  auto list = of_type(proposal, type);
  const bool absent = std::ranges::none_of(proposal.transforms, [&](const Transform& t) { return t.type == type; });
  if (absent && optional_type(proposal.protocol, type)) list.push_back({type, 0});
  return list;
}

std::optional<Transform> common(const std::vector<Transform>& ours, const std::vector<Transform>& theirs,
                                const std::optional<Transform>& preferred) {
  if (preferred && holds(ours, *preferred) && holds(theirs, *preferred)) return preferred;
  for (const Transform& transform : ours) {
    if (holds(theirs, transform)) return transform;
  }
  return std::nullopt;
}

std::vector<Transform> without_none(std::vector<Transform> list) {
  std::erase_if(list, [](const Transform& t) { return t.id == 0; });
  return list;
}

void put_in_suites(ChosenProposal& chosen, const Transform& transform) {
  switch (transform.type) {
    case TransformType::encryption:
      chosen.ike.encryption = chosen.esp.encryption = static_cast<EncryptionId>(transform.id);
      chosen.ike.key_bits = chosen.esp.key_bits = transform.key_bits;
      break;
    case TransformType::prf: chosen.ike.prf = static_cast<PrfId>(transform.id); break;
    case TransformType::integrity:
      chosen.ike.integrity = chosen.esp.integrity = static_cast<IntegrityId>(transform.id);
      break;
    case TransformType::key_exchange:
      chosen.ike.key_exchange = chosen.esp.key_exchange = static_cast<KeyExchangeMethod>(transform.id);
      break;
    case TransformType::esn: chosen.esp.esn = static_cast<EsnId>(transform.id); break;
    default:
      chosen.ike.additional[additional_number(transform.type)] = static_cast<KeyExchangeMethod>(transform.id);
      chosen.esp.additional = chosen.ike.additional;
  }
}

// RFC 9370 2.2.1: of each type one, NONE where it is left out, and none of them twice; 2.2.4: where no key exchange
// comes first, none at all. False when there is no such choice.
bool choose_additional(ChosenProposal& chosen, const Proposal& ours, const Proposal& theirs) {
  for (unsigned n = 0; n < kAdditionalKeyExchanges; ++n) {
    const TransformType type = additional_key_exchange(n);
    auto mine = alternatives(ours, type);
    std::erase_if(mine, [&](const Transform& t) {
      const auto& taken = chosen.ike.additional;
      if (t.id != 0 && chosen.ike.key_exchange == KeyExchangeMethod::none) return true;
      return t.id != 0 && std::ranges::find(taken, static_cast<KeyExchangeMethod>(t.id)) != taken.end();
    });
    const auto pick = common(mine, alternatives(theirs, type), std::nullopt);
    if (!pick) return false;
    put_in_suites(chosen, *pick);
    if (holds(of_type(theirs, type), *pick)) chosen.proposal.transforms.push_back(*pick);
  }
  return true;
}

// One transform of each type, given the encryption (which AH has none of); nothing when a type has no common one.
std::optional<ChosenProposal> choose_with(const Transform& encryption, const Proposal& ours, const Proposal& theirs,
                                          const SelectionOptions& options) {
  ChosenProposal chosen;
  chosen.proposal.protocol = theirs.protocol;
  chosen.proposal.number = theirs.number;
  chosen.proposal.spi = theirs.spi;
  chosen.ike.integrity = chosen.esp.integrity = IntegrityId::none;
  if (ours.protocol == ProtocolId::ah) chosen.esp.encryption = EncryptionId::null;
  for (const TransformType type : kTypes) {
    if (!needs_type(ours.protocol, type)) continue;
    if (type == TransformType::key_exchange && options.ignore_key_exchange) continue;
    std::optional<Transform> pick;
    if (type == TransformType::encryption) {
      pick = encryption;
    } else if (type == TransformType::integrity) {
      // RFC 7296 3.3: a combined-mode cipher goes with NONE, any other one with a real integrity algorithm.
      const Transform none{TransformType::integrity, 0};
      if (needs_type(ours.protocol, TransformType::encryption) && is_aead(encryption)) {
        if (holds(alternatives(ours, type), none) && holds(alternatives(theirs, type), none)) pick = none;
      } else {
        pick = common(without_none(alternatives(ours, type)), without_none(alternatives(theirs, type)), std::nullopt);
      }
    } else {
      std::optional<Transform> preferred;
      if (type == TransformType::key_exchange && options.prefer_method != KeyExchangeMethod::none) {
        preferred = Transform{type, static_cast<std::uint16_t>(options.prefer_method)};
      }
      pick = common(alternatives(ours, type), alternatives(theirs, type), preferred);
    }
    if (!pick) return std::nullopt;
    put_in_suites(chosen, *pick);
    // Only what was really offered goes into the answer, not an implied default.
    if (holds(of_type(theirs, type), *pick)) chosen.proposal.transforms.push_back(*pick);
  }
  if (options.ignore_key_exchange) {
    chosen.esp.key_exchange = KeyExchangeMethod::none;
  } else if (!choose_additional(chosen, ours, theirs)) {
    return std::nullopt;
  }
  return chosen;
}

std::optional<ChosenProposal> choose(const Proposal& ours, const Proposal& theirs, const SelectionOptions& options) {
  if (ours.protocol != theirs.protocol) return std::nullopt;
  // RFC 7296 3.3.6: a transform type we do not know makes the whole proposal unacceptable.
  for (const Transform& transform : theirs.transforms) {
    const bool additional =
        (options.additional_key_exchanges || options.ignore_key_exchange) && is_additional_key_exchange(transform.type);
    if (!is_ours(transform.type) && !additional) return std::nullopt;
  }
  if (!needs_type(ours.protocol, TransformType::encryption)) {
    // RFC 7296 3.3.3: AH has integrity and sequence numbers, and nothing that encrypts.
    if (!of_type(theirs, TransformType::encryption).empty()) return std::nullopt;
    auto chosen = choose_with({}, ours, theirs, options);
    if (chosen) chosen->esp.key_bits = 0;
    return chosen;
  }
  const auto offered = of_type(theirs, TransformType::encryption);
  for (const Transform& encryption : of_type(ours, TransformType::encryption)) {
    if (!holds(offered, encryption)) continue;
    if (auto chosen = choose_with(encryption, ours, theirs, options)) return chosen;
  }
  return std::nullopt;
}

bool one_per_type(const Proposal& proposal) {
  return std::ranges::all_of(proposal.transforms, [&](const Transform& transform) {
    return std::ranges::count_if(proposal.transforms, [&](const Transform& t) { return t.type == transform.type; }) ==
           1;
  });
}

}  // namespace

std::optional<ChosenProposal> select_proposal(const std::vector<Proposal>& offered,
                                              const std::vector<Proposal>& acceptable,
                                              const SelectionOptions& options) {
  for (const Proposal& ours : acceptable) {
    for (const Proposal& theirs : offered) {
      if (auto chosen = choose(ours, theirs, options)) return chosen;
    }
  }
  return std::nullopt;
}

bool accepts(const std::vector<Proposal>& acceptable, const IkeSuite& suite) {
  return std::ranges::any_of(acceptable, [&](const Proposal& proposal) {
    const auto has = [&](TransformType type, std::uint16_t id, std::uint16_t bits) {
      return std::ranges::any_of(proposal.transforms, [&](const Transform& one) {
        return one.type == type && one.id == id && one.key_bits == bits;
      });
    };
    // RFC 9370 2.2.1: one that is left out is NONE.
    for (unsigned n = 0; n < kAdditionalKeyExchanges; ++n) {
      const bool left_out = std::ranges::none_of(
          proposal.transforms, [&](const Transform& one) { return one.type == additional_key_exchange(n); });
      const auto done = static_cast<std::uint16_t>(suite.additional[n]);
      if (!(left_out && done == 0) && !has(additional_key_exchange(n), done, 0)) return false;
    }
    return has(TransformType::encryption, static_cast<std::uint16_t>(suite.encryption), suite.key_bits) &&
           has(TransformType::prf, static_cast<std::uint16_t>(suite.prf), 0) &&
           has(TransformType::key_exchange, static_cast<std::uint16_t>(suite.key_exchange), 0) &&
           (suite.integrity == IntegrityId::none ||
            has(TransformType::integrity, static_cast<std::uint16_t>(suite.integrity), 0));
  });
}

std::optional<ChosenProposal> accept_answer(const std::vector<Proposal>& answer, const std::vector<Proposal>& offered,
                                            const SelectionOptions& options) {
  // RFC 7296 3.3: the answer holds exactly one proposal with one transform of each type, all of them offered under that
  // number.
  if (answer.size() != 1 || !one_per_type(answer[0])) return std::nullopt;
  for (const Proposal& ours : offered) {
    if (ours.number != answer[0].number || ours.protocol != answer[0].protocol) continue;
    const bool all_offered = std::ranges::all_of(
        answer[0].transforms, [&](const Transform& t) { return !t.unknown_attribute && holds(ours.transforms, t); });
    if (!all_offered) return std::nullopt;
    return choose(ours, answer[0], options);
  }
  return std::nullopt;
}

}  // namespace culvert::model
