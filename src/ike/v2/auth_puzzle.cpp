#include "ike/v2/auth_puzzle.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/intermediate_initiator.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/messages.hpp"

namespace culvert::ike::v2 {
namespace {

using model::ExchangeType;
using model::NotifyType;

constexpr Duration kAfterFailures = std::chrono::seconds(30);
constexpr model::MessageId kFirst{1};

// RFC 8019 7.2.3: the responder's nonce and its SPI.
Bytes text_of(const IkeSa& sa) {
  ByteWriter text;
  text.bytes(sa.init->nonce_r);
  text.u64(sa.spi_r.value());
  return text.take();
}

const Bytes* solution_in(const codec::ParsedMessage& parsed) {
  for (const codec::Payload& payload : parsed.payloads) {
    const auto* unknown = std::get_if<codec::UnknownPayload>(&payload);
    if (unknown != nullptr && unknown->type == kPuzzleSolutionPayload) return &unknown->body;
  }
  return nullptr;
}

/// The first request after IKE_SA_INIT.
bool is_first_request(const codec::Header& header) {
  return !header.response && header.message_id == kFirst &&
         (header.exchange == ExchangeType::ike_auth || header.exchange == ExchangeType::ike_intermediate);
}

/// RFC 7383 2.5.3: what is not sealed stands in the first fragment only.
bool is_later_fragment(const codec::ParsedMessage& parsed) {
  return parsed.sealed && parsed.sealed->fragment && parsed.sealed->fragment->number != 1;
}

bool is_encapsulation(crypto::KeyExchangeId method) {
  using enum crypto::KeyExchangeId;
  return method == ml_kem_512 || method == ml_kem_768 || method == ml_kem_1024;
}

/// The shared secret and the keys; what has come meanwhile is looked at then.
class KeysAfterPuzzle final : public ResponderExchange {
 public:
  KeysAfterPuzzle(Core& core, IkeSa& sa) : core_(core), sa_(sa) {}

  void start() {
    AuthPuzzle& puzzle = *sa_.auth_puzzle;
    token_ = ask_for_shared_secret(core_, sa_, sa_.suite.key_exchange, std::move(puzzle.own),
                                   std::exchange(puzzle.peer_value, {}), Asker::responder);
  }
  /// RFC 8019 7.2.4: further fragments come together with the first.
  void keep(const net::Path& path, ByteView datagram) {
    if (kept_.size() == kMostFragments || datagram.size() > kMostReassembled - octets_)
      return core_.drop(DatagramDrop::busy);
    octets_ += datagram.size();
    kept_.push_back({path, to_bytes(datagram)});
  }
  void handle_completion(RequestToken token, Completion result) override;

 private:
  struct Kept {
    net::Path path;
    Bytes datagram;
  };
  Core& core_;
  IkeSa& sa_;
  RequestToken token_;
  std::vector<Kept> kept_;
  std::size_t octets_ = 0;
};

void KeysAfterPuzzle::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return;
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  const KeyExchangeResult computed = key_exchange_result(std::move(result));
  const auto keyed = [&]() -> Result<void, crypto::CryptoError> {
    if (computed.fault) return err(*computed.fault);
    const SecretBytes skeyseed = skeyseed_initial(*model::prf_function(sa_.suite.prf), sa_.init->nonce_i,
                                                  sa_.init->nonce_r, computed.shared_secret.view());
    return key_ike_sa(core_, sa_, model::IkeSuite(sa_.suite), skeyseed.view(), sa_.init->nonce_i, sa_.init->nonce_r);
  }();
  if (!keyed) {
    core_.drop(DatagramDrop::malformed);
    core_.progress(sa_, fmt::format("no keys: {}", crypto::to_string(keyed.error())));
    sa_.phase = Phase::gone;
    return core_.touch(sa_);
  }
  for (const Kept& one : kept_) {
    if (sa_.phase == Phase::gone) return;
    if (const auto parsed = codec::parse_message(one.datagram)) receive(core_, sa_, one.path, one.datagram, *parsed);
  }
}

/// Between IKE_SA_INIT and what follows. Sends nothing.
class AuthPuzzleInitiator final : public InitiatorExchange {
 public:
  AuthPuzzleInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config)
      : core_(core), sa_(sa), config_(std::move(config)) {}
  ~AuthPuzzleInitiator() override { *unwanted_ = true; }
  AuthPuzzleInitiator(const AuthPuzzleInitiator&) = delete;
  AuthPuzzleInitiator& operator=(const AuthPuzzleInitiator&) = delete;

