// The cipher alone, for engine_bench: what of an engine's time it is.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.hpp"
#include "ipsec/engine_test_kit.hpp"

namespace culvert::bench {

using namespace ipsec;
using namespace ipsec::test_kit;

inline constexpr std::size_t kPacketsPerCall = 128;
// Opening uses packets up: several calls' worth of them are made at a time, with the clock stopped. They, and what they
// were made from, stay in a second-level cache of 1 MiB.
inline constexpr std::size_t kMostCallsPerRound = 4;
constexpr std::size_t calls_per_round(std::size_t size) { return size <= 512 ? kMostCallsPerRound : 2; }
inline constexpr std::size_t kMostPacketsPerRound = kPacketsPerCall * kMostCallsPerRound;
inline constexpr std::uint32_t kFirstDestination = 10U << 24 | 2U << 16;
// What the benchmark itself does to each packet before it is sealed, whether by an engine or by a cipher alone: makes
// it one for the next of `count` SAs.
inline void write_destination(std::uint8_t* packet, std::size_t& next, std::size_t count) {
  store_be32(packet + 16, kFirstDestination + static_cast<std::uint32_t>(next));
  if (++next == count) next = 0;
}

// The cipher alone, in place, with keys in turn. Jobs are of the kind that the engine makes.
class RawCipher {
 public:
  RawCipher(const model::EspSuite& suite, std::size_t size, std::size_t keys) {
    SeededRandom random(1);
    const crypto::PacketSuite packet_suite =
        model::packet_suite(suite.encryption, suite.key_bits, suite.integrity).value();
    sizes_ = crypto::sizes_of(packet_suite);
    for (std::size_t i = 0; i < keys; ++i) {
      ciphers_.push_back(crypto::make_packet_cipher(packet_suite, random_bytes(random, sizes_.encryption_key),
                                                    random_bytes(random, sizes_.integrity_key))
                             .value());
    }
    const std::size_t alignment = std::max<std::size_t>(4, sizes_.block);
    text_ = (size + kEspTrailerSize + alignment - 1) / alignment * alignment;
    head_ = kEspHeaderSize + sizes_.iv;
    whole_ = head_ + text_ + sizes_.icv;
    many_ = ciphers_[0]->many_keys();
    by_esp_ = many_ != nullptr && UsualLayout::is(layout_of(packet_suite, suite.esn));
    memory_.resize(whole_ * kMostPacketsPerRound);
    ivs_.resize(kMostPacketsPerRound);
    jobs_.resize(kMostPacketsPerRound);
    keyed_.resize(kMostPacketsPerRound);
    esp_.resize(kMostPacketsPerRound);
  }
  [[nodiscard]] static bool takes_many_keys(const model::EspSuite& suite) {
    return RawCipher(suite, 64, 1).ciphers_[0]->many_keys() != nullptr;
  }
  [[nodiscard]] const char* backend() const { return ciphers_[0]->backend(); }
  // Call number `call` of a round, its jobs made anew.
  void seal(std::size_t call) {
    for (std::size_t i = call * kPacketsPerCall; i < (call + 1) * kPacketsPerCall; ++i) {
      write_destination(packet(i) + head_, destination_, ciphers_.size());
    }
    work(call, true);
  }
  void open(std::size_t call) {
    work(call, false);
    for (std::size_t i = call * kPacketsPerCall; i < (call + 1) * kPacketsPerCall; ++i) {
      CHECK(by_esp_ ? esp_[i].ok : jobs_[i].ok);
    }
  }
  // The key of the next packet.
  [[nodiscard]] std::size_t turn() const { return at_; }
  void set_turn(std::size_t key) { at_ = key; }

 private:
  [[nodiscard]] std::uint8_t* packet(std::size_t i) { return memory_.data() + i * whole_; }
  // With many keys as an engine would that has nothing else to do: by few packets, whose keys are asked for ahead.
  void work(std::size_t call, bool seals) {
    const std::size_t part = ciphers_.size() == 1 ? kPacketsPerCall : 64;
    for (std::size_t from = call * kPacketsPerCall; from < (call + 1) * kPacketsPerCall; from += part) {
      for (std::size_t i = from; i < from + part; ++i) {
        crypto::PacketCipher* const cipher = ciphers_[at_].get();
        if (ciphers_.size() > 1 &&
            (!by_esp_ || text_ > crypto::EspJob::kShortText || i < from + crypto::ManyKeys::kKeysAhead)) {
          for (std::size_t line = text_ > 96 ? 0 : 2; line < 7; ++line) {
            prefetch(reinterpret_cast<const std::uint8_t*>(cipher) + kCacheLine * line);
          }
        }
        if (++at_ == ciphers_.size()) at_ = 0;
        by_esp_ ? make_esp_job(i, cipher, seals) : make_job(i, cipher, seals);
      }
      benchmark::DoNotOptimize(memory_.back());
      run(from, part, seals);
    }
  }
  void run(std::size_t from, std::size_t count, bool seals) {
    if (by_esp_) return (seals ? many_->seal_esp : many_->open_esp)(std::span(esp_).subspan(from, count));
    if (ciphers_.size() > 1) return (seals ? many_->seal : many_->open)(std::span(keyed_).subspan(from, count));
    const std::span<crypto::PacketJob> jobs = std::span(jobs_).subspan(from, count);
    seals ? ciphers_[0]->seal(jobs) : ciphers_[0]->open(jobs);
  }
  void make_esp_job(std::size_t i, crypto::PacketCipher* cipher, bool seals) {
    std::uint8_t* const at = packet(i);
    if (seals) store_be64(at + kEspHeaderSize, ++sequence_);
    crypto::EspJob& job = esp_[i];
    job.cipher = cipher;
    job.packet = at;
    job.input = at + crypto::EspJob::kHead;
    job.length = static_cast<std::uint32_t>(text_);
    job.sequence = i;
  }
  void make_job(std::size_t i, crypto::PacketCipher* cipher, bool seals) {
    std::uint8_t* const at = packet(i);
    std::uint8_t* const iv = sizes_.iv == 0 ? ivs_[i].data() : at + kEspHeaderSize;
    if (seals && sizes_.nonce_iv != 0) store_be64(iv, ++sequence_);
    crypto::PacketJob& job = jobs_[i];
    job.iv = sizes_.nonce_iv == 0 ? nullptr : iv;
    job.aad = {at, kEspHeaderSize};
    job.input = job.output = at + head_;
    job.length = text_;
    job.icv = at + whole_ - sizes_.icv;
    keyed_[i] = {cipher, &job};
  }

  std::vector<std::unique_ptr<crypto::PacketCipher>> ciphers_;
  crypto::SuiteSizes sizes_;
  const crypto::ManyKeys* many_ = nullptr;
  bool by_esp_ = false;
  std::size_t at_ = 0;
  std::size_t destination_ = 0;
  std::size_t text_ = 0;
  std::size_t head_ = 0;
  std::size_t whole_ = 0;
  Bytes memory_;
  std::vector<std::array<std::uint8_t, 16>> ivs_;
  std::vector<crypto::PacketJob> jobs_;
  std::vector<crypto::KeyedJob> keyed_;
  std::vector<crypto::EspJob> esp_;
  std::uint64_t sequence_ = 0;
};

}  // namespace culvert::bench
