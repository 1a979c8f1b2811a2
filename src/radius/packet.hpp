// RADIUS packets (RFC 2865 3): taken apart, put together, and proved authentic: by the authenticators in the header,
// and by Message-Authenticator (RFC 3579 3.2), which everything about authentication must carry. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/address.hpp"
#include "radius/protocol.hpp"

namespace culvert::radius {

using Authenticator = std::array<std::uint8_t, kAuthenticatorSize>;

struct Attribute {
  AttributeType type{};
  ByteView value;
};

/// Views point into what was parsed.
struct Packet {
  Code code{};
  std::uint8_t identifier = 0;
  Authenticator authenticator{};
  std::vector<Attribute> attributes;
  ByteView octets;  // from the header to the last attribute, without what came behind

  /// Nothing when there is none; views of no octets are possible.
  [[nodiscard]] std::optional<ByteView> first(AttributeType type) const;
  [[nodiscard]] std::vector<ByteView> all(AttributeType type) const;
  /// The values of all of them, one after the other.
  [[nodiscard]] Bytes joined(AttributeType type) const;
  /// Of four octets; nothing when it is absent or of another length.
  [[nodiscard]] std::optional<std::uint32_t> number(AttributeType type) const;
  /// The first attribute of Microsoft's with that number (RFC 2548), which stands within a Vendor-Specific.
  [[nodiscard]] std::optional<ByteView> microsoft(std::uint8_t type) const;
};

/// Any octets. The error is a phrase for a log.
[[nodiscard]] Result<Packet, std::string_view> parse(ByteView octets);

/// RFC 2865 3: the Response Authenticator of an answer to the request with that authenticator.
[[nodiscard]] bool is_answer_to(const Packet& answer, const Authenticator& request, ByteView secret);
/// RFC 2866 3, RFC 5176 2.3: the authenticator of a request that has no random one.
[[nodiscard]] bool is_request_by(const Packet& request, ByteView secret);

enum class MessageProof : std::uint8_t { absent, right, wrong };
/// Message-Authenticator; `in_header` is what stood in the header's place when it was computed: the request's
/// authenticator, of answers and of Access-Requests; zeros of other requests (RFC 5176 3.3).
[[nodiscard]] MessageProof message_proof(const Packet& packet, const Authenticator& in_header, ByteView secret);

/// A packet in the making.
class PacketBuilder {
 public:
  explicit PacketBuilder(Code code) : code_(code) {}

  /// At most kMostValue octets; more are cut.
  void add(AttributeType type, ByteView value);
  void add_text(AttributeType type, std::string_view text) { add(type, as_bytes(text)); }
  void add_number(AttributeType type, std::uint32_t value);
  /// In as many attributes as it takes (RFC 3579 3.1). No octets: one empty attribute.
  void add_split(AttributeType type, ByteView value);
  void add_address(AttributeType v4, AttributeType v6, const net::IpAddress& address);

  [[nodiscard]] Code code() const { return code_; }
  /// Octets that it will have, with Message-Authenticator.
  [[nodiscard]] std::size_t size() const { return kHeaderSize + 2 + kAuthenticatorSize + attributes_.size(); }

  /// RFC 3579 3.2: an Access-Request with a random authenticator and Message-Authenticator, which comes first
  /// (so that no answer can be made to collide, CVE-2024-3596).
  [[nodiscard]] Bytes with_random(std::uint8_t identifier, const Authenticator& random, ByteView secret) const;
  /// A request whose authenticator proves it.
  [[nodiscard]] Bytes with_proof(std::uint8_t identifier, ByteView secret, bool message_authenticator = false) const;
  /// An answer.
  [[nodiscard]] Bytes as_answer(std::uint8_t identifier, const Authenticator& request, ByteView secret,
                                bool message_authenticator) const;

 private:
  [[nodiscard]] Bytes assemble(std::uint8_t identifier, const Authenticator& authenticator,
                               bool message_authenticator) const;
  Code code_;
  Bytes attributes_;
};

/// The authenticator that the request has on the wire.
[[nodiscard]] Authenticator authenticator_of(ByteView octets);

}  // namespace culvert::radius
