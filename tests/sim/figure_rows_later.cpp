// CREATE_CHILD_SA, IKE_FOLLOWUP_KE and INFORMATIONAL, by either end of an IKE SA that stands.
#include <ranges>

#include "tests/sim/figure_parts.hpp"
#include "tests/sim/figure_scene.hpp"

namespace culvert::sim {
namespace {

using model::ExchangeType;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kDeleted = R"(
         HDR(INFORMATIONAL), SK {D} -->
                      <-- HDR(INFORMATIONAL), SK {D})";
constexpr const char* kIkeSaDeleted = R"(
         HDR(INFORMATIONAL), SK {D} -->
                      <-- HDR(INFORMATIONAL), SK {})";

ike::RekeyChildSa rekey_child(const Scene::Host& host) { return {host.children.begin()->first}; }
ike::RekeyIkeSa rekey_ike(const Scene::Host& host) { return {host.ike_sas.begin()->first}; }

/// What the figure is about, by who stands on the left; both ends have one tunnel afterwards.
std::function<void(Scene&)> stands_then(std::function<ike::Command(Scene&)> command, const char* ike = kPlainIke,
                                        const char* esp = kPlainEsp) {
  return [=](Scene& scene) {
    scene.suites(ike, esp);
    scene.stand();
    scene.command(scene.left(), command(scene));
    scene.pass();
    scene.expect_up();
  };
}
ike::Command rekey_child_of_left(Scene& scene) { return rekey_child(scene.left()); }
ike::Command rekey_ike_of_left(Scene& scene) { return rekey_ike(scene.left()); }

std::vector<Row> rekey_rows() {
  return {
      {.name = "ChildRekey",
       .section = "RFC 7296 1.3.3, 1.4.1",
       .figure = std::string(R"(
         HDR(CREATE_CHILD_SA), SK {N(REKEY_SA)!, [N+], SA, Ni, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], SA, Nr, TSi, TSr, [N+]})") +
                 kDeleted,
       .play = stands_then(rekey_child_of_left)},
      {.name = "ChildRekeyWithKeyExchange",
       .section = "RFC 7296 1.3.3",
       .figure = std::string(R"(
         HDR(CREATE_CHILD_SA), SK {N(REKEY_SA)!, [N+], SA, Ni, KEi, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], SA, Nr, KEr, TSi, TSr, [N+]})") +
                 kDeleted,
       .play = stands_then(rekey_child_of_left, kPlainIke, "aes256gcm16-x25519-esn")},
      {.name = "ChildRekeyWithMoreKeyExchanges",
       .section = "RFC 9370 2.2.4",
       .figure = std::string(R"(
         HDR(CREATE_CHILD_SA), SK {N(REKEY_SA)!, [N+], SA, Ni, KEi, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], SA, Nr, KEr, TSi, TSr, [N+], N(ADDITIONAL_KEY_EXCHANGE)}
         HDR(IKE_FOLLOWUP_KE), SK {KEi(1), N(ADDITIONAL_KEY_EXCHANGE)} -->
                      <-- HDR(IKE_FOLLOWUP_KE), SK {KEr(1), N(ADDITIONAL_KEY_EXCHANGE)}
         HDR(IKE_FOLLOWUP_KE), SK {KEi(2), N(ADDITIONAL_KEY_EXCHANGE)} -->
                      <-- HDR(IKE_FOLLOWUP_KE), SK {KEr(2)})") +
                 kDeleted,
       .play = stands_then(rekey_child_of_left, kPlainIke, "aes256gcm16-x25519-ke1_mlkem512-ke2_ecp256-esn")},
      {.name = "ChildRekeyInTransportMode",
       .section = "RFC 7296 1.3.3, C.4",
       .figure = std::string(R"(
         HDR(CREATE_CHILD_SA), SK {N(REKEY_SA)!, [N+], N(USE_TRANSPORT_MODE), [N+], SA, Ni, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], N(USE_TRANSPORT_MODE), [N+], SA, Nr, TSi, TSr, [N+]})") +
                 kDeleted,
       .play =
           [](Scene& scene) {
             scene.transport();
             stands_then(rekey_child_of_left)(scene);
           }},
      {.name = "ChildRekeyOfAggfrag",
       .section = "RFC 9347 5.1",
       .figure = std::string(R"(
         HDR(CREATE_CHILD_SA), SK {N(REKEY_SA)!, [N+], N(USE_AGGFRAG), [N+], SA, Ni, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], N(USE_AGGFRAG), [N+], SA, Nr, TSi, TSr, [N+]})") +
                 kDeleted,
       .play =
           [](Scene& scene) {
             scene.each([](auto& config) { config.treatment.aggfrag = model::Aggfrag{}; });
             stands_then(rekey_child_of_left)(scene);
           }},
      {.name = "ChildRekeyRefused",
       .section = "RFC 7296 2.25.1",
       .figure = R"(
         HDR(CREATE_CHILD_SA), SK {N(REKEY_SA)!, [N+], SA, Ni, TSi, TSr, [N+]} -->
         <-- HDR(INFORMATIONAL), SK {D}
                      <-- HDR(CREATE_CHILD_SA), SK {N(TEMPORARY_FAILURE)}
         HDR(INFORMATIONAL), SK {D} -->)",
       .play =
           [](Scene& scene) {
             scene.stand();
             scene.command(scene.left(), rekey_child(scene.left()));
             scene.command(scene.right(), ike::DeleteChildSa{scene.right().children.begin()->first});
             scene.pass();
           },
       .crossing = true},
      {.name = "IkeRekey",
       .section = "RFC 7296 1.3.2, 2.18",
       .figure = std::string(R"(
         HDR(CREATE_CHILD_SA), SK {SA, Ni, KEi, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {SA, Nr, KEr, [N+]})") +
                 kIkeSaDeleted,
       .play = stands_then(rekey_ike_of_left)},
      {.name = "IkeRekeyWithMoreKeyExchanges",
       .section = "RFC 9370 2.2.4",
       .figure = std::string(R"(
         HDR(CREATE_CHILD_SA), SK {SA, Ni, KEi, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {SA, Nr, KEr, [N+], N(ADDITIONAL_KEY_EXCHANGE)}
         HDR(IKE_FOLLOWUP_KE), SK {KEi(1), N(ADDITIONAL_KEY_EXCHANGE)} -->
                      <-- HDR(IKE_FOLLOWUP_KE), SK {KEr(1), N(ADDITIONAL_KEY_EXCHANGE)}
         HDR(IKE_FOLLOWUP_KE), SK {KEi(2), N(ADDITIONAL_KEY_EXCHANGE)} -->
                      <-- HDR(IKE_FOLLOWUP_KE), SK {KEr(2)})") +
                 kIkeSaDeleted,
       .play = stands_then(rekey_ike_of_left, "aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256")},
  };
}

