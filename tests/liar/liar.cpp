#include "tests/liar/liar.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "ike/auth/nat_detection.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/codec/seal.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/puzzle.hpp"

namespace culvert::liar {

using codec::Message;
using ike::v2::derive_sk_keys;
using model::ExchangeType;
using model::KeyExchangeMethod;
using model::NotifyType;

namespace {

constexpr std::size_t kNonce = 32;

model::TrafficSelectors network(std::string_view prefix) {
  return {model::TrafficSelector::of(*net::Prefix::parse(prefix))};
}

/// The method of the proposal's first key exchange; NONE without.
KeyExchangeMethod method_of(const model::Proposal& proposal) {
  for (const model::Transform& one : proposal.transforms)
    if (one.type == model::TransformType::key_exchange) return static_cast<KeyExchangeMethod>(one.id);
  return KeyExchangeMethod::none;
}

}  // namespace

Bytes octets_of(model::Spi spi) {
  ByteWriter writer;
  writer.u32(spi.value());
  return writer.take();
}

Bytes octets_of(model::IkeSpi spi) {
  ByteWriter writer;
  writer.u64(spi.value());
  return writer.take();
}

Liar::Liar(Role liar_role, Terms own_terms, std::uint64_t seed)
    : role(liar_role), terms(std::move(own_terms)), random_(seed), original_initiator_(liar_role == Role::initiator) {}

// ---------------------------------------------------------------- drafts

codec::Header Liar::header(ExchangeType exchange, bool response, std::uint32_t id) const {
  codec::Header made;
  made.spi_i = spi_i;
  made.spi_r = spi_r;
  made.exchange = exchange;
  made.initiator = original_initiator_;
  made.response = response;
  made.message_id = model::MessageId(id);
  return made;
}

Message Liar::request(ExchangeType exchange, std::vector<codec::Payload> payloads) {
  return {.header = header(exchange, false, next_id++), .payloads = std::move(payloads)};
}

Message Liar::answer_to(const Message& request, std::vector<codec::Payload> payloads) const {
  return {.header = header(request.header.exchange, true, request.header.message_id.value()),
          .payloads = std::move(payloads)};
}

Message Liar::informational(std::vector<codec::Payload> payloads) {
  return request(ExchangeType::informational, std::move(payloads));
}

model::Proposal Liar::ike_offer(ByteView spi) const {
  model::Proposal offer = *model::parse_proposal(model::ProtocolId::ike, terms.ike);
  offer.number = 1;
  offer.spi = to_bytes(spi);
  return offer;
}

model::Proposal Liar::esp_offer(bool with_key_exchange) {
  model::Proposal offer = *model::parse_proposal(model::ProtocolId::esp, terms.esp);
  offer.number = 1;
  own_child = new_spi();
  offer.spi = octets_of(own_child);
  if (!with_key_exchange) {
    std::erase_if(offer.transforms, [](const model::Transform& one) {
      return one.type == model::TransformType::key_exchange || model::is_additional_key_exchange(one.type);
    });
  }
  return offer;
}

codec::KePayload Liar::new_ke(KeyExchangeMethod method) {
  key_exchange_ = *crypto::make_key_exchange(*model::key_exchange_id(method), random_);
  return {.method = method, .public_value = to_bytes(key_exchange_->public_value())};
}

codec::KePayload Liar::encapsulated(const codec::KePayload& asked) {
  auto own = *crypto::make_key_exchange_answer(*model::key_exchange_id(asked.method), random_);
  CHECK(own->derive(asked.public_value));
  return {.method = asked.method, .public_value = to_bytes(own->public_value())};
}

void Liar::add_nat_detection(Message& message) const {
  message.add_notify(NotifyType::nat_detection_source_ip,
                     ike::auth::nat_detection_digest(spi_i, spi_r, terms.path.local));
  message.add_notify(NotifyType::nat_detection_destination_ip,
                     ike::auth::nat_detection_digest(spi_i, spi_r, terms.path.remote));
}

Message Liar::init_request() {
  if (role == Role::initiator && spi_i.value() == 0) {
    spi_i = model::IkeSpi(next_ike_spi_++);
    nonce_i_ = octets(kNonce);
  }
  next_id = 1;
  Message message{.header = header(ExchangeType::ike_sa_init, false, 0), .payloads = {}};
  const model::Proposal offer = ike_offer();
  message.add(codec::SaPayload{{offer}});
  message.add(new_ke(method_of(offer)));
  message.add(codec::NoncePayload{nonce_i_});
  add_nat_detection(message);
  if (terms.fragmentation) message.add_notify(NotifyType::ikev2_fragmentation_supported);
  if (model::has_additional_key_exchanges({offer})) message.add_notify(NotifyType::intermediate_exchange_supported);
  return message;
}

bool Liar::take_init_answer(ByteView datagram) {
  const auto parsed = codec::parse_message(datagram);
  if (!parsed || parsed->sealed || !parsed->header.response) return false;
  const Message answer{parsed->header, parsed->payloads};
  const auto* sa = answer.first<codec::SaPayload>();
  const auto* ke = answer.first<codec::KePayload>();
  const auto* nonce = answer.first<codec::NoncePayload>();
  if (sa == nullptr || ke == nullptr || nonce == nullptr || !key_exchange_) return false;
  const auto agreed = model::accept_answer(sa->proposals, {ike_offer()}, {.additional_key_exchanges = true});
  if (!agreed) return false;
  const auto shared = key_exchange_->derive(ke->public_value);
  if (!shared) return false;
  spi_r = parsed->header.spi_r;
  nonce_r_ = nonce->data;
  derive(agreed->ike, shared->view());
  return true;
}

std::optional<Message> Liar::init_answer(ByteView request) {
  const auto parsed = codec::parse_message(request);
  if (!parsed) return std::nullopt;
  const Message asked{parsed->header, parsed->payloads};
  const auto* sa = asked.first<codec::SaPayload>();
  const auto* ke = asked.first<codec::KePayload>();
  const auto* nonce = asked.first<codec::NoncePayload>();
  if (sa == nullptr || ke == nullptr || nonce == nullptr) return std::nullopt;
  auto chosen = model::select_proposal(sa->proposals, {ike_offer()},
                                       {.prefer_method = ke->method, .additional_key_exchanges = true});
  if (!chosen) return std::nullopt;
  auto own = crypto::make_key_exchange_answer(*model::key_exchange_id(ke->method), random_);
  if (!own) return std::nullopt;
  const auto shared = (*own)->derive(ke->public_value);
  if (!shared) return std::nullopt;
  spi_i = parsed->header.spi_i;
  spi_r = model::IkeSpi(next_ike_spi_++);
  nonce_i_ = nonce->data;
  nonce_r_ = octets(kNonce);
  derive(chosen->ike, shared->view());

  Message answer = answer_to(asked);
  chosen->proposal.spi.clear();
  answer.add(codec::SaPayload{{chosen->proposal}});
  answer.add(codec::KePayload{.method = ke->method, .public_value = to_bytes((*own)->public_value())});
  answer.add(codec::NoncePayload{nonce_r_});
  add_nat_detection(answer);
  if (terms.fragmentation) answer.add_notify(NotifyType::ikev2_fragmentation_supported);
  if (model::has_additional_key_exchanges({chosen->proposal}))
    answer.add_notify(NotifyType::intermediate_exchange_supported);
  return answer;
}

void Liar::derive(const model::IkeSuite& suite, ByteView shared_secret) {
  const auto prf = *model::prf_function(suite.prf);
  const auto packet = *model::packet_suite(suite.encryption, suite.key_bits, suite.integrity);
  const SecretBytes seed = ike::v2::skeyseed_initial(prf, nonce_i_, nonce_r_, shared_secret);
  take_keys(suite, derive_sk_keys(prf, packet, seed.view(), nonce_i_, nonce_r_, spi_i, spi_r));
}

void Liar::take_keys(const model::IkeSuite& suite, ike::v2::SkKeys keys) {
  ike_suite_ = suite;
  suite_ = *model::packet_suite(suite.encryption, suite.key_bits, suite.integrity);
  CHECK(suite_->is_aead());
  keys_ = std::move(keys);
  const Role side = original_initiator_ ? Role::initiator : Role::responder;
  seal_ = *crypto::make_packet_cipher(*suite_, keys_.sk_e(side), {});
}

std::vector<KeyExchangeMethod> Liar::further_methods() const {
  std::vector<KeyExchangeMethod> methods;
  for (const KeyExchangeMethod one : ike_suite_.additional)
    if (one != KeyExchangeMethod::none) methods.push_back(one);
  return methods;
}

Message Liar::intermediate_request(std::size_t n) {
  return request(ExchangeType::ike_intermediate, {new_ke(further_methods().at(n))});
}

// RFC 8019 7.2.2: in front of the first request.
Bytes Liar::solution_for(const codec::Header& of) const {
  const bool first = !of.response && of.message_id.value() == 1 &&
                     (of.exchange == ExchangeType::ike_auth || of.exchange == ExchangeType::ike_intermediate);
  if (solution.empty() || !first) return {};
  ByteWriter payload;
  payload.u8(static_cast<std::uint8_t>(model::PayloadType::encrypted));
  payload.u8(0);
  payload.u16(static_cast<std::uint16_t>(4 + solution.size()));
  payload.bytes(solution);
  return payload.take();
}

// RFC 9242 3.3.2: prf(SK_p, what came before | header and generic header with adjusted lengths | the payloads).
void Liar::note_intermediate(Role side, const Message& message) {
  const Bytes chain = codec::serialize_payloads(message.payloads);
  const Bytes front = solution_for(message.header);
  const std::size_t payload = codec::kPayloadHeaderSize + chain.size();
  const auto first =
      front.empty() ? model::PayloadType::encrypted : static_cast<model::PayloadType>(ike::kPuzzleSolutionPayload);
  Bytes octets = codec::serialize_header(message.header, first,
                                         static_cast<std::uint32_t>(codec::kHeaderSize + front.size() + payload));
  octets.insert(octets.end(), front.begin(), front.end());
  octets.push_back(static_cast<std::uint8_t>(codec::first_type(message.payloads)));
  octets.push_back(0);
  octets.push_back(static_cast<std::uint8_t>(payload >> 8));
  octets.push_back(static_cast<std::uint8_t>(payload));
  octets.insert(octets.end(), chain.begin(), chain.end());
  SecretBytes& so_far = side == Role::initiator ? int_auth_i_ : int_auth_r_;
  so_far = (*model::prf_function(ike_suite_.prf))(keys_.sk_p(side), {so_far.view(), octets});
}

// RFC 9370 2.2.2
bool Liar::finish_intermediate(const Message& request, const Message& answer) {
  const auto* ke = answer.first<codec::KePayload>();
  if (ke == nullptr || !key_exchange_) return false;
  const auto shared = key_exchange_->derive(ke->public_value);
  if (!shared) return false;
  note_intermediate(Role::initiator, request);
  note_intermediate(Role::responder, answer);
  ++intermediates_;
  const auto prf = *model::prf_function(ike_suite_.prf);
  const SecretBytes seed = ike::v2::skeyseed_rekey(prf, keys_.sk_d(), shared->view(), nonce_i_, nonce_r_);
  take_keys(model::IkeSuite(ike_suite_), derive_sk_keys(prf, *suite_, seed.view(), nonce_i_, nonce_r_, spi_i, spi_r));
  return true;
}

// RFC 7296 2.15
Bytes Liar::auth_data(const model::Identity& identity) const {
  const auto prf = *model::prf_function(ike_suite_.prf);
  const codec::IdPayload id{.side = role, .identity = identity, .reserved = {}};
  Bytes signed_octets = ike::auth::signed_octets(prf, init_own_, role == Role::initiator ? nonce_r_ : nonce_i_,
                                                 keys_.sk_p(role), id.body());
  if (intermediates_ > 0) {
    ByteWriter int_auth;
    int_auth.bytes(int_auth_i_.view());
    int_auth.bytes(int_auth_r_.view());
    int_auth.u32(intermediates_ + 1);
    signed_octets.insert(signed_octets.end(), int_auth.view().begin(), int_auth.view().end());
  }
  return to_bytes(ike::auth::shared_key_mac(prf, terms.secret, signed_octets).view());
}

void Liar::add_child(Message& message, bool with_key_exchange) {
  message.add(codec::SaPayload{{esp_offer(with_key_exchange)}});
  message.add(codec::TsPayload{.side = Role::initiator, .selectors = network(terms.own_network), .unknown = {}});
  message.add(codec::TsPayload{.side = Role::responder, .selectors = network(terms.peer_network), .unknown = {}});
}

Message Liar::auth_request(unsigned round) {
  const auto own = model::Identity::parse(terms.own_id);
  Message message = request(ExchangeType::ike_auth);
  if (round >= terms.rounds) return message;
  message.add(codec::IdPayload{.side = Role::initiator, .identity = own, .reserved = {}});
  if (round == 0) {
    message.add(
        codec::IdPayload{.side = Role::responder, .identity = model::Identity::parse(terms.peer_id), .reserved = {}});
  }
  message.add(codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic, .data = auth_data(own)});
  if (round + 1 < terms.rounds) message.add_notify(NotifyType::another_auth_follows);
  if (round > 0) return message;
  add_child(message, false);
  if (terms.rounds > 1 || terms.peer_rounds > 1) message.add_notify(NotifyType::multiple_auth_supported);
  if (terms.mobike) message.add_notify(NotifyType::mobike_supported);
  return message;
}