  [[nodiscard]] ExchangeType type() const override { return ExchangeType::ike_auth; }
  [[nodiscard]] Activity activity() const override { return Activity::set_up; }
  Progression start() override {
    const Puzzle& puzzle = sa_.auth_puzzle->puzzle;
    core_.progress(sa_, fmt::format("the peer gives us a puzzle of {} bits for IKE_AUTH", puzzle.zero_bits));
    token_ = core_.expect_completion(sa_);
    core_.requests.push_back(PuzzleRequest{.token = token_,
                                           .prf = puzzle.prf,
                                           .text = text_of(sa_),
                                           .zero_bits = puzzle.zero_bits,
                                           .unwanted = unwanted_});
    return Progression::waiting;
  }
  Progression handle_completion(RequestToken token, Completion result) override {
    const auto* solved = std::get_if<PuzzleResult>(&result);
    if (token != token_ || solved == nullptr) return Progression::waiting;
    if (sa_.terminating) {
      // The peer has nothing yet that could be deleted.
      close_ike_sa(core_, sa_, CloseReason::local_request, Phase::gone);
      return Progression::done;
    }
    // Without a solution, too: the peer may not insist on one any more.
    core_.progress(sa_, solved->solution.empty() ? "the puzzle is too hard for us" : "the puzzle is solved");
    sa_.auth_puzzle->solution = solved->solution;
    continue_set_up(core_, sa_, std::move(config_));
    return Progression::done;
  }
  Progression handle_response(const codec::Message&) override { return Progression::waiting; }
  void handle_bad_response(const std::string&) override {}

