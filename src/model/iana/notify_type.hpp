// IKEv2 Notify Message Types: errors below 16384, status from there on; the enum value is the wire value. RFC
// 7296 3.10.1.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class NotifyType : std::uint16_t {
  unsupported_critical_payload = 1,             // RFC 7296
  invalid_ike_spi = 4,                          // RFC 7296
  invalid_major_version = 5,                    // RFC 7296
  invalid_syntax = 7,                           // RFC 7296
  invalid_message_id = 9,                       // RFC 7296
  invalid_spi = 11,                             // RFC 7296
  no_proposal_chosen = 14,                      // RFC 7296
  invalid_ke_payload = 17,                      // RFC 7296
  authentication_failed = 24,                   // RFC 7296
  single_pair_required = 34,                    // RFC 7296
  no_additional_sas = 35,                       // RFC 7296
  internal_address_failure = 36,                // RFC 7296
  failed_cp_required = 37,                      // RFC 7296
  ts_unacceptable = 38,                         // RFC 7296
  invalid_selectors = 39,                       // RFC 7296
  unacceptable_addresses = 40,                  // RFC 4555
  unexpected_nat_detected = 41,                 // RFC 4555
  temporary_failure = 43,                       // RFC 7296
  child_sa_not_found = 44,                      // RFC 7296
  state_not_found = 47,                         // RFC 9370
  ts_max_queue = 48,                            // RFC 9611
  initial_contact = 16384,                      // RFC 7296
  set_window_size = 16385,                      // RFC 7296
  additional_ts_possible = 16386,               // RFC 7296
  ipcomp_supported = 16387,                     // RFC 7296
  nat_detection_source_ip = 16388,              // RFC 7296
  nat_detection_destination_ip = 16389,         // RFC 7296
  cookie = 16390,                               // RFC 7296
  use_transport_mode = 16391,                   // RFC 7296
  http_cert_lookup_supported = 16392,           // RFC 7296
  rekey_sa = 16393,                             // RFC 7296
  esp_tfc_padding_not_supported = 16394,        // RFC 7296
  non_first_fragments_also = 16395,             // RFC 7296
  mobike_supported = 16396,                     // RFC 4555
  additional_ip4_address = 16397,               // RFC 4555
  additional_ip6_address = 16398,               // RFC 4555
  no_additional_addresses = 16399,              // RFC 4555
  update_sa_addresses = 16400,                  // RFC 4555
  cookie2 = 16401,                              // RFC 4555
  no_nats_allowed = 16402,                      // RFC 4555
  auth_lifetime = 16403,                        // RFC 4478
  multiple_auth_supported = 16404,              // RFC 4739
  another_auth_follows = 16405,                 // RFC 4739
  redirect_supported = 16406,                   // RFC 5685
  redirect = 16407,                             // RFC 5685
  redirected_from = 16408,                      // RFC 5685
  ticket_lt_opaque = 16409,                     // RFC 5723
  ticket_request = 16410,                       // RFC 5723
  ticket_ack = 16411,                           // RFC 5723
  ticket_nack = 16412,                          // RFC 5723
  ticket_opaque = 16413,                        // RFC 5723
  eap_only_authentication = 16417,              // RFC 5998
  childless_ikev2_supported = 16418,            // RFC 6023
  quick_crash_detection = 16419,                // RFC 6290
  ikev2_message_id_sync_supported = 16420,      // RFC 6311
  ipsec_replay_counter_sync_supported = 16421,  // RFC 6311
  ikev2_message_id_sync = 16422,                // RFC 6311
  ipsec_replay_counter_sync = 16423,            // RFC 6311
  ikev2_fragmentation_supported = 16430,        // RFC 7383
  signature_hash_algorithms = 16431,            // RFC 7427
  puzzle = 16434,                               // RFC 8019
  use_ppk = 16435,                              // RFC 8784
  ppk_identity = 16436,                         // RFC 8784
  no_ppk_auth = 16437,                          // RFC 8784
  intermediate_exchange_supported = 16438,      // RFC 9242
  ip4_allowed = 16439,                          // RFC 8983
  ip6_allowed = 16440,                          // RFC 8983
  additional_key_exchange = 16441,              // RFC 9370
  use_aggfrag = 16442,                          // RFC 9347
  supported_auth_methods = 16443,               // RFC 9593
  sa_resource_info = 16444,                     // RFC 9611
  use_ppk_int = 16445,                          // RFC 9867
  ppk_identity_key = 16446,                     // RFC 9867
};