Message Liar::update_request() {
  Message message = request(ExchangeType::informational);
  message.add_notify(NotifyType::update_sa_addresses);
  add_nat_detection(message);
  return message;
}

Message Liar::auth_answer(const Message& request) {
  const auto own = model::Identity::parse(terms.own_id);
  Message answer = answer_to(request);
  answer.add(codec::IdPayload{.side = Role::responder, .identity = own, .reserved = {}});
  answer.add(codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic, .data = auth_data(own)});
  const Message child = child_answer(request);
  for (const codec::Payload& one : child.payloads) {
    if (!std::holds_alternative<codec::NoncePayload>(one)) answer.add(one);
  }
  return answer;
}

Message Liar::child_request(std::optional<model::Spi> rekeyed) {
  Message message = request(ExchangeType::create_child_sa);
  if (rekeyed) {
    message.add(codec::NotifyPayload{
        .protocol = model::ProtocolId::esp, .spi = octets_of(*rekeyed), .type = NotifyType::rekey_sa, .data = {}});
  }
  const model::Proposal offer = esp_offer(true);
  message.add(codec::SaPayload{{offer}});
  message.add(codec::NoncePayload{octets(kNonce)});
  if (const auto method = method_of(offer); method != KeyExchangeMethod::none) message.add(new_ke(method));
  message.add(codec::TsPayload{.side = Role::initiator, .selectors = network(terms.own_network), .unknown = {}});
  message.add(codec::TsPayload{.side = Role::responder, .selectors = network(terms.peer_network), .unknown = {}});
  return message;
}

