#include "tests/liar/scene.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"

namespace culvert::liar {

using namespace ike::v2::testing;
using model::ExchangeType;

std::string_view name_of(Step step) {
  switch (step) {
    case Step::init_request: return "IKE_SA_INIT request";
    case Step::intermediate_request: return "IKE_INTERMEDIATE request";
    case Step::auth_request: return "IKE_AUTH request";
    case Step::informational_early: return "INFORMATIONAL request before IKE_AUTH";
    case Step::child_early: return "CREATE_CHILD_SA request before IKE_AUTH";
    case Step::child_request: return "CREATE_CHILD_SA request for a new Child SA";
    case Step::child_rekey_request: return "CREATE_CHILD_SA request that rekeys a Child SA";
    case Step::ike_rekey_request: return "CREATE_CHILD_SA request that rekeys the IKE SA";
    case Step::follow_up_request: return "IKE_FOLLOWUP_KE request";
    case Step::informational: return "INFORMATIONAL request";
    case Step::init_answer: return "IKE_SA_INIT response";
    case Step::intermediate_answer: return "IKE_INTERMEDIATE response";
    case Step::auth_answer: return "IKE_AUTH response";
    case Step::child_answer: return "CREATE_CHILD_SA response for a new Child SA";
    case Step::child_rekey_answer: return "CREATE_CHILD_SA response to the rekey of a Child SA";
    case Step::ike_rekey_answer: return "CREATE_CHILD_SA response to the rekey of the IKE SA";
    case Step::informational_answer: return "INFORMATIONAL response";
    case Step::informational_back: return "INFORMATIONAL request of a responder";
  }
  return "";
}

bool liar_initiates(Step step) { return step < Step::init_answer; }

std::string Held::to_string() const {
  return fmt::format("{} IKE SAs, {} Child SAs, {} SPIs, {} half-open", ike_sas, children, spis, half_open);
}

namespace {

ike::EndpointSettings endpoint_settings(const Setting& setting) {
  ike::EndpointSettings settings;
  if (setting.under_load || setting.puzzles) settings.cookie_threshold = 0;
  if (setting.puzzles) settings.puzzle_threshold = 0;
  if (setting.puzzles) settings.puzzle_bits = 8;
  return settings;
}

Terms terms_of(const Setting& setting, const net::Path& path) {
  Terms terms;
  terms.ike = setting.ike;
  terms.esp = setting.esp;
  terms.fragmentation = setting.fragmentation;
  terms.rounds = setting.liars_rounds;
  terms.peer_rounds = setting.our_rounds;
  terms.mobike = setting.mobike;
  terms.path = {path.remote, path.local};
  return terms;
}

}  // namespace

Scene::Scene(bool liar_is_initiator, const Setting& setting)
    : ours("ours", 11, endpoint_settings(setting)),
      liar(liar_is_initiator ? Role::initiator : Role::responder, terms_of(setting, path_from(false))),
      path(path_from(false)) {
  model::ConnectionConfig config = config_of(false);
  config.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, setting.ike)};
  config.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, setting.esp)};
  config.ike_window = setting.window;
  config.ike_fragmentation = setting.fragmentation ? model::IkeFragmentation::offered : model::IkeFragmentation::off;
  config.peer_rounds.resize(setting.liars_rounds - 1, {.by = model::Authentication::shared_key});
  config.own_rounds.resize(setting.our_rounds - 1, {.by = model::Authentication::shared_key});
  // Room for a wish beside the first pair.
  config.remote.push_back(model::TrafficSelector::of(*net::Prefix::parse("10.3.0.0/16")));
  ours.secrets[config.id] = liar.terms.secret;
  command(ike::ConfigureConnection{std::move(config)});
}

std::vector<Bytes> Scene::drain() {
  std::vector<Bytes> sent;
  for (ike::Transmit& one : ours.drain(now)) {
    sent_last_on = one.path;
    sent.push_back(std::move(one.message));
  }
  sent_before.insert(sent_before.end(), sent.begin(), sent.end());
  return sent;
}

std::vector<Bytes> Scene::say(ByteView datagram) {
  ours.endpoint().handle_datagram(path, datagram, now);
  return drain();
}

std::vector<Bytes> Scene::command(ike::Command command) {
  ours.endpoint().handle_command(std::move(command), now);
  return drain();
}

std::vector<Bytes> Scene::wait(Duration duration) {
  const Instant end = now + duration;
  std::vector<Bytes> sent;
  for (;;) {
    const auto next = ours.endpoint().poll_timeout();
    if (!next || *next > end) break;
    now = std::max(now, *next);
    ours.endpoint().handle_timeout(now);
    for (Bytes& one : drain()) sent.push_back(std::move(one));
  }
  now = end;
  return sent;
}

Held Scene::held() {
  return {.ike_sas = ours.ike_sas.size(),
          .children = ours.children.size(),
          .spis = ours.allocator().in_use.size(),
          .half_open = static_cast<std::size_t>(ours.endpoint().counters().half_open)};
}

