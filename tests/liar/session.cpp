#include "tests/liar/session.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "tests/liar/scene.hpp"

namespace culvert::liar {

using model::ExchangeType;
using model::NotifyType;

namespace {

/// Octets as numbers; zeros when there are no more.
class Choices {
 public:
  explicit Choices(ByteView octets) : left_(octets) {}
  [[nodiscard]] bool more() const { return !left_.empty(); }
  std::uint8_t next() {
    if (left_.empty()) return 0;
    const std::uint8_t first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }
  ByteView take(std::size_t count) {
    const ByteView taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  ByteView left_;
};

class Session {
 public:
  explicit Session(ByteView octets) : choices_(octets), scene_(true) {
    scene_.reach(Step::informational);
    children_[scene_.liar.own_child] = scene_.liar.peer_child;
    agree();
  }

  void run() {
    for (int steps = 0; steps < 64 && choices_.more() && up_ && !lost_; ++steps) {
      step();
      agree();
    }
    scene_.wait(std::chrono::minutes(15));
    CHECK(scene_.held() == Held{});
    CHECK(!scene_.ours.endpoint().poll_timeout());
  }

 private:
  void step() {
    switch (choices_.next() % 12) {
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
      CHECK(opened);
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
    CHECK(children_.emplace(scene_.liar.own_child, peer).second);
  }

  void delete_child() {
    const auto spi = some_child();
    if (!spi) return;
    const codec::Message answer =
        ask(scene_.liar.informational({codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {*spi}}}));
    const auto* deleted = answer.first<codec::DeletePayload>();
    CHECK(deleted != nullptr && deleted->spis == std::vector{children_.at(*spi)});
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
    ask(scene_.liar.informational({codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}}}));
    scene_.liar.move_to_next();
    told_.clear();
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
      std::vector<codec::Payload> payloads;
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
    CHECK(scene_.held().spis == children_.size());
    CHECK(scene_.held().half_open == 0);
  }

  Choices choices_;
  Scene scene_;
  bool up_ = true;
  bool lost_ = false;
  std::map<model::Spi, model::Spi> children_;  // the peer's inbound SPI -> ours
  std::vector<Bytes> told_;
};

}  // namespace

void run_session(ByteView choices) { Session(choices).run(); }

}  // namespace culvert::liar