Message Liar::child_answer(const Message& request) {
  Message answer = answer_to(request);
  const auto* sa = request.first<codec::SaPayload>();
  CHECK(sa != nullptr);
  const auto* ke = request.first<codec::KePayload>();
  auto chosen =
      model::select_proposal(sa->proposals, {esp_offer(ke != nullptr)},
                             {.ignore_key_exchange = ke == nullptr, .additional_key_exchanges = ke != nullptr});
  CHECK(chosen);
  peer_child = model::Spi(load_be32(chosen->proposal.spi.data()));
  chosen->proposal.spi = octets_of(own_child);
  answer.add(codec::SaPayload{{chosen->proposal}});
  answer.add(codec::NoncePayload{octets(kNonce)});
  if (ke != nullptr) answer.add(new_ke(ke->method));
  answer.add(*request.ts(Role::initiator));
  answer.add(*request.ts(Role::responder));
  return answer;
}

Message Liar::rekey_ike_request() {
  next_.emplace();
  next_->spi_i = model::IkeSpi(next_ike_spi_++);
  next_->nonce = octets(kNonce);
  const model::Proposal offer = ike_offer(octets_of(next_->spi_i));
  const auto ke = new_ke(method_of(offer));
  next_->own = std::move(key_exchange_);
  return request(ExchangeType::create_child_sa, {codec::SaPayload{{offer}}, codec::NoncePayload{next_->nonce}, ke});
}

