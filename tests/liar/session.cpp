#include "tests/liar/session.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "tests/liar/choices.hpp"
#include "tests/liar/scene.hpp"
#include "tests/liar/session_set_up.hpp"

namespace culvert::liar {

using model::ExchangeType;
using model::NotifyType;

namespace {

/// A Child SA that additional key exchanges are still to come for (RFC 9370 2.2.4).
struct Pending {
  Bytes link;
  model::Spi own, peer;
  std::optional<model::Spi> rekeyed;
  std::size_t done = 0;
  Instant until;
};

constexpr Duration kFollowUpPatience = std::chrono::seconds(20);

class Session {
 public:
  explicit Session(ByteView octets)
      : choices_(octets),
        plan_(choices_.next()),
        scene_(true, plan_.setting()),
        up_(set_up_by_choice(plan_, choices_, scene_, told_)) {
    if (up_) children_[scene_.liar.own_child] = scene_.liar.peer_child;
    if (up_) CHECK(scene_.ours.ike_sa().mobike == scene_.liar.terms.mobike);
    if (up_) agree();
  }

  void run() {
    for (steps_ = 0; steps_ < 64 && choices_.more() && up_ && !lost_; ++steps_) {
      step();
      agree();
    }
    scene_.wait(std::chrono::minutes(15));
    CHECK(scene_.held() == Held{});
    CHECK(!scene_.ours.endpoint().poll_timeout());
  }

 private:
  void step() {
    switch (choices_.next() % (plan_.plain() ? 12 : 16)) {
      case 0: return make_child(std::nullopt);
      case 1: return make_child(some_child());
      case 2: return delete_child();
      case 3: return delete_stranger();
      case 4: return be_alive();
      case 5: return rekey_ike();
      case 6: return say_again();
      case 7: return bend();
      case 8: return let_time_pass();
      case 9: return be_deleted_a_child();
      case 10: return be_asked();
      case 11: return say_anything();
      case 12: return go_on_with_child();
      case 13: return move();
      case 14: return come_from_elsewhere();
      case 15: return have_other_addresses();
    }
  }

  codec::Message ask(codec::Message request) {
    const Bytes datagram = scene_.liar.honest(request);
    told_.push_back(datagram);
    codec::Message answer = only_response(scene_.say(datagram));
    CHECK(answer.header.message_id == request.header.message_id);
    return answer;
  }

  /// The response among what ours has sent: there is one. What ours asks itself, before or behind it, is answered.
  codec::Message only_response(const std::vector<Bytes>& sent) {
    std::optional<codec::Message> response;
    std::vector<Bytes> requests;
    for (const Bytes& one : sent) {
      auto opened = scene_.liar.open(one);
      if (!opened) {
        // Of the IKE SA that takes this one's place: when the liar is there, too.
        CHECK(!codec::parse_header(one)->response);
        early_.push_back(one);
        continue;
      }
      if (!opened->header.response) {
        requests.push_back(one);
        continue;
      }
      CHECK(!response);
      response = std::move(*opened);
    }
    CHECK(response);
    serve(std::move(requests));
    return std::move(*response);
  }

  std::optional<model::Spi> some_child() {
    if (children_.empty()) return std::nullopt;
    auto found = children_.begin();
    std::advance(found, choices_.next() % children_.size());
    return found->first;
  }

