// Part of InboundPath: RFC 4303 Appendix A3, RFC 4302 Appendix B3.

#include <algorithm>

#include "ipsec/esn_resync.hpp"
#include "ipsec/esp_job.hpp"
#include "ipsec/inbound_path.hpp"

namespace culvert::ipsec {

// Opening works in place and spoils what does not authenticate, so the packet is put aside before. One per batch.
// An SA whose packet is not the one keeps its turn for the next batch.
void InboundPath::keep_for_trial(InboundSa& in, ByteView packet, Instant now) {
  if (trial_ || !in.layout.extended || !in.resync.wants_trial(now)) return;
  trial_ = batch_.size();
  trial_packet_.assign(packet.begin(), packet.end());
}

void InboundPath::resynchronise(std::size_t index) {
  const Item& item = items_[index];
  InboundSa& in = item.sa->inbound;
  crypto::PacketCipher* const cipher = in.cipher.get();
  if (cipher == nullptr) return;
  const auto low = static_cast<std::uint32_t>(item.sequence);
  std::uint64_t high = item.sequence >> 32;
  for (std::uint32_t i = 0; i < EsnResync::kTries && high < 0xffff'ffffU; ++i) {
    ++high;
    const std::uint64_t sequence = (high << 32) | low;
    EspScratch scratch;
    Bytes copy = trial_packet_;
    crypto::PacketJob job;
    if (in.ah) {
      // The high half is all that depends on it (RFC 4302 3.3.3.2.2), and checking changes nothing.
      job = batch_.job(index);
      store_be32(job.mac_suffix.data(), static_cast<std::uint32_t>(high));
    } else {
      const std::size_t text = copy.size() - in.layout.head() - in.layout.icv;
      make_esp_job(in.layout, copy.data(), text, sequence, scratch, job);
    }
    cipher->open({&job, 1});
    if (!job.ok) continue;
    // RFC 4303 A3.2: the window goes on from this packet, which itself is given up.
    (void)in.window.update(sequence);
    in.resync.note_success();
    return;
  }
}

}  // namespace culvert::ipsec