// RFC 7296 2.18
bool Liar::take_rekey_answer(const Message& answer) {
  const auto* sa = answer.first<codec::SaPayload>();
  const auto* ke = answer.first<codec::KePayload>();
  const auto* nonce = answer.first<codec::NoncePayload>();
  if (!next_ || sa == nullptr || ke == nullptr || nonce == nullptr || sa->proposals.front().spi.size() != 8)
    return false;
  const auto shared = next_->own->derive(ke->public_value);
  if (!shared) return false;
  next_->spi_r = model::IkeSpi(load_be64(sa->proposals.front().spi.data()));
  next_->shared = shared->clone();
  next_->peer_nonce = nonce->data;
  next_->initiator = true;
  derive_next();
  return true;
}

// RFC 9370 2.2.4
bool Liar::take_further(const Message& answer) {
  const auto* ke = answer.first<codec::KePayload>();
  if (!next_ || ke == nullptr || !key_exchange_) return false;
  const auto shared = key_exchange_->derive(ke->public_value);
  if (!shared) return false;
  next_->further.insert(next_->further.end(), shared->view().begin(), shared->view().end());
  derive_next();
  return true;
}

void Liar::derive_next() {
  const auto prf = *model::prf_function(ike_suite_.prf);
  const SecretBytes seed =
      ike::v2::skeyseed_rekey(prf, keys_.sk_d(), next_->shared.view(), next_->nonce, next_->peer_nonce, next_->further);
  next_->keys = derive_sk_keys(prf, *suite_, seed.view(), next_->nonce, next_->peer_nonce, next_->spi_i, next_->spi_r);
}

