// What extensions bring into the initial exchanges, and IKE_SESSION_RESUME.
#include "tests/sim/figure_parts.hpp"
#include "tests/sim/figure_scene.hpp"

namespace culvert::sim {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

void set_up(Scene& scene) {
  scene.set_up();
  scene.expect_up();
}
void demand_cookies(ike::EndpointSettings& settings) { settings.cookie_threshold = 0; }

std::vector<Row> key_rows() {
  const std::string announced = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(INTERMEDIATE_EXCHANGE_SUPPORTED), [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(INTERMEDIATE_EXCHANGE_SUPPORTED), [N+])";
  return {
      {.name = "OneMoreKeyExchange",
       .section = "RFC 9370 2.2.2",
       .figure = announced + R"(
         HDR(IKE_INTERMEDIATE), SK {KEi(1)} -->
                      <-- HDR(IKE_INTERMEDIATE), SK {KEr(1)})" +
                 kAuth,
       .play =
           [](Scene& scene) {
             scene.suites("aes256gcm16-prfsha256-x25519-ke1_mlkem768");
             set_up(scene);
           }},
      {.name = "ThreeMoreKeyExchanges",
       .section = "RFC 9370 2.2.2",
       .figure = announced + R"(
         HDR(IKE_INTERMEDIATE), SK {KEi(1)} -->
                      <-- HDR(IKE_INTERMEDIATE), SK {KEr(1)}
         HDR(IKE_INTERMEDIATE), SK {KEi(2)} -->
                      <-- HDR(IKE_INTERMEDIATE), SK {KEr(2)}
         HDR(IKE_INTERMEDIATE), SK {KEi(3)} -->
                      <-- HDR(IKE_INTERMEDIATE), SK {KEr(3)})" +
                 kAuth,
       .play =
           [](Scene& scene) {
             scene.suites("aes256gcm16-prfsha256-x25519-ke1_mlkem512-ke3_mlkem1024-ke7_ecp256");
             set_up(scene);
           }},
      {.name = "PpkInAuth",
       .section = "RFC 8784 3",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(USE_PPK), [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(USE_PPK), [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+],
                            N(PPK_IDENTITY), N(NO_PPK_AUTH), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+], N(PPK_IDENTITY), [N+]})",
       .play =
           [](Scene& scene) {
             scene.each([](auto& config) {
               config.ppk = model::Ppk{.id = "k", .required = false, .exchange = model::PpkExchange::ike_auth};
             });
             set_up(scene);
           }},
      {.name = "PpkWithEap",
       .section = "RFC 8784 3.1",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(USE_PPK), [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(USE_PPK), [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, EAP(Request), [N+]}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Request)}
         HDR(IKE_AUTH), SK {EAP(Response)} -->
                      <-- HDR(IKE_AUTH), SK {EAP(Success)}
         HDR(IKE_AUTH), SK {AUTH, N(PPK_IDENTITY), [N(NO_PPK_AUTH)]} -->
                      <-- HDR(IKE_AUTH), SK {AUTH, [N+], SAr2, TSi, TSr, [N+], N(PPK_IDENTITY), [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_eap(model::EapType::mschapv2);
             scene.each([](auto& config) {
               config.ppk = model::Ppk{.id = "k", .required = true, .exchange = model::PpkExchange::ike_auth};
             });
             set_up(scene);
           },
       .rounds_of_eap = true},
      {.name = "PpkInIntermediate",
       .section = "RFC 9867 3.1",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(INTERMEDIATE_EXCHANGE_SUPPORTED), [N+], N(USE_PPK_INT), [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(INTERMEDIATE_EXCHANGE_SUPPORTED), [N+],
                          N(USE_PPK_INT), [N+]
         HDR(IKE_INTERMEDIATE), SK {N(PPK_IDENTITY_KEY)} -->
                      <-- HDR(IKE_INTERMEDIATE), SK {N(PPK_IDENTITY)})" +
                 std::string(kAuth),
       .play =
           [](Scene& scene) {
             scene.each([](auto& config) {
               config.ppk = model::Ppk{.id = "k", .required = true, .exchange = model::PpkExchange::intermediate};
             });
             set_up(scene);
           }},
  };
}