inline constexpr RegistryName<NotifyType> kNotifyTypeNames[] = {
    {NotifyType::unsupported_critical_payload, "UNSUPPORTED_CRITICAL_PAYLOAD"},
    {NotifyType::invalid_ike_spi, "INVALID_IKE_SPI"},
    {NotifyType::invalid_major_version, "INVALID_MAJOR_VERSION"},
    {NotifyType::invalid_syntax, "INVALID_SYNTAX"},
    {NotifyType::invalid_message_id, "INVALID_MESSAGE_ID"},
    {NotifyType::invalid_spi, "INVALID_SPI"},
    {NotifyType::no_proposal_chosen, "NO_PROPOSAL_CHOSEN"},
    {NotifyType::invalid_ke_payload, "INVALID_KE_PAYLOAD"},
    {NotifyType::authentication_failed, "AUTHENTICATION_FAILED"},
    {NotifyType::single_pair_required, "SINGLE_PAIR_REQUIRED"},
    {NotifyType::no_additional_sas, "NO_ADDITIONAL_SAS"},
    {NotifyType::internal_address_failure, "INTERNAL_ADDRESS_FAILURE"},
    {NotifyType::failed_cp_required, "FAILED_CP_REQUIRED"},
    {NotifyType::ts_unacceptable, "TS_UNACCEPTABLE"},
    {NotifyType::invalid_selectors, "INVALID_SELECTORS"},
    {NotifyType::unacceptable_addresses, "UNACCEPTABLE_ADDRESSES"},
    {NotifyType::unexpected_nat_detected, "UNEXPECTED_NAT_DETECTED"},
    {NotifyType::temporary_failure, "TEMPORARY_FAILURE"},
    {NotifyType::child_sa_not_found, "CHILD_SA_NOT_FOUND"},
    {NotifyType::state_not_found, "STATE_NOT_FOUND"},
    {NotifyType::ts_max_queue, "TS_MAX_QUEUE"},
    {NotifyType::initial_contact, "INITIAL_CONTACT"},
    {NotifyType::set_window_size, "SET_WINDOW_SIZE"},
    {NotifyType::additional_ts_possible, "ADDITIONAL_TS_POSSIBLE"},
    {NotifyType::ipcomp_supported, "IPCOMP_SUPPORTED"},
    {NotifyType::nat_detection_source_ip, "NAT_DETECTION_SOURCE_IP"},
    {NotifyType::nat_detection_destination_ip, "NAT_DETECTION_DESTINATION_IP"},
    {NotifyType::cookie, "COOKIE"},
    {NotifyType::use_transport_mode, "USE_TRANSPORT_MODE"},
    {NotifyType::http_cert_lookup_supported, "HTTP_CERT_LOOKUP_SUPPORTED"},
    {NotifyType::rekey_sa, "REKEY_SA"},
    {NotifyType::esp_tfc_padding_not_supported, "ESP_TFC_PADDING_NOT_SUPPORTED"},
    {NotifyType::non_first_fragments_also, "NON_FIRST_FRAGMENTS_ALSO"},
    {NotifyType::mobike_supported, "MOBIKE_SUPPORTED"},
    {NotifyType::additional_ip4_address, "ADDITIONAL_IP4_ADDRESS"},
    {NotifyType::additional_ip6_address, "ADDITIONAL_IP6_ADDRESS"},
    {NotifyType::no_additional_addresses, "NO_ADDITIONAL_ADDRESSES"},
    {NotifyType::update_sa_addresses, "UPDATE_SA_ADDRESSES"},
    {NotifyType::cookie2, "COOKIE2"},
    {NotifyType::no_nats_allowed, "NO_NATS_ALLOWED"},
    {NotifyType::auth_lifetime, "AUTH_LIFETIME"},
    {NotifyType::multiple_auth_supported, "MULTIPLE_AUTH_SUPPORTED"},
    {NotifyType::another_auth_follows, "ANOTHER_AUTH_FOLLOWS"},
    {NotifyType::redirect_supported, "REDIRECT_SUPPORTED"},
    {NotifyType::redirect, "REDIRECT"},
    {NotifyType::redirected_from, "REDIRECTED_FROM"},
    {NotifyType::ticket_lt_opaque, "TICKET_LT_OPAQUE"},
    {NotifyType::ticket_request, "TICKET_REQUEST"},
    {NotifyType::ticket_ack, "TICKET_ACK"},
    {NotifyType::ticket_nack, "TICKET_NACK"},
    {NotifyType::ticket_opaque, "TICKET_OPAQUE"},
    {NotifyType::eap_only_authentication, "EAP_ONLY_AUTHENTICATION"},
    {NotifyType::childless_ikev2_supported, "CHILDLESS_IKEV2_SUPPORTED"},
    {NotifyType::quick_crash_detection, "QUICK_CRASH_DETECTION"},
    {NotifyType::ikev2_message_id_sync_supported, "IKEV2_MESSAGE_ID_SYNC_SUPPORTED"},
    {NotifyType::ipsec_replay_counter_sync_supported, "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED"},
    {NotifyType::ikev2_message_id_sync, "IKEV2_MESSAGE_ID_SYNC"},
    {NotifyType::ipsec_replay_counter_sync, "IPSEC_REPLAY_COUNTER_SYNC"},
    {NotifyType::ikev2_fragmentation_supported, "IKEV2_FRAGMENTATION_SUPPORTED"},
    {NotifyType::signature_hash_algorithms, "SIGNATURE_HASH_ALGORITHMS"},
    {NotifyType::puzzle, "PUZZLE"},
    {NotifyType::use_ppk, "USE_PPK"},
    {NotifyType::ppk_identity, "PPK_IDENTITY"},
    {NotifyType::no_ppk_auth, "NO_PPK_AUTH"},
    {NotifyType::intermediate_exchange_supported, "INTERMEDIATE_EXCHANGE_SUPPORTED"},
    {NotifyType::ip4_allowed, "IP4_ALLOWED"},
    {NotifyType::ip6_allowed, "IP6_ALLOWED"},
    {NotifyType::additional_key_exchange, "ADDITIONAL_KEY_EXCHANGE"},
    {NotifyType::use_aggfrag, "USE_AGGFRAG"},
    {NotifyType::supported_auth_methods, "SUPPORTED_AUTH_METHODS"},
    {NotifyType::sa_resource_info, "SA_RESOURCE_INFO"},
    {NotifyType::use_ppk_int, "USE_PPK_INT"},
    {NotifyType::ppk_identity_key, "PPK_IDENTITY_KEY"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(NotifyType value) { return find_name(kNotifyTypeNames, value); }

}  // namespace culvert::model
