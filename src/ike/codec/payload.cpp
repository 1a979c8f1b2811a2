#include "ike/codec/payload.hpp"

namespace culvert::ike::codec {

namespace {

using model::PayloadType;
using model::Role;

struct TypeOf {
  PayloadType operator()(const SaPayload&) const { return PayloadType::sa; }
  PayloadType operator()(const KePayload&) const { return PayloadType::ke; }
  PayloadType operator()(const IdPayload& id) const {
    return id.side == Role::initiator ? PayloadType::id_i : PayloadType::id_r;
  }
  PayloadType operator()(const CertPayload&) const { return PayloadType::cert; }
  PayloadType operator()(const CertReqPayload&) const { return PayloadType::certreq; }
  PayloadType operator()(const AuthPayload&) const { return PayloadType::auth; }
  PayloadType operator()(const NoncePayload&) const { return PayloadType::nonce; }
  PayloadType operator()(const NotifyPayload&) const { return PayloadType::notify; }
  PayloadType operator()(const DeletePayload&) const { return PayloadType::delete_; }
  PayloadType operator()(const VendorIdPayload&) const { return PayloadType::vendor_id; }
  PayloadType operator()(const TsPayload& ts) const {
    return ts.side == Role::initiator ? PayloadType::ts_i : PayloadType::ts_r;
  }
  PayloadType operator()(const ConfigurationPayload&) const { return PayloadType::configuration; }
  PayloadType operator()(const EapPayload&) const { return PayloadType::eap; }
  PayloadType operator()(const UnknownPayload& unknown) const { return static_cast<PayloadType>(unknown.type); }
};

}  // namespace

Bytes IdPayload::body() const {
  const std::uint8_t type = static_cast<std::uint8_t>(identity.type);
  return concat({ByteView(&type, 1), reserved, identity.data});
}

std::optional<model::Spi> NotifyPayload::child_spi() const {
  if (spi.size() != 4) return std::nullopt;
  if (protocol != model::ProtocolId::esp && protocol != model::ProtocolId::ah) return std::nullopt;
  return model::Spi(load_be32(spi.data()));
}

PayloadType type_of(const Payload& payload) { return std::visit(TypeOf{}, payload); }

}  // namespace culvert::ike::codec