  void make_child(std::optional<model::Spi> rekeyed) {
    const codec::Message answer = ask(scene_.liar.child_request(rekeyed));
    const auto* sa = answer.first<codec::SaPayload>();
    if (sa == nullptr) {
      // Too many or too fast, or one that was rekeyed already.
      CHECK(answer.notify(NotifyType::no_additional_sas) != nullptr ||
            answer.notify(NotifyType::temporary_failure) != nullptr);
      return;
    }
    CHECK(sa->proposals.size() == 1 && sa->proposals.front().spi.size() == 4);
    const model::Spi peer(load_be32(sa->proposals.front().spi.data()));
    const auto* link = answer.notify(NotifyType::additional_key_exchange);
    CHECK((link != nullptr) == !methods_.empty());
    if (link == nullptr) {
      CHECK(children_.emplace(scene_.liar.own_child, peer).second);
      return;
    }
    // Who begins to replace one anew has given up what was to.
    std::erase_if(pending_, [&](const Pending& one) { return rekeyed && one.rekeyed == rekeyed; });
    pending_.push_back({.link = link->data,
                        .own = scene_.liar.own_child,
                        .peer = peer,
                        .rekeyed = rekeyed,
                        .done = 0,
                        .until = scene_.now + kFollowUpPatience});
    if (choices_.next() % 4 == 0) return;
    const std::size_t before = children_.size();
    for (std::size_t n = 0; n < methods_.size(); ++n) follow_up(pending_.size() - 1);
    CHECK(children_.size() == before + 1);
  }

  /// The next additional key exchange of one that was begun, as it should be or not.
  void go_on_with_child() {
    if (pending_.empty()) return;
    const std::size_t at = choices_.next() % pending_.size();
    switch (choices_.next() % 8) {
      case 0: {
        // RFC 9370 2.2.4: of nothing that was begun.
        const auto answer = ask(scene_.liar.follow_up_request(choices_.take(16), methods_.front()));
        CHECK(answer.notify(NotifyType::state_not_found) != nullptr);
        return;
      }
      case 1: {
        const auto answer =
            ask(scene_.liar.follow_up_request(pending_[at].link, model::KeyExchangeMethod::brainpool_p256r1));
        const bool forgotten = answer.notify(NotifyType::state_not_found) != nullptr;
        CHECK(forgotten || answer.notify(NotifyType::invalid_syntax) != nullptr);
        pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
        if (!forgotten) up_ = false;
        return;
      }
      default: return follow_up(at);
    }
  }

  void follow_up(std::size_t at) {
    const Pending asked = pending_.at(at);
    const auto answer = ask(scene_.liar.follow_up_request(asked.link, methods_.at(asked.done)));
    Pending& one = pending_.at(at);
    if (answer.first<codec::KePayload>() == nullptr) {
      CHECK(answer.notify(NotifyType::state_not_found) != nullptr ||
            answer.notify(NotifyType::temporary_failure) != nullptr);
      pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
      return;
    }
    CHECK(scene_.now <= one.until);
    one.until = scene_.now + kFollowUpPatience;
    const auto* link = answer.notify(NotifyType::additional_key_exchange);
    CHECK((link != nullptr) == (++one.done < methods_.size()));
    if (link != nullptr) {
      one.link = link->data;
      return;
    }
    CHECK(children_.emplace(one.own, one.peer).second);
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void delete_child() {
    const auto spi = some_child();
    if (!spi) return;
    const codec::Message answer =
        ask(scene_.liar.informational({codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {*spi}}}));
    const auto* deleted = answer.first<codec::DeletePayload>();
    // RFC 7296 1.4.1: unless our own DELETE is under way.
    const bool crossed = unheard_.contains(children_.at(*spi));
    CHECK(crossed || (deleted != nullptr && deleted->spis == std::vector{children_.at(*spi)}));
    children_.erase(*spi);
  }

  void delete_stranger() {
    const codec::Message answer = ask(scene_.liar.informational(
        {codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {model::Spi(0x500U + choices_.next())}}}));
    CHECK(answer.payloads.empty());
  }

  void be_alive() { CHECK(ask(scene_.liar.informational()).payloads.empty()); }

