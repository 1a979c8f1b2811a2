#include "crypto/by_batch_size.hpp"

namespace culvert::crypto {
namespace {

class ByBatchSize final : public PacketCipher {
 public:
  ByBatchSize(std::unique_ptr<PacketCipher> few, std::unique_ptr<PacketCipher> many, std::size_t burst,
              std::size_t enough_for_many)
      : few_(std::move(few)), many_(std::move(many)), burst_(burst), enough_for_many_(enough_for_many) {}

  void seal(std::span<PacketJob> jobs) override {
    const std::size_t for_many = share_of_many(jobs.size());
    if (for_many > 0) many_->seal(jobs.first(for_many));
    if (for_many < jobs.size()) few_->seal(jobs.subspan(for_many));
  }

  void open(std::span<PacketJob> jobs) override {
    const std::size_t for_many = share_of_many(jobs.size());
    if (for_many > 0) many_->open(jobs.first(for_many));
    if (for_many < jobs.size()) few_->open(jobs.subspan(for_many));
  }

  [[nodiscard]] const char* backend() const override { return many_->backend(); }

 private:
  [[nodiscard]] std::size_t share_of_many(std::size_t count) const {
    const std::size_t rest = count % burst_;
    return rest < enough_for_many_ ? count - rest : count;
  }

  std::unique_ptr<PacketCipher> few_;
  std::unique_ptr<PacketCipher> many_;
  std::size_t burst_;
  std::size_t enough_for_many_;
};

}  // namespace

std::unique_ptr<PacketCipher> by_batch_size(std::unique_ptr<PacketCipher> few, std::unique_ptr<PacketCipher> many,
                                            std::size_t burst, std::size_t enough_for_many) {
  return std::make_unique<ByBatchSize>(std::move(few), std::move(many), burst, enough_for_many);
}

}  // namespace culvert::crypto
