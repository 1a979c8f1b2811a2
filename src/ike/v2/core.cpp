#include "ike/v2/core.hpp"

#include "ike/v2/life_core.hpp"

namespace culvert::ike::v2 {

Core::Core(const EndpointSettings& endpoint_settings, RandomSource& random_source, SpiAllocator& spi_allocator)
    : settings(endpoint_settings),
      random(random_source),
      esp_spis(spi_allocator),
      cookies(random_source),
      life(std::make_unique<LifeCore>()) {}

Core::~Core() = default;

void Core::progress(const IkeSa& sa, std::string text) {
  emit(Progress{.connection = sa.connection, .ike_sa = sa.id, .text = std::move(text)});
}

void Core::transmit(const net::Path& path, Bytes message) {
  ++counters.datagrams_out;
  transmits.push_back({.path = path, .message = std::move(message)});
}

void Core::transmit(const net::Path& path, const Outgoing& message) {
  for (const Bytes& datagram : message.datagrams) transmit(path, datagram);
}

RequestToken Core::expect(const IkeSa& sa, Asker asker, bool counts) {
  const RequestToken token(++last_token_);
  completions.emplace(token, Awaiting{.ike_sa = sa.id, .asker = asker, .counts = counts});
  if (counts) ++work_of_peers_;
  return token;
}

RequestToken Core::expect_completion(const IkeSa& sa, Asker asker) {
  return expect(sa, asker, asker == Asker::responder);
}

RequestToken Core::expect_completion(const IkeSa& sa) {
  return expect_completion(sa, sa.role == model::Role::initiator ? Asker::initiator : Asker::responder);
}

RequestToken Core::expect_from_others(const IkeSa& sa) {
  return expect(sa, sa.role == model::Role::initiator ? Asker::initiator : Asker::responder, false);
}

void Core::awaits_others(RequestToken token) {
  const auto found = completions.find(token);
  if (found != completions.end() && std::exchange(found->second.counts, false)) --work_of_peers_;
}

std::optional<Awaiting> Core::completed(RequestToken token) {
  const auto found = completions.find(token);
  if (found == completions.end()) return std::nullopt;
  const Awaiting awaiting = found->second;
  completions.erase(found);
  if (awaiting.counts) --work_of_peers_;
  return awaiting;
}

model::IkeSpi Core::new_ike_spi() {
  for (;;) {
    // RFC 7296 2.6: unique among ours, and not zero.
    const model::IkeSpi spi(random.u64() >> 16);
    if (spi.value() != 0 && !sas.knows_spi(spi)) return spi;
  }
}

Bytes Core::new_nonce() {
  Bytes nonce(32);
  random.fill(nonce);
  return nonce;
}

Duration Core::jitter(Duration bound) {
  if (bound <= Duration::zero()) return Duration::zero();
  return Duration(static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(bound.count()))));
}

RetransmitPolicy Core::retransmission() const {
  return {.first = settings.retransmit_first, .factor = settings.retransmit_factor, .tries = settings.retransmit_tries};
}

RetransmitPolicy Core::hasty_retransmission() {
  return {.first = std::chrono::milliseconds(150), .factor = 1.8, .tries = 4};
}

}  // namespace culvert::ike::v2