std::vector<Row> wish_rows() {
  return {
      {.name = "Childless",
       .section = "RFC 6023 3, 4",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+], N(CHILDLESS_IKEV2_SUPPORTED), [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+]}
         HDR(CREATE_CHILD_SA), SK {[N+], SA, Ni, KEi, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], SA, Nr, KEr, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.suites(kPlainIke, "aes256gcm16-x25519-esn");
             scene.left_config().life.childless = model::Childless::force;
             set_up(scene);
           }},
      {.name = "Addresses",
       .section = "RFC 7296 2.19, RFC 8983 5",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, CP(CFG_REQUEST), [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, CP(CFG_REPLY), [N+], SAr2, TSi, TSr, [N+],
                                             N(IP4_ALLOWED), N(IP6_ALLOWED), [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_addresses({net::Family::v4, net::Family::v6});
             set_up(scene);
           }},
      {.name = "AddressesOfTheOtherFamily",
       .section = "RFC 7296 3.15.4, RFC 8983 5",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, CP(CFG_REQUEST), [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], N(INTERNAL_ADDRESS_FAILURE), [N+], N(IP6_ALLOWED), [N+]}
         HDR(INFORMATIONAL), SK {D} -->
                      <-- HDR(INFORMATIONAL), SK {})",
       .play =
           [](Scene& scene) {
             scene.give_addresses({net::Family::v6});
             scene.right().addresses = {};
             scene.set_up();
           }},
      {.name = "TransportMode",
       .section = "RFC 7296 1.3.1, C.2",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], N(USE_TRANSPORT_MODE), [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], N(USE_TRANSPORT_MODE), [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.transport();
             set_up(scene);
           }},
      {.name = "Aggfrag",
       .section = "RFC 9347 5.1",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], N(USE_AGGFRAG), [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], N(USE_AGGFRAG), [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.each([](auto& config) { config.treatment.aggfrag = model::Aggfrag{}; });
             set_up(scene);
           }},
      {.name = "Mobike",
       .section = "RFC 4555 3.1",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+], N(MOBIKE_SUPPORTED), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+], N(MOBIKE_SUPPORTED), [N+]})",
       .play = set_up},
      {.name = "WithoutMobike",
       .section = "RFC 4555 3.1",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N(INITIAL_CONTACT)], [N(SUPPORTED_AUTH_METHODS)], [IDr], AUTH, SAi2, TSi, TSr} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, SAr2, TSi, TSr})",
       .play =
           [](Scene& scene) {
             scene.each([](auto& config) {
               config.mobike = config.counter_sync = config.life.crash_detection = false;
               config.resource_sas = 0;
             });
             set_up(scene);
           }},
      {.name = "CounterSync",
       .section = "RFC 6311 4.1, 5",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+], N(IKEV2_MESSAGE_ID_SYNC_SUPPORTED),
                            N(IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+],
                          N(IKEV2_MESSAGE_ID_SYNC_SUPPORTED), N(IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED), [N+]})",
       .play = set_up},
      {.name = "Window",
       .section = "RFC 7296 2.3",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+], N(SET_WINDOW_SIZE), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+], N(SET_WINDOW_SIZE), [N+]})",
       .play =
           [](Scene& scene) {
             scene.each([](auto& config) { config.ike_window = 4; });
             set_up(scene);
           }},
      {.name = "AuthLifetime",
       .section = "RFC 4478 2",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+], N(AUTH_LIFETIME), [N+]})",
       .play =
           [](Scene& scene) {
             scene.right_config().life.reauthentication = hours(2);
             set_up(scene);
           }},
      {.name = "CrashTokens",
       .section = "RFC 6290 4.1, 7.2",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], N(QUICK_CRASH_DETECTION), [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], N(QUICK_CRASH_DETECTION), [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_secrets();
             set_up(scene);
           }},
  };
}

// What control does when it is told.
void follow(Scene& scene) {
  if (scene.left().redirects.empty()) return;
  const ike::Redirected to = scene.left().redirects.back();
  scene.record();
  scene.command(scene.left(),
                ike::Initiate{.connection = scene.left_config().id,
                              .path = {{*scene.right_config().peer, 500}, {*net::IpAddress::parse(to.gateway), 500}},
                              .redirected_from = to.from,
                              .replaces = to.ike_sa});
  scene.pass();
}

