// NftablesSession: nftables' own language, spoken to the kernel by libnftables; for this layer only.
#pragma once

#include <string>

struct nft_ctx;

namespace culvert::io {

class NftablesSession {
 public:
  NftablesSession();
  NftablesSession(const NftablesSession&) = delete;
  NftablesSession& operator=(const NftablesSession&) = delete;
  ~NftablesSession();

  /// From here on answers have protocols and priorities as numbers, and no counts.
  void numeric();
  /// False when anything of it was refused, or when the kernel has no netfilter netlink at all.
  [[nodiscard]] bool run(const std::string& text);
  /// What the last command answered.
  [[nodiscard]] std::string output() const;
  /// The first line of what nftables says about the last failure.
  [[nodiscard]] std::string reason() const;

 private:
  nft_ctx* handle_;
};

}  // namespace culvert::io
