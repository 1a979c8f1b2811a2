// Reserved bits and fields of every structure, which a receiver must not look at (RFC 7296 2.5).
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using model::PayloadType;

namespace {

/// The reserved fields of one SA payload's proposals and transforms. `at`: its first proposal.
void fill_proposals(Bytes& octets, std::size_t at, std::size_t end) {
  while (at < end) {
    octets[at + 1] = 0xff;
    const std::size_t next = at + load_be16(octets.data() + at + 2);
    for (std::size_t one = at + 8 + octets[at + 6]; one < next; one += load_be16(octets.data() + one + 2)) {
      octets[one + 1] = 0xff;
      octets[one + 5] = 0xff;
    }
    at = next;
  }
}

/// Sets whatever is reserved in the chain of payloads. IDi and IDr are left alone: AUTH covers theirs (RFC 7296 2.15).
void fill_reserved(Bytes& octets, std::size_t start, PayloadType type) {
  for (std::size_t at = start; type != PayloadType::none;) {
    const std::size_t end = at + load_be16(octets.data() + at + 2);
    octets[at + 1] |= 0x7f;
    std::uint8_t* const body = octets.data() + at + 4;
    if (type == PayloadType::sa) fill_proposals(octets, at + 4, end);
    if (type == PayloadType::ke) store_be16(body + 2, 0xffff);
    const bool three = type == PayloadType::auth || type == PayloadType::ts_i || type == PayloadType::ts_r ||
                       type == PayloadType::configuration;
    if (three) std::fill(body + 1, body + 4, std::uint8_t{0xff});
    type = static_cast<PayloadType>(octets[at]);
    at = end;
  }
}

Lie in_the_clear() {
  return in_octets([](Bytes& o) { fill_reserved(o, codec::kHeaderSize, static_cast<PayloadType>(o[16])); });
}
Lie sealed() {
  return in_chain([](PayloadType& first, Bytes& chain) { fill_reserved(chain, 0, first); });
}
/// With a Configuration payload among them, whose attributes have a reserved bit, too.
Lie with_configuration() {
  Lie lie = sealed();
  lie.message = [](Liar&, codec::Message& message) {
    codec::ConfigurationPayload ask{.type = model::ConfigurationType::request, .attributes = {}};
    ask.attributes.push_back({.type = 0x7ffe, .value = {1, 2}});
    message.add(ask);
  };
  return lie;
}

Lie with_delete() {
  Lie lie = sealed();
  lie.message = [](Liar&, codec::Message& message) {
    message.add(codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {model::Spi(0x12345678)}});
  };
  return lie;
}

}  // namespace

std::vector<Fault> reserved_faults() {
  const Setting pfs{.esp = "aes256gcm16-x25519"};
  return {
      {"reserved_fields_of_an_ike_sa_init_request", "RFC 7296 2.5", Step::init_request, in_the_clear(), harmless()},
      {"reserved_fields_of_an_ike_sa_init_answer", "RFC 7296 2.5", Step::init_answer, in_the_clear(), harmless()},
      {"reserved_fields_of_an_ike_auth_request", "RFC 7296 2.5", Step::auth_request, sealed(), harmless()},
      {"reserved_fields_of_an_ike_auth_answer", "RFC 7296 2.5", Step::auth_answer, sealed(), harmless()},
      {"reserved_fields_of_a_configuration_payload", "RFC 7296 3.15", Step::auth_request, with_configuration(),
       harmless()},
      {"reserved_fields_of_a_create_child_sa_request", "RFC 7296 2.5", Step::child_request, sealed(), harmless(), pfs},
      {"reserved_fields_of_a_create_child_sa_answer", "RFC 7296 2.5", Step::child_answer, sealed(), harmless(), pfs},
      {"reserved_fields_of_an_informational_request", "RFC 7296 2.5", Step::informational, with_delete(),
       counted(answered(), ike::Refusal::unknown_child_sa)},
      {"reserved_fields_of_an_informational_answer", "RFC 7296 2.5", Step::informational_answer, with_configuration(),
       harmless()},
      {"asks_whether_we_live", "RFC 7296 2.4", Step::informational, {}, answered()},
  };
}

}  // namespace culvert::liar