std::vector<Row> other_gateway_rows() {
  const auto away = [](Scene& scene) {
    scene.left_config().life.follow_redirect = true;
    scene.right_config().life.redirect_to = "192.0.2.3";
  };
  return {
      {.name = "Redirect",
       .section = "RFC 5685 3",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(REDIRECT_SUPPORTED), [N+] -->
                      <-- HDR(IKE_SA_INIT), N(REDIRECT))",
       .play =
           [=](Scene& scene) {
             away(scene);
             scene.set_up();
           }},
      {.name = "RedirectedFrom",
       .section = "RFC 5685 3",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(REDIRECTED_FROM), [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+])" +
                 std::string(kAuth),
       .play =
           [=](Scene& scene) {
             away(scene);
             scene.set_up();
             // At the other gateway.
             scene.right_config().life.redirect_to.clear();
             scene.configure();
             follow(scene);
             scene.expect_up();
           }},
      {.name = "RedirectInAuth",
       .section = "RFC 5685 6",
       .figure = R"(
         HDR(IKE_SA_INIT), SAi1, KEi, Ni, [N+], N(REDIRECT_SUPPORTED), [N+] -->
                      <-- HDR(IKE_SA_INIT), SAr1, KEr, Nr, [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], N(REDIRECT), [N+]}
         HDR(INFORMATIONAL), SK {D} -->
                      <-- HDR(INFORMATIONAL), SK {})",
       .play =
           [=](Scene& scene) {
             away(scene);
             // Before it is known who the client is, another connection, which sends nobody elsewhere, is thought to be
             // meant.
             auto known = scene.right_config();
             known.id = model::ConnectionId(2);
             scene.right().secrets[known.id] = scene.right().secrets.begin()->second;
             scene.right_config().remote_id = model::Identity::parse("somebody.else");
             scene.right_config().life.redirect_to.clear();
             scene.command(scene.right(), ike::ConfigureConnection{known});
             scene.set_up();
           }},
      {.name = "TicketRequested",
       .section = "RFC 5723 4.1, 4.2",
       .figure = std::string(kInit) + R"(
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+], N(TICKET_REQUEST), [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+], N(TICKET_LT_OPAQUE), [N+]})",
       .play =
           [](Scene& scene) {
             scene.give_secrets();
             scene.each([](auto& config) { config.life.resumption = hours(1); });
             set_up(scene);
           }},
  };
}

void lose_the_peer(Scene& scene) {
  const auto fate = std::exchange(scene.pair().fate, [](const auto&) { return std::vector<Duration>{}; });
  scene.command(scene.left(), ike::CheckLiveness{scene.left().ike_sa().ike_sa});
  scene.pair().advance(minutes(5));
  scene.pair().fate = fate;
}

std::vector<Row> resumption_rows() {
  const auto stand = [](Scene& scene) {
    scene.give_secrets();
    scene.each([](auto& config) { config.life.resumption = hours(1); });
    scene.stand();
    scene.crash(scene.right());
    lose_the_peer(scene);
  };
  const auto resume = [](Scene& scene) {
    scene.record();
    scene.initiate();
    // And no longer: before long it is rekeyed.
    (void)scene.pair().run_until([&] { return in_step(scene.pair()); }, minutes(3));
    scene.expect_up();
  };
  return {
      {.name = "Resumption",
       .section = "RFC 5723 4.3.2, 5.1",
       .figure = R"(
         HDR(IKE_SESSION_RESUME), Ni, N(TICKET_OPAQUE), [N+] -->
                      <-- HDR(IKE_SESSION_RESUME), Nr, [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [=](Scene& scene) {
             stand(scene);
             resume(scene);
           },
       .by_initiator = true},
      {.name = "ResumptionWithCookie",
       .section = "RFC 5723 4.3.2",
       .figure = R"(
         HDR(IKE_SESSION_RESUME), Ni, N(TICKET_OPAQUE), [N+] -->
                      <-- HDR(IKE_SESSION_RESUME), N(COOKIE)!
         HDR(IKE_SESSION_RESUME), N(COOKIE)!, Ni, N(TICKET_OPAQUE), [N+] -->
                      <-- HDR(IKE_SESSION_RESUME), Nr, [N+]
         HDR(IKE_AUTH), SK {IDi, [N+], [IDr], AUTH, [N+], SAi2, TSi, TSr, [N+]} -->
                      <-- HDR(IKE_AUTH), SK {IDr, AUTH, [N+], SAr2, TSi, TSr, [N+]})",
       .play =
           [=](Scene& scene) {
             stand(scene);
             resume(scene);
           },
       .settings = demand_cookies,
       .by_initiator = true},
      {.name = "TicketRefused",
       .section = "RFC 5723 4.3.2",
       .figure = R"(
         HDR(IKE_SESSION_RESUME), Ni, N(TICKET_OPAQUE), [N+] -->
                      <-- HDR(IKE_SESSION_RESUME), N(TICKET_NACK))" +
                 std::string(kInit) + kAuth,
       .play =
           [=](Scene& scene) {
             stand(scene);
             scene.right_config().life.resumption = {};
             scene.command(scene.right(), ike::ConfigureConnection{scene.right_config()});
             resume(scene);
           },
       .by_initiator = true},
  };
}

}  // namespace

std::vector<Row> set_up_extension_rows() {
  std::vector<Row> all;
  for (auto* some : {key_rows, wish_rows, other_gateway_rows, resumption_rows}) {
    for (Row& row : some()) all.push_back(std::move(row));
  }
  return all;
}

}  // namespace culvert::sim
