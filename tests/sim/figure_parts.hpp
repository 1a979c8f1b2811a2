// Parts of figures that most set-ups have.
#pragma once

namespace culvert::sim {

// RFC 7296 1.2, with 2.23 and appendix C.1.
inline constexpr const char* kInit = R"(
  HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP), [N+] -->
  <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP), [N+])";
// RFC 7296 1.2, appendix C.2.
inline constexpr const char* kAuth = R"(
  HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
  <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+]})";
inline constexpr const char* kAuthAlone = R"(
  HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
  <-- HDR(IKE_AUTH), SK )";

inline constexpr const char* kPlainIke = "aes256gcm16-prfsha256-x25519";
inline constexpr const char* kPlainEsp = "aes256gcm16-esn";

}  // namespace culvert::sim
