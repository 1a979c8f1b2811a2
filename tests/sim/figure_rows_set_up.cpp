// The initial exchanges of RFC 7296: with cookies, puzzles, another key exchange method, by secrets, certificates and
// EAP, and refused.
#include "tests/sim/figure_parts.hpp"
#include "tests/sim/figure_scene.hpp"

namespace culvert::sim {
namespace {

using std::chrono::hours;

void demand_cookies(ike::EndpointSettings& settings) { settings.cookie_threshold = 0; }
void demand_puzzles(ike::EndpointSettings& settings) {
  settings.cookie_threshold = settings.puzzle_threshold = 0;
  settings.puzzle_bits = 6;
}
void set_up(Scene& scene) {
  scene.set_up();
  scene.expect_up();
}
void with_other_method(Scene& scene) {
  scene.left_config().ike_proposals = {
      model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519-ecp256").value()};
  scene.right_config().ike_proposals = {
      model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-ecp256").value()};
  set_up(scene);
}

std::vector<Row> begin_rows() {
  return {
      {.name = "SetUp", .section = "RFC 7296 1.2", .figure = std::string(kInit) + kAuth, .play = set_up},
      {.name = "Cookie",
       .section = "RFC 7296 2.6",
       .figure = std::string(R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), N(COOKIE)!
         HDR(IKE_SA_INIT), N(COOKIE)!, SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+])") +
                 kAuth,
       .play = set_up,
       .settings = demand_cookies},
      {.name = "InvalidKe",
       .section = "RFC 7296 1.2",
       .figure = std::string(R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), N(INVALID_KE_PAYLOAD)
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+])") +
                 kAuth,
       .play = with_other_method},
      {.name = "CookieAndInvalidKe",
       .section = "RFC 7296 2.6.1",
       .figure = std::string(R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), N(COOKIE)!
         HDR(IKE_SA_INIT), N(COOKIE)!, SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), N(INVALID_KE_PAYLOAD)
         HDR(IKE_SA_INIT), N(COOKIE)!, SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+])") +
                 kAuth,
       .play = with_other_method,
       .settings = demand_cookies},
      {.name = "Puzzles",
       .section = "RFC 8019 7.1, 7.2",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), N(COOKIE)!, N(PUZZLE)
         HDR(IKE_SA_INIT), N(COOKIE)!, PS, SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(PUZZLE), [N+]
         HDR(IKE_AUTH), PS, SK {IDi, [N+], [IDr], AUTH, SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, SAr2, TSi, TSr, [N+]})",
       .play = set_up,
       .settings = demand_puzzles},
      {.name = "NoProposalChosen",
       .section = "RFC 7296 1.2, 2.21.1",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), N(NO_PROPOSAL_CHOSEN))",
       .play =
           [](Scene& scene) {
             scene.right_config().ike_proposals = {
                 model::parse_proposal(model::ProtocolId::ike, "aes128gcm16-prfsha384-x25519").value()};
             scene.set_up();
           }},
      {.name = "AuthenticationFailed",
       .section = "RFC 7296 2.21.2",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {N(AUTHENTICATION_FAILED)})",
       .play =
           [](Scene& scene) {
             scene.right().secrets.begin()->second.push_back('!');
             scene.set_up();
           }},
      {.name = "TsUnacceptable",
       .section = "RFC 7296 1.2, C.2",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], N(TS_UNACCEPTABLE), [N+]})",
       .play =
           [](Scene& scene) {
             scene.right_config().local = scene.right_config().remote = ike::v2::testing::subnet("10.77.0.0/16");
             scene.set_up();
           }},
  };
}

std::vector<Row> proof_rows() {
  return {
      {.name = "Certificates",  // RFC 7427 4, RFC 9593 3.1 as well
       .section = "RFC 7296 1.2, 3.6, 3.7",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(SIGNATURE_HASH_ALGORITHMS), [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], CERTREQ, [N+], N(SIGNATURE_HASH_ALGORITHMS), [N+]
         HDR(IKE_AUTH), SK {IDi, CERT+, [N+], CERTREQ+, [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, CERT+, AUTH, [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_certificates();
             set_up(scene);
           }},
      {.name = "Eap",
       .section = "RFC 7296 2.16",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, EAP(Request), [N+]}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Request)}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Success)}
         HDR(IKE_AUTH), SK {AUTH, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {AUTH, [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_eap(model::EapType::mschapv2);
             set_up(scene);
           },
       .rounds_of_eap = true},
      {.name = "EapRefused",
       .section = "RFC 7296 2.16, 2.21.2",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, EAP(Request), [N+]}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Request)}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Failure), N(AUTHENTICATION_FAILED)})",
       .play =
           [](Scene& scene) {
             scene.give_eap(model::EapType::md5_challenge);
             scene.right().users.clear();
             scene.set_up();
           },
       .rounds_of_eap = true},
      {.name = "EapOnly",
       .section = "RFC 5998 3",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], [N+], SAi2, TSi, TSr, [N+], N(EAP_ONLY_AUTHENTICATION), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, EAP(Request), [N+]}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Request)}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Success)}
         HDR(IKE_AUTH), SK {AUTH, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {AUTH, [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_eap(model::EapType::ttls);
             scene.left_config().eap->only = scene.right_config().eap->only = true;
             set_up(scene);
           },
       .rounds_of_eap = true},
      {.name = "SecretThenEap",
       .section = "RFC 4739 1.1, example 2",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(MULTIPLE_AUTH_SUPPORTED), [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+],
                            N(MULTIPLE_AUTH_SUPPORTED), N(ANOTHER_AUTH_FOLLOWS), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+]}
         HDR(IKE_AUTH), SK {IDi} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Request)}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Request)}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Success)}
         HDR(IKE_AUTH), SK {AUTH, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {AUTH, [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_eap(model::EapType::mschapv2);
             scene.left_config().own_rounds = {{.by = std::nullopt, .id = model::Identity::parse("carol")}};
             scene.right_config().peer_rounds = {{.by = std::nullopt}};
             set_up(scene);
           },
       .rounds_of_eap = true},
      {.name = "TwoProofsOfTheInitiator",
       .section = "RFC 4739 1.1, example 3",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [CERTREQ], [N+], N(MULTIPLE_AUTH_SUPPORTED), [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+],
                            N(MULTIPLE_AUTH_SUPPORTED), N(ANOTHER_AUTH_FOLLOWS), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+]}
         HDR(IKE_AUTH), SK {IDi, AUTH} -->
                      <-- HDR(IKE_AUTH), SK {[N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             const model::AuthRound round{.by = model::Authentication::shared_key,
                                          .id = model::Identity::parse("second.example")};
             scene.left_config().own_rounds = scene.right_config().peer_rounds = {round};
             set_up(scene);
           }},
      {.name = "TwoProofsOfTheResponder",
       .section = "RFC 4739 1.1, example 4",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [CERTREQ], [N+], N(MULTIPLE_AUTH_SUPPORTED), [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+],
                            N(MULTIPLE_AUTH_SUPPORTED), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], N(ANOTHER_AUTH_FOLLOWS), [N+]}
         HDR(IKE_AUTH), SK {} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             const model::AuthRound round{.by = model::Authentication::shared_key,
                                          .id = model::Identity::parse("second.example")};
             scene.left_config().peer_rounds = scene.right_config().own_rounds = {round};
             set_up(scene);
           }},
  };
}

}  // namespace

std::vector<Row> set_up_rows() {
  std::vector<Row> all = begin_rows();
  for (Row& row : proof_rows()) all.push_back(std::move(row));
  return all;
}

}  // namespace culvert::sim