 private:
  Core& core_;
  IkeSa& sa_;
  model::ConnectionConfig config_;
  RequestToken token_;
  std::shared_ptr<std::atomic<bool>> unwanted_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

// RFC 8019 7.2.1: only for who has solved one already.
void give_auth_puzzle(Core& core, IkeSa& sa, Passage passage, const model::IkeSuite& suite, ByteView peer_value) {
  const bool always = core.settings.puzzle_threshold == 0;
  if (passage != Passage::by_puzzle || (!always && core.now >= core.auth_puzzles_until)) return;
  // A key encapsulation answers the peer's value at once: there is nothing to put off.
  const auto method = model::key_exchange_id(suite.key_exchange);
  CHECK(method);
  if (is_encapsulation(*method)) return;
  // RFC 8019 7.2.1.1: never 0.
  const std::uint8_t bits = std::max<std::uint8_t>(core.settings.puzzle_bits, 1);
  sa.auth_puzzle = std::make_unique<AuthPuzzle>(
      AuthPuzzle{.puzzle = {.prf = suite.prf, .zero_bits = bits}, .peer_value = to_bytes(peer_value)});
  ++core.counters.auth_puzzles;
}

void note_unopened(Core& core, IkeSa& sa) {
  if (sa.phase != Phase::half_open || std::exchange(sa.unopened, true)) return;
  if (!core.failed_openings.allow(core.now)) core.auth_puzzles_until = core.now + kAfterFailures;
}

void take_auth_solution(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram,
                        const codec::ParsedMessage& parsed) {
  if (sa.phase != Phase::half_open || !is_first_request(parsed.header)) return core.drop(DatagramDrop::unexpected);
  AuthPuzzle& puzzle = *sa.auth_puzzle;
  if (puzzle.solved) return static_cast<KeysAfterPuzzle&>(*sa.responder).keep(path, datagram);
  // The answer to IKE_SA_INIT is still being made: nobody knows what it will be.
  if (sa.responder) return core.drop(DatagramDrop::unexpected);
  const Bytes* solution = solution_in(parsed);
  const auto bits = solution == nullptr ? std::nullopt : solved_bits(puzzle.puzzle.prf, text_of(sa), *solution);
  // RFC 8019 7.2.4: as if it had not come. Fragments that come before the first one do so again.
  if (!bits || *bits < puzzle.puzzle.zero_bits) return core.drop(DatagramDrop::unsolved_puzzle);
  if (core.is_busy()) return core.drop(DatagramDrop::busy);
  puzzle.solved = true;
  ++core.counters.auth_solved;
  auto keys = std::make_unique<KeysAfterPuzzle>(core, sa);
  keys->keep(path, datagram);
  KeysAfterPuzzle& begun = *keys;
  sa.responder = std::move(keys);
  begun.start();
}

// RFC 8019 7.2.4: it is verified once, for the keys are kept then, whatever they open; but it has to be there.
bool lacks_solution(const IkeSa& sa, const codec::ParsedMessage& parsed) {
  return sa.auth_puzzle && sa.phase == Phase::half_open && is_first_request(parsed.header) &&
         !is_later_fragment(parsed) && solution_in(parsed) == nullptr;
}

bool has_only_solution(const IkeSa& sa, const codec::ParsedMessage& parsed) {
  return sa.auth_puzzle && is_first_request(parsed.header) && !is_later_fragment(parsed) &&
         parsed.payloads.size() == 1 && solution_in(parsed) != nullptr;
}

// Not before it is authentic: who is on the path can put another solution in front of garbage.
void note_solution(IkeSa& sa, ByteView datagram, const codec::ParsedMessage& parsed) {
  const auto& sealed = parsed.sealed;
  if (!sealed || sa.role != model::Role::responder || !has_only_solution(sa, parsed)) return;
  sa.auth_puzzle->front = to_bytes(datagram.subspan(codec::kHeaderSize, sealed->offset - codec::kHeaderSize));
  sa.auth_puzzle->front.front() = static_cast<std::uint8_t>(model::PayloadType::encrypted);
}

void go_on_with_set_up(Core& core, IkeSa& sa, const codec::Message& answer, model::ConnectionConfig config) {
  const auto* asked = answer.notify(NotifyType::puzzle);
  if (asked == nullptr) return continue_set_up(core, sa, std::move(config));
  const auto puzzle = decode_puzzle(asked->data);
  // RFC 8019 7.2.2: who knows puzzles solves it; one that nobody could, or only in minutes, is passed over.
  const bool solvable =
      puzzle && puzzle->zero_bits <= kMostZeroBits && model::prf_function(puzzle->prf) && core.settings.solve_puzzles;
  if (!solvable) {
    core.progress(sa, "the peer gives us a puzzle for IKE_AUTH that we do not solve; it may not answer");
    return continue_set_up(core, sa, std::move(config));
  }
  sa.auth_puzzle = std::make_unique<AuthPuzzle>(AuthPuzzle{.puzzle = *puzzle});
  sa.exchange = std::make_unique<AuthPuzzleInitiator>(core, sa, std::move(config));
  (void)sa.exchange->start();
  core.touch(sa);
}

codec::MessageContent content_with_solution(const IkeSa& sa, const codec::Message& message) {
  codec::MessageContent content = codec::content_of(message);
  if (!sa.auth_puzzle || sa.auth_puzzle->solution.empty() || !is_first_request(message.header)) return content;
  // RFC 8019 7.2.2: outside the Encrypted payload.
  content.clear_type = static_cast<model::PayloadType>(kPuzzleSolutionPayload);
  content.clear = sa.auth_puzzle->solution;
  return content;
}

Bytes octets_in_front(const IkeSa& sa, const codec::Header& header) {
  if (!sa.auth_puzzle || !is_first_request(header)) return {};
  if (sa.role == model::Role::responder) return sa.auth_puzzle->front;
  return codec::clear_octets(content_with_solution(sa, codec::Message{.header = header, .payloads = {}}),
                             model::PayloadType::encrypted);
}

}  // namespace culvert::ike::v2
