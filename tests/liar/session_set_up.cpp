#include "tests/liar/session_set_up.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "ike/puzzle.hpp"

namespace culvert::liar {

using model::ExchangeType;
using model::NotifyType;
using std::chrono::seconds;

namespace {

// Rounds of the two ends: as many as any connection would have, and more on either side.
constexpr std::pair<unsigned, unsigned> kRounds[] = {{1, 1}, {2, 1}, {1, 3}, {3, 2}};

class SetUp {
 public:
  SetUp(const Plan& plan, Choices& choices, Scene& scene, std::vector<Bytes>& told)
      : plan_(plan), choices_(choices), scene_(scene), told_(told), begun_(scene.now) {}

  bool run() {
    begin();
    for (std::size_t n = 0; n < scene_.liar.further_methods().size(); ++n) {
      const auto request = scene_.liar.intermediate_request(n);
      const auto answer = ask(request);
      if (!answer) return false;
      CHECK(scene_.liar.finish_intermediate(request, *answer));
    }
    for (unsigned round = 0; round < 4; ++round) {
      const auto answer = ask(scene_.liar.auth_request(round));
      if (!answer) return false;
      expect_round(round, *answer);
      if (scene_.ours.ike_sas.empty()) continue;
      return true;
    }
    CHECK(false);
  }

 private:
  void begin() {
    auto answer = scene_.say(scene_.liar.honest(scene_.liar.init_request()));
    CHECK(answer.size() == 1);
    const auto given = said(answer.front());
    if (const auto* puzzle = given.notify(NotifyType::puzzle)) {
      const codec::NotifyPayload cookie = *given.notify(NotifyType::cookie);
      codec::Message again = scene_.liar.init_request();
      again.payloads.insert(again.payloads.begin(), cookie);
      again.add(codec::UnknownPayload{
          .type = ike::kPuzzleSolutionPayload, .critical = false, .body = solved(*puzzle, cookie.data)});
      answer = scene_.say(scene_.liar.honest(again));
      CHECK(answer.size() == 1);
    }
    CHECK(scene_.liar.take_init_answer(answer.front()));
    const auto last = said(answer.front());
    const auto* puzzle = last.notify(NotifyType::puzzle);
    CHECK((puzzle != nullptr) == plan_.setting().puzzles);
    if (puzzle == nullptr) return;
    ByteWriter text;
    text.bytes(last.first<codec::NoncePayload>()->data);
    text.u64(last.header.spi_r.value());
    scene_.liar.solution = solved(*puzzle, text.view());
  }

  static codec::Message said(ByteView datagram) {
    auto parsed = codec::parse_message(datagram);
    CHECK(parsed);
    return {.header = parsed->header, .payloads = std::move(parsed->payloads)};
  }

  static Bytes solved(const codec::NotifyPayload& asked, ByteView text) {
    const auto puzzle = ike::decode_puzzle(asked.data);
    CHECK(puzzle);
    return ike::carry_out(ike::PuzzleRequest{
                              .token = {}, .prf = puzzle->prf, .text = to_bytes(text), .zero_bits = puzzle->zero_bits})
        .solution;
  }

  [[nodiscard]] const Terms& terms() const { return scene_.liar.terms; }

  /// RFC 4739 2.1: each answer takes one round of ours along, and there is nothing before the last of both.
  void expect_round(unsigned round, const codec::Message& answer) {
    CHECK((answer.first<codec::AuthPayload>() != nullptr) == (round < terms().peer_rounds));
    CHECK((answer.notify(NotifyType::another_auth_follows) != nullptr) == (round + 1 < terms().peer_rounds));
    const bool last = round + 1 == std::max(terms().rounds, terms().peer_rounds);
    const auto* sa = answer.first<codec::SaPayload>();
    CHECK((sa != nullptr) == last && scene_.ours.ike_sas.size() == (last ? 1 : 0));
    if (sa != nullptr) scene_.liar.peer_child = model::Spi(load_be32(sa->proposals.front().spi.data()));
  }

  /// The answer; nothing when what was said before has ended it all.
  std::optional<codec::Message> ask(const codec::Message& request) {
    for (int times = 0; plan_.disturbed() && times < 3; ++times) {
      if (!disturb(request)) return std::nullopt;
    }
    const Bytes datagram = scene_.liar.honest(request);
    told_.push_back(datagram);
    const auto replies = scene_.say(datagram);
    CHECK(replies.size() == 1);
    auto answer = scene_.liar.open(replies.front());
    CHECK(answer && answer->header.response && answer->header.message_id == request.header.message_id);
    return answer;
  }

