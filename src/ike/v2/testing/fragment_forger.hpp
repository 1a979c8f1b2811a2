// FragmentForger: one end of an IKE SA that seals any fragment, possible or not. Header only; never part of the
// product.
#pragma once

#include <algorithm>
#include <memory>

#include "crypto/packet_cipher.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

class FragmentForger {
 public:
  /// Speaks as the initiator of the IKE SA with these keys, or as its responder. The suite must be an AEAD.
  explicit FragmentForger(const KeysExported& keys, bool initiator = true)
      : suite_(*model::packet_suite(keys.suite.encryption, keys.suite.key_bits, keys.suite.integrity)),
        cipher_(*crypto::make_packet_cipher(suite_, (initiator ? keys.sk_ei : keys.sk_er).view(), {})) {
    CHECK(suite_.is_aead());
    header.spi_i = keys.spi_i;
    header.spi_r = keys.spi_r;
    header.initiator = initiator;
  }

  codec::Header header;

  /// One fragment. `clear` stands in front of it, its first payload of type `clear_type`.
  Bytes seal(codec::FragmentPlace place, model::PayloadType first, ByteView part, ByteView clear = {},
             model::PayloadType clear_type = model::PayloadType::vendor_id) {
    const crypto::SuiteSizes sizes = crypto::sizes_of(suite_);
    const std::size_t sealed = codec::kPayloadHeaderSize + 4 + sizes.iv + part.size() + 1 + sizes.icv;
    const std::size_t at = codec::kHeaderSize + clear.size();
    Bytes out = codec::serialize_header(header, clear.empty() ? model::PayloadType::encrypted_fragment : clear_type,
                                        static_cast<std::uint32_t>(at + sealed));
    out.insert(out.end(), clear.begin(), clear.end());
    out.resize(at + sealed);
    out[at] = static_cast<std::uint8_t>(first);
    store_be16(out.data() + at + 2, static_cast<std::uint16_t>(sealed));
    store_be16(out.data() + at + 4, place.number);
    store_be16(out.data() + at + 6, place.total);
    std::uint8_t* const iv = out.data() + at + 8;
    store_be64(iv, next_iv_++);
    std::uint8_t* const plain = iv + sizes.iv;
    std::ranges::copy(part, plain);
    crypto::PacketJob job;
    job.iv = iv;
    job.aad = ByteView(out).first(at + 8);
    job.input = job.output = plain;
    job.length = part.size() + 1;
    job.icv = plain + part.size() + 1;
    cipher_->seal({&job, 1});
    CHECK(job.ok);
    return out;
  }

 private:
  crypto::PacketSuite suite_;
  std::unique_ptr<crypto::PacketCipher> cipher_;
  std::uint64_t next_iv_ = std::uint64_t{1} << 40;
};

}  // namespace culvert::ike::v2::testing
