// The payload bodies, one function each; used by parse.cpp alone. Each gets exactly its body (the payload without its
// generic header) and must account for every octet of it.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "ike/codec/parse_error.hpp"
#include "ike/codec/payload.hpp"

namespace culvert::ike::codec {

using BodyResult = Result<Payload, ParseFault>;

[[nodiscard]] BodyResult parse_sa(ByteView body);
[[nodiscard]] BodyResult parse_ke(ByteView body);
[[nodiscard]] BodyResult parse_id(model::Role side, ByteView body);
[[nodiscard]] BodyResult parse_cert(ByteView body);
[[nodiscard]] BodyResult parse_certreq(ByteView body);
[[nodiscard]] BodyResult parse_auth(ByteView body);
[[nodiscard]] BodyResult parse_nonce(ByteView body);
[[nodiscard]] BodyResult parse_notify(ByteView body);
[[nodiscard]] BodyResult parse_delete(ByteView body);
[[nodiscard]] BodyResult parse_vendor_id(ByteView body);
[[nodiscard]] BodyResult parse_ts(model::Role side, ByteView body);
[[nodiscard]] BodyResult parse_configuration(ByteView body);
[[nodiscard]] BodyResult parse_eap(ByteView body);

}  // namespace culvert::ike::codec