std::string Scene::describe(const std::vector<Bytes>& datagrams) {
  std::string text;
  for (const Bytes& one : datagrams) {
    const auto parsed = codec::parse_message(one);
    CHECK(parsed);
    if (!parsed->sealed) {
      text += "clear " + codec::summary({parsed->header, parsed->payloads}) + "\n";
    } else if (parsed->sealed->fragment) {
      text += "a fragment\n";
    } else if (const auto opened = liar.open(one)) {
      text += codec::summary(*opened) + "\n";
    } else {
      text += "sealed with other keys\n";
    }
  }
  return text;
}

// ---------------------------------------------------------------- steps

codec::Message Scene::pending() {
  CHECK(!pending_.empty());
  const auto opened = liar.open(pending_.front());
  CHECK(opened);
  return *opened;
}

void Scene::bring_up() {
  if (liar.role == Role::initiator) {
    reach(Step::auth_request);
    const auto answer = say(liar.honest(draft(Step::auth_request)));
    CHECK(answer.size() == 1);
    const auto opened = liar.open(answer.front());
    CHECK(opened && opened->first<codec::SaPayload>() != nullptr);
    liar.peer_child = model::Spi(load_be32(opened->first<codec::SaPayload>()->proposals.front().spi.data()));
  } else {
    reach(Step::auth_answer);
    say(liar.honest(draft(Step::auth_answer)));
    liar.next_id = 0;
  }
  CHECK(ours.ike_sas.size() == 1 && ours.children.size() == 1);
}

void Scene::reach(Step step) {
  switch (step) {
    case Step::init_request: return;
    case Step::auth_request:
    case Step::informational_early:
    case Step::child_early:
    case Step::intermediate_request: {
      const auto answer = say(liar.honest(liar.init_request()));
      CHECK(answer.size() == 1 && liar.take_init_answer(answer.front()));
      return;
    }
    case Step::child_request:
    case Step::child_rekey_request:
    case Step::ike_rekey_request:
    case Step::informational:
    case Step::informational_back: return bring_up();
    case Step::follow_up_request: {
      bring_up();
      pending_ = say(liar.honest(liar.child_request()));
      return;
    }
    case Step::init_answer:
      pending_ = command(ike::Initiate{.connection = kConnection, .path = path});
      CHECK(pending_.size() == 1);
      return;
    case Step::intermediate_answer:
    case Step::auth_answer:
      reach(Step::init_answer);
      pending_ = say(liar.honest(draft(Step::init_answer)));
      CHECK(pending_.size() == 1);
      return;
    case Step::child_answer: {
      bring_up();
      ike::ChildWish wish;
      wish.local = subnet("10.2.0.0/16");
      wish.remote = subnet("10.3.0.0/16");
      wish.packet.source = *net::IpAddress::parse("10.2.0.1");
      wish.packet.destination = *net::IpAddress::parse("10.3.0.1");
      wish.packet.protocol = 17;
      pending_ = command(ike::CreateChildSa{.connection = kConnection, .wish = std::move(wish)});
      break;
    }
    case Step::child_rekey_answer:
      bring_up();
      pending_ = command(ike::RekeyChildSa{ours.children.begin()->first});
      break;
    case Step::ike_rekey_answer:
      bring_up();
      pending_ = command(ike::RekeyIkeSa{ours.ike_sas.begin()->first});
      break;
    case Step::informational_answer:
      bring_up();
      pending_ = command(ike::CheckLiveness{ours.ike_sas.begin()->first});
      break;
  }
  CHECK(pending_.size() == 1);
}

codec::Message Scene::draft(Step step) {
  switch (step) {
    case Step::init_request: return liar.init_request();
    case Step::intermediate_request: return liar.intermediate_request();
    case Step::auth_request: return liar.auth_request();
    case Step::child_early:
    case Step::child_request: return liar.child_request();
    case Step::child_rekey_request: return liar.child_request(liar.own_child);
    case Step::ike_rekey_request: return liar.rekey_ike_request();
    case Step::follow_up_request: {
      const codec::Message answer = pending();
      const auto* link = answer.notify(model::NotifyType::additional_key_exchange);
      CHECK(link != nullptr);
      return liar.follow_up_request(link->data, model::KeyExchangeMethod::ml_kem_512);
    }
    case Step::informational_early:
    case Step::informational:
    case Step::informational_back: return liar.informational();
    case Step::init_answer: {
      auto answer = liar.init_answer(pending_.front());
      CHECK(answer);
      return std::move(*answer);
    }
    case Step::intermediate_answer: {
      const codec::Message request = pending();
      const auto* ke = request.first<codec::KePayload>();
      CHECK(ke != nullptr);
      return liar.answer_to(request, {liar.encapsulated(*ke)});
    }
    case Step::auth_answer: return liar.auth_answer(pending());
    case Step::child_answer:
    case Step::child_rekey_answer: return liar.child_answer(pending());
    case Step::ike_rekey_answer: return liar.rekey_ike_answer(pending());
    case Step::informational_answer: return liar.answer_to(pending());
  }
  CHECK(false);
}

}  // namespace culvert::liar