  void rekey_ike() {
    const codec::Message answer = ask(scene_.liar.rekey_ike_request());
    if (answer.first<codec::SaPayload>() == nullptr) {
      CHECK(answer.notify(NotifyType::temporary_failure) != nullptr);
      return;
    }
    CHECK(scene_.liar.take_rekey_answer(answer));
    const auto* link = answer.notify(NotifyType::additional_key_exchange);
    CHECK((link != nullptr) == !methods_.empty());
    if (link != nullptr && !follow_up_rekey(link->data)) return;
    pending_.clear();
    ask(scene_.liar.informational({codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}}}));
    scene_.liar.move_to_next();
    told_.clear();
    serve(std::exchange(early_, {}));
  }

  /// False: it is left as it is.
  bool follow_up_rekey(Bytes link) {
    for (const model::KeyExchangeMethod method : methods_) {
      if (choices_.next() % 8 == 0) return false;
      const auto answer = ask(scene_.liar.follow_up_request(link, method));
      if (answer.first<codec::KePayload>() == nullptr) {
        CHECK(answer.notify(NotifyType::temporary_failure) != nullptr);
        return false;
      }
      CHECK(scene_.liar.take_further(answer));
      const auto* next = answer.notify(NotifyType::additional_key_exchange);
      CHECK((next != nullptr) == (method != methods_.back()));
      if (next != nullptr) link = next->data;
    }
    return true;
  }

  /// RFC 4555 3.5, 3.7: ours answers there at once, and its Child SAs follow when the peer has answered there.
  void move() {
    if (!scene_.liar.terms.mobike) return be_alive();
    const net::Path before = scene_.path;
    const std::size_t moves = scene_.ours.moves.size();
    scene_.path = some_path();
    scene_.liar.terms.path = {scene_.path.remote, scene_.path.local};
    const std::uint8_t manner = choices_.next() % 8;
    mute_ = manner == 0;
    lies_ = manner == 1;
    const auto answer = ask(scene_.liar.update_request());
    CHECK(answer.error_notify() == nullptr);
    CHECK(answer.notify(NotifyType::nat_detection_source_ip) != nullptr);
    const bool moved = scene_.ours.moves.size() > moves && scene_.ours.moves.back().path == scene_.path;
    if (mute_) CHECK(scene_.ours.moves.size() == moves);
    if (manner > 1 && before != scene_.path) CHECK(moved);
    mute_ = lies_ = false;
  }

  net::Path some_path() {
    const std::uint8_t choice = choices_.next();
    net::Path path = scene_.path;
    const std::array<std::uint8_t, 4> octets{203, 0, 113, static_cast<std::uint8_t>(1 + choice % 3)};
    path.remote.address = choice % 4 == 3 ? ike::v2::testing::address_of(true) : net::IpAddress::v4(octets);
    path.remote.port = path.local.port = (choice & 16U) == 0 ? 500 : 4500;
    if ((choice & 32U) != 0) path.remote.port = static_cast<std::uint16_t>(1024 + choice);
    return path;
  }

  /// RFC 7296 2.11: the answer goes back to where the request came from. RFC 4555 3.8: that moves nothing.
  void come_from_elsewhere() {
    const net::Path before = scene_.path;
    const std::size_t moves = scene_.ours.moves.size();
    scene_.path = some_path();
    mute_ = true;
    CHECK(ask(scene_.liar.informational()).payloads.empty());
    mute_ = false;
    CHECK(scene_.ours.moves.size() == moves);
    scene_.path = before;
  }

  /// RFC 4555 3.6: whoever has not begun the IKE SA only keeps them.
  void have_other_addresses() {
    codec::Message request = scene_.liar.informational();
    const std::size_t count = choices_.next() % 20;
    if (count == 0) request.add_notify(NotifyType::no_additional_addresses);
    for (std::size_t n = 0; n < count; ++n)
      request.add_notify(NotifyType::additional_ip4_address, to_bytes(choices_.take(4)));
    const std::size_t moves = scene_.ours.moves.size();
    CHECK(ask(std::move(request)).error_notify() == nullptr);
    CHECK(scene_.ours.moves.size() == moves);
  }

  /// A datagram of before: the same answer, or none.
  void say_again() {
    if (told_.empty()) return;
    const Bytes& datagram = told_[choices_.next() % told_.size()];
    const std::size_t before = scene_.sent_before.size();
    const auto replies = scene_.say(datagram);
    CHECK(replies.size() <= 1);
    for (const Bytes& reply : replies) {
      const auto end = scene_.sent_before.begin() + static_cast<std::ptrdiff_t>(before);
      CHECK(std::find(scene_.sent_before.begin(), end, reply) != end);
    }
  }

  /// A bit of a message is wrong: whatever it is, it changes nothing.
  void bend() {
    Bytes datagram = scene_.liar.honest(
        scene_.liar.informational({codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}}}));
    --scene_.liar.next_id;
    const std::size_t at = choices_.next() * 256U + choices_.next();
    datagram[at % datagram.size()] ^= static_cast<std::uint8_t>(1U << (choices_.next() % 8));
    for (const Bytes& reply : scene_.say(datagram)) {
      const auto parsed = codec::parse_message(reply);
      CHECK(parsed && !parsed->sealed && reply.size() <= datagram.size());
    }
  }

  /// Up to four minutes, in which each request of ours is answered.
  void let_time_pass() {
    const auto seconds = std::chrono::seconds(choices_.next());
    for (auto waited = std::chrono::seconds(0); waited < seconds && !lost_; waited += std::chrono::seconds(1))
      serve(scene_.wait(std::chrono::seconds(1)));
  }

  /// Answers what ours asks, and what it asks then.
  void serve(std::vector<Bytes> datagrams) {
    for (std::size_t n = 0; n < datagrams.size() && n < 100; ++n) {
      const auto request = scene_.liar.open(datagrams[n]);
      if (!request || request->header.response) continue;
      if (mute_) {
        for (const auto* deleted : request->all<codec::DeletePayload>())
          unheard_.insert(deleted->spis.begin(), deleted->spis.end());
        continue;
      }
      std::vector<codec::Payload> payloads;
      if (const auto* cookie = request->notify(NotifyType::cookie2)) {
        codec::NotifyPayload back = *cookie;
        if (lies_) back.data.front() ^= 1U;
        payloads.emplace_back(std::move(back));
      }
      for (const auto* deleted : request->all<codec::DeletePayload>()) {
        if (deleted->protocol == model::ProtocolId::ike) up_ = false;
        if (deleted->protocol == model::ProtocolId::esp) forget(*deleted, payloads);
      }
      if (request->header.exchange == ExchangeType::create_child_sa) {
        payloads = {codec::NotifyPayload{
            .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::temporary_failure, .data = {}}};
      }
      for (Bytes& more : scene_.say(scene_.liar.honest(scene_.liar.answer_to(*request, std::move(payloads)))))
        datagrams.push_back(std::move(more));
    }
  }

  /// Child SAs that ours deletes: named by its own SPIs, answered by ours (RFC 7296 1.4.1).
  void forget(const codec::DeletePayload& deleted, std::vector<codec::Payload>& answer) {
    codec::DeletePayload mine{.protocol = model::ProtocolId::esp, .spis = {}};
    std::erase_if(children_, [&](const auto& child) {
      const bool gone = std::ranges::find(deleted.spis, child.second) != deleted.spis.end();
      if (gone) mine.spis.push_back(child.first);
      return gone;
    });
    if (!mine.spis.empty()) answer.emplace_back(std::move(mine));
  }

  void be_deleted_a_child() {
    if (scene_.ours.children.empty()) return;
    auto found = scene_.ours.children.begin();
    std::advance(found, choices_.next() % scene_.ours.children.size());
    serve(scene_.command(ike::DeleteChildSa{found->first}));
    // Ours waits a little with one that the peer may not have yet.
    serve(scene_.wait(std::chrono::seconds(1)));
  }

  void be_asked() {
    if (scene_.ours.ike_sas.empty()) return;
    serve(scene_.command(ike::CheckLiveness{scene_.ours.ike_sas.rbegin()->first}));
  }

  /// Authentic, and any octets at all inside.
  void say_anything() {
    constexpr ExchangeType kinds[] = {ExchangeType::informational,    ExchangeType::create_child_sa,
                                      ExchangeType::ike_followup_ke,  ExchangeType::ike_auth,
                                      ExchangeType::ike_intermediate, static_cast<ExchangeType>(240)};
    const codec::Message draft = scene_.liar.request(kinds[choices_.next() % std::size(kinds)]);
    const auto first = static_cast<model::PayloadType>(choices_.next());
    Bytes plain = to_bytes(choices_.take(choices_.next() * 2U));
    const auto inside = codec::parse_payloads(first, plain);
    plain.push_back(0);
    const codec::Message answer = only_response(scene_.say(scene_.liar.seal(draft.header, first, plain)));
    if (!inside || answer.notify(NotifyType::invalid_syntax) != nullptr) {
      CHECK(answer.notify(NotifyType::invalid_syntax) != nullptr);
      up_ = false;
    } else if (draft.header.exchange == ExchangeType::informational && ends_ike_sa(*inside)) {
      up_ = false;
    } else {
      // It may have made or ended Child SAs, by right; or an IKE SA whose keys are not ours.
      const auto* sa = answer.first<codec::SaPayload>();
      lost_ = sa != nullptr && sa->proposals.front().protocol == model::ProtocolId::ike;
      strange_ = strange_ || answer.notify(NotifyType::additional_key_exchange) != nullptr;
      children_.clear();
      for (const auto& [id, child] : scene_.ours.children)
        children_[child.params.spi_outbound] = child.params.spi_inbound;
    }
  }

  static bool ends_ike_sa(const std::vector<codec::Payload>& payloads) {
    return !codec::unsupported_critical(payloads) && std::ranges::any_of(payloads, [](const codec::Payload& one) {
      const auto* deleted = std::get_if<codec::DeletePayload>(&one);
      const auto* notify = std::get_if<codec::NotifyPayload>(&one);
      return (deleted != nullptr && deleted->protocol == model::ProtocolId::ike) ||
             (notify != nullptr && notify->type == NotifyType::authentication_failed);
    });
  }

  /// What ours holds is what the model says.
  void agree() {
    if (!up_) children_.clear();
    if (lost_) return;
    CHECK(scene_.ours.ike_sas.size() == (up_ ? 1 : 0));
    CHECK(scene_.ours.children.size() == children_.size());
    for (const auto& [id, child] : scene_.ours.children) {
      const auto found = children_.find(child.params.spi_outbound);
      CHECK(found != children_.end() && found->second == child.params.spi_inbound);
    }
    // An SPI is kept for each that is still to come, for as long as it may.
    CHECK(scene_.held().spis >= children_.size());
    CHECK(scene_.held().spis <= children_.size() + pending_.size() || strange_);
    CHECK(scene_.held().half_open == 0);
  }

  Choices choices_;
  Plan plan_;
  Scene scene_;
  std::vector<Bytes> told_;
  std::vector<Bytes> early_;  // requests of the IKE SA to come
  bool up_;
  int steps_ = 0;
  bool lost_ = false;
  bool strange_ = false;                       // it may have begun a Child SA that the model does not know of
  bool mute_ = false;                          // requests of ours are not answered
  std::set<model::Spi> unheard_;               // which these were to delete
  bool lies_ = false;                          // or with another COOKIE2
  std::map<model::Spi, model::Spi> children_;  // the peer's inbound SPI -> ours
  std::vector<Pending> pending_;
  const std::vector<model::KeyExchangeMethod> methods_ = scene_.liar.further_methods();
};

}  // namespace

void run_session(ByteView choices) { Session(choices).run(); }

}  // namespace culvert::liar