Message Liar::rekey_ike_answer(const Message& request) {
  const auto* sa = request.first<codec::SaPayload>();
  const auto* ke = request.first<codec::KePayload>();
  const auto* nonce = request.first<codec::NoncePayload>();
  CHECK(sa != nullptr && ke != nullptr && nonce != nullptr);
  auto chosen = model::select_proposal(sa->proposals, {ike_offer()},
                                       {.prefer_method = ke->method, .additional_key_exchanges = true});
  CHECK(chosen);
  next_.emplace();
  next_->initiator = false;
  next_->spi_i = model::IkeSpi(load_be64(chosen->proposal.spi.data()));
  next_->spi_r = model::IkeSpi(next_ike_spi_++);
  next_->nonce = octets(kNonce);
  const auto own = new_ke(ke->method);
  const auto shared = key_exchange_->derive(ke->public_value);
  CHECK(shared);
  const auto prf = *model::prf_function(ike_suite_.prf);
  const SecretBytes seed = ike::v2::skeyseed_rekey(prf, keys_.sk_d(), shared->view(), nonce->data, next_->nonce);
  next_->keys = derive_sk_keys(prf, *suite_, seed.view(), nonce->data, next_->nonce, next_->spi_i, next_->spi_r);
  chosen->proposal.spi = octets_of(next_->spi_r);
  Message answer = answer_to(request, {codec::SaPayload{{chosen->proposal}}, codec::NoncePayload{next_->nonce}, own});
  return answer;
}

void Liar::move_to_next() {
  CHECK(next_ && next_->keys);
  NextSa next = std::move(*next_);
  next_.reset();
  spi_i = next.spi_i;
  spi_r = next.spi_r;
  original_initiator_ = next.initiator;
  next_id = 0;
  take_keys(model::IkeSuite(ike_suite_), std::move(*next.keys));
}

Message Liar::follow_up_request(ByteView link, KeyExchangeMethod method) {
  Message message = request(ExchangeType::ike_followup_ke, {new_ke(method)});
  message.add_notify(NotifyType::additional_key_exchange, link);
  return message;
}

// ---------------------------------------------------------------- to octets and back