  /// False: it is over.
  bool disturb(const codec::Message& next) {
    switch (choices_.next() % 8) {
      case 1: return say_again();
      case 2: return bend(next);
      case 3: return say_what_is_not_due(next);
      case 4: return say_what_comes_later(next);
      case 5: return say_anything(next);
      case 6: return let_time_pass();
      default: return true;
    }
  }

  /// The same answer, or none.
  bool say_again() {
    if (told_.empty()) return true;
    const std::size_t before = scene_.sent_before.size();
    const auto replies = scene_.say(told_[choices_.next() % told_.size()]);
    CHECK(replies.size() <= 1);
    for (const Bytes& reply : replies) {
      const auto end = scene_.sent_before.begin() + static_cast<std::ptrdiff_t>(before);
      CHECK(std::find(scene_.sent_before.begin(), end, reply) != end);
    }
    return unchanged();
  }

  bool bend(const codec::Message& next) {
    Bytes datagram = scene_.liar.honest(next);
    const std::size_t at = choices_.next() * 256U + choices_.next();
    datagram[at % datagram.size()] ^= static_cast<std::uint8_t>(1U << (choices_.next() % 8));
    for (const Bytes& reply : scene_.say(datagram)) {
      const auto parsed = codec::parse_message(reply);
      CHECK(parsed && !parsed->sealed && reply.size() <= datagram.size());
    }
    return unchanged();
  }

  // RFC 7296 1.2, RFC 9242 3.2: nothing but what is due, in its order.
  bool say_what_is_not_due(const codec::Message& next) {
    constexpr ExchangeType kinds[] = {ExchangeType::ike_auth, ExchangeType::ike_intermediate,
                                      ExchangeType::informational, ExchangeType::create_child_sa,
                                      ExchangeType::ike_followup_ke};
    codec::Message other = next;
    other.header.exchange = kinds[choices_.next() % std::size(kinds)];
    if (other.header.exchange == next.header.exchange) return true;
    CHECK(scene_.say(scene_.liar.honest(other)).empty());
    return unchanged();
  }

  bool say_what_comes_later(const codec::Message& next) {
    codec::Message later = next;
    later.header.message_id = model::MessageId(next.header.message_id.value() + 1 + choices_.next());
    CHECK(scene_.say(scene_.liar.honest(later)).empty());
    return unchanged();
  }

  /// Authentic, and any octets inside. What is answered has taken the place of what was due, and proves nothing.
  bool say_anything(const codec::Message& next) {
    // RFC 4739 2.5: who has proved all that it has to may say what it likes.
    if (next.payloads.empty()) return true;
    const auto first = static_cast<model::PayloadType>(choices_.next());
    Bytes plain = to_bytes(choices_.take(choices_.next() * 2U));
    plain.push_back(0);
    const auto replies = scene_.say(scene_.liar.seal(next.header, first, plain));
    CHECK(replies.size() <= 1 && scene_.ours.ike_sas.empty());
    return replies.empty() && unchanged();
  }

  bool let_time_pass() {
    const auto replies = scene_.wait(seconds(choices_.next() % 16));
    CHECK(replies.empty());
    if (scene_.held().half_open == 1) return true;
    CHECK(scene_.now - begun_ >= seconds(30));
    return false;
  }

  [[nodiscard]] bool unchanged() {
    CHECK(scene_.ours.ike_sas.empty() && scene_.held().half_open == 1);
    return true;
  }

  const Plan& plan_;
  Choices& choices_;
  Scene& scene_;
  std::vector<Bytes>& told_;
  const Instant begun_;
};

}  // namespace

Setting Plan::setting() const {
  Setting setting;
  const unsigned further = octet_ & 3U;
  if (further > 0) {
    const std::string behind = further == 1   ? "-ke1_mlkem512"
                               : further == 2 ? "-ke1_mlkem512-ke2_ecp256"
                                              : "-ke1_ecp256";
    setting.ike += behind;
    setting.esp += "-x25519" + behind;
  }
  const auto [liars, ours] = kRounds[(octet_ >> 2U) & 3U];
  setting.liars_rounds = liars;
  setting.our_rounds = ours;
  setting.mobike = (octet_ & 0x10U) != 0;
  setting.puzzles = (octet_ & 0x40U) != 0;
  return setting;
}

bool set_up_by_choice(const Plan& plan, Choices& choices, Scene& scene, std::vector<Bytes>& told) {
  const bool up = SetUp(plan, choices, scene, told).run();
  // Of an IKE SA that stands only the last request of its set-up may come again.
  if (up) told.erase(told.begin(), told.end() - 1);
  scene.liar.solution.clear();
  return up;
}

}  // namespace culvert::liar
