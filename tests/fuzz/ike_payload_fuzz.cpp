// The body of one payload of any type: parsed or refused, never more; what was parsed and can be written gives the same
// payload again.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/security_labels.hpp"

using namespace culvert;

namespace {

constexpr model::PayloadType kTypes[] = {model::PayloadType::sa,
                                         model::PayloadType::ke,
                                         model::PayloadType::id_i,
                                         model::PayloadType::id_r,
                                         model::PayloadType::cert,
                                         model::PayloadType::certreq,
                                         model::PayloadType::auth,
                                         model::PayloadType::nonce,
                                         model::PayloadType::notify,
                                         model::PayloadType::delete_,
                                         model::PayloadType::vendor_id,
                                         model::PayloadType::ts_i,
                                         model::PayloadType::ts_r,
                                         model::PayloadType::encrypted,
                                         model::PayloadType::configuration,
                                         model::PayloadType::eap,
                                         static_cast<model::PayloadType>(200)};

// RFC 9478: whatever the selectors, what is agreed on is a label of ours.
void look_at_labels(const ike::codec::TsPayload& ts) {
  const std::vector<model::SecurityLabel> ours{{{1}}, {Bytes(40, 'x')}};
  ike::codec::Message message;
  message.add(ts);
  ike::codec::TsPayload other = ts;
  other.side = model::Role::responder;
  message.add(std::move(other));
  for (const auto& agreed : {ike::v2::agree_on_label(message, ours), ike::v2::label_in_answer(message, ours)}) {
    if (agreed) CHECK(*agreed && std::ranges::find(ours, **agreed) != ours.end());
  }
  if (const auto agreed = ike::v2::agree_on_label(message, {})) CHECK(!*agreed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 60000) return 0;
  const model::PayloadType type = kTypes[(data[0] & 0x7f) % std::size(kTypes)];
  const bool critical = (data[0] & 0x80) != 0;
  const auto parsed = ike::codec::parse_payload_body(type, critical, ByteView(data + 1, size - 1));
  if (!parsed) return 0;
  CHECK(type_of(*parsed) == type);
  const Bytes chain = ike::codec::serialize_payloads({*parsed});
  const auto again = ike::codec::parse_payloads(type, chain);
  CHECK(again && again->size() == 1);
  // Transforms with attributes that we do not know, and reserved octets, are not written again; all else is.
  const Bytes twice = ike::codec::serialize_payloads(*again);
  CHECK(twice == chain);
  if (type == model::PayloadType::ts_i) look_at_labels(std::get<ike::codec::TsPayload>(*parsed));
  return 0;
}
