// The numbers of RADIUS that are used here, as they stand on the wire.
#pragma once

#include <cstdint>
#include <string_view>

namespace culvert::radius {

// RFC 2865 4, RFC 2866 4, RFC 5176 3.
enum class Code : std::uint8_t {
  access_request = 1,
  access_accept = 2,
  access_reject = 3,
  accounting_request = 4,
  accounting_response = 5,
  access_challenge = 11,
  disconnect_request = 40,
  disconnect_ack = 41,
  disconnect_nak = 42,
  coa_request = 43,
  coa_ack = 44,
  coa_nak = 45,
};
[[nodiscard]] std::string_view name_of(Code code);

enum class AttributeType : std::uint8_t {
  user_name = 1,               // RFC 2865 5
  nas_ip_address = 4,          //
  nas_port = 5,                //
  service_type = 6,            //
  framed_ip_address = 8,       //
  framed_mtu = 12,             //
  reply_message = 18,          //
  state = 24,                  //
  class_ = 25,                 //
  vendor_specific = 26,        //
  session_timeout = 27,        //
  idle_timeout = 28,           //
  called_station_id = 30,      //
  calling_station_id = 31,     //
  nas_identifier = 32,         //
  proxy_state = 33,            //
  acct_status_type = 40,       // RFC 2866 5
  acct_delay_time = 41,        //
  acct_input_octets = 42,      //
  acct_output_octets = 43,     //
  acct_session_id = 44,        //
  acct_authentic = 45,         //
  acct_session_time = 46,      //
  acct_input_packets = 47,     //
  acct_output_packets = 48,    //
  acct_terminate_cause = 49,   //
  acct_input_gigawords = 52,   // RFC 2869 5
  acct_output_gigawords = 53,  //
  event_timestamp = 55,        //
  nas_port_type = 61,          // RFC 2865 5.41
  eap_message = 79,            // RFC 3579 3
  message_authenticator = 80,  //
  acct_interim_interval = 85,  // RFC 2869 5.16
  nas_port_id = 87,            // RFC 2869 5.17
  framed_pool = 88,            // RFC 2869 5.18
  nas_ipv6_address = 95,       // RFC 3162 2.1
  error_cause = 101,           // RFC 5176 3.5
  framed_ipv6_address = 168,   // RFC 6911 3.1
};

inline constexpr std::uint32_t kServiceFramed = 2;          // RFC 2865 5.6
inline constexpr std::uint32_t kServiceAuthorizeOnly = 17;  // RFC 5176 3.2
inline constexpr std::uint32_t kPortVirtual = 5;            // RFC 2865 5.41
inline constexpr std::uint32_t kAuthenticByRadius = 1;      // RFC 2866 5.6

// RFC 2866 5.1.
enum class AcctStatus : std::uint32_t { start = 1, stop = 2, interim = 3, accounting_on = 7, accounting_off = 8 };

// RFC 5176 3.5.
enum class ErrorCause : std::uint32_t {
  unsupported_attribute = 401,
  missing_attribute = 402,
  nas_identification_mismatch = 403,
  invalid_request = 404,
  unsupported_service = 405,
  invalid_attribute_value = 407,
  session_context_not_found = 503,
};
[[nodiscard]] std::string_view name_of(ErrorCause cause);

inline constexpr std::uint32_t kMicrosoft = 311;  // RFC 2548
inline constexpr std::uint8_t kMppeSendKey = 16;  // RFC 2548 2.4.2
inline constexpr std::uint8_t kMppeRecvKey = 17;  // RFC 2548 2.4.3

inline constexpr std::size_t kHeaderSize = 20;
inline constexpr std::size_t kMostPacket = 4096;  // RFC 2865 3
inline constexpr std::size_t kMostValue = 253;    // RFC 2865 5
inline constexpr std::size_t kAuthenticatorSize = 16;

}  // namespace culvert::radius
