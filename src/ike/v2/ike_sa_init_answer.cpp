#include "ike/v2/ike_sa_init_answer.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/auth_rounds.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/childless.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/ppk.hpp"
#include "ike/v2/proof_wishes.hpp"

namespace culvert::ike::v2 {
namespace {

constexpr Duration kCookiesAfterFailures = std::chrono::seconds(30);
constexpr std::size_t kMostGain = 3;

}  // namespace

IkeSaInitAnswer::IkeSaInitAnswer(Core& core, IkeSa& sa, model::EncapsulationPolicy encapsulation,
                                 model::ChosenProposal chosen)
    : core_(core), sa_(sa), encapsulation_(encapsulation), chosen_(std::move(chosen)) {}

void IkeSaInitAnswer::start(ByteView peer_value) {
  // RFC 8019 7.2.4: what has a puzzle in front of it is not computed yet.
  token_ = sa_.auth_puzzle ? ask_for_key_pair(core_, sa_, chosen_.ike.key_exchange, Asker::responder)
                           : ask_for_answer(core_, sa_, chosen_.ike.key_exchange, peer_value);
}

void IkeSaInitAnswer::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return;
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  KeyExchangeResult computed = key_exchange_result(std::move(result));
  if (!computed.own) return fail(fault_of(computed));
  if (computed.fault) return refuse();
  sa_.init->nonce_r = core_.new_nonce();
  if (sa_.auth_puzzle) {
    sa_.suite = chosen_.ike;
    sa_.auth_puzzle->own = std::move(computed.own);
    return answer(sa_.auth_puzzle->own->public_value());
  }
  const auto prf = model::prf_function(chosen_.ike.prf);
  CHECK(prf);
  const SecretBytes skeyseed =
      skeyseed_initial(*prf, sa_.init->nonce_i, sa_.init->nonce_r, computed.shared_secret.view());
  if (auto keyed = key_ike_sa(core_, sa_, chosen_.ike, skeyseed.view(), sa_.init->nonce_i, sa_.init->nonce_r); !keyed)
    return fail(crypto::to_string(keyed.error()));
  answer(computed.own->public_value());
}

// RFC 7296 3.4: the peer's value is none. The request is not authenticated, so nothing more is said. It has cost a
// computation and leaves no half-open IKE SA that counts: too many of them, and the address must be proved first.
void IkeSaInitAnswer::refuse() {
  core_.drop(DatagramDrop::malformed);
  if (!core_.failed_key_exchanges.allow(core_.now)) core_.cookies_until = core_.now + kCookiesAfterFailures;
  sa_.phase = Phase::gone;
  core_.touch(sa_);
}

// The peer sends its request again, and may be luckier.
void IkeSaInitAnswer::fail(std::string_view why) {
  core_.progress(sa_, fmt::format("no keys for {}: {}", model::to_string(chosen_.ike), why));
  sa_.phase = Phase::gone;
  core_.touch(sa_);
}

void IkeSaInitAnswer::answer(ByteView public_value) {
  codec::Message answer;
  answer.header.spi_i = sa_.spi_i;
  answer.header.spi_r = sa_.spi_r;
  answer.header.response = true;
  answer.add(codec::SaPayload{{chosen_.proposal}});
  answer.add(codec::KePayload{.method = chosen_.ike.key_exchange, .public_value = to_bytes(public_value)});
  answer.add(codec::NoncePayload{sa_.init->nonce_r});
  if (sa_.nat_traversal) add_nat_detection(answer, sa_.path, encapsulation_);
  if (core_.connections.uses_certificates()) {
    add_certificate_request(answer, core_.connections.authorities_for(sa_.path), false);
    add_signature_hashes(answer);
  }
  // RFC 9370 2.2.1: the exchange that carries the rest, also where NONE is all of it: without the notification the
  // transform would be unknown.
  const bool additional = std::ranges::any_of(
      chosen_.proposal.transforms, [](const auto& one) { return model::is_additional_key_exchange(one.type); });
  // RFC 9867 3.1: and for a PPK that goes there.
  const bool early_ppk = sa_.ppk && sa_.ppk->intermediate;
  if (additional || early_ppk) answer.add_notify(model::NotifyType::intermediate_exchange_supported);
  if (sa_.fragmentation.agreed) answer.add_notify(model::NotifyType::ikev2_fragmentation_supported);
  answer_ppk(answer, sa_);
  if (sa_.auth_puzzle) answer.add_notify(model::NotifyType::puzzle, encode(sa_.auth_puzzle->puzzle));
  add_childless(answer, core_.connections.find(sa_.connection));
  add_proof_wishes(answer, core_.connections, sa_.path);
  add_rounds_supported(answer, core_.connections, sa_.path);
  const bool intermediate = additional_method(sa_.suite, 0).has_value() || early_ppk;
  // The request may have a forged source: what of the answer can be left out is, where it would be far longer.
  const std::size_t room = std::min(sure_room(core_, sa_.path), kMostGain * sa_.init->request.size());
  Bytes octets = serialize_within(std::move(answer), room, intermediate);
  sa_.init->response = octets;
  core_.transmit(sa_.path, octets);
  sa_.window.accept(model::MessageId{0});
  sa_.window.respond(model::MessageId{0}, Outgoing(std::move(octets)));
  core_.progress(sa_,
                 fmt::format("received IKE_SA_INIT request from {}, chose {}{}", sa_.path.remote.to_string(),
                             model::to_string(chosen_.ike), sa_.auth_puzzle ? ", with a puzzle for IKE_AUTH" : ""));
}

}  // namespace culvert::ike::v2
