// Writes the seeds of ike_message_fuzz: one file per payload type and one message with all of them, made by our own
// serializer.
//
//     ike_message_seeds <folder>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "ike/codec/message.hpp"
#include "ike/codec/serialize.hpp"

namespace {

using namespace culvert;
using namespace culvert::ike::codec;
using model::NotifyType;
using model::ProtocolId;
using model::Role;
using model::TransformType;

std::vector<Payload> payloads() {
  const model::Proposal ike{.number = 1,
                            .protocol = ProtocolId::ike,
                            .spi = Bytes(8, 0xaa),
                            .transforms = {{TransformType::encryption, 20, 256},
                                           {TransformType::prf, 5},
                                           {TransformType::key_exchange, 31},
                                           {TransformType::key_exchange, 19}}};
  const model::Proposal esp{
      .number = 2,
      .protocol = ProtocolId::esp,
      .spi = {1, 2, 3, 4},
      .transforms = {{TransformType::encryption, 12, 128}, {TransformType::integrity, 12}, {TransformType::esn, 0}}};
  return {SaPayload{{ike, esp}},
          KePayload{model::KeyExchangeMethod::curve25519, Bytes(32, 0x55)},
          IdPayload{Role::initiator, model::Identity{model::IdentificationType::fqdn, Bytes{'g', 'w'}}},
          IdPayload{Role::responder, model::Identity{model::IdentificationType::ipv4_addr, {192, 0, 2, 1}}},
          CertPayload{model::CertificateEncoding::x509_signature, {0x30, 0x00}},
          CertReqPayload{model::CertificateEncoding::x509_signature, Bytes(20, 1)},
          AuthPayload{model::AuthenticationMethod::shared_key_mic, Bytes(32, 9)},
          NoncePayload{Bytes(32, 3)},
          NotifyPayload{ProtocolId::esp, {1, 2, 3, 4}, NotifyType::rekey_sa, {}},
          NotifyPayload{ProtocolId::none, {}, NotifyType::cookie, Bytes(16, 4)},
          NotifyPayload{ProtocolId::none, {}, NotifyType::invalid_ke_payload, {0, 31}},
          DeletePayload{ProtocolId::ike, {}},
          DeletePayload{ProtocolId::esp, {model::Spi(0x01020304), model::Spi(0xfffefdfc)}},
          VendorIdPayload{{1, 2, 3}},
          TsPayload{Role::initiator, {model::TrafficSelector::all(net::Family::v4)}, {}},
          TsPayload{Role::responder, {model::TrafficSelector::all(net::Family::v6)}, {UnknownSelector{10, 0, {1}}}},
          ConfigurationPayload{model::ConfigurationType::request, {{1, {}}, {3, {10, 0, 0, 1}}}},
          EapPayload{{1, 0, 0, 4}},
          UnknownPayload{200, true, {1, 2, 3, 4, 5}}};
}

bool write(const std::filesystem::path& path, const Bytes& octets) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(octets.data()), static_cast<std::streamsize>(octets.size()));
  return out.good();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: ike_message_seeds <folder>\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  Message message;
  message.header.spi_i = model::IkeSpi(0x0102030405060708);
  message.header.spi_r = model::IkeSpi(0x1112131415161718);
  message.header.initiator = true;
  bool written = true;
  int number = 0;
  for (const Payload& payload : payloads()) {
    message.payloads = {payload};
    written &= write(folder / ("payload_" + std::to_string(number++)), serialize(message));
  }
  message.payloads = payloads();
  written &= write(folder / "all_payloads", serialize(message));
  Bytes sealed = serialize_header(message.header, model::PayloadType::encrypted, kHeaderSize + 36);
  sealed.insert(sealed.end(), {41, 0, 0, 36});
  sealed.insert(sealed.end(), 32, 0x77);
  written &= write(folder / "encrypted", sealed);
  return written ? 0 : 1;
}