std::vector<Bytes> Liar::tell(Message draft, const Lie* lie) {
  const bool in_clear = draft.header.exchange == ExchangeType::ike_sa_init;
  if (lie != nullptr && lie->message) lie->message(*this, draft);
  if (lie != nullptr && lie->instead) return lie->instead(*this, draft);
  Bytes octets;
  if (in_clear) {
    octets = codec::serialize(draft);
  } else {
    model::PayloadType first = codec::first_type(draft.payloads);
    Bytes plain = codec::serialize_payloads(draft.payloads);
    if (lie != nullptr && lie->chain) lie->chain(*this, first, plain);
    plain.push_back(0);  // no padding, and its length
    if (lie != nullptr && lie->plain) lie->plain(*this, plain);
    octets = seal(draft.header, first, plain);
  }
  if (lie != nullptr && lie->octets) lie->octets(*this, octets);
  // RFC 7296 2.15: what AUTH is over, as it went over the wire.
  if (in_clear) init_own_ = octets;
  return {std::move(octets)};
}

Bytes Liar::seal(const codec::Header& of, model::PayloadType first, ByteView plain,
                 std::optional<codec::FragmentPlace> place, ByteView clear) {
  CHECK(suite_);
  const crypto::SuiteSizes sizes = crypto::sizes_of(*suite_);
  const std::size_t fixed = codec::kPayloadHeaderSize + (place ? 4 : 0);
  const std::size_t sealed = fixed + sizes.iv + plain.size() + sizes.icv;
  const Bytes front = clear.empty() && !place ? solution_for(of) : Bytes();
  const auto in_front =
      front.empty() ? model::PayloadType::vendor_id : static_cast<model::PayloadType>(ike::kPuzzleSolutionPayload);
  if (!front.empty()) clear = front;
  const std::size_t at = codec::kHeaderSize + clear.size();
  const auto own = place ? model::PayloadType::encrypted_fragment : model::PayloadType::encrypted;
  Bytes out = codec::serialize_header(of, clear.empty() ? own : in_front, static_cast<std::uint32_t>(at + sealed));
  out.insert(out.end(), clear.begin(), clear.end());
  out.resize(at + sealed);
  std::uint8_t* const payload = out.data() + at;
  payload[0] = static_cast<std::uint8_t>(first);
  store_be16(payload + 2, static_cast<std::uint16_t>(sealed));
  if (place) {
    store_be16(payload + 4, place->number);
    store_be16(payload + 6, place->total);
  }
  std::uint8_t* const iv = payload + fixed;
  store_be64(iv, next_iv_++);
  std::uint8_t* const content = iv + sizes.iv;
  std::ranges::copy(plain, content);
  crypto::PacketJob job;
  job.iv = iv;
  job.aad = ByteView(out).first(at + fixed);
  job.input = job.output = content;
  job.length = plain.size();
  job.icv = content + plain.size();
  seal_->seal({&job, 1});
  CHECK(job.ok);
  return out;
}

std::vector<Bytes> Liar::fragments(const Message& draft, std::uint16_t count) {
  const Bytes chain = codec::serialize_payloads(draft.payloads);
  const std::size_t each = (chain.size() + count - 1) / count;
  std::vector<Bytes> made;
  for (std::uint16_t n = 1; n <= count; ++n) {
    const std::size_t from = std::min(chain.size(), each * (n - 1U));
    Bytes part = to_bytes(ByteView(chain).subspan(from, std::min(each, chain.size() - from)));
    part.push_back(0);
    const auto first = n == 1 ? codec::first_type(draft.payloads) : model::PayloadType::none;
    made.push_back(seal(draft.header, first, part, codec::FragmentPlace{n, count}));
  }
  return made;
}

std::optional<Message> Liar::open(ByteView datagram) {
  if (!keyed()) return std::nullopt;
  const auto parsed = codec::parse_message(datagram);
  if (!parsed || !parsed->sealed) return std::nullopt;
  const Role side = parsed->header.initiator ? Role::initiator : Role::responder;
  auto opener = codec::MessageOpener::make(*suite_, keys_.sk_e(side), keys_.sk_a(side));
  CHECK(opener);
  auto opened = opener->open(datagram, *parsed);
  if (!opened) return std::nullopt;
  return std::move(*opened);
}

}  // namespace culvert::liar
