#include "tests/sim/figure_scene.hpp"

#include <set>

#include "crypto/testing/issuer.hpp"
#include "ike/eap/testing/tls_ends.hpp"
#include "ike/secrets.hpp"

namespace culvert::sim {
namespace {

using crypto::testing::kToday;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using ike::v2::testing::Datagram;
using ike::v2::testing::kConnection;
using ike::v2::testing::Pair;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Bytes octets(std::string_view text) { return to_bytes(as_bytes(text)); }

std::vector<Duration> whole(const Datagram&) { return {Pair::kLatency}; }

const TestCertificate& authority() {
  static const auto made = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("root"));
  return made;
}
ike::v2::Credentials credentials(bool is_a) {
  static const auto key = TestKey::make("P-256");
  const auto own = TestCertificate::make(
      key, crypto::testing::peer(is_a ? "a" : "b", is_a ? "DNS:a.example" : "DNS:b.example"), &authority());
  return {.certificates = {own.der()},
          .key = own.key().private_key(),
          .peer = crypto::TrustStore::make(std::vector{authority().certificate()}, {})};
}

// A method takes as many of them as it does.
void keep_one_round(std::vector<SeenMessage>& seen) {
  const std::vector<std::string> response{"EAP(Response)"};
  const std::vector<std::string> request{"EAP(Request)"};
  for (std::size_t i = 0; i + 3 < seen.size();) {
    const bool again = seen[i].inside == response && seen[i + 1].inside == request && seen[i + 2].inside == response &&
                       seen[i + 3].inside == request;
    const auto at = seen.begin() + static_cast<std::ptrdiff_t>(i);
    if (again) {
      seen.erase(at, at + 2);
    } else {
      ++i;
    }
  }
}

}  // namespace

Scene::Scene(const Roles& roles, const ike::EndpointSettings& settings, std::uint64_t seed)
    : roles_(roles), random_(seed), pair_(seed, settings) {
  for (const bool is_a : {true, false}) {
    configs_[is_a ? 0 : 1] = ike::v2::testing::config_of(is_a);
    configs_[is_a ? 0 : 1].liveness_interval = Duration::zero();
    Host& host = pair_.host(is_a);
    host.secrets[kConnection] = octets("a shared secret");
    host.users["carol"] = octets("a pass phrase");
    host.ppks[kConnection] = octets("32 octets that no computer guesses");
    host.calendar = kToday;
  }
  suites("aes256gcm16-prfsha256-x25519");
  if (!roles.lossy) return;
  pair_.fate = [this](const Datagram&) {
    std::vector<Duration> copies;
    for (std::size_t n = random_.below(10) == 0 ? 2 : 1; n > 0; --n) {
      if (random_.below(5) != 0) copies.push_back(milliseconds(5 + random_.below(80)));
    }
    return copies;
  };
}

void Scene::suites(std::string_view ike, std::string_view esp) {
  each([&](Config& config) {
    config.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, ike).value()};
    config.esp_proposals = {model::parse_proposal(model::ProtocolId::esp, esp).value()};
  });
}

void Scene::give_certificates() {
  for (const bool is_a : {true, false}) {
    pair_.host(is_a).credentials.insert_or_assign(kConnection, credentials(is_a));
    configs_[is_a ? 0 : 1].authentication = model::Authentication::certificate;
    configs_[is_a ? 0 : 1].authorities = authority().certificate().key_digest();
  }
}

void Scene::give_eap(model::EapType method) {
  left_config().eap = model::EapSettings{.client = true, .methods = {method}, .identity = "carol"};
  right_config().eap = model::EapSettings{.client = false, .methods = {method}, .identity = {}};
  if (!model::is_built_on_tls(method)) return;
  using ike::eap::testing::TlsEnd;
  left_config().eap->inner = right_config().eap->inner = {model::EapInner::mschapv2};
  left_config().eap->server = model::Identity::parse("b.example");
  left().calendar = right().calendar = ike::eap::testing::kToday;
  left().eap_tls = TlsEnd::of(ike::eap::testing::client_certificate()).context(false);
  right().eap_tls = TlsEnd::of(ike::eap::testing::server_certificate()).context(true);
}

void Scene::give_addresses(std::initializer_list<net::Family> families) {
  left_config().request_addresses = {net::Family::v4};
  left_config().local = {model::TrafficSelector::of(net::AddressRange::all(net::Family::v4))};
  right_config().remote.clear();
  for (const net::Family family : families) {
    const char* pool = family == net::Family::v4 ? "10.9.0.0/24" : "2001:db8:9::/64";
    right_config().remote.push_back(*model::TrafficSelector::parse(pool));
  }
  right_config().pools = {"staff"};
  right().addresses = [](const ike::AddressRequest&) {
    model::Configuration given;
    given.addresses.push_back(*net::IpAddress::parse("10.9.0.7"));
    return ike::AddressResult{given};
  };
}

void Scene::transport() {
  for (const bool is_left : {true, false}) {
    Config& config = is_left ? left_config() : right_config();
    const Config& other = is_left ? right_config() : left_config();
    config.mode = model::Mode::transport;
    config.local = {model::TrafficSelector::of(net::AddressRange::of(*other.peer))};
    config.remote = {model::TrafficSelector::of(net::AddressRange::of(*config.peer))};
  }
}

void Scene::give_secrets() {
  give_secrets(left());
  give_secrets(right());
}

void Scene::give_secrets(Host& who) {
  auto secrets = std::make_shared<ike::EndpointSecrets>();
  secrets->crash_tokens = SecretBytes::copy_of(octets(who.name + " has 32 octets of its own"));
  secrets->ticket_keys.push_back({.id = {1}, .made = 0, .key = SecretBytes(32)});
  command(who, ike::UseSecrets{.secrets = std::move(secrets), .calendar = kToday});
}

void Scene::configure() {
  for (const bool is_a : {true, false}) command(pair_.host(is_a), ike::ConfigureConnection{configs_[is_a ? 0 : 1]});
}

void Scene::initiate() { ike::v2::testing::initiate(pair_, roles_.a_is_left); }

void Scene::pass() { pair_.advance(roles_.lossy ? minutes(3) : seconds(5)); }

void Scene::set_up() {
  configure();
  record();
  initiate();
  pass();
}

void Scene::stand() {
  configure();
  const auto fate = std::exchange(pair_.fate, whole);
  ike::v2::testing::initiate(pair_, roles_.a_is_left == roles_.left_began);
  pair_.advance(seconds(5));
  pair_.fate = fate;
  expect_up();
  record();
}

void Scene::crash(Host& who) {
  who.restart();
  for (const model::Spi spi : std::set(who.allocator().in_use)) who.allocator().release(spi);
  give_secrets(who);
  command(who, ike::ConfigureConnection{&who == &left() ? left_config() : right_config()});
}

void Scene::expect_up() {
  if (!in_step(pair_)) faults_ += "the ends are not in step\n";
  for (const Host* one : {&pair_.a, &pair_.b}) {
    for (const ike::NegotiationFailed& failure : one->failures) faults_ += one->name + ": " + failure.detail + "\n";
  }
}

std::string Scene::compare_with(const std::string& figure, bool rounds_of_eap) {
  std::vector<const ike::KeysExported*> keys;
  for (const Host* one : {&pair_.a, &pair_.b}) {
    for (const ike::KeysExported& exported : one->exported) keys.push_back(&exported);
  }
  auto seen = read_wire(pair_.wire, from_, keys);
  if (rounds_of_eap) keep_one_round(seen);
  return faults_ + compare(parse_figure(figure), seen, roles_.a_is_left);
}

}  // namespace culvert::sim
