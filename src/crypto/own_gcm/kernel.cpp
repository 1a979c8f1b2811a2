// The blocks of a packet are taken in fours, one 512-bit register each. Block 0 is not text: in the key stream it is
// the block that hides the ICV (J0, counter 1; NIST SP 800-38D 7.1), in GHASH the additional data. So text begins at
// block 1 of both with counter 2, and everything stays in step. GHASH's last block, the lengths, follows the text.
//
// Two ways through it:
//   - short packets (text of up to 96 octets: at most eight blocks) go four at a time, of any keys, every step for all
//     four: the latency of one hides behind the others;
//   - others go one by one in groups of sixteen blocks. GHASH is summed per lane and reduced once per group; lanes are
//     summed only at the end. Successive packets depend on nothing of each other, so the CPU overlaps end and
//     beginning.
//
// No branch and no address depends on key or text; both depend on lengths.
#include "crypto/own_gcm/kernel.hpp"

#include <array>
#include <type_traits>

#include "crypto/own_gcm/long_packets.hpp"
#include "crypto/own_gcm/short_packets.hpp"

namespace culvert::crypto::own_gcm {
namespace {

/// Short packets that did not come four in a row.
template <typename Work>
struct Waiting {
  using Kept = std::remove_const_t<Work>;
  std::array<Kept, 4> work;
  std::array<Work*, 4> from;
  std::size_t count = 0;

  // What was found out about the copies.
  void give_back() {
    if constexpr (std::is_same_v<Work, EspJob>) {
      for (std::size_t i = 0; i < count; ++i) from[i]->ok = work[i].ok;
    }
    count = 0;
  }
  template <int Rounds, bool Seal>
  [[OWN_GCM_INLINE]] void add(Work& one) {
    work[count] = one;
    from[count++] = &one;
    if (count == work.size()) {
      run_short<Rounds, Seal>(static_cast<Work*>(work.data()), 1, work.data(), OwnLengths());
      give_back();
    }
  }
  template <int Rounds, bool Seal, typename Sums>
  [[OWN_GCM_INLINE]] void finish() {
    if (count == 0) return;
    if (count == 1) {
      Start start = start_of<Rounds>(*from[0]);
      return run_long<Rounds, Seal, Sums>(*from[0], start, static_cast<Work*>(nullptr));
    }
    std::array<Nothing, 2> nothing;
    for (std::size_t i = count; i < work.size(); ++i) nothing[i - 2].stand_in(work[i], work[0].cipher);
    run_short<Rounds, Seal>(static_cast<Work*>(work.data()), 1, work.data(), OwnLengths());
    give_back();
  }
};

template <int Rounds, bool Seal>
[[OWN_GCM_INLINE]] inline void run_fours(EspJob* work, std::size_t fours, const EspJob* end, bool one_length) {
  if (one_length) return run_short<Rounds, Seal>(work, fours, end, OneLength(*work));
  run_short<Rounds, Seal>(work, fours, end, OwnLengths());
}
template <int Rounds, bool Seal>
[[OWN_GCM_INLINE]] inline void run_fours(const KeyedJob* work, std::size_t fours, const KeyedJob* end, bool) {
  run_short<Rounds, Seal>(work, fours, end, OwnLengths());
}

template <int Rounds, bool Seal, typename Sums, typename Work>
[[OWN_GCM_TARGET]] void run(std::span<Work> all) {
  const auto is_short = [](const Work& work) { return text_length(work) <= kShortText && aad_length(work) <= kBlock; };
  Waiting<Work> waiting;
  Work* const end = all.data() + all.size();
  for (Work* work = all.data(); work != end;) {
    // Fours in a row need not be gathered.
    if (waiting.count == 0) {
      const Work* at = work;
      std::size_t unlike = 0;  // zero: they have one length
      for (; at != end && is_short(*at); ++at) unlike |= text_length(*at) ^ text_length(*work);
      if (const auto fours = static_cast<std::size_t>(at - work) / 4; fours > 0) {
        run_fours<Rounds, Seal>(work, fours, end, unlike == 0);
        work += 4 * fours;
        continue;
      }
    }
    if (!is_short(*work)) {
      Start start = start_of<Rounds>(*work);
      for (bool more = true; more; ++work) {
        more = work + 1 != end && !is_short(work[1]);
        run_long<Rounds, Seal, Sums>(*work, start, more ? work + 1 : static_cast<Work*>(nullptr));
      }
      continue;
    }
    prefetch_ahead<Rounds, 1>(work, end);
    waiting.template add<Rounds, Seal>(*work++);
  }
  waiting.template finish<Rounds, Seal, Sums>();
}

// AMD's CPUs multiply once in two cycles, Intel's once in one, and there shuffles take the same unit.
bool multiplying_is_slow = [] {
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") != 0;
}();

}  // namespace

void use_three_multiplications(bool three) { multiplying_is_slow = three; }
bool uses_three_multiplications() { return multiplying_is_slow; }

template <int Rounds>
void seal(std::span<const KeyedJob> work) {
  multiplying_is_slow ? run<Rounds, true, Product3>(work) : run<Rounds, true, Product>(work);
}
template <int Rounds>
void seal(std::span<EspJob> work) {
  multiplying_is_slow ? run<Rounds, true, Product3>(work) : run<Rounds, true, Product>(work);
}
template <int Rounds>
void open(std::span<const KeyedJob> work) {
  multiplying_is_slow ? run<Rounds, false, Product3>(work) : run<Rounds, false, Product>(work);
}
template <int Rounds>
void open(std::span<EspJob> work) {
  multiplying_is_slow ? run<Rounds, false, Product3>(work) : run<Rounds, false, Product>(work);
}

template void seal<10>(std::span<const KeyedJob>);
template void seal<12>(std::span<const KeyedJob>);
template void seal<14>(std::span<const KeyedJob>);
template void open<10>(std::span<const KeyedJob>);
template void open<12>(std::span<const KeyedJob>);
template void open<14>(std::span<const KeyedJob>);
template void seal<10>(std::span<EspJob>);
template void seal<12>(std::span<EspJob>);
template void seal<14>(std::span<EspJob>);
template void open<10>(std::span<EspJob>);
template void open<12>(std::span<EspJob>);
template void open<14>(std::span<EspJob>);

}  // namespace culvert::crypto::own_gcm
