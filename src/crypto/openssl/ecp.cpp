#include <openssl/obj_mac.h>

#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/key_exchanges.hpp"

namespace culvert::crypto::openssl {
namespace {

int curve_name(KeyExchangeId id) {
  switch (id) {
    case KeyExchangeId::ecp_384: return NID_secp384r1;
    case KeyExchangeId::ecp_521: return NID_secp521r1;
    case KeyExchangeId::brainpool_p256r1: return NID_brainpoolP256r1;
    case KeyExchangeId::brainpool_p384r1: return NID_brainpoolP384r1;
    case KeyExchangeId::brainpool_p512r1: return NID_brainpoolP512r1;
    default: return NID_X9_62_prime256v1;
  }
}

/// A NIST or Brainpool curve of prime order: cofactor 1, so each point on it other than infinity is in the right group.
struct Curve {
  CurveGroup group;
  BigNumberCtx context;
  BigNumber prime;
  std::size_t coordinate_size;

  explicit Curve(KeyExchangeId id)
      : group(EC_GROUP_new_by_curve_name(curve_name(id))),
        context(BN_CTX_secure_new()),
        prime(BN_new()),
        coordinate_size(public_value_size(id) / 2) {}

  [[nodiscard]] bool ready() const {
    return group && context && prime &&
           EC_GROUP_get_curve(group.get(), prime.get(), nullptr, nullptr, context.get()) == 1;
  }

  /// Both coordinates, padded to the field's size (RFC 5903 7).
  [[nodiscard]] bool write(const EC_POINT* point, std::uint8_t* x_out, std::uint8_t* y_out) const {
    const BigNumber x(BN_secure_new());
    const BigNumber y(BN_secure_new());
    const auto size = static_cast<int>(coordinate_size);
    return x && y && EC_POINT_get_affine_coordinates(group.get(), point, x.get(), y.get(), context.get()) == 1 &&
           BN_bn2binpad(x.get(), x_out, size) == size &&
           (y_out == nullptr || BN_bn2binpad(y.get(), y_out, size) == size);
  }
};

class Ecp final : public KeyExchange {
 public:
  Ecp(Curve curve, BigNumber scalar, Bytes public_value)
      : curve_(std::move(curve)), scalar_(std::move(scalar)), public_value_(std::move(public_value)) {}

  [[nodiscard]] ByteView public_value() const override { return public_value_; }

  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView peer_public_value) override {
    const ErrorQueueGuard guard;
    const std::size_t size = curve_.coordinate_size;
    if (peer_public_value.size() != 2 * size) return err(CryptoError::bad_public_value);
    const BigNumber x(BN_bin2bn(peer_public_value.data(), static_cast<int>(size), nullptr));
    const BigNumber y(BN_bin2bn(peer_public_value.data() + size, static_cast<int>(size), nullptr));
    const CurvePoint peer(EC_POINT_new(curve_.group.get()));
    const CurvePoint shared(EC_POINT_new(curve_.group.get()));
    if (!x || !y || !peer || !shared) return err(CryptoError::backend_failure);
    // RFC 6989 2.3: both coordinates are below the prime (the library would reduce them) and satisfy the curve's
    // equation.
    if (BN_cmp(x.get(), curve_.prime.get()) >= 0 || BN_cmp(y.get(), curve_.prime.get()) >= 0 ||
        EC_POINT_set_affine_coordinates(curve_.group.get(), peer.get(), x.get(), y.get(), curve_.context.get()) != 1 ||
        EC_POINT_is_on_curve(curve_.group.get(), peer.get(), curve_.context.get()) != 1) {
      return err(CryptoError::bad_public_value);
    }
    SecretBytes secret(size);
    if (EC_POINT_mul(curve_.group.get(), shared.get(), nullptr, peer.get(), scalar_.get(), curve_.context.get()) != 1 ||
        EC_POINT_is_at_infinity(curve_.group.get(), shared.get()) != 0) {
      return err(CryptoError::bad_public_value);
    }
    // RFC 5903 9: the shared secret is the x coordinate alone.
    if (!curve_.write(shared.get(), secret.mutable_view().data(), nullptr)) return err(CryptoError::backend_failure);
    return secret;
  }

 private:
  Curve curve_;
  BigNumber scalar_;
  Bytes public_value_;
};

/// A scalar in [1, order - 1], or nothing when the given one is outside.
BigNumber choose_scalar(const Curve& curve, const PrivateValueSource& source) {
  const BIGNUM* order = EC_GROUP_get0_order(curve.group.get());
  BigNumber scalar(BN_secure_new());
  if (!scalar || order == nullptr) return nullptr;
  const auto in_range = [&] { return !BN_is_zero(scalar.get()) && BN_cmp(scalar.get(), order) < 0; };
  if (source.random == nullptr) {
    if (source.private_value.size() > curve.coordinate_size + 1) return nullptr;
    BN_bin2bn(source.private_value.data(), static_cast<int>(source.private_value.size()), scalar.get());
    if (!in_range()) return nullptr;
  } else {
    // Rejection keeps the choice uniform; of as many bits as the order has, every second candidate will do at the
    // least.
    SecretBytes candidate(curve.coordinate_size);
    const int spare = static_cast<int>(8 * curve.coordinate_size) - EC_GROUP_order_bits(curve.group.get());
    do {
      source.random->fill(candidate.mutable_view());
      candidate.mutable_view()[0] &= static_cast<std::uint8_t>(0xff >> spare);
      BN_bin2bn(candidate.view().data(), static_cast<int>(candidate.size()), scalar.get());
    } while (!in_range());
  }
  BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
  return scalar;
}

}  // namespace

MadeKeyExchange make_ecp(KeyExchangeId id, const PrivateValueSource& source) {
  const ErrorQueueGuard guard;
  Curve curve(id);
  if (!curve.ready()) return err(CryptoError::backend_failure);
  BigNumber scalar = choose_scalar(curve, source);
  if (!scalar) return err(CryptoError::bad_key_length);
  const CurvePoint point(EC_POINT_new(curve.group.get()));
  Bytes public_value(2 * curve.coordinate_size);
  if (!point ||
      EC_POINT_mul(curve.group.get(), point.get(), scalar.get(), nullptr, nullptr, curve.context.get()) != 1 ||
      !curve.write(point.get(), public_value.data(), public_value.data() + curve.coordinate_size)) {
    return err(CryptoError::backend_failure);
  }
  return std::make_unique<Ecp>(std::move(curve), std::move(scalar), std::move(public_value));
}

}  // namespace culvert::crypto::openssl