std::vector<Row> further_child_rows() {
  const auto remake = [](Scene& scene) {
    scene.command(scene.right(), ike::DeleteChildSa{scene.right().children.begin()->first});
    scene.pass();
    scene.record();
    const auto& config = scene.left_config();
    ike::ChildWish wish{.local = config.local, .remote = config.remote, .packet = {}};
    wish.packet.source = config.local[0].addresses.first;
    wish.packet.destination = config.remote[0].addresses.first;
    scene.command(scene.left(), ike::CreateChildSa{config.id, wish});
    scene.pass();
  };
  return {
      {.name = "AnotherChild",
       .section = "RFC 7296 1.3.1",
       .figure = R"(
         HDR(CREATE_CHILD_SA), SK {[N+], SA, Ni, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], SA, Nr, TSi, TSr, [N+]})",
       .play =
           [=](Scene& scene) {
             scene.stand();
             remake(scene);
             scene.expect_up();
           }},
      {.name = "AnotherChildWithAnotherMethod",
       .section = "RFC 7296 1.3",
       .figure = R"(
         HDR(CREATE_CHILD_SA), SK {[N+], SA, Ni, KEi, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {N(INVALID_KE_PAYLOAD)}
         HDR(CREATE_CHILD_SA), SK {[N+], SA, Ni, KEi, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], SA, Nr, KEr, TSi, TSr, [N+]})",
       .play =
           [=](Scene& scene) {
             scene.left_config().esp_proposals = {
                 model::parse_proposal(model::ProtocolId::esp, "aes256gcm16-x25519-ecp256-esn").value()};
             scene.right_config().esp_proposals = {
                 model::parse_proposal(model::ProtocolId::esp, "aes256gcm16-ecp256-esn").value()};
             scene.stand();
             remake(scene);
             scene.expect_up();
           }},
      {.name = "NoMoreChildren",
       .section = "RFC 7296 1.3, 3.10.1",
       .figure = R"(
         HDR(CREATE_CHILD_SA), SK {[N+], SA, Ni, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {N(TS_UNACCEPTABLE)})",
       .play =
           [=](Scene& scene) {
             scene.stand();
             // The responder's policy is another one by now.
             scene.right_config().local = scene.right_config().remote = ike::v2::testing::subnet("10.77.0.0/16");
             scene.configure();
             remake(scene);
           }},
      {.name = "PerResource",
       .section = "RFC 9611 3",
       .figure = R"(
         HDR(CREATE_CHILD_SA), SK {[N+], N(SA_RESOURCE_INFO), [N+], SA, Ni, TSi, TSr, [N+]} -->
                      <-- HDR(CREATE_CHILD_SA), SK {[N+], N(SA_RESOURCE_INFO), [N+], SA, Nr, TSi, TSr, [N+]})",
       .play =
           [](Scene& scene) {
             scene.each([](auto& config) { config.resource_sas = 4; });
             scene.stand();
             const auto& child = scene.left().child();
             ike::ChildWish wish{.local = child.local, .remote = child.remote, .packet = {}, .resource = 1};
             wish.packet.source = child.local[0].addresses.first;
             wish.packet.destination = child.remote[0].addresses.first;
             wish.packet.protocol = 6;
             wish.packet.ports_visible = true;
             wish.packet.source_port = 40001;
             wish.packet.destination_port = 80;
             scene.command(scene.left(), ike::CreateChildSa{scene.left_config().id, wish});
             scene.pass();
           },
       .settings = [](ike::EndpointSettings& settings) { settings.resources = 4; }},
  };
}

