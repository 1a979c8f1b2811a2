// Every fault of the table, told to an honest endpoint: what it answers, what it holds, what it counts, and that it
// holds nothing any more once the liar has been silent for a while.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "tests/liar/fault.hpp"

namespace culvert::liar {

using ike::DatagramDrop;

namespace {

template <std::size_t kCount>
using Counts = std::array<std::uint64_t, kCount>;

template <std::size_t kCount>
Counts<kCount> since(const Counts<kCount>& before, Counts<kCount> now) {
  for (std::size_t n = 0; n < kCount; ++n) now[n] -= before[n];
  return now;
}
template <std::size_t kCount>
std::uint64_t sum(const Counts<kCount>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

/// What ours has counted meanwhile.
struct Counted {
  Counts<ike::kDatagramDropCount> drops{};
  Counts<ike::kRefusalCount> refusals{};
  std::uint64_t repeated = 0;
  [[nodiscard]] std::uint64_t all() const { return sum(drops) + sum(refusals) + repeated; }
};
Counted since(const ike::EndpointCounters& before, const ike::EndpointCounters& now) {
  return {.drops = since(before.dropped, now.dropped),
          .refusals = since(before.refused, now.refused),
          .repeated = now.repeated - before.repeated};
}

std::size_t octets_in(const std::vector<Bytes>& datagrams) {
  std::size_t octets = 0;
  for (const Bytes& one : datagrams) octets += one.size();
  return octets;
}

/// What came of one message.
struct Course {
  Held before, after, end;
  std::vector<Bytes> told, replies;
  std::vector<Bytes> later;  // that ours has sent since by itself
  std::string described;
  Counted counted;        // of this message alone
  Counted counted_later;  // while the liar was silent
  std::optional<ike::FailureKind> failure;
  bool timers_left = false;
};

/// The step with the lie, or without one.
Course run(Step step, const Setting& setting, const Lie* lie, std::vector<Bytes>* sent_before = nullptr) {
  Scene scene(liar_initiates(step), setting);
  scene.reach(step);
  Course course;
  course.before = scene.held();
  const auto counters_before = scene.counters();
  const auto honest = scene.draft(step);
  if (sent_before != nullptr) *sent_before = scene.sent_before;
  course.told = scene.liar.tell(honest, lie);
  for (const Bytes& datagram : course.told) {
    for (Bytes& reply : scene.say(datagram)) course.replies.push_back(std::move(reply));
  }
  course.after = scene.held();
  const auto counters_after = scene.counters();
  course.counted = since(counters_before, counters_after);
  course.described = scene.describe(course.replies);
  // Whatever was begun has come to its end by then: retransmissions, liveness checks, half-open IKE SAs, fragments.
  course.later = scene.wait(std::chrono::minutes(15));
  course.counted_later = since(counters_after, scene.counters());
  course.end = scene.held();
  course.timers_left = scene.ours.endpoint().poll_timeout().has_value();
  if (!scene.ours.failures.empty()) course.failure = scene.ours.failures.back().kind;
  return course;
}

class Faults : public ::testing::TestWithParam<Fault> {};

void expect_reply(const Fault& fault, const Course& course, const std::vector<Bytes>& sent_before) {
  const Outcome& outcome = fault.outcome;
  const std::string& got = course.described;
  switch (outcome.reply) {
    case Reply::nothing: EXPECT_EQ(got, ""); return;
    case Reply::as_honest: EXPECT_EQ(got, run(fault.step, fault.setting, nullptr).described); return;
    case Reply::notify:
      ASSERT_EQ(course.replies.size(), 1U) << got;
      EXPECT_NE(got.find(" response "), std::string::npos) << got;
      EXPECT_NE(got.find("N(" + std::string(model::name_of(*outcome.notify))), std::string::npos) << got;
      return;
    case Reply::empty:
      ASSERT_EQ(course.replies.size(), 1U) << got;
      EXPECT_NE(got.find(" response "), std::string::npos) << got;
      EXPECT_NE(got.find("[]"), std::string::npos) << got;
      return;
    case Reply::tells:
      ASSERT_EQ(course.replies.size(), 1U) << got;
      EXPECT_NE(got.find("INFORMATIONAL request"), std::string::npos) << got;
      EXPECT_NE(got.find("N(" + std::string(model::name_of(*outcome.notify))), std::string::npos) << got;
      return;
    case Reply::deletes:
      ASSERT_EQ(course.replies.size(), 1U) << got;
      EXPECT_NE(got.find("INFORMATIONAL request"), std::string::npos) << got;
      EXPECT_NE(got.find("[D"), std::string::npos) << got;
      return;
    case Reply::repeats:
      ASSERT_EQ(course.replies.size(), 1U) << got;
      EXPECT_NE(std::ranges::find(sent_before, course.replies.front()), sent_before.end()) << got;
      return;
  }
}

void expect_state(const Fault& fault, const Course& course) {
  Held expected = course.before;
  switch (fault.outcome.after) {
    case After::unchanged: break;
    case After::as_honest: expected = run(fault.step, fault.setting, nullptr).after; break;
    case After::childless: expected = {.ike_sas = 1, .children = 0, .spis = 0, .half_open = 0}; break;
    case After::disowned: expected = {.ike_sas = 1, .children = 0, .spis = 1, .half_open = 0}; break;
    case After::withdrawn: expected.spis -= 1; break;
    // One that failed to prove who it is counts as half-open for a while: else it could go on for nothing.
    case After::gone: expected = {.ike_sas = 0, .children = 0, .spis = 0, .half_open = course.before.half_open}; break;
  }
  EXPECT_EQ(course.after, expected) << "holds " << course.after.to_string() << ", not " << expected.to_string();
  EXPECT_EQ(course.end, Held{}) << "in the end it still holds " << course.end.to_string();
  EXPECT_FALSE(course.timers_left) << "nothing is there any more that could have a timer";
}

template <typename Reason, std::size_t kCount>
void expect_only(const Counts<kCount>& counts, std::optional<Reason> expected) {
  for (std::size_t n = 0; n < kCount; ++n) {
    const auto reason = static_cast<Reason>(n);
    if (expected == reason) {
      EXPECT_GE(counts[n], 1U) << "not counted as " << name_of(reason);
    } else {
      EXPECT_EQ(counts[n], 0U) << "counted as " << name_of(reason);
    }
  }
}

// One reason, and for one datagram once; what is harmless has none.
void expect_count(const Fault& fault, const Course& course) {
  const Outcome& outcome = fault.outcome;
  const bool only_later = outcome.drop == DatagramDrop::incomplete_message;
  expect_only(only_later ? course.counted_later.drops : course.counted.drops, outcome.drop);
  expect_only(course.counted.refusals, outcome.refusal);
  EXPECT_EQ(course.counted.repeated, outcome.reply == Reply::repeats ? 1U : 0U);
  if (course.told.size() == 1) {
    EXPECT_LE(course.counted.all(), 1U) << "counted several times";
  }
  EXPECT_EQ(sum(course.counted_later.refusals), 0U) << "nothing more has come of the peer";
}

// RFC 7296 2.6, 2.21.4: whoever has proved nothing gets nothing by itself, and in the clear no more octets than it has
// sent. (Who seals a message right has our answer to IKE_SA_INIT, and so is where it says; an error in a sealed
// response may be a little longer than an empty request.)
void expect_no_gain(const Fault& fault, const Course& course) {
  const bool set_up = fault.step == Step::init_request || fault.step == Step::intermediate_request ||
                      fault.step == Step::auth_request || fault.step == Step::informational_early ||
                      fault.step == Step::child_early;
  if (set_up && course.after.ike_sas == 0) {
    EXPECT_TRUE(course.later.empty()) << "sent " << course.later.size() << " datagrams by itself";
  }
  // The exception: what an answer to IKE_SA_INIT that leads on says of us, and a short request does not of its sender:
  // CHILDLESS_IKEV2_SUPPORTED, SUPPORTED_AUTH_METHODS, a whole nonce. Authorities and the rest are in
  // ike/v2/unproved_address_test.cpp.
  constexpr std::size_t kOwnWords = 52;
  const bool leads_on = fault.step == Step::init_request && course.after.half_open > course.before.half_open;
  const bool clear = course.described.starts_with("clear ");
  if (clear) {
    EXPECT_LE(octets_in(course.replies), octets_in(course.told) + (leads_on ? kOwnWords : 0));
  }
}

TEST_P(Faults, HasItsOutcome) {
  const Fault& fault = GetParam();
  SCOPED_TRACE(std::string(fault.rfc) + ", " + std::string(name_of(fault.step)));
  std::vector<Bytes> sent_before;
  const Course course = run(fault.step, fault.setting, &fault.lie, &sent_before);
  expect_reply(fault, course, sent_before);
  expect_state(fault, course);
  expect_count(fault, course);
  expect_no_gain(fault, course);
  if (fault.outcome.failure) {
    ASSERT_TRUE(course.failure.has_value());
    EXPECT_EQ(*course.failure, *fault.outcome.failure) << ike::name_of(*course.failure);
  }
}

INSTANTIATE_TEST_SUITE_P(Liar, Faults, ::testing::ValuesIn(faults()),
                         [](const auto& one) { return std::string(one.param.name); });

/// Without a lie each step leads on: it is the lie alone that makes the difference.
class Steps : public ::testing::TestWithParam<int> {};

Setting setting_for(Step step) {
  Setting setting;
  if (step == Step::intermediate_request || step == Step::intermediate_answer)
    setting.ike = "aes256gcm16-prfsha256-x25519-ke1_mlkem512";
  if (step == Step::follow_up_request) setting.esp = "aes256gcm16-x25519-ke1_mlkem512";
  return setting;
}

TEST_P(Steps, AreTakenWithoutALie) {
  const auto step = static_cast<Step>(GetParam());
  SCOPED_TRACE(std::string(name_of(step)));
  const Course course = run(step, setting_for(step), nullptr);
  const bool too_early = step == Step::informational_early || step == Step::child_early;
  EXPECT_EQ(course.counted.all(), too_early ? 1U : 0U);
  EXPECT_EQ(course.described.find("N(INVALID"), std::string::npos) << course.described;
  EXPECT_EQ(course.described.find("FAILED"), std::string::npos) << course.described;
  if (step == Step::auth_request || step == Step::auth_answer) {
    EXPECT_EQ(course.after, (Held{.ike_sas = 1, .children = 1, .spis = 1, .half_open = 0}));
  }
  EXPECT_EQ(course.end, Held{});
}

INSTANTIATE_TEST_SUITE_P(Liar, Steps, ::testing::Range(0, static_cast<int>(Step::informational_back) + 1));

// What strangers send costs no memory for long: the same thousand times, and then as much is in use as before.
TEST(Liar, BeginningsByTheThousandLeaveNothing) {  // RFC 7296 2.6
  Scene scene(true);
  for (int round = 0; round < 3; ++round) {
    for (const auto& some : {header_faults(), init_faults()}) {
      for (const Fault& fault : some) {
        if (fault.setting.ike != Setting{}.ike || fault.setting.under_load) continue;
        for (int n = 0; n < 20; ++n) {
          Liar other(Role::initiator, scene.liar.terms, static_cast<std::uint64_t>(round * 1000 + n + 50));
          for (const Bytes& datagram : other.tell(other.init_request(), &fault.lie)) scene.say(datagram);
        }
      }
    }
    const auto limits = scene.ours.settings;
    EXPECT_LE(scene.held().half_open, limits.half_open_limit);
    scene.wait(std::chrono::minutes(5));
    EXPECT_EQ(scene.held(), Held{}) << scene.held().to_string();
    EXPECT_FALSE(scene.ours.endpoint().poll_timeout().has_value());
  }
  // And an honest peer is served.
  const auto answer = scene.say(scene.liar.honest(scene.liar.init_request()));
  ASSERT_EQ(answer.size(), 1U);
  EXPECT_TRUE(scene.liar.take_init_answer(answer.front()));
}

// Whoever answers every request with a new cookie, or wants another group each time, is not followed for ever.
TEST(Liar, LoopsOfCookiesAndGroupsComeToAnEnd) {  // RFC 7296 2.6, 2.6.1
  Scene scene(false, {.ike = "aes256gcm16-prfsha256-x25519-ecp256-ecp384-modp2048"});
  std::vector<Bytes> sent =
      scene.command(ike::Initiate{.connection = ike::v2::testing::kConnection, .path = scene.path});
  std::size_t requests = 0;
  const std::vector<Bytes> groups = {{0, 19}, {0, 20}, {0, 14}, {0, 31}};
  for (std::uint8_t n = 0; n < 200 && !sent.empty(); ++n) {
    requests += sent.size();
    codec::Message answer;
    answer.header = *codec::parse_header(sent.back());
    answer.header.initiator = false;
    answer.header.response = true;
    if (n % 2 == 0) {
      answer.add_notify(model::NotifyType::cookie, Bytes(8, n));
    } else {
      answer.add_notify(model::NotifyType::invalid_ke_payload, groups[n / 2 % groups.size()]);
    }
    sent = scene.say(codec::serialize(answer));
  }
  EXPECT_GE(requests, 4U) << "for a while it is followed";
  EXPECT_LE(requests, 12U);
  scene.wait(std::chrono::minutes(5));
  ASSERT_EQ(scene.ours.failures.size(), 1U);
  EXPECT_EQ(scene.held(), Held{});
}

// What is answered as the honest message, or with an empty response and no more, may be harmless; all else counts.
TEST(LiarTable, HasOneReasonForWhateverIsNotHarmless) {
  for (const Fault& fault : faults()) {
    const Outcome& outcome = fault.outcome;
    const int reasons = (outcome.drop ? 1 : 0) + (outcome.refusal ? 1 : 0) + (outcome.reply == Reply::repeats ? 1 : 0);
    const bool may_be_harmless =
        outcome.reply == Reply::as_honest || (outcome.reply == Reply::empty && outcome.after == After::unchanged);
    EXPECT_LE(reasons, 1) << fault.name;
    if (!may_be_harmless) {
      EXPECT_EQ(reasons, 1) << fault.name;
    }
  }
}

TEST(LiarTable, HasAtLeastSixtyFaultsWithANameAndASectionEach) {
  std::set<std::string_view> names;
  for (const Fault& fault : faults()) {
    EXPECT_TRUE(names.insert(fault.name).second) << fault.name << " twice";
    EXPECT_TRUE(fault.rfc.starts_with("RFC ")) << fault.name;
  }
  EXPECT_GE(names.size(), 60U);
}

}  // namespace
}  // namespace culvert::liar