std::vector<Row> plain_informational_rows() {
  return {
      {.name = "Liveness",
       .section = "RFC 7296 1.4, 2.4",
       .figure = R"(
         HDR(INFORMATIONAL), SK {} -->
                      <-- HDR(INFORMATIONAL), SK {})",
       .play =
           stands_then([](Scene& scene) -> ike::Command { return ike::CheckLiveness{scene.left().ike_sa().ike_sa}; })},
      {.name = "ChildDeleted",
       .section = "RFC 7296 1.4.1",
       .figure = kDeleted,
       .play =
           [](Scene& scene) {
             scene.stand();
             scene.command(scene.left(), ike::DeleteChildSa{scene.left().child().id});
             scene.pass();
           }},
      {.name = "DeletesOfTheChildCross",
       .section = "RFC 7296 1.4.1, 2.25.1",
       .figure = R"(
         HDR(INFORMATIONAL), SK {D} -->
         <-- HDR(INFORMATIONAL), SK {D}
                      <-- HDR(INFORMATIONAL), SK {}
         HDR(INFORMATIONAL), SK {} -->)",
       .play =
           [](Scene& scene) {
             scene.stand();
             scene.command(scene.left(), ike::DeleteChildSa{scene.left().child().id});
             scene.command(scene.right(), ike::DeleteChildSa{scene.right().child().id});
             scene.pass();
           },
       .crossing = true},
      {.name = "IkeSaDeleted",
       .section = "RFC 7296 1.4.1",
       .figure = kIkeSaDeleted,
       .play =
           [](Scene& scene) {
             scene.stand();
             scene.command(scene.left(), ike::TerminateIkeSa{scene.left().ike_sa().ike_sa});
             scene.pass();
           }},
      {.name = "RedirectWhileItStands",
       .section = "RFC 5685 5",
       .figure = R"(
         <-- HDR(INFORMATIONAL), SK {N(REDIRECT)}
         HDR(INFORMATIONAL), SK {} -->)",
       .play =
           [](Scene& scene) {
             scene.left_config().life.follow_redirect = true;
             scene.right_config().life.redirect_grace = std::chrono::hours(1);
             scene.stand();
             scene.command(scene.right(), ike::RedirectPeers{scene.right_config().id, "192.0.2.3"});
             scene.pass();
           },
       .by_initiator = true},
      {.name = "Reauthentication",
       .section = "RFC 4478 2, RFC 7296 2.8.3",
       .figure = std::string(kInit) + kAuth + kIkeSaDeleted,
       .play =
           [](Scene& scene) {
             scene.stand();
             scene.command(scene.left(), ike::Reauthenticate{scene.left().ike_sa().ike_sa});
             scene.pass();
             scene.expect_up();
           },
       .by_initiator = true},
      {.name = "AnUnknownEspSpi",
       .section = "RFC 7296 1.5",
       .figure = R"(
         HDR(INFORMATIONAL), N(INVALID_SPI) -->)",
       .play =
           [](Scene& scene) {
             scene.configure();
             scene.record();
             const net::Path path{{*scene.right_config().peer, 4500}, {*scene.left_config().peer, 4500}};
             scene.command(scene.left(), ike::UnknownEspSpi{.path = path, .spi = model::Spi(0x1234)});
             scene.pass();
           }},
      {.name = "TheCrashedOneShowsItsToken",
       .section = "RFC 6290 4.5",
       .figure = R"(
         HDR(INFORMATIONAL), SK {} -->
                      <-- HDR(INFORMATIONAL), N(INVALID_IKE_SPI), N(QUICK_CRASH_DETECTION)+)",
       .play =
           [](Scene& scene) {
             scene.give_secrets();
             scene.stand();
             scene.crash(scene.right());
             scene.record();
             scene.command(scene.left(), ike::CheckLiveness{scene.left().ike_sa().ike_sa});
             scene.pass();
           }},
  };
}

std::vector<Row> moving_rows() {
  return {
      {.name = "AddressesUpdated",  // and with COOKIE2 the other makes sure that it is true
       .section = "RFC 4555 2.2, 3.5, 3.7",
       .figure = R"(
         HDR(INFORMATIONAL), SK {N(UPDATE_SA_ADDRESSES), N(NAT_DETECTION_SOURCE_IP),
                                 N(NAT_DETECTION_DESTINATION_IP), [N(COOKIE2)]} -->
                      <-- HDR(INFORMATIONAL), SK {N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP),
                                                  [N(COOKIE2)]}
         <-- HDR(INFORMATIONAL), SK {N(COOKIE2), [N(QUICK_CRASH_DETECTION)]}
         HDR(INFORMATIONAL), SK {N(COOKIE2), [N(QUICK_CRASH_DETECTION)]} -->)",
       .play =
           [](Scene& scene) {
             scene.stand();
             const net::Path elsewhere{{*net::IpAddress::parse("198.51.100.7"), 0}, {*scene.left_config().peer, 0}};
             scene.command(scene.left(), ike::UsePaths{.ike_sa = scene.left().ike_sa().ike_sa, .paths = {elsewhere}});
             scene.pass();
             scene.expect_up();
           },
       .by_initiator = true},
      {.name = "MoreAddresses",
       .section = "RFC 4555 3.4, 3.6",
       .figure = R"(
         HDR(INFORMATIONAL), SK {N(ADDITIONAL_IP4_ADDRESS)} -->
                      <-- HDR(INFORMATIONAL), SK {})",
       .play =
           [](Scene& scene) {
             scene.stand();
             const net::IpAddress own = *scene.right_config().peer;
             scene.command(scene.left(), ike::OwnAddresses{{own, *net::IpAddress::parse("198.51.100.7")}});
             scene.pass();
           }},
      {.name = "NumbersOfAMemberThatTookOver",
       .section = "RFC 6311 5.1",
       .figure = R"(
         HDR(INFORMATIONAL), SK {N(IKEV2_MESSAGE_ID_SYNC), N(IPSEC_REPLAY_COUNTER_SYNC)} -->
                      <-- HDR(INFORMATIONAL), SK {N(IKEV2_MESSAGE_ID_SYNC)})",
       .play = stands_then(
           [](Scene& scene) -> ike::Command { return ike::TakeOver{scene.left().ike_sa().ike_sa, 5, 1000}; })},
      {.name = "NumbersOfIkeAlone",
       .section = "RFC 6311 5.1",
       .figure = R"(
         HDR(INFORMATIONAL), SK {N(IKEV2_MESSAGE_ID_SYNC)} -->
                      <-- HDR(INFORMATIONAL), SK {N(IKEV2_MESSAGE_ID_SYNC)})",
       .play =
           stands_then([](Scene& scene) -> ike::Command { return ike::TakeOver{scene.left().ike_sa().ike_sa, 5, 0}; })},
  };
}

}  // namespace

std::vector<Row> child_rows() {
  std::vector<Row> all = rekey_rows();
  for (Row& row : further_child_rows()) all.push_back(std::move(row));
  return all;
}

std::vector<Row> informational_rows() {
  std::vector<Row> all = plain_informational_rows();
  for (Row& row : moving_rows()) all.push_back(std::move(row));
  return all;
}

}  // namespace culvert::sim
